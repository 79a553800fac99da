"""A peer -> an environment of its own, with what is in it and how large that is."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from edgemood.benchmarks.peers.roster import Peer
from edgemood.console import say
from edgemood.errors import EdgemoodError
from edgemood.files import write_text

ADAPTERS = Path(__file__).parent / "adapters"
CLONE = Path(__file__).parents[2]
RECORD = "made.json"  # in an environment that is whole


@dataclass(frozen=True)
class Environment:
    """command: runs the peer's adapter there, the task to follow. folder: to run it in.

    packages: name and version -> bytes of its files, compiled ones left out. interpreter: bytes of
    what runs them, Python with its standard library or Node, without package managers.
    """

    command: tuple[str, ...]
    folder: Path
    packages: dict[str, int]
    interpreter: int


def prepare(peer: Peer, home: Path) -> Environment:
    """The peer's environment below this folder, made now unless it is there and still right.

    Raises EdgemoodError where it can't be made.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EdgemoodError(
            f"{home} cannot be made a folder: {error.strerror}. Race from a folder that can be "
            "written to."
        ) from error
    folder = (home / peer.environment).absolute()
    made_of = {
        "python": platform.python_version(),
        "needs": list(peer.needs),
        "alone": list(peer.alone),
        "clone": None if peer.needs else _digest(),
    }
    record = folder / RECORD
    packages = None
    if record.exists():
        kept = json.loads(record.read_text())
        packages = kept["packages"] if kept["made_of"] == made_of else None
    if packages is None:
        say(f"installing {', '.join((*peer.needs, *peer.alone)) or 'this clone'} into {folder}")
        shutil.rmtree(folder, ignore_errors=True)
        packages = _with_npm(peer, folder) if peer.node else _with_pip(peer, folder)
        write_text(record, json.dumps({"made_of": made_of, "packages": packages}, indent=1) + "\n")
    if peer.node:
        program = ("node", str(ADAPTERS / "node_peers.cjs"))
    else:
        program = (str(folder / "bin" / "python"), str(ADAPTERS / "python_peers.py"))
    interpreter = _node_size() if peer.node else _python_size()
    return Environment((*program, peer.adapter), folder, packages, interpreter)


def _with_pip(peer: Peer, folder: Path) -> dict[str, int]:
    # Without pip inside, all that is inside is the peer's.
    venv.EnvBuilder(symlinks=True).create(folder)
    python = str(folder / "bin" / "python")
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    install.append("--disable-pip-version-check")
    if peer.needs:
        _run([*install, *peer.needs])
        if peer.alone:
            _run([*install, "--no-deps", *peer.alone])
    else:
        with tempfile.TemporaryDirectory() as copy:
            copy_clone(Path(copy))
            _run([*install, "--constraint", f"{copy}/constraints.txt", copy])
    (site,) = folder.glob("lib/python*/site-packages")
    return {
        f"{found.name} {found.version}": sum(
            file.stat().st_size
            for file in (Path(str(each.locate())) for each in found.files or ())
            if file.suffix != ".pyc" and file.is_file()
        )
        for found in metadata.distributions(path=[str(site)])
    }


def _python_size() -> int:
    """Of the Python that runs this, and the peers: its program, its library, its own modules."""
    variables = sysconfig.get_config_vars()
    files = {Path(getattr(sys, "_base_executable", sys.executable)).resolve()}
    if variables.get("Py_ENABLE_SHARED"):
        files.add(Path(str(variables["LIBDIR"]), str(variables["INSTSONAME"])).resolve())
    # Packages, Python's own tests, pip's wheel, and what only builds other programs.
    others = ("site-packages", "dist-packages", "test", "ensurepip", "__pycache__", "config-")
    for folder, inside, names in os.walk(sysconfig.get_path("stdlib")):
        inside[:] = [name for name in inside if not name.startswith(others)]
        files.update(Path(folder, name) for name in names)
    return sum(file.stat().st_size for file in files if file.is_file())


def _node_size() -> int:
    """Of Node's program, which holds its modules, or of the library that Debian puts them into."""
    _require("node")
    script = (
        "const loaded = process.report.getReport().sharedObjects.filter((f) => /libnode/.test(f));"
        "console.log(JSON.stringify([process.execPath, ...loaded]))"
    )
    files = json.loads(_run(["node", "-e", script]))
    return sum(Path(file).stat().st_size for file in files)


def copy_clone(to: Path) -> None:
    """What a wheel is built from, in a folder of its own: building leaves files behind."""
    for file in _sources():
        (to / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CLONE / file, to / file)


def _digest() -> str:
    """Of this clone, to know whether what was installed of it is still the same."""
    found = hashlib.sha256()
    for file in _sources():
        found.update(f"{file}\0".encode() + (CLONE / file).read_bytes())
    return found.hexdigest()


def _sources() -> list[Path]:
    """Files of the clone that a wheel is built from, as paths in it."""
    if not (CLONE / "pyproject.toml").exists():
        raise EdgemoodError(
            f"{CLONE} is no clone of Edgemood: the race runs from one. Clone the repository."
        )
    project = tomllib.loads((CLONE / "pyproject.toml").read_text())
    about = (project["project"]["readme"], *project["project"]["license-files"])
    folders = project["tool"]["setuptools"]["package-dir"].values()
    files = [CLONE / name for name in ("pyproject.toml", "constraints.txt", *about)]
    files += [file for name in folders for file in (CLONE / name).rglob("*") if file.is_file()]
    return sorted(file.relative_to(CLONE) for file in files if file.parent.name != "__pycache__")


def _with_npm(peer: Peer, folder: Path) -> dict[str, int]:
    _require("node", "npm")
    folder.mkdir(parents=True)
    quiet = ("--no-audit", "--no-fund", "--loglevel=error")
    _run(["npm", "install", "--prefix", str(folder), *quiet, *peer.needs])
    packages = {}
    for file in folder.glob("node_modules/**/package.json"):
        # A package's own, right below node_modules or below its owner's @name there.
        inside = file.parent.relative_to(folder / "node_modules").parts
        if len(inside) == (2 if inside and inside[0].startswith("@") else 1):
            found = json.loads(file.read_text())
            packages[f"{found['name']} {found['version']}"] = sum(
                each.stat().st_size for each in file.parent.rglob("*") if each.is_file()
            )
    return packages


def _require(*programs: str) -> None:
    for program in programs:
        if not shutil.which(program):
            raise EdgemoodError(
                f"there is no {program}: Node 18 or newer with npm was wanted. Install both, on "
                "Debian and Ubuntu with `sudo apt install nodejs npm`."
            )


def _run(command: Sequence[str]) -> str:
    """What it prints. Raises EdgemoodError where it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        # pip and npm say what went wrong in lines that begin so, and then how to ask for help.
        errors = [line for line in said if line.lower().startswith(("error", "npm error"))]
        reason = (errors or said or ["it said nothing"])[0].strip()
        raise EdgemoodError(f"it could not be installed: {reason}")
    return done.stdout
