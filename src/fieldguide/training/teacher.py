"""Guides as teachers: they look at the student's own images, changed as those are, and say what they show.

So teacher and student see the same crops and mixtures, which teaches better than answers to the photos as they are
(Beyer et al., 2021, https://arxiv.org/abs/2106.05237, section 3).
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fieldguide.data import Preprocess
from fieldguide.embed.engines import Engine
from fieldguide.ensembles import class_difference, class_order
from fieldguide.errors import FieldguideError, TrainingError
from fieldguide.guide import Guide, load
from fieldguide.training.photos.colours import TO_GREY

Features = Callable[[Tensor], Tensor]
_MODES = {"nearest": "nearest-exact", "bilinear": "bilinear", "bicubic": "bicubic", "lanczos": "bicubic"}


class GuideTeacher:
    """One or more guides that answer together, by the mean of their probabilities.

    A guide with a size of its own gets the student's images enlarged or reduced to it; how it would have fitted a
    photo into a square plays no part, for the images are square.

    Args:
        guides: of the student's classes, in whatever order each has them.
        class_names: the student's K classes.
        preprocess: of the student's images.
        device: where these are.

    Raises:
        WeightsError: the weights of a guide don't fit its network.
        EngineError: the engine of a guide does not run on this machine.
    """

    def __init__(
        self, guides: Sequence[Guide], class_names: Sequence[str], preprocess: Preprocess, device: torch.device
    ) -> None:
        self._members = [_Member(guide, class_order(guide.class_names, class_names), device) for guide in guides]
        self._mean, self._std = _by_channel(preprocess, device)

    @torch.no_grad()
    def log_probs(self, images: Tensor) -> Tensor:
        """Images as the student gets them (n, C, H, W) -> log probabilities (n, K) in the student's order."""
        pictures = images.float() * self._std + self._mean  # from 0, black, to 1
        answers = torch.stack([member.log_probs(pictures) for member in self._members])
        return answers.logsumexp(dim=0) - math.log(len(answers))


class _Member:
    """A guide as a network: pictures (n, C, H, W) from 0 to 1 -> log probabilities (n, K)."""

    def __init__(self, guide: Guide, order: list[int], device: torch.device) -> None:
        self._preprocess = guide.backbone.preprocess
        on_cpu = device.type == "cpu"  # where the guide's engine is many times faster than torch
        self._features: Features = partial(_by_engine, guide.embedder.engine) if on_cpu else _body(guide, device)
        self._weight = torch.from_numpy(guide.head.weight[order]).to(device)
        self._bias = torch.from_numpy(guide.head.bias[order]).to(device)

    def log_probs(self, pictures: Tensor) -> Tensor:
        pictures = _with_channels(pictures, self._preprocess.channels)
        features = self._features(_resized(pictures, self._preprocess))
        with torch.autocast(pictures.device.type, enabled=False):
            return F.log_softmax(F.linear(features.float(), self._weight, self._bias), dim=1)


def _by_engine(engine: Engine, pictures: Tensor) -> Tensor:
    """Pictures (n, C, H, W) from 0 to 1, which are rounded to bytes -> features (n, D)."""
    as_bytes = (pictures * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    return torch.from_numpy(np.stack(list(engine.embed(as_bytes))))


def _body(guide: Guide, device: torch.device) -> Features:
    """Return a guide's body: pictures (n, C, H, W) from 0 to 1 -> features (n, D)."""
    body: nn.Module = guide.backbone.build().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    body.requires_grad_(False)
    mean, std = _by_channel(guide.backbone.preprocess, device)

    def features(pictures: Tensor) -> Tensor:
        answer: Tensor = body(((pictures - mean) / std).contiguous(memory_format=torch.channels_last))
        return answer

    return features


def _by_channel(preprocess: Preprocess, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the mean and the standard deviation, (1, C, 1, 1)."""
    mean, std = (
        torch.tensor(values, device=device).view(1, -1, 1, 1) for values in (preprocess.mean, preprocess.std)
    )
    return mean, std


def _with_channels(pictures: Tensor, channels: int) -> Tensor:
    if pictures.shape[1] == channels:
        return pictures
    if channels == 3:
        return pictures.expand(-1, 3, -1, -1)
    weights = torch.tensor(TO_GREY, dtype=torch.float32, device=pictures.device).view(1, 3, 1, 1)
    return (pictures * weights).sum(dim=1, keepdim=True)


def _resized(pictures: Tensor, preprocess: Preprocess) -> Tensor:
    """Bring pictures to a guide's size; torch has no Lanczos, for which its bicubic stands in."""
    if pictures.shape[-2:] == (preprocess.size_px,) * 2:
        return pictures
    mode = _MODES[preprocess.interpolation]
    antialias = mode != "nearest-exact"
    resized = F.interpolate(pictures, (preprocess.size_px,) * 2, mode=mode, antialias=antialias)
    return resized.clamp(0, 1)  # bicubic shoots over


def load_teachers(paths: Sequence[str], class_names: Sequence[str], known: Sequence[str] = ()) -> list[Guide]:
    """Load the guides to learn from.

    Args:
        paths: of the guides.
        class_names: of the student.
        known: their fingerprints when the run began; none where it begins now.

    Raises:
        GuideError: one can't be loaded, where the run begins.
        TrainingError: one is not what it was when the run began, or is of other classes than the student.
    """
    guides = []
    for number, path in enumerate(paths):
        try:
            guide = load(path)
        except FieldguideError as error:
            if not known:
                raise
            raise TrainingError(
                f"this run learns from {path}, which can't be loaded any more ({error}); put it back, or start a "
                "new run"
            ) from error
        if known and (now := guide_fingerprint(guide)) != known[number]:
            raise TrainingError(
                f"{path} has changed since this run began to learn from it (its fingerprint was "
                f"{known[number][:12]}, and is {now[:12]}); put it back, or start a new run"
            )
        if difference := class_difference(guide.class_names, class_names):
            raise TrainingError(
                f"the teacher {path} {difference} the photos to learn from; a teacher must know the same classes "
                "as its student: name another, or train it on the same class folders"
            )
        guides.append(guide)
    return guides


def guide_fingerprint(guide: Guide) -> str:
    """Return a SHA-256, in hexadecimal, of what a guide's answers depend on, besides the photo."""
    parts = [guide.embedder.fingerprint, *guide.class_names]
    digest = hashlib.sha256("\n".join(parts).encode())
    digest.update(guide.head.weight.tobytes())
    digest.update(guide.head.bias.tobytes())
    return digest.hexdigest()
