"""Random variation of training pictures: uint8 [N, 48, 48] -> uint8 [N, 48, 48], by a seed.

OpenCV on single pictures: warpAffine takes 5 us, so that two cores' training never waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edgemood import damage


@dataclass(frozen=True)
class Augmentation:
    """How much pictures may vary; zero switches a variation off.

    flip: share mirrored. rotation: degrees. scale: largest relative change of size. shift: pixels
    along each axis. shear: tangent. light: largest relative change of contrast, and of brightness
    around middle gray. erase: share with a random rectangle set to one gray. damage: share that
    gets one damage of a webcam in random strength (dark, blurred, far away, compressed, noisy).
    """

    flip: float = 0.5
    rotation: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    shear: float = 0.0
    light: float = 0.0
    erase: float = 0.0
    damage: float = 0.0


def augment(images: np.ndarray, how: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """A varied copy of each picture; the same `rng` state gives the same result."""
    out = np.empty_like(images)
    for i, matrix in enumerate(_matrices(len(images), images.shape[1], how, rng)):
        out[i] = cv2.warpAffine(
            images[i],
            matrix,
            images.shape[2:0:-1],
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    if how.light:
        _relight(out, how.light, rng)
    for place in np.flatnonzero(rng.random(len(out)) < how.damage):
        out[place] = _damage(out[place], rng)
    for place in np.flatnonzero(rng.random(len(out)) < how.erase):
        _erase(out[place], rng)
    return out


def mixup(
    images: np.ndarray, targets: np.ndarray, alpha: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Blend each picture and its target with another's (Zhang et al. 2018, arXiv:1710.09412).

    images: float32 [N, ...]. targets: float32 [N, outputs]. One share from Beta(alpha, alpha) each.
    """
    share = rng.beta(alpha, alpha, len(images)).astype(np.float32)
    share = np.maximum(share, 1 - share)  # a picture stays the larger part of its own blend
    partner = rng.permutation(len(images))
    weight = share.reshape(-1, *[1] * (images.ndim - 1))
    column = share[:, None]
    return (
        weight * images + (1 - weight) * images[partner],
        column * targets + (1 - column) * targets[partner],
    )


def _matrices(count: int, size: int, how: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """float32 [count, 2, 3]: flip, then shear, turn and scale about the centre, then shift."""
    angle = np.deg2rad(how.rotation) * rng.uniform(-1, 1, count)
    zoom = 1 + how.scale * rng.uniform(-1, 1, count)
    shear = how.shear * rng.uniform(-1, 1, count)
    mirror = np.where(rng.random(count) < how.flip, -1.0, 1.0)
    shift = how.shift * rng.uniform(-1, 1, (count, 2))
    cosine, sine = np.cos(angle) * zoom, np.sin(angle) * zoom
    linear = np.stack(
        [
            np.stack([cosine * mirror, cosine * shear - sine], axis=1),
            np.stack([sine * mirror, sine * shear + cosine], axis=1),
        ],
        axis=1,
    )
    centre = np.full(2, (size - 1) / 2)
    offset = centre - linear @ centre + shift
    return np.concatenate([linear, offset[:, :, None]], axis=2).astype(np.float32)


def _relight(images: np.ndarray, light: float, rng: np.random.Generator) -> None:
    shape = (len(images), 1, 1)
    contrast = 1 + light * rng.uniform(-1, 1, shape).astype(np.float32)
    offset = 128 * light * rng.uniform(-1, 1, shape).astype(np.float32)
    changed = (images.astype(np.float32) - 128) * contrast + 128 + offset
    np.copyto(images, np.clip(changed + 0.5, 0, 255), casting="unsafe")


def _damage(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One damage out of five, of a strength that reaches a little past the robustness suite's."""
    one = image[None]
    match rng.integers(5):
        case 0:
            one = damage.dark(one, rng.uniform(0.25, 0.8))
        case 1:
            one = damage.blur(one, rng.uniform(0.5, 2.0))
        case 2:
            one = damage.tiny(one, int(rng.integers(18, 37)))
        case 3:
            one = damage.jpeg(one, int(rng.integers(10, 51)))
        case _:
            one = damage.noise(one, rng, rng.uniform(5, 25))
    return one[0]


def _erase(image: np.ndarray, rng: np.random.Generator) -> None:
    """Random erasing (Zhong et al. 2020, arXiv:1708.04896): 2 to 20 % of the picture, one gray."""
    size = image.shape[0]
    area, ratio = rng.uniform(0.02, 0.2) * size * size, np.exp(rng.uniform(-1, 1))
    height = min(size, max(1, round(np.sqrt(area * ratio))))
    width = min(size, max(1, round(np.sqrt(area / ratio))))
    top, left = rng.integers(size - height + 1), rng.integers(size - width + 1)
    image[top : top + height, left : left + width] = rng.integers(256)
