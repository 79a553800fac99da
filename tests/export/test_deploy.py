"""`edgemood export` from the outside: where files go, what is refused, what is left behind."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgemood.cli import main
from edgemood.datasets import open_dataset
from edgemood.errors import EdgemoodError
from edgemood.export import deploy
from edgemood.export.quantize import PICTURES, calibration_sample
from edgemood.export.source import newest_run, read_source
from edgemood.files import write_together
from edgemood.modelfile import read_model


def change_config(run: Path, **values: object) -> None:
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | values))


def test_the_float_tflite_stays_in_the_run_folder(exported: dict[str, Path]) -> None:
    deployed = {path.name for path in exported[".onnx"].parent.iterdir()}
    assert deployed == {
        f"emotion-tiny{end}" for end in (".onnx", ".int8.onnx", ".int8.tflite", ".md")
    }
    assert exported[".tflite"].exists()


def test_a_badly_calibrated_export_fails_and_leaves_everything_as_it_was(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "models"
    output.mkdir()
    (output / "emotion-tiny.onnx").write_bytes(b"of yesterday")
    before = sorted(run.iterdir())
    black = np.zeros((20, 48, 48), np.uint8)
    monkeypatch.setattr(deploy, "calibration_sample", lambda dataset: black)

    assert main(["export", str(run), "--output", str(output)]) == 1

    printed = capfd.readouterr()
    message = printed.err.splitlines()[-1]
    assert message.startswith("edgemood: emotion-tiny.int8.onnx loses")
    assert "points of accuracy, at most" in message
    assert "largest difference" in printed.out, "the figures are shown all the same"
    assert [path.name for path in output.iterdir()] == ["emotion-tiny.onnx"]
    assert (output / "emotion-tiny.onnx").read_bytes() == b"of yesterday"
    assert sorted(run.iterdir()) == before


def test_export_tells_what_it_does_in_lines_and_tables_without_tensorflow_noise(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(run), "--output", str(tmp_path)]) == 0
    printed = capfd.readouterr()
    starts = ("converting to ", "judging on 60 pictures of test", "wrote ")
    assert all(line.startswith(starts) for line in printed.err.splitlines()), printed.err
    assert printed.out.splitlines()[0] == "60 pictures of test"
    assert "allowed, int8" in printed.out
    assert "disc" in printed.out


def test_a_data_set_without_a_test_split_is_judged_on_what_was_held_back(
    run: Path, pattern_folder: Path, tmp_path: Path
) -> None:
    faces = tmp_path / "faces"
    shutil.copytree(pattern_folder / "train", faces)
    held_back = list(range(0, len(open_dataset(faces)), 4))
    change_config(run, data=str(faces), training_split="all", held_back=held_back)
    assert main(["export", str(run), "--output", str(tmp_path / "models")]) == 0
    card = read_model(tmp_path / "models" / "emotion-tiny.int8.onnx").card
    assert list(card.accuracy) == ["held back"]
    assert card.parity["pictures"] == len(held_back)


def test_calibration_sees_only_pictures_that_were_learnt_from(trained_run: Path) -> None:
    source = read_source(trained_run)
    dataset = open_dataset(source.data)
    calibration, judged, split = deploy.pictures_for(source, dataset)
    held_back = dataset.select(np.isin(dataset.rows, source.held_back)).images()
    seen = {crop.tobytes() for crop in calibration}
    assert len(calibration) == 192 - len(held_back)
    assert not seen & {crop.tobytes() for crop in held_back}
    assert not seen & {crop.tobytes() for crop in judged.images()}
    assert (split, len(judged)) == ("test", 60)


def test_calibration_sample_has_the_same_share_of_every_class(pattern_folder: Path) -> None:
    few = open_dataset(pattern_folder)
    places = np.concatenate(
        [np.flatnonzero(few.labels == i)[:n] for i, n in enumerate((80, 40, 9))]
    )
    many = few.select(np.tile(places, 100))
    sample = calibration_sample(many)
    assert PICTURES <= len(sample) <= PICTURES + 3
    assert np.array_equal(sample, calibration_sample(many)), "the same every time"


def test_files_of_the_baseline_stay_in_its_run_folder(run: Path) -> None:
    change_config(run, name="seed")
    assert deploy.default_output(read_source(run)) == run


def test_other_files_go_to_the_models_folder_of_this_checkout(run: Path) -> None:
    assert deploy.default_output(read_source(run)) == Path(__file__).parents[2] / "models"


def test_the_newest_finished_run_is_taken(tmp_path: Path) -> None:
    for age, name in enumerate(["new", "old"]):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.keras").touch()
        os.utime(tmp_path / name / "model.keras", (1000 - age, 1000 - age))
    (tmp_path / "unfinished").mkdir()
    assert newest_run(tmp_path) == tmp_path / "new"


def without_config(run: Path) -> None:
    (run / "config.json").unlink()


def without_network(run: Path) -> None:
    (run / "model.keras").unlink()


def with_damaged_config(run: Path) -> None:
    (run / "config.json").write_text('{"name": ')


def with_damaged_network(run: Path) -> None:
    data = (run / "model.keras").read_bytes()
    (run / "model.keras").write_bytes(data[: len(data) // 2])


def of_an_unfinished_run(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    del config["card"]
    (run / "config.json").write_text(json.dumps(config))


def with_other_classes(run: Path) -> None:
    change_config(run, classes=["disc", "columns", "rows"])


def with_more_classes(run: Path) -> None:
    change_config(run, classes=["columns", "disc", "rows", "waves"])


def of_other_rows(run: Path) -> None:
    change_config(run, held_back=[0, 1, 2])


def of_missing_data(run: Path) -> None:
    change_config(run, data=str(run / "gone"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without_config, "not the folder of a training run"),
        (without_network, "a finished training run was wanted"),
        (with_damaged_config, "is damaged"),
        (with_damaged_network, "cannot be loaded as a Keras network"),
        (of_an_unfinished_run, "has no 'card'"),
        (with_other_classes, "the network knows disc, columns, rows"),
        (with_more_classes, "(None, 4) (one number"),
        (of_other_rows, "has changed since"),
        (of_missing_data, "is not there"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_run_that_cannot_be_exported_is_refused_in_a_sentence(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], spoil, words: str
) -> None:
    spoil(run)
    assert main(["export", str(run), "--output", str(tmp_path / "models")]) == 2
    [message] = capfd.readouterr().err.splitlines()
    assert message.startswith("edgemood: ")
    assert words in message
    assert not (tmp_path / "models").exists()


def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["export", str(run), "--output", str(tmp_path / "file" / "models")]) == 2
    [message] = capfd.readouterr().err.splitlines()
    assert "is not a folder" in message


def test_no_finished_run_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EdgemoodError, match="make train"):
        newest_run(tmp_path)


def test_an_error_while_files_are_written_moves_none_of_them(tmp_path: Path) -> None:
    files = {tmp_path / "a": b"1", tmp_path / "not there" / "b": b"2"}
    with pytest.raises(EdgemoodError):
        write_together(files)
    assert list(tmp_path.iterdir()) == []
