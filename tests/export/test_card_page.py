"""The page beside the files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgemood.datasets import FER2013_CODES, FERPLUS_EMOTIONS
from edgemood.export.card_page import card_page
from edgemood.modelfile import Card


def front_matter(page: str) -> dict[str, object]:
    _, head, _ = page.split("---\n", 2)
    return {
        key: json.loads(value) for key, value in (line.split(": ", 1) for line in head.splitlines())
    }


def test_page_has_the_front_matter_that_hugging_face_reads(exported: dict[str, Path]) -> None:
    entries = front_matter(exported[".md"].read_text())
    assert entries["license"] == "apache-2.0"
    assert entries["pipeline_tag"] == "image-classification"
    [index] = entries["model-index"]
    [result] = index["results"]
    assert result["dataset"]["split"] == "test"
    assert [metric["name"] for metric in result["metrics"]] == [
        "emotion-tiny.onnx", "emotion-tiny.int8.onnx", "emotion-tiny.int8.tflite",
    ]  # fmt: skip


def test_page_lists_the_deployed_files_with_sizes_and_the_command_for_their_figures(
    exported: dict[str, Path],
) -> None:
    page = exported[".md"].read_text()
    for ending in (".onnx", ".int8.onnx", ".int8.tflite"):
        size = exported[ending].stat().st_size
        assert f"| `emotion-tiny{ending}` | " in page
        assert f"{size / 1e6:.2f} MB" in page
    assert "60 pictures (test of " in page
    assert "edgemood evaluate models/emotion-tiny.int8.onnx --data " in page
    assert "FER-2013" not in page


@pytest.mark.parametrize(
    ("labels", "fault"),
    [(FER2013_CODES, "labels are noisy"), (FERPLUS_EMOTIONS, "half of FER+'s annotators")],
    ids=["FER-2013", "FER+"],
)
def test_page_of_fer2013s_pictures_says_what_is_known_of_their_faults(
    labels: tuple[str, ...], fault: str
) -> None:
    card = Card(
        name="small",
        labels=tuple(sorted(labels)),
        version="1",
        precision="int8",
        accuracy={"PublicTest": 0.6},
        parity={"pictures": 3589, "agreement": 0.99, "largest_difference": 0.1},
        parameters=780_919,
        macs=29_980_000,
    )
    files = {"emotion-small.int8.onnx": (card, 820_000)}
    page = card_page(files, "PublicTest", "fer2013.csv", "own")
    assert "edgemood run 0 --model own/emotion-small.int8.onnx" in page
    assert "posed" in page
    assert fault in page
    assert "Who is shown was never recorded" in page
    assert "3,589 pictures (PublicTest of fer2013.csv)" in page
