"""This machine and this installation -> what works, what does not, and what to do about it.

Everything that may itself be broken is imported where it is looked at, and an engine is first run
in a process of its own: one that was built for another processor ends the program it is loaded in.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import json
import os
import platform
import re
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib import metadata
from importlib.resources import files
from itertools import chain, repeat
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Literal

from edgemood import __version__
from edgemood.errors import EdgemoodError
from edgemood.machine import (
    THROTTLES,
    cores,
    governor,
    processor,
    system,
    temperatures,
    text_of,
    throttled,
    throttles,
)

if TYPE_CHECKING:
    from edgemood.modelfile import ModelFile

SCHEMA = 1
# Seconds for one camera to give its first picture, and for all of them together.
CAMERA, CAMERAS = 3.0, 6.0
# Seconds after which a program that was asked something is not waited for any longer.
PATIENCE = 60.0
# Frames a second under which a live picture jerks.
SMOOTH = 15.0
# Degrees Celsius at which a Raspberry Pi begins to slow down (its documentation, "Frequency
# management and thermal control"); laptops do at 90 to 100.
HOT = 80.0
# What int8 networks run faster with, as /proc/cpuinfo calls it: on x86, then on Arm.
FEATURES = ("avx2", "avx_vnni", "avx512_vnni", "amx_int8", "asimd", "asimddp", "i8mm")
# The distributions that install OpenCV, of which one is wanted.
OPENCVS = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
# Engine -> its package, and the module in that.
PACKAGES = {
    "opencv": ("opencv-python", "cv2"),
    "onnxruntime": ("onnxruntime", "onnxruntime"),
    "litert": ("ai-edge-litert", "ai_edge_litert"),
}

State = Literal["ok", "note", "wrong"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    state: "ok"; "note": it works, with a limit; "wrong": something does not work that should.
    found: what was seen. remedy: what to do; empty where there is nothing to.
    """

    name: str
    state: State
    found: str
    remedy: str = ""


def examine(models: Path | None = None, seconds: float = 3.0) -> Iterator[Check]:
    """Look at everything, which takes some ten seconds; nothing is fetched, nothing is written.

    models: a folder of model files; None: the package's own. seconds: for the self-test.
    What is found holds no name of a user or a computer, and no path but those inside the package,
    of devices and behind ~.
    """
    folder = models or Path(str(files("edgemood.models")))
    return (without_paths(check, folder) for check in _examine(folder, seconds))


def _examine(folder: Path, seconds: float) -> Iterator[Check]:
    yield from _each("python", python)
    yield from _each("packages", packages)
    yield from _each("processor", hardware)
    fault = fault_of("import cv2")
    if fault:  # nearly all else begins with it
        yield Check(
            "opencv engine",
            "wrong",
            f"it does not load: {fault}",
            remedy_for(fault, "opencv-python"),
        )
        return
    yield from _each("display", display)
    yield from _each("cameras", lambda: cameras(find_cameras()))
    yield from _each("models", lambda: model_files(folder))
    whole = whole_models(folder)
    trials = list(_each("engines", lambda: engines(whole)))
    yield from trials
    working = [check.name.partition(" ")[0] for check in trials if check.state == "ok"]
    yield from _each("parity", lambda: parity(whole, working))
    if any(check.state == "wrong" for check in trials if check.name.startswith("onnxruntime")):
        found = "it was not run, and no face detector was tried: ONNX Runtime might end the program"
        yield Check("self-test", "note", found, "Mend ONNX Runtime first.")
        return
    (faces,) = _each("face detector", lambda: [detector()])
    yield faces
    if faces.state == "ok":
        yield from _each("self-test", lambda: [self_test(folder, seconds)])
    else:
        yield Check("self-test", "note", "it was not run, for want of a face detector")


def _each(name: str, look: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """What a look finds; an error in it is a finding too, and the other looks go on."""
    try:
        yield from look()
    except EdgemoodError as error:
        found, _, remedy = str(error).partition(". ")
        yield Check(name, "wrong", found, remedy)
    except ImportError as error:
        yield Check(name, "wrong", str(error), remedy_for(str(error)))
    except Exception as error:  # whatever is broken, a person came here to hear of it
        yield Check(
            name,
            "wrong",
            f"{type(error).__name__}: {error}",
            "This is a fault of Edgemood: report it with what `edgemood doctor --json` prints.",
        )


def to_json(checks: Sequence[Check]) -> str:
    """The whole report, for programs and reports of a fault."""
    values = {
        "schema": SCHEMA,
        "edgemood": __version__,
        "wrong": sum(check.state == "wrong" for check in checks),
        "checks": [asdict(check) for check in checks],
    }
    return json.dumps(values, indent=1, ensure_ascii=False)


def without_paths(check: Check, folder: Path) -> Check:
    """The check without what tells whose machine it is: paths of the package, the home, others."""
    home = str(Path.home())
    named = os.path.expanduser(os.environ.get("EDGEMOOD_DETECTOR", ""))
    known = [
        (str(folder.parent), ""),
        (home, "~/"),
        (sys.prefix, "…/"),
        (os.path.dirname(named), "…/"),
    ]

    def clean(text: str) -> str:
        for path, instead in known:
            if os.path.isabs(path) and path != os.sep:
                text = text.replace(path + os.sep, instead)
        text = re.sub(re.escape(home) + r"(?![\w.-])", "~", text) if home != os.sep else text
        # Whatever else is a path in somebody's folders: only its end stays.
        return re.sub(r"(?<![\w.~…:/])/(?!dev/|sys/|proc/|usr/|lib)(?:[^\s/'\",;]+/)+", "…/", text)

    return replace(check, found=clean(check.found), remedy=clean(check.remedy))


# --- the installation ---------------------------------------------------------------------------


def python() -> Iterator[Check]:
    """Edgemood's version, and whether it has a Python that it can run in."""
    yield Check("edgemood", "ok", f"{__version__} on {system()}")
    version = platform.python_version()
    wanted = metadata.metadata("edgemood")["Requires-Python"] or ""
    if sys.maxsize < 2**32:
        yield Check(
            "python",
            "wrong",
            f"{version}, 32-bit, for which the engines do not exist",
            "Install a 64-bit system, on a Raspberry Pi the 64-bit Raspberry Pi OS.",
        )
    elif not is_within(version, wanted):
        yield Check(
            "python",
            "wrong",
            f"{version}, {wanted} was wanted",
            "Install one, and make .venv with it: rm -r .venv; make run PYTHON=python3.12",
        )
    else:
        yield Check("python", "ok", f"{version}, 64-bit")


def packages() -> Iterator[Check]:
    """NumPy, OpenCV and the engines' packages: which versions, and whether they are wanted ones."""
    requirements = _requirements()
    yield _package("numpy", requirements)
    yield opencv({name: version for name in OPENCVS if (version := _version(name))}, requirements)
    yield _package("onnxruntime", requirements)
    if _version("ai-edge-litert"):
        yield _package("ai-edge-litert", requirements)
    else:
        yield Check(
            "ai-edge-litert",
            "note",
            "not installed: it runs .tflite files",
            f"To use such files: {_pip('ai-edge-litert', requirements)}",
        )


def opencv(found: dict[str, str], requirements: dict[str, str]) -> Check:
    """Of the distributions of OpenCV that are installed, name -> version; one is wanted."""
    if len(found) > 1:
        return Check(
            "opencv-python",
            "wrong",
            f"{' and '.join(found)} are installed, and overwrite each other's files",
            f"pip uninstall -y {' '.join(found)}, then {_pip('opencv-python', requirements)}",
        )
    name = next(iter(found), "opencv-python")
    check = _package(name, requirements, "opencv-python")
    if check.state == "ok" and name.endswith("-headless"):
        return Check(
            name,
            "note",
            f"{check.found}, which shows no window",
            f"To have one: pip uninstall -y {name}, then {_pip('opencv-python', requirements)}",
        )
    return check


def _package(name: str, requirements: dict[str, str], stands_for: str = "") -> Check:
    version, wanted = _version(name), requirements.get(stands_for or name, "")
    if version is None:
        return Check(name, "wrong", "not installed", _pip(stands_for or name, requirements))
    if not is_within(version, wanted):
        found = f"{version}, {wanted} was wanted"
        return Check(name, "wrong", found, _pip(name, {name: wanted}))
    return Check(name, "ok", version)


def _pip(name: str, requirements: dict[str, str]) -> str:
    return f"pip install '{name}{requirements.get(name, '')}'"


def _requirements() -> dict[str, str]:
    """Package -> bounds of its version, as pyproject.toml declares them."""
    parts = (
        re.match(r"([\w.-]+)(?:\[.*?\])?([^;]*)", line)
        for line in metadata.requires("edgemood") or ()
    )
    return {match[1]: match[2].strip() for match in parts if match}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def is_within(version: str, bounds: str) -> bool:
    """Whether a version is within bounds of the form ">=2.0,<3" (PEP 440's numbers alone)."""

    def numbers(text: str) -> list[int]:
        found = [int(part) for part in re.findall(r"\d+", re.match(r"[\d.]*", text)[0])]  # type: ignore[index]
        return found + [0] * (4 - len(found))

    own = numbers(version)
    fits = {"<": own.__lt__, "<=": own.__le__, ">": own.__gt__, ">=": own.__ge__}
    return all(
        fits[sign](numbers(bound)) for sign, bound in re.findall(r"([<>]=?)\s*([\d.]+)", bounds)
    )


# --- the machine --------------------------------------------------------------------------------


def hardware(root: Path = Path("/")) -> Iterator[Check]:
    """Processor, clock, temperature and, on a Raspberry Pi, power. root: where /proc and /sys lie.

    Only what Linux tells; elsewhere the processor's name and number of cores alone.
    """
    info = text_of(root / "proc/cpuinfo")
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", info, re.MULTILINE)
    has = set(flags[1].split()) if flags else set()
    found = f"{processor()}, cores: {cores()}"
    own = [name for name in FEATURES if name in has]
    if has:
        found += f", {' '.join(own) or 'no SIMD features that matter'}"
    is_slow = bool(has) and not {"avx2", "asimd"} & has
    remedy = "It works, slowly: ask a camera for small pictures, --width 320 --height 240."
    yield Check("processor", "note" if is_slow else "ok", found, remedy if is_slow else "")
    chosen = governor(root)
    if chosen:
        driver = text_of(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_driver")
        # Where the processor itself picks its clock, "powersave" does not mean the lowest one.
        lowest = chosen == "powersave" and not driver.startswith(("intel_pstate", "amd-pstate-epp"))
        remedy = (
            "It holds the clock at its lowest: echo ondemand | sudo tee "
            "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        )
        yield Check("clock", "note" if lowest else "ok", chosen, remedy if lowest else "")
    degrees = temperatures(root)
    if degrees:
        is_hot = max(degrees) >= HOT
        remedy = "It slows down to cool off: give it a heat sink, a fan, or room for air."
        found = f"{max(degrees):.0f} °C, the hottest of {len(degrees)} sensors"
        yield Check("temperature", "note" if is_hot else "ok", found, remedy if is_hot else "")
    bits = throttled()
    if bits is not None:
        yield throttling(bits)


def throttling(bits: int) -> Check:
    """What `vcgencmd get_throttled` says of a Raspberry Pi's power and heat."""
    now, past = throttles(bits)
    if not now and not past:
        return Check("power", "ok", "enough, since it was started")
    found = "; ".join(
        f"{when}: {', '.join(what)}" for when, what in (("now", now), ("earlier", past)) if what
    )
    remedies = []
    if "under-voltage" in now + past:
        remedies.append("Use the Raspberry Pi's own power supply and a short cable.")
    if THROTTLES[3] in now + past or "under-voltage" not in now + past:
        remedies.append("Give it a heat sink or a fan.")
    return Check("power", "wrong" if now else "note", found, " ".join(remedies))


def display() -> Iterator[Check]:
    """Whether a window can be shown."""
    from edgemood.runtime.sinks import no_display

    missing = no_display()
    if missing is None:
        yield Check("display", "ok", "a window can be shown")
    elif os.environ.get("DISPLAY"):
        remedy = "Start it, log in with `ssh -X`, or `unset DISPLAY` to do without a window."
        # Its name may be that of a computer.
        yield Check("display", "wrong", "the one that DISPLAY names does not answer", remedy)
    else:
        remedy = "To see it in a browser: edgemood run --serve"
        yield Check("display", "note", f"{missing}, so there is no window", remedy)


def _answer(command: list[str]) -> str:
    """What a program says on its standard output and error; nothing where it can't be asked."""
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=CAMERA,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


# --- cameras ------------------------------------------------------------------------------------

# linux/videodev2.h: VIDIOC_QUERYCAP, and the capabilities of what gives pictures.
QUERYCAP, CAPTURES = 0x80685600, 0x1 | 0x1000


def find_cameras() -> list[str]:
    """Device paths on Linux; elsewhere the first index, since none can be listed."""
    if sys.platform != "linux":
        return ["0"]
    found = Path("/dev").glob("video*")
    return sorted((str(path) for path in found), key=lambda name: (len(name), name))


def cameras(devices: Sequence[str]) -> Iterator[Check]:
    """What each camera gives, and those of a Raspberry Pi's connector; CAMERAS seconds at most.

    devices: what `open_source` takes for a camera. Nodes that take pictures or give none, which
    most cameras and a Raspberry Pi have as well, are left out.
    """
    end = time.monotonic() + CAMERAS
    count = 0
    for check in chain(_connector(), filter(None, (_camera(name, end) for name in devices))):
        count += 1
        yield check
    if not count:
        yield Check(
            "camera", "note", "there is none", "Plug one in, or read a video: edgemood run clip.mp4"
        )


def _camera(device: str, end: float) -> Check | None:
    """None for a node that is none. end: when all of them must be done (time.monotonic)."""
    from edgemood.runtime.sources.capture import open_camera
    from edgemood.runtime.sources.intake import Intake, Lost, Mailbox

    name, called, driver = f"camera {device}", "", ""
    if sys.platform == "linux" and os.path.exists(device):
        try:
            driver, called, captures = _capabilities(device)
            if not captures:
                return None
        except OSError as error:
            if error.errno in (errno.ENOTTY, errno.EINVAL):
                return Check(name, "wrong", "it is no video device", "Pass another source.")
            # What else is wrong with it is found where it is opened.
    limit = min(CAMERA, end - time.monotonic())
    if limit <= 0:
        return Check(name, "note", "it was not tried, the others took too long")
    mailbox = Mailbox()

    def on_change(intake: Intake) -> None:
        if intake.ended:
            mailbox.close()  # which ends the waiting

    intake = Intake(partial(open_camera, device), mailbox, on_change)
    shot = mailbox.take(limit)
    fps = intake.connection.fps if intake.connection else None
    intake.leave(0.5)
    names = ", ".join(filter(None, (called, by_id(device))))
    if shot is not None:
        height, width = shot[0].shape[:2]
        gives = f"{width}x{height}{f' at {fps:g} frames a second' if fps else ''}"
        return Check(name, "ok", f"{names}: {gives}" if names else gives)
    lost = intake.error
    found, remedy = f"it gives no picture within {limit:.0f} s", "Unplug it and plug it in again."
    if isinstance(lost, Lost):
        found, remedy = lost.found, f"{lost.remedy or 'Check its cable'}."
    if sys.platform != "linux":
        return Check("camera", "note", f"the first one: {found}", remedy)
    # A webcam that fails is a fault. Other drivers' nodes may be half of a camera, or a stage of
    # a Raspberry Pi's, whose pictures come through rpicam:// alone.
    state: State = "wrong" if driver in ("uvcvideo", "") else "note"
    return Check(name, state, f"{names}: {found}" if names else found, remedy)


def _capabilities(device: str) -> tuple[str, str, bool]:
    """Driver, name and whether it gives pictures, of a V4L2 device; raises OSError for no such."""
    import fcntl

    answer = bytearray(104)
    handle = os.open(device, os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.ioctl(handle, QUERYCAP, answer)
    finally:
        os.close(handle)
    driver, card, _, _, _, own = struct.unpack_from("<16s32s32sIII", answer)
    driver, card = (text.split(b"\0")[0].decode(errors="replace") for text in (driver, card))
    return driver, card, bool(own & CAPTURES)


def by_id(device: str, root: Path = Path("/")) -> str:
    """A camera's name in /dev/v4l/by-id, which stays when others come and go; empty without one.

    Its serial number is a *: it would tell whose camera it is, and the shell completes it.
    """
    node = root / device.lstrip("/")
    serial = text_of(root / "sys/class/video4linux" / node.name / "device/../serial")
    for link in sorted((root / "dev/v4l/by-id").glob("*")):
        if link.resolve() == node.resolve():
            encoded = re.sub(r"[^\w#+\-.:=@]", "_", serial)
            return f"/dev/v4l/by-id/{link.name.replace(f'_{encoded}-video', '_*-video')}"
    return ""


def _connector() -> Iterator[Check]:
    """Cameras at a Raspberry Pi's connector."""
    from edgemood.runtime.sources.pipes import find_rpicam

    try:
        said = _answer([find_rpicam(), "--list-cameras"])
    except EdgemoodError:
        return
    for number, name, gives in re.findall(r"^\s*(\d+) : (\S+) \[(.*?)\]", said, re.MULTILINE):
        yield Check(f"camera rpicam://{number}", "ok", f"{name}: up to {gives}")


# --- models and engines -------------------------------------------------------------------------


def model_files(folder: Path) -> Iterator[Check]:
    """The emotion models in a folder: whether each is whole, and which it is."""
    from edgemood.modelfile import read_model
    from edgemood.runtime.pipeline import DEFAULT_MODEL

    for path in dict.fromkeys([folder / DEFAULT_MODEL, *_model_paths(folder)]):
        name = f"models/{path.name}"
        try:
            card = read_model(path).card
        except EdgemoodError as error:
            found, _, remedy = str(error).replace(str(path), "it").partition(". ")
            yield Check(name, "wrong", found, remedy)
            continue
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()[:12]
        found = f"{card.precision}, version {card.version}, {len(data) / 1e6:.2f} MB, whole"
        yield Check(name, "ok", f"{found}, sha256 {digest}")


def _model_paths(folder: Path) -> list[Path]:
    paths = (path for path in folder.glob("*") if path.suffix in (".onnx", ".tflite"))
    return sorted(path for path in paths if path.name != "face.onnx")  # which is a detector


def whole_models(folder: Path) -> list[ModelFile]:
    from edgemood.modelfile import read_model

    whole = []
    for path in _model_paths(folder):
        with suppress(EdgemoodError):
            whole.append(read_model(path))
    return whole


def engines(models: Sequence[ModelFile]) -> Iterator[Check]:
    """Whether each engine that is installed runs the first model of a format that it reads."""
    from edgemood.runtime.engines import FORMATS

    for kind, names in FORMATS.items():
        for name in names:
            package, module = PACKAGES[name]
            if importlib.util.find_spec(module) is None:
                continue
            path = next((model.path for model in models if model.kind == kind), None)
            if path is None:
                remedy = "Mend the models first."
                yield Check(f"{name} engine", "note", f"no .{kind} file to try it with", remedy)
                continue
            trial = "import sys; from edgemood.runtime.engines import EmotionModel as model; "
            fault = fault_of(f"{trial}model(*sys.argv[1:])", str(path), name)
            found = f"it does not run {path.name}: {fault}" if fault else f"runs {path.name}"
            remedy = remedy_for(fault, package) if fault else ""
            yield Check(f"{name} engine", "wrong" if fault else "ok", found, remedy)


def fault_of(code: str, *args: str) -> str:
    """Why Python code fails in a process of its own; empty where it does not."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return f"it does not answer within {PATIENCE:.0f} s"
    if done.returncode == 0:
        return ""
    if done.returncode < 0:
        return f"it dies of {signal.Signals(-done.returncode).name}"
    said = done.stderr.strip().splitlines()
    return said[-1].rpartition("Error: ")[2] if said else f"exit code {done.returncode}"


def remedy_for(fault: str, packages: str = "numpy opencv-python onnxruntime") -> str:
    """What to do about a package that fails so. packages: those that may be at fault."""
    if "SIGILL" in fault:
        return f"It is built for newer processors: install another version of {packages}."
    if "shared object" in fault:
        return "On Debian, Ubuntu and Raspberry Pi OS: sudo apt install libgl1 libglib2.0-0"
    return f"pip install --force-reinstall {packages}"


def parity(models: Sequence[ModelFile], working: Sequence[str]) -> Iterator[Check]:
    """How far the engines' answers to the demo's faces lie apart, for each network.

    models: files of one network have one name up to its first dot. working: engines that run.
    """
    import numpy as np

    from edgemood.runtime.engines import FORMATS, SAME, EmotionModel
    from edgemood.runtime.sources.demo import demo_crops

    crops = demo_crops()
    answers: dict[str, dict[str, np.ndarray]] = {}
    for model in models:
        network = model.path.name.partition(".")[0]
        for engine in FORMATS[model.kind]:
            if engine in working:
                said = EmotionModel(model.path, engine).predict(crops)
                answers.setdefault(network, {})[f"{model.path.name} in {engine}"] = said
    for network, ways in answers.items():
        said = np.stack(list(ways.values()))  # [ways, faces, classes]
        apart = float(np.ptp(said, axis=0).max())
        found = f"{len(ways)} ways to run it differ by {apart:.3f} at most, on the demo's faces"
        if apart <= SAME:
            yield Check(f"parity of {network}", "ok", found)
            continue
        odd = np.abs(said - np.median(said, axis=0)).max(axis=(1, 2)).argmax()
        remedy = (
            f"Don't use {list(ways)[odd]}, which is furthest from the others: pass "
            "another --engine or --model."
        )
        yield Check(f"parity of {network}", "wrong", found, remedy)


def detector() -> Check:
    """The face detector that would be used, tried on the demo."""
    from edgemood.runtime.faces import FaceDetector, find_detector
    from edgemood.runtime.sources.demo import Demo

    path = find_detector()
    faces = FaceDetector(path)(next(iter(Demo())).image)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    found = f"{path}, sha256 {digest}, finds {len(faces)} faces in the demo, which shows 1"
    if len(faces) == 1:
        return Check("face detector", "ok", f"{path}, sha256 {digest}, finds the demo's face")
    return Check("face detector", "wrong", found, "Name another with EDGEMOOD_DETECTOR.")


def self_test(folder: Path, seconds: float) -> Check:
    """The demo through a pipeline with the default model, for so many seconds, on one thread."""
    import cv2
    import numpy as np

    from edgemood.runtime.pipeline import DEFAULT_MODEL, Pipeline
    from edgemood.runtime.sources.demo import Demo

    totals: list[float] = []
    seen = 0
    cv2.setNumThreads(1)  # as `edgemood run` does
    with Pipeline(folder / DEFAULT_MODEL) as pipeline:
        start = perf_counter()
        for frame in chain.from_iterable(repeat(Demo())):
            seen += bool(pipeline(frame.image, frame.time))
            totals.append(pipeline.timings.total)
            elapsed = perf_counter() - start
            if elapsed >= seconds:
                break
    fps, (p50, p95) = len(totals) / elapsed, np.percentile(np.array(totals) * 1000, (50, 95))
    found = f"{fps:.0f} frames a second, {p50:.1f} ms a frame (p50), {p95:.1f} ms (p95)"
    if seen < len(totals):
        return Check(
            "self-test",
            "wrong",
            f"a face in {seen} of {len(totals)} frames, all show one; {found}",
            "Name another face detector with EDGEMOOD_DETECTOR.",
        )
    if fps < SMOOTH:
        remedy = "Close what else runs, or ask a camera for less: --width 320 --height 240."
        return Check("self-test", "note", f"{found}: a live picture will jerk", remedy)
    return Check("self-test", "ok", found)
