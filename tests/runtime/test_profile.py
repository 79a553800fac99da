"""A profile comes back as it was saved; run follows it, and a command line that says otherwise."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgemood import cli
from edgemood.errors import EdgemoodError
from edgemood.runtime.faces import SIDES
from edgemood.runtime.pipeline import default_model
from edgemood.runtime.profile import Profile, read_profile
from edgemood.runtime.sources import open_source
from edgemood.runtime.sources.demo import Demo

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a profile with these values; returns its path."""

    def profile(**values: Any) -> Path:
        path = tmp_path / "profile.json"
        path.write_text(json.dumps({"schema": 1} | values))
        return path

    return profile


def test_a_profile_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    own = tmp_path / "mine.onnx"
    profile = Profile(
        own, "opencv", 3, tmp_path / "face.onnx", "onnxruntime", (160, 320), 5, "fünf Gründe"
    )
    profile.save(tmp_path / "profile.json")
    assert read_profile(tmp_path / "profile.json") == profile


def test_one_that_says_nothing_is_what_run_does_anyway(write: Write) -> None:
    assert read_profile(write()) == Profile()
    assert Profile().sides == SIDES


def test_a_shipped_model_is_named_without_a_folder_and_found_on_another_machine(
    tmp_path: Path,
) -> None:
    Profile(default_model()).save(tmp_path / "profile.json")
    assert json.loads((tmp_path / "profile.json").read_text())["model"] == default_model().name
    assert read_profile(tmp_path / "profile.json").model == default_model()


def test_a_file_beside_the_profile_goes_before_a_shipped_one(write: Write, tmp_path: Path) -> None:
    path = write(model=default_model().name, detector="../face.onnx")
    (tmp_path / default_model().name).write_bytes(b"another")
    profile = read_profile(path)
    assert profile.model == tmp_path / default_model().name
    assert profile.detector == tmp_path / "../face.onnx"


def test_null_is_as_if_it_were_left_out(write: Write) -> None:
    names = [each.name for each in fields(Profile)]
    assert read_profile(write(**dict.fromkeys(names))) == Profile()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"schema": 2}, "its schema is not 1"),
        ({"thread": 1}, "'thread', which is none of model, engine, threads"),
        ({"threads": 0}, "its threads is 0, a whole number from 1"),
        ({"threads": True}, "its threads is true"),
        ({"threads": 1.5}, "its threads is 1.5"),
        ({"model": 7}, "its model is 7, a file's name was wanted"),
        ({"model": "a\0b"}, "its model is"),
        ({"detector": ""}, "its detector is"),
        ({"detector_engine": "litert"}, 'is "litert", opencv or onnxruntime was wanted'),
        ({"engine": "tensorrt"}, 'its engine is "tensorrt", onnxruntime or opencv or litert was'),
        ({"engine": []}, r"its engine is \[\]"),
        ({"sides": []}, r"its sides is \[\], a list"),
        ({"sides": 320}, "its sides is 320"),
        ({"sides": [320, 1e9]}, "a list of one to four whole numbers from 32 to 2000"),
        ({"detect_every": "often"}, 'its detect_every is "often", a number of frames'),
        ({"detect_every": 0}, "its detect_every is 0"),
        ({"about": 7}, "its about is 7"),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(
    write: Write, values: dict[str, Any], says: str
) -> None:
    with pytest.raises(EdgemoodError, match=says) as error:
        read_profile(write(**values))
    assert str(error.value).endswith("`edgemood bench --target 15fps` writes one.")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"", "is empty", id="an empty file"),
        pytest.param(b"threads: 1", "it is no JSON", id="something else than JSON"),
        pytest.param(b"\xff\xfe\x00", "it is no JSON", id="bytes that are no text"),
        pytest.param(b"[" * 100_000, "it is no JSON", id="endless brackets"),
        pytest.param(b"[1]", "it is no JSON object", id="a list"),
    ],
)
def test_what_is_no_profile_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "p.json").write_bytes(content)
    with pytest.raises(EdgemoodError, match=says):
        read_profile(tmp_path / "p.json")


def test_run_without_such_a_file_says_so_and_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", "demo", "--headless", "--profile", str(tmp_path / "no.json")]) == 2
    assert "no.json is not there: a profile was wanted." in capsys.readouterr().err


@pytest.fixture
def read(detector: str, tmp_path: Path) -> Callable[..., list[float]]:
    """Runs the demo's first second with options; returns the scores of the faces it finds.

    Between looks, a followed face keeps the score that the detector gave it. width: of the face.
    """

    def run(*options: object, width: int = 200) -> list[float]:
        video, lines = tmp_path / "short.avi", tmp_path / "lines.jsonl"
        writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 25, (640, 480))
        for frame in open_source("demo"):
            if frame.index == 25:
                break
            image = np.full_like(frame.image, Demo.GROUND)
            scale = width / 200
            small = cv2.resize(frame.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            image[: small.shape[0], : small.shape[1]] = small
            writer.write(image)
        writer.release()
        words = ["run", video, "--headless", "--jsonl", lines, "--detector", detector, *options]
        assert cli.main([str(word) for word in words]) == 0
        found = map(json.loads, lines.read_text().splitlines())
        return [face["score"] for line in found for face in line["faces"]]

    return run


def test_run_looks_as_often_as_the_profile_says_unless_the_command_line_says_otherwise(
    read: Callable[..., list[float]], write: Write, tiny_model: Path
) -> None:
    profile = write(model=str(tiny_model), engine="opencv", detect_every=1)
    assert len(set(read("--profile", profile))) > 10
    assert len(set(read("--profile", profile, "--detect-every", "auto"))) <= 5


def test_run_looks_as_closely_as_the_profile_says(
    read: Callable[..., list[float]], write: Write, tiny_model: Path
) -> None:
    assert read("--profile", write(model=str(tiny_model)), width=50)
    assert not read("--profile", write(model=str(tiny_model), sides=[160]), width=50)


def test_the_engine_belongs_to_the_profiles_model(
    read: Callable[..., list[float]], write: Write, tiny_model: Path
) -> None:
    profile = write(model="emotion-small.int8.tflite", engine="litert")
    assert read("--profile", profile, "--model", tiny_model)


def test_the_detectors_engine_belongs_to_the_profiles_detector(
    read: Callable[..., list[float]],
    write: Write,
    tiny_model: Path,
    fixed_detector: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A refusal tells which engine it was."""
    fixed = str(fixed_detector)
    profile = write(model=str(tiny_model), detector=fixed, detector_engine="onnxruntime")
    assert cli.main(["run", "demo", "--headless", "--profile", str(profile)]) == 2
    assert "ONNX Runtime can run: its input is fixed" in capsys.readouterr().err
    assert read("--profile", profile, "--detector", fixed)


def test_what_the_profile_names_and_is_not_there_is_said(
    write: Write, detector: str, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = str(write(model="nowhere.onnx", detector=detector))
    assert cli.main(["run", "demo", "--headless", "--profile", profile]) == 2
    assert "nowhere.onnx is not there" in capsys.readouterr().err
