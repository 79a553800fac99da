"""One face's probabilities over time -> a label that stays and probabilities that do not jump."""

from __future__ import annotations

import math
from collections.abc import Sequence

# A class counts as at least this probable: one frame's 0 must not outweigh all others.
FLOOR = 1e-3

# Log-probabilities are averaged with the first time constant, and a label is given up when others
# have led for longer than the second, not counting as long as it led again. Both in seconds, chosen
# together by what `edgemood steadiness` measured of the first emotion-small.int8.onnx: changes of
# the label a second on expressive.mp4 and webcam-home.mp4 (small-face.mp4 has none), and the p90 of
# the reaction to steps of held pictures. docs/readings.md has the figures of the model that ships.
#   as the model says                                        3.1 and 0.8, 0.00 s
#   averaged over 0.3 s, no dwell                            0.3 and 0.3, 0.46 s *
#   averaged over 0.15 s, dwell 0.45 s                       0.1 and 0.1, 0.57 s
#   averaged over 0.2 s, dwell 0.35 s                        0.1 and 0.2, 0.53 s
#   averaged over 0.4 s, margin of 0.4 nats to change        0.1 and 0.1, 0.89 s *
#   mean of the last 0.9 s                                   0.1 and 0.1, 0.61 s *
#   hidden Markov model, 0.1 changes and 4 looks a second    0.1 and 0.1, 1.27 s *
# (* on 90 harder steps, where a dwell of 0.35 s gives 0.58 s.) A margin, and a Markov model's
# prior, wait longest where the new expression is faint; a dwell is over after its time. The Markov
# model is sure of whatever lasts a second, so its confidence says nothing.
TAU = 0.15
DWELL = 0.45


def logits(probabilities: Sequence[float]) -> list[float]:
    """Natural logarithms of probabilities, each taken to be at least FLOOR."""
    return [math.log(max(p, FLOOR)) for p in probabilities]


def softmax(logits: Sequence[float]) -> list[float]:
    """Probabilities that sum to 1, from logits of any offset."""
    highest = max(logits)
    odds = [math.exp(value - highest) for value in logits]
    total = sum(odds)
    return [value / total for value in odds]


class Smoother:
    """Follows one face. Frames may come at any rate; the first is taken as it is.

    Probabilities are averaged as logarithms, an opinion pool (Genest & Zidek 1986, Statistical
    Science 1, p. 114), by an exponential filter whose weight depends on the time since the last
    frame. The label is held until others have been more probable for DWELL on balance.
    """

    def __init__(self, tau: float = TAU, dwell: float = DWELL) -> None:
        self._tau, self._dwell = tau, dwell
        self._logits: list[float] = []
        self._label = 0
        self._time = 0.0
        self._led = 0.0  # seconds for which others have been more probable

    def __call__(self, logits: Sequence[float], time: float) -> tuple[int, list[float]]:
        """One more frame: the place of the label, and smoothed probabilities of all classes.

        time: in seconds, not before the last one's. While a change is under way the label is for
        up to DWELL not the most probable class.
        """
        if not self._logits:
            self._logits = list(logits)
            self._label = self._logits.index(max(self._logits))
            self._time = time
            return self._label, softmax(self._logits)
        past = max(0.0, time - self._time)
        weight = -math.expm1(-past / self._tau)
        self._logits = [old + weight * (new - old) for old, new in zip(self._logits, logits)]
        self._time = time
        top = self._logits.index(max(self._logits))
        self._led = max(0.0, self._led + (past if top != self._label else -past))
        # Times come rounded, for example to milliseconds.
        if top != self._label and self._led > self._dwell - 1e-6:
            self._label, self._led = top, 0.0
        return self._label, softmax(self._logits)
