"""README and docs/ as a stranger meets them: every command runs, every link leads somewhere.

A page's blocks are run in order, in a folder of its own with the files that the pages speak of.
What `sh` and `python` blocks do must succeed; a `text` block right behind one is what that prints.
In a page's source, `<!-- untested: why -->` before a block keeps it from being run: its commands
must still be ones that the program knows. `<!-- file: NAME -->` says that a block is that file.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgemood.benchmarks import bench
from edgemood.cli import WORDS, _parser, main
from edgemood.datasets import FER2013_CODES
from edgemood.runtime.sources.demo import Demo

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
IDS = [page.relative_to(ROOT).as_posix() for page in PAGES]
FENCED = re.compile(
    r"(?:^<!-- (?P<mark>untested|file): (?P<said>[^>]+) -->\n)?"
    r"^```(?P<language>\w*)\n(?P<text>.*?)^```\n"
    r"(?:\n```text\n(?P<prints>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
# Put before a word's own arguments, which win: what takes hours takes seconds, and stays here.
SOONER = {
    "train": ["--epochs", "1"],
    "export": ["--output", "models"],
    "run": ["--headless"],
    "bench": ["models/emotion-nano.int8.onnx"],
    "steadiness": ["--steps", "1"],
}
# And these, in benchmarks/bench.py: the rounds that there must be, of few frames.
LESS = {"FACE_SECONDS": 0, "BATCH_SECONDS": 0, "CLIP_SECONDS": 0, "CLIP_FRAMES": 12, "STARTS": 1}
# Folders whose files the pages may name.
WHERE = ("core", "train", "export", "runtime", "benchmarks", "models", "tests")
# Options of other programs that the pages speak of.
FOREIGN = {"--system-site-packages"}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page. place: for messages. prints: what the next block says it prints."""

    place: str
    language: str
    text: str
    mark: str | None
    said: str | None
    prints: str | None


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(f"{page.name} line {text[: found.start()].count(chr(10)) + 1}", **found.groupdict())
        for found in FENCED.finditer(text)
    ]


def commands(block: Block) -> list[str]:
    """The lines of a block that do something; continued ones as one."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def programs(command: str) -> Iterator[list[str]]:
    """The words of each program in a line of shell, without what is done with its output."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in chain(lexer, ["|"]):
        if word[0] in "|&;":
            yield [*words]
            words = []
        else:
            words.append(word)


def edgemood_of(command: str, folder: Path) -> list[list[str]]:
    """The `edgemood` command lines that a line of shell comes to, also through make."""
    found = []
    for words in programs(command):
        if words and words[0] == "make":
            done = subprocess.run(
                ["make", "-n", *words[1:]], cwd=folder, env={"PATH": os.environ["PATH"]},
                capture_output=True, text=True,
            )  # fmt: skip
            assert done.returncode == 0, f"{command}: {done.stderr}"
            prefix = ".venv/bin/edgemood "
            lines = [line for line in done.stdout.splitlines() if line.startswith(prefix)]
            found += [shlex.split(line.removeprefix(prefix)) for line in lines]
        elif words and words[0] == "edgemood":
            found.append(words[1:])
    return found


# --- the files that the pages speak of ----------------------------------------------------------


def demo_faces(rng: np.random.Generator, label: str, count: int) -> Iterator[np.ndarray]:
    """The demo's face of a label, gray uint8 [48, 48], each time in other noise."""
    face = cv2.imread(str(ROOT / "runtime" / "demo" / f"{label}.png"), cv2.IMREAD_GRAYSCALE)
    for _ in range(count):
        yield (face + rng.normal(0, 8, face.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a little of everything: a clone's Makefile and models, faces, a clip."""
    folder = tmp_path_factory.mktemp("desk")
    rng = np.random.default_rng(0)
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / ".venv").mkdir()
    for needs in re.findall(r"^EXTRAS_(\w+)", (folder / "Makefile").read_text(), re.MULTILINE):
        (folder / ".venv" / f".stamp-{needs}").touch()  # newer than pyproject.toml: nothing to do
    (folder / "models").mkdir()
    for model in chain((ROOT / "models").glob("*.onnx"), (ROOT / "models").glob("*.tflite")):
        (folder / "models" / model.name).symlink_to(model)
    (folder / "benchmarks").mkdir()
    (folder / "benchmarks" / "results").symlink_to(ROOT / "benchmarks" / "results")

    rows = ["emotion,pixels,Usage"]
    for split, count in (("Training", 6), ("PublicTest", 3)):
        for code, label in enumerate(FER2013_CODES):
            for face in demo_faces(rng, label, count):
                rows.append(f"{code},{' '.join(map(str, face.ravel()))},{split}")
    (folder / "fer2013.csv").write_text("\n".join(rows) + "\n")
    for place, labels in {
        "my-faces": ("happy", "sad"),
        "faces/kitchen": ("happy", "sad"),
        "faces/garden": ("happy", "sad"),
        "rest": ("neutral", "angry"),
    }.items():
        for label in labels:
            (folder / place / label).mkdir(parents=True)
            for i, face in enumerate(demo_faces(rng, label, 2)):
                cv2.imwrite(str(folder / place / label / f"{i}.png"), face)

    weights = numpy_helper.from_array(rng.normal(size=(64 * 64, 8)).astype(np.float32), "weights")
    nodes = [
        helper.make_node("Flatten", ["image"], ["pixels"]),
        helper.make_node("MatMul", ["pixels", "weights"], ["logits"]),
    ]
    taken = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 64, 64])
    given = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 8])
    graph = helper.make_graph(nodes, "theirs", [taken], [given], [weights])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), folder / "theirs.onnx")

    demo = Demo()
    writer = cv2.VideoWriter(
        str(folder / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), demo.fps, demo.size
    )
    with demo:
        for frame, _ in zip(demo, range(15)):
            writer.write(frame.image)
    writer.release()
    (folder / "photos" / "train" / "awake").mkdir(parents=True)
    cv2.imwrite(str(folder / "photos" / "train" / "awake" / "002.jpg"), frame.image)
    for name in ("expressive", "small-face", "webcam-home"):
        shutil.copy(folder / "clip.mp4", folder / f"{name}.mp4")
    return folder


@pytest.fixture
def stranger(
    desk: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """In a copy of the desk, without a display, with `edgemood` among the programs."""
    folder = Path(shutil.copytree(desk, tmp_path / "clone", symlinks=True))
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("EDGEMOOD_DATA", str(folder / "fer2013.csv"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, less in LESS.items():
        monkeypatch.setattr(bench, name, less)
    return folder


# --- blocks -------------------------------------------------------------------------------------


def run_shell(block: Block, folder: Path) -> None:
    for command in commands(block):
        ours = edgemood_of(command, folder)
        plain = len(ours) == len(list(programs(command))) and not re.search(r"[<>*$]", command)
        if plain:  # here, so that TensorFlow is loaded once
            for word, *arguments in ours:
                code = main([word, *SOONER.get(word, []), *arguments])
                assert code == 0, f"{block.place}: `{command}` ended with {code}"
        else:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command],
                cwd=folder,
                stdout=subprocess.PIPE,
                text=True,
            )
            print(done.stdout, end="")
            assert done.returncode == 0, f"{block.place}: `{command}` ended with {done.returncode}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_block_of_a_page_runs_and_prints_what_it_says(
    page: Path, request: pytest.FixtureRequest
) -> None:
    runs = [b for b in blocks(page) if b.language in ("sh", "python") and b.mark != "untested"]
    if not runs:
        return
    folder = request.getfixturevalue("stranger")
    for block in runs:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            if block.mark == "file":
                path = folder / str(block.said)
                path.write_text(block.text)
                sys.modules.pop(path.stem, None)
            elif block.language == "python":
                exec(compile(block.text, block.place, "exec"), {"__name__": "__main__"})
            else:
                run_shell(block, folder)
        if block.prints is not None:
            assert said.getvalue() == block.prints, block.place


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_a_block_that_is_no_command_is_text_or_lines_of_json(page: Path) -> None:
    for block in blocks(page):
        if block.language == "json":
            lines = block.text.splitlines()
            assert json.loads(block.text if lines[0] == "{" else f"[{','.join(lines)}]")
        else:
            known = block.language in ("sh", "python", "text") or block.mark == "untested"
            assert known, f"{block.place}: neither run nor marked untested, with a reason"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_outside_of_blocks_are_within_a_line(page: Path) -> None:
    """Where the test above cannot run them, a reader may not take them for ones that were."""
    assert re.findall(r"^(?: {4}|\t)(?:edgemood|make|pip|python) .*", page.read_text(), re.M) == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_that_are_only_shown_are_ones_the_program_knows(page: Path, desk: Path) -> None:
    for block in blocks(page):
        if block.language == "sh" and block.mark == "untested":
            for command in commands(block):
                for line in edgemood_of(command, desk):
                    _parser(line).parse_args(line)


@cache
def options(word: str) -> set[str]:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        main([word, "--help"])
    return {"--help", "--version", *re.findall(r"--[a-z][a-z-]*", said.getvalue())}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_options_that_a_page_speaks_of_are_there(page: Path) -> None:
    for code in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", page.read_text()):
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", code)) - FOREIGN
        used = re.match(r"(?:.*\| )?edgemood (\w+)", code)
        assert not used or used[1] in WORDS, f"`{code}`"
        if used or code.startswith("--"):
            known = options(used[1]) if used else set().union(*map(options, WORDS))
            assert named <= known, f"`{code}` has {named - known}"


# --- links --------------------------------------------------------------------------------------


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """What GitHub calls a page's headings in addresses."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


@pytest.mark.parametrize("page", [*PAGES, *sorted((ROOT / "models").glob("*.md"))],
                         ids=lambda page: page.name)  # fmt: skip
def test_every_link_leads_to_a_file_and_a_heading_that_is_there(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", link):
            continue  # the web, which a test does not wait for
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), f"{page.name} links to {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name} links to {link}"


def test_every_file_of_the_project_that_is_named_is_there() -> None:
    """In pages, and pages in the code."""
    code = [path for name in WHERE for path in (ROOT / name).rglob("*.py")]
    for path in [*PAGES, *code]:
        pattern = r"(?<![\w/.~-])(?:docs/[\w-]+\.md"
        if path.suffix == ".md":
            pattern += rf"|(?:{'|'.join(WHERE)})/[\w/.-]+\.(?:py|npz|md|png)"
        for name in re.findall(pattern + ")", path.read_text()):
            assert (ROOT / name).exists(), f"{path.relative_to(ROOT)} names {name}"


# --- Python -------------------------------------------------------------------------------------


def test_the_library_page_has_examples_of_every_part() -> None:
    code = "".join(block.text for block in blocks(ROOT / "docs" / "library.md"))
    for name in ("Pipeline", "FaceDetector", "EmotionModel", "open_source"):
        assert f"{name}(" in code


def test_programs_that_use_the_library_are_checked_by_mypy_in_strict_mode(tmp_path: Path) -> None:
    """The examples pass, and one that takes a number for a text does not."""
    stations = [*(ROOT / "core").iterdir(), *(ROOT / name for name in ("runtime", "models"))]
    package = tmp_path / "types" / "edgemood"
    package.mkdir(parents=True)
    for path in stations:
        (package / path.name).symlink_to(path)
    scripts = []
    for i, block in enumerate(blocks(ROOT / "docs" / "library.md")):
        if block.language == "python":
            scripts.append(tmp_path / f"example_{i}.py")
            scripts[-1].write_text(block.text)
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from edgemood.runtime import Pipeline, open_source\n"
        "for frame in open_source('demo'):\n"
        "    for reading in Pipeline()(frame.image):\n"
        "        print(reading.track.upper())\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent",
         "--cache-dir", os.devnull, *scripts, wrong],
        cwd=tmp_path,
        env={"MYPYPATH": str(tmp_path / "types"), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert [line.split(": ", 1) for line in done.stdout.splitlines()[:-1]] == [
        ["wrong.py:4", 'error: "int" has no attribute "upper"  [attr-defined]']
    ], done.stdout + done.stderr


# --- every message ------------------------------------------------------------------------------

# What carries a sentence to the user, or a part of one.
SAYING = ("EdgemoodError", "Lost", "Undecodable", "ArgumentTypeError")


def messages() -> dict[str, str]:
    """Every message in the code, `…` for what is filled in -> where it is."""
    found = {}
    for path in chain.from_iterable((ROOT / name).rglob("*.py") for name in WHERE[:5]):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "id", getattr(node.func, "attr", None))
                text = re.sub("…+", "…", literal(node.args[0]))
                if name in SAYING or (name == "print" and text.startswith("edgemood: ")):
                    found[text.removeprefix("edgemood: ")] = (
                        f"{path.relative_to(ROOT)} line {node.lineno}"
                    )
    makefile = (ROOT / "Makefile").read_text()
    for said in re.findall(r'stop "(.+?)"', makefile):
        found[re.sub(r"\$[({].*?[)}]|\$\$\w+|\$\*", "…", said)] = "Makefile"
    return found


def literal(node: ast.expr) -> str:
    """The text of an expression, with `…` for what only a run would tell."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(literal, node.values))
    if isinstance(node, ast.BinOp):
        return literal(node.left) + literal(node.right)
    return "…"


def test_every_message_is_on_the_page_of_troubles_and_none_that_is_no_more() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    tables = page[page.index("## Installing and starting") :]
    cells = re.findall(r"^\| (`.+?`) \| ", tables, re.MULTILINE)
    entries = {entry for cell in cells for entry in re.findall(r"`(.+?)`", cell)}
    said = messages()
    lost = {
        text: place
        for text, place in said.items()
        if text.strip("… .") and not any(entry in text for entry in entries)
    }
    assert not lost, "not in docs/troubleshooting.md:\n" + "\n".join(
        f"{place}: {text}" for text, place in lost.items()
    )
    assert {entry for entry in entries if not any(entry in text for text in said)} == set()
