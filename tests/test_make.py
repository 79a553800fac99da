"""The Makefile: a newcomer's way in, tried in a copy with a .venv, or a lack of one, of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TARGETS = [
    "help",
    "run",
    "train",
    "export",
    "models",
    "bench",
    "race",
    "soak",
    "data",
    "test",
    "lint",
    "clean",
]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with the Makefile and pyproject.toml, and no .venv."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Not the environment of a `make test` that may be running this: it passes variables on.
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
    )


def stand_in(folder: Path, script: str) -> str:
    """A program in place of Python, for PYTHON=."""
    path = folder / "python-stand-in"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return f"PYTHON={path}"


def installed(folder: Path) -> None:
    """Pretend that every target's packages are there, newer than pyproject.toml."""
    (folder / ".venv").mkdir()
    for needs in re.findall(r"^EXTRAS_(\w+)", (folder / "Makefile").read_text(), re.MULTILINE):
        (folder / ".venv" / f".stamp-{needs}").touch()


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that is not make's own."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_make_alone_lists_every_target(copy: Path) -> None:
    done = make(copy)
    assert done.returncode == 0
    assert re.findall(r"^  make (\w+) +\S", done.stdout, re.MULTILINE) == TARGETS


def test_every_target_runs_though_files_have_its_name(copy: Path) -> None:
    installed(copy)
    for target in TARGETS:
        (copy / target).mkdir()
        assert "up to date" not in make(copy, "-n", target).stdout


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["run"], "run"),
        (["run", "SOURCE=my clip.mp4"], 'run "my clip.mp4"'),
        (["run", "MODEL=x.tflite", "ARGS=--headless"], 'run --model "x.tflite" --headless'),
        (["train", "EPOCHS=2"], 'train --epochs "2"'),
        (
            ["train", "DATA=faces", "RECIPE=nano", "SEED=7"],
            'train --recipe "nano" --data "faces" --seed "7"',
        ),
        (["export", "RUN=runs/small", "DATA=faces"], 'export "runs/small" --data "faces"'),
        (["bench", "CLIP=a.mp4"], 'bench --clip "a.mp4"'),
        (["data", "DATA=faces.zip"], 'data "faces.zip"'),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_variables_pass_through(copy: Path, arguments: list[str], command: str) -> None:
    installed(copy)
    done = make(copy, "-n", *arguments)
    assert done.stdout.strip() == f".venv/bin/edgemood {command}"


@pytest.mark.parametrize(
    ("arguments", "extras"),
    [
        (["run"], "."),
        (["run", "MODEL=x.tflite"], ".[tflite]"),
        (["run", "ARGS=--serve"], ".[serve]"),
        (["data"], ".[data]"),
        (["train"], ".[train]"),
        (["export"], ".[train,export,tflite]"),
        (["bench"], ".[tflite]"),
        (["test"], ".[dev]"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_target_installs_just_what_it_needs(
    copy: Path, arguments: list[str], extras: str
) -> None:
    assert f"--editable '{extras}'" in make(copy, "-n", *arguments).stdout


def test_an_unsupported_python_gets_one_sentence(copy: Path) -> None:
    done = make(copy, "run", stand_in(copy, "echo 3.9"))
    assert done.returncode != 0
    assert "is Python 3.9, 3.11, 3.12 or 3.13 was wanted" in sentence(done)
    assert not (copy / ".venv").exists()


def test_a_python_that_is_not_there_gets_one_sentence(copy: Path) -> None:
    done = make(copy, "run", "PYTHON=no-such-python")
    assert done.returncode != 0
    assert "no-such-python is not a Python that runs" in sentence(done)
    assert not (copy / ".venv").exists()


def test_a_python_without_ensurepip_gets_one_sentence(copy: Path) -> None:
    script = 'case "$*" in *ensurepip*) exit 1 ;; *) echo 3.11 ;; esac'
    done = make(copy, "run", stand_in(copy, script))
    assert done.returncode != 0
    assert "sudo apt install python3-venv" in sentence(done)
    assert not (copy / ".venv").exists()


# A stand-in that makes a .venv whose Python runs the rest of this script in place of pip.
PIP = """
case "$*" in
    *ensurepip*) ;;
    *"-m venv"*)
        mkdir -p .venv/bin
        printf '#!/bin/sh\\n%s\\n' "{pip}" > .venv/bin/python
        chmod +x .venv/bin/python ;;
    *) echo 3.12 ;;
esac"""


def test_no_network_gets_one_sentence_and_leaves_nothing(copy: Path) -> None:
    pip = "echo 'WARNING: Retrying (Retry(total=4)) after NewConnectionError' >&2; exit 1"
    done = make(copy, "run", stand_in(copy, PIP.format(pip=pip)))
    assert done.returncode != 0
    assert "check the network" in done.stderr
    assert "Retrying" not in done.stderr
    assert not (copy / ".venv").exists()


def test_a_failed_update_leaves_the_venv_that_was_there(copy: Path) -> None:
    stand_in(copy, "")
    python = copy / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        "#!/bin/sh\ncase \"$*\" in *pip\\ install*) echo 'disk full' >&2; exit 1; esac"
    )
    python.chmod(0o755)
    done = make(copy, "run")
    assert done.returncode != 0
    assert "disk full" in done.stderr
    assert python.exists()


def test_packages_are_installed_again_only_when_pyproject_changed(copy: Path) -> None:
    python = stand_in(copy, PIP.format(pip="echo installed >> log"))
    (copy / "Makefile").write_text(
        (copy / "Makefile").read_text().replace("EDGEMOOD = $(VENV)/bin/edgemood", "EDGEMOOD = :")
    )

    def installs() -> int:
        assert make(copy, "run", python).returncode == 0
        return (copy / "log").read_text().count("installed")

    first = installs()
    assert installs() == first
    stamp = (copy / ".venv" / ".stamp-lean").stat().st_mtime
    pyproject = copy / "pyproject.toml"
    os.utime(pyproject, (stamp + 5, stamp + 5))
    assert installs() > first


def test_clean_removes_what_was_built_and_nothing_else(copy: Path) -> None:
    built = ["build/types", "dist", "edgemood.egg-info", ".ruff_cache", "core/__pycache__"]
    kept = ["data", "runs/small", "models", ".venv/lib/__pycache__", "core"]
    for folder in [*built, *kept]:
        (copy / folder).mkdir(parents=True, exist_ok=True)
    assert make(copy, "clean").returncode == 0
    assert [folder for folder in built if (copy / folder).exists()] == []
    assert [folder for folder in kept if not (copy / folder).exists()] == []
