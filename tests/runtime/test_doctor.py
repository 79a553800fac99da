"""`edgemood doctor` finds what works, and each thing that was broken on purpose."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

import pytest

from edgemood import cli
from edgemood.runtime import doctor
from edgemood.runtime.doctor import Check
from edgemood.runtime.pipeline import DEFAULT_MODEL

MODELS = Path(str(files("edgemood.models")))


def named(checks: Iterable[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copies of the shipped models."""
    made = tmp_path / "models"
    made.mkdir()
    for path in MODELS.glob("emotion-small.*"):
        if path.suffix != ".md":
            shutil.copy(path, made)
    return made


def program(folder: Path, name: str, says: str) -> None:
    """A program of this name in this folder that says so."""
    path = folder / name
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{says}\nEND\n")
    path.chmod(0o755)


# --- all of it ----------------------------------------------------------------------------------


def test_nothing_is_wrong_with_an_installation_that_passes_its_tests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor, "find_cameras", list)  # whose cameras may be busy
    found = named(doctor.examine(seconds=0.3))
    assert [check for check in found.values() if check.state == "wrong"] == []
    assert found["python"].found.startswith(platform.python_version())
    for engine in ("onnxruntime engine", "opencv engine"):
        assert found[engine].state == "ok"
    assert found["face detector"].state == "ok"
    assert "frames a second" in found["self-test"].found


def test_json_for_the_report_of_a_fault_tells_nobody_whose_machine_it_is(
    detector: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    home = tmp_path / "erika"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DISPLAY", "erikas-desk:7")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    shutil.copy(detector, home / "mine.onnx")
    monkeypatch.setenv("EDGEMOOD_DETECTOR", str(home / "mine.onnx"))
    code = cli.main(["doctor", "--json"])
    said = capsys.readouterr().out
    report = json.loads(said)
    assert report["schema"] == 1
    assert code == (report["wrong"] > 0)
    assert {check["name"] for check in report["checks"]} >= {"python", "display", "self-test"}
    for secret in ("erika", str(tmp_path), str(MODELS.parent), sys.prefix):
        assert secret not in said


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"{MODELS}/x.onnx is empty", "models/x.onnx is empty"),
        (f"{Path.home()}/faces/y.onnx is not there", "~/faces/y.onnx is not there"),
        (f"{Path.home()} is a folder", "~ is a folder"),
        ("/media/erika/stick/y.onnx is not there", "…/y.onnx is not there"),
        ("/dev/video0 is busy", "/dev/video0 is busy"),
        ("see https://example.org/a/b", "see https://example.org/a/b"),
    ],
)
def test_of_a_path_only_what_is_nobodys_stays(text: str, shown: str) -> None:
    assert doctor.without_paths(Check("x", "ok", text, text), MODELS) == Check(
        "x", "ok", shown, shown
    )


def test_an_opencv_that_does_not_load_is_told_of_and_all_else_that_can_be(tmp_path: Path) -> None:
    error = "libGL.so.1: cannot open shared object file: No such file or directory"
    (tmp_path / "cv2.py").write_text(f"raise ImportError({error!r})")
    done = subprocess.run(
        [sys.executable, "-m", "edgemood.cli", "doctor", "--json"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["numpy"]["state"] == "ok"
    assert checks["opencv engine"]["found"] == f"it does not load: {error}"
    assert "apt install libgl1" in checks["opencv engine"]["remedy"]


def test_a_detector_that_is_not_there_is_wrong_and_the_command_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGEMOOD_DETECTOR", str(tmp_path / "nowhere.onnx"))
    report = tmp_path / "report.json"
    assert cli.main(["doctor", "--json", str(report)]) == 1
    said = capsys.readouterr().out
    assert "nowhere.onnx is not there" in said
    assert "wrong: face detector\n  Pass one with --detector or EDGEMOOD_DETECTOR." in said
    checks = {check["name"]: check for check in json.loads(report.read_text())["checks"]}
    assert (checks["face detector"]["state"], checks["self-test"]["state"]) == ("wrong", "note")


# --- models and engines -------------------------------------------------------------------------


def test_a_truncated_model_a_git_lfs_pointer_and_a_missing_default_are_named(folder: Path) -> None:
    (folder / DEFAULT_MODEL).unlink()
    cut = folder / "emotion-small.int8.tflite"
    cut.write_bytes(cut.read_bytes()[:-1000])
    pointer = folder / "emotion-small.onnx"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    found = named(doctor.model_files(folder))
    assert {check.state for check in found.values()} == {"wrong"}
    assert "not there" in found[f"models/{DEFAULT_MODEL}"].found
    assert "git lfs pull" in found["models/emotion-small.onnx"].remedy
    assert found["models/emotion-small.int8.tflite"].remedy
    assert all(str(folder) not in check.found for check in found.values())


def test_whole_models_are_named_with_the_start_of_their_digest(folder: Path) -> None:
    found = named(doctor.model_files(folder))
    assert set(found) == {f"models/{path.name}" for path in folder.iterdir()}
    assert all(check.state == "ok" and "sha256 " in check.found for check in found.values())


def test_engines_are_tried_with_what_is_whole_and_not_blamed_for_what_is_not(folder: Path) -> None:
    (folder / DEFAULT_MODEL).write_bytes(b"\0" * 1000)
    found = named(doctor.engines(doctor.whole_models(folder)))
    assert found["onnxruntime engine"].found == "runs emotion-small.onnx"
    assert found["opencv engine"].state == "ok"


def test_an_engine_that_ends_the_process_is_a_finding_and_no_end_of_ours() -> None:
    if not hasattr(signal, "SIGILL") or sys.platform == "win32":
        pytest.skip("this system has no signals")
    fault = doctor.fault_of("import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    assert fault == "it dies of SIGILL"
    assert "newer processors" in doctor.remedy_for(fault)


def test_a_network_that_answers_otherwise_than_its_namesakes_is_named(
    folder: Path, tiny_model: Path
) -> None:
    shutil.copy(tiny_model, folder / "emotion-small.odd.onnx")
    (check,) = doctor.parity(doctor.whole_models(folder), ["onnxruntime", "litert"])
    assert check.state == "wrong"
    assert "Don't use emotion-small.odd.onnx in onnxruntime" in check.remedy


# --- packages -----------------------------------------------------------------------------------


def test_two_opencvs_are_wrong_since_they_overwrite_each_other() -> None:
    both = {"opencv-python": "5.0.0.93", "opencv-python-headless": "5.0.0.93"}
    check = doctor.opencv(both, {"opencv-python": ">=4.10,<6"})
    assert check.state == "wrong"
    assert check.remedy == (
        "pip uninstall -y opencv-python opencv-python-headless, then "
        "pip install 'opencv-python>=4.10,<6'"
    )


@pytest.mark.parametrize(
    ("version", "bounds", "fits"),
    [
        ("2.4.6", "<3,>=2.0", True),
        ("1.26.4", "<3,>=2.0", False),
        ("3.0.0rc1", "<3,>=2.0", False),
        ("4.10.0.84", "<6,>=4.10", True),
        ("4.9.0.80", "<6,>=4.10", False),
        ("3.14.0", "<3.14,>=3.11", False),
        ("3.11.0", ">=3.11", True),
        ("7", "", True),
    ],
)
def test_versions_compare_by_number_with_the_bounds_of_the_package(
    version: str, bounds: str, fits: bool
) -> None:
    assert doctor.is_within(version, bounds) is fits


# --- the machine --------------------------------------------------------------------------------


def test_a_display_that_does_not_answer_is_wrong_and_none_is_a_note(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if sys.platform != "linux":
        pytest.skip("other systems always have a display")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", ":4711")
    (silent,) = doctor.display()
    monkeypatch.delenv("DISPLAY")
    (none,) = doctor.display()
    assert (silent.state, none.state) == ("wrong", "note")
    assert silent.remedy
    assert "--serve" in none.remedy


def test_a_hot_board_with_its_clock_at_the_lowest_is_told_how_to_get_faster(tmp_path: Path) -> None:
    for path, text in {
        "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 asimddp\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_driver": "cpufreq-dt\n",
        "sys/class/thermal/thermal_zone0/temp": "84200\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    found = named(doctor.hardware(tmp_path))
    assert found["processor"].state == "ok"
    assert found["processor"].found.endswith("asimd asimddp")
    assert (found["clock"].state, found["temperature"].state) == ("note", "note")
    assert found["temperature"].found.startswith("84 °C")


@pytest.mark.parametrize(
    ("bits", "state", "words", "remedy"),
    [
        (0x0, "ok", "enough", ""),
        (0x50005, "wrong", "now: under-voltage, throttled; earlier: under-voltage", "supply"),
        (0x50000, "note", "earlier: under-voltage, throttled", "supply"),
        (0x80008, "wrong", "now: soft temperature limit", "heat sink"),
        (0x40000, "note", "earlier: throttled", "heat sink"),
    ],
)
def test_the_bits_of_a_raspberry_pi_say_what_it_lacked_and_when(
    bits: int, state: str, words: str, remedy: str
) -> None:
    check = doctor.throttling(bits)
    assert check.state == state
    assert words in check.found
    assert remedy in check.remedy


def test_a_raspberry_pi_is_asked_for_its_power_and_its_cameras(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "vcgencmd", "throttled=0x50000")
    program(
        tmp_path,
        "rpicam-vid",
        "Available cameras\n-----------------\n"
        "0 : imx708_wide [4608x2592 10-bit RGGB] (/base/soc/i2c0mux/i2c@1/imx708@1a)\n"
        "    Modes: 'SRGGB10_CSI2P' : 1536x864 [120.13 fps - (768, 432)/3072x1728 crop]",
    )
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert named(doctor.hardware())["power"].state == "note"
    assert list(doctor.cameras([])) == [
        Check("camera rpicam://0", "ok", "imx708_wide: up to 4608x2592 10-bit RGGB")
    ]


def test_a_device_that_is_no_camera_and_one_that_is_not_there_are_told_apart() -> None:
    if sys.platform != "linux":
        pytest.skip("device paths are Linux's")
    found = named(doctor.cameras(["/dev/null", "/dev/video987"]))
    assert found["camera /dev/null"].found == "it is no video device"
    assert found["camera /dev/video987"].found == "there is no such device"
    assert all(check.state == "wrong" and check.remedy for check in found.values())


def test_without_a_camera_there_is_a_note() -> None:
    assert [check.state for check in doctor.cameras([])] == ["note"]


def test_the_lasting_name_of_a_camera_hides_its_serial_number(tmp_path: Path) -> None:
    usb = tmp_path / "sys/devices/usb1/1-1"
    (usb / "1-1:1.0").mkdir(parents=True)
    (usb / "serial").write_text("8A3B 2C1F\n")
    node = tmp_path / "sys/class/video4linux/video0"
    node.mkdir(parents=True)
    (node / "device").symlink_to(usb / "1-1:1.0")
    ids = tmp_path / "dev/v4l/by-id"
    ids.mkdir(parents=True)
    (tmp_path / "dev/video0").touch()
    (ids / "usb-046d_C920_8A3B_2C1F-video-index0").symlink_to("../../video0")
    assert doctor.by_id("/dev/video0", tmp_path) == "/dev/v4l/by-id/usb-046d_C920_*-video-index0"
