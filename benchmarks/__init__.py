"""Benchmarks: what model files, detectors, this machine and other programs can do, in figures."""
