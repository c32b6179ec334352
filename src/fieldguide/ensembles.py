"""Ensembles: several guides answer together, by the mean of their probabilities."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from fieldguide.data import ImageSet, Photo, SkippedPhoto, open_images, open_photos
from fieldguide.data.layout import readable
from fieldguide.errors import DataError, GuideError
from fieldguide.evaluate import Answers, Evaluation, evaluate
from fieldguide.guide import Guide, Prediction, load
from fieldguide.progress import Progress, silent


@dataclass(frozen=True)
class Ensemble:
    """Guides that answer together. Classes are in the order of the first one.

    Args:
        guides: of the same classes, in whatever order each has them.
        class_names: (K,).
    """

    guides: tuple[Guide, ...]
    class_names: tuple[str, ...]

    def predict(self, photo: str | Path | Photo | Image.Image) -> Prediction:
        """Say what one photo shows; it is unknown where most of the guides say so.

        Args and Raises: those of :meth:`Guide.predict`.
        """
        return self._mean([guide.predict(photo) for guide in self.guides])

    def predict_many(
        self,
        photos: ImageSet | str | Path | Sequence[str | Path],
        on_progress: Progress = silent,
        *,
        coverage: float | None = None,
    ) -> Iterator[Prediction | SkippedPhoto]:
        """Yield what many photos show, in their order; memory stays flat. Photos are read once for each guide.

        Args and Raises: those of :meth:`Guide.predict_many`; but coverage is always refused.

        Raises:
            GuideError: coverage was asked for: guides learn it each for itself.
        """
        if coverage is not None:
            raise GuideError(
                f"a coverage of {coverage:g} is learnt by each guide for itself; ask one guide, or leave it out"
            )
        if isinstance(photos, str | Path):
            photos = [photos]
        images = photos if isinstance(photos, ImageSet) else open_photos(photos)
        shares = zip(self.guides, self._shares_of(on_progress), strict=True)
        streams = [guide.predict_many(images, own_progress) for guide, own_progress in shares]
        return map(self._together, zip(*streams, strict=True))

    def evaluate(
        self,
        data: ImageSet | str | Path,
        *,
        part: str | None = None,
        include_training: bool = False,
        data_root: str | Path | None = None,
        on_progress: Progress = silent,
    ) -> Evaluation:
        """Evaluate the ensemble on labelled photos. Photos that any of the guides was trained on are left out.

        Args and Raises: those of :meth:`Guide.evaluate`.
        """
        images = open_images(data, data_root=data_root)
        each = [
            guide.evaluate(images, part=part, include_training=include_training, on_progress=own_progress)
            for guide, own_progress in zip(self.guides, self._shares_of(on_progress), strict=True)
        ]
        answers = [result.answers for result in each if result.answers is not None]
        judged = set.intersection(*(set(a.photo_names) for a in answers))
        if not judged:
            raise DataError(
                f"{readable(images.name)} leaves no photo to evaluate on: some guide of the ensemble was trained "
                "on each of its photos; pass other photos, or --include-training"
            )
        rows = [np.array([name in judged for name in a.photo_names]) for a in answers]
        probs = self._mean_of([a.probs[chosen] for a, chosen in zip(answers, rows, strict=True)])
        names = [name for name in answers[0].photo_names if name in judged]
        together = Answers(names, answers[0].labels[rows[0]], probs, self.class_names)
        result = evaluate(probs, together.labels, self.class_names)
        left_out = each[0].left_out + each[0].num_photos - len(names)
        return replace(result, answers=together, left_out=left_out, skipped=each[0].skipped)

    def _together(self, results: Sequence[Prediction | SkippedPhoto]) -> Prediction | SkippedPhoto:
        skipped = [result for result in results if isinstance(result, SkippedPhoto)]
        return skipped[0] if skipped else self._mean([r for r in results if isinstance(r, Prediction)])

    def _mean(self, predictions: Sequence[Prediction]) -> Prediction:
        probs = self._mean_of([p.probs[None] for p in predictions])[0]
        is_unknown = 2 * sum(p.is_unknown for p in predictions) > len(predictions)
        return Prediction(predictions[0].photo, self.class_names, probs, is_unknown=is_unknown)

    def _mean_of(self, probs: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """Return the mean (N, K) of each guide's probabilities (N, K), which are in its own order."""
        ordered = [
            own[:, class_order(guide.class_names, self.class_names)]
            for guide, own in zip(self.guides, probs, strict=True)
        ]
        mean: npt.NDArray[np.float64] = np.stack(ordered).mean(axis=0, dtype=np.float64)
        return mean.astype(np.float32)

    def _shares_of(self, on_progress: Progress) -> list[Progress]:
        """Return a progress function for each guide: they look at the photos one after the other, or in turn."""
        reached = [0] * len(self.guides)

        def reporting(number: int) -> Progress:
            def report(stage: str, done: int, total: int) -> None:
                reached[number] = done
                on_progress(stage, sum(reached), total * len(reached))

            return report

        return [reporting(number) for number in range(len(reached))]


def ensemble(guides: Sequence[Guide | str | Path], *, engine: str = "auto") -> Ensemble:
    """Let several guides answer together, by the mean of their probabilities.

    Args:
        guides: guides, or paths of them; of the same classes.
        engine: that runs those given as paths.

    Raises:
        GuideError: they are not of the same classes, or one can't be loaded.
        ValueError: there is none.
        TypeError: one guide was given, not a sequence of them.
    """
    if isinstance(guides, Guide | str | Path):
        raise TypeError(f"an ensemble of {type(guides).__name__}; it must be a list of guides, or of their paths")
    if not guides:
        raise ValueError("an ensemble of no guides; pass one or more")
    members = tuple(guide if isinstance(guide, Guide) else load(guide, engine=engine) for guide in guides)
    first = members[0].class_names
    for number, (given, guide) in enumerate(zip(guides, members, strict=True), 1):
        name = f"guide {number}" if isinstance(given, Guide) else str(given)
        if difference := class_difference(guide.class_names, first):
            raise GuideError(
                f"{name} {difference} the first guide of the ensemble; guides that answer together must know the "
                "same classes: train them on the same class folders"
            )
    return Ensemble(members, first)


def class_difference(theirs: Sequence[str], ours: Sequence[str]) -> str:
    """Say how two sets of classes differ, as "lacks the class 'x' of"; nothing where they don't."""
    missing = [name for name in ours if name not in set(theirs)]
    added = [name for name in theirs if name not in set(ours)]
    if missing:
        return f"lacks the class {missing[0]!r} of"
    return f"knows the class {added[0]!r}, unlike" if added else ""


def class_order(theirs: Sequence[str], ours: Sequence[str]) -> list[int]:
    """Return for each of our classes its number among theirs, which are the same in another order."""
    index = {name: number for number, name in enumerate(theirs)}
    return [index[name] for name in ours]
