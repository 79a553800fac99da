"""What TensorFlow and LiteRT say of themselves -> nowhere, unless something fails."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """As `silent_stderr`, and TensorFlow stays quiet for the rest of the program: for commands."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with silent_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Keep what is written to stderr in this block to itself; shown if the block raises.

    Their C++ side writes to file descriptor 2, partly before it reads any log level, so the
    descriptor itself is redirected.
    """
    sys.stderr.flush()
    real = os.dup(2)
    with tempfile.TemporaryFile() as heard:
        os.dup2(heard.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            sys.stderr.flush()
            os.dup2(real, 2)
            os.close(real)
            if failed:
                heard.seek(0)
                sys.stderr.write(heard.read().decode(errors="replace"))
