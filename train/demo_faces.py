"""A labelled data set -> the mean face of each class, the pictures that `edgemood run demo` shows.

    python -m edgemood.train.demo_faces --data PATH

A mean face is nobody's face, yet it looks its class and a detector finds it: a demo and a test
fixture that needs no one's permission. It must be run again only if the demo is to look otherwise.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edgemood.console import say, track
from edgemood.datasets import TRAINING, Dataset, open_dataset
from edgemood.errors import EdgemoodError
from edgemood.files import replace_file

# Gray level and spread of the finished pictures. A mean has 0.24 to 0.38 of one picture's contrast,
# so it is stretched, a little short of FER-2013's median spread of 55, where noses turn white.
LEVEL, SPREAD = 128.0, 48.0


def mean_faces(dataset: Dataset) -> dict[str, np.ndarray]:
    """Label -> gray uint8 [48, 48], mirror-symmetric.

    Each picture is standardised before it is averaged, so that a bright one does not outweigh a
    dark one. Raises EdgemoodError where a class has no picture.
    """
    dataset.require_every_class()
    total = np.zeros((len(dataset.classes), *dataset.read(np.arange(1)).shape[1:]))
    for images, labels in track(dataset.batches(), "mean faces", -(-len(dataset) // 256)):
        pixels = images.astype(np.float32)
        spread = pixels.std(axis=(1, 2), keepdims=True)
        pixels = (pixels - pixels.mean(axis=(1, 2), keepdims=True)) / np.maximum(spread, 1)
        np.add.at(total, labels, pixels)
    total += total[:, :, ::-1]
    faces = {}
    for label, face in zip(dataset.classes, total):
        stretched = (face - face.mean()) / face.std() * SPREAD + LEVEL
        faces[label] = np.rint(stretched).clip(0, 255).astype(np.uint8)
    return faces


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", metavar="PATH", help="data set (default: EDGEMOOD_DATA)")
    parser.add_argument(
        "--out",
        metavar="FOLDER",
        type=Path,
        default=Path(__file__).parents[1] / "runtime" / "demo",
        help="where the pictures go (default: the repository's runtime/demo)",
    )
    args = parser.parse_args(argv)
    try:
        faces = mean_faces(open_dataset(args.data).split(TRAINING))
        for label, face in faces.items():
            png = cv2.imencode(".png", face, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1]
            with replace_file(args.out / f"{label}.png") as file:
                file.write(png.tobytes())
    except EdgemoodError as error:
        print(f"edgemood: {error}", file=sys.stderr)
        return error.exit_code
    say(f"{len(faces)} mean faces are in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
