"""Drawing: what is drawn stays in the frame and legible, and two things never share a place."""

from __future__ import annotations

import numpy as np
import pytest

from edgemood.runtime.draw import INK, PALETTE, _free_place, _label_place, annotate, banner, menu
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
    ("box", "labels", "others", "expected"),
    [
        pytest.param((100, 100, 80, 90), [], [], (100, 80), id="above the face"),
        pytest.param((100, 10, 80, 90), [], [], (100, 10), id="in it at the upper edge"),
        pytest.param((-30, 100, 80, 90), [], [], (0, 80), id="moved in from the left"),
        pytest.param((600, 470, 80, 90), [], [], (580, 450), id="moved in from the right"),
        pytest.param(
            (100, 100, 80, 90), [(120, 70, 60, 20)], [], (100, 100), id="in it, under a label"
        ),
        pytest.param(
            (100, 100, 80, 90), [], [(90, 20, 80, 90)], (100, 190), id="below, beside a face"
        ),
        pytest.param(
            (100, 100, 80, 90),
            [(100, 190, 60, 20)],
            [(90, 20, 80, 90)],
            (100, 80),
            id="over a face rather than a label",
        ),
    ],
)
def test_a_label_hides_no_other(
    box: Box, labels: list[Box], others: list[Box], expected: tuple[int, int]
) -> None:
    assert _label_place(box, (60, 20), FRAME, labels, others) == expected


@pytest.mark.parametrize("size", [(320, 240), (1280, 720), (3840, 2160)], ids=str)
def test_lines_and_text_grow_with_the_frame(size: tuple[int, int]) -> None:
    """A line can be seen, and a label takes a like share of every frame from 240p to 4K."""
    box = (size[0] // 3, size[1] // 3, size[0] // 4, size[1] // 2)
    coloured = (drawn(size, reading(box)) == PALETTE[LABELS.index("happy")]).all(axis=2)
    middle = box[1] + box[3] // 2
    line = coloured[middle, box[0] - 20 : box[0] + 20].sum()
    assert max(2, size[1] // 300) <= line <= max(4, size[1] // 140)
    label = coloured[: box[1] - 5].any(axis=1).sum()
    assert 0.03 <= label / size[1] <= 0.08


def test_a_doubt_is_told_with_its_reason() -> None:
    """In a line of its own, so that a label is no wider for it."""
    box = (200, 200, 120, 150)

    def tab(unsure: str | None) -> int:
        changed = (drawn((640, 480), reading(box, "happy", unsure)) != 128).any(axis=2)
        return int(changed[50:195, 200:320].any(axis=1).sum())

    assert tab("too dark") > 1.6 * tab(None)


@pytest.mark.parametrize("size", [(16, 16), (320, 240), (3840, 2160)], ids=str)
def test_what_the_window_lays_over_a_picture_stays_in_it(size: tuple[int, int]) -> None:
    image = np.full((size[1], size[0], 3), 128, np.uint8)
    banner(image, "offline 12 s: " + "a long reason " * 20)
    menu(image, ["q: quit", "space: pause"])
    assert has(image, INK)
    assert image.shape == (size[1], size[0], 3)


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


def test_the_largest_face_has_its_bars_over_nothing_but_itself() -> None:
    box = (100, 20, 440, 440)
    assert _free_place(box, (160, 160), FRAME, [box], 8, needed=False) is None
    assert _free_place(box, (160, 160), FRAME, [box], 8, needed=True) == (480, 320)
    assert _free_place(box, (160, 160), FRAME, [box, (600, 400, 9, 9)], 8, needed=True) is None
