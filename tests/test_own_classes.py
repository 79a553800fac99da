"""The whole line on labels of one's own: class folders in, readings with these labels out."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgemood.cli import main
from edgemood.modelfile import read_model

DEMO = Path(__file__).parents[1] / "runtime" / "demo"
# Label -> the demo's face, how many pictures of it there are to learn from, and their BGR tint.
MOODS = {
    "gleeful": ("happy", 60, (1.0, 1.0, 1.0)),
    "startled": ("surprise", 6, (0.8, 1.0, 1.1)),
    "stern": ("angry", 40, (1.0, 1.0, 1.0)),
}


def face(label: str, rng: np.random.Generator) -> np.ndarray:
    """One in a size, shape and light of its own: BGR uint8, 30 to 200 pixels wide."""
    expression, _, tint = MOODS[label]
    gray = cv2.imread(str(DEMO / f"{expression}.png"), cv2.IMREAD_GRAYSCALE)
    width = int(rng.integers(30, 200))
    image = cv2.resize(gray, (width, round(width * rng.uniform(0.9, 1.1)))).astype(float)
    image = image[:, :, None] * tint + rng.normal(0, 8, (*image.shape, 1)) + rng.uniform(-25, 25)
    return image.clip(0, 255).astype(np.uint8)


@pytest.fixture
def moods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Class folders: many sizes, colour and gray, and ten times as many of one class."""
    rng = np.random.default_rng(0)
    for label, (_, count, _) in MOODS.items():
        for split, number in (("train", count), ("test", 8)):
            (tmp_path / "moods" / split / label).mkdir(parents=True)
            for i in range(number):
                picture = face(label, rng)
                if i % 2:
                    picture = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
                ending = ("png", "jpg")[i % 2]
                cv2.imwrite(str(tmp_path / "moods" / split / label / f"{i}.{ending}"), picture)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "moods"


def test_three_commands_lead_from_class_folders_to_readings_with_their_labels(
    moods: Path, yunet: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for label, (expression, _, _) in MOODS.items():
        small = cv2.imread(str(DEMO / f"{expression}.png"))
        photo = np.full((480, 640, 3), 90, np.uint8)
        photo[110:370, 190:450] = cv2.resize(small, (260, 260), interpolation=cv2.INTER_CUBIC)
        Path("photos").mkdir(exist_ok=True)
        cv2.imwrite(f"photos/{label}.png", photo)

    assert main(["train", "--data", "moods", "--recipe", "nano", "--epochs", "25"]) == 0
    assert "'startled' has 5 of these pictures, 'gleeful' 57" in capfd.readouterr().err
    assert main(["export", "--output", "models"]) == 0
    model = "models/emotion-nano.int8.onnx"
    words = ["--detector", yunet, "--headless", "--jsonl", "faces.jsonl"]
    assert main(["run", "photos", "--model", model, *words]) == 0

    assert read_model(model).card.labels == tuple(MOODS)
    read = [json.loads(line) for line in Path("faces.jsonl").read_text().splitlines()]
    assert {line["name"]: [f["emotion"] for f in line["faces"]] for line in read} == {
        f"{label}.png": [label] for label in MOODS
    }


def test_damaged_pictures_among_them_are_all_named_before_anything_is_learnt(
    moods: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (moods / "train" / "stern" / "1.jpg").write_bytes(b"no picture")
    (moods / "test" / "gleeful" / "2.png").write_bytes(b"")
    assert main(["train", "--data", "moods", "--recipe", "nano"]) == 2
    [message] = capfd.readouterr().err.splitlines()
    assert message == (
        "edgemood: moods: test/gleeful/2.png cannot be decoded as a picture, nor can "
        "train/stern/1.jpg. Mend or remove what is damaged."
    )
    assert not Path("runs").exists()


def test_a_class_that_is_missing_from_the_test_pictures_is_named(
    moods: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for path in (moods / "test" / "stern").iterdir():
        path.unlink()
    assert main(["train", "--data", "moods", "--recipe", "nano"]) == 2
    [message] = capfd.readouterr().err.splitlines()
    assert "the split 'test' has no picture of the class 'stern'" in message
