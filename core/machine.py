"""This machine -> what a timing or a report of a fault says of it, without who owns it."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path


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
