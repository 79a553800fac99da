"""The command of the race: installs what races, runs it, writes JSON and tables."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np

from edgemood.benchmarks.peers import summary
from edgemood.benchmarks.peers.environments import prepare
from edgemood.benchmarks.peers.race import (
    Entry,
    Race,
    Runner,
    note,
    race_on_clips,
    race_on_pictures,
)
from edgemood.benchmarks.peers.roster import SEED, Peer, named
from edgemood.console import say
from edgemood.datasets import Dataset, open_dataset
from edgemood.errors import EdgemoodError
from edgemood.files import make_folder, write_text
from edgemood.machine import processor, system

HOME = Path("build/peers")
SEED_RUN = Path("runs/seed")


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    try:
        if args.table:
            print(summary.report(_read(args.table)), end="")
        else:
            _race(args)
    except EdgemoodError as error:
        say(f"edgemood: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        say("edgemood: interrupted.")
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make race", description=__doc__)
    add = parser.add_argument
    add("--peers", nargs="+", metavar="NAME", help="who races (docs/peers.md lists them)")
    add("--clip", action="append", help="a video; may be repeated (default: demo)")
    add("--data", help="labelled pictures (default: EDGEMOOD_DATA, or what is in data/)")
    add("--seed-run", type=Path, metavar="FOLDER", help="a run of `edgemood train --recipe seed` "
        "(default: runs/seed; without one, that network is not trained)")  # fmt: skip
    add("--frames", type=int, default=150, help="of a clip (default: 150)")
    add("--rounds", type=int, default=3, help="turns of each peer on each clip (default: 3)")
    add("--pictures", type=int, metavar="N", help="label so many instead of all; 0: none")
    add("--output", type=Path, default=Path("reports/race"), metavar="FOLDER",
        help="of race.json and race.md (default: reports/race)")  # fmt: skip
    add("--prepare", action="store_true", help="install the peers and stop")
    add("--table", metavar="JSON", help="print the tables of an earlier race.json and stop")
    return parser


def _race(args: argparse.Namespace) -> None:
    if not hasattr(os, "sched_setaffinity"):
        raise EdgemoodError("Programs can't be kept on one core here: race on Linux.")
    for name in ("frames", "rounds"):
        if vars(args)[name] < 1:
            raise EdgemoodError(f"--{name} {vars(args)[name]} is too few: 1 or more was wanted.")
    peers, seed = named(args.peers), _seed_run(args.seed_run)
    part = None if args.prepare or args.pictures == 0 else _pictures(args.data, args.pictures)
    # A job in a shell script's background ignores the one; the other would leave a peer running.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    race = Race({"cpu": processor(), "system": system()}, [], args.rounds)
    runners = _entered(race, peers, seed)
    if args.prepare:
        return
    make_folder(args.output, "--output")

    def save() -> None:
        found = json.loads(json.dumps(asdict(race)))
        write_text(args.output / "race.json", json.dumps(found) + "\n")
        write_text(args.output / "race.md", summary.report(found))

    # This program's core is that of every program it starts.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(dir=HOME.absolute()) as folder:
        clips = args.clip or ["demo"]
        race_on_clips(race, runners, clips, args.frames, Path(folder), save)
        if part is not None:
            race_on_pictures(race, runners, part, Path(folder))
            save()
    print((args.output / "race.md").read_text(), end="")


def _entered(race: Race, peers: Sequence[Peer], seed: Path | None) -> list[Runner]:
    """Enter these peers; those whose environment can't be made don't run."""
    runners = []
    for peer in peers:
        entry = Entry(peer.name, peer.title)
        race.peers.append(entry)
        if peer.name == SEED and seed:
            peer = replace(peer, adapter=f"{peer.adapter}:{seed}")
        elif peer.name == SEED:
            entry.untrained = True
            entry.note = f"not trained, since there is no run in {SEED_RUN}/: speed alone"
        try:
            environment = prepare(peer, HOME)
        except EdgemoodError as error:
            note(entry, error)
            continue
        entry.packages = environment.packages
        entry.interpreter = environment.interpreter
        runners.append((entry, environment))
    return runners


def _seed_run(named: Path | None) -> Path | None:
    """Where a trained seed network is; None where none was named and none is there."""
    run = (named or SEED_RUN).absolute()
    if (run / "model.keras").exists():
        return run
    if named:
        raise EdgemoodError(
            f"{named} holds no model.keras: the folder of a finished run was wanted. Make one with "
            "`edgemood train --recipe seed`."
        )
    return None


def _pictures(data: str | None, count: int | None) -> Dataset | None:
    """The pictures to be labelled, or None where there are none and none were named."""
    try:
        part = open_dataset(data).split()
    except EdgemoodError as error:
        if data:
            raise
        say(f"accuracy is not measured: {error}")
        return None
    if count and count < len(part):
        return part.select(np.linspace(0, len(part) - 1, count).astype(int))
    return part


def _read(path: str) -> summary.Measured:
    try:
        found: summary.Measured = json.loads(Path(path).read_text())
        # Other results of ours have schemas as well.
        if found["schema"] == 1 and found.keys() >= {each.name for each in fields(Race)}:
            return found
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise EdgemoodError(f"{path} is no race.json of this version: name one that a race wrote.")


if __name__ == "__main__":
    sys.exit(main())
