"""Frames of a clip, or pictures of faces -> what a peer reads in them, as lines of JSON on stdout.

    python python_peers.py PEER[:ARGUMENT] frames FRAMES.npy FPS
    python python_peers.py PEER[:ARGUMENT] pictures PICTURES.npy

It runs in the peer's own environment, where Edgemood is not installed, and imports a peer where
it is opened: every class calls one as its documentation shows.

frames: FRAMES.npy is BGR uint8 [N, height, width, 3]. A line a frame as soon as it is read,
{"seconds": ..., "cpu": ..., "faces": [[x, y, width, height, label], ...]}: the time from the frame
in memory to its labels, and the CPU time that all threads took meanwhile; then one line,
{"memory": bytes}, the most that the process held.
pictures: PICTURES.npy is gray uint8 [N, 48, 48], each a face. A line for every BATCH of them,
{"labels": [...]}, null where the peer finds no face.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 64
# FER-2013's classes in the order of its codes, for an untrained network.
CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
Found = list[tuple[Any, str]]  # (x, y, width, height) in pixels and label of every face


def main() -> None:
    # What peers print goes to stderr, so that stdout holds answers alone.
    with os.fdopen(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)
        named, task, path, *rest = sys.argv[1:]
        name, _, argument = named.partition(":")
        peer = PEERS[name](argument)
        if task == "pictures":
            pictures = np.load(path)
            for start in range(0, len(pictures), BATCH):
                labels = peer.pictures(pictures[start : start + BATCH])
                print(json.dumps({"labels": labels}), file=answers)
            return
        fps = float(rest[0])
        for index, image in enumerate(frames(path)):
            began, cpu = time.perf_counter(), time.process_time()
            found = peer.frame(image, index / fps)
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
            faces = [[*map(float, box), label] for box, label in found]
            print(json.dumps({"seconds": seconds, "cpu": cpu, "faces": faces}), file=answers)
        print(json.dumps({"memory": most_memory()}), file=answers)


def frames(path: str) -> Iterator[np.ndarray]:
    """One at a time, so that a clip in memory is not counted as the peer's.

    All in the same place, which the next one overwrites: new memory for each takes longer than
    reading it.
    """
    with open(path, "rb") as file:
        np.lib.format.read_magic(file)
        (count, *shape), _, dtype = np.lib.format.read_array_header_1_0(file)
        image = np.empty(shape, dtype)
        for _ in range(count):
            file.readinto(image.reshape(-1))
            yield image


def most_memory() -> int:
    """Bytes. Not getrusage's figure, which starts with what the parent process held."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def haar() -> Any:
    """OpenCV 4's usual face detector, set as OpenCV's Python tutorial on it sets it."""
    import cv2

    folder = cv2.data.haarcascades
    cascade = cv2.CascadeClassifier(folder + "haarcascade_frontalface_default.xml")
    return lambda gray: cascade.detectMultiScale(gray, scaleFactor=1.3, minNeighbors=5)


# --- ours ---------------------------------------------------------------------------------------


class Edgemood:
    """As `edgemood run` has it, one thread.

    argument: a model file's name in the package, and `:` and its detector's engine, if not OpenCV.
    """

    def __init__(self, argument: str) -> None:
        from importlib.resources import files

        import cv2

        from edgemood.runtime import FaceDetector, Pipeline

        cv2.setNumThreads(1)
        model, _, engine = argument.partition(":")
        detector = FaceDetector(engine=engine or "opencv")
        self.pipeline = Pipeline(str(files("edgemood.models") / model), detector)

    def frame(self, image: np.ndarray, seconds: float) -> Found:
        readings = self.pipeline(image, seconds)
        return [(reading.face.box, reading.emotion.label) for reading in readings]

    def pictures(self, grays: np.ndarray) -> list[str]:
        model = self.pipeline.model
        return [model.labels[place] for place in model.predict(grays).argmax(axis=1)]


# --- their weights are in their packages ----------------------------------------------------------


class Seed:
    """A first program: Haar cascade, then `model.predict` for each face. argument: a run folder.

    Without one, the network has its shape but is not trained.
    """

    def __init__(self, argument: str) -> None:
        import cv2
        import keras
        from keras import layers

        self.cv2 = cv2
        self.find = haar()
        self.labels = list(CLASSES)
        if argument:
            run = Path(argument)
            self.labels = json.loads((run / "config.json").read_text())["classes"]
            self.network = keras.saving.load_model(run / "model.keras", compile=False)
            # The file takes pixels of 0..255; this program, as many do, divides them itself.
            first = next(layer for layer in self.network.layers if layer.get_weights())
            kernel, bias = first.get_weights()
            first.set_weights([kernel * 255, bias])
            return
        convolutions: list[Any] = []
        for index, channels in enumerate((32, 64, 128, 256)):
            convolutions.append(layers.Conv2D(channels, 3, activation="relu"))
            if index:
                convolutions.append(layers.MaxPooling2D())
        self.network = keras.Sequential(
            [
                keras.Input((48, 48, 1)),
                *convolutions,
                layers.Flatten(),
                layers.Dense(512, activation="relu"),
                layers.Dense(7, activation="softmax"),
            ]
        )

    def frame(self, image: np.ndarray, seconds: float) -> Found:
        gray = self.cv2.cvtColor(image, self.cv2.COLOR_BGR2GRAY)
        found = []
        for x, y, width, height in self.find(gray):
            face = self.cv2.resize(gray[y : y + height, x : x + width], (48, 48)) / 255.0
            probabilities = self.network.predict(face.reshape(1, 48, 48, 1), verbose=0)
            found.append(((x, y, width, height), self.labels[int(probabilities.argmax())]))
        return found

    def pictures(self, grays: np.ndarray) -> list[str]:
        probabilities = self.network.predict(grays[..., None] / 255.0, verbose=0)
        return [self.labels[place] for place in probabilities.argmax(axis=1)]


class Fer:
    """With its default detector, a Haar cascade, and its default network, a TFLite file."""

    # FER widens every box by so many pixels: of a picture of 48 that is a face, this one becomes
    # the whole.
    INSIDE = (10, 10, 28, 28)

    def __init__(self, argument: str) -> None:
        from fer.fer import FER

        self.reader = FER()

    def frame(self, image: np.ndarray, seconds: float) -> Found:
        return [(face["box"], likeliest(face)) for face in self.reader.detect_emotions(image)]

    def pictures(self, grays: np.ndarray) -> list[str]:
        colours = np.repeat(grays[..., None], 3, axis=3)
        read = (self.reader.detect_emotions(image, [self.INSIDE]) for image in colours)
        return [likeliest(face) for (face,) in read]


def likeliest(face: dict[str, Any]) -> str:
    emotions: dict[str, float] = face["emotions"]
    return max(emotions, key=emotions.__getitem__)


class FacialEmotionRecognition:
    """It draws what it reads and tells nobody: boxes and labels are noted as it makes them."""

    def __init__(self, argument: str) -> None:
        import torch
        from facial_emotion_recognition import EmotionRecognition

        # Its weights were saved on a graphics card, and it does not say where to load them.
        torch.load = partial(torch.load, map_location="cpu", weights_only=False)
        self.reader = EmotionRecognition(device="cpu")
        self.boxes: list[Any] = []
        self.labels: list[str] = []
        detect, self.predict = self.reader.mtcnn.detect, self.reader._predict

        def noted_boxes(image: np.ndarray) -> Any:
            found = detect(image)
            self.boxes = [] if found[0] is None else found[0].tolist()
            return found

        def noted_label(face: np.ndarray) -> str:
            self.labels.append(self.predict(face))
            return self.labels[-1]

        self.reader.mtcnn.detect, self.reader._predict = noted_boxes, noted_label

    def frame(self, image: np.ndarray, seconds: float) -> Found:
        self.labels = []
        self.reader.recognise_emotion(image)
        boxes = [(x, y, right - x, bottom - y) for x, y, right, bottom in self.boxes]
        return list(zip(boxes, self.labels))

    def pictures(self, grays: np.ndarray) -> list[str]:
        return [self.predict(gray) for gray in grays]


# --- they fetch their weights: written from their documentation and sources, never run here -------


class DeepFace:
    def __init__(self, argument: str) -> None:
        from deepface import DeepFace as deepface

        self.analyze = deepface.analyze

    def frame(self, image: np.ndarray, seconds: float) -> Found:
        found = []
        for face in self.analyze(image, actions=["emotion"], enforce_detection=False, silent=True):
            if face["face_confidence"]:  # 0 for the whole picture, where there is no face
                region = face["region"]
                box = (region["x"], region["y"], region["w"], region["h"])
                found.append((box, face["dominant_emotion"]))
        return found

    def pictures(self, grays: np.ndarray) -> list[str]:
        return [
            self.analyze(
                np.repeat(gray[..., None], 3, axis=2),
                actions=["emotion"],
                detector_backend="skip",
                silent=True,
            )[0]["dominant_emotion"]
            for gray in grays
        ]


class HsEmotion:
    """Networks of AffectNet for faces that others find: here the Haar cascade."""

    def __init__(self, argument: str) -> None:
        import cv2
        from hsemotion_onnx.facial_emotions import HSEmotionRecognizer

        self.cv2 = cv2
        self.find = haar()
        reader = HSEmotionRecognizer(model_name="enet_b0_8_best_vgaf")
        self.label = lambda face: reader.predict_emotions(face, logits=True)[0]

    def frame(self, image: np.ndarray, seconds: float) -> Found:
        colours = self.cv2.cvtColor(image, self.cv2.COLOR_BGR2RGB)
        boxes = self.find(self.cv2.cvtColor(image, self.cv2.COLOR_BGR2GRAY))
        return [((x, y, w, h), self.label(colours[y : y + h, x : x + w])) for x, y, w, h in boxes]

    def pictures(self, grays: np.ndarray) -> list[str]:
        return [self.label(np.repeat(gray[..., None], 3, axis=2)) for gray in grays]


class EmotiEffLib(HsEmotion):
    """The successor, by the same author."""

    def __init__(self, argument: str) -> None:
        import cv2
        from emotiefflib.facial_analysis import EmotiEffLibRecognizer

        self.cv2 = cv2
        self.find = haar()
        reader = EmotiEffLibRecognizer(engine="onnx", model_name="enet_b0_8_best_vgaf")
        self.label = lambda face: reader.predict_emotions(face, logits=True)[0][0]


class PyFeat:
    def __init__(self, argument: str) -> None:
        import torch
        from feat import Detector

        self.torch = torch
        self.detector = Detector(device="cpu")

    def frame(self, image: np.ndarray, seconds: float) -> Found:
        channels_first = np.ascontiguousarray(image[None, :, :, ::-1].transpose(0, 3, 1, 2))
        tensor = self.torch.from_numpy(channels_first)
        fex = self.detector.detect(tensor, data_type="tensor", progress_bar=False)
        boxes = fex[["FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight"]].to_numpy()
        emotions = fex.emotions.dropna()
        return [(boxes[fex.index.get_loc(i)], row.idxmax()) for i, row in emotions.iterrows()]

    def pictures(self, grays: np.ndarray) -> list[str | None]:
        """It reads faces that its own detector finds, nothing else."""
        read = (self.frame(np.repeat(gray[..., None], 3, axis=2), 0.0) for gray in grays)
        return [found[0][1] if found else None for found in read]


class LibreFace:
    """One face, from files of pictures."""

    def __init__(self, argument: str) -> None:
        import cv2
        from libreface import get_aligned_image, get_facial_expression

        self.write = cv2.imwrite
        self.align, self.read = get_aligned_image, get_facial_expression
        self.folder = tempfile.TemporaryDirectory()

    def frame(self, image: np.ndarray, seconds: float) -> Found:
        file = str(Path(self.folder.name) / "frame.png")
        self.write(file, image)
        aligned = self.align(file, temp_dir=self.folder.name)[0]
        height, width = image.shape[:2]
        return [((0, 0, width, height), self.read(aligned, device="cpu"))]

    def pictures(self, grays: np.ndarray) -> list[str]:
        labels = []
        for gray in grays:
            file = str(Path(self.folder.name) / "face.png")
            self.write(file, np.repeat(gray[..., None], 3, axis=2))
            labels.append(self.read(file, device="cpu"))
        return labels


class Rmn:
    def __init__(self, argument: str) -> None:
        from rmn import RMN

        self.reader = RMN()

    def frame(self, image: np.ndarray, seconds: float) -> Found:
        return [
            (
                (
                    face["xmin"],
                    face["ymin"],
                    face["xmax"] - face["xmin"],
                    face["ymax"] - face["ymin"],
                ),
                face["emo_label"],
            )
            for face in self.reader.detect_emotion_for_single_frame(image)
        ]

    def pictures(self, grays: np.ndarray) -> list[str]:
        single = self.reader.detect_emotion_for_single_face_image
        return [single(np.repeat(gray[..., None], 3, axis=2))[0] for gray in grays]


class OpenCVZoo:
    """YuNet and the Zoo's MobileFaceNet, both of the repository opencv/opencv_zoo."""

    SOURCE = "https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/"
    DETECTOR = "face_detection_yunet/face_detection_yunet_2023mar.onnx"
    NETWORK = (
        "facial_expression_recognition/facial_expression_recognition_mobilefacenet_2022july.onnx"
    )
    # Its order, and where the five landmarks of a face are in its picture of 112x112 pixels.
    LABELS = ("angry", "disgust", "fearful", "happy", "neutral", "sad", "surprised")
    PLACES = (
        (38.2946, 51.6963),
        (73.5318, 51.5014),
        (56.0252, 71.7366),
        (41.5493, 92.3655),
        (70.7299, 92.2041),
    )

    def __init__(self, argument: str) -> None:
        import cv2

        self.cv2 = cv2
        cv2.setNumThreads(1)
        self.detector = cv2.FaceDetectorYN.create(self.fetched(self.DETECTOR), "", (320, 320))
        self.network = cv2.dnn.readNet(self.fetched(self.NETWORK))
        self.places = np.array(self.PLACES, np.float32)

    def fetched(self, name: str) -> str:
        from urllib.request import urlretrieve

        file = Path(sys.prefix) / Path(name).name
        if not file.exists():
            urlretrieve(self.SOURCE + name, file)
        return str(file)

    def label(self, face: np.ndarray) -> str:
        blob = self.cv2.dnn.blobFromImage(face, 1 / 127.5, (112, 112), (127.5,) * 3, swapRB=True)
        self.network.setInput(blob)
        return self.LABELS[int(self.network.forward().argmax())]

    def frame(self, image: np.ndarray, seconds: float) -> Found:
        height, width = image.shape[:2]
        self.detector.setInputSize((width, height))
        found = []
        _, rows = self.detector.detect(image)
        for row in () if rows is None else rows:
            matrix, _ = self.cv2.estimateAffinePartial2D(row[4:14].reshape(5, 2), self.places)
            found.append((row[:4], self.label(self.cv2.warpAffine(image, matrix, (112, 112)))))
        return found

    def pictures(self, grays: np.ndarray) -> list[str]:
        return [self.label(np.repeat(gray[..., None], 3, axis=2)) for gray in grays]


PEERS: dict[str, Any] = {
    "edgemood": Edgemood,
    "seed": Seed,
    "fer": Fer,
    "facial-emotion-recognition": FacialEmotionRecognition,
    "deepface": DeepFace,
    "hsemotion-onnx": HsEmotion,
    "emotiefflib": EmotiEffLib,
    "py-feat": PyFeat,
    "libreface": LibreFace,
    "rmn": Rmn,
    "opencv-zoo": OpenCVZoo,
}

if __name__ == "__main__":
    main()
