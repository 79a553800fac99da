"""Covering heads: nobody can be known or read after it, and nothing else is lost."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgemood import cli
from edgemood.runtime import EmotionModel, FaceDetector, Pipeline, open_source
from edgemood.runtime.blur import CELLS, MEMORY, Blur, cells, head
from edgemood.runtime.pipeline import DEFAULT_MODEL, default_model
from edgemood.values import Box

SHAPE = (480, 640, 3)


@pytest.fixture(scope="module")
def finder(yunet: str) -> FaceDetector:
    """YuNet, which what is covered was measured with."""
    return FaceDetector(yunet)


def demo(index: int = 0) -> np.ndarray:
    """A frame of the demo: one face, about 200 px wide, in the middle of 640x480."""
    return next(frame.image for frame in open_source("demo") if frame.index == index)


def covered(finder: FaceDetector, image: np.ndarray) -> np.ndarray:
    image = image.copy()
    Blur(finder)(image, 0.0, [])
    return image


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        pytest.param((200, 200, 100, 100), (160, 150, 181, 181), id="hair, ears and neck too"),
        pytest.param((-50, -20, 100, 100), (0, 0, 91, 111), id="cut off at the upper left"),
        pytest.param((600, 440, 100, 100), (560, 390, 80, 90), id="cut off at the lower right"),
        pytest.param((900, 100, 100, 100), None, id="outside the frame"),
    ],
)
def test_the_whole_head_is_covered(box: Box, expected: Box | None) -> None:
    assert head(box, SHAPE) == expected


def test_no_more_than_a_few_colours_remain_of_a_head() -> None:
    image = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
    assert cells(image, (100, 100, 200, 200)).shape == (CELLS, CELLS, 3)
    assert cells(image, (100, 100, 2, 9)).shape == (CELLS, 2, 3)


@pytest.mark.parametrize(
    ("size", "side"),
    [
        ((160, 120), 48),
        ((160, 120), 120),
        ((640, 480), 48),
        ((640, 480), 400),
        ((1920, 1080), 48),
        ((3840, 2160), 60),
    ],
    ids=str,
)
def test_faces_of_every_size_are_covered_in_frames_of_every_size(
    finder: FaceDetector, size: tuple[int, int], side: int
) -> None:
    """A face is there, and is none afterwards, however closely one looks."""
    face = cv2.resize(demo()[100:380, 180:460], (side, side), interpolation=cv2.INTER_AREA)
    image = np.full((size[1], size[0], 3), (78, 84, 92)[::-1], np.uint8)
    x, y = (size[0] - side) // 3, (size[1] - side) // 2
    image[y : y + side, x : x + side] = face
    seen = image[max(0, y - side) : y + 2 * side, max(0, x - side) : x + 2 * side]
    assert finder(np.ascontiguousarray(seen)), "otherwise this shows nothing"
    after = covered(finder, image)
    inner = slice(y + side // 4, y + 3 * side // 4), slice(x + side // 4, x + 3 * side // 4)
    assert np.abs(np.diff(after[inner].astype(int), axis=0)).max() <= 8, "nothing sharp is left"
    assert np.array_equal(after[:, x + 2 * side :], image[:, x + 2 * side :])


def test_no_face_is_found_and_no_expression_read_afterwards(finder: FaceDetector) -> None:
    if not (Path(__file__).parents[2] / "models" / DEFAULT_MODEL).exists():
        pytest.skip(f"models/{DEFAULT_MODEL} is not there yet")
    model = EmotionModel(default_model())
    said = []
    for index in range(15, 350, 50):  # the middle of each of the seven expressions
        image = demo(index)
        (face,) = finder(image)
        after = covered(finder, image)
        assert finder(after) == []
        x, y, width, height = face.box
        crop = cv2.cvtColor(after[y : y + height, x : x + width], cv2.COLOR_BGR2GRAY)
        said.append(model.predict(cv2.resize(crop, (48, 48))[None])[0])
    assert np.ptp(said, axis=0).max() < 0.15, "whatever the expression, it says much the same"


def test_a_face_that_is_lost_for_a_moment_stays_covered(finder: FaceDetector) -> None:
    """And more of its surroundings by and by, for it may have moved on."""
    blur = Blur(finder)
    noise = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)

    def part(time: float, boxes: list[Box]) -> float:
        image = noise.copy()
        blur(image, time, boxes)
        return float((image != noise).any(axis=2).mean())

    start = part(0.0, [(280, 200, 80, 80)])
    assert start > 0.05
    assert start < part(0.3, []) < part(0.6, [])
    assert part(MEMORY + 0.01, []) == 0
    assert part(2.0, [(280, 200, 80, 80)]) == pytest.approx(start)
    assert part(2.1, [(285, 200, 80, 80)]) == pytest.approx(start, abs=0.01), "it has moved on"
    blur.forget()
    assert part(2.2, []) == 0


def test_every_frame_of_the_clips_is_covered(
    yunet: str, tiny_model: Path, clips: list[Path]
) -> None:
    """What a look at full size, of the untouched frame, finds for certain is gone afterwards."""
    for clip in clips:
        with open_source(str(clip)) as source, Pipeline(tiny_model, yunet) as pipeline:
            blur = Blur(pipeline.detector)
            for frame in source:
                if frame.index == 25:
                    break
                image = frame.image
                readings = pipeline(image, frame.time)
                check = frame.index % 8 == 7
                faces = pipeline.detector(image, sides=(640, 320)) if check else []
                blur(image, frame.time, [reading.face.box for reading in readings])
                for face in faces:
                    x, y, width, height = (max(0, round(value)) for value in face.box)
                    steps = np.diff(image[y : y + height, x : x + width].astype(int), axis=0)
                    assert np.abs(steps).max() <= 8, (clip.name, frame.index, face)


def test_the_command_writes_nobody(
    detector: str, tiny_model: Path, tmp_path: Path, finder: FaceDetector
) -> None:
    """Faces are read all the same, and nothing of one picture's is covered in the next."""
    (tmp_path / "in").mkdir()
    image = demo()
    cv2.imwrite(str(tmp_path / "in" / "a.png"), image)
    cv2.imwrite(str(tmp_path / "in" / "b.png"), np.full(SHAPE, 90, np.uint8))
    arguments = ["--model", str(tiny_model), "--detector", detector, "--headless", "--blur-faces"]
    to = ["--save", str(tmp_path / "out"), "--jsonl", str(tmp_path / "out.jsonl")]
    assert cli.main(["run", str(tmp_path / "in"), *arguments, *to]) == 0
    assert (tmp_path / "out.jsonl").read_text().count('"track"') == 1
    assert finder(image)
    written = cv2.imread(str(tmp_path / "out" / "a.png"))
    assert finder(written) == []
    assert (cv2.imread(str(tmp_path / "out" / "b.png")) == 90).all()
