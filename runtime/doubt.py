"""A face's place, landmarks and crop -> None, or why its reading should not be relied on.

Each bound lies where about a fifth of the accuracy is lost: at 53 %, where the emotion-small.int8
that it was chosen with read 66.5 % of PublicTest undamaged. `edgemood steadiness` prints what
damage of which strength costs, how much of it is marked, and how right the rest is;
docs/readings.md has the figures of the model that ships.
"""

from __future__ import annotations

import cv2
import numpy as np

from edgemood.values import Face

LOW_CONFIDENCE = "low confidence"
TOO_SMALL = "too small"
TOO_DARK = "too dark"
TOO_BLURRED = "too blurred"
TURNED_AWAY = "turned away"
# A reading has the first that holds: what can be mended before what cannot.
REASONS = (TOO_SMALL, TURNED_AWAY, TOO_DARK, TOO_BLURRED, LOW_CONFIDENCE)

# Width of the box in pixels of the frame. 250 frames that are read with a confidence over 0.6 at 70
# pixels or more keep their label in 97, 88 and 72 % when scaled to 32, 22 and 18 pixels; of faces
# that small, the detector misses one in ten.
SMALLEST = 20
# `turn` of a face. 3.8 % of the faces that YuNet finds in PublicTest are turned further, and 54.5 %
# of those read right, against 67 % of the others.
FURTHEST = 0.4
# Mean gray level of the crop. At 0.12 of their light and with noise of 2 gray levels, PublicTest's
# pictures have a median of 15 and are read at 53 %.
DARKEST = 15.0
# `sharpness` of the crop: the median of pictures blurred with a sigma of 2 of their 48 pixels. They
# are read at 54 %. Of 3,589 undamaged ones none is under 0.1; the demo, of averages, goes to 0.012.
BLURREST = 0.011


def doubt(face: Face, crop: np.ndarray) -> str | None:
    """Why this face can't be read well, judged by its picture: one of REASONS, or None.

    crop: gray uint8 [48, 48], see `edgemood.crop`. Takes about 20 microseconds on one x86 core.
    """
    if face.box[2] < SMALLEST:
        return TOO_SMALL
    if turn(face.landmarks) > FURTHEST:
        return TURNED_AWAY
    if cv2.mean(crop)[0] < DARKEST:
        return TOO_DARK
    return TOO_BLURRED if sharpness(crop) < BLURREST else None


def turn(landmarks: np.ndarray) -> float:
    """How far a face is turned to a side: 0 from the front, growing without bound to the profile.

    landmarks: [5, 2] as in `Face`. It is the distance of the nose from the middle between eyes and
    mouth, along the line of the eyes and in its lengths, so a tilted head does not count.
    """
    # Ten numbers: faster as floats than as arrays.
    (rx, ry), (lx, ly), (nx, ny), (mx, my), (kx, ky) = landmarks.tolist()
    ex, ey = lx - rx, ly - ry
    dx, dy = nx - (rx + lx + mx + kx) / 4, ny - (ry + ly + my + ky) / 4
    return float(abs(dx * ex + dy * ey) / max(ex * ex + ey * ey, 1e-9))


def sharpness(crop: np.ndarray) -> float:
    """Variance of the Laplacian (Pech-Pacheco et al. 2000) over the variance of the gray levels.

    The quotient does not change with light and contrast. 0 where all is of one gray.
    """
    _, edges = cv2.meanStdDev(cv2.Laplacian(crop, cv2.CV_16S))
    _, grays = cv2.meanStdDev(crop)
    return float(edges[0, 0] / max(grays[0, 0], 1e-9)) ** 2
