"""Headless Chromium, driven by the DevTools protocol -> what a page does, and a picture of it.

`python -m edgemood.benchmarks.browser docs/page.png` takes the picture of the live page that the
README shows.
"""

from __future__ import annotations

import argparse
import base64
import itertools
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from edgemood.console import say
from edgemood.errors import EdgemoodError
from edgemood.files import replace_file, require_place

RUN = (sys.executable, "-m", "edgemood.cli", "run")
NAMES = ("chromium", "chromium-browser", "google-chrome")
# Seconds that Chromium may take to start, and to answer.
PATIENCE = 30.0


def find_browser() -> str | None:
    """The path of a Chromium, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page in a Chromium of its own, with no profile; use it in a `with` block.

    Raises EdgemoodError where there is none, or it does not start.
    """

    def __init__(self, size: tuple[int, int] = (1280, 900)) -> None:
        from websockets.sync.client import connect

        program = find_browser()
        if program is None:
            raise EdgemoodError(
                "there is no Chromium, which was wanted. Install it, on Debian, Ubuntu and "
                "Raspberry Pi OS with: sudo apt install chromium"
            )
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [
                program,
                "--headless=new",
                "--no-sandbox",  # which root, as in a container, can't have
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--no-first-run",
                "--remote-debugging-port=0",
                f"--user-data-dir={self._folder.name}",
                f"--window-size={size[0]},{size[1]}",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._stack = ExitStack()
        self._numbers = itertools.count(1)
        # What the page wrote to its console, and where it was not let: nothing is as it should be.
        self.complaints: list[str] = []
        try:
            self._socket = self._stack.enter_context(
                connect(self._address(), max_size=None, open_timeout=PATIENCE)
            )
            self._session: str | None = None
            targets = self("Target.getTargets")["targetInfos"]
            page = next(target for target in targets if target["type"] == "page")
            attached = self("Target.attachToTarget", targetId=page["targetId"], flatten=True)
            self._session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Log"):
                self(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def _address(self) -> str:
        file = Path(self._folder.name) / "DevToolsActivePort"
        end = time.monotonic() + PATIENCE
        while self._process.poll() is None and time.monotonic() < end:
            lines = file.read_text().splitlines() if file.exists() else []
            if len(lines) == 2:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            time.sleep(0.02)
        raise EdgemoodError("Chromium does not start. Try it by hand: chromium --headless=new")

    def __call__(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol; its result."""
        number = next(self._numbers)
        call: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session:
            call["sessionId"] = self._session
        self._socket.send(json.dumps(call))
        while True:
            answer = json.loads(self._socket.recv(PATIENCE))
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return dict(answer["result"])
            self._hear(answer)

    def _hear(self, event: dict[str, Any]) -> None:
        if event.get("method") == "Log.entryAdded":
            entry = event["params"]["entry"]
            self.complaints.append(f"{entry['text']} {entry.get('url', '')}".strip())
        elif event.get("method") in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            self.complaints.append(json.dumps(event["params"]))

    def open(self, url: str) -> None:
        """Open an address, and wait until the page with all its files is there."""
        self("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def ask(self, script: str) -> Any:
        """The value of an expression in the page, which may do what the page's own scripts may."""
        given = self(
            "Runtime.evaluate",
            expression=script,
            returnByValue=True,
            allowUnsafeEvalBlockedByCSP=False,
        )
        if "exceptionDetails" in given:
            raise RuntimeError(f"{script}: {given['exceptionDetails']}")
        return given["result"].get("value")

    def wait(self, script: str, seconds: float = 15.0) -> Any:
        """The value of an expression once it is true; TimeoutError where it never is."""
        end = time.monotonic() + seconds
        while not (value := self.ask(script)):
            if time.monotonic() > end:
                raise TimeoutError(f"not true within {seconds:g} s: {script}")
            time.sleep(0.05)
        return value

    def look(
        self, size: tuple[int, int] = (1280, 900), scheme: str = "light", scale: float = 1.0
    ) -> None:
        """Show it in this size, in a "light" or "dark" scheme."""
        self(
            "Emulation.setDeviceMetricsOverride",
            width=size[0],
            height=size[1],
            deviceScaleFactor=scale,
            mobile=False,
        )
        self(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def screenshot(self) -> bytes:
        """What is shown, a PNG."""
        return base64.b64decode(self("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        with suppress(OSError):
            self._stack.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def serve(source: str) -> Iterator[tuple[int, int]]:
    """`edgemood run` with its live page: the number of its process, and the page's port.

    Raises EdgemoodError where it does not start.
    """
    process = subprocess.Popen(
        [*RUN, source, "--headless", "--serve", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", said)
        if found is None:
            raise EdgemoodError(f"the page is not there: {said.strip()}")
        yield process.pid, int(found[1])
    finally:
        process.terminate()
        process.communicate(timeout=20)


def main(argv: Sequence[str] | None = None) -> int:
    """A picture of the live page, once it has shown a source for a while, and no doubt."""
    parser = argparse.ArgumentParser(prog="browser", description=main.__doc__)
    parser.add_argument("picture", metavar="PNG", help="where the picture goes")
    parser.add_argument("source", nargs="?", default="demo", help="what is read (default: demo)")
    parser.add_argument("--seconds", type=float, default=90.0, help="for how long (default: 90)")
    args = parser.parse_args(argv)
    try:
        require_place(args.picture)
        with serve(args.source) as (_, port), Browser() as browser:
            browser.look((1120, 1130))
            browser.open(f"http://127.0.0.1:{port}/")
            time.sleep(args.seconds)
            browser.wait("document.querySelector('h3 small')?.textContent === ''", 60)
            with replace_file(args.picture) as file:
                file.write(browser.screenshot())
    except (EdgemoodError, TimeoutError) as error:
        say(f"edgemood: {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
