"""Clips and labelled pictures -> how other programs that read expressions fare on them, and ours.

    python -m edgemood.benchmarks.peers --clip clip.mp4

`roster.py` says who races, `environments.py` installs each where it disturbs nobody, `adapters/`
holds what runs there, `race.py` runs it, `summary.py` makes tables of what was measured. It runs
from a clone; nothing of it is installed.
"""
