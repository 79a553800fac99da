"""What YuNet's cells say is decoded as it was encoded."""

from __future__ import annotations

import numpy as np

from edgemood.yunet import decode, encode, faces_in, grid


def test_decoding_undoes_encoding() -> None:
    places, strides = grid(96, 128)
    rng = np.random.default_rng(0)
    faces = rng.uniform(5, 60, (len(places), 14)).astype(np.float32)
    cells = np.concatenate([np.full((len(places), 2), 0.5), encode(faces, places, strides)], axis=1)
    decoded = decode(cells.astype(np.float32), places, strides)
    assert np.allclose(decoded[:, :14], faces, atol=1e-3)
    assert np.allclose(decoded[:, 14], 0.5)


def test_a_picture_without_a_likely_cell_has_no_faces() -> None:
    assert faces_in(np.zeros((252, 16), np.float32), 96, 128).shape == (0, 15)
