"""A run: it learns, leaves a whole folder behind, stops and resumes, and repeats itself exactly."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from edgemood.cli import main
from edgemood.datasets import FERPLUS_EMOTIONS, by_ferplus, open_dataset
from edgemood.errors import EdgemoodError
from edgemood.export.deploy import pictures_for
from edgemood.export.source import read_source
from edgemood.metrics import softmax
from edgemood.train import fit, networks, runs
from edgemood.train.augment import Augmentation
from edgemood.train.distill import soft_targets
from edgemood.train.networks import NETWORKS
from edgemood.train.recipes import RECIPES

EPOCHS = 6
VOTES = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"


@pytest.fixture(scope="module", autouse=True)
def quick_recipe() -> None:
    """For little data: a network that is soon compiled, small batches, pictures nearly as they
    are.
    """
    widths = [(16, 2), (32, 2), (64, 2), (64, 1)]
    NETWORKS["quick"] = lambda outputs: networks._plain("quick", widths, outputs)
    RECIPES["quick"] = replace(
        RECIPES["small"],
        network="quick",
        batch=16,
        learning_rate=0.03,
        average=0.9,
        coarse=0.4,
        augmentation=Augmentation(shift=2, light=0.2),
    )


@pytest.fixture(scope="module")
def run(pattern_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "quick"
    runs.train(runs.start("quick", str(pattern_folder), EPOCHS, 0, folder))
    return folder


def history(folder: Path) -> list[dict[str, str]]:
    with open(folder / "history.csv") as file:
        return list(csv.DictReader(file))


def test_a_run_folder_holds_everything_about_its_run(run: Path) -> None:
    assert sorted(path.name for path in run.iterdir()) == [
        "config.json",
        "confusion.png",
        "curves.png",
        "history.csv",
        "model.keras",
        "report.md",
    ]
    for picture in ("curves.png", "confusion.png"):
        assert cv2.imread(str(run / picture)).std() > 5
    report = (run / "report.md").read_text()
    assert "split **test**, 60 pictures" in report
    assert "curves.png" in report
    assert [row["epoch"] for row in history(run)] == [str(i) for i in range(1, EPOCHS + 1)]


def test_the_folded_network_has_learnt_what_the_report_says(
    run: Path, pattern_folder: Path
) -> None:
    model = keras.models.load_model(run / "model.keras")
    test = open_dataset(pattern_folder).split("test")
    probabilities = keras.ops.convert_to_numpy(model(test.images()[..., None].astype(np.float32)))
    share = (probabilities.argmax(axis=1) == test.labels).mean()
    assert share > 0.9
    assert f"| accuracy | {share:.1%} " in (run / "report.md").read_text()


def test_bfloat16_computes_less_exactly_and_keeps_exact_weights(
    run: Path, pattern_folder: Path, tmp_path: Path
) -> None:
    state = fit.prepare(RECIPES["quick"], 3, 3, 1, 1, bfloat16=True)
    assert {variable.dtype for variable in state.model.trainable_variables} == {"float32"}
    *hidden, logits = (layer.compute_dtype for layer in state.model.layers)
    assert set(hidden) == {"bfloat16"}
    assert logits == "float32"
    assert {layer.compute_dtype for layer in state.average.layers} == {"float32"}

    folder = runs.start("quick", str(pattern_folder), EPOCHS, 0, tmp_path / "run", bfloat16=True)
    assert "--bfloat16" in runs.read_config(folder)["made_by"]
    runs.train(folder)
    assert history(folder) != history(run)
    assert float(history(folder)[-1]["val_accuracy"]) > 0.9


def test_history_has_loss_and_accuracy_of_training_and_validation(run: Path) -> None:
    rows = history(run)
    assert set(rows[0]) == {
        "epoch", "learning_rate", "loss", "accuracy", "val_loss", "val_accuracy",
    }  # fmt: skip
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert float(rows[-1]["val_accuracy"]) > float(rows[0]["val_accuracy"])


def test_the_same_seed_gives_the_same_history_and_another_seed_another(
    pattern_folder: Path, tmp_path: Path
) -> None:
    histories = []
    for name, seed in (("once", 0), ("again", 0), ("other", 1)):
        runs.train(runs.start("quick", str(pattern_folder), 2, seed, tmp_path / name))
        histories.append((tmp_path / name / "history.csv").read_bytes())
    assert histories[0] == histories[1]
    assert histories[0] != histories[2]


def weights(folder: Path) -> list[np.ndarray]:
    return keras.models.load_model(folder / "model.keras").get_weights()


def test_a_run_killed_and_resumed_ends_bit_for_bit_as_an_undisturbed_one(
    pattern_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "--recipe", "nano", "--data", str(pattern_folder), "--epochs", "8", "--run"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert main([*words, str(whole)]) == 0

    with subprocess.Popen(
        [sys.executable, "-m", "edgemood.cli", *words, str(broken)],
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("epoch 2 of 8: loss"):
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
        assert process.wait() == 128 + signal.SIGINT
    assert "Go on with: edgemood train --resume" in rest
    assert "Traceback" not in rest
    assert not (broken / "model.keras").exists()

    assert main(["train", "--resume", str(broken)]) == 0
    done = int(capfd.readouterr().err.split("going on after epoch ")[1].split()[0])
    assert 2 <= done < 8
    assert (broken / "history.csv").read_bytes() == (whole / "history.csv").read_bytes()
    for ours, theirs in zip(weights(broken), weights(whole), strict=True):
        assert np.array_equal(ours, theirs)


def test_copies_of_a_picture_are_held_back_together(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(100):
        folder = tmp_path / "train" / ("even", "odd")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        image = rng.integers(0, 256, (48, 48), dtype=np.uint8)
        for copy in range(3):
            cv2.imwrite(str(folder / f"{number}-{copy}.png"), image)
    dataset = open_dataset(tmp_path)
    number = np.array([int(Path(name).stem.split("-")[0]) for name in dataset.names])
    train, held = runs.hold_back(dataset)
    assert len(train) + len(held) == 300
    assert not set(number[train]) & set(number[held])
    assert np.bincount(dataset.labels[held]).tolist() == [6, 6]  # 5 % of 50 pictures, three each


def test_nearly_all_held_back_pictures_stay_so_when_some_are_added(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def add(first: int, count: int) -> None:
        for label in ("a", "b"):
            (tmp_path / label).mkdir(exist_ok=True)
            for i in range(first, first + count):
                # A name that sorts anywhere.
                name = f"{rng.integers(10**9)}-{i}.png"
                cv2.imwrite(str(tmp_path / label / name), rng.integers(0, 256, (48, 48), np.uint8))

    def held() -> set[str]:
        dataset = open_dataset(tmp_path)
        return set(dataset.names[runs.hold_back(dataset)[1]].tolist())

    add(0, 40)
    before = held()
    add(40, 4)
    assert len(before) == 16
    assert len(before - held()) <= 3


def test_few_pictures_make_nobody_sure() -> None:
    logits = np.tile([1.0, 0.0], (20, 1))  # all read rightly, 73 % sure
    heat = runs.fit_temperature(logits, np.zeros(20, int))
    assert 1 / (1 + np.exp(-1 / heat)) == pytest.approx(21 / 22, abs=1e-3)


def test_temperature_undoes_overconfidence() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20_000, 5))
    labels = np.array([rng.choice(5, p=p) for p in softmax(logits)])
    assert runs.fit_temperature(logits, labels) == pytest.approx(1, abs=0.05)
    assert runs.fit_temperature(3 * logits, labels) == pytest.approx(3, abs=0.15)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("big", None, None, 0, None), "no recipe 'big': small, nano, teacher, seed"),
        (("nano", "{data}", 0, 0, None), "0 epochs"),
        (("nano", "{data}", None, -1, None), "--seed is -1: a number from 0 to"),
        (("nano", "{data}", None, 0, "{run}"), "holds a run already"),
        (("seed", "{data}", 1, 0, None, ["{run}"]), "'seed' learns from no teacher"),
        (("nano", "{data}", 1, 0, None, [Path("nowhere")]), "nowhere has no model.keras"),
        (("nano", "{data}", 1, 0, None, [], Path("nowhere")), "Name one with --weights"),
    ],
    ids=[
        "unknown recipe",
        "no epochs",
        "no seed",
        "folder in use",
        "no student",
        "no teacher",
        "no weights",
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(
    arguments: tuple, says: str, run: Path, pattern_folder: Path
) -> None:
    name, data, epochs, seed, folder, *teachers = (
        value.format(data=pattern_folder, run=run) if isinstance(value, str) else value
        for value in arguments
    )
    with pytest.raises(EdgemoodError, match=says):
        runs.start(name, data, epochs, seed, folder and Path(folder), *teachers)


def test_a_run_does_not_go_on_with_other_pictures_or_without_its_teacher(
    run: Path, pattern_folder: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(pattern_folder, tmp_path / "data"))
    teacher = Path(shutil.copytree(run, tmp_path / "teacher"))
    started = runs.start("nano", str(data), 1, 0, tmp_path / "run", [teacher])
    shutil.rmtree(teacher)
    with pytest.raises(EdgemoodError, match="teacher, the teacher of"):
        runs.train(started)
    picture = (data / "train" / "rows" / "1.png").read_bytes()
    (data / "train" / "rows" / "0-new.png").write_bytes(picture)
    with pytest.raises(EdgemoodError, match="data has changed since"):
        runs.train(started)


def test_a_network_that_cannot_be_deployed_is_refused_before_it_is_trained(
    pattern_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(outputs: int) -> keras.Model:
        layers = [keras.layers.Conv2D(4, 3, 8), keras.layers.ReLU(max_value=6)]
        head = [keras.layers.Flatten(), keras.layers.Dense(outputs)]
        return keras.Sequential([keras.Input((48, 48, 1)), *layers, *head])

    monkeypatch.setitem(NETWORKS, "nano", odd)
    with pytest.raises(EdgemoodError, match="'nano' cannot be deployed: re_lu"):
        runs.start("nano", str(pattern_folder), 1, 0, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_finished_run_is_not_resumed(run: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgemoodError, match="has ended"):
        runs.find_unfinished(run)
    with pytest.raises(EdgemoodError, match=r"no run folder: it has no config\.json"):
        runs.find_unfinished(tmp_path)


def test_a_student_learns_what_its_teacher_says(
    run: Path, pattern_folder: Path, tmp_path: Path
) -> None:
    RECIPES["taught"] = replace(RECIPES["quick"], distill=1.0)  # nothing of the labels
    folder = runs.start("taught", str(pattern_folder), EPOCHS, 0, tmp_path / "taught", [run])
    runs.train(folder)
    dataset = open_dataset(pattern_folder).split("test")
    pixels = dataset.images()[..., None].astype(np.float32)
    student, teacher = (
        keras.ops.convert_to_numpy(keras.models.load_model(path / "model.keras")(pixels))
        for path in (folder, run)
    )
    assert (student.argmax(axis=1) == teacher.argmax(axis=1)).mean() > 0.9
    assert "other networks" in runs.read_config(folder)["card"]["training_data"]


def test_a_run_begins_with_what_another_has_learnt(
    run: Path, pattern_folder: Path, tmp_path: Path
) -> None:
    folder = runs.start("quick", str(pattern_folder), 1, 5, tmp_path / "again", (), run)
    runs.train(folder)
    again, first = (float(history(path)[0]["val_accuracy"]) for path in (folder, run))
    assert again > 0.9 > first
    assert f"--weights {run}" in runs.read_config(folder)["made_by"]


def test_weights_of_another_network_are_refused_in_one_sentence(
    run: Path, pattern_folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(run, other)
    # As of the face detector, whose runs know no classes.
    runs.write_config(other, {"name": "face"})
    with pytest.raises(EdgemoodError, match="does not fit: quick is another network than seed"):
        runs.start("seed", str(pattern_folder), 1, 0, tmp_path / "run", (), other)
    assert not (tmp_path / "run").exists()


def test_a_teacher_of_other_classes_is_refused_in_one_sentence(
    run: Path, pattern_folder: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(run, tmp_path / "other"))
    runs.write_config(other, {"classes": ["rows", "disc", "columns"]})
    with pytest.raises(EdgemoodError, match=r"other knows rows, disc, columns: columns, disc, row"):
        runs.start("quick", str(pattern_folder), 1, 0, tmp_path / "run", [other])
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_of_another_network_is_refused_in_one_sentence(
    pattern_folder: Path, tmp_path: Path
) -> None:
    folder = runs.start("quick", str(pattern_folder), 1, 0, tmp_path / "run")
    fit.prepare(RECIPES["seed"], 3, 3, 1, 1).save(folder / runs.CHECKPOINT)
    with pytest.raises(EdgemoodError, match="of another network than the run would have now"):
        runs.train(folder)
    (folder / runs.CHECKPOINT).write_bytes(b"PK half of one")
    with pytest.raises(EdgemoodError, match=r"checkpoint\.npz is damaged"):
        runs.train(folder)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--resume", "--epochs", "9"], "--resume goes on with a run as it was started, --epochs"),
        (["--recipe", "face", "--teacher", "runs/small"], "'face' learns from no teacher"),
        (["--recipe", "face", "--bfloat16"], "'face' takes longer in bfloat16"),
    ],
    ids=["of a run that goes on", "teacher of the face detector", "precision of the face detector"],
)
def test_an_option_that_would_change_nothing_is_refused_in_one_sentence(
    words: list[str], says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *words]) == 2
    [message] = capfd.readouterr().err.splitlines()
    assert says in message


def test_soft_targets_are_heated_and_the_same_for_a_mirrored_picture(
    run: Path, pattern_folder: Path
) -> None:
    dataset = open_dataset(pattern_folder)
    chosen = np.arange(0, len(dataset), 3)
    warm, cold = (soft_targets([run / "model.keras"], dataset, chosen, heat) for heat in (2, 1))
    assert np.allclose(warm[chosen].sum(axis=1), 1)
    assert not np.delete(warm, chosen, axis=0).any()
    assert np.array_equal(warm[chosen].argmax(axis=1), cold[chosen].argmax(axis=1))
    assert (warm[chosen].max(axis=1) <= cold[chosen].max(axis=1)).all()
    # Odds of a heated softmax are square roots of those of the cold one.
    odds = cold[chosen, 0] / cold[chosen, 1]
    assert np.allclose((warm[chosen, 0] / warm[chosen, 1]) ** 2, odds, rtol=1e-3)
    mirrored = replace(
        dataset, _pictures=lambda rows: [image[:, ::-1] for image in dataset._pictures(rows)]
    )
    assert np.allclose(soft_targets([run / "model.keras"], mirrored, chosen), warm, atol=1e-5)


def test_votes_become_a_second_target(faces_csv: Path) -> None:
    dataset = open_dataset(faces_csv)
    config = {"held_back": [0], "training_split": "Training", "teachers": []}
    material = runs.prepare_material(RECIPES["small"], dataset, config)
    classes = len(dataset.classes)
    assert material.targets.shape == (len(dataset), classes + 10)
    assert np.allclose(material.targets[:, :classes].sum(axis=1), 1)
    assert np.allclose(material.targets[:, classes:].sum(axis=1), 1)
    assert 0 not in material.train
    assert material.validation.tolist() == [0]


def test_what_was_learnt_of_votes_is_a_run_of_its_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels, votes = ["emotion,pixels,Usage"], [VOTES]
    for number in range(112):
        code = number % 7
        image = np.full((48, 48), 30 * code + 20) + rng.integers(0, 20, (48, 48))
        pixels.append(f"{code},{' '.join(map(str, image.ravel()))},Training")
        # Every seventh face shows contempt to those who vote, and one in eight is none to them.
        column = 9 if number % 8 == 0 else (4, 5, 6, 1, 7, 2, 0)[code]
        votes.append(
            f"Training,fer{number}.png," + ",".join(str(8 * (i == column)) for i in range(10))
        )
    (tmp_path / "fer2013.csv").write_text("\n".join(pixels) + "\n")
    (tmp_path / "fer2013new.csv").write_text("\n".join(votes) + "\n")
    RECIPES["voted"] = replace(RECIPES["quick"], votes=1.0)
    folder = runs.start("voted", str(tmp_path / "fer2013.csv"), 40, 0, tmp_path / "run")
    runs.train(folder)

    source = read_source(folder / "ferplus")
    assert source.name == "voted-ferplus"
    assert source.labels == FERPLUS_EMOTIONS
    assert read_source(folder).labels == open_dataset(tmp_path / "fer2013.csv").classes
    dataset = by_ferplus(open_dataset(tmp_path / "fer2013.csv"))
    assert len(dataset) == 98
    _, judged, split = pictures_for(source, dataset)
    assert split == "held back"
    said = source.model(judged.images()[..., None].astype(np.float32))
    assert (keras.ops.convert_to_numpy(said).argmax(axis=1) == judged.labels).mean() > 0.7


@pytest.fixture
def faces_csv(tmp_path: Path) -> Path:
    """A fer2013.csv of seven random pictures with fer2013new.csv beside it."""
    rng = np.random.default_rng(0)
    rows = [
        f"{code},{' '.join(map(str, rng.integers(0, 256, 2304)))},Training" for code in range(7)
    ]
    (tmp_path / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    votes = [f"Training,fer{i}.png,{i},{10 - i},0,0,0,0,0,0,0,0" for i in range(7)]
    (tmp_path / "fer2013new.csv").write_text("\n".join([VOTES, *votes]) + "\n")
    return tmp_path / "fer2013.csv"
