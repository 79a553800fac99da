"""Who races: of each peer, what is installed for it and what runs there."""

from __future__ import annotations

from dataclasses import dataclass

from edgemood.errors import EdgemoodError


@dataclass(frozen=True)
class Peer:
    """A program that reads expressions.

    name: what --peers calls it. title: what tables call it. environment: of the folder that it is
    installed in. adapter: a peer of python_peers.py with its argument, or of node_peers.cjs.
    needs: what pip or npm is told to install, pinned; empty for this clone's own base install.
    alone: what pip then adds without what it asks for. node: it is of npm. fetches: its weights are
    in no package, so that it needs more of the network than a package index. published: what its
    authors say of it, and where.
    """

    name: str
    title: str
    environment: str
    adapter: str
    needs: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    node: bool = False
    fetches: bool = False
    published: str = ""


TENSORFLOW = ("tensorflow==2.21.0", "keras==3.15.1", "numpy==2.4.6")
# The last OpenCV with a CascadeClassifier and haarcascades.
OPENCV_4 = "opencv-python==4.14.0.94"
TFJS = ("@tensorflow/tfjs@4.22.0", "@tensorflow/tfjs-backend-wasm@4.22.0")
# What fer imports with its default detector. `pip install fer` brings more, for another detector
# and for videos: 7.6 GiB in all on x86-64, PyTorch with CUDA among it. With that detector, MTCNN,
# TensorFlow 2.21 and PyTorch 2.14 in one process ended it with a segmentation fault.
FER = (*TENSORFLOW, "opencv-contrib-python==4.14.0.94", "requests==2.34.2", "pillow==13.0.0")
# The last setuptools with pkg_resources, which fer imports.
SETUPTOOLS = "setuptools==80.10.2"

OURS, OURS_ONE_ENGINE = "edgemood-small", "edgemood-one-engine"
SEED = "seed"
FER_HAAR = "fer"
PEERS = (
    Peer(OURS, "edgemood, small int8", "edgemood", "edgemood:emotion-small.int8.onnx"),
    Peer(
        OURS_ONE_ENGINE,
        "edgemood, small int8, all in ONNX Runtime",
        "edgemood",
        "edgemood:emotion-small.int8.onnx:onnxruntime",
    ),
    Peer("edgemood-nano", "edgemood, nano int8", "edgemood", "edgemood:emotion-nano.int8.onnx"),
    Peer(SEED, "Haar + Keras predict", "seed", "seed", (*TENSORFLOW, OPENCV_4)),
    Peer(FER_HAAR, "fer 25.10.3", "fer", "fer", (*FER, SETUPTOOLS), ("fer==25.10.3",)),
    Peer(
        "facial-emotion-recognition",
        "facial-emotion-recognition 0.3.4",
        "facial-emotion-recognition",
        "facial-emotion-recognition",
        (
            "facial-emotion-recognition==0.3.4",
            "facenet-pytorch==2.5.3",
            OPENCV_4,
            "numpy==2.4.6",
        ),
    ),
    Peer(
        "face-api",
        "face-api.js 1.7.15",
        "face-api",
        "face-api",
        ("@vladmandic/face-api@1.7.15", *TFJS),
        node=True,
    ),
    Peer("human", "human 3.3.6", "human", "human", ("@vladmandic/human@3.3.6", *TFJS), node=True),
    Peer(
        "deepface",
        "deepface 0.0.103",
        "deepface",
        "deepface",
        ("deepface[tensorflow]==0.0.103", "tf-keras==2.21.0", *TENSORFLOW),
        fetches=True,
        published="no accuracy of emotions in its README",
    ),
    Peer(
        "hsemotion-onnx",
        "hsemotion-onnx 0.3.1",
        "hsemotion-onnx",
        "hsemotion-onnx",
        ("hsemotion-onnx==0.3.1", OPENCV_4, "onnx==1.23.2", "onnxruntime==1.32.0"),
        fetches=True,
        published="61.3 % on AffectNet of 8 classes, 64.6 % of 7, 59 ms a face on a Snapdragon 888 "
        "(github.com/av-savchenko/face-emotion-recognition, enet_b0_8_best_vgaf)",
    ),
    Peer(
        "emotiefflib",
        "emotiefflib 1.1.1",
        "emotiefflib",
        "emotiefflib",
        ("emotiefflib==1.1.1", OPENCV_4, "onnx==1.23.2", "onnxruntime==1.32.0"),
        fetches=True,
        published="the same networks and figures as hsemotion-onnx (pypi.org/project/emotiefflib)",
    ),
    Peer(
        "py-feat",
        "py-feat 2.1.5",
        "py-feat",
        "py-feat",
        ("py-feat==2.1.5",),
        fetches=True,
        published="no accuracy of emotions on its page (pypi.org/project/py-feat)",
    ),
    Peer(
        "libreface",
        "libreface 0.2.0",
        "libreface",
        "libreface",
        ("libreface==0.2.0",),
        fetches=True,
        published="about 30 FPS on a Core i9-13900K with a GeForce RTX 3080 "
        "(pypi.org/project/libreface)",
    ),
    Peer(
        "rmn",
        "rmn 3.3.0",
        "rmn",
        "rmn",
        ("rmn==3.3.0",),
        fetches=True,
        published="74.1 % on FER-2013's PrivateTest, 76.8 % as an ensemble of seven "
        "(pypi.org/project/rmn)",
    ),
    Peer(
        "opencv-zoo",
        "OpenCV Zoo, MobileFaceNet",
        "opencv-zoo",
        "opencv-zoo",
        ("opencv-python==5.0.0.93", "numpy==2.4.6"),
        fetches=True,
        published="88.3 % on RAF-DB (github.com/opencv/opencv_zoo, "
        "models/facial_expression_recognition)",
    ),
)


def named(names: list[str] | None) -> list[Peer]:
    """The peers of these names in the roster's order; None: all whose packages hold their weights.

    Raises EdgemoodError for a name that is nobody's.
    """
    if names is None:
        return [peer for peer in PEERS if not peer.fetches]
    for name in names:
        if name not in (every := [peer.name for peer in PEERS]):
            raise EdgemoodError(f"{name} is no peer; these are: {', '.join(every)}.")
    return [peer for peer in PEERS if peer.name in names]
