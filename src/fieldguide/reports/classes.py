"""How well a guide knows each class, and what it takes for what."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fieldguide.evaluate import Evaluation, wilson_interval
from fieldguide.reports.album import Album
from fieldguide.reports.evidence import Sample
from fieldguide.words import listed

MATRIX_CLASSES = 30  # more make a matrix that nobody reads
_PAIRS = 24  # that are listed instead, most often confused
_MOST_ROWS = 200  # classes that are told of, the weakest
_MOST_PHOTOS = 400  # of all cells: there is room for no more
_WRONG, _RIGHT = 24, 12  # photos of a cell


def class_rows(evaluation: Evaluation, num_learnt: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return a row for each class, the weakest first; of very many, these alone.

    Args:
        evaluation: of the photos held out.
        num_learnt: photos that were learnt from, by class.
    """
    confusion = np.array(evaluation.confusion)
    scores = evaluation.classes
    weakest = sorted(
        range(len(scores)), key=lambda k: (not scores[k].support, scores[k].recall, -scores[k].support)
    )
    rows = []
    for number in weakest[:_MOST_ROWS]:
        score = scores[number]
        right, mistaken = int(confusion[number, number]), confusion[number].copy()
        mistaken[number] = 0
        most = np.flatnonzero(mistaken == max(mistaken.max(), 1)).tolist()
        rows.append(
            {
                "name": score.name,
                "number": number,
                "num_learnt": num_learnt.get(score.name),
                "support": score.support,
                "right": right,
                "recall": score.recall if score.support else None,
                "interval": wilson_interval(right, score.support) if score.support else None,
                "answers": int(confusion[:, number].sum()),
                "precision": None if np.isnan(score.precision) else score.precision,
                "taken_for": listed([scores[other].name for other in most]) if most else None,
                "taken": int(mistaken.max()),
                "is_tie": len(most) > 1,
            }
        )
    return rows


def confusions(
    evaluation: Evaluation, asked: Sample, probs: npt.NDArray[np.float32], album: Album
) -> dict[str, Any]:
    """Return the confusion matrix, or its largest cells, and the photos of each cell.

    Args:
        evaluation: of the photos.
        asked: N photos.
        probs: (N, K) what the guide says of them.
        album: that keeps the pictures.
    """
    counts, answers = np.array(evaluation.confusion), probs.argmax(axis=1)
    num_classes = len(counts)
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")
    pairs = [divmod(cell, num_classes) for cell in order.tolist() if wrong.flat[cell]]
    is_matrix = num_classes <= MATRIX_CLASSES
    pairs = pairs if is_matrix else pairs[:_PAIRS]
    diagonal = [(k, k) for k in range(num_classes) if is_matrix and counts[k, k]]
    cells = [*pairs, *diagonal][:_MOST_PHOTOS]
    photos = {
        f"{true}-{answer}": _photos_of(
            asked, probs, answers, (true, answer), album, at_most=_MOST_PHOTOS // len(cells)
        )
        for true, answer in cells
    }
    return {
        "is_matrix": is_matrix,
        "counts": counts.tolist() if is_matrix else [],
        "totals": counts.sum(axis=1).tolist(),
        "pairs": [
            {"true": true, "answer": answer, "count": int(counts[true, answer])} for true, answer in pairs[:_PAIRS]
        ],
        "photos": photos,
    }


def _photos_of(
    asked: Sample,
    probs: npt.NDArray[np.float32],
    answers: npt.NDArray[np.int64],
    cell: tuple[int, int],
    album: Album,
    *,
    at_most: int,
) -> list[int]:
    """Return photos of a cell: of mistakes the surest ones, and of right answers the least sure ones."""
    true, answer = cell
    rows = np.flatnonzero((asked.labels == true) & (answers == answer))
    surest = probs[rows, answer]
    if true == answer:
        rows = rows[np.argsort(surest, kind="stable")][: min(_RIGHT, at_most)]
    else:
        rows = rows[np.argsort(-surest, kind="stable")][: min(_WRONG, at_most)]
    return [album.add(asked, row, probs=probs[row]) for row in rows.tolist()]
