"""The pipeline: frames in, readings out, by the model's own labels, framing and doubt."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from edgemood.crop import Framing, face_crop
from edgemood.errors import EdgemoodError
from edgemood.runtime import EmotionModel, Pipeline, open_source
from edgemood.runtime.following import Every
from edgemood.runtime.pipeline import DEFAULT_MODEL, default_model


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    """640x480 with one face in it, as grainy as a camera's."""
    image = next(iter(open_source("demo"))).image
    grain = np.random.default_rng(0).normal(0, 12, (120, 160, 3)).repeat(4, 0).repeat(4, 1)
    return (image + grain).clip(0, 255).astype(np.uint8)


def test_a_reading_is_what_the_model_says_of_the_crop(
    detector: str, tiny_model: Path, face: np.ndarray
) -> None:
    with Pipeline(tiny_model, detector, raw=True) as pipeline:
        (reading,) = pipeline(face)
        model = pipeline.model
        (expected,) = model.predict(face_crop(face, reading.face.box)[None])
    assert tuple(reading.emotion.probabilities) == model.labels
    assert list(reading.emotion.probabilities.values()) == pytest.approx(expected.tolist())
    assert reading.emotion.confidence == pytest.approx(expected.max())
    assert reading.emotion.label == model.labels[expected.argmax()]
    assert (reading.track, reading.unsure) == (1, None)


def test_the_crop_is_framed_as_the_card_says(
    detector: str, make_model: Callable[..., Path], face: np.ndarray
) -> None:
    framing = Framing(scale=2.0, shift=0.2)
    with Pipeline(make_model(framing=framing), detector, raw=True) as pipeline:
        (reading,) = pipeline(face)
        (expected,) = pipeline.model.predict(face_crop(face, reading.face.box, framing)[None])
    assert list(reading.emotion.probabilities.values()) == pytest.approx(expected.tolist())


def test_other_labels_than_those_of_fer2013_are_the_models_business(
    detector: str, make_model: Callable[..., Path], face: np.ndarray
) -> None:
    with Pipeline(make_model(labels=("müde", "wach")), detector) as pipeline:
        (reading,) = pipeline(face)
    assert tuple(reading.emotion.probabilities) == ("müde", "wach")


@pytest.mark.parametrize(
    ("bound", "unsure"),
    [(None, None), (0.0, None), (1.1, "low confidence")],
    ids=["no bound was measured", "above the bound", "below the bound"],
)
def test_a_label_below_the_cards_bound_is_unsure(
    detector: str,
    make_model: Callable[..., Path],
    face: np.ndarray,
    bound: float | None,
    unsure: str | None,
) -> None:
    with Pipeline(make_model(unsure_below=bound), detector) as pipeline:
        (reading,) = pipeline(face)
    assert reading.unsure == unsure


def test_all_faces_of_a_frame_are_read_in_one_call(
    detector: str, tiny_model: Path, face: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = EmotionModel(tiny_model)
    calls: list[int] = []
    predict = model.predict

    def counted(crops: np.ndarray) -> np.ndarray:
        calls.append(len(crops))
        return predict(crops)

    monkeypatch.setattr(model, "predict", counted)
    with Pipeline(model, detector) as pipeline:
        readings = pipeline(np.hstack([face, face]))
    assert calls == [2]
    assert [reading.track for reading in readings] == [1, 2]


def test_nothing_is_computed_on_a_frame_that_equals_the_last(
    yunet: str, tiny_model: Path, face: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, calls = EmotionModel(tiny_model), []
    predict = model.predict
    monkeypatch.setattr(model, "predict", lambda crops: calls.append(len(crops)) or predict(crops))
    shown = face.copy()
    with Pipeline(model, yunet, detect_every=1) as pipeline:
        first = pipeline(shown, 0.0)
        for i in range(1, 90):
            shown[:] = face  # the sinks have drawn on it
            assert pipeline(shown, i / 30) == first
            assert pipeline.timings.detect == pipeline.timings.classify == 0
            shown[:] = 0
        assert calls == [1]
        # Three seconds without a look are no absence.
        (moved,) = pipeline(np.roll(face, 12, axis=1), 3.0)
    assert calls == [1, 1]
    assert moved.track == first[0].track
    assert moved.face.box[0] == pytest.approx(first[0].face.box[0] + 12, abs=3)


@pytest.mark.parametrize("every", ["auto", 1, 5])
def test_a_face_keeps_its_number_until_the_scene_changes(
    detector: str, tiny_model: Path, every: Every
) -> None:
    tracks = []
    with Pipeline(tiny_model, detector, detect_every=every) as pipeline:
        for frame in islice(open_source("demo"), 50):
            if frame.index == 40:
                pipeline.forget()
            tracks += [reading.track for reading in pipeline(frame.image, frame.time)]
    assert tracks == [1] * 40 + [2] * 10


def test_a_frame_without_a_time_is_of_now(detector: str, tiny_model: Path) -> None:
    face = next(iter(open_source("demo"))).image
    with Pipeline(tiny_model, detector) as pipeline:
        (first,) = pipeline(face)
        for i in range(1, 20):
            (reading,) = pipeline(np.roll(face, 3 * i, axis=1))
            assert reading.track == 1
            assert reading.face.box[0] == pytest.approx(first.face.box[0] + 3 * i, abs=20)


def test_a_frame_without_a_face_gives_no_reading(detector: str, tiny_model: Path) -> None:
    with Pipeline(tiny_model, detector) as pipeline:
        assert pipeline(np.zeros((120, 160, 3), np.uint8)) == []


def test_the_stages_are_timed(detector: str, tiny_model: Path, face: np.ndarray) -> None:
    with Pipeline(tiny_model, detector) as pipeline:
        pipeline(face)
        times = pipeline.timings
    assert times.detect > times.crop > 0
    assert min(times.track, times.classify, times.read) > 0
    parts = times.detect + times.track + times.crop + times.classify + times.read
    assert times.total == pytest.approx(parts)


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((48, 48), np.uint8),
        np.zeros((48, 48, 3), np.float32),
        np.zeros((0, 0, 3), np.uint8),
    ],
    ids=["gray", "float", "empty"],
)
def test_what_is_no_frame_is_a_programmers_error(
    detector: str, tiny_model: Path, frame: np.ndarray
) -> None:
    with Pipeline(tiny_model, detector) as pipeline, pytest.raises(ValueError, match="BGR uint8"):
        pipeline(frame)


@pytest.mark.parametrize("engine", ["onnxruntime", "opencv"])
def test_every_engine_reads_the_same_model_alike(tiny_model: Path, engine: str) -> None:
    crops = np.random.default_rng(1).integers(0, 256, (5, 48, 48), np.uint8)
    model = EmotionModel(tiny_model, engine)
    assert model.predict(crops) == pytest.approx(EmotionModel(tiny_model).predict(crops), abs=1e-5)
    assert model.predict(crops[:0]).shape == (0, 7)


def test_without_a_shipped_model_the_message_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgemood.runtime.pipeline.files", lambda package: tmp_path)
    with pytest.raises(EdgemoodError, match="make train"):
        default_model()


def test_the_default_model_reads_the_demos_clear_expressions(detector: str) -> None:
    """Averaged over a class, fear, sadness and disgust blur; these four stay what they are."""
    if not (Path(__file__).parents[2] / "models" / DEFAULT_MODEL).exists():
        pytest.skip(f"models/{DEFAULT_MODEL} is not there yet")
    with Pipeline(detector=detector) as pipeline, open_source("demo") as demo:
        # Late in each hold: two seconds an expression, the first 1.2 s of them held.
        labels = [
            reading.emotion.label
            for frame in demo
            for reading in pipeline(frame.image, frame.time)
            if frame.index % 50 == 25
        ]
    read = dict(zip(demo.ORDER, labels))
    clear = ("neutral", "happy", "surprise", "angry")
    assert {shown: read[shown] for shown in clear} == {shown: shown for shown in clear}
