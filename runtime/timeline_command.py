"""The word `timeline`: lines of JSON -> a picture of every face's emotions over time."""

from __future__ import annotations

import argparse

HELP = """Draw what `edgemood run --jsonl` wrote: each face's emotions over time, in one picture.

`edgemood run --timeline` draws the same while it reads."""
EXAMPLES = ["edgemood timeline faces.jsonl timeline.png"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lines", metavar="FILE", help="what `edgemood run --jsonl FILE` wrote")
    parser.add_argument("picture", metavar="PICTURE", help="where to draw it: .png, .jpg, ...")


def main(args: argparse.Namespace) -> int:
    from edgemood.runtime.sinks.pictures import write_picture
    from edgemood.runtime.timeline import draw, picture_path, read_lines

    path = picture_path(args.picture)
    write_picture(path, draw(read_lines(args.lines)))
    return 0
