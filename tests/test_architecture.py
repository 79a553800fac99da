"""The house rules of docs/design.md, each held by a test."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import edgemood
from edgemood.cli import WORDS, main

ROOT = Path(__file__).parents[1]
STATIONS = ("train", "export", "runtime", "benchmarks", "models")
# What each folder may import of the others; everything may import core, and itself.
MAY_IMPORT = {
    "core": (),
    "models": (),
    "runtime": (),
    "export": ("edgemood.runtime.engines",),
    "benchmarks": ("edgemood.runtime",),
    "train": ("edgemood.runtime.faces", "edgemood.benchmarks.plots"),
}
HEAVY = ("tensorflow", "keras", "onnx", "matplotlib")
# What runs from a clone only: no package of what is installed.
CLONE_ONLY = ("benchmarks/peers", "benchmarks/arm")


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Full names of what a file imports, wherever in it; `from a import b` gives a.b."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} line {node.lineno}: imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_imports_point_one_way(folder: str) -> None:
    own = () if folder == "core" else (f"edgemood.{folder}",)
    for path in modules(folder):
        for name in imports(path):
            station = next((s for s in STATIONS if is_within(name, f"edgemood.{s}")), None)
            allowed = any(is_within(name, package) for package in (*own, *MAY_IMPORT[folder]))
            assert station is None or allowed, f"{path.relative_to(ROOT)} imports {name}"


def test_only_the_table_of_the_command_names_a_station_in_core() -> None:
    for path in modules("core"):
        named = {
            node.value
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and any(is_within(node.value, f"edgemood.{station}") for station in STATIONS)
        }
        table = {module for module, _ in WORDS.values()} if path.name == "cli.py" else set()
        assert named <= table, f"{path.relative_to(ROOT)} names {named - table}"


@pytest.mark.parametrize("folder", ["core", "runtime"])
def test_what_is_deployed_imports_nothing_heavy(folder: str) -> None:
    for path in modules(folder):
        heavy = {name for name in imports(path) if name.split(".")[0] in HEAVY}
        assert not heavy, f"{path.relative_to(ROOT)} imports {heavy}"


def loaded_after(statement: str) -> set[str]:
    """Top-level modules that a fresh Python has loaded after a statement."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{statement}\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}


def test_importing_the_runtime_loads_nothing_heavy() -> None:
    paths = [path.relative_to(ROOT).with_suffix("") for path in modules("runtime")]
    names = [".".join(("edgemood", *path.parts)).removesuffix(".__init__") for path in paths]
    every = ", ".join(names)
    loaded = loaded_after(f"import edgemood.runtime, {every}")
    assert "cv2" in loaded
    assert not loaded & set(HEAVY)


def test_help_is_quick_because_it_loads_no_numpy() -> None:
    loaded = loaded_after(
        "from edgemood.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    )
    assert not loaded & {"numpy", "cv2", *HEAVY}


def test_the_packages_of_pyproject_are_the_folders() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = {"edgemood": "core"}
    for station in STATIONS:
        for folder in {path.parent.relative_to(ROOT) for path in modules(station)}:
            if not folder.as_posix().startswith(CLONE_ONLY):
                packages[".".join(("edgemood", *folder.parts))] = folder.as_posix()
    assert set(setuptools["packages"]) == set(packages)
    # setuptools finds a subpackage below its parent's folder, so only the first level is mapped.
    top = {name: folder for name, folder in packages.items() if name.count(".") < 2}
    assert setuptools["package-dir"] == top


def test_nothing_shadows_the_installed_package() -> None:
    assert not (ROOT / "edgemood").exists(), "a folder edgemood/ would be imported instead"
    for station in STATIONS:
        assert not (ROOT / "core" / f"{station}.py").exists(), f"it would shadow {station}/"


def test_tests_are_no_package() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


def tracked() -> dict[str, int]:
    """Path -> bytes of every file under version control."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git clone")
    files = {name: ROOT / name for name in listed.split("\0") if name}
    return {name: path.stat().st_size for name, path in files.items() if path.exists()}


def test_no_tracked_file_is_larger_than_5_mb() -> None:
    assert {name: size for name, size in tracked().items() if size > 5e6} == {}


def test_the_shipped_models_stay_within_16_mb() -> None:
    assert sum(size for name, size in tracked().items() if name.startswith("models/")) <= 16e6


@pytest.mark.parametrize("word", WORDS)
def test_help_of_every_word_shows_an_example(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([word, "--help"])
    assert stop.value.code == 0
    assert f"examples:\n  edgemood {word}" in capsys.readouterr().out


def test_the_command_tells_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"edgemood {edgemood.__version__}\n"
