"""How good a classifier's answers are: pure functions of probabilities and labels."""

from fieldguide.evaluate.answers import Answers
from fieldguide.evaluate.metrics import ClassScore, Evaluation, evaluate, wilson_interval

__all__ = ["Answers", "ClassScore", "Evaluation", "evaluate", "wilson_interval"]
