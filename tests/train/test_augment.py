"""Augmentation varies pictures as asked, and only so."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgemood.train.augment import Augmentation, augment, mixup

STILL = Augmentation(flip=0)


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (64, 6, 6), dtype=np.uint8)
    return np.stack([cv2.resize(image, (48, 48)) for image in coarse])


def test_without_variation_pictures_stay_as_they_are(pictures: np.ndarray) -> None:
    assert np.array_equal(augment(pictures, STILL, np.random.default_rng(0)), pictures)


def test_flip_mirrors_its_share_and_leaves_the_rest(pictures: np.ndarray) -> None:
    out = augment(np.repeat(pictures, 8, axis=0), Augmentation(flip=0.25), np.random.default_rng(0))
    sources = np.repeat(pictures, 8, axis=0)
    mirrored = [np.array_equal(a, b[:, ::-1]) for a, b in zip(out, sources)]
    same = [np.array_equal(a, b) for a, b in zip(out, sources)]
    assert np.logical_or(mirrored, same).all()
    assert np.mean(mirrored) == pytest.approx(0.25, abs=0.06)


@pytest.mark.parametrize(
    "how",
    [
        Augmentation(flip=0, rotation=10),
        Augmentation(flip=0, scale=0.2),
        Augmentation(flip=0, shift=4),
        Augmentation(flip=0, shear=0.2),
        Augmentation(flip=0, light=0.3),
        Augmentation(flip=0, erase=1),
        Augmentation(flip=0, damage=1),
    ],
    ids=["rotation", "scale", "shift", "shear", "light", "erase", "damage"],
)
def test_each_variation_changes_pictures_and_hangs_on_the_seed(
    pictures: np.ndarray, how: Augmentation
) -> None:
    once = augment(pictures, how, np.random.default_rng(7))
    assert np.array_equal(once, augment(pictures, how, np.random.default_rng(7)))
    assert not np.array_equal(once, augment(pictures, how, np.random.default_rng(8)))
    changed = (once != pictures).any(axis=(1, 2))
    assert changed.mean() > 0.9
    # Still the same picture: nearer to its source than to the next picture's.
    own = np.abs(once.astype(float) - pictures).mean()
    other = np.abs(once.astype(float) - np.roll(pictures, 1, axis=0)).mean()
    assert own < other


def test_shift_moves_by_at_most_its_pixels() -> None:
    dot = np.zeros((200, 48, 48), np.uint8)
    dot[:, 23:25, 23:25] = 255
    out = augment(dot, Augmentation(flip=0, shift=4), np.random.default_rng(0))
    ys, xs = np.mgrid[:48, :48]
    weight = out.sum(axis=(1, 2)).astype(float)
    for axis in (ys, xs):
        moved = (out * axis).sum(axis=(1, 2)) / weight - 23.5
        assert np.abs(moved).max() <= 4.1
        assert np.abs(moved).max() > 3


def test_light_changes_gray_levels_but_never_their_order() -> None:
    ramp = np.repeat(np.arange(0, 240, 5, dtype=np.uint8)[None, None], 48, axis=1)
    out = augment(
        np.repeat(ramp, 100, axis=0), Augmentation(flip=0, light=0.5), np.random.default_rng(0)
    )
    assert (np.diff(out.astype(int), axis=2) >= 0).all()
    means = out.mean(axis=(1, 2))
    assert means.min() < ramp.mean() - 20
    assert means.max() > ramp.mean() + 20


def test_mixup_keeps_each_picture_the_larger_part_and_targets_whole() -> None:
    images = np.eye(8, dtype=np.float32)[:, :, None]
    targets = np.eye(8, dtype=np.float32)
    mixed, blended = mixup(images, targets, 0.4, np.random.default_rng(0))
    assert np.array_equal(mixed[:, :, 0], blended)
    assert np.allclose(blended.sum(axis=1), 1)
    assert (blended.argmax(axis=1) == np.arange(8)).all()
    assert (blended.max(axis=1) < 1).any()
