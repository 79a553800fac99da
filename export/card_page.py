"""What files say of themselves -> a network's card page, a README as Hugging Face reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from edgemood.console import markdown_table
from edgemood.datasets import FER2013_CODES, FERPLUS_EMOTIONS
from edgemood.modelfile import Card

# What is known of the pictures that FER-2013's networks and FER+'s learn from, and of their labels.
POSED = """\
- FER-2013's pictures were found on the web by search words: mostly posed, often by actors or for
  advertisements. Spontaneous expressions are fainter and are read less well.
"""
NOISY = """\
- Its labels are noisy: people who were tested on them were right 65 % of the time (Goodfellow et
  al. 2013, arXiv:1307.0414). `disgust` has few pictures, so its figures are the least certain.
"""
MAJORITY = """\
- Pictures of which no more than half of FER+'s annotators said the same are in none of these
  figures. `disgust` and `contempt` have few pictures, so theirs are the least certain.
"""
UNRECORDED = """\
- Who is shown was never recorded, so nobody could measure how errors differ between people of
  different age, sex or skin. Expect that they do.
"""
LIMITS = {
    frozenset(FER2013_CODES): POSED + NOISY + UNRECORDED,
    frozenset(FERPLUS_EMOTIONS): POSED + MAJORITY + UNRECORDED,
}


def card_page(cards: Mapping[str, tuple[Card, int]], split: str, data: str, folder: str) -> str:
    """Markdown with YAML front matter.

    cards: file name -> its card and its size in bytes. split: what the judged pictures are called.
    data: file name of the data set. folder: name of the one that the files are in.
    """
    card = next(iter(cards.values()))[0]
    usual = f"{folder}/emotion-{card.name}.int8.onnx"
    unsure = "not measured" if card.unsure_below is None else f"{card.unsure_below:.2f}"
    files = markdown_table(
        ["file", "precision", "size", "accuracy", "same label", "largest difference"],
        [
            [
                f"`{file}`",
                own.precision,
                f"{size / 1e6:.2f} MB",
                f"{100 * own.accuracy[split]:.2f} %",
                f"{100 * own.parity['agreement']:.2f} %",
                f"{own.parity['largest_difference']:.4f}",
            ]
            for file, (own, size) in cards.items()
        ],
    )
    return f"""\
{_front_matter(cards, split, data)}

# emotion-{card.name}

{card.description or "Reads the expression on a face"}.

- Input: `uint8 [N, 48, 48, 1]`, a gray face of raw pixels, framed by `edgemood.crop.face_crop`.
- Output: `float32 [N, {len(card.labels)}]`, probabilities of {", ".join(card.labels)}.
- Size: {card.parameters:,} parameters, {card.macs:,} multiply-accumulates for a face.
- Trained on: {card.training_data or "not said"}.
- Calibration: logits are divided by {card.temperature:.3f} inside the network.
- Confidence under which a label should not be relied on: {unsure}.

## Files

{files}

Measured on {card.parity["pictures"]:,} pictures ({split} of {data}), each file in its own engine.
The last two columns compare with the float network that the files were made of. `edgemood export`
prints them before it writes the files; for one file, this prints accuracy and much more:

    edgemood evaluate {usual} --data {data}

## Use

    edgemood run 0 --model {usual}

Labels and the card travel inside each file; `edgemood.modelfile.read_model` reads them.

## Limits

- An expression is not an emotion. The network names what a face looks like to the people who
  labelled pictures, not what a person feels, means or will do. Decide nothing about people by it.
  Edgemood's `docs/responsible-use.md` says more, also of what the law forbids.
{LIMITS.get(frozenset(card.labels), "")}\
- A face framed otherwise than in training costs several points of accuracy; small, dark, turned
  and covered faces are read less well.

## Licence

{card.license or "Not stated"}, for the files. The pictures that the network learnt from are not in
them and keep their own terms: check that these allow what you plan.
"""


def detector_page(card: Mapping[str, str], parameters: int, size: int) -> str:
    """Markdown with YAML front matter, of face.onnx.

    card: the metadata that the file carries. size: its bytes.
    """
    figures = json.loads(card.get("figures", "{}"))
    measured = markdown_table(
        ["figure", "value"], [[name, f"{value:.4g}"] for name, value in figures.items()]
    )
    front = _yaml({
        "license": card.get("license", "").lower() or "unknown",
        "library_name": "edgemood",
        "pipeline_tag": "object-detection",
        "tags": ["face-detection", "edge", "onnx", "opencv"],
    })  # fmt: skip
    return f"""\
{front}

# face

{card.get("description", "Faces and five landmarks")}.

- Input: `input`, `float32 [1, 3, height, width]`, BGR, 0..255, both sides multiples of 32. The
  colours are weighed to gray inside.
- Output: `cls_s`, `obj_s`, `bbox_s`, `kps_s` for each stride s of 8, 16 and 32, as YuNet has them
  (Wu et al. 2023, doi:10.1007/s11633-023-1423-y), so that `cv2.FaceDetectorYN` runs it. The scores
  of stride 16 are always 0: the other two share all sizes of faces.
- Size: {parameters:,} parameters, a byte for each weight of a kernel, {size / 1000:.0f} kB.
- Trained on: {card.get("training_data", "not said")}.

## Figures

{measured}

Of people who were held out: in frames of them as they are, and in scenes made of these, where
some faces are small or half covered; the measure is YuNet's answer at 320x256. Recall: share of
the faces found that are at least so wide, as a share of the frame's width, with the input that is
named; in the frames, overlap: median intersection over union, and landmarks: median distance, in
widths of the box. False faces: in pictures without one that were held out. `edgemood train
--recipe face` prints them in its report; `python -m edgemood.benchmarks.detectors face.onnx
YUNET.onnx CLIP` compares two files on any clip, speed included.

## Use

`edgemood run` finds faces with it unless `--detector` or `EDGEMOOD_DETECTOR` names another file.

## Limits

- It learnt from faces of 10 pixels of its input up to nine tenths of its largest scenes' height:
  larger ones are lost or found in parts. Small ones are found less often than by YuNet.
- Faces turned by more than 30 degrees, in profile, or covered by half were rare in training.
- Skin tone, age, glasses, beards and head covering are not annotated in the pictures, so nobody
  could measure how recall differs by them. Expect that it does, and try it on the people whom it
  is to find.
- It finds faces; it does not tell whose they are.

## Licence

{card.get("license", "Not stated")}, for the file. The pictures that it learnt from are not in it
and keep their own terms.
"""


def _front_matter(cards: Mapping[str, tuple[Card, int]], split: str, data: str) -> str:
    card = next(iter(cards.values()))[0]
    result = {
        "task": {"type": "image-classification"},
        "dataset": {"name": data, "type": "image-folder", "split": split},
        "metrics": [
            {"type": "accuracy", "value": own.accuracy[split], "name": file}
            for file, (own, _) in cards.items()
        ],
    }
    entries = {
        "license": card.license.lower() or "unknown",
        "library_name": "edgemood",
        "pipeline_tag": "image-classification",
        "tags": ["facial-expression-recognition", "edge", "onnx", "tflite", "int8"],
        "model-index": [{"name": f"emotion-{card.name}", "results": [result]}],
    }
    return _yaml(entries)


def _yaml(entries: Mapping[str, Any]) -> str:
    """Front matter, each value as JSON, which is YAML too and quotes what must be quoted."""
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in entries.items()]
    return "\n".join(["---", *lines, "---"])
