"""`python -m edgemood.benchmarks.fresh FILE ENGINE THREADS`: what a start with this model takes.

Out comes one line of JSON, a `Start`. In a process of its own nothing is loaded yet, and the peak
of its memory is this model's in this engine.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from edgemood.errors import EdgemoodError
from edgemood.machine import peak_memory

if TYPE_CHECKING:
    from edgemood.runtime import EmotionModel

# Engine -> the module that is it.
MODULES = {"onnxruntime": "onnxruntime", "opencv": "cv2", "litert": "ai_edge_litert.interpreter"}
CALLS = 20
# Seconds after which a start is taken for hung.
PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Start:
    """Milliseconds from one step to the next, and bytes.

    library: NumPy, OpenCV and the engine are imported. load: the file is read, checked, loaded and
    tried. first: the first face after that is classified. peak: the most memory that the program
    held after some more faces; None where the system does not tell.
    """

    library: float
    load: float
    first: float
    peak: int | None


def fresh_start(model: EmotionModel) -> Start:
    """What this model takes in a process of its own; raises EdgemoodError where that fails."""
    command = [sys.executable, "-P", "-m", __name__]
    try:
        done = subprocess.run(
            [*command, str(model.path), model.engine, str(model.threads)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
        )
        return Start(**json.loads(done.stdout))
    except (subprocess.TimeoutExpired, ValueError, TypeError):
        raise EdgemoodError(
            f"{model.path} could not be started in {model.engine} in a process of its own. Run "
            f"this, which says why: {' '.join(command)} {model.path} {model.engine} "
            f"{model.threads}",
            exit_code=1,
        ) from None


def main(arguments: Sequence[str]) -> None:
    path, engine, threads = arguments
    times = [perf_counter()]
    import cv2

    importlib.import_module(MODULES[engine])
    cv2.setNumThreads(int(threads))
    times.append(perf_counter())
    from edgemood.runtime.engines import EmotionModel
    from edgemood.runtime.sources.demo import demo_crops

    crops = demo_crops()
    times.append(perf_counter())
    model = EmotionModel(path, engine, int(threads))
    times.append(perf_counter())
    model.predict(crops[:1])
    times.append(perf_counter())
    for i in range(CALLS):
        model.predict(crops[i % len(crops)][None])
    start, library, ready, loaded, first = (round(1000 * time, 3) for time in times)
    made = Start(
        round(library - start, 3),
        round(loaded - ready, 3),
        round(first - loaded, 3),
        peak_memory(),
    )
    print(json.dumps(asdict(made)))


if __name__ == "__main__":
    main(sys.argv[1:])
