"""Pictures are read with their faces, and nobody is on both sides of the split."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgemood.errors import EdgemoodError
from edgemood.train.detector import pictures


@pytest.fixture(scope="module")
def bank(
    archive: Path, taught: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory
) -> pictures.Bank:
    return pictures.read(archive, taught(tmp_path_factory.mktemp("labels") / "labels.npz"))


def test_each_picture_comes_with_its_face_and_its_person(bank: pictures.Bank) -> None:
    assert {part: len(found) for part, found in bank.faces.items()} == {
        "people": 16, "crops": 4, "expressions": 0,
    }  # fmt: skip
    assert len(bank.negatives) == 20
    first = bank.faces["people"][0]
    assert (first.person, first.size, first.close) == ("Person_0", (150, 140), False)
    assert first.faces[0, :4].tolist() == [34, 22, 72, 92]
    assert [level.shape for level in first.levels] == [(150, 140), (75, 70), (37, 35), (18, 17)]


def test_nobody_is_learnt_from_and_judged_by(bank: pictures.Bank) -> None:
    learnt, judged = pictures.split(bank, 0.25, 0)
    sides = [
        {picture.person for part in side.faces.values() for picture in part}
        for side in (learnt, judged)
    ]
    assert not sides[0] & sides[1]
    assert len({picture.person for picture in judged.faces["people"]}) == 2
    assert len(judged.negatives) == 5
    for part in ("people", "crops"):
        both = len(learnt.faces[part]) + len(judged.faces[part])
        assert both == len(bank.faces[part])


def test_the_same_seed_holds_out_the_same_people(bank: pictures.Bank) -> None:
    def held(seed: int) -> list[str]:
        return [p.person for p in pictures.split(bank, 0.25, seed)[1].faces["people"]]

    assert held(1) == held(1)
    assert any(held(1) != held(seed) for seed in range(2, 6))


def test_an_annotation_and_the_teacher_meet_in_the_middle() -> None:
    face = np.array([[10, 10, 40, 50, *[20, 20, 40, 20, 30, 35, 22, 45, 38, 45], 0]], np.float32)
    points = face[0, 4:14].reshape(5, 2)
    met = pictures.agreed(face, points - pictures.STYLE * 40 + 4)
    assert np.allclose(met[0, 4:14].reshape(5, 2), points + 2, atol=1e-4)
    assert met[0, 14] == 1, "what a person has marked is a face"
    assert np.array_equal(pictures.agreed(face, points + 40), face), "another face"


def test_what_is_no_archive_of_people_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(EdgemoodError, match=r"faces\.zip is not a zip with people_keypoints"):
        pictures.archive_in(tmp_path)


@pytest.mark.parametrize(
    ("rows", "negatives", "says"),
    [
        ("file,x\npeople/A_1.jpg,1,2\n", 2, "keypoints.csv cannot be read after 0 rows"),
        ("file,x\n\n", 0, "frames of 2 people and 0 pictures without a face"),
    ],
)
def test_an_archive_that_lacks_something_is_refused_in_one_sentence(
    tmp_path: Path, rows: str, negatives: int, says: str
) -> None:
    picture = cv2.imencode(".png", np.zeros((64, 64), np.uint8))[1].tobytes()
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as members:
        members.writestr("people_keypoints.csv", rows)
        for name in ("A_1", "B_1"):
            members.writestr(f"people/{name}.jpg", picture)
        for number in range(negatives):
            members.writestr(f"negatives/{number}.jpg", picture)
    with pytest.raises(EdgemoodError, match=says):
        pictures.read(tmp_path / "faces.zip", tmp_path / "labels.npz")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (None, "yunet.onnx is not there: YuNet was wanted"),
        (b"no network", "yunet.onnx is another file than face_detection_yunet_2023mar.onnx"),
    ],
    ids=["that is not there", "that is no YuNet"],
)
def test_a_teacher_is_refused_in_one_sentence(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes | None, says: str
) -> None:
    path = tmp_path / "yunet.onnx"
    if data is not None:
        path.write_bytes(data)
    monkeypatch.setenv("EDGEMOOD_DETECTOR", str(path))
    with pytest.raises(EdgemoodError, match=says) as error:
        pictures.read(archive, tmp_path / "labels.npz")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "labels.npz").exists()


def test_the_teacher_finds_the_annotated_faces(
    yunet: str, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEMOOD_DETECTOR", yunet)
    bank = pictures.read(archive, tmp_path / "labels.npz")
    assert len(bank.faces["people"]) == 16
    for picture in bank.faces["people"]:
        assert picture.faces[0, :4] == pytest.approx([34, 22, 72, 92], abs=12)
