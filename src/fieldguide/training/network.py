"""The network that is trained, a body and a linear classifier on its features; and its way into a guide."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fieldguide.data import ImageSet, Preprocess
from fieldguide.data.decode import decode
from fieldguide.data.preprocess import Fit
from fieldguide.errors import DataError, PhotoError
from fieldguide.head import LinearHead
from fieldguide.introspection import create_on_meta, input_shape_of
from fieldguide.models import MODELS, TIMM_PREFIX, create_model
from fieldguide.training.recipe import Recipe
from fieldguide.weights import Backbone
from fieldguide.weights.own_weights import IMAGENET_MEAN, IMAGENET_STD
from fieldguide.weights.tensors import Weights

SMALL_PX = 64  # pictures up to this side are taken as they are, by networks in their form for small input
_SMALL_SIZES = (
    16,
    32,
    64,
)  # that smaller pictures are enlarged to, where a network takes none as small as they are
_LOOKED_AT = 16  # photos, to learn what the set's pictures are like


class Classifier(nn.Module):
    """A body and a linear classifier on its features.

    Images (N, C, H, W) float32 -> logits (N, K).

    Args:
        body: images -> features (N, D).
        classifier: features -> logits.
    """

    def __init__(self, body: nn.Module, classifier: nn.Linear) -> None:
        super().__init__()
        self.body = body
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.body(images))
        return logits


@dataclass(frozen=True)
class Plan:
    """Which network is to be trained, and what it takes.

    Args:
        name: of the model.
        arguments: of its factory, besides ``num_classes``.
        preprocess: how photos become its pictures.
    """

    name: str
    preprocess: Preprocess
    arguments: Mapping[str, Any] = field(default_factory=dict)


def plan_network(
    name: str, images: ImageSet, *, size_px: int | None, fit: Fit | None, arguments: Mapping[str, Any]
) -> Plan:
    """Decide on the form of a network that suits a set of photos.

    Grey pictures get a network of one channel. Pictures of one size up to 64 px are taken at that size, by the
    network's form for small input; all others at the size that the network was designed for.

    Args:
        name: of the model.
        images: what it shall learn from.
        size_px: side of its pictures; None to decide.
        fit: how photos become square; None for ``crop``.
        arguments: of the model's factory, which are kept.

    Raises:
        UnknownNameError: there is no such model.
        DataError: it can't take pictures of that size, or an argument is refused.
    """
    side, is_grey = look_at(images)
    chosen = dict(arguments)
    chosen.setdefault("in_channels", 1 if is_grey else 3)
    takes = inspect.signature(MODELS[name].factory).parameters if name in MODELS else {}
    refused = [key for key in arguments if takes and key not in takes]
    if refused:
        raise DataError(f"{name} takes no argument {refused[0]!r}; it takes {', '.join(takes)}")
    designed_for = input_shape_of(create_on_meta(name), name)[1]
    last_error: ValueError | None = None
    for size in [size_px] if size_px else _sizes(side, designed_for):
        form = dict(chosen)
        if "small_input" in takes and size <= SMALL_PX:
            form.setdefault("small_input", True)
        if "size_px" in takes and size != designed_for:
            form.setdefault("size_px", size)
        try:
            network = create_on_meta(name, num_classes=2, **form)
            if input_size := getattr(network, "input_size", None):
                input_size.check(torch.empty(1, 1, size, size, device="meta"))
            return Plan(name, _preprocess(size, form["in_channels"], fit), form)
        except (ValueError, TypeError) as error:
            last_error = ValueError(str(error))
    raise DataError(f"{name} can't be built for this: {last_error}")


def _sizes(side: int, designed_for: int) -> list[int]:
    """Return the sizes to try for pictures of a side: small ones as they are, or enlarged a little."""
    if not 0 < side <= SMALL_PX:
        return [designed_for]
    return [side, *(size for size in _SMALL_SIZES if size > side), designed_for]


def _preprocess(size_px: int, channels: int, fit: Fit | None) -> Preprocess:
    mean, std = (IMAGENET_MEAN, IMAGENET_STD) if channels == 3 else ((0.5,) * channels, (0.5,) * channels)
    return Preprocess(
        size_px=size_px, fit=fit or "crop", interpolation="bicubic", mean=mean, std=std, channels=channels
    )


def look_at(images: ImageSet) -> tuple[int, bool]:
    """Return the side that the first photos share, 0 if they don't or are not square, and whether all are grey."""
    if images.pixels is not None:
        height, width = images.pixels.shape[1:3]
        return (height if height == width else 0), images.pixels.ndim == 3 or images.pixels.shape[3] == 1
    sizes, are_grey = set(), []
    for index in range(min(_LOOKED_AT, len(images))):
        try:
            photo = images.read(index)
            picture = decode(photo)
        except (PhotoError, OSError):
            continue
        sizes.add(picture.size)
        are_grey.append(photo.ndim == 2 if isinstance(photo, np.ndarray) else _is_grey(picture))
    side = next(iter(sizes)) if len(sizes) == 1 else (0, 1)
    return (side[0] if side[0] == side[1] else 0), bool(are_grey) and all(are_grey)


def _is_grey(picture: Any) -> bool:  # noqa: ANN401 - a PIL image
    red, green, blue = (np.asarray(band) for band in picture.split())
    return bool((red == green).all() and (green == blue).all())


def build_network(plan: Plan, num_classes: int, recipe: Recipe) -> Classifier:
    """Build the network freshly, with its own initialisation of the classifier where it is one of ours.

    Raises:
        DataError: the factory refuses an argument.
    """
    arguments = {**plan.arguments, **regularisation(plan.name, recipe)}
    try:
        if plan.name not in MODELS:
            return with_classifier(create_model(plan.name, num_classes=0, **arguments), plan, num_classes)
        network = create_model(plan.name, num_classes=num_classes, **arguments)
    except (ValueError, TypeError) as error:
        raise DataError(f"{plan.name} can't be built with {arguments}: {error}") from error
    classifier = network.classifier
    network.classifier = nn.Identity()
    assert isinstance(classifier, nn.Linear)
    return Classifier(network, classifier)


def with_classifier(body: nn.Module, plan: Plan, num_classes: int) -> Classifier:
    """Put a fresh linear classifier on a body."""
    side = plan.preprocess.size_px
    was_training = body.training
    with torch.no_grad():
        features = body.eval()(torch.zeros(1, plan.preprocess.channels, side, side))
    body.train(was_training)
    return Classifier(body, nn.Linear(features.shape[1], num_classes))


def regularisation(name: str, recipe: Recipe) -> dict[str, float]:
    """Return the recipe's dropout and stochastic depth, as far as the network has them."""
    wanted = {"dropout": recipe.dropout, "drop_path_rate": recipe.drop_path_rate}
    if name in MODELS:
        takes = inspect.signature(MODELS[name].factory).parameters
        return {key: value for key, value in wanted.items() if value >= 0 and key in takes}
    if name.startswith(TIMM_PREFIX) and recipe.drop_path_rate > 0:
        return {"drop_path_rate": recipe.drop_path_rate}
    return {}


def to_backbone(body: nn.Module, plan: Plan) -> Backbone:
    """Return the body as the backbone of a guide."""
    tensors = {name: tensor.detach().cpu().numpy() for name, tensor in body.state_dict().items()}
    return Backbone(plan.name, Weights(lambda: tensors), plan.preprocess, dict(plan.arguments))


def to_head(network: Classifier) -> LinearHead:
    """Return the classifier as the head of a guide."""
    weight, bias = (t.detach().float().cpu().numpy() for t in (network.classifier.weight, network.classifier.bias))
    return LinearHead(np.ascontiguousarray(weight), bias)
