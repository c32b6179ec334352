"""The Guide: everything that was learnt and decided, in one artefact that answers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from fieldguide.data import ImageSet, Photo, Preprocess, SkippedPhoto, open_images, open_photos
from fieldguide.data.files import one_photo
from fieldguide.data.image_set import NO_LABEL, choose_part, digest_prefixes
from fieldguide.embed import Embedder, Embedding
from fieldguide.embed.cache import Features
from fieldguide.errors import DataError, GuideError, PhotoError
from fieldguide.evaluate import Answers, Evaluation, Trust, evaluate
from fieldguide.evaluate.coverage import least_probability
from fieldguide.evaluate.trust import trust_of
from fieldguide.guide_format import GuideFiles, read_guide, write_guide
from fieldguide.head import LinearHead
from fieldguide.paths import expand
from fieldguide.progress import Progress, silent
from fieldguide.weights import Backbone
from fieldguide.weights.tensors import Weights

_BACKBONE = "backbone."


@dataclass(frozen=True)
class Prediction:
    """What a guide says of one photo.

    Args:
        photo: its name.
        class_names: (K,).
        probs: (K,) probability of each class; they sum to 1.
        familiarity: how like the photos that were learnt from it is, up to 1; None where the guide can't tell.
        is_unknown: whether it is like too few of them, and so is taken to show none of the classes.
        classes: the set of classes that holds the true one as often as was asked for, the most probable first;
            empty where nothing was asked for.
    """

    photo: str
    class_names: tuple[str, ...]
    probs: npt.NDArray[np.float32] = field(repr=False)
    familiarity: float | None = None
    is_unknown: bool = False
    classes: tuple[str, ...] = ()

    def __str__(self) -> str:
        answers = ", ".join(f"{name} {share:.1%}" for name, share in self.top(3))
        return f"{self.photo}: unknown ({answers})" if self.is_unknown else f"{self.photo}: {answers}"

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """Return the ``count`` most probable classes and their probabilities, the most probable first."""
        best = np.argsort(-self.probs, kind="stable")[:count]
        return [(self.class_names[k], float(self.probs[k])) for k in best]

    @property
    def label(self) -> str:
        """The most probable class."""
        return self.class_names[int(self.probs.argmax())]

    @property
    def probability(self) -> float:
        """The probability of the most probable class."""
        return float(self.probs.max())


@dataclass(frozen=True)
class Guide:
    """A trained classifier with all that belongs to it.

    Args:
        embedder: turns photos into features.
        head: turns features into probabilities.
        class_names: in the order of the head's rows.
        facts: what guide.json says of how it was made: data, head, metrics, versions.
        seen: (N,) uint64, sorted: the first 8 bytes of the content digest of each photo it was trained on.
        records: further files by name, as bytes.
        evaluation: how it did on the photos held out, in the run that trained it.
        trust: how far its answers go; None where that was not learnt.
    """

    embedder: Embedder = field(repr=False)
    head: LinearHead = field(repr=False)
    class_names: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)
    seen: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64), repr=False)
    records: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    evaluation: Evaluation | None = field(default=None, repr=False)
    trust: Trust | None = field(default=None, repr=False)

    @property
    def backbone(self) -> Backbone:
        """The network that gives the features, with its preprocessing."""
        return self.embedder.backbone

    def predict(self, photo: str | Path | Photo | Image.Image, *, coverage: float | None = None) -> Prediction:
        """Say what one photo shows.

        Args:
            photo: a path, the bytes of an image file, uint8 pixels (H, W) or (H, W, 3), or a PIL image.
            coverage: how often the set of classes in the answer shall hold the true one, such as 0.95.

        Raises:
            PhotoError: the photo can't be used; the message is the reason.
            GuideError: coverage was asked for, and the guide has not learnt how sure it may be.
            ValueError: coverage is not between 0 and 1.
            TypeError: it is none of these.
        """
        images = one_photo(photo)
        name, embedding = images.name, self.embedder.embed(images)
        if embedding.skipped:
            raise PhotoError(f"{name}: {embedding.skipped[0].reason}")
        return self._predictions([name], embedding.features, self._least_probability(coverage))[0]

    def predict_many(
        self,
        photos: ImageSet | str | Path | Sequence[str | Path],
        on_progress: Progress = silent,
        *,
        coverage: float | None = None,
    ) -> Iterator[Prediction | SkippedPhoto]:
        """Yield what many photos show, in their order; memory stays flat.

        Args:
            photos: a path or paths of photos and of folders of photos, or an image set.
            on_progress: called as photos are done.
            coverage: as of :meth:`predict`.

        Raises:
            DataError: a path does not exist, or there is no photo at all.
            GuideError, ValueError: as of :meth:`predict`, of coverage.
        """
        least = self._least_probability(coverage)
        if isinstance(photos, str | Path):
            photos = [photos]
        return self._answers(photos if isinstance(photos, ImageSet) else open_photos(photos), on_progress, least)

    def _least_probability(self, coverage: float | None) -> float | None:
        """Return how probable a class must be to be in a photo's set; None where none is asked for."""
        if coverage is None:
            return None
        if self.trust is None or not len(self.trust.of_truth):
            raise GuideError(
                f"this guide was asked about no photo while it was trained, and can't tell which classes hold the "
                f"true one with a frequency of {coverage:g}; train it anew, a network with validation photos"
            )
        return least_probability(self.trust.of_truth, coverage)

    def _predictions(self, names: Sequence[str], features: Features, least: float | None) -> list[Prediction]:
        """Answer for photos by their features (N, D)."""
        familiarity = None if self.trust is None else self.trust.familiarity
        likeness = [None] * len(names) if familiarity is None else familiarity.measure(features).tolist()
        predictions = []
        for name, probs, like in zip(names, self.head.probs(features), likeness, strict=True):
            is_unknown = familiarity is not None and like < familiarity.threshold
            answer = Prediction(name, self.class_names, probs, like, is_unknown)
            if least is not None:
                chosen = [label for label, share in answer.top(len(probs)) if share >= min(least, probs.max())]
                answer = replace(answer, classes=tuple(chosen))
            predictions.append(answer)
        return predictions

    def _answers(
        self, images: ImageSet, on_progress: Progress, least: float | None
    ) -> Iterator[Prediction | SkippedPhoto]:
        for chunk in self.embedder.stream(images, on_progress):
            results: dict[int, Prediction | SkippedPhoto] = dict(
                zip(chunk.skipped_indices, chunk.skipped, strict=True)
            )
            indices = chunk.indices.tolist()
            names = [images.photo_names[index] for index in indices]
            results |= zip(indices, self._predictions(names, chunk.features, least), strict=True)
            for index in sorted(results):
                yield results[index]

    def evaluate(
        self,
        data: ImageSet | str | Path,
        *,
        part: str | None = None,
        include_training: bool = False,
        data_root: str | Path | None = None,
        on_progress: Progress = silent,
    ) -> Evaluation:
        """Evaluate the guide on labelled photos. Photos that it was trained on are left out.

        Args:
            data: an image set, a path, or a registered name.
            part: "train", "val" or "test"; by default of a split set its test part or, without one, its val part.
            include_training: include photos that the guide was trained on, which flatters it.
            data_root: where a named set's files are.
            on_progress: called as photos are done.

        Raises:
            DataError: no photo is left to evaluate on, or a class is not one of the guide's.
        """
        images = choose_part(open_images(data, data_root=data_root), part)
        images = images.select(images.labels != NO_LABEL)
        labels = self.labels_of(images)
        embedding = self.embedder.embed(images, on_progress)
        wanted = np.ones(len(embedding.digests), np.bool_)
        evaluation = self.judge(images, labels, embedding, wanted, include_training=include_training)
        if evaluation is None:
            num_seen = len(embedding.digests)
            raise DataError(
                f"{images.name} leaves no photo to evaluate on: of {len(images)}, {num_seen} were trained on and "
                f"{len(embedding.skipped)} can't be used; pass other photos, or --include-training"
            )
        return evaluation

    def judge(
        self,
        images: ImageSet,
        labels: npt.NDArray[np.int64],
        embedding: Embedding,
        wanted: npt.NDArray[np.bool_],
        *,
        include_training: bool = False,
    ) -> Evaluation | None:
        """Evaluate the guide on photos whose features are at hand; None where no photo is left.

        Args:
            images: the photos.
            labels: (len(images),) their classes by this guide's numbers.
            embedding: the features of those that can be used, (N, D).
            wanted: (N,) which of these to evaluate on.
            include_training: include photos that the guide was trained on.
        """
        chosen = wanted.copy()
        if not include_training:
            chosen &= ~np.isin(digest_prefixes(embedding.digests), self.seen)
        if not chosen.any():
            return None
        left_out = int(wanted.sum() - chosen.sum())
        rows = embedding.indices[chosen]
        answers = Answers(
            [images.photo_names[i] for i in rows],
            labels[rows],
            self.head.probs(embedding.features[chosen]),
            self.class_names,
        )
        result = evaluate(answers.probs, answers.labels, self.class_names)
        return replace(result, answers=answers, left_out=left_out, skipped=tuple(embedding.skipped))

    def save(self, path: str | Path) -> Path:
        """Write the guide as a folder, or as a zip where ``path`` ends in ``.zip``; whole or not at all.

        Returns:
            Where it was written.

        Raises:
            GuideError: something else is there, or it can't be written.
        """
        target = expand(path)
        facts = {
            **self.facts,
            "architecture": {
                "name": self.backbone.name,
                "arguments": dict(self.backbone.arguments),
                "weights_fingerprint": self.backbone.weights.fingerprint,
            },
            "class_names": list(self.class_names),
            "preprocess": self.backbone.preprocess.to_dict(),
        }
        if self.trust is not None:
            facts["trust"] = self.trust.to_facts()
        write_guide(target, GuideFiles(facts, self.tensors, dict(self.records)))
        return target

    @property
    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """All that it keeps in arrays, by name."""
        body = {_BACKBONE + name: array for name, array in self.backbone.weights.tensors.items()}
        return body | {
            "head.weight": self.head.weight,
            "head.bias": self.head.bias,
            "training_photos": self.seen,
            **(self.trust.to_tensors() if self.trust else {}),
        }

    def labels_of(self, images: ImageSet) -> npt.NDArray[np.int64]:
        """Return a set's labels (len(images),) by this guide's numbers.

        Raises:
            DataError: the set has photos of a class that the guide does not know.
        """
        index = {name: k for k, name in enumerate(self.class_names)}
        used = [images.class_names[k] for k in np.unique(images.labels)]
        unknown = [name for name in used if name not in index]
        if unknown:
            raise DataError(
                f"{images.name} has the class {unknown[0]!r}, which this guide does not know; "
                f"it knows {', '.join(self.class_names[:20])}{', ...' if len(self.class_names) > 20 else ''}"
            )
        translate = np.array([index.get(name, NO_LABEL) for name in images.class_names], np.int64)
        return translate[images.labels]


def load(path: str | Path, *, engine: str = "auto") -> Guide:
    """Load a guide from its folder or zip. Nothing in it is run.

    Args:
        path: of the guide.
        engine: ``"auto"``, or the name of the engine that shall run it.

    Raises:
        GuideError: it does not exist, lacks a file, is damaged, or has a newer format.
    """
    source = expand(path)
    files = read_guide(source)
    facts, tensors = files.facts, files.tensors
    body = {k.removeprefix(_BACKBONE): v for k, v in tensors.items() if k.startswith(_BACKBONE)}
    try:
        name, arguments = facts["architecture"]["name"], facts["architecture"]["arguments"]
        if not isinstance(name, str) or not isinstance(arguments, dict):
            raise TypeError(f"the architecture {name!r} with the arguments {arguments!r}")
        backbone = Backbone(name, Weights(lambda: body), Preprocess.from_dict(facts["preprocess"]), arguments)
        head = LinearHead(tensors["head.weight"], tensors["head.bias"])
        class_names = tuple(facts["class_names"])
        if not isinstance(facts["class_names"], list) or not all(isinstance(each, str) for each in class_names):
            raise TypeError(f"class_names is {str(facts['class_names'])[:40]}; it must be a list of names")
        if len(set(class_names)) < len(class_names):
            raise ValueError(f"class_names has a name twice: {', '.join(class_names)[:80]}")
        if head.weight.ndim != 2 or not len(class_names) == len(head.weight) == head.bias.size:
            raise ValueError(f"{len(class_names)} classes, but a head of {head.weight.shape}")
        seen = tensors["training_photos"]
        trust = trust_of(facts, tensors, head.weight.shape[1])
    except (KeyError, TypeError, ValueError) as error:
        raise GuideError(f"{source} is damaged: {type(error).__name__}: {error}") from error
    return Guide(Embedder(backbone, engine=engine), head, class_names, facts, seen, files.records, trust=trust)
