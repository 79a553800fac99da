"""Edgemood: facial-expression recognition that is trained, quantised and run on small computers."""

__version__ = "0.1.0"
