"""How good a classifier's answers are: pure functions of probabilities and labels."""

from fieldguide.evaluate.answers import Answers
from fieldguide.evaluate.calibration import Calibration, calibration
from fieldguide.evaluate.metrics import ClassScore, Evaluation, evaluate, wilson_interval
from fieldguide.evaluate.neighbours import neighbour_probs
from fieldguide.evaluate.trust import Trust

__all__ = [
    "Answers",
    "Calibration",
    "ClassScore",
    "Evaluation",
    "Trust",
    "calibration",
    "evaluate",
    "neighbour_probs",
    "wilson_interval",
]
