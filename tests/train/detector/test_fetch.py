"""Fetching: the right bytes are kept, anything else is one sentence and leaves nothing behind."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edgemood.errors import EdgemoodError
from edgemood.train.detector import fetch

DATA = bytes(range(256)) * 40
SHA256 = hashlib.sha256(DATA).hexdigest()
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 10240\n"


class Handler(BaseHTTPRequestHandler):
    """Answers by path; counts what it was asked for."""

    asked: list[str]
    hold: threading.Event

    def do_GET(self) -> None:
        self.asked.append(self.path)
        bodies = {
            "/right": DATA,
            "/wrong": DATA[::-1],
            "/truncated": DATA[:1000],
            "/pointer": POINTER,
            "/longer": DATA + b"more",
            "/empty": b"",
            "/hangs up": DATA[:1000],
            "/stalls": DATA[:1000],
        }
        body = bodies.get(self.path.replace("%20", " "))
        if body is None:
            self.send_error(404)
            return
        promised = len(DATA) if self.path in ("/hangs%20up", "/stalls") else len(body)
        self.send_response(200)
        self.send_header("Content-Length", str(promised))
        self.end_headers()
        self.wfile.write(body)
        if self.path == "/stalls":
            self.hold.wait(10)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def handler() -> type[Handler]:
    return type("Asked", (Handler,), {"asked": [], "hold": threading.Event()})


@pytest.fixture
def server(handler: type[Handler]) -> Iterator[str]:
    """The address of a local web server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        handler.hold.set()
        http.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(fetch, "cache_dir", lambda: tmp_path / "cache")
    monkeypatch.setattr(fetch, "SILENCE", 0.5)
    return tmp_path / "cache"


def get(address: str) -> Path:
    return fetch.cached("thing.bin", address, SHA256, len(DATA), "Bring it along.")


def test_the_right_file_is_fetched_once(server: str, handler: type[Handler], cache: Path) -> None:
    assert get(f"{server}/right").read_bytes() == DATA
    assert get(f"{server}/right") == cache / "thing.bin"
    assert handler.asked == ["/right"]


def test_a_cached_file_that_was_damaged_is_fetched_again(server: str, cache: Path) -> None:
    get(f"{server}/right").write_bytes(DATA[:-1])
    assert get(f"{server}/right").read_bytes() == DATA


@pytest.mark.parametrize(
    ("path", "says"),
    [
        pytest.param("/wrong", "sha256", id="a file of another digest"),
        pytest.param("/truncated", "1000 bytes", id="a truncated file"),
        pytest.param("/longer", "10241 bytes", id="more than was promised"),
        pytest.param("/empty", "0 bytes", id="nothing"),
        pytest.param("/pointer", "Git LFS pointer", id="a Git LFS pointer"),
        pytest.param("/hangs%20up", "1000 bytes", id="a server that hangs up in the middle"),
        pytest.param("/stalls", "timed out", id="a server that stalls"),
        pytest.param("/missing", "404", id="an address that is no more"),
    ],
)
def test_any_other_answer_is_one_message_and_leaves_nothing(
    server: str, cache: Path, path: str, says: str
) -> None:
    with pytest.raises(EdgemoodError, match=says) as error:
        get(server + path)
    assert error.value.exit_code == 2
    assert str(error.value).endswith("Bring it along.")
    assert "\n" not in str(error.value)
    assert not cache.exists()


def test_no_network_is_one_message_and_leaves_nothing(cache: Path) -> None:
    with pytest.raises(EdgemoodError, match="cannot be fetched: Connection refused"):
        get("http://127.0.0.1:9")
    assert not cache.exists()


def test_a_cache_that_cannot_be_made_is_said(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(fetch, "cache_dir", lambda: tmp_path / "file" / "cache")
    with pytest.raises(EdgemoodError, match="cannot be made to keep"):
        get(f"{server}/right")


def test_the_cache_follows_the_users_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert fetch.cache_dir() == Path("/somewhere/edgemood")
