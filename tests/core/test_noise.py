"""What is said on stderr while TensorFlow or LiteRT works."""

from __future__ import annotations

import os

import pytest

from edgemood.noise import quiet


def test_noise_of_a_block_that_ends_well_is_dropped(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet():
        os.write(2, b"cuda drivers not found\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_noise_of_a_block_that_fails_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    @quiet()
    def convert() -> None:
        os.write(2, b"operator 7 is not supported\n")
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        convert()
    assert capfd.readouterr().err == "operator 7 is not supported\n"
