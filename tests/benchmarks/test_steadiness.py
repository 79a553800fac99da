"""`edgemood steadiness` counts changes, times reactions, and judges doubts and resting faces."""

from __future__ import annotations

import json
import math
import shutil
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgemood import damage
from edgemood.benchmarks.steadiness import (
    CLEAR,
    Step,
    doubted,
    flicker,
    jittered,
    placed,
    reaction,
    rested,
    steps,
)
from edgemood.cli import main
from edgemood.runtime import FaceDetector, open_source
from edgemood.runtime.smoothing import DWELL, TAU, Smoother
from edgemood.runtime.sources.demo import Demo
from edgemood.values import Emotion, Face, Reading

DEMO = Path(__file__).parents[2] / "runtime" / "demo"
LABELS = ("angry", "happy", "neutral", "sad")


def reading(track: int, label: str, unsure: str | None = None) -> Reading:
    face = Face((0, 0, 9, 9), 1.0, np.zeros((5, 2), np.float32))
    return Reading(track, face, Emotion(label, 1.0, {label: 1.0}), unsure)


def demo_faces() -> tuple[np.ndarray, np.ndarray]:
    """Two classes whose faces differ much, gray uint8 [2, 48, 48], and their places."""
    pictures = [cv2.imread(str(DEMO / f"{name}.png"), 0) for name in ("happy", "surprise")]
    return np.array(pictures, np.uint8), np.array([0, 1])


def by_looks(images: np.ndarray) -> np.ndarray:
    """Which of the two it looks like, as probabilities [N, 2]: a nearest neighbour."""
    known = demo_faces()[0].astype(np.float32)
    away = np.abs(images[:, None].astype(np.float32) - known).mean(axis=(2, 3))
    odds = np.exp(-away)
    return odds / odds.sum(axis=1, keepdims=True)


def test_flicker_counts_changes_of_each_track_over_its_own_seconds() -> None:
    found = flicker(
        [
            (0.0, [reading(1, "sad"), reading(2, "happy")]),
            (1.0, [reading(1, "happy"), reading(2, "happy", "too dark")]),
            (2.0, [reading(1, "sad")]),
            (4.0, []),
        ]
    )
    assert (found.changes, found.seconds, found.readings) == (2, 3.0, 5)
    assert found.rate == pytest.approx(2 / 3)
    assert found.unsure == {"too dark": 1}
    assert math.isnan(flicker([(0.0, [])]).rate)


@pytest.mark.parametrize("mixed", [False, True])
def test_steps_go_from_one_class_into_each_and_no_two_frames_are_alike(mixed: bool) -> None:
    seen: list[np.ndarray] = []

    def predict(images: np.ndarray) -> np.ndarray:
        seen.append(images)
        return by_looks(images)

    made = list(steps(predict, *demo_faces(), 2, mixed, np.random.default_rng(0)))
    assert [(step.before, step.after) for step in made] == [(1, 0), (1, 0), (0, 1), (0, 1)]
    assert all(step.is_read for step in made)
    assert len({image.tobytes() for image in seen[0]}) == len(seen[0])
    assert made[0].times[[0, 45, -1]] == pytest.approx([-1.5, 0.0, 44 / 30])


def test_of_one_class_alone_there_are_no_steps() -> None:
    pictures, labels = demo_faces()
    alone = labels == labels[0]
    rng = np.random.default_rng(0)
    assert not list(steps(by_looks, pictures[alone], labels[alone], 2, False, rng))


def test_jitter_changes_a_face_less_than_another_face_does() -> None:
    pictures = demo_faces()[0]
    moved = jittered(np.repeat(pictures, 20, axis=0), np.random.default_rng(0))
    assert (by_looks(moved).argmax(axis=1) == np.repeat([0, 1], 20)).all()


def test_a_clear_step_is_followed_after_the_dwell_and_one_that_is_not_read_never() -> None:
    times = (np.arange(90) - 45) / 30
    sides = np.repeat([[0.9, 0.1], [0.1, 0.9]], 45, axis=0)
    step = Step(0, 1, sides, times)
    assert step.is_read
    assert DWELL <= reaction(step, Smoother()) <= DWELL + TAU + 1 / 30
    assert reaction(step, Smoother(tau=1e-6, dwell=0.0)) == 0
    still = Step(0, 1, np.repeat([[0.9, 0.1]], 90, axis=0), times)
    assert not still.is_read
    assert reaction(still, Smoother()) == math.inf


def test_doubt_is_judged_by_what_it_marks_and_what_it_leaves() -> None:
    clear = demo_faces()[0][[0, 0, 0, 0]]
    clear[1] = damage.dark(clear[1], 0.05)
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.55, 0.45], [0.9, 0.1]])
    truth = np.array([0, 1, 1, 0])
    found = doubted("some", [CLEAR] * 4, clear, probabilities, truth, bound=0.6)
    assert found.marked == {"too dark": 0.25, "low confidence": 0.25}
    assert (found.accuracy, found.kept, found.relied) == (0.5, pytest.approx(2 / 3), 1.0)


def test_faces_placed_in_frames_are_found_with_the_width_they_have(yunet: str) -> None:
    # YuNet, since the boxes of the shipped detector vary where a drawn face fills its picture.
    faces, crops, which = placed(FaceDetector(yunet), demo_faces()[0], 100)
    assert which.tolist() == [0, 1]
    assert crops.shape == (2, 48, 48)
    assert [face.box[2] for face in faces] == pytest.approx([100, 100], rel=0.15)


def test_resting_faces_are_judged_by_pictures_that_they_were_not_taken_from() -> None:
    rest, sorrow = [0.1, 0.05, 0.35, 0.5], [0.04, 0.01, 0.05, 0.9]
    faces = np.array([rest, rest, [0.1, 0.05, 0.45, 0.4], rest])
    people = np.array(["ann", "ann", "ann", "once"])
    found = rested(LABELS, faces, people, np.array([sorrow, rest]), np.array([3, 3]))
    assert (found.people, found.pictures) == (1, 3)
    assert found.before == pytest.approx(2 / 3)
    assert found.after == 0
    without, shifted = found.recall["sad"]
    assert without == 1.0
    # Of two sad pictures, the one that looks like the resting face is lost to it.
    assert shifted == 0.5


def test_the_command_prints_every_figure_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in sorted(DEMO.glob("*.png")):
        for folder in (f"faces/{path.stem}", "rest/ann", "rest/bob"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tmp_path / folder)
    clip = str(tmp_path / "clip.avi")
    writer = cv2.VideoWriter(clip, cv2.VideoWriter.fourcc(*"MJPG"), 25, Demo.SIZE)
    for frame in islice(open_source("demo"), 40, 90):  # neutral becomes happy
        writer.write(frame.image)
    writer.release()
    arguments = ["--data", str(tmp_path / "faces"), "--people", str(tmp_path / "rest")]
    assert main(["steadiness", clip, *arguments, "--steps", "1", "--json", "-"]) == 0
    figures = json.loads(capsys.readouterr().out)
    (shown,) = figures["clips"]
    assert shown["raw"]["changes"] >= shown["smoothed"]["changes"] == 1
    assert shown["smoothed"]["seconds"] == pytest.approx(49 / 25, abs=0.1)
    every = [each for each in figures["reaction"] if each["into"] == "all"]
    assert [(each["frames"], each["drawn"]) for each in every][1] == ("mixed", 7)
    doubts = {each["damage"]: each for each in figures["doubt"]}
    assert doubts["clean"]["marked"].get("too dark", 0) == 0
    assert doubts["light x0.08"]["marked"]["too dark"] == 1
    assert (figures["rest"]["people"], figures["rest"]["pictures"]) == (2, 14)


def test_a_picture_is_no_clip_and_no_steps_are_no_measurement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("happy", "surprise"):
        (tmp_path / "faces" / name).mkdir(parents=True)
        shutil.copy(DEMO / f"{name}.png", tmp_path / "faces" / name)
    data = ["--data", str(tmp_path / "faces")]
    assert main(["steadiness", str(DEMO / "happy.png"), *data]) == 2
    assert "is no video" in capsys.readouterr().err
    assert main(["steadiness", "--steps", "0", *data]) == 2
    assert "--steps 1 or more" in capsys.readouterr().err
