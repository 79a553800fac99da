"""A profile file <-> `Profile`: which networks `edgemood run` takes, and how often it looks.

`edgemood bench --target 15fps` writes one; it is a few lines of JSON that a person can edit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from edgemood.errors import EdgemoodError
from edgemood.files import read_bytes, write_text
from edgemood.runtime import faces
from edgemood.runtime.engines import ENGINES
from edgemood.runtime.following import Every

SCHEMA = 1
# Of sides: the network's coarsest stride, and what no camera's frame needs.
NARROWEST, WIDEST = 32, 2000
MOST_THREADS = 64


@dataclass(frozen=True, slots=True)
class Profile:
    """What `edgemood run` does where its command line doesn't say; by default, what it does anyway.

    model, detector: files; None: those that run picks. engine: for the model, None: the first that
    reads it. threads: of the networks. detector_engine, sides: see `FaceDetector`. detect_every:
    see `Pipeline`. about: for a person, why it is so.
    """

    model: Path | None = None
    engine: str | None = None
    threads: int = 1
    detector: Path | None = None
    detector_engine: str = faces.ENGINES[0]
    sides: tuple[int, ...] = faces.SIDES
    detect_every: Every = "auto"
    about: str = ""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON; raises EdgemoodError where that fails.

        A shipped model is written by its name alone, other files with their whole paths.
        """
        values = {
            "schema": SCHEMA,
            **asdict(self),
            "model": self.model and _name(self.model),
            "detector": self.detector and _name(self.detector),
        }
        lines = [f" {json.dumps(key)}: {_text(value)}" for key, value in values.items()]
        write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


def read_profile(path: str | os.PathLike[str]) -> Profile:
    """What `Profile.save` wrote, or a person; what it leaves out has its default.

    Relative names are of files beside the profile or, where there are none, of shipped ones.
    Raises EdgemoodError, which says what is wrong with it.
    """
    path = Path(path)
    remedy = "`edgemood bench --target 15fps` writes one."
    data = read_bytes(path, "a profile", remedy)
    try:
        values = json.loads(data)
        if not isinstance(values, dict):
            raise ValueError("it is no JSON object")
        profile = _profile(values)
    except (ValueError, RecursionError) as error:
        # What is wrong with the JSON itself would be a second sentence, and Python's.
        is_json = type(error) is ValueError
        found = str(error) if is_json else "it is no JSON"
        raise EdgemoodError(f"{path} is not a profile: {found}. {remedy}") from None
    return replace(
        profile,
        model=profile.model and _found(profile.model, path.parent),
        detector=profile.detector and _found(profile.detector, path.parent),
    )


def _profile(values: dict[str, Any]) -> Profile:
    """Raises ValueError, whose text says what is wrong."""
    if values.pop("schema", None) != SCHEMA:
        raise ValueError(f"its schema is not {SCHEMA}")
    if unknown := [name for name in values if name not in _FITS]:
        raise ValueError(f"it has '{unknown[0]}', which is none of {', '.join(_FITS)}")
    values = {name: value for name, value in values.items() if value is not None}
    for name, value in values.items():
        fits, wanted = _FITS[name]
        if not fits(value):
            raise ValueError(f"its {name} is {_text(value)[:40]}, {wanted} was wanted")
    for name in ("model", "detector"):
        if name in values:
            values[name] = Path(os.path.expanduser(values[name]))
    if "sides" in values:
        values["sides"] = tuple(values["sides"])
    return Profile(**values)


def _is_count(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _is_file(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and value != ""


# What fits each value, and the words for it.
_FITS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "model": (_is_file, "a file's name"),
    "engine": (
        lambda value: isinstance(value, str) and value in ENGINES,
        " or ".join(ENGINES),
    ),
    "threads": (
        lambda value: _is_count(value, 1, MOST_THREADS),
        f"a whole number from 1 to {MOST_THREADS}",
    ),
    "detector": (_is_file, "a file's name"),
    "detector_engine": (
        lambda value: isinstance(value, str) and value in faces.ENGINES,
        " or ".join(faces.ENGINES),
    ),
    "sides": (
        lambda value: (
            isinstance(value, list)
            and 1 <= len(value) <= 4
            and all(_is_count(side, NARROWEST, WIDEST) for side in value)
        ),
        f"a list of one to four whole numbers from {NARROWEST} to {WIDEST}",
    ),
    "detect_every": (
        lambda value: value == "auto" or _is_count(value, 1, 10**6),
        'a number of frames, 1 or more, or "auto"',
    ),
    "about": (lambda value: isinstance(value, str), "a text"),
}


def _shipped(name: Path) -> Path:
    return Path(str(files("edgemood.models"))) / name.name


def _name(path: Path) -> str:
    return path.name if path.absolute() == _shipped(path) else str(path.absolute())


def _found(name: Path, folder: Path) -> Path:
    """Beside the profile, or, where a bare name is not there, among what ships."""
    own = folder / name
    is_bare = name == Path(name.name)
    return _shipped(name) if is_bare and not own.exists() and _shipped(name).exists() else own


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
