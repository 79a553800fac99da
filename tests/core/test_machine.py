"""What changes on a machine from one minute to the next is read where the system tells."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgemood.machine import Condition, condition, memory, throttles

unix = pytest.mark.skipif(sys.platform == "win32", reason="it is told on Unix only")


@unix
def test_a_boards_condition_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, text in {
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
        "sys/class/thermal/thermal_zone0/temp": "51234\n",
        "sys/class/thermal/thermal_zone1/temp": "60500\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text)
    vcgencmd = tmp_path / "vcgencmd"
    vcgencmd.write_text("#!/bin/sh\necho throttled=0x50004\n")
    vcgencmd.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    found = condition(tmp_path)
    load = found.load
    assert load is not None
    assert load >= 0
    now, before = ("throttled",), ("under-voltage", "throttled")
    assert found == Condition("ondemand", 60.5, now, before, load)


def test_where_nobody_tells_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = condition(tmp_path)
    assert found == Condition(load=found.load)


def test_bits_that_are_not_set_hold_nothing_back() -> None:
    assert throttles(0) == ((), ())
    assert throttles(0xF000F)[0] == throttles(0xF000F)[1]


@unix
def test_the_peak_of_memory_stays_when_memory_is_given_back() -> None:
    program = (
        "from edgemood.machine import peak_memory\n"
        "peaks = [peak_memory()]\n"
        "held = bytearray(b'x') * 150_000_000\n"
        "peaks.append(peak_memory())\n"
        "del held\n"
        "print(*peaks, peak_memory())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    before, with_it, after = map(int, done.stdout.split())
    whole = memory()
    assert whole is not None
    # Linux counts pages by the batch.
    assert before + 100e6 < with_it < after + 5e6 < whole
