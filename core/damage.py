"""Gray faces uint8 [N, 48, 48] -> the same as a bad camera would give them, uint8 [N, 48, 48].

`suite()` holds the seven damages of fixed strength that every robustness figure of the project
means. The single damages take their strength as an argument, for training with them.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

Damage = Callable[[np.ndarray], np.ndarray]


def suite() -> dict[str, Damage]:
    """The robustness suite: name -> damage, in the order of the tables.

    Take a fresh suite for each pass over a data set. `noise` draws from one generator of seed 0,
    so batches in order get the same noise as the whole set in one call.
    """
    generator = np.random.default_rng(0)
    return {
        "dark": dark,
        "blur": blur,
        "tiny24": tiny,
        "jpeg15": jpeg,
        "noise": lambda images: noise(images, generator),
        "rot15": rotate,
        "shift4": shift,
    }


def dark(images: np.ndarray, factor: float = 0.35) -> np.ndarray:
    """Gray levels times a factor of at most 1, truncated: little light and few levels."""
    return (images * factor).astype(np.uint8)


def blur(images: np.ndarray, sigma: float = 1.5) -> np.ndarray:
    """Gaussian blur of this many pixels: out of focus, or moving."""
    return _each(images, lambda image: cv2.GaussianBlur(image, (0, 0), sigma))


def tiny(images: np.ndarray, side: int = 24) -> np.ndarray:
    """Down to side x side pixels by area and back linearly: a face far away."""

    def there_and_back(image: np.ndarray) -> np.ndarray:
        small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        return cv2.resize(small, image.shape[::-1], interpolation=cv2.INTER_LINEAR)

    return _each(images, there_and_back)


def jpeg(images: np.ndarray, quality: int = 15) -> np.ndarray:
    """Written as JPEG of this quality (1 to 100) and read again: a thin stream."""

    def there_and_back(image: np.ndarray) -> np.ndarray:
        coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        decoded = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)
        assert decoded is not None  # it was encoded a line ago
        return decoded

    return _each(images, there_and_back)


def noise(images: np.ndarray, generator: np.random.Generator, sigma: float = 20.0) -> np.ndarray:
    """Normal noise of this many gray levels added to each pixel, clipped: a sensor in the dark."""
    noisy = images + generator.normal(0.0, sigma, images.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def rotate(images: np.ndarray, degrees: float = 15.0) -> np.ndarray:
    """Counter-clockwise about the picture's centre, edge pixels repeated: a tilted head."""

    def turn(image: np.ndarray) -> np.ndarray:
        height, width = image.shape
        # Pixel coordinates count from the first pixel's middle.
        centre = ((width - 1) / 2, (height - 1) / 2)
        matrix = cv2.getRotationMatrix2D(centre, degrees, 1.0)
        return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)

    return _each(images, turn)


def shift(images: np.ndarray, pixels: int = 4) -> np.ndarray:
    """To the right by so many pixels, what leaves there enters left: a crop that is off."""
    return np.roll(images, pixels, axis=2)


def _each(images: np.ndarray, change: Damage) -> np.ndarray:
    out = np.empty_like(images)
    for place, image in zip(out, images):
        place[:] = change(image)
    return out
