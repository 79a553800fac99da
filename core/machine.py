"""This machine -> what a timing or a report of a fault says of it, without who owns it."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# Of `vcgencmd get_throttled`: bits 0 to 3 are of now, 16 to 19 of the time since the board started
# (Raspberry Pi's documentation, "vcgencmd").
THROTTLES = ("under-voltage", "clock capped", "throttled", "soft temperature limit")
MADV_DONTNEED = 4  # of Linux's madvise(2)


@dataclass(frozen=True, slots=True)
class Condition:
    """What changes from one minute to the next, and a timing with it; None where nobody tells.

    governor: who sets the processor's clock, as Linux names it. celsius: its hottest sensor.
    throttled, throttled_before: what holds a Raspberry Pi back now, and what did since it started.
    load: programs that wanted a core, mean of the last minute.
    """

    governor: str | None = None
    celsius: float | None = None
    throttled: tuple[str, ...] | None = None
    throttled_before: tuple[str, ...] | None = None
    load: float | None = None


def processor() -> str:
    """The processor's name, or the board's where, as on Arm, the processor does not say."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
        return Path("/proc/device-tree/model").read_text().strip("\0\n ")
    except OSError:
        pass
    try:
        named = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True
        ).stdout.strip()
    except OSError:
        named = ""
    return named or platform.processor() or platform.machine()


def cores() -> int:
    """How many of them this program may use."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return own or 1


def system() -> str:
    """The operating system's name and the processor's kind, such as "Debian ... aarch64"."""
    mac = platform.mac_ver()[0]
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = f"macOS {mac}" if mac else f"{platform.system()} {platform.release()}"
    return f"{name} {platform.machine()}"


def memory() -> int | None:
    """Bytes of memory that this machine has."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def peak_memory() -> int | None:
    """Bytes of the most memory that this program has held at once; None on Windows."""
    with suppress(OSError):  # not getrusage, whose peak on Linux is also that of who started it
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    # In bytes on macOS, the one other system that has this module and runs Edgemood.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def unload_code() -> None:
    """Give back the memory of code that was run; what runs again comes back by itself.

    To be called when a program has started: 30 MiB of 150 are code of libraries that only starting
    needs, and would count as this program's until the system is short of memory. It takes 2 ms. On
    Linux; elsewhere, nothing happens.
    """
    with suppress(OSError, AttributeError):
        lines = Path("/proc/self/maps").read_text().splitlines()
        advise = ctypes.CDLL(None).madvise
        for line in lines:
            span, rights, _, _, inode, *_ = line.split(maxsplit=5)
            # Of a file and never written to: read-only data may hold addresses that were filled in.
            if rights == "r-xp" and inode != "0":
                start, end = (int(edge, 16) for edge in span.split("-"))
                advise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), MADV_DONTNEED)


# --- what changes -------------------------------------------------------------------------------


def condition(root: Path = Path("/")) -> Condition:
    """How this machine is doing. root: where /proc and /sys lie."""
    bits = throttled()
    now, before = (None, None) if bits is None else throttles(bits)
    try:
        load = round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        load = None
    return Condition(
        governor(root) or None, max(temperatures(root), default=None), now, before, load
    )


def governor(root: Path = Path("/")) -> str:
    """Who sets the first core's clock, as Linux names it; empty where it does not say."""
    return text_of(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def temperatures(root: Path = Path("/")) -> list[float]:
    """Degrees Celsius of every sensor that Linux knows."""
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*"))
    return [int(text) / 1000 for zone in zones if (text := text_of(zone / "temp")).isdecimal()]


def throttled() -> int | None:
    """The bits that a Raspberry Pi's `vcgencmd get_throttled` answers; None on other boards."""
    vcgencmd = shutil.which("vcgencmd")
    if vcgencmd is None:
        return None
    try:
        said = subprocess.run(
            [vcgencmd, "get_throttled"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=3,
        ).stdout
        return int(said.partition("=")[2], 16)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def throttles(bits: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What those bits say: what holds the board back now, and what did since it started."""
    now, before = (
        tuple(name for bit, name in enumerate(THROTTLES, first) if bits >> bit & 1)
        for first in (0, 16)
    )
    return now, before


def text_of(path: Path) -> str:
    """What a file of /proc or /sys says; empty where it is not there, or not to be read."""
    try:
        return path.read_text(errors="replace").strip("\0\n ")
    except OSError:
        return ""
