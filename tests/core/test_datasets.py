"""Generated data in every form, and FER-2013 itself where EDGEMOOD_DATA names it."""

import bz2
import csv
import gzip
import io
import lzma
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgemood.datasets import (
    FERPLUS_COLUMNS,
    FERPLUS_TO_FER2013,
    Dataset,
    ferplus_majority,
    ferplus_votes,
    open_dataset,
    pair,
)
from edgemood.errors import EdgemoodError

CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
CODES = (0, 1, 2, 3, 6, 4, 5)  # of the same classes in FER-2013's own order
HEADER = "emotion,pixels,Usage"


@pytest.fixture(scope="module")
def faces() -> dict[tuple[str, str], np.ndarray]:
    """(split, class) -> uint8 [3, 48, 48], smooth, so that JPEG changes them little."""
    rng = np.random.default_rng(1)
    return {
        (split, name): np.stack(
            [cv2.resize(rng.integers(0, 256, (4, 4), dtype=np.uint8), (48, 48)) for _ in range(3)]
        )
        for split in ("Training", "PublicTest")
        for name in CLASSES
    }


@pytest.fixture(scope="module")
def rows(faces) -> list[str]:
    """The pictures as rows of fer2013.csv."""
    return [
        f"{code},{' '.join(map(str, image.ravel()))},{split}"
        for (split, name), images in faces.items()
        for code in [CODES[CLASSES.index(name)]]
        for image in images
    ]


@pytest.fixture(scope="module")
def home(faces, rows, tmp_path_factory) -> Path:
    """A folder with the same pictures as fer2013.csv, as the Kaggle folder and as its zip."""
    home = tmp_path_factory.mktemp("data")
    (home / "fer2013.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    for (split, name), images in faces.items():
        folder = home / "folder" / ("train" if split == "Training" else "test") / name
        folder.mkdir(parents=True)
        for i, image in enumerate(images):
            cv2.imwrite(str(folder / f"{split}_{i}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 98])
    shutil.make_archive(str(home / "faces-fer2013"), "zip", home / "folder")
    with open(home / "fer2013new.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["Usage", "Image name", *FERPLUS_COLUMNS])
        for i, row in enumerate(rows):
            # Nine votes for happiness and one for contempt; every second row is divided.
            votes = [0, 9, 0, 0, 0, 0, 0, 1, 0, 0] if i % 2 else [5, 5, 0, 0, 0, 0, 0, 0, 0, 0]
            table.writerow([row.rsplit(",", 1)[1], f"fer{i}.png", *votes])
    return home


def same(one: Dataset, other: Dataset) -> bool:
    return (
        one.classes == other.classes
        and (one.labels == other.labels).all()
        and (one.splits == other.splits).all()
        and (one.images() == other.images()).all()
    )


# --- forms --------------------------------------------------------------------------------------


def test_a_csv_keeps_every_pixel_label_and_split(home, faces):
    dataset = open_dataset(home / "fer2013.csv")
    assert dataset.classes == CLASSES
    at = 0
    for (split, name), images in faces.items():
        part = slice(at, at + len(images))
        assert (dataset.read(np.arange(len(dataset))[part]) == images).all()
        assert (dataset.labels[part] == CLASSES.index(name)).all()
        assert (dataset.splits[part] == split).all()
        at += len(images)
    assert at == len(dataset)


def pack(data: bytes, path: Path) -> Path:
    if path.name.endswith(".tar.gz"):
        with tarfile.open(path, "w:gz") as archive:
            info = tarfile.TarInfo("fer2013/fer2013.csv")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("fer2013.csv", data)
    else:
        module = {".gz": gzip, ".bz2": bz2, ".xz": lzma}[path.suffix]
        path.write_bytes(module.compress(data))
    return path


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zip", ".tar.gz"])
def test_a_compressed_csv_is_the_plain_one(home, tmp_path, ending):
    packed = pack((home / "fer2013.csv").read_bytes(), tmp_path / f"fer2013.csv{ending}")
    assert same(open_dataset(packed), open_dataset(home / "fer2013.csv"))


def test_a_folder_and_its_zip_are_identical(home):
    folder, archive = open_dataset(home / "folder"), open_dataset(home / "faces-fer2013.zip")
    assert same(folder, archive)
    assert (folder.names == archive.names).all()


def test_csv_and_folder_pair_one_to_one_within_rms_3(home):
    lossy, lossless = open_dataset(home / "folder"), open_dataset(home / "fer2013.csv")
    match = pair(lossy, lossless)
    assert sorted(match) == list(range(len(lossless)))
    assert (lossless.labels[match] == lossy.labels).all()
    assert (lossless.splits[match] == lossy.splits).all()
    assert worst_rms(lossy.images(), lossless.read(match)) < 3


def worst_rms(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.sqrt(((one - other.astype(np.float32)) ** 2).mean(axis=(1, 2))).max())


def test_pairing_other_pictures_names_one_without_a_partner(home, pattern_folder, tmp_path):
    shutil.copytree(home / "folder", tmp_path / "odd")
    cv2.imwrite(str(tmp_path / "odd/test/sad/PublicTest_9.jpg"), np.zeros((48, 48), np.uint8))
    with pytest.raises(EdgemoodError, match=r"test/sad/PublicTest_9\.jpg shows no picture of"):
        pair(open_dataset(tmp_path / "odd"), open_dataset(home / "fer2013.csv"))


def test_a_folder_that_holds_the_csv_opens_it(home):
    assert open_dataset(home).path == home / "fer2013.csv"


def test_any_folder_of_class_folders_is_a_data_set(pattern_folder):
    dataset = open_dataset(pattern_folder)
    assert dataset.classes == ("columns", "disc", "rows")
    assert {split: counts.tolist() for split, counts in dataset.counts().items()} == {
        "test": [20, 20, 20],
        "Training": [64, 64, 64],
    }


def test_a_file_may_be_called_after_another_split(pattern_folder, tmp_path):
    """RAF-DB's are; only Kaggle's FER-2013 keeps two splits in one folder."""
    picture = next((pattern_folder / "test" / "rows").iterdir()).read_bytes()
    for split, name in (
        ("train", "train_1.png"), ("valid", "train_2.png"), ("test", "train_3.png"),
        ("test", "PublicTest_1.png"), ("test", "PrivateTest_1.png"),
    ):  # fmt: skip
        for label in "ab":
            (tmp_path / split / label).mkdir(parents=True, exist_ok=True)
            (tmp_path / split / label / name).write_bytes(picture)
    counts = open_dataset(tmp_path).counts()
    assert set(counts) == {"Training", "validation", "test", "PublicTest", "PrivateTest"}
    assert all(found.tolist() == [1, 1] for found in counts.values())


def test_a_data_set_that_has_changed_has_another_fingerprint(pattern_folder, tmp_path):
    shutil.copytree(pattern_folder, tmp_path / "set")
    before = open_dataset(tmp_path / "set").fingerprint()
    assert open_dataset(pattern_folder).fingerprint() == before
    (tmp_path / "set/train/rows/1.png").rename(tmp_path / "set/train/disc/1000.png")
    assert open_dataset(tmp_path / "set").fingerprint() != before


def test_linked_folders_are_read_as_any_other(pattern_folder, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train").symlink_to(pattern_folder / "train")
    (tmp_path / "set" / "above").symlink_to(tmp_path)  # a link to above is no end
    dataset = open_dataset(tmp_path / "set")
    assert dataset.classes == ("columns", "disc", "rows")
    assert dataset.counts()["Training"].tolist() == [64, 64, 64]


def test_pictures_of_any_size_are_read_as_48_by_48_and_remember_theirs(tmp_path):
    for side, name in ((24, "a"), (48, "b"), (96, "b")):
        (tmp_path / name).mkdir(exist_ok=True)
        image = np.full((side, side), side, np.uint8)
        cv2.imwrite(str(tmp_path / name / f"{side}.png"), image)
    dataset = open_dataset(tmp_path)
    assert dataset.images().shape == (3, 48, 48)
    assert [image[0, 0] for image in dataset.images()] == [24, 48, 96]
    assert [p.shape for p in dataset.pictures(np.arange(3))] == [(24, 24), (48, 48), (96, 96)]


def test_words_may_stand_for_codes_and_further_columns_are_kept(tmp_path):
    pixels = " ".join(["7"] * 2304)
    path = tmp_path / "mine.csv"
    path.write_text(f"emotion,pixels,age\nsad,{pixels},30\nglad,{pixels},41\n")
    dataset = open_dataset(path)
    assert dataset.classes == ("glad", "sad")
    assert dataset.labels.tolist() == [1, 0]
    assert dataset.columns["age"].tolist() == ["30", "41"]


# --- streaming, splits --------------------------------------------------------------------------


def test_a_folder_is_read_a_batch_at_a_time(pattern_folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(pattern_folder, copy)
    last = open_dataset(copy).names[-1]
    (copy / last).write_bytes(b"no picture")
    batches = open_dataset(copy).batches(50)  # opening does not read pictures
    for _ in range(5):
        assert next(batches)[0].shape == (50, 48, 48)
    with pytest.raises(EdgemoodError, match=rf"{last} cannot be decoded"):
        next(batches)


def test_batches_hold_each_picture_once_in_order(home):
    dataset = open_dataset(home / "folder").split("Training")
    images, labels = zip(*dataset.batches(5))
    assert (np.concatenate(images) == dataset.images()).all()
    assert (np.concatenate(labels) == dataset.labels).all()


@pytest.mark.parametrize(
    ("named", "found"),
    [
        pytest.param(None, "PublicTest", id="nobody names one: what a model is judged on"),
        pytest.param("train", "Training", id="the folder's word for it"),
        pytest.param("Training", "Training", id="the csv's word for it"),
    ],
)
def test_a_split_by_its_names(home, named, found):
    for form in ("fer2013.csv", "folder"):
        assert set(open_dataset(home / form).split(named).splits) == {found}


def test_digests_are_equal_for_equal_pictures_only(home, rows, tmp_path):
    path = tmp_path / "twice.csv"
    path.write_text("\n".join([HEADER, rows[0], rows[1], rows[0]]))
    one, other, again = open_dataset(path).digests().tolist()
    assert one == again != other


# --- FER+ ---------------------------------------------------------------------------------------


def test_votes_join_the_csv_by_row_and_the_folder_form_by_pairing(home):
    by_row = open_dataset(home / "fer2013.csv")
    votes = ferplus_votes(by_row)
    assert votes is not None
    assert votes[:2].tolist() == [[5, 5, *[0] * 8], [0, 9, 0, 0, 0, 0, 0, 1, 0, 0]]
    packed = open_dataset(home / "faces-fer2013.zip")
    assert (ferplus_votes(packed) == votes[pair(packed, by_row)]).all()
    part = by_row.split("PublicTest")
    assert (ferplus_votes(part) == votes[by_row.splits == "PublicTest"]).all()


@pytest.mark.parametrize(
    ("votes", "found"),
    [
        pytest.param([0, 6, 4, 0, 0, 0, 0, 0, 0, 0], "happy", id="six of ten"),
        pytest.param([5, 5, 0, 0, 0, 0, 0, 0, 0, 0], None, id="half is no majority"),
        pytest.param([0, 0, 0, 0, 0, 0, 0, 9, 1, 0], None, id="contempt is no class of FER-2013"),
        pytest.param([0, 0, 0, 0, 0, 0, 0, 0, 0, 9], None, id="not a face"),
        pytest.param([6, 0, 0, 0, 0, 0, 0, 0, 3, 0], "neutral", id="unknown counts as a vote"),
    ],
)
def test_strict_majority(votes, found):
    place = ferplus_majority(np.array([votes]), CLASSES)[0]
    assert place == (-1 if found is None else CLASSES.index(found))


def test_votes_say_nothing_about_another_zip_beside_them(home, pattern_folder):
    other = home / "patterns.zip"
    shutil.make_archive(str(other.with_suffix("")), "zip", pattern_folder)
    assert ferplus_votes(open_dataset(other)) is None
    other.unlink()


def test_votes_join_a_csv_in_a_zip_by_row(home, tmp_path):
    shutil.copy(home / "fer2013new.csv", tmp_path)
    packed = open_dataset(pack((home / "fer2013.csv").read_bytes(), tmp_path / "fer2013.zip"))
    assert packed.is_csv
    assert (ferplus_votes(packed) == ferplus_votes(open_dataset(home / "fer2013.csv"))).all()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (",".join(FERPLUS_COLUMNS).encode() + b"\n", "has no column 'Usage'"),
        (b"\xff\xfe" * 100, "cannot be read"),
    ],
    ids=["without the split", "no text"],
)
def test_votes_that_cannot_be_read_are_named(home, tmp_path, data, message):
    shutil.copy(home / "fer2013.csv", tmp_path)
    (tmp_path / "fer2013new.csv").write_bytes(data)
    with pytest.raises(EdgemoodError, match=message):
        ferplus_votes(open_dataset(tmp_path))


def test_votes_of_another_order_are_refused(home, tmp_path):
    shutil.copy(home / "fer2013new.csv", tmp_path)
    lines = (home / "fer2013.csv").read_text().splitlines()
    (tmp_path / "fer2013.csv").write_text("\n".join([lines[0], *reversed(lines[1:])]))
    with pytest.raises(EdgemoodError, match="belong to different orders"):
        ferplus_votes(open_dataset(tmp_path / "fer2013.csv"))


# --- what is wrong with it ----------------------------------------------------------------------

PIXELS = " ".join(["7"] * 2304)
GOOD = f"3,{PIXELS},Training"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(f"3,{PIXELS[:-2]},Training", "2303 pixels, 2304", id="a pixel too few"),
        pytest.param(f"3,{PIXELS} 7,Training", "2305 pixels, 2304", id="a pixel too many"),
        pytest.param(f"3,{PIXELS[:-1]}256,Training", "a pixel of 256", id="a pixel over 255"),
        pytest.param(f"3,{PIXELS[:-1]}-7,Training", "not numbers", id="a negative pixel"),
        pytest.param(f"3,{PIXELS[:-1]}x,Training", "not numbers", id="a word among the pixels"),
        pytest.param(f"3,{PIXELS[:-1]}7.5,Training", "not numbers", id="a fraction"),
        pytest.param(f"3,{PIXELS[:-1]}²,Training", "not numbers", id="a digit that is not ASCII"),
        pytest.param("3,,Training", "not numbers", id="no pixels"),
        pytest.param("3, ,Training", "not numbers", id="a blank for pixels"),
        pytest.param(f"9,{PIXELS},Training", "emotion '9'", id="an unknown code"),
        pytest.param(f",{PIXELS},Training", "emotion ''", id="no code"),
        pytest.param(f"3,{PIXELS}", "2 cells, the header has 3", id="a cell too few"),
    ],
)
def test_a_bad_row_is_named_with_its_line(tmp_path, text, message):
    path = tmp_path / "fer2013.csv"
    path.write_text("\n".join([HEADER, GOOD, text, GOOD]))
    with pytest.raises(EdgemoodError) as caught:
        open_dataset(path)
    assert f"{path} row 2 (line 3) cannot be used: " in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        pytest.param("a.csv", b"x,y\n1,2\n", "line 1 is 'x,y': a header", id="another csv"),
        pytest.param("a.csv", b"", "line 1 is '': a header", id="an empty file"),
        pytest.param("a.csv", HEADER.encode() + b"\n", "a header but no rows", id="no rows"),
        pytest.param("a.csv", b"\xff\xfe" * 100, "damaged after row 0", id="not text"),
        pytest.param(
            "a.csv.gz", gzip.compress(GOOD.encode() * 50)[:-20], "row 0", id="a gz that breaks off"
        ),
        pytest.param("a.csv.xz", b"no xz", "damaged after row 0", id="an xz that is none"),
        pytest.param("a.csv.zip", b"no zip", "cannot be opened", id="a zip that is none"),
        pytest.param("a.txt", b"words", "neither a folder, a zip nor a csv", id="another file"),
    ],
)
def test_a_file_that_is_no_data_set_is_named(tmp_path, name, data, message):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(EdgemoodError) as caught:
        open_dataset(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zip", ".tar.gz"])
def test_a_packed_csv_with_a_damaged_byte_is_named_or_read_as_it_was(home, tmp_path, ending):
    plain = home / "fer2013.csv"
    packed = pack(plain.read_bytes(), tmp_path / f"fer2013.csv{ending}")
    if ending == ".zip":  # stored, a damaged byte shows in the checksum at the end alone
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(plain, "fer2013.csv")
    data = bytearray(packed.read_bytes())
    refused = 0
    for place in np.linspace(20, len(data) - 1, 24).astype(int):
        data[place] ^= 0x55
        packed.write_bytes(data)
        data[place] ^= 0x55
        try:
            found = open_dataset(packed)
        except EdgemoodError:
            refused += 1
        else:
            assert same(found, open_dataset(plain))
    assert refused > 12


def test_a_zip_of_pictures_with_a_damaged_byte_names_the_picture(pattern_folder, tmp_path):
    path = tmp_path / "faces.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((pattern_folder / "test").rglob("*.png")):
            pixels = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
            name = file.relative_to(pattern_folder).with_suffix(".bmp").as_posix()
            archive.writestr(name, cv2.imencode(".bmp", pixels)[1].tobytes())
        info = archive.getinfo("test/disc/7.bmp")
    data = bytearray(path.read_bytes())
    data[info.header_offset + 30 + len(info.filename)] = 0xFF  # a kind of block that there is not
    path.write_bytes(data)
    with pytest.raises(EdgemoodError, match=r"test/disc/7\.bmp cannot be decoded"):
        open_dataset(path).images()


def test_a_path_that_cannot_be_looked_at_is_one_message():
    with pytest.raises(EdgemoodError, match="cannot be read: File name too long"):
        open_dataset("x" * 5000)


@pytest.mark.parametrize("data", [b"", b"no picture", b"\xff\xd8\xff"], ids=repr)
def test_an_unreadable_picture_is_named(pattern_folder, tmp_path, data):
    shutil.copytree(pattern_folder / "test", tmp_path / "copy" / "test")
    broken = "test/disc/7.png"
    (tmp_path / "copy" / broken).write_bytes(data)
    with pytest.raises(EdgemoodError, match=rf"copy: {broken} cannot be decoded as a picture"):
        open_dataset(tmp_path / "copy").images()


def test_a_split_without_pictures_says_which_there_are(home):
    with pytest.raises(EdgemoodError, match="no pictures in the split 'PrivateTest': it has Tr"):
        open_dataset(home / "fer2013.csv").split("PrivateTest")


def test_a_class_that_a_split_lacks_is_named(home, tmp_path):
    open_dataset(home / "fer2013.csv").require_every_class()
    shutil.copytree(home / "folder", tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy/train/fear")
    with pytest.raises(EdgemoodError, match="split 'Training' has no picture of the class 'fear'"):
        open_dataset(tmp_path / "copy").require_every_class()


def test_a_folder_without_classes_says_what_was_wanted(tmp_path):
    with pytest.raises(EdgemoodError, match="pictures of 0 classes: at least two folders"):
        open_dataset(tmp_path)


def test_a_path_that_is_not_there_is_named(tmp_path, monkeypatch):
    with pytest.raises(EdgemoodError, match="nowhere is not there"):
        open_dataset(tmp_path / "nowhere")
    monkeypatch.delenv("EDGEMOOD_DATA", raising=False)
    with pytest.raises(EdgemoodError, match="no data set was named"):
        open_dataset()


# --- FER-2013 itself ----------------------------------------------------------------------------

DATA = os.environ.get("EDGEMOOD_DATA", "")
real = pytest.mark.skipif(
    not DATA or not Path(DATA, "fer2013-images.zip").exists() or not list(
        Path(DATA).glob("fer2013.csv*")
    ),
    reason="EDGEMOOD_DATA names no folder with fer2013-images.zip and fer2013.csv",
)  # fmt: skip


@pytest.fixture(scope="module")
def real_csv() -> Dataset:
    return open_dataset(DATA)


@pytest.fixture(scope="module")
def real_zip() -> Dataset:
    return open_dataset(Path(DATA, "fer2013-images.zip"))


@real
def test_real_csv_and_zip_have_the_same_labels_and_counts(real_csv, real_zip):
    assert real_csv.classes == real_zip.classes == CLASSES
    left, right = real_csv.counts(), real_zip.counts()
    assert {split: c.tolist() for split, c in left.items()} == {
        split: c.tolist() for split, c in right.items()
    }
    assert left["PublicTest"].sum() == 3589


@real
def test_real_csv_and_zip_pair_one_to_one_within_rms_3(real_csv, real_zip):
    # All of PublicTest, and every thirtieth picture of Training, so that it takes seconds.
    for part in (
        real_zip.split("PublicTest"),
        real_zip.select(np.flatnonzero(real_zip.splits == "Training")[::30]),
    ):
        match = pair(part, real_csv)
        assert len(set(match.tolist())) == len(part)
        assert (real_csv.labels[match] == part.labels).all()
        assert worst_rms(part.images(), real_csv.read(match)) < 3


@real
def test_real_folder_and_zip_are_identical(real_zip, tmp_path):
    part = real_zip.split("PublicTest")
    with zipfile.ZipFile(real_zip.path) as archive:
        archive.extractall(tmp_path, part.names.tolist())
    assert same(open_dataset(tmp_path), part)


@real
def test_real_votes_and_labels_agree_in_every_block_of_a_thousand_rows(real_csv):
    votes = ferplus_votes(real_csv)
    if votes is None:
        pytest.skip("there is no fer2013new.csv beside the data set")
    # The emotion with most votes, whether or not these are more than half.
    names = np.array([FERPLUS_TO_FER2013.get(column, column) for column in FERPLUS_COLUMNS])
    agree = names[votes.argmax(axis=1)] == np.array(real_csv.classes)[real_csv.labels]
    blocks = [agree[start : start + 1000].mean() for start in range(0, len(agree), 1000)]
    assert min(blocks) >= 0.55
