"""What a race measured, as its JSON holds it -> figures, tables, and which targets were met.

Every figure is computed here, from the JSON alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgemood.benchmarks.peers.roster import FER_HAAR, OURS, OURS_ONE_ENGINE, PEERS, SEED
from edgemood.benchmarks.steadiness import flicker
from edgemood.console import markdown_table
from edgemood.runtime.tracking import Tracker
from edgemood.values import Emotion, Face, Reading

# A `Race`, or a part of one, as JSON has it.
Measured = dict[str, Any]

# Frames at the start of every turn that count for no speed: networks are compiled in them, and
# memory is taken.
WARM_UP = 10
MIB = 2**20
# What the project promises: times as many frames a second as these peers, on every clip; MiB of
# its base install, and as a share of fer's; seconds to the first reading.
FASTER = {SEED: 50, FER_HAAR: 30}
INSTALL, SHARE = 380, 1 / 3
COLD = 1.0


@dataclass(frozen=True)
class Pace:
    """A peer on a clip; medians of its turns, nan where there was none.

    fps: frames a second, with getting the frame. milliseconds: of reading one; cpu: of all
    threads' CPU time meanwhile. faces: found in a frame, mean. flicker: label changes a second of
    a face (see `edgemood.benchmarks.steadiness`).
    """

    fps: float
    milliseconds: float
    cpu: float
    faces: float
    flicker: float


def pace(race: Measured, peer: Measured, index: int) -> Pace:
    clip = race["clips"][index]
    turns = [turn for turn in peer["turns"] if turn["clip"] == index]
    if not turns:
        return Pace(*[math.nan] * 5)
    reading = [_mean(turn["seconds"]) for turn in turns]
    getting = [_mean(clip["decoding"][turn["round"]]) for turn in turns]
    last = turns[-1]["faces"]
    return Pace(
        float(np.median([1 / (a + b) for a, b in zip(reading, getting)])),
        1000 * float(np.median(reading)),
        1000 * float(np.median([_mean(turn["cpu"]) for turn in turns])),
        float(np.mean([len(faces) for faces in last])),
        math.nan if peer["untrained"] else _changes(last, clip["fps"]),
    )


def _mean(values: list[float]) -> float:
    """Without the warm-up, or of all where there is nothing else."""
    return float(np.mean(values[WARM_UP:] or values))


def _changes(frames: list[list[list[Any]]], fps: float) -> float:
    """Peers that do not say which face is which are followed by our tracker, and ours too."""

    def readings() -> Iterator[tuple[float, list[Reading]]]:
        tracker = Tracker()
        for index, faces in enumerate(frames):
            found = [
                Face((round(x), round(y), round(width), round(height)), 1.0, np.empty((5, 2)))
                for x, y, width, height, _ in faces
            ]
            time = index / fps
            yield (
                time,
                [
                    Reading(track.number, track.face, Emotion(label, 1.0, {label: 1.0}))
                    for track, (*_, label) in zip(tracker(found, time), faces)
                ],
            )

    return flicker(readings()).rate


def accuracy(race: Measured, peer: Measured) -> float:
    """Share of the pictures that a peer labels as the data set does; nan where not measured."""
    if peer["untrained"] or not peer["labels"]:
        return math.nan
    return float(np.mean([a == b for a, b in zip(peer["labels"], race["truth"])]))


def install(peer: Measured) -> float:
    """MiB of the files of all packages in its environment, which has no pip."""
    return sum(peer["packages"].values()) / MIB if peer["packages"] else math.nan


def install_whole(peer: Measured) -> float:
    """MiB of the same and of what runs them, Python or Node."""
    return install(peer) + peer["interpreter"] / MIB


def cold_start(peer: Measured) -> float:
    """Median seconds from starting the program to a reading, of all its turns."""
    times = [turn["cold"] for turn in peer["turns"] if turn["cold"] is not None]
    return float(np.median(times)) if times else math.nan


def memory(peer: Measured) -> float:
    """MB, the most of all turns."""
    return max((turn["memory"] for turn in peer["turns"]), default=math.nan) / 1e6


# --- tables -------------------------------------------------------------------------------------


def report(race: Measured) -> str:
    """All of it as Markdown."""
    machine = race["machine"]
    measured = [peer for peer in race["peers"] if peer["turns"] or peer["labels"]]
    parts = [
        f"{machine['cpu']}, {machine['system']}; one core; {race['rounds']} turns each, taken "
        f"alternately; the first {WARM_UP} frames of a turn are left out of speeds.",
        markdown_table(
            [
                "",
                f"accuracy, {race['split']}",
                "install, MiB",
                "with Python or Node",
                "cold start, s",
                "memory, MB",
            ],
            [
                [
                    peer["title"],
                    _shown(100 * accuracy(race, peer), ".1f", " %"),
                    _shown(install(peer), ",.0f"),
                    _shown(install_whole(peer), ",.0f"),
                    _shown(cold_start(peer), ".2f"),
                    _shown(memory(peer), ",.0f"),
                ]
                for peer in measured
            ],
        ),
    ]
    for index, clip in enumerate(race["clips"]):
        paces = {peer["name"]: pace(race, peer, index) for peer in measured}
        ours = paces.get(OURS, Pace(*[math.nan] * 5)).fps
        width, height = clip["size"]
        parts += [
            f"{clip['name']}: {width}x{height}, {clip['frames']} frames",
            markdown_table(
                ["", "FPS", "ms/frame", "CPU-ms", "faces", "flicker, 1/s", "ours is"],
                [
                    [
                        peer["title"],
                        _shown(each.fps, ",.1f"),
                        _shown(each.milliseconds, ",.2f"),
                        _shown(each.cpu, ",.2f"),
                        _shown(each.faces, ".2f"),
                        _shown(each.flicker, ".2f"),
                        _shown(ours / each.fps, ",.1f", "x as fast"),
                    ]
                    for peer in measured
                    for each in [paces[peer["name"]]]
                ],
            ),
        ]
    notes = [f"- {peer['title']}: {peer['note']}" for peer in race["peers"] if peer["note"]]
    raced = {peer["name"] for peer in race["peers"]}
    absent = [
        f"- {peer.title}: not run, since it fetches its weights; published: {peer.published}"
        for peer in PEERS
        if peer.fetches and peer.name not in raced
    ]
    parts += ["\n".join(lines) for lines in (notes, absent) if lines]
    checked = targets(race)
    if checked:
        parts.append("\n".join(f"- {'met' if met else 'MISSED'}: {text}" for text, met in checked))
    return "\n\n".join(parts) + "\n"


def _shown(value: float, form: str, unit: str = "") -> str:
    return "-" if math.isnan(value) else f"{value:{form}}{unit}"


def targets(race: Measured) -> list[tuple[str, bool]]:
    """What the project promises of its default model, and whether it held; only what was measured.

    In accuracy a millisecond, cold start, memory and install size, with Python or Node, it is to be
    ahead of every peer.
    """
    peers = {peer["name"]: peer for peer in race["peers"]}
    ours = peers.get(OURS)
    if ours is None:
        return []
    others = [peer for peer in race["peers"] if not peer["name"].startswith("edgemood")]
    found: list[tuple[str, bool]] = []

    def hold(what: str, value: float, rule: str, bound: float) -> None:
        if not math.isnan(value) and not math.isnan(bound):
            met = value >= bound if rule == "at least" else value <= bound
            found.append((f"{what}: {value:,.2f}, {rule} {bound:,.2f} wanted", met))

    for index, clip in enumerate(race["clips"]):
        own = pace(race, ours, index)
        for mine in (OURS, OURS_ONE_ENGINE):
            for name, times in FASTER.items():
                if mine in peers and name in peers:
                    what = f"times as fast as {peers[name]['title']}, {clip['name']}"
                    if mine != OURS:
                        what += f", {peers[mine]['title']}"
                    fast = pace(race, peers[mine], index).fps / pace(race, peers[name], index).fps
                    hold(what, fast, "at least", times)
        hold(
            f"points of accuracy a millisecond, {clip['name']}, against the best peer",
            100 * accuracy(race, ours) / own.milliseconds,
            "at least",
            _best(
                max,
                [
                    100 * accuracy(race, peer) / pace(race, peer, index).milliseconds
                    for peer in others
                ],
            ),
        )
    hold("s from start to reading", cold_start(ours), "at most", COLD)
    hold("MiB installed", install(ours), "at most", INSTALL)
    if FER_HAAR in peers:
        share = install(ours) / install(peers[FER_HAAR])
        hold("share of what fer's install takes", share, "at most", SHARE)
    for what, figure in (
        ("s from start to reading", cold_start),
        ("MB of memory", memory),
        ("MiB installed, with Python or Node", install_whole),
    ):
        best = _best(min, [figure(peer) for peer in others])
        hold(f"{what}, against the best peer", figure(ours), "at most", best)
    return found


def _best(choose: Callable[[list[float]], float], values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return choose(known) if known else math.nan
