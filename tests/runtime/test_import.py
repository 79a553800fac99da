"""The runtime loads what is used, when it is used."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

import edgemood.runtime


def fresh(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_the_command_loads_neither_opencv_nor_an_engine_before_it_runs() -> None:
    loaded = fresh("import sys, edgemood.runtime.command; print(*sys.modules)").split()
    assert not {"cv2", "onnxruntime", "numpy"} & set(loaded)


@pytest.mark.parametrize("name", edgemood.runtime.__all__)
def test_every_promised_name_is_there(name: str) -> None:
    assert name in dir(edgemood.runtime)
    assert getattr(edgemood.runtime, name).__name__ in (name, "tuple")  # Box is an alias


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Pipelines"):
        _ = edgemood.runtime.Pipelines


def test_the_library_imports_in_less_than_0_7_seconds_once_warm() -> None:
    took = []
    for _ in range(3):
        start = time.perf_counter()
        fresh("import edgemood.runtime")
        took.append(time.perf_counter() - start)
    assert min(took) < 0.7
