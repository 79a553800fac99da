"""A frame and its readings -> the frame with boxes, labels, probability bars and FPS on it.

And what a window lays over it: a banner, a menu of keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

from edgemood.runtime.letters import written
from edgemood.values import Box, Reading

Colour = tuple[int, int, int]

# The colours of Okabe and Ito, Color Universal Design (2002), which people with any colour vision
# can tell apart, as BGR; without black and dark blue, on which dark text can't be read, and with
# gray in their place. Pale green is the lightest that is as far from them all, also as colour-blind
# people see it (Machado et al. 2009, doi:10.1109/TVCG.2009.113). A class takes the colour at its
# place in the model's order.
PALETTE: tuple[Colour, ...] = (
    (0, 94, 213),  # vermillion
    (115, 158, 0),  # bluish green
    (167, 121, 204),  # reddish purple
    (66, 228, 240),  # yellow
    (222, 222, 222),  # light gray
    (233, 180, 86),  # sky blue
    (0, 159, 230),  # orange
    (165, 255, 180),  # pale green
)
INK: Colour = (20, 20, 20)
PAPER: Colour = (245, 245, 245)
MUTED: Colour = (150, 150, 150)


def annotate(image: np.ndarray, readings: Sequence[Reading], fps: float | None = None) -> None:
    """Draw on a BGR uint8 [H, W, 3] frame, in place; text and lines grow with the frame.

    A label goes where it hides no other label, and no other face if that can be. The bars of a
    face go beside its box where nothing else is. A face without such a place has its label alone;
    the first, the largest, has its bars in a lower corner then. fps: shown in the top left corner.
    """
    height, width = image.shape[:2]
    text = _text_height(image)
    faces = [reading.face.box for reading in readings]
    for reading in readings:
        colour = _colour(reading)
        _frame(image, reading.face.box, colour, max(2, text // 7))
    labels: list[Box] = []
    if fps is not None:
        labels.append(_note(image, f"{fps:.0f} FPS", text, (text // 2, text // 2)))
    for reading in readings:
        others = [box for box in faces if box is not reading.face.box]
        labels.append(_label(image, reading, text, len(readings) > 1, labels, others))
    taken = [*faces, *labels]
    for reading in readings:
        size = _panel_size(tuple(reading.emotion.probabilities), text)
        place = _free_place(
            reading.face.box, size, (width, height), taken, text // 2, reading is readings[0]
        )
        if place is not None:
            _panel(image, reading, place, text)
            taken.append((*place, *size))


def _colour(reading: Reading) -> Colour:
    if reading.unsure:
        return MUTED
    return PALETTE[list(reading.emotion.probabilities).index(reading.emotion.label) % len(PALETTE)]


def _frame(image: np.ndarray, box: Box, colour: Colour, thickness: int) -> None:
    x, y, width, height = box
    corners = (x, y), (x + width, y + height)
    # A dark line under the coloured one, so that it shows on any background.
    cv2.rectangle(image, *corners, INK, thickness + 2 * max(1, thickness // 4))
    cv2.rectangle(image, *corners, colour, thickness)


def _label(
    image: np.ndarray,
    reading: Reading,
    text: int,
    numbered: bool,
    labels: Sequence[Box],
    others: Sequence[Box],
) -> Box:
    """The label as a tab on the box, with the reason of a doubt below it; its place.

    It is inside the box where there is no room above, and below where that would hide another.
    """
    emotion = reading.emotion
    words = f"{emotion.label}{'?' if reading.unsure else ''} {emotion.confidence:.0%}"
    words = f"{reading.track}  {words}" if numbered else words
    mask = _column((words, reading.unsure), text) if reading.unsure else written(words, text)
    pad = text // 2
    size = mask.shape[1] + 2 * pad, mask.shape[0] + pad
    x, y = _label_place(reading.face.box, size, image.shape[1::-1], labels, others)
    cv2.rectangle(image, (x, y), (x + size[0], y + size[1]), _colour(reading), cv2.FILLED)
    paint(image, mask, (x + pad, y + pad // 2), INK)
    return (x, y, *size)


def _label_place(
    box: Box,
    size: tuple[int, int],
    frame: tuple[int, ...],
    labels: Sequence[Box],
    others: Sequence[Box],
) -> tuple[int, int]:
    """Top left corner of a label: above its box, in it or below, and in the frame if it fits."""
    lowest = max(0, frame[1] - size[1])
    x = min(max(box[0], 0), max(0, frame[0] - size[0]))
    above, inside, below = box[1] - size[1], min(max(box[1], 0), lowest), box[1] + box[3]
    tops = [top for top in (above, inside, below) if 0 <= top <= lowest]
    for taken in ([*labels, *others], labels):
        for top in tops:
            if not any(_overlap((x, top, *size), other) for other in taken):
                return x, top
    return x, min(max(above, 0), lowest)


def _note(image: np.ndarray, words: str, text: int, place: tuple[int, int]) -> Box:
    """Words on dark ground, their top left corner at this place; where they are."""
    mask = written(words, text)
    pad = text // 2
    box = (*place, mask.shape[1] + 2 * pad, mask.shape[0] + pad)
    _darken(image, box)
    paint(image, mask, (box[0] + pad, box[1] + pad // 2), PAPER)
    return box


def banner(image: np.ndarray, words: str) -> None:
    """Draw a line of words along the lower edge of a BGR uint8 [H, W, 3] picture, in place."""
    text = _text_height(image)
    height, width = image.shape[:2]
    cv2.rectangle(image, (0, height - 2 * text), (width, height), INK, cv2.FILLED)
    paint(image, written(words, text), (text // 2, height - 2 * text + text // 3), PAPER)


def menu(image: np.ndarray, lines: Sequence[str]) -> None:
    """Draw lines of words in the top left corner of a BGR uint8 [H, W, 3] picture, in place."""
    text = _text_height(image)
    mask = _column(tuple(lines), text)
    corner = (mask.shape[1] + 2 * text, mask.shape[0] + 2 * text)
    cv2.rectangle(image, (0, 0), corner, INK, cv2.FILLED)
    paint(image, mask, (text, text), PAPER)


def _text_height(image: np.ndarray) -> int:
    """Pixels of a line's height: 15 in 640x480, and still legible in 320x240."""
    return max(11, round(min(image.shape[:2]) / 32))


def _panel_size(labels: tuple[str, ...], text: int) -> tuple[int, int]:
    """Width and height of the bars: a column of names, and bars as long as six lines are high."""
    names = _column(labels, text)
    return names.shape[1] + 6 * text + 3 * (text // 2), names.shape[0] + text // 2 * 2


def _panel(image: np.ndarray, reading: Reading, place: tuple[int, int], text: int) -> None:
    emotion = reading.emotion
    labels = tuple(emotion.probabilities)
    names = _column(labels, text)
    pad, row = text // 2, names.shape[0] // len(labels)
    x, y = place
    _darken(image, (x, y, *_panel_size(labels, text)))
    paint(image, names, (x + pad, y + pad), PAPER)
    left, longest = x + 2 * pad + names.shape[1], 6 * text
    for i, (label, probability) in enumerate(emotion.probabilities.items()):
        top = y + pad + i * row + row // 4
        bottom = top + max(2, row // 2)
        colour = _colour(reading) if label == emotion.label else MUTED
        # Even nothing leaves a mark, so that the scale can be seen.
        right = left + max(1, round(longest * probability))
        cv2.rectangle(image, (left, top), (right, bottom), colour, cv2.FILLED)


def _free_place(
    box: Box,
    size: tuple[int, int],
    frame: tuple[int, int],
    taken: Sequence[Box],
    gap: int,
    needed: bool,
) -> tuple[int, int] | None:
    """Top left corner for something of this size near the box, in the frame, on nothing taken.

    needed: where there is none, a lower corner of the frame, of the two the one that hides less of
    the box, if nothing but the box is hidden there.
    """
    x, y, width, height = box
    right, bottom = frame[0] - size[0], frame[1] - size[1]
    if right < 0 or bottom < 0:
        return None
    beside, under = min(max(y, 0), bottom), min(max(x, 0), right)
    for left, top in (
        (x + width + gap, beside),
        (x - gap - size[0], beside),
        (under, y + height + gap),
        (under, y - gap - size[1]),
    ):
        inside = 0 <= left <= right and 0 <= top <= bottom
        if inside and not any(_overlap((left, top, *size), other) for other in taken):
            return left, top
    if needed:
        left = 0 if x > frame[0] - (x + width) else right
        others = [other for other in taken if other != box]
        if not any(_overlap((left, bottom, *size), other) for other in others):
            return left, bottom
    return None


def _overlap(a: Box, b: Box) -> bool:
    across = a[0] < b[0] + b[2] and b[0] < a[0] + a[2]
    return across and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


@lru_cache(maxsize=32)
def _column(labels: tuple[str, ...], height: int) -> np.ndarray:
    """The labels below one another as one mask."""
    masks = [written(label, height) for label in labels]
    width = max(mask.shape[1] for mask in masks)
    return np.vstack([np.pad(mask, ((0, 0), (0, width - mask.shape[1]))) for mask in masks])


def paint(image: np.ndarray, mask: np.ndarray, at: tuple[int, int], colour: Colour) -> None:
    """Blend a colour into the image where the mask is; what reaches past its edges is left out."""
    x, y = max(0, at[0]), max(0, at[1])
    place = image[y : y + mask.shape[0], x : x + mask.shape[1]]
    alpha = mask[: place.shape[0], : place.shape[1], None] / np.float32(255)
    place[:] = place * (1 - alpha) + np.array(colour, np.float32) * alpha


def _darken(image: np.ndarray, box: Box) -> None:
    x, y, width, height = box
    place = image[max(0, y) : y + height, max(0, x) : x + width]
    place >>= 2
