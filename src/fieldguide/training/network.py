"""The network that is trained, a body and a linear classifier on its features; and its way into a guide."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fieldguide.data import ImageSet, Preprocess
from fieldguide.data.decode import decode
from fieldguide.data.preprocess import Fit
from fieldguide.errors import DataError, PhotoError, RecipeError, first_line
from fieldguide.head import LinearHead
from fieldguide.introspection import create_on_meta, input_shape_of
from fieldguide.layers import zero_branches
from fieldguide.models import MODELS, TIMM_PREFIX, TORCHVISION_PREFIX, create_model
from fieldguide.training.photos.augment import SMALL_PX
from fieldguide.training.recipe import Recipe, Setting, read_setting
from fieldguide.training.schedule import stage_of
from fieldguide.weights import Backbone, load_backbone
from fieldguide.weights.backbone import is_folder
from fieldguide.weights.own_weights import IMAGENET_MEAN, IMAGENET_STD
from fieldguide.weights.tensors import Weights

_SMALL_SIZES = (16, 32, 64)  # that smaller pictures are enlarged to, for networks that take none so small
_LOOKED_AT = 16  # photos, to learn what the set's pictures are like
_REGULARISATION = {"dropout": "dropout", "drop_path_rate": "stochastic depth"}  # settings that lie in the network
_THEIR_NAMES = {
    TIMM_PREFIX: {"dropout": "drop_rate", "drop_path_rate": "drop_path_rate"},
    TORCHVISION_PREFIX: {"dropout": "dropout", "drop_path_rate": "stochastic_depth_prob"},
}


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
        ValueError: size_px or fit is out of its range.
    """
    side, is_grey = look_at(images)
    chosen = dict(arguments)
    chosen.setdefault("in_channels", 1 if is_grey else 3)
    takes = inspect.signature(MODELS[name].factory).parameters if name in MODELS else {}
    refused = [key for key in arguments if takes and key not in takes]
    if "num_classes" in arguments:
        raise DataError(f"num_classes is {arguments['num_classes']}, but comes from the photos; leave it out")
    if refused:
        allowed = ", ".join(key for key in takes if key != "num_classes")
        raise DataError(f"{name} takes no argument {refused[0]!r}; it takes {allowed}")
    designed_for = input_shape_of(create_on_meta(name), name)[1]
    last_error: Exception | None = None
    for size in [size_px] if size_px else _sizes(side, designed_for):
        form = dict(chosen)
        preprocess = _preprocess(size, form["in_channels"], fit)
        if "small_input" in takes and size <= SMALL_PX:
            form.setdefault("small_input", True)
        if "size_px" in takes and size != designed_for:
            form.setdefault("size_px", size)
        try:
            network = create_on_meta(name, num_classes=2, **form)
            if input_size := getattr(network, "input_size", None):
                input_size.check(torch.empty(1, 1, size, size, device="meta"))
            return Plan(name, preprocess, form)
        except (ValueError, TypeError) as error:
            last_error = error
    channels = f"{form['in_channels']} channel{'s' if form['in_channels'] != 1 else ''}"
    raise DataError(
        f"{name} can't be built for pictures of {size} px and {channels}: {last_error}"
    ) from last_error


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
    width, height = sizes.pop() if len(sizes) == 1 else (0, 0)
    return (width if width == height else 0), bool(are_grey) and all(are_grey)


def _is_grey(picture: Any) -> bool:  # noqa: ANN401 - a PIL image
    red, green, blue = (np.asarray(band) for band in picture.split())
    return bool((red == green).all() and (green == blue).all())


def build_network(plan: Plan, num_classes: int, recipe: Recipe) -> Classifier:
    """Build the network freshly, with its own initialisation of the classifier where it is one of ours.

    Raises:
        DataError: the factory refuses an argument, or a guide could not hold the network.
        RecipeError: it can't take the pictures of a stage.
    """
    network = _build(plan, num_classes, recipe)
    if recipe.zero_init:
        zero_branches(network.body)
    check_body(network.body, plan)
    check_stages(network.body, plan, recipe)
    return network


def check_body(body: nn.Module, plan: Plan) -> None:
    """Make sure, before long work, that a guide can hold what a body learns: it builds the body anew by the plan.

    Raises:
        DataError: an argument gives the body tensors that it would not have in the guide.
    """
    anew = create_on_meta(plan.name, num_classes=0, **plan.arguments)
    found, kept = ({name: tuple(t.shape) for name, t in net.state_dict().items()} for net in (body, anew))
    odd = sorted(name for name, _ in found.items() ^ kept.items())
    if odd:
        arguments = ", ".join(f"{name}={value}" for name, value in plan.arguments.items())
        raise DataError(
            f"{plan.name} can't be trained with {arguments}: a guide has no place for its {odd[0]}; leave out "
            "what is of training alone"
        )


def check_stages(body: nn.Module, plan: Plan, recipe: Recipe) -> None:
    """Make sure, before long work, that a body takes the pictures of every stage of progressive learning.

    Raises:
        RecipeError: one of them has a size that it can't take.
    """
    was_training = body.training
    for number in range(recipe.stages - 1):  # the last stage's is the plan's, which was checked with it
        side = stage_of(recipe, number, recipe.stages, plan.preprocess.size_px).size_px
        try:
            with torch.no_grad():
                body.eval()(torch.zeros(1, plan.preprocess.channels, side, side))
        except (ValueError, TypeError, RuntimeError, AssertionError) as error:
            raise RecipeError(
                f"stage {number + 1} of {recipe.stages} has pictures of {side} px, which {plan.name} can't take "
                f"({first_line(error)}); set first_size=1, or nearer to it, or choose another --size"
            ) from error
    body.train(was_training)


def _build(plan: Plan, num_classes: int, recipe: Recipe) -> Classifier:
    arguments = {**regularisation(plan.name, recipe), **plan.arguments}
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
    """Return the recipe's dropout and stochastic depth, as far as the network has them, by its factory's names."""
    wanted = {key: getattr(recipe, key) for key in _REGULARISATION if getattr(recipe, key) >= 0}
    return {own: value for key, value in wanted.items() if (own := _argument_for(name, key))}


def refuse_lacking(
    name: str, settings: Mapping[str, Setting], arguments: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Refuse settings that are asked for by name, and that the network has no place for or is told otherwise.

    What a recipe's own file says is another matter: it is taken as far as the network has it.

    Args:
        name: of the model, or the folder of a backbone.
        settings: of the recipe, that are asked for.
        arguments: of the model's factory, that are asked for.

    Raises:
        RecipeError: with the setting's name and value.
    """
    if not settings.keys() & {*_REGULARISATION, "zero_init"}:
        return
    if is_folder(name):
        name = load_backbone(name).name
    for key, what in _REGULARISATION.items():
        value, own = read_setting(key, settings.get(key, -1)), _argument_for(name, key)
        if float(value) > 0 and own is None:
            raise RecipeError(f"{key} is {value:g}, but {name} has no {what}; leave it out")
        if key in settings and own is not None and own in arguments:
            raise RecipeError(
                f"{key} is {value:g} as a setting, and {own} is {arguments[own]} as an argument of {name}; leave "
                "one of them out"
            )
    if read_setting("zero_init", settings.get("zero_init", False)):
        if name not in MODELS:
            raise RecipeError(
                f"zero_init is true, but is known for our own networks, not for {name}; leave it out"
            )
        if not zero_branches(create_on_meta(name)):
            raise RecipeError(
                f"zero_init is true, but {name} has no residual branch that ends in a norm; leave it out"
            )


def _argument_for(name: str, setting: str) -> str | None:
    """Return what the factory of a network calls a recipe's setting; None where it has none such."""
    prefix = next((prefix for prefix in _THEIR_NAMES if name.startswith(prefix)), None)
    if prefix is None:
        return setting if setting in inspect.signature(MODELS[name].factory).parameters else None
    own = _THEIR_NAMES[prefix][setting]
    try:
        with_less, with_more = (_rates(create_on_meta(name, **{own: rate})) for rate in (0.1, 0.2))
    except (TypeError, ValueError):  # TypeErrors are how their factories refuse an argument
        return None
    return own if with_less != with_more else None  # for some take any, and do nothing with it


def _rates(network: nn.Module) -> list[float]:
    return [v for module in network.modules() for v in vars(module).values() if isinstance(v, float)]


def set_modes(network: nn.Module, recipe: Recipe) -> None:
    """Put a network in training, but for what is frozen: its statistics stay, too."""
    network.train()
    for module in network.modules():
        parameters = list(module.parameters())
        is_frozen = bool(parameters) and not any(p.requires_grad for p in parameters)
        is_norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
        if is_frozen or (is_norm and recipe.batch_norm == "frozen"):
            module.eval()


def to_backbone(body: nn.Module, plan: Plan) -> Backbone:
    """Return the body as the backbone of a guide."""
    tensors = {name: tensor.detach().cpu().numpy() for name, tensor in body.state_dict().items()}
    return Backbone(plan.name, Weights(lambda: tensors), plan.preprocess, dict(plan.arguments))


def to_head(network: Classifier) -> LinearHead:
    """Return the classifier as the head of a guide."""
    weight, bias = (t.detach().float().cpu().numpy() for t in (network.classifier.weight, network.classifier.bias))
    return LinearHead(np.ascontiguousarray(weight), bias)
