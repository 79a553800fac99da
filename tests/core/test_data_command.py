"""`edgemood data` says what is in a data set, names what is wrong in it, and fetches FER-2013."""

from __future__ import annotations

import io
import json
import shutil
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edgemood.cli import main
from edgemood.datasets import default_path, open_dataset

# Where kagglehub looks for Kaggle when KAGGLE_API_ENVIRONMENT is TEST.
TEST_PORT = 7777


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and no data set named."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGEMOOD_DATA", raising=False)
    return tmp_path


def copy_of(folder: Path, here: Path, name: str = "faces") -> Path:
    return Path(shutil.copytree(folder, here / name))


def test_it_counts_every_class_of_every_split(
    pattern_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", str(pattern_folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{pattern_folder}: folder of class folders, 252 pictures"
    assert [line.split() for line in lines[1:6]] == [
        ["class", "test", "Training", "all"],
        ["columns", "20", "64", "84"],
        ["disc", "20", "64", "84"],
        ["rows", "20", "64", "84"],
        ["all", "60", "192", "252"],
    ]


def test_it_takes_the_folder_data_where_nothing_is_named(
    pattern_folder: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy_of(pattern_folder, here, "data")
    assert main(["data"]) == 0
    assert capsys.readouterr().out.startswith("data: folder of class folders")


def test_it_counts_exact_duplicates_and_says_which_split_gives_another_away(
    pattern_folder: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = copy_of(pattern_folder, here)
    shutil.copy(faces / "train" / "rows" / "0.png", faces / "test" / "rows" / "0.png")
    shutil.copy(faces / "train" / "rows" / "1.png", faces / "train" / "rows" / "copy.png")
    main(["data", str(faces)])
    out = capsys.readouterr().out
    assert "exact duplicates: 2 pictures repeat another one\n" in out
    assert "  1 of test are in Training too\n" in out


def test_it_says_whether_votes_lie_beside(
    pattern_folder: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = copy_of(pattern_folder, here)
    main(["data", str(faces)])
    assert "FER+ votes: no fer2013new.csv beside it\n" in capsys.readouterr().out
    (faces / "fer2013new.csv").touch()
    main(["data", str(faces)])
    assert f"FER+ votes: {faces / 'fer2013new.csv'}\n" in capsys.readouterr().out


def test_a_csv_in_a_zip_is_no_zip_of_folders(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = " ".join(["7"] * 48 * 48)
    with zipfile.ZipFile(here / "fer2013.csv.zip", "w") as archive:
        rows = [f"{code},{pixels}" for code in range(7)]
        archive.writestr("fer2013.csv", "\n".join(["emotion,pixels", *rows]))
    assert main(["data", str(here / "fer2013.csv.zip")]) == 0
    assert "fer2013.csv.zip: csv, 7 pictures\n" in capsys.readouterr().out


def test_an_unreadable_picture_is_named(
    pattern_folder: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = copy_of(pattern_folder, here)
    (faces / "train" / "disc" / "9.png").write_text("no picture")
    assert main(["data", str(faces)]) == 2
    assert "train/disc/9.png cannot be decoded as a picture" in capsys.readouterr().err


def test_a_class_that_one_split_lacks_is_named(
    pattern_folder: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = copy_of(pattern_folder, here)
    shutil.rmtree(faces / "test" / "disc")
    assert main(["data", str(faces)]) == 2
    assert "the split 'test' has no picture of the class 'disc'" in capsys.readouterr().err


def test_without_kagglehub_it_says_how_to_get_it_and_where_to_put_the_data(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    assert main(["data"]) == 2
    error = capsys.readouterr().err
    assert "kagglehub is not installed" in error
    assert "kaggle.com/datasets/msambare/fer2013" in error
    assert "data/fer2013.zip" in error


def test_where_kaggle_does_not_answer_nothing_is_left_behind(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("kagglehub")
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")  # where port 80 is closed
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(here / "none"))
    # Whatever answers on port 80 of some machine, this proxy does not.
    monkeypatch.setenv("http_proxy", "http://localhost:9")
    monkeypatch.setenv("no_proxy", "")
    assert main(["data"]) == 2
    error = capsys.readouterr().err
    assert "FER-2013 cannot be fetched: Kaggle does not answer" in error
    assert "save it as data/fer2013.zip" in error
    assert list(here.iterdir()) == []


def test_what_kaggle_sends_is_left_where_training_looks_for_it(
    pattern_folder: Path,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("kagglehub")
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "TEST")
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(here / "none"))
    monkeypatch.setenv("no_proxy", "localhost")
    with kaggle(zipped(pattern_folder)):
        assert main(["data"]) == 0
    assert "data: folder of class folders, 252 pictures" in capsys.readouterr().out
    assert [path.name for path in here.iterdir()] == ["data"]
    assert sorted(path.name for path in (here / "data").iterdir()) == ["test", "train"]
    assert default_path() == Path("data")
    assert len(open_dataset()) == 252


def test_half_a_download_leaves_nothing_behind(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("kagglehub")
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "TEST")
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(here / "none"))
    monkeypatch.setenv("no_proxy", "localhost")
    with kaggle(b"PK\3\4 the beginning of a zip"):
        assert main(["data"]) == 2
    assert "FER-2013 cannot be fetched" in capsys.readouterr().err
    assert list(here.iterdir()) == []


def zipped(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, file.relative_to(folder))
    return buffer.getvalue()


@contextmanager
def kaggle(archive: bytes) -> Iterator[None]:
    """A small Kaggle for the real kagglehub: one data set, in one version."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if self.path.endswith("/GetDataset"):
                self._send("application/json", json.dumps({"currentVersionNumber": 1}).encode())
            else:
                self._send("application/zip", archive)

        def _send(self, kind: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    try:
        server = ThreadingHTTPServer(("localhost", TEST_PORT), Handler)
    except OSError as error:
        pytest.skip(f"port {TEST_PORT}, where kagglehub looks for a test server: {error.strerror}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
