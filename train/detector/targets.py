"""Faces in pixels -> what every cell should say, and the loss of what it says.

Which cells a face belongs to depends on its size and place alone. That is simpler than choosing
them by the loss (SimOTA, YOLOX, arXiv:2107.08430, section 2.3), and can be done while the network
works: a cell answers for a face whose centre is within a stride of it (FCOS's centre sampling,
Tian et al. 2019, arXiv:1904.01355) and whose size suits its grid.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from edgemood.yunet import STRIDES, encode, grid

# From which to which size, the root of its area in pixels, a face suits each grid, finest first.
# Where two suit, both answer: a face that grows from frame to frame is never between them. The
# middle grid answers for none, and only helps the finest: wherever a neighbour could answer too,
# its landmarks were farther off (5.4 to 6.5 % of the width, theirs 4.3 to 5.5), and without it
# there are fewer false faces.
NONE = (np.inf, 0.0)
SUITS = np.array([(0.0, 56.0), NONE, (51.0, np.inf)])
# Strides from a face's centre within which a cell answers, and within which it may: it is not
# told what to say, because one cell's step is no difference worth learning. The same for sizes.
NEAR, NEARBY = 1.0, 1.6
SLACK = 1.15
BOX, POINTS = 2.0, 14.0  # weights of the losses beside the scores'
# Landmarks that lie 1 / FAR of the width off, along either axis, are worth no score at all.
FAR = 5.0
FOCUS = 2.0  # exponent of the quality focal loss, as its authors have it


def targets(faces: np.ndarray, height: int, width: int) -> np.ndarray:
    """float32 [cells, 16]: whether a score is wanted, whether a face is here, its bbox and kps.

    faces: float32 [n, 15] as in `pictures.Picture`; around a face that is left open no score is
    wanted. Where faces overlap, cells answer for the smaller one.
    """
    places, strides = grid(height, width)
    points, stride = places * strides, strides[:, 0]
    low, high = SUITS[np.searchsorted(STRIDES, stride)].T
    judged = np.ones(len(places), bool)
    owner = np.full(len(places), -1)
    for i in np.argsort(-faces[:, 2] * faces[:, 3]):
        x, y, w, h = faces[i, :4]
        centre = np.array([x + w / 2, y + h / 2])
        if not faces[i, 14]:
            judged &= ~(np.abs(points - centre) < faces[i, 2:4] / 2 + stride[:, None] / 2).all(1)
            continue
        size = np.sqrt(w * h)
        distance = np.abs(points - centre).max(axis=1) / stride
        here = (distance < NEAR) & (size >= low) & (size <= high)
        open_ = (distance < NEARBY) & (size >= low / SLACK) & (size <= high * SLACK)
        judged[open_ & (owner < 0)] = False
        judged[here] = True
        owner[here] = i
    here = owner >= 0
    wanted = np.zeros((len(places), 16), np.float32)
    wanted[:, 0] = judged
    wanted[:, 1] = here
    wanted[here, 2:] = encode(faces[owner[here]], places[here], strides[here])
    return wanted


def loss(wanted: Any, said: Any) -> Any:
    """One number for a batch: `wanted` and logits `said`, both float32 [N, cells, 16].

    Scores: quality focal loss (Li et al. 2020, arXiv:2006.04388, section 3), for obj of being a
    face, for cls of the overlap of the said box with the wanted one times how near its landmarks
    are, so that of two answers the better has the higher score. Boxes: `box_loss`. Landmarks:
    smooth L1 in box widths. All are sums over the cells divided by the number of cells with a face.
    """
    judged, here = wanted[..., 0], wanted[..., 1]
    faces = ops.maximum(ops.sum(here), 1.0)
    lost, overlap = box_loss(wanted[..., 2:6], said[..., 2:6])
    width = ops.exp(wanted[..., 4:5])
    apart = ops.abs(wanted[..., 6:] - said[..., 6:]) / width
    points = ops.mean(ops.where(apart < 0.05, apart**2 / 0.1, apart - 0.025), axis=-1)
    close = ops.maximum(1 - FAR * ops.mean(apart, axis=-1), 0.0)
    quality = ops.stop_gradient(overlap * close) * here
    scores = _focal(quality, said[..., 0]) + _focal(here, said[..., 1])
    return (ops.sum(judged * scores) + ops.sum(here * (BOX * lost + POINTS * 5 * points))) / faces


def box_loss(wanted: Any, said: Any) -> tuple[Any, Any]:
    """(loss, overlap) of boxes as the network says them, [..., 4]: the offset of the centre and
    the logarithm of the size, in strides.

    EIoU (Zhang et al. 2021, arXiv:2101.08158, equation 7), which YuNet is trained with: 1 minus
    the intersection over union, plus the squared differences of centre, width and height, each
    over that of the smallest box around both.
    """
    size, other = ops.exp(wanted[..., 2:]), ops.exp(ops.clip(said[..., 2:], -6.0, 6.0))
    low, high = wanted[..., :2] - size / 2, wanted[..., :2] + size / 2
    other_low, other_high = said[..., :2] - other / 2, said[..., :2] + other / 2
    shared = ops.maximum(ops.minimum(high, other_high) - ops.maximum(low, other_low), 0.0)
    shared = shared[..., 0] * shared[..., 1]
    union = size[..., 0] * size[..., 1] + other[..., 0] * other[..., 1] - shared
    overlap = shared / union
    around = ops.square(ops.maximum(high, other_high) - ops.minimum(low, other_low))
    centre = ops.sum(ops.square(wanted[..., :2] - said[..., :2]), axis=-1)
    lost = (
        1 - overlap + centre / ops.sum(around, axis=-1)
        + ops.sum(ops.square(size - other) / around, axis=-1)
    )  # fmt: skip
    return lost, overlap


def _focal(wanted: Any, logit: Any) -> Any:
    """|wanted - probability|^FOCUS times the binary cross-entropy."""
    cross = ops.softplus(logit) - wanted * logit
    return ops.abs(wanted - ops.sigmoid(logit)) ** FOCUS * cross
