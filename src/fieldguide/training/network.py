"""The network that is trained, a body and a linear classifier on its features; and its way into a guide."""

import numpy as np
import torch
from torch import Tensor, nn

from fieldguide.errors import DataError, RecipeError, first_line
from fieldguide.head import LinearHead
from fieldguide.introspection import create_on_meta
from fieldguide.layers import zero_branches
from fieldguide.models import MODELS, create_model
from fieldguide.training.network_settings import regularisation
from fieldguide.training.plan import Plan
from fieldguide.training.recipe import Recipe
from fieldguide.training.schedule import stage_of
from fieldguide.weights import Backbone
from fieldguide.weights.tensors import Weights


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
