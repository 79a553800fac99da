"""Results -> a window, a video, pictures, lines of JSON, rows of CSV, a function of your own."""

from __future__ import annotations

from edgemood.runtime.sinks.base import Callback, Result, Sink
from edgemood.runtime.sinks.lines import CsvRows, JsonLines, csv_rows, json_line
from edgemood.runtime.sinks.pictures import LastPicture, PictureFolder, save_sink
from edgemood.runtime.sinks.video import VideoFile
from edgemood.runtime.sinks.window import Keys, Window, no_display

__all__ = [
    "Callback",
    "CsvRows",
    "JsonLines",
    "Keys",
    "LastPicture",
    "PictureFolder",
    "Result",
    "Sink",
    "VideoFile",
    "Window",
    "csv_rows",
    "json_line",
    "no_display",
    "save_sink",
]
