"""How good a classifier's answers are: pure functions of probabilities and labels."""

from fieldguide.evaluate.answers import Answers
from fieldguide.evaluate.metrics import ClassScore, Evaluation, evaluate, wilson_interval
from fieldguide.evaluate.neighbours import neighbour_probs

__all__ = ["Answers", "ClassScore", "Evaluation", "evaluate", "neighbour_probs", "wilson_interval"]
