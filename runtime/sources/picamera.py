"""The Pi's camera through picamera2, Raspberry Pi OS's own Python library -> a connection."""

from __future__ import annotations

import time
from typing import Any

from edgemood.errors import EdgemoodError
from edgemood.runtime.sources.intake import Lost, Shot


def check_picamera() -> None:
    """Raises EdgemoodError where picamera2 can't be imported; pip has no working one."""
    try:
        import picamera2  # noqa: F401
    except (ImportError, ValueError) as error:  # ValueError: built for another NumPy
        raise EdgemoodError(
            f"picamera:// needs picamera2, which cannot be imported ({error}). On Raspberry Pi OS: "
            "sudo apt install python3-picamera2, then make .venv anew with python3 -m venv "
            "--system-site-packages .venv; or use rpicam://, which needs neither."
        ) from error


class PiCamera:
    """Frames of a camera by its number ("" is the first); see `Connection`."""

    broken = skipped = 0

    def __init__(
        self,
        number: str,
        width: int | None = None,
        height: int | None = None,
        fps: int | None = None,
    ) -> None:
        from picamera2 import Picamera2

        self.fps = float(fps) if fps else None
        # What it calls RGB888 lies in memory as B, G, R.
        wanted: dict[str, Any] = {"format": "RGB888", "size": (width or 640, height or 480)}
        controls = {"FrameRate": self.fps} if self.fps else {}
        try:
            self._camera = Picamera2(int(number or 0))
            self._camera.configure(
                self._camera.create_video_configuration(main=wanted, controls=controls)
            )
            self._camera.start()
        except (RuntimeError, IndexError, OSError) as error:
            raise Lost(
                str(error) or "there is no such camera",
                "Check its ribbon cable, and that no other program uses it",
            ) from error

    def wait(self) -> None:
        try:
            self._image = self._camera.capture_array("main")
        except (RuntimeError, OSError) as error:
            raise Lost(str(error)) from error

    def decode(self) -> Shot:
        return self._image, time.monotonic()

    def interrupt(self) -> None:
        """A capture can't be ended from outside."""

    def close(self) -> None:
        self._camera.stop()
        self._camera.close()
