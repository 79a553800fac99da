"""A budget, frames a second or a share of a core -> the profile that keeps it and reads best here.

Only parts are timed: decoding, a look of the detector at each side, following a face, one face in
each model and engine. What every combination of them costs is computed; the best that is within
the budget is run on the clip before it is believed, and if it fails there, the next. The detector
finds the same faces in each of its engines, so the quicker one is settled first.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import cycle, islice
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
)
from edgemood.benchmarks.budget import (
    Choice,
    Classifier,
    Cost,
    Parts,
    Plan,
    Target,
    choose,
    line,
    out_of_reach,
    plans,
    reason,
    timed_sides,
)
from edgemood.console import say, table, track
from edgemood.crop import FER2013
from edgemood.errors import EdgemoodError
from edgemood.files import require_place
from edgemood.machine import cores, processor
from edgemood.runtime import EmotionModel, FaceDetector, Pipeline
from edgemood.runtime.faces import ENGINES, SIDES
from edgemood.runtime.profile import Profile
from edgemood.runtime.sources import Source
from edgemood.runtime.sources.demo import Demo, demo_crops

# Threads of the networks that are tried, where there are as many cores.
THREADS = 4
# Frames of the clip that the parts are measured on, and those of them that the detector looks at.
FRAMES, SEEN = 120, 8
# Seconds that each part is repeated for, and that a plan is run for.
PART, RUN = 0.3, 4.0
# A thread that takes this many times its CPU time has waited for others.
BUSY = 1.25
# Options of `bench` that a plan has no use for.
UNPLANNED = ("threads", "data", "compare", "json", "markdown", "plots")
# Rows of the table above and below the chosen one.
ABOVE, BELOW = 3, 4

T = TypeVar("T")


# --- measuring ----------------------------------------------------------------------------------


def quickest(path: str | None) -> tuple[FaceDetector, dict[str, Cost]]:
    """The detector in the engine that takes least CPU time for a look, and what each takes.

    Of those that run it, with one thread, at the first of SIDES, which most looks have. path: as of
    `FaceDetector`, whose errors it raises.
    """
    cv2.setNumThreads(1)
    detectors = {ENGINES[0]: FaceDetector(path)}
    for engine in ENGINES[1:]:
        with suppress(EdgemoodError):  # YuNet's own file runs in the first alone
            detectors[engine] = FaceDetector(detectors[ENGINES[0]].path, engine=engine)
    with Demo() as demo:
        picture = next(iter(demo)).image
    costs = {
        engine: timed(partial(detector, sides=SIDES[:1]), [picture])
        for engine, detector in detectors.items()
    }
    return detectors[min(costs, key=lambda engine: costs[engine].cpu)], costs


def measure(paths: Sequence[Path], detector: FaceDetector, clip: str) -> tuple[Parts, list[str]]:
    """The parts on this machine, and sentences on what was left out or is in doubt.

    Of models with other labels than the first's, none is taken: accuracies on different questions
    don't compare. Raises EdgemoodError for a clip that can't be opened, is too short, or shows no
    face.
    """
    cv2.setNumThreads(1)
    opened, notes = open_models(paths, 1)
    labels = set(opened[0].labels)
    others = list(dict.fromkeys(model.path for model in opened if set(model.labels) != labels))
    if others:
        notes.append(
            f"left out, since accuracies on other labels than those of {opened[0].path.name} don't "
            f"compare with its: {', '.join(path.name for path in others)}"
        )
    paths = [path for path in paths if path not in others]
    models: list[Classifier] = []
    crops = [crop[None] for crop in demo_crops()]
    with _open(clip) as source:
        fps, size = source.fps or 0.0, source.size
        decode, pictures = _decoding(source)
    with _open(clip) as source:
        follow, faces = _following(source, Pipeline(opened[0], detector))
    looks: dict[tuple[int, int], Cost] = {}
    counts = range(1, min(THREADS, cores()) + 1)
    for threads in track(counts, f"measuring with up to {len(counts)} threads"):
        cv2.setNumThreads(threads)
        detector = FaceDetector(detector.path, engine=detector.engine, threads=threads)
        for side in timed_sides(size):
            looks[threads, side] = timed(partial(detector, sides=(side,)), pictures)
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

    The first, from 8 up, at which it finds each of the demo's seven. With YuNet that is 20 pixels;
    of 80 photographed faces it finds 71 at 16 (see SIDES).
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
    detector = FaceDetector(detector.path, plan.sides, detector.engine, chosen.threads)
    frames, total = 0, Cost(0.0, 0.0)
    with Pipeline(model, detector, detect_every=plan.every) as pipeline:
        while total.wall < RUN:
            with _open(clip) as source:
                start, cpu = perf_counter(), process_time()
                for number, frame in enumerate(source):
                    paced = replace(frame, time=number / rate)
                    read_and_draw(pipeline, paced, number, rate)
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
    if named := [f"--{option}" for option in UNPLANNED if getattr(args, option)]:
        raise EdgemoodError(
            f"{' and '.join(named)} cannot go with --target and --cpu: a plan picks the threads, "
            "takes accuracies from the models' cards, and writes a profile. Leave one or the other "
            "out."
        )
    profile = args.profile or "profile.json"
    require_place(profile, "--profile")
    detector, looks = quickest(args.detector)
    parts, notes = measure(args.models or shipped_models(), detector, args.clip)
    for note in notes:
        say(note)
    target = Target(fps, share, fps or parts.fps)
    candidates = line(plans(parts, target.rate), target)
    quick = ", ".join(f"{cost.cpu * 1000:.2f} in {engine}" for engine, cost in looks.items())
    print(
        f"{processor()}, {cores()} cores; detector: {detector.path.name} in {detector.engine} (ms "
        f"of CPU time a look at {SIDES[0]} pixels: {quick}); frames of: {Path(args.clip).name}, "
        f"{parts.size[0]}x{parts.size[1]}, faces in one: {parts.faces:.2g}"
    )
    choice = choose(candidates, target, lambda plan: run(plan, detector, args.clip, target.rate))
    for plan, cost in choice.missed:
        say(f"missed when it was run, with {target.figures(cost)}: {plan}")
    plan = choice.plan
    _print(candidates, choice, target)
    if not choice.keeps:
        raise EdgemoodError(out_of_reach(plan, choice.cost, target), exit_code=1)
    why = reason(choice, target)
    print(f"Chosen: {plan}.")
    print(f"Why: {why}")
    print(f"Run on the clip for {RUN:.0f} s: {target.figures(choice.cost)}.")
    Profile(
        model=plan.model.path,
        engine=plan.model.engine,
        threads=plan.model.threads,
        detector=detector.path if args.detector else None,
        detector_engine=detector.engine,
        sides=plan.sides,
        detect_every=plan.every,
        about=f"Planned on {processor()}. {why}",
    ).save(profile)
    # A share is of a core at a rate, which the camera has to keep.
    asked = ["--fps", str(max(1, round(target.rate)))] if share else []
    print("Use it:", shlex.join(["edgemood", "run", "0", *asked, "--profile", profile]))
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
