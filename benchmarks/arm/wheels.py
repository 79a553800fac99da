"""pyproject.toml -> a table of the wheels that pip finds for what a Raspberry Pi installs.

    python benchmarks/arm/wheels.py

pip resolves the base install and the extras `tflite` and `serve` as it would on 64-bit Raspberry Pi
OS, for each Python it may have, from wheels alone: what a board would have to compile is a fault.
Nothing is installed. Conditions on a requirement ("; python_version < ...") are judged for the
Python that runs this: pip has no way to ask for another's.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from edgemood.console import say, table, track

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
PYTHONS = ("3.11", "3.12", "3.13")
LEAN = "lean"
EXTRAS = ("tflite", "serve")
# The C library that a wheel may want at most: 2.36 is Bookworm's, the older of the two Debians that
# Raspberry Pi OS is made of. That a newer one runs what an older one does, pip has to be told.
PLATFORMS = ("manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in range(17, 37)))


def main() -> int:
    found: dict[tuple[str, str], dict[str, str]] = {}
    faults = []
    needs = requirements(PROJECT.read_text())
    questions = [(python, what) for what in needs for python in PYTHONS]
    for python, what in track(questions, "asking pip"):
        wanted = needs[LEAN] if what == LEAN else needs[LEAN] + needs[what]
        try:
            wheels = resolve(wanted, python)
        except ValueError as error:
            faults.append(f"{what}, Python {python}: {error}")
            continue
        for name, version in wheels.items():
            found.setdefault((what, name), {})[python] = version
    # What the base install has already is not the extras' news.
    base = {name for what, name in found if what == LEAN}
    rows = [
        [name, what, *(versions.get(python, "-") for python in PYTHONS)]
        for (what, name), versions in found.items()
        if what == LEAN or name not in base
    ]
    table(["wheel", "of", *(f"Python {python}" for python in PYTHONS)], rows, left=2)
    for fault in faults:
        say(f"edgemood: {fault}")
    return 1 if faults else 0


def requirements(pyproject: str) -> dict[str, list[str]]:
    """Of the base install, under LEAN, and of each of EXTRAS, from the text of pyproject.toml."""
    project = tomllib.loads(pyproject)["project"]
    extras = project["optional-dependencies"]
    return {LEAN: project["dependencies"], **{extra: extras[extra] for extra in EXTRAS}}


def resolve(wanted: Sequence[str], python: str) -> dict[str, str]:
    """Name -> version of the wheels that pip would install on aarch64, those asked for first.

    Raises ValueError, with pip's reason, where there is no such set.
    """
    with tempfile.TemporaryDirectory() as nowhere:
        platforms = [f"--platform={name}" for name in PLATFORMS]
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--report=-"),
                *("--disable-pip-version-check", "--ignore-installed", f"--target={nowhere}"),
                *("--only-binary=:all:", f"--python-version={python}", *platforms, *wanted),
            ],
            capture_output=True,
            text=True,
        )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["pip failed"]
        reason = [line for line in lines if line.startswith("ERROR")] or lines
        raise ValueError(reason[-1].removeprefix("ERROR: "))
    report = json.loads(done.stdout)["install"]
    report.sort(key=lambda package: not package["requested"])
    return {package["metadata"]["name"]: package["metadata"]["version"] for package in report}


if __name__ == "__main__":
    sys.exit(main())
