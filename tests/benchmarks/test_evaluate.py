"""Figures of classifiers whose answers are known, on generated pictures."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgemood.benchmarks import evaluate as module
from edgemood.benchmarks.evaluate import Candidate, Share, evaluate
from edgemood.datasets import FERPLUS_COLUMNS, open_dataset
from edgemood.errors import EdgemoodError

LABELS = ("black", "gray", "white")
LEVELS = {"black": 20, "gray": 120, "white": 230}


def by_brightness(faces: np.ndarray) -> np.ndarray:
    """Probabilities of LABELS: certain, and right for pictures about as bright as LEVELS."""
    place = np.digitize(faces.mean(axis=(1, 2)), [60, 170])
    return np.eye(3, dtype=np.float32)[place]


PERFECT = Candidate("perfect", LABELS, by_brightness)
CONSTANT = Candidate("constant", LABELS, lambda faces: np.tile([0.5, 0.3, 0.2], (len(faces), 1)))


def picture(level: float, seed: int = 0, side: int = 48) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 4, (side, side))
    return np.clip(level + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def rooms(tmp_path: Path) -> Path:
    """room/class/picture: in the kitchen 48 px and all classes, in the garden 24 px, no white."""
    for room, side, classes in (("kitchen", 48, LABELS), ("garden", 24, LABELS[:2])):
        for name in classes:
            folder = tmp_path / room / name
            folder.mkdir(parents=True)
            for i in range(4):
                cv2.imwrite(str(folder / f"{i}.png"), picture(LEVELS[name], i, side))
    return tmp_path


def write_csv(path: Path, rows: list[tuple[str, np.ndarray, str, str]]) -> Path:
    """Rows of (label, picture, split, age)."""
    with open(path, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["emotion", "pixels", "Usage", "age"])
        for label, image, split, age in rows:
            table.writerow([label, " ".join(map(str, image.ravel())), split, age])
    return path


# --- accuracy -----------------------------------------------------------------------------------


def test_a_perfect_classifier_is_called_perfect(rooms):
    found = evaluate([PERFECT], open_dataset(rooms))
    model = found.models[0]
    assert (found.pictures, found.split, found.copies) == (20, "all", None)
    assert model.accuracy == Share(20, 20)
    assert model.macro_f1 == 1
    assert model.confusion.tolist() == [[8, 0, 0], [0, 8, 0], [0, 0, 4]]
    assert model.calibration.reliability.error == 0
    assert (model.calibration.threshold, model.calibration.coverage) == (0.0, 1.0)
    assert model.unseen is None
    assert model.ferplus is None


def test_a_constant_classifier_finds_one_class(rooms):
    model = evaluate([CONSTANT], open_dataset(rooms)).models[0]
    assert model.accuracy == Share(8, 20)
    assert model.recall == [Share(8, 8), Share(0, 8), Share(0, 4)]
    assert model.precision == [Share(8, 20), Share(0, 0), Share(0, 0)]
    assert model.calibration.reliability.error == pytest.approx(0.5 - 8 / 20)
    assert (model.calibration.threshold, model.calibration.coverage) == (None, 0.0)
    assert all(share == Share(8, 20) for share in model.robustness.values())


def test_damage_costs_what_it_must(rooms):
    robustness = evaluate([PERFECT], open_dataset(rooms)).models[0].robustness
    names = ["clean", "dark", "blur", "tiny24", "jpeg15", "noise", "rot15", "shift4"]
    assert list(robustness) == names
    # In the dark, gray (120) looks black (42) and white (230) gray (80).
    assert robustness["dark"] == Share(8, 20)
    assert all(robustness[name] == Share(20, 20) for name in names if name != "dark")


def test_classes_that_the_data_lack_are_not_asked_for(rooms):
    wide = Candidate(
        "wide", ("asleep", *LABELS), lambda faces: np.pad(by_brightness(faces), ((0, 0), (1, 0)))
    )
    model = evaluate([wide], open_dataset(rooms)).models[0]
    assert model.accuracy == Share(20, 20)
    assert model.macro_f1 == 1
    assert np.isnan(model.recall[0].value)


def test_labels_match_in_any_case_and_either_spelling(tmp_path):
    for name, level in (("Happy", 20), ("anger", 230)):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "1.png"), picture(level))
    theirs = Candidate(
        "theirs", ("happiness", "neutral", "angry"), lambda faces: by_brightness(faces)
    )
    assert evaluate([theirs], open_dataset(tmp_path)).models[0].accuracy == Share(2, 2)


def test_a_class_without_a_label_is_named_with_the_labels_there_are(rooms):
    narrow = Candidate("narrow", ("black", "white"), by_brightness)
    with pytest.raises(EdgemoodError) as caught:
        evaluate([narrow], open_dataset(rooms))
    assert str(caught.value) == (
        f"{rooms}: garden/gray/0.png is of the class 'gray', which narrow does not know: it has "
        "black, white. Rename that class to one of these or leave it out."
    )


def test_copies_of_training_pictures_are_left_out_of_a_second_figure(tmp_path):
    seen, new, wrong = picture(20, 1), picture(20, 2), picture(20, 3)
    path = write_csv(
        tmp_path / "a.csv",
        [
            ("black", seen, "Training", ""),
            ("white", picture(230), "Training", ""),
            ("black", seen, "PublicTest", ""),
            ("black", new, "PublicTest", ""),
            ("white", wrong, "PublicTest", ""),
        ],
    )
    found = evaluate([PERFECT], open_dataset(path))
    assert found.copies == 1
    assert found.models[0].accuracy == Share(2, 3)
    assert found.models[0].unseen == Share(1, 2)
    assert evaluate([PERFECT], open_dataset(path), split="Training").copies is None


def test_ferplus_counts_strict_majorities_that_the_model_knows(tmp_path):
    levels = [20, 20, 230, 230, 20]
    write_csv(
        tmp_path / "fer2013.csv",
        [("3", picture(x, i), "PublicTest", "") for i, x in enumerate(levels)],
    )
    happy, neutral, contempt = (
        FERPLUS_COLUMNS.index(n) for n in ("happiness", "neutral", "contempt")
    )
    votes = np.zeros((5, 10), int)
    votes[0, happy] = 10  # said: right
    votes[1, [happy, neutral]] = 5  # no majority
    votes[2, [happy, neutral]] = 4, 6  # said: right, though the label is happy
    votes[3, contempt] = 10  # not among the model's labels
    votes[4, neutral] = 10  # not said: wrong
    with open(tmp_path / "fer2013new.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["Usage", *FERPLUS_COLUMNS])
        table.writerows([["PublicTest", *row] for row in votes.tolist()])
    model = Candidate("two", ("happy", "sad", "neutral"), by_brightness)
    assert evaluate([model], open_dataset(tmp_path)).models[0].ferplus == Share(2, 3)


# --- slices -------------------------------------------------------------------------------------


def test_slices_by_folder_level_and_by_picture_size(rooms):
    slices = evaluate([CONSTANT], open_dataset(rooms), by=["1", "2"]).models[0].slices
    assert slices["folder level 1"] == {"kitchen": Share(4, 12), "garden": Share(4, 8)}
    assert slices["folder level 2"] == {
        "black": Share(8, 8), "gray": Share(0, 8), "white": Share(0, 4)
    }  # fmt: skip
    assert slices["size"] == {"under 32": Share(4, 8), "48 to 95": Share(4, 12)}
    assert all(share.small for share in slices["size"].values())


@pytest.mark.parametrize("start", [0, 1990, 1_700_000_000])
def test_quarters_are_told_by_limits_that_are_true(start):
    values = start + np.arange(1000.0) / 10
    groups = module.quarters(values)
    assert [group.sum() for group in groups.values()] == [250] * 4
    first, *_, last = groups
    assert (values[groups[first]] <= float(first.removeprefix("up to "))).all()
    assert (values[groups[last]] > float(last.removeprefix("over "))).all()


def test_slices_by_brightness_are_quarters(rooms):
    slices = evaluate([CONSTANT], open_dataset(rooms)).models[0].slices
    assert sum(share.total for share in slices["brightness"].values()) == 20
    assert sum(share.right for share in slices["brightness"].values()) == 8
    darkest = next(iter(slices["brightness"].values()))
    assert darkest.right == darkest.total == 5


def test_sharpness_tells_a_sharp_picture_from_a_blurred_one(tmp_path):
    for name, sigma in (("black", 0), ("white", 3)):
        (tmp_path / name).mkdir()
        for i in range(4):
            image = np.random.default_rng(i).integers(0, 40, (48, 48), dtype=np.uint8)
            image = cv2.GaussianBlur(image, (0, 0), sigma) if sigma else image
            cv2.imwrite(str(tmp_path / name / f"{i}.png"), image)
    slices = evaluate([PERFECT], open_dataset(tmp_path)).models[0].slices["sharpness"]
    # All look black; the blurred half is labelled white.
    assert [share.right for share in slices.values()] == [0, 0, 2, 2]


@pytest.mark.parametrize(
    ("ages", "groups"),
    [
        pytest.param(["9", "9", "70"] * 8, ["9", "70"], id="a few values are groups"),
        pytest.param(
            [str(i) for i in range(25)],
            ["up to 6", "6 to 12", "12 to 18", "over 18"],
            id="many numbers are cut into quarters",
        ),
        pytest.param(["", "old"] * 12, ["(empty)", "old"], id="an empty cell is a group"),
    ],
)
def test_slices_by_a_csv_column(tmp_path, ages, groups):
    rows = [(LABELS[i % 2], picture(20, i), "", age) for i, age in enumerate(ages)]
    dataset = open_dataset(write_csv(tmp_path / "a.csv", rows))
    model = evaluate([PERFECT], dataset, by=["age"]).models[0]
    assert list(model.slices["column age"]) == groups
    assert sum(share.total for share in model.slices["column age"].values()) == len(ages)


def test_a_slice_that_is_not_there_says_which_are(rooms, tmp_path):
    with pytest.raises(EdgemoodError, match=r"cannot be sliced by 'age': it has 1, 2\. Name"):
        evaluate([PERFECT], open_dataset(rooms), by=["age"])
    path = write_csv(tmp_path / "a.csv", [(name, picture(9), "", "") for name in LABELS])
    with pytest.raises(EdgemoodError, match="cannot be sliced by 'sex': it has 'age'"):
        evaluate([PERFECT], open_dataset(path), by=["sex"])


# --- several models, strange models -------------------------------------------------------------


def test_agreement_compares_labels_by_name(rooms):
    mirrored = Candidate("mirrored", LABELS[::-1], lambda faces: by_brightness(faces)[:, ::-1])
    other = Candidate("other", ("black", "gray", "red", "white"), lambda faces: np.insert(
        by_brightness(faces), 2, 0, axis=1))  # fmt: skip
    found = evaluate([PERFECT, mirrored, CONSTANT, other], open_dataset(rooms))
    pairs = {(pair.one, pair.other): pair.agreement for pair in found.pairs}
    assert len(pairs) == 6
    same = pairs["perfect", "mirrored"]
    assert (same.same, same.difference) == (1, 0)
    assert pairs["perfect", "constant"].same == 8 / 20
    assert pairs["perfect", "constant"].difference == pytest.approx(0.8)
    assert pairs["perfect", "other"] is None


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        pytest.param(lambda f: np.ones((len(f), 2)) / 2, "returned [20, 2], [20, 3]", id="shape"),
        pytest.param(lambda f: np.ones((len(f), 3)), "returned [1.0, 1.0, 1.0], prob", id="sum"),
        pytest.param(lambda f: np.full((len(f), 3), np.nan), "returned [nan, nan, nan]", id="nan"),
        pytest.param(lambda f: 1 / 0, "fails on uint8 [20, 48, 48] with ZeroDivision", id="error"),
    ],
)
def test_what_does_not_return_probabilities_is_refused(rooms, predict, message):
    with pytest.raises(EdgemoodError) as caught:
        evaluate([Candidate("odd", LABELS, predict)], open_dataset(rooms))
    assert str(caught.value).startswith("odd cannot be judged: ")
    assert message in str(caught.value)


def test_batches_do_not_change_a_figure(rooms, monkeypatch):
    noisy = Candidate("noisy", LABELS, lambda faces: by_brightness(faces // 64 * 70))
    whole = evaluate([noisy], open_dataset(rooms)).models[0]
    monkeypatch.setattr(module, "BATCH", 3)
    parts = evaluate([noisy], open_dataset(rooms)).models[0]
    assert (whole.robustness, whole.slices) == (parts.robustness, parts.slices)
    assert whole.calibration.negative_log_likelihood == parts.calibration.negative_log_likelihood
