"""The word `doctor`: this machine -> a table of what works, and what to do about what does not."""

from __future__ import annotations

import argparse
import os

HELP = """Try packages, engines, display, cameras, models, face detector and speed, and say what to
do about what does not work. The exit code is 1 where something is wrong."""
EXAMPLES = [
    "edgemood doctor",
    "edgemood doctor --json             # for the report of a fault: no names, no one's paths",
    "edgemood doctor --json report.json",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json",
        metavar="FILE",
        nargs="?",
        const="-",
        help="write it as JSON; without FILE, or with -, on standard output in place of the table",
    )


def main(args: argparse.Namespace) -> int:
    if not args.debug:
        # OpenCV's own words on cameras; it reads this when it is loaded.
        os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    from edgemood.console import table, track
    from edgemood.files import require_place, write_text
    from edgemood.runtime.doctor import examine, to_json

    require_place(args.json, "--json")
    checks = list(track(examine(), "examining"))
    wrong = sum(check.state == "wrong" for check in checks)
    if args.json == "-":
        print(to_json(checks))
        return 1 if wrong else 0
    if args.json:
        write_text(args.json, to_json(checks) + "\n")
    rows = [(check.name, check.state, check.found) for check in checks]
    table(["what", "state", "found"], rows, left=3)
    for check in sorted(checks, key=lambda check: check.state != "wrong"):
        if check.remedy:
            print(f"\n{check.state}: {check.name}\n  {check.remedy}")
    print(f"\nWrong: {wrong} of {len(checks)}." if wrong else "\nNothing is wrong.")
    return 1 if wrong else 0
