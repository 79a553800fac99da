"""A budget, frames a second or a share of a core -> the profile that keeps it and reads best here.

Only parts are timed: decoding, a look of the detector at each side, following a face, one face in
each model and engine. What every combination of them costs is computed; the best that is within
the budget is run on the clip before it is believed, and if it fails there, the next.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import cycle, islice, product
from operator import add
from pathlib import Path
from time import perf_counter, process_time, thread_time
from typing import TypeVar

import cv2
import numpy as np

from edgemood.benchmarks.bench import (
    accuracy_by_card,
    open_clip,
    open_models,
    read_and_draw,
    shipped_models,
    unlike_the_last,
)
from edgemood.console import say, table, track
from edgemood.crop import FER2013
from edgemood.errors import EdgemoodError
from edgemood.machine import cores, processor
from edgemood.runtime import EmotionModel, FaceDetector, Pipeline
from edgemood.runtime.doubt import SMALLEST
from edgemood.runtime.draw import annotate
from edgemood.runtime.faces import SIDES
from edgemood.runtime.following import NOTICE, Every
from edgemood.runtime.noticing import MULTIPLE, RATE
from edgemood.runtime.profile import Profile
from edgemood.runtime.sources import Source
from edgemood.runtime.sources.demo import Demo, demo_crops

# Combinations that are tried. The detector looks at frames at the first side, and as closely as at
# the second where it may have missed a face: at parts of some frames ("auto"), or at whole ones (a
# number of frames). "auto" looks as often as notices a new face within 0.3 s; to look more often
# costs up to seven times as much, for boxes of which half overlap with those followed by an IoU of
# 0.97 or more (docs/tracking.md), so there are only rarer looks beside it.
LOOKS = (SIDES, (320,), (160, 320), (160,))
EVERY: tuple[Every, ...] = ("auto", 2, 3, 5, 10, 15, 20, 30)
LATEST = 1.0  # seconds after which a new face has to be noticed
THREADS = 4
# Accuracies this close are taken for the same: on FER-2013's 3,589 pictures, one standard error of
# 66 % is 0.8 points, and 0.1 points between two forms of a network say nothing.
TIE = 0.005

# Frames of the clip that the parts are measured on, and those of them that the detector looks at.
FRAMES, SEEN = 120, 8
# Seconds that each part is repeated for, and that a plan is run for.
PART, RUN = 0.3, 4.0
# A thread that takes this many times its CPU time has waited for others.
BUSY = 1.25
# Rows of the table above and below the chosen one.
ABOVE, BELOW = 3, 4

T = TypeVar("T")


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
        look = parts.looks[model.threads, sides[0]] * (1 / frames)
        for side in sides[1:]:
            if min(side, max(parts.size)) <= sides[0]:
                continue  # the frame has no more pixels to look at
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
        face = parts.least * max(parts.size) / input_side(max(sides), parts.size)
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
    return every if every != "auto" else max(1, math.floor((NOTICE - 0.001) * rate))


def input_side(side: int, size: tuple[int, int]) -> int:
    """Longest side of the detector's input for frames of this size, as `FaceDetector` picks it."""
    return min(side, max(SIDES[0], *size))


def part_side(side: int) -> int:
    """That for a part of a frame, a little more than half as long, which is looked at as closely as
    a whole one with `side` would be.
    """
    return side // 2 + MULTIPLE


def _levels(accuracies: Iterable[float]) -> dict[float, float]:
    """Each accuracy -> the highest that is the same by TIE."""
    levels: dict[float, float] = {}
    top = math.inf
    for accuracy in sorted(accuracies, reverse=True):
        top = top if top - accuracy <= TIE else accuracy
        levels[accuracy] = top
    return levels


# --- measuring ----------------------------------------------------------------------------------


def measure(paths: Sequence[Path], detector: FaceDetector, clip: str) -> tuple[Parts, list[str]]:
    """The parts on this machine, and sentences on what was left out or is in doubt.

    Raises EdgemoodError for a clip that can't be opened, is too short, or shows no face.
    """
    cv2.setNumThreads(1)
    opened, notes = open_models(paths, 1)
    models: list[Classifier] = []
    crops = [crop[None] for crop in demo_crops()]
    with _open(clip) as source:
        fps, size = source.fps or 0.0, source.size
        decode, pictures = _decoding(source)
    with _open(clip) as source:
        follow, faces = _following(source, Pipeline(opened[0], detector))
    looks: dict[tuple[int, int], Cost] = {}
    singles = {side for sides in LOOKS for side in sides}
    parts = {part_side(side) for sides in LOOKS for side in sides[1:]}
    counts = range(1, min(THREADS, cores()) + 1)
    for threads in track(counts, f"measuring with up to {len(counts)} threads"):
        cv2.setNumThreads(threads)
        for side in singles | parts:
            sides = (input_side(side, size),)
            looks[threads, side] = timed(partial(detector, sides=sides), pictures)
        for model in open_models(paths, threads)[0]:
            known = accuracy_by_card(model.card)
            accuracy = known.value if known else 0.0
            face = timed(model.predict, crops)
            models.append(Classifier(model.path, model.engine, threads, accuracy, face))
    alone = [cost for (threads, _), cost in looks.items() if threads == 1]
    busy = sum(cost.wall for cost in alone) / sum(cost.cpu for cost in alone)
    if busy > BUSY:
        notes.append(
            f"this machine is busy with other things: what was measured took {busy:.1f} times its "
            "CPU time; plan again when they are done."
        )
    least = narrowest(detector)
    return Parts(fps, size, faces, decode, follow, looks, least, models), notes


def timed(call: Callable[[T], object], items: Sequence[T]) -> Cost:
    """Of one call, with each item in turn for PART seconds: median, mean of the CPU time."""
    for item in items[:2]:  # warm-up
        call(item)
    seconds: list[float] = []
    cpu, start = process_time(), perf_counter()
    last = start
    for item in cycle(items):
        call(item)
        now = perf_counter()
        seconds.append(now - last)
        last = now
        if now - start >= PART and len(seconds) >= len(items):
            break
    return Cost(float(np.median(seconds)), (process_time() - cpu) / len(seconds))


def narrowest(detector: FaceDetector) -> int:
    """Width of the narrowest face that the detector finds, in pixels of its input.

    From there, it finds each of the demo's seven. With YuNet that is 16 pixels, at which it finds
    71 of 80 photographed faces (see SIDES).
    """
    faces = [cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR) for crop in demo_crops()]
    for width in range(8, 81, 4):
        side = round(width * FER2013.scale)
        found = 0
        for face in faces:
            image = np.full((128, 160, 3), Demo.GROUND, np.uint8)
            x, y = (160 - side) // 2, (128 - side) // 2
            small = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
            image[y : y + side, x : x + side] = small
            found += bool(detector(image, sides=(160,)))
        if found == len(faces):
            return width
    raise EdgemoodError(
        f"{detector.path} does not find the faces of the demo, a face detector that does was "
        "wanted. Pass another with --detector or EDGEMOOD_DETECTOR."
    )


def run(plan: Plan, detector: FaceDetector, clip: str, rate: float) -> Cost:
    """Of a frame of the clip, from decoding to drawing, in RUN seconds of what the plan says."""
    chosen = plan.model
    cv2.setNumThreads(chosen.threads)
    model = EmotionModel(chosen.path, chosen.engine, chosen.threads)
    detector = FaceDetector(detector.path, plan.sides)
    frames, total = 0, Cost(0.0, 0.0)
    with Pipeline(model, detector, detect_every=plan.every) as pipeline:
        while total.wall < RUN:
            with _open(clip) as source:
                start, cpu = perf_counter(), process_time()
                for number, frame in enumerate(source):
                    unlike_the_last(frame.image, number)
                    annotate(frame.image, pipeline(frame.image, number / rate), rate)
                    if number == 0:  # beyond what comes once
                        start, cpu = perf_counter(), process_time()
                        continue
                    frames += 1
                    if total.wall + perf_counter() - start >= RUN:
                        break
                total += Cost(perf_counter() - start, process_time() - cpu)
    return total * (1 / frames)


def _open(clip: str) -> Source:
    source = open_clip(clip)
    if source.is_pictures:
        source.close()
        raise EdgemoodError(
            f"{source.name} is no video, a video file or demo was wanted to plan with. Pass "
            "another with --clip."
        )
    return source


def _decoding(source: Source) -> tuple[Cost, list[np.ndarray]]:
    """Of one frame, and some frames to look at."""
    pictures = []
    frames = iter(source)
    next(frames, None)  # was read when the source was opened
    count = 0
    start, cpu = perf_counter(), process_time()
    for frame in islice(frames, FRAMES):
        if count % (FRAMES // SEEN) == 0:
            pictures.append(frame.image)
        count += 1
    cost = Cost(perf_counter() - start, process_time() - cpu)
    if len(pictures) < 2:
        raise EdgemoodError(
            f"{source.name} has {count + 1} frames, a second or more of video was wanted to plan "
            "with. Pass another with --clip."
        )
    return cost * (1 / count), pictures


def _following(source: Source, pipeline: Pipeline) -> tuple[Cost, float]:
    """Of a frame that shows faces, beyond looks and classifying; and how many such a frame shows.

    In one thread's own CPU time: a decoder works beside it.
    """
    costs: list[float] = []
    faces: list[int] = []
    with pipeline:
        pipeline.clock = thread_time
        for number, frame in enumerate(islice(iter(source), FRAMES)):
            readings, drawing = read_and_draw(pipeline, frame, number, source.fps)
            if readings:
                spent = pipeline.timings
                costs.append(spent.track + spent.crop + spent.read + drawing)
                faces.append(len(readings))
    if not faces:
        raise EdgemoodError(
            f"{source.name} shows no face in its first {FRAMES} frames, one was wanted to plan "
            "with. Pass another with --clip."
        )
    return Cost(cost := float(np.mean(costs)), cost), float(np.mean(faces))


# --- the edge -----------------------------------------------------------------------------------


def main(args: argparse.Namespace) -> int:
    """Plan, print, and write the profile; of `edgemood bench` with --target or --cpu."""
    fps, share = parse_fps(args.target), parse_share(args.cpu)
    if fps is None and share is None:
        raise EdgemoodError(
            "--profile goes with a budget: add --target 15fps or --cpu 20%, or leave it out."
        )
    if args.threads != "1":
        raise EdgemoodError(
            f"--threads is {args.threads!r}, and a plan picks their number: leave it out."
        )
    detector = FaceDetector(args.detector)
    parts, notes = measure(args.models or shipped_models(), detector, args.clip)
    for note in notes:
        say(note)
    target = Target(fps, share, fps or parts.fps)
    candidates = line(plans(parts, target.rate), target)
    print(
        f"{processor()}, {cores()} cores; detector: {detector.path.name}; frames of: "
        f"{Path(args.clip).name}, {parts.size[0]}x{parts.size[1]}, faces in one: {parts.faces:.2g}"
    )
    choice = choose(candidates, target, lambda plan: run(plan, detector, args.clip, target.rate))
    for plan, cost in choice.missed:
        say(f"missed when it was run, with {target.figures(cost)}: {plan}")
    plan = choice.plan
    _print(candidates, choice, target)
    if not choice.keeps:
        raise EdgemoodError(_out_of_reach(plan, choice.cost, target), exit_code=1)
    why = reason(choice, target)
    print(f"Chosen: {plan}.")
    print(f"Why: {why}")
    print(f"Run on the clip for {RUN:.0f} s: {target.figures(choice.cost)}.")
    profile = args.profile or "profile.json"
    Profile(
        model=plan.model.path,
        engine=plan.model.engine,
        threads=plan.model.threads,
        detector=detector.path if args.detector else None,
        sides=plan.sides,
        detect_every=plan.every,
        about=f"Planned on {processor()}. {why}",
    ).save(profile)
    # A share is of a core at a rate, which the camera has to keep.
    asked = f" --fps {round(target.rate)}" if share else ""
    print(f"Use it: edgemood run 0{asked} --profile {profile}")
    return 0


def parse_fps(text: str | None) -> float | None:
    """ "15fps" or "15" -> 15.0; raises EdgemoodError for anything else but None."""
    if text is None:
        return None
    number = re.fullmatch(r"(\d{1,4}(?:\.\d{1,3})?) ?(?:fps)?", text, re.ASCII | re.IGNORECASE)
    if number is None or not 0 < float(number[1]) <= 1000:
        raise EdgemoodError(
            f"--target is {text!r}, frames a second over 0 up to 1000 were wanted: write "
            "--target 15fps."
        )
    return float(number[1])


def parse_share(text: str | None) -> float | None:
    """ "20%" -> 0.2; raises EdgemoodError for anything else but None."""
    if text is None:
        return None
    number = re.fullmatch(r"(\d{1,4}(?:\.\d{1,3})?) ?%", text, re.ASCII)
    if number is None or not 0 < float(number[1]) <= 100 * cores():
        raise EdgemoodError(
            f"--cpu is {text!r}, a share of one core over 0 up to {100 * cores()}% was wanted: "
            "write --cpu 20%."
        )
    return float(number[1]) / 100


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


def _out_of_reach(plan: Plan, cost: Cost, target: Target) -> str:
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


def _print(candidates: list[Plan], choice: Choice, target: Target) -> None:
    at = candidates.index(choice.plan)
    shown = candidates[max(0, at - ABOVE) : at + BELOW + 1]
    table(
        [
            *("", "model", "engine", "threads", "detector", "looks", "accuracy*"),
            *("least face", "noticed in", "ms/frame", "FPS", "CPU"),
        ],
        [
            [
                ">" if choice.keeps and plan is choice.plan else "",
                plan.model.path.name,
                plan.model.engine,
                plan.model.threads,
                "+".join(map(str, plan.sides)),
                plan.every,
                f"{plan.model.accuracy:.1%}" if plan.model.accuracy else "-",
                f"{plan.face} px",
                f"{plan.notice:.2f} s",
                f"{plan.cost.wall * 1000:.1f}",
                f"{1 / plan.cost.wall:.0f}",
                f"{plan.cost.cpu * target.rate:.1%}",
            ]
            for plan in shown
        ],
        left=3,
    )
    print(
        f"reckoned for {target.rate:g} frames a second, each line with less cost than all better "
        "ones; CPU is of one core; * by the file's own card"
    )
