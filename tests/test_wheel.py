"""The package as others get it: an sdist of a clean tree, a wheel of it, a new environment."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from edgemood.cli import WORDS

ROOT = Path(__file__).parents[1]
STATIONS = ("train", "export", "runtime", "benchmarks", "models")
# Of use in a clone only: weights to go on training from, the race against other programs, the check
# on an emulated Arm processor.
LEFT_OUT = ("train/checkpoints/", "benchmarks/peers/", "benchmarks/arm/", "benchmarks/results/")


def output(*command: object, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """What a command that succeeds prints."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sources() -> list[str]:
    """Path of every file that a commit of the tree as it is would have."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git clone")
    return sorted({name for name in listed.split("\0") if (ROOT / name).is_file()})


@pytest.fixture(scope="module")
def wheel(sources: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as PyPI's users have it built: from the unpacked sdist, by pyproject.toml's backend."""
    folder = tmp_path_factory.mktemp("build")
    for name in sources:
        copy = folder / "tree" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy)
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder / "tools", *needs]
    fetched = subprocess.run(pip, capture_output=True, text=True)
    if fetched.returncode:
        reason = (fetched.stderr.strip().splitlines() or ["pip failed"])[-1]
        pytest.skip(f"{', '.join(needs)} cannot be had to build with: {reason}")

    def build(hook: str, tree: Path) -> Path:
        call = f"from setuptools import build_meta; print(build_meta.{hook}({str(folder)!r}))"
        tools = os.environ | {"PYTHONPATH": str(folder / "tools")}
        return folder / output(sys.executable, "-c", call, cwd=tree, env=tools).split()[-1]

    sdist = build("build_sdist", folder / "tree")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return build("build_wheel", folder / sdist.name.removesuffix(".tar.gz"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel in it, and this one's other packages for it to import."""
    environment = tmp_path_factory.mktemp("installed")
    venv.EnvBuilder(symlinks=os.name != "nt").create(environment)
    python = environment / "bin" / "python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(output(python, "-c", ask).strip())
    # Only the folders: .pth files in them, an editable Edgemood's too, are not followed from here.
    ours = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    (packages / "ours.pth").write_text("\n".join(sorted(ours)) + "\n")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    output(*pip, "--no-deps", "--no-index", wheel)
    return environment


def test_the_wheel_holds_every_file_of_the_stations_and_nothing_else(
    wheel: Path, sources: list[str]
) -> None:
    expected = {
        f"edgemood/{name.removeprefix('core/')}"
        for name in sources
        if name.startswith(tuple(f"{folder}/" for folder in ("core", *STATIONS)))
        and not name.startswith(LEFT_OUT)
    }
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert {"edgemood/py.typed", "edgemood/runtime/page/page.html"} < names


def test_the_wheel_brings_its_licence_and_third_party_notices(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        licences = {name.split("/")[-1] for name in archive.namelist() if "/licenses/" in name}
    assert licences == {"LICENSE", "THIRD_PARTY.md"}


@pytest.mark.skipif(os.name == "nt", reason="scripts lie elsewhere on Windows")
class TestInstalled:
    """Outside the repository, with a home that knows nothing and no way to the network."""

    @pytest.fixture
    def surroundings(self, tmp_path: Path) -> dict[str, str]:
        nowhere = "http://127.0.0.1:9"
        ours = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
        home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
        return ours | home | {"http_proxy": nowhere, "https_proxy": nowhere}

    def test_the_command_lists_its_words(
        self, installed: Path, tmp_path: Path, surroundings: dict[str, str]
    ) -> None:
        command = installed / "bin" / "edgemood"
        shown = output(command, "--help", cwd=tmp_path, env=surroundings)
        assert re.findall(r"^    (\w+)\s", shown, re.MULTILINE) == list(WORDS)
        ask = "import edgemood; print(edgemood.__file__)"
        where = output(installed / "bin" / "python", "-c", ask, cwd=tmp_path, env=surroundings)
        assert Path(where.strip()).is_relative_to(installed)

    def test_the_demo_is_read_with_the_models_inside(
        self, installed: Path, tmp_path: Path, surroundings: dict[str, str]
    ) -> None:
        command = [installed / "bin" / "edgemood", "run", "demo", "--headless", "--jsonl", "-"]
        lines = output(*command, cwd=tmp_path, env=surroundings).splitlines()
        frames = [json.loads(line) for line in lines]
        assert len(frames) == 350
        assert all(len(frame["faces"]) == 1 for frame in frames)
        assert {"neutral", "happy", "surprise"} <= {
            frame["faces"][0]["emotion"] for frame in frames
        }
        # ONNX Runtime would keep an identifier of the device there, to send with usage events.
        assert list(tmp_path.iterdir()) == []
