"""A run of the detector leaves a whole folder behind, and resumes bit for bit."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from edgemood.errors import EdgemoodError
from edgemood.export.face_detector import to_onnx
from edgemood.train import runs as every_run
from edgemood.train.detector import fit, judge, pictures, report, runs
from edgemood.train.detector.network import detector, fold

QUICK = fit.Recipe(steps=2, warmup=0, sizes=((64, 64, 4, 1.0),), held_out=0.25)


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Few frames to judge by, and an untrained network as the teacher that they are shown to."""
    teacher = tmp_path_factory.mktemp("teacher") / "teacher.onnx"
    network = to_onnx(fold(detector()))
    teacher.write_bytes(network)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEMOOD_DETECTOR", str(teacher))
        patch.setattr(pictures, "YUNET_SHA256", hashlib.sha256(network).hexdigest())
        patch.setattr(judge, "FRAMES", 6)
        patch.setattr(fit, "VALIDATION", 4)
        yield


def start(archive: Path, taught: Callable[[Path], Path], folder: Path) -> Path:
    run = runs.start(str(archive), 2, 0, folder, recipe=QUICK)
    taught(run / runs.LABELS)
    return run


@pytest.fixture(scope="module")
def run(
    archive: Path, taught: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = start(archive, taught, tmp_path_factory.mktemp("run") / "face")
    runs.train(folder)
    return folder


def test_a_run_folder_holds_everything_about_its_run(run: Path) -> None:
    assert sorted(path.name for path in run.iterdir()) == [
        "config.json", "curves.png", "history.csv", "labels.npz", "model.keras", "recall.png",
        "report.md", "weights.npz",
    ]  # fmt: skip
    report = (run / "report.md").read_text()
    assert "| frames, 160x128, at least 1/8 of the frame's width |" in report
    assert "--recipe face --epochs 2" in report
    assert (run / "history.csv").read_text().startswith("epoch,learning_rate,loss,val_loss\n1,")


def test_a_resumed_run_ends_bit_for_bit_as_an_undisturbed_one(
    archive: Path, taught: Callable[[Path], Path], tmp_path: Path
) -> None:
    whole, broken = (start(archive, taught, tmp_path / name) for name in ("whole", "broken"))
    runs.train(whole)
    bank, held_out = pictures.split(pictures.read(archive, broken / runs.LABELS), 0.25, 0)
    keras.utils.set_random_seed(0)
    state = fit.prepare(QUICK, 2)
    fit.fit(QUICK, bank, held_out, state, 1, 0, broken / every_run.CHECKPOINT)
    runs.train(broken)
    assert (broken / "history.csv").read_bytes() == (whole / "history.csv").read_bytes()
    ours, theirs = (
        keras.models.load_model(folder / "model.keras").get_weights() for folder in (broken, whole)
    )
    for one, other in zip(ours, theirs, strict=True):
        assert np.array_equal(one, other)


def test_another_run_begins_with_the_weights_of_a_run(
    run: Path, archive: Path, tmp_path: Path
) -> None:
    first, again = (fit.prepare(QUICK, 2, run / runs.WEIGHTS) for _ in range(2))
    assert (run / runs.WEIGHTS).stat().st_size < 300_000
    pixels = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 1)).astype(np.float32)
    folded = keras.models.load_model(run / "model.keras")(pixels)
    said = fold(first.average, every_run.read_config(run)["card"]["score_shifts"])(pixels)
    for one, other in zip(said, folded):
        # float16 keeps three decimals.
        assert np.allclose(one, other, atol=0.02)
    assert all(map(np.array_equal, first.model.get_weights(), again.average.get_weights()))
    following = runs.start(str(archive), 1, 0, tmp_path / "next", run / runs.WEIGHTS, QUICK)
    shutil.copy(run / runs.LABELS, following)
    runs.train(following)
    assert (following / "report.md").exists()
    (tmp_path / "other.npz").write_bytes(b"no weights")
    with pytest.raises(EdgemoodError, match="has no weights of this network"):
        runs.start(str(archive), 2, 0, tmp_path / "run", tmp_path / "other.npz", QUICK)
    assert not (tmp_path / "run").exists()


def test_expressions_without_a_picture_to_judge_by_are_left_out(
    archive: Path, tmp_path: Path
) -> None:
    shutil.copy(archive, tmp_path)
    pixels = " ".join(["100"] * 48 * 48)
    rows = [f"{code},{pixels},PublicTest" for code in (0, 4)]
    (tmp_path / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    nobody = np.empty((0, 15), np.float32)
    bank = pictures.Bank({}, [pictures.Picture((np.zeros((100, 120), np.uint8),), nobody)])
    judged = report.expressions_to_judge(tmp_path)
    assert judged is not None
    found = report.expressions(lambda images: [nobody] * len(images), judged, bank)
    assert found == {"angry": 0, "sad": 0}


def test_a_recipe_comes_back_from_its_config(run: Path) -> None:
    config = every_run.read_config(run)
    assert config["name"] == "face"
    assert runs.recipe_of(config) == QUICK


@pytest.mark.parametrize(
    ("data", "epochs", "says"),
    [
        (None, None, "no data was named"),
        ("nowhere.zip", None, "is not a zip with people_keypoints"),
        ("nowhere.zip", 0, "0 epochs"),
    ],
    ids=["no data", "no archive", "no epochs"],
)
def test_what_does_not_fit_is_refused_in_one_sentence(
    data: str | None, epochs: int | None, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGEMOOD_DATA", raising=False)
    with pytest.raises(EdgemoodError, match=says):
        runs.start(data, epochs, 0, tmp_path / "run")
