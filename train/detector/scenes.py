"""A bank of pictures and a seed -> scenes: gray pictures with faces pasted in, and where they are.

A scene is a background without faces, and on it layers. In a plain scene these are up to three
whole frames of people, as they are; in the others faces with more or less of their surroundings,
and pieces of other pictures without one, cut out and blended in the same ways, so that an edge says
nothing about a face. Then it is seen through a bad camera. One scene of 160x128 takes about 0.5 ms.
"""

from __future__ import annotations

import bisect
import itertools
import math
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np

from edgemood.train.detector.pictures import Bank, Picture

K = TypeVar("K")

# Faces narrower than this, in pixels, are neither asked for nor held against the network.
SMALLEST = 10.0
# Share of a face's box that must be seen for it to count, and from which it may be found.
SEEN, GLIMPSED = 0.65, 0.2
# How often a face comes from which part of the bank: whole frames teach what lies around a face.
SOURCES = {"people": 0.6, "crops": 0.2, "expressions": 0.2}
# Standard deviation of the gray levels in a face's box, below which nobody could see a face there.
FAINT = 8.0
# Number of faces in a scene and how often.
CROWDS = {0: 0.25, 1: 0.35, 2: 0.18, 3: 0.1, 5: 0.07, 8: 0.05}
PLAIN_CROWDS = {0: 0.15, 1: 0.55, 2: 0.2, 3: 0.1}
# Pieces pasted into a scene without faces.
PIECES = {0: 0.55, 1: 0.2, 2: 0.15, 3: 0.1}
MASK = 64  # side of the mask templates


@dataclass(frozen=True)
class Variety:
    """How far scenes vary. turn: degrees, the usual and the widest. harsh: share of each damage.
    plain: share of scenes that are plain.
    """

    turn: tuple[float, float]
    harsh: float
    plain: float


# Of a network trained on crowded scenes alone, as hard as they can be made, YuNet found twice as
# many faces in plain ones: what cameras show comes first, what could be comes second.
USUAL = Variety(turn=(10.0, 30.0), harsh=0.15, plain=0.6)


def scene(
    bank: Bank, height: int, width: int, variety: Variety, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One scene, gray uint8 [height, width], and its faces, float32 [n, 15] as in `Picture`."""
    canvas = _background(bank, height, width, rng)
    faces = np.empty((0, 15), np.float32)
    if rng.random() < variety.plain:
        for _ in range(_drawn(PLAIN_CROWDS, rng)):
            faces = _paste_face(canvas, faces, bank, variety, rng, plain=True)
        return _seen_through_camera(canvas, faces, variety.harsh, rng)
    for _ in range(_drawn(CROWDS, rng)):
        if rng.random() < 0.3:
            faces = _paste_nothing(canvas, faces, bank, rng)
        faces = _paste_face(canvas, faces, bank, variety, rng)
    for _ in range(0 if len(faces) else _drawn(PIECES, rng)):
        faces = _paste_nothing(canvas, faces, bank, rng)
    for face in faces[faces[:, 14] == 1]:
        if rng.random() < 0.6 * variety.harsh:
            _occlude(canvas, face, bank, rng)
    if rng.random() < 0.08:
        # FaceDetectorYN fills a picture up to a multiple of 32 with black.
        canvas[height - rng.integers(32) :] = 0
        canvas[:, width - rng.integers(32) :] = 0
        faces = _seen_in(canvas, faces)
    return _seen_through_camera(canvas, faces, variety.harsh, rng)


def moved(faces: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Faces float32 [n, 15] after an affine map float [2, 3] of their picture.

    A box is the frame of the ellipse in it, so it turns into the frame of the turned ellipse.
    Mirrored faces have their right and left landmarks exchanged.
    """
    linear, offset = matrix[:, :2], matrix[:, 2]
    half = faces[:, 2:4] / 2
    centre = (faces[:, :2] + half) @ linear.T + offset
    half = np.sqrt(half**2 @ (linear**2).T)
    points = faces[:, 4:14].reshape(-1, 5, 2) @ linear.T + offset
    if _area(linear) < 0:
        points = points[:, [1, 0, 2, 4, 3]]
    return np.concatenate(
        [centre - half, 2 * half, points.reshape(-1, 10), faces[:, 14:]], axis=1
    ).astype(np.float32)


def _paste_face(
    canvas: np.ndarray, faces: np.ndarray, bank: Bank, variety: Variety, rng: np.random.Generator,
    plain: bool = False,
) -> np.ndarray:  # fmt: skip
    """Paste one picture with a face; returns all faces that can be seen then.

    plain: a whole frame of people, not close to an edge.
    """
    height, width = canvas.shape
    sources = {"people": 1.0} if plain else SOURCES
    pictures = bank.faces[
        _drawn({part: share for part, share in sources.items() if bank.faces[part]}, rng)
    ]
    picture = pictures[rng.integers(len(pictures))]
    sure = picture.faces[picture.faces[:, 14] == 1]
    x, y, w, h = sure[sure[:, 2].argmax(), :4].tolist()

    widest = 1.1 * min(height, width) / (1 + len(faces))
    wanted = np.exp(rng.uniform(np.log(0.95 * SMALLEST), np.log(max(widest, 1.5 * SMALLEST))))
    turn = rng.uniform(-1, 1) * variety.turn[int(rng.random() < 0.3)]
    linear = _linear(wanted / w, turn, rng)
    # Anywhere in the scene, or a little past its edges; the freest of three places.
    inner = np.array([wanted, wanted * h / w]) * rng.uniform(0.5 if plain else 0.2, 0.55)
    middle = np.array([width, height]) / 2
    places = middle + rng.uniform(-1, 1, (3, 2)) * np.maximum(middle - inner, 0.1 * middle)
    if len(faces):
        centres = faces[:, :2] + faces[:, 2:4] / 2
        gap = np.abs(places[:, None] - centres) - (faces[:, 2:4] + wanted) / 2
        place = places[gap.max(axis=2).min(axis=1).argmax()]
    else:
        place = places[0]
    centre = np.array([x + w / 2, y + h / 2])
    matrix = np.concatenate([linear, (place - linear @ centre)[:, None]], axis=1)

    rows, columns = picture.size
    whole = (0.0, 0.0, float(columns), float(rows))
    shape = rng.random()
    if plain:
        region, round_mask = whole, False
    elif picture.close or shape < 0.55:
        region, round_mask = whole, picture.close and shape < 0.5
    else:
        # The head and more or less of what is around it.
        reach = rng.uniform(0.85, 1.5) * w, rng.uniform(0.85, 1.4) * h
        region = (centre[0] - reach[0], centre[1] - reach[1],
                  centre[0] + reach[0], centre[1] + reach[1])  # fmt: skip
        round_mask = shape < 0.85
    return _paste(canvas, faces, picture, matrix, region, round_mask, rng, as_it_is=plain)


def _paste_nothing(
    canvas: np.ndarray, faces: np.ndarray, bank: Bank, rng: np.random.Generator
) -> np.ndarray:
    """Paste a piece of a picture without a face, as large as a face with surroundings may be."""
    height, width = canvas.shape
    picture = bank.negatives[rng.integers(len(bank.negatives))]
    rows, columns = picture.size
    side = np.exp(rng.uniform(np.log(16), np.log(1.2 * min(height, width))))
    scale = side / min(rows, columns) * np.exp(rng.uniform(0, 1.2))
    piece = side / scale  # of the source
    left, top = rng.uniform(0, columns - piece / 2), rng.uniform(0, rows - piece / 2)
    region = (left, top, min(left + piece, columns), min(top + piece * rng.uniform(0.7, 1.4), rows))
    linear = _linear(scale, 30 * rng.uniform(-1, 1), rng)
    centre = np.array([(region[0] + region[2]) / 2, (region[1] + region[3]) / 2])
    place = rng.uniform(0, 1, 2) * [width, height]
    matrix = np.concatenate([linear, (place - linear @ centre)[:, None]], axis=1)
    return _paste(canvas, faces, picture, matrix, region, bool(rng.random() < 0.4), rng)


def _paste(
    canvas: np.ndarray,
    faces: np.ndarray,
    picture: Picture,
    matrix: np.ndarray,
    region: tuple[float, float, float, float],
    round_mask: bool,
    rng: np.random.Generator,
    as_it_is: bool = False,
) -> np.ndarray:
    """Blend a region (x0, y0, x1, y1) of a picture into the canvas; returns the faces seen then."""
    height, width = canvas.shape
    x0, y0, x1, y1 = region
    corners = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]]) @ matrix[:, :2].T + matrix[:, 2]
    left, top = np.floor(np.clip(corners.min(axis=0), 0, [width, height])).astype(int)
    right, bottom = np.ceil(np.clip(corners.max(axis=0), 0, [width, height])).astype(int)
    if right - left < 2 or bottom - top < 2:
        return faces
    size = (int(right - left), int(bottom - top))
    here = matrix - [[0, 0, left], [0, 0, top]]
    patch = _warped(picture, here, size)
    template = _MASKS[int(round_mask), rng.integers(_MASKS.shape[1])]
    stretch = np.array(
        [[(x1 - x0) / MASK, 0, x0], [0, (y1 - y0) / MASK, y0], [0, 0, 1]]
    )  # from the template to the picture
    mask = cv2.warpAffine(template, here @ stretch, size, flags=cv2.INTER_LINEAR)
    place = canvas[top:bottom, left:right]
    if not as_it_is and rng.random() < 0.5:
        # In the light of where it comes to lie.
        patch = _relit(patch, float(place.mean()), rng)
    share = mask.astype(np.float32) / 255
    place[:] = place + (patch.astype(np.float32) - place) * share + 0.5

    if len(faces):
        faces = _kept(faces, 1 - _shares(mask, (int(left), int(top)), faces))
    if not len(picture.faces):
        return faces
    arrived = moved(picture.faces, matrix)
    return np.concatenate([faces, _kept(arrived, _shares(mask, (int(left), int(top)), arrived))])


def _shares(mask: np.ndarray, corner: tuple[int, int], faces: np.ndarray) -> np.ndarray:
    """Share of each face's box that a mask uint8 [h, w], at this (x, y), covers."""
    height, width = mask.shape
    shares = np.zeros(len(faces))
    for i, (x, y, w, h) in enumerate(faces[:, :4].tolist()):
        x, y = x - corner[0], y - corner[1]
        left, top = max(0, round(x)), max(0, round(y))
        right, bottom = min(width, round(x + w)), min(height, round(y + h))
        if right > left and bottom > top:
            shares[i] = mask[top:bottom, left:right].sum(dtype=np.int64) / (255 * max(1, w * h))
    return shares


def _kept(faces: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Faces of which this share is seen: kept, left open, or gone."""
    faces = faces.copy()
    faces[(seen < SEEN) | (faces[:, 2] < SMALLEST), 14] = 0
    return faces[seen >= GLIMPSED]


def _seen_in(canvas: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The faces that black bars below and to the right leave."""
    seen = np.where(canvas > 0, np.uint8(255), np.uint8(0))
    return _kept(faces, _shares(seen, (0, 0), faces))


def _background(bank: Bank, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """A part of a picture without a face, four of them, a gradient or noise; uint8."""
    kind = rng.random()
    if kind < 0.72:
        return _part_of(bank, height, width, rng)
    if kind < 0.9:
        canvas = np.empty((height, width), np.uint8)
        row, column = (int(rng.uniform(0.25, 0.75) * side) for side in (height, width))
        for rows in (slice(0, row), slice(row, height)):
            for columns in (slice(0, column), slice(column, width)):
                place = canvas[rows, columns]
                place[:] = _part_of(bank, place.shape[0], place.shape[1], rng)
        return canvas
    coarse = rng.integers(0, 256, rng.integers(1, 12, 2), dtype=np.uint8)
    method = cv2.INTER_NEAREST if kind > 0.97 else cv2.INTER_CUBIC
    return cv2.resize(coarse, (width, height), interpolation=method)


def _part_of(bank: Bank, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    picture = bank.negatives[rng.integers(len(bank.negatives))]
    rows, columns = picture.size
    scale = max(height / rows, width / columns) * np.exp(rng.uniform(-0.3, 1.0))
    linear = _linear(scale, 15 * rng.uniform(-1, 1) * (rng.random() < 0.5), rng)
    centre = rng.uniform(0.2, 0.8, 2) * [columns, rows]
    offset = np.array([width / 2, height / 2]) - linear @ centre
    return _warped(picture, np.concatenate([linear, offset[:, None]], axis=1), (width, height))


def _linear(scale: float, degrees: float, rng: np.random.Generator) -> np.ndarray:
    """Turn and scale, a little stretched, mirrored half of the time; float64 [2, 2]."""
    stretch = math.exp(rng.uniform(-0.08, 0.08))
    across, down = scale * stretch * (-1.0 if rng.random() < 0.5 else 1.0), scale / stretch
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cosine * across, -sine * down], [sine * across, cosine * down]])


def _area(linear: np.ndarray) -> float:
    """By how much a linear map [2, 2] enlarges an area; negative where it mirrors."""
    (a, b), (c, d) = linear.tolist()
    return a * d - b * c


def _drawn(shares: dict[K, float], rng: np.random.Generator) -> K:
    """One of the keys, as often as its share of them all says."""
    steps = list(itertools.accumulate(shares.values()))
    return list(shares)[bisect.bisect(steps[:-1], rng.random() * steps[-1])]


def _warped(picture: Picture, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The picture under an affine map float [2, 3], shrunk without flicker; uint8 [size]."""
    scale = max(1e-6, abs(_area(matrix[:, :2])) ** 0.5)
    level = min(max(0, math.floor(0.3 - math.log2(scale))), len(picture.levels) - 1)
    step = 2**level
    # The middle of a coarse pixel lies between the fine ones that it is the mean of.
    offset = matrix[:, :2] @ np.full(2, (step - 1) / 2) + matrix[:, 2]
    matrix = np.concatenate([matrix[:, :2] * step, offset[:, None]], axis=1)
    return cv2.warpAffine(
        picture.levels[level], matrix, size,
        flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT if not len(picture.faces)
        else cv2.BORDER_REPLICATE,
    )  # fmt: skip


def _relit(patch: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """The patch's mean moved towards a gray level, its contrast changed a little."""
    mean = float(patch.mean())
    target = mean + (level - mean) * rng.uniform(0.3, 1.0)
    table = (np.arange(256) - mean) * rng.uniform(0.7, 1.2) + target
    return cv2.LUT(patch, np.clip(table + 0.5, 0, 255).astype(np.uint8))


def _occlude(canvas: np.ndarray, face: np.ndarray, bank: Bank, rng: np.random.Generator) -> None:
    """Cover up to a third of a face, from one of its sides: a hand, a microphone, a mask, hair."""
    x, y, w, h = face[:4].tolist()
    width, height = rng.uniform(0.25, 0.6) * w, rng.uniform(0.25, 0.5) * h
    angle = rng.uniform(0, 2 * np.pi)
    centre_x, centre_y = x + w / 2 + 0.5 * w * np.cos(angle), y + h / 2 + 0.5 * h * np.sin(angle)
    left, top = max(0, round(centre_x - width / 2)), max(0, round(centre_y - height / 2))
    place = canvas[top : max(0, round(centre_y + height / 2)),
                   left : max(0, round(centre_x + width / 2))]  # fmt: skip
    if min(place.shape) < 2:
        return
    if rng.random() < 0.5:
        cover = _part_of(bank, place.shape[0], place.shape[1], rng)
    else:
        cover = np.full(place.shape, rng.integers(256), np.uint8)
    if rng.random() < 0.5:
        mask = cv2.resize(_MASKS[1, 0], place.shape[::-1], interpolation=cv2.INTER_AREA)
        np.copyto(place, cover, where=mask > 127)
    else:
        place[:] = cover


def _seen_through_camera(
    canvas: np.ndarray, faces: np.ndarray, harsh: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The scene as a camera gives it; a face that it shows no more is left open."""
    height, width = canvas.shape
    canvas = _photograph(canvas, harsh, rng)
    for face in faces:
        (left, top), (right, bottom) = face[:2].astype(int), (face[:2] + face[2:4]).astype(int)
        place = canvas[max(0, top) : min(height, bottom), max(0, left) : min(width, right)]
        if place.size and cv2.meanStdDev(place)[1][0, 0] < FAINT:
            face[14] = 0
    return canvas, faces


def _photograph(canvas: np.ndarray, harsh: float, rng: np.random.Generator) -> np.ndarray:
    """The scene through a camera: light, focus, motion, distance, noise, compression."""
    height, width = canvas.shape
    chance = rng.random(8) < harsh * np.array([2.5, 0.8, 0.8, 0.3, 0.6, 1.4, 1.0, 0.5])
    if chance[0]:
        gray = np.linspace(0, 1, 256) ** np.exp(rng.uniform(-0.6, 0.6))
        gray = (gray - 0.5) * rng.uniform(0.4, 1.3) + 0.5 + rng.uniform(-0.2, 0.2)
        canvas = cv2.LUT(canvas, np.clip(255 * gray + 0.5, 0, 255).astype(np.uint8))
    if chance[1]:
        corners = rng.uniform(0.35, 1.35, (2, 2)).astype(np.float32)
        light = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
        canvas = cv2.multiply(canvas, light, dtype=cv2.CV_8U)
    if chance[2]:
        canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.4, 1.3))
    if chance[3]:
        length = int(rng.integers(2, 6))
        kernel = np.zeros((length, length), np.float32)
        end = rng.integers(0, length, 2).tolist()
        cv2.line(kernel, (0, int(end[0])), (length - 1, int(end[1])), 1.0)
        canvas = cv2.filter2D(canvas, -1, kernel / kernel.sum())
    if chance[4]:
        share = rng.uniform(0.5, 0.9)
        small = cv2.resize(canvas, (round(width * share), round(height * share)),
                           interpolation=cv2.INTER_AREA)  # fmt: skip
        canvas = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    if chance[5]:
        # From one sheet of noise, since drawing afresh takes longer than all else here.
        y, x = rng.integers(_NOISE.shape[0] - height), rng.integers(_NOISE.shape[1] - width)
        grain = _NOISE[y : y + height, x : x + width] * np.float32(rng.uniform(2, 16))
        canvas = cv2.add(canvas, grain, dtype=cv2.CV_8U)
    if chance[6]:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 85))]
        coded = cv2.imencode(".jpg", canvas, quality)[1]
        canvas = np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)
    return canvas


def _templates() -> np.ndarray:
    """Masks uint8 [rectangle or ellipse, softness, MASK, MASK], from hard to soft edges."""
    y, x = np.abs((np.mgrid[:MASK, :MASK] + 0.5) / MASK * 2 - 1)
    shapes = 1 - np.maximum(x, y), 1 - np.hypot(x, y)  # distance from the edge, 1 in the middle
    soft = (0.02, 0.15, 0.35)
    return np.stack(
        [[np.clip(255 * shape / edge, 0, 255).astype(np.uint8) for edge in soft]
         for shape in shapes]
    )  # fmt: skip


_MASKS = _templates()
# Larger than any scene, of which it covers another part each time.
_NOISE = np.random.default_rng(0).normal(0, 1, (768, 896)).astype(np.float32)
