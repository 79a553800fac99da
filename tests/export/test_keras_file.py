"""`edgemood export` of a Keras file that somebody else made: a network, labels, labelled faces."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from edgemood.cli import main
from edgemood.crop import SIZE
from edgemood.datasets import open_dataset
from edgemood.runtime.engines import EmotionModel

# Of a network whose author did not sort them.
LABELS = ("rows", "disc", "columns")


def theirs(trained_run: Path, pixels: str, output: str) -> keras.Model:
    """The trained network as others would have it: other pixels, other labels' order, logits."""
    model = keras.models.load_model(trained_run / "model.keras")
    kernel, bias = model.layers[0].get_weights()
    scale, offset = {"0..255": (1, 0), "0..1": (255, 0), "-1..1": (127.5, 127.5)}[pixels]
    model.layers[0].set_weights([kernel * scale, bias + offset * kernel.sum(axis=(0, 1, 2))])
    kernel, bias = model.layers[-1].get_weights()
    last = layers.Dense(3, activation=None if output == "logits" else output)
    model = keras.Sequential([keras.Input((SIZE, SIZE, 1)), *model.layers[:-1], last])
    last.set_weights([kernel[:, ::-1], bias[::-1]])
    return model


@pytest.mark.parametrize(
    ("pixels", "output", "ending"),
    [("0..1", "logits", ".keras"), ("-1..1", "softmax", ".keras"), ("0..255", "logits", ".h5")],
    ids=lambda value: value,
)
def test_a_network_of_others_becomes_files_that_say_what_it_says(
    pixels: str, output: str, ending: str, trained_run: Path, pattern_folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    theirs(trained_run, pixels, output).save(tmp_path / f"theirs{ending}")
    monkeypatch.setenv("EDGEMOOD_DATA", str(pattern_folder))
    words = [str(tmp_path / f"theirs{ending}"), "--labels", ",".join(LABELS)]
    words += [f"--pixels={pixels}", "--output", str(tmp_path / "models")]
    assert main(["export", *words]) == 0

    test = open_dataset(pattern_folder).split("test")
    wanted = np.array([LABELS.index(name) for name in test.classes])[test.labels]
    for end in (".onnx", ".int8.onnx", ".int8.tflite"):
        model = EmotionModel(tmp_path / "models" / f"emotion-theirs{end}")
        assert model.labels == LABELS
        assert (model.predict(test.images()).argmax(axis=1) == wanted).mean() > 0.9
        assert model.card.macs == 24 * 24 * (72 + 1152) + 6 * 6 * 2304 + 48


def of_a_run_folder(folder: Path, data: Path) -> list[str]:
    return [str(folder), "--labels", "a,b", "--data", str(data)]


def without_labels(folder: Path, data: Path) -> list[str]:
    return [str(folder / "model.keras"), "--data", str(data)]


def without_pixels(folder: Path, data: Path) -> list[str]:
    return [str(folder / "model.keras"), "--labels", "columns,disc,rows", "--data", str(data)]


def with_too_few_labels(folder: Path, data: Path) -> list[str]:
    return [str(folder / "model.keras"), "--labels", "disc,rows", "--data", str(data / "test")]


def with_other_labels(folder: Path, data: Path) -> list[str]:
    return [str(folder / "model.keras"), "--labels", "Disc,rows,columns", "--data", str(data)]


def with_too_many_labels(folder: Path, data: Path) -> list[str]:
    return [
        str(folder / "model.keras"), "--labels", "columns,disc,rows,waves", "--data", str(data)
    ]  # fmt: skip


def with_nothing_to_judge_on(folder: Path, data: Path) -> list[str]:
    words = ["--labels", "columns,disc,rows", "--data", str(data / "train")]
    return [str(folder / "model.keras"), *words]


def with_sigmoids(folder: Path, data: Path) -> list[str]:
    theirs(folder, "0..255", "sigmoid").save(folder / "sigmoid.keras")
    return [str(folder / "sigmoid.keras"), "--labels", ",".join(LABELS), "--data", str(data)]


def of_colour(folder: Path, data: Path) -> list[str]:
    keras.Sequential(
        [keras.Input((SIZE, SIZE, 3)), layers.Flatten(), layers.Dense(3, "softmax")]
    ).save(folder / "colour.keras")
    return [str(folder / "colour.keras"), "--labels", ",".join(LABELS), "--data", str(data)]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (of_a_run_folder, "is a folder: --labels and --pixels go with a Keras file"),
        (without_labels, "does not say what its outputs stand for"),
        (without_pixels, "does not say what pixels it was trained on"),
        (with_too_few_labels, "has the class 'columns', which --labels does not name"),
        (with_other_labels, "has the class 'disc', which --labels does not name"),
        (with_too_many_labels, "to (None, 3), (None, 48, 48, 1) to (None, 4)"),
        (with_nothing_to_judge_on, "has the splits all: train/"),
        (with_sigmoids, "do not sum to 1: softmax or logits were wanted"),
        (of_colour, "maps (None, 48, 48, 3)"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_does_not_fit_is_refused_in_a_sentence(
    words, says: str, run: Path, pattern_folder: Path, tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    arguments = [*words(run, pattern_folder), "--output", str(tmp_path / "models")]
    arguments += [] if words is without_pixels else ["--pixels", "0..255"]
    assert main(["export", *arguments]) == 2
    [message] = capfd.readouterr().err.splitlines()
    assert message.startswith("edgemood: ")
    assert says in message
    assert not (tmp_path / "models").exists()


def export(model: keras.Model, data: Path, folder: Path) -> int:
    model.save(folder / "theirs.keras")
    words = [str(folder / "theirs.keras"), "--labels", ",".join(LABELS), "--pixels", "0..255"]
    return main(["export", *words, "--data", str(data), "--output", str(folder / "models")])


def test_a_network_too_short_to_be_quantised_stays_in_float(
    pattern_folder: Path, tmp_path: Path
) -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((SIZE, SIZE, 1)), layers.Flatten(), layers.Dense(3)])
    assert export(model, pattern_folder, tmp_path) == 0
    crops = open_dataset(pattern_folder).split("test").images()
    exact, short = (
        EmotionModel(tmp_path / "models" / f"emotion-theirs{end}").predict(crops)
        for end in (".onnx", ".int8.onnx")
    )
    assert np.allclose(exact, short, atol=1e-5)


def test_a_layer_that_a_format_lacks_is_named_and_nothing_is_written(
    pattern_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    chain = [layers.Conv2D(4, 3, activation="gelu"), layers.Flatten(), layers.Dense(3)]
    model = keras.Sequential([keras.Input((SIZE, SIZE, 1)), *chain])
    assert export(model, pattern_folder, tmp_path) == 1
    message = capfd.readouterr().err.splitlines()[-1]
    assert message.startswith("edgemood: emotion-theirs.onnx cannot be made: No Op registered for")
    assert not (tmp_path / "models").exists()
