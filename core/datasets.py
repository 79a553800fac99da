"""Labelled face pictures in every form people have them -> `Dataset`: pixels, labels, splits.

Read: a folder of class folders (with or without `train/`, `test/` above them), the same as a zip,
and the FER-2013 challenge's `fer2013.csv`, plain or compressed (.gz .bz2 .xz .zip .tar.gz).
Folders and zips are decoded a batch at a time, so they may be larger than memory; a csv is kept
as bytes, 2.3 kB a picture.

FER-2013: Goodfellow et al. 2013, arXiv:1307.0414. FER+: Barsoum et al. 2016, arXiv:1608.01041.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import hashlib
import io
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import IO

import cv2
import numpy as np

from edgemood.crop import SIZE, resized
from edgemood.errors import EdgemoodError

# The challenge's label codes, in its own order (arXiv:1307.0414, section 2).
FER2013_CODES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
# FER+ names its columns otherwise than FER-2013 names its classes.
FERPLUS_TO_FER2013 = {
    "anger": "angry",
    "disgust": "disgust",
    "fear": "fear",
    "happiness": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprise": "surprise",
}
FERPLUS_COLUMNS = (
    "neutral", "happiness", "surprise", "sadness", "anger",
    "disgust", "fear", "contempt", "unknown", "NF",
)  # fmt: skip
FERPLUS_EMOTIONS = FERPLUS_COLUMNS[:8]
FERPLUS_FILE = "fer2013new.csv"

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".pgm", ".webp", ".tif", ".tiff"}
TRAINING = "Training"  # the split that is learnt from
# Folder names and csv words that mean the same part of a data set; the first is the one reported.
SPLITS = {
    TRAINING: {"training", "train"},
    "PublicTest": {"publictest"},
    "PrivateTest": {"privatetest"},
    "validation": {"validation", "valid", "val"},
    "test": {"test", "testing"},
}
ALL = "all"  # the split of a data set that has none
# Where `edgemood data` puts FER-2013, and where it is looked for when nobody names a data set.
DATA_FOLDER = Path("data")
# What to judge a model on when nobody names a split: the first of these that is there.
JUDGED = ("PublicTest", "test", "validation", ALL)

# What Python's readers raise of archives that are damaged, or encrypted.
_DAMAGED = (
    OSError,
    EOFError,
    RuntimeError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
)

# Rows of the whole data set -> their pictures, gray uint8 [height, width] each.
Pictures = Callable[[np.ndarray], Iterable[np.ndarray]]


@dataclass(frozen=True)
class Dataset:
    """Labelled pictures whose pixels are read when asked for.

    path: the file or folder they come from. classes: label names, alphabetical.
    labels: int64 [N], indices into classes. splits: str [N]. names: str [N], where each picture
    is: a path below `path`, or `row 17`. columns: further csv columns, str [N] each.
    rows: int64 [N], place in the whole data set (kept by `select`).
    """

    path: Path
    classes: tuple[str, ...]
    labels: np.ndarray
    splits: np.ndarray
    names: np.ndarray
    rows: np.ndarray
    _pictures: Pictures = field(repr=False)
    columns: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def is_csv(self) -> bool:
        """Whether its pictures are rows of a csv, however packed, and not files in folders."""
        return not any("/" in name for name in self.names[:1])

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Pixels of the pictures at these places, uint8 [len(indices), 48, 48], gray."""
        rows = self.rows[indices]
        pictures = self._pictures(rows)
        if isinstance(pictures, np.ndarray):
            return pictures
        images = np.empty((len(rows), SIZE, SIZE), np.uint8)
        for image, picture in zip(images, pictures):
            image[:] = resized(picture)
        return images

    def pictures(self, indices: np.ndarray) -> Iterable[np.ndarray]:
        """The same pictures one by one in the size they are stored in, gray uint8 [h, w]."""
        return self._pictures(self.rows[indices])

    def images(self) -> np.ndarray:
        """Pixels of every picture, uint8 [N, 48, 48], gray: for sets that fit into memory."""
        return self.read(np.arange(len(self)))

    def batches(self, size: int = 256) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(uint8 [<=size, 48, 48], int64 [<=size]) in order, each picture once."""
        for start in range(0, len(self), size):
            part = np.arange(start, min(start + size, len(self)))
            yield self.read(part), self.labels[part]

    def select(self, chosen: np.ndarray) -> Dataset:
        """The pictures at these indices, or where this mask is true."""
        return replace(
            self,
            labels=self.labels[chosen],
            splits=self.splits[chosen],
            names=self.names[chosen],
            rows=self.rows[chosen],
            columns={name: column[chosen] for name, column in self.columns.items()},
        )

    def split(self, name: str | None = None) -> Dataset:
        """The pictures of one split; None: the one a model is judged on (PublicTest, test, ...)."""
        present = list(dict.fromkeys(self.splits.tolist()))
        if name is None:
            chosen = next((split for split in JUDGED if split in present), present[0])
        else:
            chosen = _split_name(name)
        part = self.select(self.splits == chosen)
        if not len(part):
            raise EdgemoodError(
                f"{self.path} has no pictures in the split '{name}': it has "
                f"{', '.join(present)}. Name one of these."
            )
        return part

    def unseen(self, training_split: str, held_back: np.ndarray) -> tuple[Dataset, str]:
        """What to judge a network on that learnt from a split, and what these pictures are called.

        The split that models are judged on, or, where the network learnt from that, the rows of it
        that were held back.
        """
        judged = self.split(None)
        name = str(judged.splits[0])
        if name in (ALL, training_split):
            return self.select(np.isin(self.rows, held_back)), "held back"
        return judged, name

    def require_every_class(self) -> None:
        """Raise EdgemoodError where a class has no picture in one of the splits."""
        for split in dict.fromkeys(self.splits.tolist()):
            present = np.bincount(self.labels[self.splits == split], minlength=len(self.classes))
            for missing in np.flatnonzero(present == 0):
                raise EdgemoodError(
                    f"{self.path}: the split '{split}' has no picture of the class "
                    f"'{self.classes[missing]}', which other splits have or FER-2013 defines. "
                    "Add some, or remove the class everywhere."
                )

    def counts(self) -> dict[str, np.ndarray]:
        """split -> int64 [classes], pictures of each class."""
        return {
            split: np.bincount(self.labels[self.splits == split], minlength=len(self.classes))
            for split in dict.fromkeys(self.splits.tolist())
        }

    def fingerprint(self) -> str:
        """16 bytes in hex of the pictures' names, labels and splits: others in other sets."""
        told = "\n".join([*self.names, *self.classes, *self.splits]).encode(errors="replace")
        return hashlib.blake2b(told + self.labels.tobytes(), digest_size=16).hexdigest()

    def digests(self) -> np.ndarray:
        """16-byte digests of the pixels, bytes [N]: equal for exact duplicates only."""
        return np.array(
            [
                hashlib.blake2b(image.tobytes(), digest_size=16).digest()
                for images, _ in self.batches()
                for image in images
            ],
            dtype="V16",
        )


def open_dataset(path: str | os.PathLike[str] | None = None) -> Dataset:
    """Open a data set; raises EdgemoodError where there is none or a row or file of it is bad.

    path: a folder, zip or csv as described above, or a folder that holds one of them
    (`fer2013.csv*` is preferred there, since it is lossless). None: see `default_path`.
    """
    if path is None:
        path = default_path()
        if path is None:
            raise EdgemoodError(
                f"no data set was named and there is none in {DATA_FOLDER}/ here: pass --data PATH "
                "or set EDGEMOOD_DATA to a folder of class folders, a zip of one, or "
                "fer2013.csv; `edgemood data` fetches FER-2013."
            )
    given = Path(os.path.expanduser(path))
    try:
        return _open(given)
    except OSError as error:
        raise EdgemoodError(
            f"{given} cannot be read: {error.strerror or error}. Pass another data set."
        ) from error


def _open(given: Path) -> Dataset:
    if not given.exists():
        raise EdgemoodError(
            f"{given} is not there: a folder of class folders, a zip of one, or fer2013.csv was "
            "wanted. `edgemood data` fetches FER-2013."
        )
    if given.is_dir():
        inside = _known_file(given)
        if inside is None:
            return _open_folder(given)
        return _open_csv(inside) if _is_csv(inside) else _open_zip(inside)
    if _is_csv(given):
        return _open_csv(given)
    if zipfile.is_zipfile(given):
        return _open_zip(given)
    raise EdgemoodError(
        f"{given} is neither a folder, a zip nor a csv: pass a folder of class folders, a zip of "
        "one, or fer2013.csv (also as .gz .bz2 .xz .zip .tar.gz)."
    )


def default_path() -> Path | None:
    """Where a data set is looked for when nobody names one: EDGEMOOD_DATA, else a filled data/."""
    named = os.environ.get("EDGEMOOD_DATA")
    if named:
        return Path(named)
    return DATA_FOLDER if DATA_FOLDER.is_dir() and any(DATA_FOLDER.iterdir()) else None


def ferplus_file(dataset: Dataset) -> Path | None:
    """`fer2013new.csv` beside the data set, a folder or a file that is named after FER-2013.

    Votes say nothing about other pictures that happen to lie there.
    """
    if dataset.path.is_file() and "fer2013" not in dataset.path.name.lower():
        return None
    beside = dataset.path if dataset.path.is_dir() else dataset.path.parent
    file = beside / FERPLUS_FILE
    return file if file.exists() else None


def ferplus_votes(dataset: Dataset) -> np.ndarray | None:
    """FER+ votes for each picture, int64 [N, 10] in the order of FERPLUS_COLUMNS, or None.

    They are read from `ferplus_file`. A csv joins by row. A folder or zip joins through the csv
    beside it, each picture paired with the row that looks the same.
    """
    file = ferplus_file(dataset)
    if file is None:
        return None
    usage, votes = _read_votes(file)
    if dataset.is_csv:
        rows = dataset.rows
    else:
        source = _known_file(file.parent)
        if source is None or not _is_csv(source):
            return None
        whole = _open_csv(source)
        if len(whole) != len(votes):
            raise _votes_mismatch(file, len(votes), source, len(whole))
        return votes[pair(dataset, whole)]
    if len(rows) and rows.max() >= len(votes):
        raise _votes_mismatch(file, len(votes), dataset.path, int(rows.max()) + 1)
    if not (usage[rows] == dataset.splits).all():
        wrong = int(np.flatnonzero(usage[rows] != dataset.splits)[0])
        raise EdgemoodError(
            f"{file} row {int(rows[wrong]) + 1} is of {usage[rows[wrong]]}, {dataset.path} has "
            f"{dataset.splits[wrong]} there: the two files belong to different orders. "
            "Use the pair that was published together."
        )
    return votes[rows]


def ferplus_majority(votes: np.ndarray, classes: tuple[str, ...]) -> np.ndarray:
    """Index into `classes` of the emotion that got more than half of all votes, else -1; int64 [N].

    votes: [N, 10] as from `ferplus_votes`. Contempt, unknown and not-a-face give -1 where
    `classes` has no such name (a FER+ or a FER-2013 spelling of it).
    """
    place = np.full(len(FERPLUS_COLUMNS), -1)
    for column, name in enumerate(FERPLUS_COLUMNS):
        for spelling in (name, FERPLUS_TO_FER2013.get(name)):
            if spelling in classes:
                place[column] = classes.index(spelling)
    strict = 2 * votes.max(axis=1) > votes.sum(axis=1)
    return np.where(strict, place[votes.argmax(axis=1)], -1)


def by_ferplus(dataset: Dataset) -> Dataset:
    """The pictures that most people saw one of FER+'s eight emotions in, labelled with it.

    That is the majority protocol of FER+'s authors. Raises EdgemoodError where there are no votes.
    """
    votes = ferplus_votes(dataset)
    if votes is None:
        raise EdgemoodError(
            f"{dataset.path} has no FER+ votes: {FERPLUS_FILE} (published as microsoft/FERPlus) "
            "was wanted beside fer2013.csv. Put it there."
        )
    labels = ferplus_majority(votes, FERPLUS_EMOTIONS)
    kept = np.flatnonzero(labels >= 0)
    return replace(dataset.select(kept), classes=FERPLUS_EMOTIONS, labels=labels[kept])


def pair(lossy: Dataset, lossless: Dataset, bound: float = 3.0) -> np.ndarray:
    """Row of `lossless` that shows the same picture, int64 [len(lossy)], each used once.

    Pairs stay within a class and split. bound: largest root mean square difference of a pair, in
    gray levels; raises EdgemoodError where a picture has no partner within it.
    """
    match = np.full(len(lossy), -1)
    for split in dict.fromkeys(lossy.splits.tolist()):
        for index, label in enumerate(lossy.classes):
            ours = np.flatnonzero((lossy.splits == split) & (lossy.labels == index))
            if label not in lossless.classes or not len(ours):
                continue
            code = lossless.classes.index(label)
            theirs = np.flatnonzero((lossless.splits == split) & (lossless.labels == code))
            if not len(theirs):
                continue
            left = lossy.read(ours).reshape(len(ours), -1).astype(np.float32)
            right = lossless.read(theirs).reshape(len(theirs), -1).astype(np.float32)
            match[ours] = _assign(left, right, theirs, bound)
    lost = np.flatnonzero(match < 0)
    if len(lost):
        raise EdgemoodError(
            f"{lossy.path}: {lossy.names[lost[0]]} shows no picture of {lossless.path} "
            f"({len(lost)} such): both must be the same data set. Use files that belong together."
        )
    return match


def _assign(left: np.ndarray, right: np.ndarray, rows: np.ndarray, bound: float) -> np.ndarray:
    """Greedy one-to-one assignment of float32 [n, pixels] to [m, pixels], nearest pairs first."""
    squared = (right**2).mean(axis=1)
    candidates = min(8, len(right))  # FER-2013's most frequent picture stands there 12 times
    pairs: list[tuple[float, int, int]] = []
    for start in range(0, len(left), 512):
        block = left[start : start + 512]
        distance = (block**2).mean(axis=1)[:, None] + squared - 2 * block @ right.T / right.shape[1]
        near = np.argpartition(distance, candidates - 1, axis=1)[:, :candidates]
        for i, columns in enumerate(near):
            exact = ((block[i] - right[columns]) ** 2).mean(axis=1)
            pairs += [
                (float(d), start + i, int(c)) for d, c in zip(exact, columns) if d <= bound**2
            ]
    match = np.full(len(left), -1)
    taken = np.zeros(len(right), bool)
    for _, i, j in sorted(pairs):
        if match[i] < 0 and not taken[j]:
            match[i], taken[j] = rows[j], True
    return match


# --- csv ----------------------------------------------------------------------------------------


def _is_csv(path: Path) -> bool:
    return ".csv" in path.suffixes or path.name.endswith((".tar.gz", ".tgz"))


def _known_file(folder: Path) -> Path | None:
    """The data set file that this folder holds, if it isn't a data set itself."""
    files = sorted(file for file in folder.iterdir() if file.is_file())
    forms = [file for file in files if _is_csv(file) and file.name.startswith("fer2013.")]
    forms += [file for file in files if file.suffix == ".zip" and "fer2013" in file.name.lower()]
    return forms[0] if forms else None


@contextmanager
def _open_text(path: Path) -> Iterator[IO[str]]:
    """The csv, which is to be read to its end: there are the checksums."""
    with ExitStack() as stack:
        archive: tarfile.TarFile | None = None
        text: IO[str]
        try:
            if path.name.endswith((".tar.gz", ".tgz")):
                archive = stack.enter_context(tarfile.open(path))
                member = next((m for m in archive if m.name.endswith("fer2013.csv")), None)
                if member is None:
                    raise EdgemoodError(f"{path} holds no fer2013.csv. Pass the csv itself.")
                text = io.TextIOWrapper(archive.extractfile(member))  # type: ignore[type-var]
            elif path.suffix == ".zip":
                packed = stack.enter_context(zipfile.ZipFile(path))
                inside = [n for n in packed.namelist() if n.endswith(".csv")]
                if len(inside) != 1:
                    raise EdgemoodError(f"{path} holds {len(inside)} csv files, one was wanted.")
                text = io.TextIOWrapper(packed.open(inside[0]))
            else:
                opener = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}.get(
                    path.suffix, open
                )
                text = opener(path, "rt", newline="")  # type: ignore[operator, assignment]
        except _DAMAGED as error:
            raise EdgemoodError(f"{path} cannot be opened: {error}. Fetch it again.") from error
        yield stack.enter_context(text)
        if archive is not None and archive.fileobj is not None:
            while archive.fileobj.read(2**20):  # that of the whole archive
                pass


def _open_csv(path: Path) -> Dataset:
    images: list[np.ndarray] = []
    labels: list[str] = []
    splits: list[str] = []
    extra: dict[str, list[str]] = {}
    try:
        with _open_text(path) as text:
            table = csv.reader(text)
            header = [name.strip() for name in next(table, [])]
            if "emotion" not in header or "pixels" not in header:
                raise EdgemoodError(
                    f"{path} line 1 is '{','.join(header)[:60]}': a header with the columns "
                    "emotion and pixels (and Usage) was wanted. Pass fer2013.csv itself."
                )
            emotion, pixels = header.index("emotion"), header.index("pixels")
            usage = header.index("Usage") if "Usage" in header else None
            others = [i for i in range(len(header)) if i not in (emotion, pixels, usage)]
            extra = {header[i]: [] for i in others}
            for row, cells in enumerate(table, start=1):
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise _bad_row(path, row, f"{len(cells)} cells, the header has {len(header)}")
                images.append(_parse_pixels(path, row, cells[pixels]))
                labels.append(cells[emotion].strip())
                splits.append(_split_name(cells[usage].strip()) if usage is not None else ALL)
                for i in others:
                    extra[header[i]].append(cells[i])
    except (*_DAMAGED, UnicodeDecodeError, csv.Error) as error:
        raise EdgemoodError(
            f"{path} breaks off or is damaged after row {len(labels)}: {error}. Fetch it again."
        ) from error
    if not images:
        raise EdgemoodError(f"{path} has a header but no rows. Fetch it again.")
    names, codes = _label_codes(path, labels)
    stack = np.stack(images)
    return Dataset(
        path=path,
        classes=names,
        labels=codes,
        splits=np.array(splits),
        names=np.array([f"row {i + 1}" for i in range(len(labels))]),
        rows=np.arange(len(labels)),
        _pictures=stack.__getitem__,
        columns={name: np.array(values) for name, values in extra.items()},
    )


def _parse_pixels(path: Path, row: int, text: str) -> np.ndarray:
    # np.fromstring reads a row in 50 us, but would take the head of a broken one for the whole.
    # Deleting all that may stand there is the cheapest look: 4 us, where str.strip takes 50.
    if not text or text.isspace() or text.encode().translate(None, b"0123456789 "):
        raise _bad_row(path, row, "its pixels are not numbers between spaces")
    values = np.fromstring(text, dtype=np.int64, sep=" ")
    if values.size != SIZE * SIZE:
        raise _bad_row(path, row, f"{values.size} pixels, {SIZE * SIZE} were wanted")
    if values.max() > 255:
        raise _bad_row(path, row, f"a pixel of {values.max()}, 0 to 255 were wanted")
    return values.astype(np.uint8).reshape(SIZE, SIZE)


def _label_codes(path: Path, labels: list[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Class names in alphabetical order, and each label's index: from FER-2013's codes or words."""
    if not any(label.isdecimal() for label in labels):
        names = tuple(sorted(set(labels)))
        if "" in names:
            raise _bad_row(path, labels.index("") + 1, "no emotion")
        return names, np.array([names.index(label) for label in labels])
    names = tuple(sorted(FER2013_CODES))
    lookup = {str(code): names.index(name) for code, name in enumerate(FER2013_CODES)}
    for row, label in enumerate(labels, start=1):
        if label not in lookup:
            raise _bad_row(path, row, f"emotion '{label}', 0 to {len(FER2013_CODES) - 1} wanted")
    return names, np.array([lookup[label] for label in labels])


def _bad_row(path: Path, row: int, found: str) -> EdgemoodError:
    return EdgemoodError(
        f"{path} row {row} (line {row + 1}) cannot be used: {found}. Mend the row or remove it."
    )


def _split_name(name: str) -> str:
    return next((split for split, words in SPLITS.items() if name.lower() in words), name)


def _read_votes(path: Path) -> tuple[np.ndarray, np.ndarray]:
    usage: list[str] = []
    votes: list[list[int]] = []
    try:
        with open(path, newline="") as text:
            table = csv.DictReader(text)
            for name in ("Usage", *FERPLUS_COLUMNS):
                if name not in (table.fieldnames or []):
                    raise EdgemoodError(
                        f"{path} has no column '{name}': FER+'s fer2013new.csv was wanted. "
                        "Fetch it from github.com/microsoft/FERPlus."
                    )
            for row, cells in enumerate(table, start=1):
                try:
                    votes.append([int(cells[name]) for name in FERPLUS_COLUMNS])
                except (TypeError, ValueError):
                    raise _bad_row(path, row, "its votes are not whole numbers") from None
                usage.append(cells["Usage"])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise EdgemoodError(
            f"{path} cannot be read: {error}. Fetch it again from github.com/microsoft/FERPlus."
        ) from error
    return np.array(usage), np.array(votes)


def _votes_mismatch(votes: Path, found: int, data: Path, wanted: int) -> EdgemoodError:
    return EdgemoodError(
        f"{votes} has {found} rows, {data} has {wanted}: they join by row and must be equally "
        "long. Use the pair that was published together."
    )


# --- folders and zips ---------------------------------------------------------------------------


def _open_folder(path: Path) -> Dataset:
    files = sorted(
        file.relative_to(path).as_posix()
        for file in _below(path)
        if file.suffix.lower() in PICTURES and file.is_file()
    )
    return _from_files(path, files, lambda name: (path / name).read_bytes())


def _below(path: Path) -> Iterator[Path]:
    """All files in a folder and those below it, linked ones too; each folder once."""
    seen: set[str] = set()
    for folder, folders, names in os.walk(path, followlinks=True):
        if (place := os.path.realpath(folder)) in seen:  # a link to what we have, or are in
            folders.clear()
            continue
        seen.add(place)
        yield from (Path(folder, name) for name in names)


def _open_zip(path: Path) -> Dataset:
    try:
        archive = zipfile.ZipFile(path)
    except _DAMAGED as error:
        raise EdgemoodError(f"{path} is not a whole zip: {error}. Fetch it again.") from error
    names = archive.namelist()
    if any(name.endswith(".csv") for name in names) and not any(
        PurePosixPath(name).suffix.lower() in PICTURES for name in names
    ):
        archive.close()
        return _open_csv(path)
    files = sorted(name for name in names if PurePosixPath(name).suffix.lower() in PICTURES)
    return _from_files(path, files, archive.read)


def _from_files(path: Path, files: list[str], load: Callable[[str], bytes]) -> Dataset:
    """A data set from `[anything/][split/]class/picture` paths, whose bytes `load` returns."""
    found: list[tuple[str, str, str]] = []
    for name in files:
        parts = PurePosixPath(name).parts
        if len(parts) < 2 or any(part.startswith((".", "__MACOSX")) for part in parts):
            continue
        folder = _split_name(parts[-3]) if len(parts) > 2 else ALL
        split = folder if folder in SPLITS else ALL
        # The Kaggle folder keeps PublicTest and PrivateTest in one `test/`, told apart by name.
        prefix = _split_name(parts[-1].split("_")[0])
        if split == "test" and prefix in ("PublicTest", "PrivateTest"):
            split = prefix
        found.append((split, parts[-2], name))
    classes = tuple(sorted({label for _, label, _ in found}))
    if len(classes) < 2:
        raise EdgemoodError(
            f"{path} has pictures of {len(classes)} classes: at least two folders of pictures, "
            "named after their class, were wanted, for example train/happy/1.jpg and "
            "train/sad/2.jpg."
        )
    names = np.array([name for _, _, name in found])

    def decoded(name: str) -> np.ndarray | None:
        try:
            data = np.frombuffer(load(name), np.uint8)
            return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
        except (*_DAMAGED, cv2.error):
            return None

    def pictures(rows: np.ndarray) -> Iterator[np.ndarray]:
        for name in names[rows]:
            picture = decoded(name)
            if picture is None:
                # Whoever mends one wants to know of the others, too.
                others = [str(n) for n in names if n != name and decoded(n) is None]
                raise EdgemoodError(
                    f"{path}: {name} cannot be decoded as a picture"
                    + (f", nor can {_few(others)}" if others else "")
                    + ". Mend or remove what is damaged."
                )
            yield picture

    return Dataset(
        path=path,
        classes=classes,
        labels=np.array([classes.index(label) for _, label, _ in found]),
        splits=np.array([split for split, _, _ in found]),
        names=names,
        rows=np.arange(len(found)),
        _pictures=pictures,
    )


def _few(names: list[str], most: int = 20) -> str:
    """These names, or the first of them."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
