"""Two folders of readings, of the same pictures by the same models -> how far they lie apart.

    python benchmarks/arm/compare.py REFERENCE OTHER

Both are folders, with files of the same names that `readings.py` wrote. What is too far is said
below; one file that is makes the exit code 1.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from edgemood.console import say, table
from edgemood.runtime.tracking import iou

# A line of JSON, and a face in it.
Line = dict[str, Any]

# Measured between x86-64 and both emulated cores, with the demo and with real faces. Of the same
# crop the models say the same: float ones differ by 0.0001, int8 ones, whose kernels may round
# otherwise, by 0.003. But OpenCV scales frames and crops with other roundings on Arm: boxes differ
# by a pixel in three frames of four, probabilities by up to 0.17, and labels, up to 6 in a hundred,
# where two were as likely; by more than TIE, one in 117. No face was lost, the least IoU was 0.93.
FOUND, OVERLAP, ALIKE = 0.99, 0.9, 0.98
TIE = 0.1
DIFFERENCE = {
    "crops": {"float32": 0.001, "int8": 0.02},
    "pictures": {"float32": 0.2, "int8": 0.2},
    "clip": {"float32": 0.2, "int8": 0.2},
}


@dataclass(frozen=True, slots=True)
class Apart:
    """What two files say of the same frames.

    faces: in the reference. found: share of the faces of either that are in both. overlap: least
    IoU of a face's two boxes. same: share of labels that agree; but_ties: or one that the reference
    holds for nearly as likely as its own, see `TIE`. difference: largest change of a probability.
    """

    faces: int
    found: float
    overlap: float
    same: float
    but_ties: float
    difference: float

    def breaches(self, difference: float) -> list[str]:
        """What lies outside the bounds, each as the end of a sentence. difference: the bound."""
        said = []
        if self.found < FOUND:
            said.append(f"both find {self.found:.1%} of the faces, {FOUND:.0%} was wanted")
        if self.overlap < OVERLAP:
            said.append(f"two boxes overlap by {self.overlap:.2f}, {OVERLAP} was wanted")
        if self.but_ties < ALIKE:
            said.append(f"{self.but_ties:.1%} of the labels agree or tie, {ALIKE:.0%} was wanted")
        # Written so that nan, which compares with nothing, is a breach.
        if not self.difference <= difference:
            said.append(
                f"a probability differs by {self.difference:.4f}, {difference} at most was wanted"
            )
        return said


def compare(reference: Sequence[Line], other: Sequence[Line]) -> Apart:
    """Lines of the same frames, in the same order.

    Raises ValueError where they are of other frames, or not one face is in both.
    """
    if [line["frame"] for line in reference] != [line["frame"] for line in other]:
        raise ValueError("they are of other frames")
    pairs: list[tuple[Line, Line]] = []
    either = 0
    for one, two in zip(reference, other):
        both = list(_pairs(one["faces"], two["faces"]))
        either += len(one["faces"]) + len(two["faces"]) - len(both)
        pairs += both
    if not pairs:
        raise ValueError("not one face is in both")
    return Apart(
        faces=sum(len(line["faces"]) for line in reference),
        found=len(pairs) / either,
        overlap=min(iou(a["box"], b["box"]) for a, b in pairs),
        same=fmean(a["emotion"] == b["emotion"] for a, b in pairs),
        but_ties=fmean(
            a["probabilities"][a["emotion"]] - a["probabilities"][b["emotion"]] <= TIE
            for a, b in pairs
        ),
        difference=max(
            abs(probability - b["probabilities"][label])
            for a, b in pairs
            for label, probability in a["probabilities"].items()
        ),
    )


def _pairs(faces: Sequence[Line], others: Sequence[Line]) -> Iterator[tuple[Line, Line]]:
    """Each face with the other that overlaps it most, if any by half, each taken once."""
    left = list(others)
    for face in faces:
        nearest = max(left, key=lambda other: iou(face["box"], other["box"]), default=None)
        if nearest is not None and iou(face["box"], nearest["box"]) >= 0.5:
            left.remove(nearest)
            yield face, nearest


def read(path: Path) -> list[Line]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="compare", description=__doc__)
    parser.add_argument("reference", type=Path)
    parser.add_argument("other", type=Path)
    args = parser.parse_args(argv)
    rows, faults = [], []
    try:
        files = sorted(path.name for path in args.reference.glob("*.jsonl"))
        if not files:
            raise ValueError("no file of readings is in it")
        for name in files:
            apart = compare(read(args.reference / name), read(args.other / name))
            *_, kind, _ = name.split(".")
            bound = DIFFERENCE[kind]["int8" if ".int8." in name else "float32"]
            faults += [f"{name}: {fault}" for fault in apart.breaches(bound)]
            rows.append(
                [
                    name.removesuffix(".jsonl"),
                    apart.faces,
                    f"{apart.found:.1%}",
                    f"{apart.overlap:.2f}",
                    f"{apart.same:.1%}",
                    f"{apart.but_ties:.1%}",
                    f"{apart.difference:.4f}",
                ]
            )
    except (OSError, ValueError) as error:
        say(f"edgemood: {args.reference} and {args.other} cannot be compared: {error}.")
        return 2
    table(
        [
            *("readings", "faces", "found by both", "least IoU", "same label", "but ties"),
            "largest difference",
        ],
        rows,
    )
    for fault in faults:
        say(f"edgemood: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
