"""Figures -> the text of a JSON file, in which a list of numbers is one line and nan is null."""

from __future__ import annotations

import json
import math
import re
from typing import Any

# A list of numbers, as json.dumps breaks it into lines.
NUMBERS = re.compile(r"\[\n\s+((?:[-+.,\de\s]|null)+?)\n\s+\]")


def json_text(values: Any) -> str:
    """Strict JSON: what has no value, nan, or never comes, infinity, is null."""
    text = json.dumps(_plain(values), indent=1, ensure_ascii=False, allow_nan=False)
    return NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
