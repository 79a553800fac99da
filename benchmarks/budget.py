"""What parts of the work cost and a budget -> every combination of them, the best that keeps it.

Nothing is measured here but what `choose` is told to run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from operator import add
from pathlib import Path

from edgemood.runtime.doubt import SMALLEST
from edgemood.runtime.faces import SIDES, input_sides
from edgemood.runtime.following import NOTICE, ROUNDED, Every
from edgemood.runtime.noticing import MULTIPLE, RATE

# Combinations that are tried. The detector looks at frames at the first side, and as closely as at
# the second where it may have missed a face: at parts of some frames ("auto"), or at whole ones (a
# number of frames). "auto" looks as often as notices a new face within 0.3 s; to look more often
# costs up to seven times as much, for boxes of which half overlap with those followed by an IoU of
# 0.97 or more (docs/tracking.md), so there are only rarer looks beside it.
LOOKS = (SIDES, (320,), (160, 320), (160,))
EVERY: tuple[Every, ...] = ("auto", 2, 3, 5, 10, 15, 20, 30)
LATEST = 1.0  # seconds after which a new face has to be noticed
# Accuracies this close are taken for the same: on FER-2013's 3,589 pictures, one standard error of
# 66 % is 0.8 points, and 0.1 points between two forms of a network say nothing.
TIE = 0.005


@dataclass(frozen=True, slots=True)
class Target:
    """At least so many frames a second, at most such a share of a core, or both.

    share: 1.0 is all of one core. rate: frames a second that come, which the share is of.
    """

    fps: float | None
    share: float | None
    rate: float

    def use(self, cost: Cost) -> float:
        """Which part of the budget frames of this cost take; over 1, they are too dear."""
        return max(
            cost.wall * self.fps if self.fps else 0.0,
            cost.cpu * self.rate / self.share if self.share else 0.0,
        )

    def figures(self, cost: Cost) -> str:
        """Both figures of frames of this cost, where they come at the target's rate."""
        share = f"{cost.cpu * self.rate:.1%} of a core at {self.rate:.3g} FPS"
        return f"{1 / cost.wall:.3g} FPS, {share}"

    def __str__(self) -> str:
        fps = [f"at least {self.fps:g} FPS"] if self.fps else []
        share = [f"at most {100 * (self.share or 0):g}% of a core at {self.rate:.3g} FPS"]
        return " and ".join(fps + (share if self.share else []))


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a frame or a part of its work, in seconds. cpu: of all threads."""

    wall: float
    cpu: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.wall + other.wall, self.cpu + other.cpu)

    def __mul__(self, times: float) -> Cost:
        return Cost(self.wall * times, self.cpu * times)


@dataclass(frozen=True, slots=True)
class Classifier:
    """A model in an engine. accuracy: by its card, 0..1; 0 if never measured. face: of one."""

    path: Path
    engine: str
    threads: int
    accuracy: float
    face: Cost


@dataclass(frozen=True, slots=True)
class Parts:
    """What was measured.

    fps: of the clip. size: (width, height) of its frames. faces: in one of them, mean of those that
    show any. decode: of a frame. follow: of a frame, all that is done with faces beyond looking for
    them and classifying: following, cropping, smoothing, drawing. looks: (threads, longest side of
    the detector's input) -> one look. least: width of the narrowest face that is found, in pixels
    of that input.
    """

    fps: float
    size: tuple[int, int]
    faces: float
    decode: Cost
    follow: Cost
    looks: dict[tuple[int, int], Cost]
    least: int
    models: list[Classifier]


@dataclass(frozen=True, slots=True)
class Plan:
    """One combination. work: what a frame costs, by the name of its part.

    face: width of the narrowest face that is found, in pixels of the clip's frames. notice: seconds
    until a new face is noticed.
    """

    model: Classifier
    sides: tuple[int, ...]
    every: Every
    face: int
    notice: float
    work: dict[str, Cost]

    @property
    def cost(self) -> Cost:
        return reduce(add, self.work.values())

    def __str__(self) -> str:
        return ", ".join(_words(self))


# --- planning: measured parts -> combinations, the best first ------------------------------------


def plans(parts: Parts, rate: float) -> list[Plan]:
    """Every combination for frames that come at this rate, the best first.

    First comes accuracy, where what is closer than TIE is the same; then how small a face is found,
    at all and at the first look; then how soon a new one is noticed; then threads and CPU time.

    A frame's cost is that of the dearest scene: somebody is always in view, and still no first look
    is sure of all faces, so that there are as many closer ones as may be.
    """
    levels = _levels(model.accuracy for model in parts.models)
    found = []
    for model, sides, every in product(parts.models, LOOKS, EVERY):
        frames = frames_between(every, rate)
        if every != "auto" and not frames_between("auto", rate) < every <= LATEST * rate:
            continue
        first, *closer = input_sides(sides, max(parts.size))
        look = parts.looks[model.threads, first] * (1 / frames)
        for side in closer:
            if every == "auto":
                look += parts.looks[model.threads, part_side(side)] * (RATE / rate)
            else:
                look += parts.looks[model.threads, side] * (1 / frames)
        work = {
            "decoding": parts.decode,
            "looking for faces": look,
            "following and drawing": parts.follow,
            "classifying": model.face * parts.faces,
        }
        face = parts.least * max(parts.size) / max([first, *closer])
        found.append(Plan(model, sides, every, math.ceil(face), frames / rate, work))

    def order(plan: Plan) -> tuple[float, ...]:
        accuracy = levels[plan.model.accuracy]
        # What is found but too small to be read is no gain.
        face = max(plan.face, SMALLEST)
        sees = -accuracy, face, -plan.sides[0], plan.notice
        return *sees, plan.model.threads, plan.cost.cpu

    return sorted(found, key=order)


def line(ordered: Sequence[Plan], target: Target) -> list[Plan]:
    """The Pareto line: the best, and each that takes less of the budget than all better ones."""
    kept: list[Plan] = []
    for plan in ordered:
        if not kept or target.use(plan.cost) < target.use(kept[-1].cost):
            kept.append(plan)
    return kept


@dataclass(frozen=True, slots=True)
class Choice:
    """What became of the plans on a line.

    plan, cost: the chosen one, and what it cost when it was run; the last, where none keeps the
    target. above: the next better one and its cost. missed: those that failed when they were run.
    """

    plan: Plan
    cost: Cost
    keeps: bool
    above: tuple[Plan, Cost] | None
    missed: list[tuple[Plan, Cost]]


def choose(line: Sequence[Plan], target: Target, run: Callable[[Plan], Cost]) -> Choice:
    """The best that keeps the target as reckoned, and then when it is run."""
    above: tuple[Plan, Cost] | None = None
    missed: list[tuple[Plan, Cost]] = []
    for plan in line:
        cost = plan.cost
        if target.use(cost) <= 1:
            cost = run(plan)
            if target.use(cost) <= 1:
                return Choice(plan, cost, True, above, missed)
            missed.append((plan, cost))
        if plan is not line[-1]:
            above = plan, cost
    return Choice(plan, cost, False, above, missed)


def frames_between(every: Every, rate: float) -> int:
    """Of how many frames that come at this rate one is looked at.

    "auto" looks when the next frame would come later than NOTICE after the last look.
    """
    return every if every != "auto" else max(1, math.floor((NOTICE + ROUNDED) * rate))


def part_side(side: int) -> int:
    """Longest side of the detector's input for a part of a frame, a little more than half as long,
    which is looked at as closely as a whole one with `side` would be.
    """
    return side // 2 + MULTIPLE


def timed_sides(size: tuple[int, int]) -> set[int]:
    """Every such side, of whole frames of this size and of parts, that any of LOOKS leads to."""
    seen = (input_sides(sides, max(size)) for sides in LOOKS)
    return {each for first, *closer in seen for each in (first, *closer, *map(part_side, closer))}


def _levels(accuracies: Iterable[float]) -> dict[float, float]:
    """Each accuracy -> the highest that is the same by TIE."""
    levels: dict[float, float] = {}
    top = math.inf
    for accuracy in sorted(accuracies, reverse=True):
        top = top if top - accuracy <= TIE else accuracy
        levels[accuracy] = top
    return levels


# --- in words -------------------------------------------------------------------------------------


def reason(choice: Choice, target: Target) -> str:
    """Why it is this one, in a sentence."""
    plan = choice.plan
    use = f"{target.use(plan.cost):.0%}, reckoned for the dearest scene"
    if choice.above is None:
        return f"No combination here reads better. Of the budget ({target}) it takes {use}."
    better, cost = choice.above
    changes = [new for new, old in zip(_words(better), _words(plan)) if new != old]
    return (
        f"It is the best within the budget ({target}), of which it takes {use}; the next better, "
        f"with {', '.join(changes)}, comes to {target.figures(cost)}."
    )


def out_of_reach(plan: Plan, cost: Cost, target: Target) -> str:
    """That the nearest plan, of this cost, does not keep it, and what its work is."""
    by_cpu = target.use(Cost(0.0, cost.cpu)) >= target.use(Cost(cost.wall, 0.0))

    def spent(part: Cost) -> float:
        return 1000 * (part.cpu if by_cpu else part.wall)

    name, most = max(plan.work.items(), key=lambda item: spent(item[1]))
    return (
        f"nothing here comes to {target}: the nearest, {plan}, comes to {target.figures(cost)}, "
        f"and {name} is the largest part, {spent(most):.2g} of {spent(plan.cost):.2g} ms a frame. "
        "Ask for less, or pass a --clip with smaller frames; no profile was written."
    )


def _words(plan: Plan) -> list[str]:
    """What a plan says, one piece of text for each thing it decides."""
    threads = plan.model.threads
    return [
        f"{plan.model.path.name} in {plan.model.engine}",
        f"{threads} thread{'' if threads == 1 else 's'}",
        f"the detector at {' and '.join(map(str, plan.sides))} pixels",
        f"looks {'as auto makes them' if plan.every == 'auto' else f'every {plan.every} frames'}",
    ]
