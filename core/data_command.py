"""The word `data`: a data set -> what is in it, every picture checked; or FER-2013 fetched."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgemood.errors import EdgemoodError

if TYPE_CHECKING:
    import numpy as np

    from edgemood.datasets import Dataset

HELP = (
    "Say what is in a data set and check every picture of it. Without PATH: the one in "
    "EDGEMOOD_DATA or data/, and where there is none, FER-2013 is fetched from Kaggle into data/."
)
EXAMPLES = [
    "edgemood data",
    "edgemood data fer2013.csv",
    "edgemood data my-faces.zip",
]

KAGGLE_SET = "msambare/fer2013"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path",
        nargs="?",
        metavar="PATH",
        help="folder of class folders, zip of one, or fer2013.csv, plain or compressed",
    )


def main(args: argparse.Namespace) -> int:
    from edgemood import datasets
    from edgemood.console import table

    dataset = datasets.open_dataset(
        args.path or datasets.default_path() or fetch(datasets.DATA_FOLDER)
    )
    print(f"{dataset.path}: {_form(dataset)}, {len(dataset):,} pictures")
    counts = dataset.counts()
    rows = [
        [name, *(counts[split][i] for split in counts), sum(c[i] for c in counts.values())]
        for i, name in enumerate(dataset.classes)
    ]
    rows.append(["all", *(count.sum() for count in counts.values()), len(dataset)])
    table(["class", *counts, "all"], rows)
    for line in duplicates(dataset.splits, _digests(dataset)):
        print(line)
    votes = datasets.ferplus_file(dataset)
    print(f"FER+ votes: {votes or f'no {datasets.FERPLUS_FILE} beside it'}")
    dataset.require_every_class()
    return 0


def fetch(folder: Path) -> Path:
    """Fetch FER-2013 from Kaggle and leave it in this folder, whole or not at all.

    Raises EdgemoodError that says how to get it by hand.
    """
    from edgemood.console import say

    by_hand = (
        f"Or download it from kaggle.com/datasets/{KAGGLE_SET} in a browser and save it as "
        f"{folder / 'fer2013.zip'}."
    )
    try:
        import kagglehub
        import requests
    except ModuleNotFoundError as error:
        raise EdgemoodError(
            f"FER-2013 cannot be fetched: {error.name} is not installed. `make data` installs it. "
            f"{by_hand}"
        ) from error
    say(f"Fetching FER-2013 (60 MB) from Kaggle into {folder}/")
    staging: Path | None = None
    try:
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        kagglehub.dataset_download(KAGGLE_SET, output_dir=str(staging))
        shutil.rmtree(staging / ".complete", ignore_errors=True)  # kagglehub's own marks
        staging.chmod(0o755)  # mkdtemp's folder is private
        if folder.is_dir():
            folder.rmdir()
        staging.rename(folder)
    except Exception as error:  # those of kagglehub, requests and the file system share no base
        lost = isinstance(error, requests.ConnectionError | requests.Timeout)
        found = "Kaggle does not answer" if lost else str(error).strip().split("\n")[0]
        raise EdgemoodError(
            f"FER-2013 cannot be fetched: {found}. Check the network and try again. {by_hand}"
        ) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
    return folder


def duplicates(splits: np.ndarray, digests: np.ndarray) -> list[str]:
    """Sentences on exact duplicates: in the whole set, and between its splits.

    splits: str [N]. digests: [N], equal for equal pictures only.
    """
    repeats = len(digests) - len(set(digests.tolist()))
    lines = [f"exact duplicates: {repeats:,} pictures repeat another one"]
    earlier: dict[str, set[bytes]] = {}
    # Training first: what matters is how much of the others it gives away.
    for split in sorted(dict.fromkeys(splits.tolist()), key=lambda name: name != "Training"):
        own = digests[splits == split].tolist()
        for other, known in earlier.items():
            shared = sum(digest in known for digest in own)
            if shared:
                lines.append(f"  {shared:,} of {split} are in {other} too")
        earlier[split] = set(own)
    return lines


def _digests(dataset: Dataset) -> np.ndarray:
    """The digest of every picture, which reads and so checks them all."""
    import numpy as np

    from edgemood.console import track

    parts = np.array_split(np.arange(len(dataset)), -(-len(dataset) // 256))
    return np.concatenate(
        [dataset.select(part).digests() for part in track(parts, "checking pictures")]
    )


def _form(dataset: Dataset) -> str:
    if dataset.is_csv:
        return "csv"
    return f"{'folder' if dataset.path.is_dir() else 'zip'} of class folders"
