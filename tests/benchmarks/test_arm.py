"""What tells that a Raspberry Pi would read what a PC reads: wheels found, readings compared."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ARM = ROOT / "benchmarks" / "arm"


def script(name: str) -> ModuleType:
    """One of the folder's programs, which are no part of what is installed."""
    spec = importlib.util.spec_from_file_location(name, ARM / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


wheels, comparing = script("wheels"), script("compare")


# --- wheels -------------------------------------------------------------------------------------


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where pip finds packages."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return tmp_path


def put(index: Path, tags: str) -> None:
    """A wheel of the package `thing` with nothing in it."""
    info = "thing-1.0.dist-info"
    with zipfile.ZipFile(index / f"thing-1.0-{tags}.whl", "w") as archive:
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\n")
        archive.writestr(f"{info}/RECORD", "")


def test_a_wheel_for_aarch64_is_found_though_this_machine_is_another(index: Path) -> None:
    put(index, "cp313-cp313-manylinux_2_28_aarch64")
    assert wheels.resolve(["thing"], "3.13") == {"thing": "1.0"}


@pytest.mark.parametrize(
    "tags",
    [
        pytest.param("cp313-cp313-manylinux_2_28_x86_64", id="another processor"),
        pytest.param("cp313-cp313-manylinux_2_39_aarch64", id="a newer C library"),
        pytest.param("cp312-cp312-manylinux_2_28_aarch64", id="another Python"),
    ],
)
def test_a_wheel_that_a_raspberry_pi_cannot_use_is_none(index: Path, tags: str) -> None:
    put(index, tags)
    with pytest.raises(ValueError, match="thing"):
        wheels.resolve(["thing"], "3.13")


def test_the_base_install_and_what_a_board_adds_to_it_are_asked_for() -> None:
    needs = wheels.requirements((ROOT / "pyproject.toml").read_text())
    assert list(needs) == ["lean", "tflite", "serve"]
    assert [need.split(">")[0] for need in needs["lean"]] == [
        "numpy",
        "opencv-python",
        "onnxruntime",
    ]


# --- readings -----------------------------------------------------------------------------------


def line(frame: int, *faces: tuple[list[int], float]) -> dict[str, Any]:
    """A frame's, of faces by their boxes and how happy they are, the rest being sad."""
    return {
        "frame": frame,
        "faces": [
            {
                "box": box,
                "emotion": "happy" if happy > 0.5 else "sad",
                "probabilities": {"happy": happy, "sad": 1 - happy},
            }
            for box, happy in faces
        ],
    }


BOX, ASIDE, ELSEWHERE = [10, 10, 100, 100], [40, 10, 100, 100], [300, 10, 100, 100]


def test_equal_readings_lie_nowhere_apart() -> None:
    lines = [line(0, (BOX, 0.9)), line(1), line(2, (BOX, 0.2), (ELSEWHERE, 0.7))]
    apart = comparing.compare(lines, lines)
    assert apart == comparing.Apart(3, 1.0, 1.0, 1.0, 1.0, 0.0)
    assert not apart.breaches(difference=0)


def test_faces_are_paired_by_place_and_not_by_order() -> None:
    apart = comparing.compare(
        [line(0, (BOX, 0.9), (ELSEWHERE, 0.1))], [line(0, (ELSEWHERE, 0.1), (BOX, 0.9))]
    )
    assert apart.difference == 0


def test_a_label_that_was_as_likely_is_a_tie_and_no_other_opinion() -> None:
    apart = comparing.compare(
        [line(0, (BOX, 0.52)), line(1, (BOX, 0.8))], [line(0, (BOX, 0.48)), line(1, (BOX, 0.2))]
    )
    assert (apart.same, apart.but_ties) == (0.0, 0.5)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        pytest.param([line(0, (BOX, 0.7)), line(1)], "of the faces", id="a face is missing"),
        pytest.param(
            [line(0, (BOX, 0.7)), line(1, (BOX, 0.7), (ELSEWHERE, 0.7))],
            "of the faces",
            id="a face is invented",
        ),
        pytest.param(
            [line(0, (BOX, 0.7)), line(1, (ASIDE, 0.7))], "overlap", id="a box is elsewhere"
        ),
        pytest.param(
            [line(0, (BOX, 0.7)), line(1, (BOX, 0.45))], "of the labels", id="a label changes"
        ),
        pytest.param(
            [line(0, (BOX, 0.7)), line(1, (BOX, 0.98))], "0.2800", id="a probability changes"
        ),
    ],
)
def test_what_lies_too_far_apart_is_said(other: list[dict[str, Any]], said: str) -> None:
    reference = [line(0, (BOX, 0.7)), line(1, (BOX, 0.7))]
    (fault,) = comparing.compare(reference, other).breaches(difference=0.26)
    assert said in fault


def test_two_folders_that_differ_end_with_1_and_name_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, happy in (("pc", 0.9), ("board", 0.89)):
        (tmp_path / folder).mkdir()
        for name in ("a.int8.onnx.crops.jsonl", "a.onnx.crops.jsonl"):
            (tmp_path / folder / name).write_text(json.dumps(line(0, (BOX, happy))) + "\n")
    assert comparing.main([str(tmp_path / "pc"), str(tmp_path / "pc")]) == 0
    assert comparing.main([str(tmp_path / "pc"), str(tmp_path / "board")]) == 1
    faults = [text for text in capsys.readouterr().err.splitlines() if text]
    assert len(faults) == 1  # 0.01 is much for a float network, little for one in int8
    assert faults[0].startswith("edgemood: a.onnx.crops.jsonl: a probability differs")


# --- the script ---------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt" or shutil.which("sh") is None, reason="there is no sh here")
def test_the_check_says_in_a_sentence_that_programs_are_missing(tmp_path: Path) -> None:
    for name, body in (("uname", "echo x86_64"), ("id", "echo 0")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "dirname").symlink_to(str(shutil.which("dirname")))
    done = subprocess.run(
        [str(shutil.which("sh")), ARM / "check.sh"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "edgemood: programs are missing: apt install debootstrap qemu-user-static dpkg git\n"
    )
