"""The cards of one network's files -> its model card page, a README as Hugging Face reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from edgemood.console import markdown_table
from edgemood.datasets import FER2013_CODES
from edgemood.modelfile import Card

FER2013_LIMITS = """\
- FER-2013's pictures were found on the web by search words: mostly posed, often by actors or for
  advertisements. Spontaneous expressions are fainter and are read less well.
- Its labels are noisy: people who were tested on them were right 65 % of the time (Goodfellow et
  al. 2013, arXiv:1307.0414). `disgust` has few pictures, so its figures are the least certain.
- Who is shown was never recorded, so nobody could measure how errors differ between people of
  different age, sex or skin. Expect that they do.
"""


def card_page(cards: Mapping[str, tuple[Card, int]], split: str, data: str) -> str:
    """Markdown with YAML front matter.

    cards: file name -> its card and its size in bytes. split: what the judged pictures are called.
    data: file name of the data set.
    """
    card = next(iter(cards.values()))[0]
    usual = f"models/emotion-{card.name}.int8.onnx"
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
{FER2013_LIMITS if set(card.labels) == set(FER2013_CODES) else ""}\
- A face framed otherwise than in training costs several points of accuracy; small, dark, turned
  and covered faces are read less well.

## Licence

{card.license or "Not stated"}, for the files. The pictures that the network learnt from are not in
them and keep their own terms: check that these allow what you plan.
"""


def _front_matter(cards: Mapping[str, tuple[Card, int]], split: str, data: str) -> str:
    """Each value as JSON, which is YAML too and quotes what must be quoted."""
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
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in entries.items()]
    return "\n".join(["---", *lines, "---"])
