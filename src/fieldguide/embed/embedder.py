"""Photos in, features out: read, look up, decode in threads beside the network, and keep."""

import hashlib
import json
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from fieldguide.data.image_set import ImageSet, SkippedPhoto, content_digest
from fieldguide.embed.cache import FeatureCache, Features, trim_cache
from fieldguide.embed.engines import ENGINES, Engine, choose_engine
from fieldguide.errors import DataError, PhotoError, WeightsError
from fieldguide.paths import cache_folder
from fieldguide.progress import Progress, counted, silent
from fieldguide.weights.backbone import Backbone

FEATURES_VERSION = 2  # raise it when decoding, fitting or converting changes what a photo's features are

_CHUNK = 4096  # photos a step of a stream
_KEEP_EVERY = 256  # photos a transaction: what a kill can lose
_AHEAD_BYTES = 192 << 20  # decoded pictures that may wait for the network, which starts up meanwhile
_NICENESS = 3  # of decoding; more lets the network's threads stop one that holds the interpreter's lock

T = TypeVar("T")


@dataclass
class Embedding:
    """Features of the photos that could be used.

    Args:
        indices: (N,) which photo of the set each row is.
        features: (N, D) float16.
        digests: (N,) content digest of each photo.
        skipped: the photos that could not be used, and why.
        skipped_indices: which photo of the set each of these is.
    """

    indices: npt.NDArray[np.int64]
    features: Features
    digests: list[bytes]
    skipped: list[SkippedPhoto] = field(default_factory=list)
    skipped_indices: list[int] = field(default_factory=list)


@dataclass
class _Loaded:
    """One photo on its way: a feature from the cache, a picture for the network, or a reason against it."""

    index: int
    digest: bytes = b""
    feature: Features | None = None
    picture: npt.NDArray[np.uint8] | None = None
    reason: str = ""


class Embedder:
    """Turns photos into features with one backbone. The network is only started for a photo that is not cached.

    Args:
        backbone: network, weights and preprocessing.
        engine: ``"auto"``, or the name of an engine.

    Raises:
        UnknownNameError: there is no engine of that name.
        EngineError: it does not run on this machine.
    """

    def __init__(self, backbone: Backbone, *, engine: str = "auto") -> None:
        self.backbone = backbone
        self.fingerprint = _fingerprint(backbone)
        self.cache = FeatureCache(self.fingerprint, f"{backbone.name}, {backbone.preprocess.size_px} px")
        self._engine_name = choose_engine(engine)
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The engine, started on first use."""
        if self._engine is None:
            folder = cache_folder() / "networks" / self.fingerprint
            self._engine = ENGINES[self._engine_name].factory(self.backbone, folder)
        return self._engine

    @property
    def is_running(self) -> bool:
        """Whether the engine was started: that is put off until a photo comes whose features are not known."""
        return self._engine is not None

    def start(self) -> None:
        """Start the engine now."""
        _ = self.engine

    def embed(self, images: ImageSet, on_progress: Progress = silent, *, strict: bool = False) -> Embedding:
        """Return the features of a whole set.

        Args:
            images: the photos.
            on_progress: called as photos are done.
            strict: stop at the first photo that can't be used, instead of skipping it.

        Raises:
            DataError: strict, and a photo can't be used.
            WeightsError: a feature is nan or too large for float16, so the weights are wrong.
        """
        features, indices = np.zeros((0, 0), np.float16), [np.zeros(0, np.int64)]
        digests: list[bytes] = []
        skipped: list[SkippedPhoto] = []
        skipped_indices: list[int] = []
        for chunk in self.stream(images, on_progress, strict=strict):
            if chunk.digests:
                if not digests:  # their width is known now: into one array, so that none are held twice
                    features = np.empty((len(images), chunk.features.shape[1]), np.float16)
                features[len(digests) :][: len(chunk.digests)] = chunk.features
            indices.append(chunk.indices)
            digests += chunk.digests
            skipped += chunk.skipped
            skipped_indices += chunk.skipped_indices
        return Embedding(np.concatenate(indices), features[: len(digests)], digests, skipped, skipped_indices)

    def stream(
        self, images: ImageSet, on_progress: Progress = silent, *, strict: bool = False
    ) -> Iterator[Embedding]:
        """Yield the features of a set in order, some thousand photos at a time; memory stays flat.

        Args and Raises: those of :meth:`embed`.
        """
        size = self.backbone.preprocess.size_px
        ahead = min(_CHUNK, max(8, _AHEAD_BYTES // (size * size * self.backbone.preprocess.channels)))

        def load(index: int) -> _Loaded:
            return self._load(images, index, strict)

        loaded = in_threads(load, range(len(images)), ahead=ahead)
        loaded = counted(loaded, len(images), "features", on_progress)
        while chunk := self._through_network(islice(loaded, _CHUNK)):
            yield self._collect(images, chunk)

    def _load(self, images: ImageSet, index: int, strict: bool) -> _Loaded:
        """Read, look up, and if need be decode one photo. Runs in a thread."""
        try:
            photo = images.read(index)
            digest = content_digest(photo)
            feature = self.cache.get(digest)
            picture = self.backbone.preprocess(photo) if feature is None else None
        except (PhotoError, OSError) as error:
            reason = str(error) or type(error).__name__
            if strict:
                raise DataError(f"{images.photo_names[index]}: {reason}; stopped, as --strict asks") from error
            return _Loaded(index, reason=reason)
        return _Loaded(index, digest, feature, picture)

    def _through_network(self, loaded: Iterable[_Loaded]) -> list[_Loaded]:
        """Give each photo its feature, where that is not known yet, and keep those features on disk."""
        items: list[_Loaded] = []
        waiting: deque[_Loaded] = deque()

        def pictures() -> Iterator[npt.NDArray[np.uint8]]:
            for item in loaded:
                items.append(item)
                if item.picture is not None:
                    waiting.append(item)
                    yield item.picture

        source = pictures()
        first = next(source, None)
        if first is not None:
            fresh: list[_Loaded] = []
            for feature in self.engine.embed(chain([first], source)):
                item = waiting.popleft()
                item.feature, item.picture = self._to_float16(feature), None
                fresh.append(item)
                if len(fresh) == _KEEP_EVERY:
                    self._keep(fresh)
            self._keep(fresh)
            trim_cache()
        return items

    def _to_float16(self, feature: npt.NDArray[np.float32]) -> Features:
        with np.errstate(over="ignore"):
            half = feature.astype(np.float16)
        if not np.isfinite(half).all():
            raise WeightsError(
                f"{self.backbone.name} gives a photo the feature {feature[~np.isfinite(half)][0]}; features are "
                f"numbers from -65504 to 65504: its weights are damaged, or of another network"
            )
        return half

    def _keep(self, fresh: list[_Loaded]) -> None:
        self.cache.put(
            [item.digest for item in fresh], [item.feature for item in fresh if item.feature is not None]
        )
        fresh.clear()

    def _collect(self, images: ImageSet, items: Sequence[_Loaded]) -> Embedding:
        usable = [item for item in items if not item.reason]
        features = [item.feature for item in usable if item.feature is not None]
        return Embedding(
            indices=np.array([item.index for item in usable], np.int64),
            features=np.stack(features) if features else np.zeros((0, 0), np.float16),
            digests=[item.digest for item in usable],
            skipped=[SkippedPhoto(images.photo_names[i.index], i.reason) for i in items if i.reason],
            skipped_indices=[item.index for item in items if item.reason],
        )


def _fingerprint(backbone: Backbone) -> str:
    """Name what a photo's features depend on, besides the photo."""
    facts = {
        "version": FEATURES_VERSION,
        "name": backbone.name,
        "arguments": dict(backbone.arguments),
        "weights": backbone.weights.fingerprint,
        "preprocess": backbone.preprocess.to_dict(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


def in_threads(function: Callable[[int], T], inputs: Iterable[int], *, ahead: int) -> Iterator[T]:
    """Yield ``function`` of each input, in order, computed in threads, at most ``ahead`` results early."""
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    source = iter(inputs)
    with ThreadPoolExecutor(threads, "fieldguide-decode", initializer=_lower_priority) as pool:
        running: deque[Future[T]] = deque(pool.submit(function, i) for i in islice(source, ahead))
        try:
            while running:
                result = running.popleft().result()
                running.extend(pool.submit(function, i) for i in islice(source, 1))
                yield result
        finally:
            for future in running:
                future.cancel()


def _lower_priority() -> None:
    """Let the network, and the child that converts it, go before this thread, where the system can do that.

    The start of the network is what everything waits for, with photos enough decoded meanwhile.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
