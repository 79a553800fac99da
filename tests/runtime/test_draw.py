"""Drawing: what is drawn stays in the frame and legible, and two things never share a place."""

from __future__ import annotations

import numpy as np
import pytest

from edgemood.runtime.draw import INK, PALETTE, _free_place, annotate
from edgemood.values import Box, Emotion, Face, Reading

LABELS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


def reading(box: Box, label: str = "happy", unsure: str | None = None) -> Reading:
    probabilities = dict.fromkeys(LABELS, 0.05) | {label: 0.7}
    face = Face(box, 0.9, np.zeros((5, 2), np.float32))
    return Reading(1, face, Emotion(label, 0.7, probabilities), unsure)


def drawn(size: tuple[int, int], *readings: Reading) -> np.ndarray:
    image = np.full((size[1], size[0], 3), 128, np.uint8)
    annotate(image, readings, fps=30.0)
    return image


def has(image: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((image == colour).all(axis=2).any())


@pytest.mark.parametrize(
    "size",
    [(16, 16), (160, 120), (320, 240), (640, 480), (720, 1280), (3840, 2160)],
    ids=lambda size: "x".join(map(str, size)),
)
@pytest.mark.parametrize(
    "place",
    [
        pytest.param((0.4, 0.3, 0.2, 0.3), id="in the middle"),
        pytest.param((-0.1, -0.1, 0.3, 0.3), id="past the upper left corner"),
        pytest.param((0.8, 0.8, 0.5, 0.5), id="past the lower right corner"),
        pytest.param((0.0, 0.0, 1.0, 1.0), id="filling the frame"),
        pytest.param((1.5, 1.5, 0.2, 0.2), id="outside the frame"),
        pytest.param((0.5, 0.5, 0.0, 0.0), id="of one pixel"),
    ],
)
def test_a_face_anywhere_in_a_frame_of_any_size_can_be_drawn(
    size: tuple[int, int], place: tuple[float, float, float, float]
) -> None:
    x, y, width, height = (round(part * side) for part, side in zip(place, size * 2))
    image = drawn(size, reading((x, y, max(1, width), max(1, height))))
    assert image.shape == (size[1], size[0], 3)


@pytest.mark.parametrize("label", LABELS)
def test_each_class_has_a_colour_of_its_own(label: str) -> None:
    image = drawn((640, 480), reading((200, 150, 120, 150), label))
    assert has(image, PALETTE[LABELS.index(label)])


def test_an_unsure_face_has_no_classes_colour() -> None:
    image = drawn((640, 480), reading((200, 150, 120, 150), "happy", "low confidence"))
    assert not has(image, PALETTE[LABELS.index("happy")])


def test_more_classes_than_colours_can_be_drawn() -> None:
    labels = [f"class {i}" for i in range(20)]
    emotion = Emotion("class 19", 1.0, dict.fromkeys(labels, 0.0) | {"class 19": 1.0})
    face = Face((10, 10, 80, 80), 0.9, np.zeros((5, 2), np.float32))
    drawn((640, 480), Reading(1, face, emotion))


@pytest.mark.parametrize("colour", PALETTE, ids=str)
def test_the_label_can_be_read_on_every_colour(colour: tuple[int, int, int]) -> None:
    """WCAG 2.1's contrast of at least 4.5 between text and ground."""

    def luminance(bgr: tuple[int, int, int]) -> float:
        linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in bgr]
        return float(np.dot(linear, (0.0722, 0.7152, 0.2126)))

    assert (luminance(colour) + 0.05) / (luminance(INK) + 0.05) >= 4.5


FRAME = (640, 480)


@pytest.mark.parametrize(
    ("box", "taken", "expected"),
    [
        pytest.param((100, 100, 100, 100), [], (208, 100), id="right of the face"),
        pytest.param((500, 100, 100, 100), [], (332, 100), id="left, where the right is too near"),
        pytest.param(
            (100, 100, 100, 100), [(270, 50, 300, 300)], (100, 208), id="below, past another face"
        ),
        pytest.param((100, 400, 100, 70), [], (208, 320), id="moved up to stay in the frame"),
    ],
)
def test_bars_go_where_nothing_else_is(
    box: Box, taken: list[Box], expected: tuple[int, int]
) -> None:
    assert _free_place(box, (160, 160), FRAME, [box, *taken], 8, False) == expected


def test_the_largest_face_always_has_its_bars() -> None:
    box = (100, 20, 440, 440)
    assert _free_place(box, (160, 160), FRAME, [box], 8, needed=False) is None
    assert _free_place(box, (160, 160), FRAME, [box], 8, needed=True) == (480, 320)
