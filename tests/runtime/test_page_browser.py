"""The live page as somebody in front of a browser has it, in headless Chromium."""

from __future__ import annotations

import itertools
import json
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgemood.benchmarks.browser import Browser, find_browser
from edgemood.runtime.sinks import Result
from edgemood.runtime.sources import Source, Status, open_source
from edgemood.values import Emotion, Face, Frame, Reading

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")
if find_browser() is None:
    pytest.skip("there is no Chromium here", allow_module_level=True)

from edgemood.runtime.page import Address, Page

LABELS = ("angry", "<b>happy</b>", "neutral")
# A number that changes when the picture does.
PIXELS = """(() => {
  const canvas = document.getElementById("picture");
  const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return all.reduce((sum, value, i) => (sum * 31 + value * (i % 7)) | 0, 0);
})()"""
# How long the bars are, as parts of the whole.
BARS = """[...document.querySelectorAll('.bar i')]
  .map((bar) => Number(bar.style.transform.slice(7, -1)))"""
STATE = "document.getElementById('state').textContent"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """Empty, with nothing to complain of."""
    chromium.complaints.clear()
    chromium.look()
    yield chromium
    chromium.open("about:blank")


class Picture(Source):
    """A source that a script in its name would run in, if anything would."""

    name = "<img src=x onerror=document.title='broken'>"
    size, fps, is_live = (320, 240), 25.0, True
    state: Any = "online"

    @property
    def status(self) -> Status:
        return Status(self.state, reason="it was unplugged")


def readings(count: int, labels: tuple[str, ...] = LABELS, sure: float = 0.9) -> list[Reading]:
    probabilities = dict(zip(labels, (0.04, sure, 0.96 - sure)))
    face = Face((8, 8, 40, 40), 0.9, np.zeros((5, 2), np.float32))
    return [Reading(n + 1, face, Emotion(labels[1], sure, probabilities)) for n in range(count)]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    monkeypatch.delenv("EDGEMOOD_TOKEN", raising=False)
    with running(Address("127.0.0.1", 0)) as page:
        yield page


@contextmanager
def running(address: Address, faces: int = 2, labels: tuple[str, ...] = LABELS) -> Iterator[Page]:
    """A page at an address, with so many faces, which gets fifty frames a second."""
    over = threading.Event()

    def run(page: Page) -> None:
        for index in itertools.count():
            image = np.full((240, 320, 3), index % 200, np.uint8)
            page.write(Result(Frame(image, index, index / 50), readings(faces, labels), 50.0))
            if over.wait(0.02):
                return

    with Page(address, Picture(), labels, lambda: 0.004) as page:
        thread = threading.Thread(target=run, args=(page,))
        thread.start()
        try:
            yield page
        finally:
            over.set()
            thread.join()


def test_the_page_is_quiet_asks_no_other_host_and_takes_words_for_words(
    browser: Browser, page: Page
) -> None:
    browser.open(page.url)
    browser.wait(f"{STATE} === 'online' && document.querySelectorAll('article').length === 2")
    assert browser.ask("document.title") == f"{Picture.name} – Edgemood"
    assert browser.ask("document.querySelectorAll('img, b b').length") == 0
    assert browser.ask("document.querySelector('article h3').textContent") == "Face 1: <b>happy</b>"
    asked = browser.ask("performance.getEntriesByType('resource').map((each) => each.name)")
    assert {"page.css", "page.js"} <= {name.rpartition("/")[2] for name in asked}
    assert all(name.startswith(page.url) for name in asked)
    assert browser.complaints == []


def test_a_string_can_not_become_markup(browser: Browser, page: Page) -> None:
    """What keeps it so if somebody forgets: the policy of trusted types."""
    browser.open(page.url)
    with pytest.raises(RuntimeError, match="TrustedHTML"):
        browser.ask("document.body.innerHTML = '<p>'")
    with pytest.raises(RuntimeError, match="eval"):
        browser.ask("(0, window.eval)('1')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_a_phone_and_a_screen_in_light_and_dark_with_legible_text(
    browser: Browser, page: Page, width: int, scheme: str
) -> None:
    browser.look((width, 800), scheme)
    browser.open(page.url)
    browser.wait(f"{STATE} === 'online'")
    assert browser.ask("document.documentElement.scrollWidth") <= width
    ratios = browser.ask(CONTRASTS)
    assert len(ratios) > 20
    assert {words: ratio for words, ratio in ratios.items() if ratio < 4.5} == {}, "WCAG 2.2, AA"


# The words of each element with a text of its own -> contrast to the ground behind it (WCAG 2.2).
CONTRASTS = r"""(() => {
  const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = numbers(colour).map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if ((numbers(colour)[3] ?? 1) > 0.5) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const found = {};
  for (const element of document.body.querySelectorAll("*")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.checkVisibility() || element.disabled) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(ground(element))];
    found[element.textContent.trim()] = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }
  return found;
})()"""


def test_a_screen_reader_finds_everything_by_name(browser: Browser, page: Page) -> None:
    browser.open(page.url)
    browser.wait("document.getElementById('timeline').getAttribute('aria-label') !== 'Nothing yet'")
    nodes = browser("Accessibility.getFullAXTree")["nodes"]
    named = {
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"]
    }
    for role, name in [
        ("image", "Live picture with 2 faces"),
        ("image", "Face 1: <b>happy</b> 100 %. Face 2: <b>happy</b> 100 %"),
        ("heading", "Faces"),
        ("heading", "Face 2: <b>happy</b>"),
        ("button", "Start recording"),
        ("link", "Download the readings so far"),
        ("region", "The last 5 minutes"),
    ]:
        assert (role, name) in named
    assert all(name for role, name in named if role in ("image", "button", "link", "heading"))
    assert [node["role"]["value"] for node in nodes].count("status") == 1, "one that speaks up"


def test_readings_are_recorded_by_keyboard_alone(
    browser: Browser, page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    browser.open(page.url)
    browser.wait("!document.getElementById('record').disabled")

    def press(key: str, code: int, text: str = "") -> None:
        for kind in ("keyDown", "keyUp"):
            browser(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                windowsVirtualKeyCode=code,
                **({"text": text} if text and kind == "keyDown" else {}),
            )

    press("Tab", 9)
    assert browser.ask("document.activeElement.id") == "record"
    assert browser.ask("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    press("Enter", 13, "\r")
    browser.wait("document.getElementById('recording').textContent.includes('so far')")
    assert browser.ask("document.activeElement.textContent") == "Stop recording"
    browser.wait("!document.getElementById('record').disabled")
    press("Enter", 13, "\r")
    browser.wait("document.getElementById('recording').textContent.includes(' has ')")
    (path,) = tmp_path.iterdir()
    lines = [json.loads(line)["frame"] for line in path.read_text().splitlines()]
    assert lines == list(range(lines[0], lines[0] + len(lines)))
    said = browser.ask("document.getElementById('recording').textContent")
    assert said.startswith(f"{path.name} has {len(lines)} frames;")


def test_the_links_token_leaves_the_address_and_stays_good(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEMOOD_TOKEN", "0123456789abcdef")
    with running(Address("127.0.0.1", 0)) as page:
        for url in (page.link, page.url):
            browser.open(url)
            browser.wait(f"{STATE} === 'online'")
            assert browser.ask("location.href") == page.url
            assert browser.ask("document.cookie") == "", "no script sees it"


def test_the_page_comes_back_with_the_program(browser: Browser) -> None:
    with running(Address("127.0.0.1", 0)) as page:
        port = int(page.url.rstrip("/").rpartition(":")[2])
        browser.open(page.url)
        browser.wait(f"{STATE} === 'online'")
    browser.wait(f"{STATE} === 'not connected'")
    assert browser.ask("document.getElementById('record').disabled")
    with running(Address("127.0.0.1", port), faces=3, labels=("bored", "<b>happy</b>", "calm")):
        browser.wait(f"{STATE} === 'online' && document.querySelectorAll('article').length === 3")
        words = "[...document.querySelectorAll('article li span:first-child')]"
        told = browser.ask(f"{words}.map((each) => each.textContent)")
        assert told == 3 * ["bored", "<b>happy</b>", "calm"]
        assert "NaN" not in browser.ask("document.getElementById('cards').textContent")


# --- the command --------------------------------------------------------------------------------


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Programs, which end without a fault when the test does."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.terminate()
        _, error = process.communicate(timeout=20)
        assert "Traceback" not in error
        assert process.returncode == 143


@pytest.fixture
def start(
    tiny_model: Path, tmp_path: Path, started: list[subprocess.Popen[str]]
) -> Callable[..., str]:
    """Starts `edgemood run` with a page at a free port; the page's address."""

    def start(*args: str) -> str:
        command = [sys.executable, "-m", "edgemood.cli", "run", *args, "--headless"]
        process = subprocess.Popen(
            [*command, "--serve", "127.0.0.1:0", "--model", str(tiny_model)],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stderr is not None
        assert select.select([process.stderr], [], [], 30)[0]
        found = re.search(r"http://127\.0\.0\.1:\d+/", process.stderr.readline())
        assert found is not None
        return found[0]

    return start


def test_a_program_that_hangs_is_told_from_one_that_shows_nothing_new(
    browser: Browser, start: Callable[..., str], started: list[subprocess.Popen[str]]
) -> None:
    browser.open(start("demo"))
    browser.wait(f"{STATE} === 'online'")
    started[0].send_signal(signal.SIGSTOP)
    browser.wait(f"{STATE} === 'not connected'", 30)
    started[0].send_signal(signal.SIGCONT)
    browser.wait(f"{STATE} === 'online'", 30)


def test_the_picture_moves_and_the_bars_follow_the_clip(
    browser: Browser, start: Callable[..., str], clips: Sequence[Path], tmp_path: Path
) -> None:
    browser.open(start(str(clips[0]), "--jsonl", "out.jsonl"))
    browser.wait("document.querySelectorAll('.bars b').length === 7")
    seen, pictures = set(), set()
    for _ in range(12):
        pictures.add(browser.ask(PIXELS))
        seen.add(tuple(browser.ask(BARS)))
        time.sleep(0.1)
    assert len(pictures) >= 6
    assert len(seen) >= 4
    lines = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    faces = {tuple(face["probabilities"].values()) for line in lines for face in line["faces"]}
    assert seen <= faces, "each is what was read in some frame"


class Camera:
    """A Motion JPEG camera that can be pulled out and put back."""

    def __init__(self) -> None:
        self._pictures = [
            cv2.imencode(".jpg", frame.image)[1].tobytes()
            for frame in itertools.islice(open_source("demo"), 0, 100, 5)
        ]
        self._is_there = threading.Event()
        self._port = 0
        self.put_back()
        self.address = f"http://127.0.0.1:{self._port}/stream"

    def put_back(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._port = self._listener.getsockname()[1]
        self._is_there.set()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def pull_out(self) -> None:
        self._is_there.clear()
        self._thread.join()

    def _serve(self) -> None:
        self._listener.settimeout(0.1)
        with self._listener:
            while self._is_there.is_set():
                with suppress(OSError):
                    self._stream(self._listener.accept()[0])

    def _stream(self, client: socket.socket) -> None:
        with client:
            client.recv(4096)
            kind = b"Content-Type: multipart/x-mixed-replace; boundary=x\r\n\r\n"
            client.sendall(b"HTTP/1.1 200 OK\r\n" + kind)
            for picture in itertools.cycle(self._pictures):
                if not self._is_there.is_set():
                    return
                head = b"--x\r\nContent-Length: %d\r\n\r\n" % len(picture)
                client.sendall(head + picture + b"\r\n")
                time.sleep(0.04)


def test_the_page_recovers_when_the_source_dies_and_returns(
    browser: Browser, start: Callable[..., str]
) -> None:
    camera = Camera()
    try:
        browser.open(start(camera.address))
        browser.wait(f"{STATE} === 'online'")
        camera.pull_out()
        browser.wait(f"{STATE} === 'offline'")
        assert browser.ask("document.getElementById('notice').checkVisibility()")
        before = browser.ask(PIXELS)
        camera.put_back()
        browser.wait(f"{STATE} === 'online'")
        browser.wait(f"{PIXELS} !== {before}")
        assert not browser.ask("document.getElementById('notice').checkVisibility()")
    finally:
        camera.pull_out()
