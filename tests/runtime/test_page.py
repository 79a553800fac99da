"""The live page's server on the loopback: what it tells, whom it refuses, what it bears."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgemood import cli
from edgemood.errors import EdgemoodError
from edgemood.runtime.sinks import Result, json_line
from edgemood.runtime.sources import Source, Status, open_source
from edgemood.values import Emotion, Face, Frame, Reading

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
websockets = pytest.importorskip("websockets")

from websockets.sync.client import ClientConnection, connect  # noqa: E402

from edgemood.runtime.page import Address, Certificate, Page, board, connections, serve  # noqa: E402
from edgemood.runtime.page.guard import HEADERS  # noqa: E402

LABELS = ("angry", "happy", "neutral")
PATHS = [*serve.FILES, "/", "/api/readings", "/api/readings.jsonl", "/api/status", "/healthz"]


class Still(Source):
    """A camera that shows a gray picture."""

    name, size, fps, is_live = "still", (64, 48), 25.0, True
    state: Any = "online"

    @property
    def status(self) -> Status:
        return Status(self.state, reason="it was unplugged")


def result(index: int = 0) -> Result:
    image = np.full((240, 320, 3), 10 + index % 200, np.uint8)
    emotion = Emotion("happy", 0.9, dict(zip(LABELS, (0.04, 0.9, 0.06))))
    face = Face((8, 8, 20, 20), 0.9, np.zeros((5, 2), np.float32))
    return Result(Frame(image, index, index / 25), [Reading(1, face, emotion)], 25.0)


Serve = Callable[..., Page]


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEMOOD_TOKEN", raising=False)


def new_page(host: str = "127.0.0.1", source: Source | None = None, **options: Any) -> Page:
    """A page at a free port: of the loopback, unless told otherwise."""
    return Page(Address(host, 0), source or Still(), LABELS, lambda: 0.004, **options)


@pytest.fixture
def serve_page() -> Iterator[Serve]:
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(new_page(*args, **options))


@pytest.fixture(scope="module")
def calm() -> Iterator[Page]:
    """A page of which nothing is asked that would change it."""
    with pytest.MonkeyPatch.context() as patch, new_page() as page:
        patch.setattr(board, "STALLED", 1e6)  # it gets no frame, and that is no fault here
        yield page


@pytest.fixture(scope="module")
def distant() -> Iterator[Page]:
    """The same for other machines."""
    with new_page("0.0.0.0") as page:
        yield page


@pytest.fixture
def page(serve_page: Serve) -> Page:
    return serve_page()


@pytest.fixture
def running(page: Page) -> Iterator[Page]:
    """A page that gets a hundred frames a second."""
    over = threading.Event()

    def run() -> None:
        for index in range(10**6):
            page.write(result(index))
            if over.wait(0.01):
                return

    thread = threading.Thread(target=run)
    thread.start()
    yield page
    over.set()
    thread.join()


# What opens the WebSocket, without a library that would read what comes.
UPGRADE = (
    b"GET /live HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n"
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def port(page: Page) -> int:
    return int(page.url.rstrip("/").rpartition(":")[2])


def get(
    page: Page, path: str = "/", method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Status, headers and body of an answer; underscores in names of headers stand for dashes."""
    with closing(http.client.HTTPConnection("127.0.0.1", port(page), timeout=10)) as connection:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def dial(page: Page) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port(page)), 10)


def pour(sock: socket.socket, data: bytes, most: int, pause: float = 0.0) -> int:
    """Send this again and again until the other side has had enough: how much it was."""
    sent = 0
    with suppress(ConnectionError):
        while sent < most:
            sock.sendall(data)
            sent += len(data)
            time.sleep(pause)
    return sent


def watch(page: Page, **options: Any) -> ClientConnection:
    options = {"origin": f"http://127.0.0.1:{port(page)}"} | options
    return connect(f"ws://127.0.0.1:{port(page)}/live", compression=None, **options)


def told(viewer: ClientConnection) -> tuple[dict[str, Any], bytes]:
    """The next news, and the picture that comes with them, if one does."""
    line, _, picture = bytes(viewer.recv(10, decode=False)).partition(b"\n")
    return json.loads(line), picture


def refused(page: Page, **options: Any) -> int:
    """The status with which a WebSocket is refused."""
    with pytest.raises(websockets.exceptions.InvalidStatus) as refusal:
        watch(page, **options)
    assert_headers(dict(refusal.value.response.headers.raw_items()))
    return int(refusal.value.response.status_code)


def assert_headers(headers: Any) -> None:
    held = {name.lower(): value for name, value in headers.items()}
    assert {name: held.get(name) for name, _ in HEADERS} == dict(HEADERS)


def until(true: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


# --- what it tells ------------------------------------------------------------------------------


def test_the_newest_readings_are_the_line_that_jsonl_writes(page: Page) -> None:
    assert json.loads(get(page, "/api/readings")[2])["faces"] == []
    shown = result(3)
    page.write(shown)
    assert get(page, "/api/readings")[2].decode() == json_line(shown.frame, shown.readings)


def test_the_status_tells_how_source_and_pipeline_are_doing(page: Page) -> None:
    for index in range(3):
        page.write(result(index))
    status = json.loads(get(page, "/api/status")[2])
    assert status["source"] == "still"
    assert (status["state"], status["reason"]) == ("online", "")
    assert (status["frames"], status["fps"], status["ms"]) == (3, 25.0, 4.0)
    assert (status["viewers"], status["most_viewers"]) == (0, 100)


def test_health_is_503_while_the_source_gives_nothing(serve_page: Serve) -> None:
    source = Still()
    page = serve_page(source=source)
    assert get(page, "/healthz")[0] == 200
    source.state = "offline"
    status, _, body = get(page, "/healthz")
    assert (status, json.loads(body)) == (503, {"state": "offline"})
    assert json.loads(get(page, "/api/status")[2])["reason"] == "it was unplugged"


def test_the_download_holds_the_latest_lines_within_its_bound(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "KEPT", 10_000)
    for index in range(500):
        page.write(result(index))
    status, headers, body = get(page, "/api/readings.jsonl")
    assert status == 200
    assert headers["content-disposition"].startswith('attachment; filename="edgemood-')
    frames = [json.loads(line)["frame"] for line in body.splitlines()]
    assert 9_000 < len(body) <= 10_000
    assert frames == list(range(500 - len(frames), 500))


def test_a_viewer_gets_the_timeline_then_pictures_each_before_its_readings(running: Page) -> None:
    with watch(running) as viewer:
        welcome, _ = told(viewer)
        assert welcome["labels"] == list(LABELS)
        assert welcome["colours"] == ["#d55e00", "#009e73", "#cc79a7"]
        assert welcome["points"][0][1] == [[1, "happy", False]]
        for _ in range(5):
            news, picture = told(viewer)
            image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
            assert image.shape == (240, 320, 3)
            frame = news["readings"]["frame"]
            assert image[-9:, :9].mean() == pytest.approx(10 + frame % 200, abs=6)
            assert news["status"]["state"] == "online"
            viewer.send("")
        assert news["way"] >= 0


def test_a_viewer_who_does_not_say_that_he_saw_them_has_two_pictures_on_the_way(
    running: Page,
) -> None:
    with watch(running) as viewer:
        for _ in range(1 + serve.ON_THE_WAY):
            told(viewer)
        with pytest.raises(TimeoutError):
            viewer.recv(0.3)
        viewer.send("")
        late, _ = told(viewer)
        newest = json.loads(get(running, "/api/readings")[2])
        assert newest["frame"] - late["readings"]["frame"] < 20, "the newest, not the next"


def test_while_the_source_is_silent_viewers_are_told_how_it_is(
    serve_page: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "PULSE", 0.05)
    source = Still()
    with watch(serve_page(source=source)) as viewer:
        told(viewer)
        for state in ("online", "stalled", "offline"):
            source.state = state
            viewer.send("")
            until(lambda: told(viewer)[0]["status"]["state"] == source.state)
            viewer.send("")


def test_pictures_are_encoded_only_while_somebody_watches(
    running: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[float] = []
    encode = serve.encode
    monkeypatch.setattr(serve, "encode", lambda image: encoded.append(0) or encode(image))
    time.sleep(0.1)
    assert not encoded
    with watch(running) as one, watch(running) as other:
        for viewer in (one, other):
            told(viewer)
            told(viewer)
    until(lambda: running._site.viewers == 0)
    before = json.loads(get(running, "/api/status")[2])["frames"]
    assert 0 < len(encoded) <= before, "once for both"


@pytest.mark.parametrize(
    ("size", "sent"),
    [((640, 480), (640, 480)), ((1280, 720), (640, 360)), ((1080, 1921), (360, 640))],
    ids=str,
)
def test_large_pictures_are_reduced_by_a_whole_number(
    size: tuple[int, int], sent: tuple[int, int]
) -> None:
    data = serve.encode(np.full((size[1], size[0], 3), 99, np.uint8))
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[1::-1] == sent


# --- recording ----------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_recording_has_the_lines_from_start_to_stop(page: Page, here: Path) -> None:
    page.write(result(0))
    started = json.loads(get(page, "/api/recording/start", "POST")[2])
    assert started["on"]
    assert get(page, "/api/recording/start", "POST")[0] == 200, "it goes on"
    for index in (1, 2, 3):
        page.write(result(index))
    stopped = json.loads(get(page, "/api/recording/stop", "POST")[2])
    page.write(result(4))
    assert (stopped["on"], stopped["frames"], stopped["fault"]) == (False, 3, "")
    assert [path.name for path in here.iterdir()] == [started["file"]]
    lines = (here / started["file"]).read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == [1, 2, 3]


def test_each_recording_has_a_file_of_its_own(page: Page, here: Path) -> None:
    for _ in range(3):
        get(page, "/api/recording/start", "POST")
        get(page, "/api/recording/stop", "POST")
    assert len(list(here.iterdir())) == 3


def test_a_disk_that_is_nearly_full_ends_the_recording_and_nothing_else(
    page: Page, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "SPARE", 2**62)
    get(page, "/api/recording/start", "POST")
    page.write(result(0))
    page.write(result(1))
    recording = json.loads(get(page, "/api/status")[2])["recording"]
    assert not recording["on"]
    assert "of the disk are free" in recording["fault"]


def test_a_folder_that_is_taken_away_ends_the_recording_and_nothing_else(
    page: Page, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "folder").mkdir()
    monkeypatch.chdir(here / "folder")
    get(page, "/api/recording/start", "POST")
    shutil.rmtree(here / "folder")
    page.write(result(0))
    page.write(result(1))
    recording = json.loads(get(page, "/api/status")[2])["recording"]
    assert not recording["on"]
    assert "its folder cannot be reached" in recording["fault"]


@pytest.mark.parametrize("query", ["?file=/etc/passwd", "/../../x", "?name=x&path=y"])
def test_nothing_from_the_web_names_the_file(page: Page, here: Path, query: str) -> None:
    get(page, f"/api/recording/start{query}", "POST")
    assert all(path.name.startswith("edgemood-") for path in here.iterdir())


# --- who may ask --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_has_the_policies(calm: Page, path: str) -> None:
    status, headers, body = get(calm, path)
    assert status == 200
    assert_headers(headers)
    assert body or path == "/api/readings.jsonl"
    for name in ("access-control-allow-origin", "server", "set-cookie"):
        assert name not in headers


@pytest.mark.parametrize(
    ("wanted", "asked"),
    [
        pytest.param(404, "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", id="no such page"),
        pytest.param(405, "POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", id="not to be posted to"),
        pytest.param(405, "PUT /api/status HTTP/1.1\r\nHost: localhost\r\n\r\n", id="read-only"),
        pytest.param(
            405, "GET /api/recording/start HTTP/1.1\r\nHost: localhost\r\n\r\n", id="a link"
        ),
        pytest.param(400, "GET / HTTP/1.1\r\n\r\n", id="no host"),
        pytest.param(400, "GET / HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n", id="two hosts"),
        pytest.param(400, "GET / HTTP/1.1\r\nHost: local host\r\n\r\n", id="a host with a space"),
        pytest.param(400, "GET / HTTP/1.0\r\n\r\n", id="HTTP/1.0 without a host"),
        pytest.param(400, "nonsense\r\n\r\n", id="nonsense"),
        pytest.param(400, "GET / HTTP/9\r\n\r\n", id="another protocol"),
        pytest.param(
            413,
            "POST /api/recording/stop HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n",
            id="a body",
        ),
        pytest.param(
            413,
            "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
            id="a body in chunks",
        ),
        pytest.param(
            404,
            "GET /live HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            id="a WebSocket without its key",
        ),
        pytest.param(404, "GET http://other/ HTTP/1.1\r\nHost: localhost\r\n\r\n", id="a proxy's"),
    ],
)
def test_what_is_refused_is_refused_with_the_policies(calm: Page, wanted: int, asked: str) -> None:
    with dial(calm) as sock:
        sock.sendall(asked.encode())
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        assert answer.status == wanted
        assert_headers(answer.headers)


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/page.js/../serve.py",
        "/serve.py",
        "/page.html",
        "/page.js%00.svg",
        "/api/readings.jsonl/..",
        "/?token=x/../../etc/passwd",
    ],
)
def test_paths_lead_to_the_pages_own_files_alone(calm: Page, path: str) -> None:
    status, headers, body = get(calm, path)
    assert b"root:" not in body
    assert status == 404 or path.startswith("/?")
    assert_headers(headers)


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("localhost", 200),
        ("127.0.0.1", 200),
        ("LOCALHOST:9999", 200),
        (socket.gethostname(), 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost@evil.example", 400),
        ("192.0.2.7", 421),
        ("[::2]", 421),
    ],
)
def test_the_host_must_be_a_name_of_this_machine(calm: Page, host: str, wanted: int) -> None:
    assert get(calm, Host=host)[0] == wanted


def test_a_host_that_was_allowed_is_let_in(serve_page: Serve) -> None:
    page = serve_page(names=["Cam.Example"])
    assert get(page, Host="cam.example:443")[0] == 200
    assert get(page, Host="other.example")[0] == 421


@pytest.mark.parametrize(
    ("origin", "wanted"),
    [
        ("http://127.0.0.1:{port}", 200),
        ("http://evil.example", 403),
        ("http://127.0.0.1:1", 403),
        ("http://localhost:{port}", 403),
        ("null", 403),
        ("http://[", 403),
        ("", 403),
    ],
)
def test_an_origin_must_be_the_hosts(calm: Page, origin: str, wanted: int) -> None:
    origin = origin.format(port=port(calm))
    for path, method in (("/api/status", "GET"), ("/api/recording/stop", "POST")):
        assert get(calm, path, method, Origin=origin)[0] == wanted


def test_a_websocket_of_another_site_or_of_no_site_is_refused(calm: Page) -> None:
    assert refused(calm, origin=None) == 403
    assert refused(calm, origin="http://evil.example") == 403
    # DNS rebinding: the attacker's own name for this machine, alike in both.
    with dial(calm) as sock:
        sock.sendall(UPGRADE.replace(b"localhost", b"evil.example"))
        assert sock.recv(100).startswith(b"HTTP/1.1 421 ")


# --- the token ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PATHS, "/nothing"])
def test_beyond_the_loopback_nothing_is_told_without_the_token(distant: Page, path: str) -> None:
    assert distant.token is not None
    status, headers, body = get(distant, path)
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    assert_headers(headers)
    assert get(distant, path, Authorization=f"Bearer {distant.token[:-1]}")[0] == 403
    assert get(distant, path, Cookie=f"edgemood-{port(distant)}=wrong")[0] == 403
    assert distant.token.encode() not in body


def test_the_link_gives_a_cookie_that_opens_everything(distant: Page) -> None:
    assert distant.link.endswith(f":{port(distant)}/?token={distant.token}")
    assert get(distant, "/?token=wrong")[0] == 403
    assert get(distant, f"/api/status?token={distant.token}")[0] == 401, (
        "only the page's link has it"
    )
    status, headers, _ = get(distant, f"/?token={distant.token}")
    cookie, *attributes = headers["set-cookie"].split("; ")
    assert status == 200
    assert sorted(attributes) == ["HttpOnly", "Path=/", "SameSite=Strict"]
    assert get(distant, "/api/status", Cookie=cookie)[0] == 200
    assert refused(distant) == 401
    with watch(distant, additional_headers={"Cookie": cookie}) as viewer:
        assert told(viewer)[0]["labels"] == list(LABELS)
    assert refused(distant, additional_headers={"Cookie": "edgemood=x"}) == 401


def test_a_program_sends_the_token_as_a_bearer(distant: Page) -> None:
    assert get(distant, "/api/readings", Authorization=f"Bearer {distant.token}")[0] == 200


def test_a_token_of_ones_own_is_demanded_on_the_loopback_too(
    serve_page: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEMOOD_TOKEN", "0123456789abcdef")
    page = serve_page()
    assert get(page)[0] == 401
    assert get(page, "/?token=0123456789abcdef")[0] == 200


@pytest.mark.parametrize("token", ["short", "0123456789abcdef;x", "0123456789 abcdef", "ü" * 20])
def test_a_weak_token_is_one_message(
    serve_page: Serve, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("EDGEMOOD_TOKEN", token)
    with pytest.raises(EdgemoodError, match="EDGEMOOD_TOKEN is no token: 16 to 200") as error:
        serve_page()
    assert token not in str(error.value)


def test_tokens_differ_from_start_to_start(serve_page: Serve) -> None:
    assert serve_page("0.0.0.0").token != serve_page("0.0.0.0").token


def test_beyond_the_loopback_it_says_that_nothing_is_encrypted(
    serve_page: Serve, capfd: pytest.CaptureFixture[str]
) -> None:
    serve_page().announce()
    assert "unencrypted" not in capfd.readouterr().err
    page = serve_page("0.0.0.0")
    page.announce()
    said = capfd.readouterr().err
    assert page.link in said
    assert "travels unencrypted" in said


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    folder = tmp_path_factory.mktemp("certificate")
    files = [str(folder / name) for name in ("cert.pem", "key.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    try:
        subprocess.run(
            [*command, "-out", files[0], "-keyout", files[1]], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("there is no openssl here to make a certificate with")
    return Certificate(*files)


def test_with_a_certificate_all_is_encrypted(
    serve_page: Serve, certificate: Certificate, capfd: pytest.CaptureFixture[str]
) -> None:
    page = serve_page("0.0.0.0", certificate=certificate)
    page.announce()
    assert page.link.startswith("https://")
    assert "unencrypted" not in capfd.readouterr().err
    context = ssl.create_default_context(cafile=certificate.certfile)
    context.check_hostname = False
    with closing(
        http.client.HTTPSConnection("127.0.0.1", port(page), timeout=10, context=context)
    ) as connection:
        connection.request("GET", f"/?token={page.token}")
        assert "; Secure" in connection.getresponse().headers["set-cookie"]
    with connect(
        f"wss://127.0.0.1:{port(page)}/live",
        origin=websockets.Origin(f"https://127.0.0.1:{port(page)}"),
        ssl=context,
        additional_headers={"Authorization": f"Bearer {page.token}"},
    ) as viewer:
        assert told(viewer)[0]["labels"] == list(LABELS)


@pytest.mark.parametrize("missing", [True, False], ids=["no such file", "no certificate"])
def test_a_certificate_that_is_none_is_one_message(
    serve_page: Serve, tmp_path: Path, missing: bool
) -> None:
    path = tmp_path / "cert.pem"
    if not missing:
        path.write_text("no certificate\n")
    with pytest.raises(EdgemoodError, match=r"cannot be used to encrypt: [^.]+\. Pass"):
        serve_page(certificate=Certificate(str(path)))


def test_the_sources_credentials_are_told_to_nobody(serve_page: Serve) -> None:
    with open_source("rtsp://eva:geheim@127.0.0.1:9/x?password=geheim") as source:
        page = serve_page(source=source)
        heard = b"".join(get(page, path)[2] for path in PATHS)
        with watch(page) as viewer:
            heard += str([told(viewer), told(viewer)]).encode()
    assert b"127.0.0.1:9/x" in heard
    assert b"geheim" not in heard
    assert b"eva" not in heard


# --- what it bears ------------------------------------------------------------------------------


def test_over_the_cap_there_is_a_clear_503_and_room_again_later(
    running: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "VIEWERS", 2)
    with watch(running) as one, watch(running) as other:
        told(one), told(other)
        status, headers, body = get(running)
        assert (status, headers["retry-after"]) == (503, "60")
        assert body == b"2 are watching already, which is the most. Try again in a minute.\n"
        assert refused(running) == 503
        assert get(running, "/api/status")[0] == 200
    until(lambda: running._site.viewers == 0)
    with watch(running) as viewer:
        told(viewer)


def test_a_hundred_viewers_see_it_and_a_hundred_who_never_read_are_let_go(
    running: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "PATIENCE", 60.0)
    with ExitStack() as stack:
        viewers = [stack.enter_context(watch(running)) for _ in range(100)]
        assert refused(running) == 503
        for viewer in viewers:
            told(viewer)
            first, second = (told(viewer)[0]["readings"]["frame"] for _ in range(2))
            assert first < second
    until(lambda: running._site.viewers == 0)
    monkeypatch.setattr(serve, "PATIENCE", 1.0)
    with ExitStack() as stack:
        silent = [stack.enter_context(dial(running)) for _ in range(100)]
        for sock in silent:
            sock.sendall(UPGRADE)
        before = json.loads(get(running, "/api/status")[2])["frames"]
        for sock in silent:
            # Only now, and what came before the end.
            got = b"".join(iter(lambda sock=sock: sock.recv(2**16), b""))
            assert got.startswith(b"HTTP/1.1 101 ")
            assert got.count(b"JFIF") == serve.ON_THE_WAY
        assert json.loads(get(running, "/api/status")[2])["frames"] > before
    assert running._site.viewers == 0


def test_a_server_that_hangs_does_not_keep_the_pipeline(page: Page) -> None:
    with watch(page) as viewer:
        told(viewer)
        loop = page._site._loop
        assert loop is not None
        free = threading.Event()
        loop.call_soon_threadsafe(free.wait, 20)
        started = time.monotonic()
        for index in range(200):
            page.write(result(index))
        assert time.monotonic() - started < 10, "it did not wait"
        assert not free.is_set()
        free.set()


@pytest.fixture
def many_files() -> Iterator[None]:
    """As many open files as both ends of a thousand connections need."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 3000:
        pytest.skip(f"{hard} open files are too few to try it")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_a_thousand_half_open_connections_keep_nobody_out(page: Page) -> None:
    with ExitStack() as stack:
        for _ in range(1000):
            stack.enter_context(dial(page)).sendall(b"GET / HTTP/1.1\r\nHost: local")
        assert get(page, "/healthz")[0] == 200
        assert len(page._server.server_state.connections) <= connections.MOST
        with watch(page) as viewer:
            told(viewer)


@pytest.mark.usefixtures("many_files")
def test_a_thousand_that_never_agree_on_encryption_keep_nobody_out(
    serve_page: Serve, certificate: Certificate
) -> None:
    page = serve_page(certificate=certificate)
    files = len(os.listdir("/dev/fd"))
    context = ssl.create_default_context(cafile=certificate.certfile)
    with ExitStack() as stack:
        for _ in range(1000):
            stack.enter_context(dial(page))
        with closing(
            http.client.HTTPSConnection("localhost", port(page), timeout=10, context=context)
        ) as connection:
            connection.request("GET", "/healthz")
            assert connection.getresponse().status == 200
        until(lambda: len(os.listdir("/dev/fd")) <= files + 1000 + connections.GREETED + 9)


def test_who_does_not_ask_is_let_go_after_a_while(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "ASKING", 0.2)
    with dial(page) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n")
        assert pour(sock, b"X: y\r\n", 1000, 0.05) < 1000


def test_who_does_not_read_a_download_is_let_go_and_others_are_told_to_wait(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "ANSWERING", 1.0)
    line = b"x" * 100_000 + b"\n"
    page.board._kept.extend([line] * 400)  # more than fits between two sockets
    with ExitStack() as stack:
        for _ in range(serve.DOWNLOADS):
            sock = dial(page)
            stack.enter_context(sock)
            sock.sendall(b"GET /api/readings.jsonl HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert sock.recv(1) == b"H"
        assert get(page, "/api/readings.jsonl")[0] == 503
        until(lambda: page._site._downloads == 0)
        assert len(get(page, "/api/readings.jsonl")[2]) == 400 * len(line)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ",
        b"GET /",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 64000000\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n",
    ],
    ids=["a header", "an address", "a body", "a body in chunks"],
)
def test_of_64_megabytes_only_the_first_are_taken(calm: Page, head: bytes) -> None:
    with dial(calm) as sock:
        sock.sendall(head)
        sent = pour(sock, b"x" * 65536, 64_000_000)
        assert sent < 16_000_000, "what the sockets hold between them"
    assert get(calm, "/healthz")[0] == 200


def test_a_long_message_ends_the_connection_it_came_by(running: Page) -> None:
    with watch(running) as viewer:
        viewer.send("x" * (connections.MESSAGE + 1))
        with suppress(websockets.exceptions.ConnectionClosedError):
            assert sum(1 for _ in viewer) <= 5, "it was on its way"
    assert viewer.close_code == 1009


def test_who_sends_and_never_reads_is_let_go(
    running: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "UNREAD", 2**16)
    monkeypatch.setattr(serve, "PATIENCE", 60.0)
    ping, most = b"\x89\xfd" + bytes(4) + bytes(125), 100_000_000
    with dial(running) as sock:
        sock.sendall(UPGRADE)
        assert pour(sock, ping * 500, most) < most


@pytest.mark.parametrize("_", range(3))
def test_it_ends_at_once_whoever_watches(serve_page: Serve, _: int) -> None:
    page = serve_page()
    with watch(page) as viewer:
        told(viewer)
        started = time.monotonic()
        page.close()
        assert time.monotonic() - started < 3
        assert not any(thread.is_alive() for thread in page._threads)
    with pytest.raises(ConnectionRefusedError):
        get(page)


# --- where it is --------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_one_message(page: Page) -> None:
    address = Address("127.0.0.1", port(page))
    with pytest.raises(EdgemoodError, match="another program holds the port") as error:
        Page(address, Still(), LABELS, lambda: 0.0)
    assert error.value.exit_code == 2
    assert f"--serve 127.0.0.1:{port(page) + 1}" in str(error.value)


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("192.0.2.7", "this machine has no such address"),
        ("no-such-name.invalid", "its name is unknown to the network"),
        ("192.168.1..5", "it is no host's name or address"),
    ],
)
def test_an_address_of_another_machine_is_one_message(host: str, says: str) -> None:
    with pytest.raises(EdgemoodError, match=says):
        Page(Address(host, 0), Still(), LABELS, lambda: 0.0)


def test_it_is_served_by_ipv6_as_well(serve_page: Serve) -> None:
    try:
        page = serve_page("::1")
    except EdgemoodError:
        pytest.skip("there is no IPv6 here")
    assert page.token is None
    assert page.url == f"http://[::1]:{port(page)}/"
    with closing(http.client.HTTPConnection("::1", port(page), timeout=10)) as connection:
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200


# --- the command --------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["demo", "127.0.0.1", ":80", "a b:80", "::1:80", "x:65536"])
def test_the_command_wants_a_host_and_a_port(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "--serve", address])
    assert ended.value.code == 2
    assert f"{address} is not HOST:PORT, for example" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--allow-host", "cam.local"], "go with --serve"),
        (["--certfile", "cert.pem"], "go with --serve"),
        (["--serve", "--keyfile", "key.pem"], "--keyfile goes with --certfile"),
    ],
    ids=" ".join,
)
def test_options_of_the_page_go_with_the_page(
    options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", "demo", "--headless", *options]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_without_the_packages_one_sentence_says_how_to_get_them() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.modules['starlette'] = None\n"
            "from edgemood.cli import main; sys.exit(main(['run', 'demo', '--serve']))",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("edgemood: `edgemood run` needs starlette")
    assert done.stderr.endswith("pip install -e '.[serve]'\n")
    assert done.stderr.count("\n") == 1


def test_a_port_that_is_taken_ends_the_command_with_2(
    page: Page, tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    taken = f"127.0.0.1:{port(page)}"
    options = ["--headless", "--model", str(tiny_model)]
    assert cli.main(["run", "demo", "--serve", taken, *options]) == 2
    error = capfd.readouterr().err.splitlines()[-1]
    assert error.startswith(f"edgemood: {taken} cannot be served at: another program holds")


def test_without_the_page_its_packages_are_not_loaded(tiny_model: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "in.png"), np.zeros((48, 64, 3), np.uint8))
    arguments = ["run", str(tmp_path / "in.png"), "--headless", "--model", str(tiny_model)]
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys\nfrom edgemood.cli import main\n"
            f"assert main({arguments}) == 0\nprint(*sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"starlette", "uvicorn", "websockets", "asyncio"} & set(done.stdout.split())
