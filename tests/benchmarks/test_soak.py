"""`make soak`, for seconds instead of an hour: it tells what holds from what does not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgemood.benchmarks import soak

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="there is no /proc here"
)


def test_the_command_outlives_a_camera_that_misbehaves_and_ten_signals(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = soak.main(["8", "--faults", "0.05", "--signals", "10"])
    said = capsys.readouterr().out
    assert code == 0, said
    for row in ("memory, MB", "threads", "open files", "latency p50, ms", "latency p95, ms"):
        assert row in said
    assert "broken picture" in said
    assert "held: " in said


# A command that leaks and obeys nothing, in place of ours.
LEAKS = """
import json, signal, threading, time
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: None)
kept = []
began = time.monotonic()
while True:
    kept += [open("/dev/null"), bytearray(500_000)]
    threading.Thread(target=time.sleep, args=[60], daemon=True).start()
    now = time.monotonic() - began
    print(json.dumps({"time": now / 2}), flush=True)
    time.sleep(0.02)
"""


def test_a_command_that_grows_and_falls_behind_is_found_out(
    tmp_path: Path,
) -> None:
    leaks = (sys.executable, "-c", LEAKS)
    found = " ".join(soak.soak(soak.encode("demo"), 3, 0.0, 0, tmp_path, leaks))
    for name in soak.ALLOWED:
        assert f"{name} went from" in found
    assert "SIGINT did not end it" in found
    assert "soak.mkv cannot be read" in found
