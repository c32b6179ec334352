"""Fine-tuning: the head is solved on frozen features, then the body learns too, its earlier layers at lower rates.

The exact head comes first, so that no random classifier sends large gradients into pretrained weights. What comes
out is kept only if it does better on photos set apart from the training photos; else the frozen guide stands.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from fieldguide.cost.freezing import freeze
from fieldguide.data.image_set import NO_LABEL
from fieldguide.embed import Embedder
from fieldguide.errors import RecipeError
from fieldguide.evaluate import evaluate
from fieldguide.head import LinearHead
from fieldguide.head.logistic_regression import fit_head
from fieldguide.progress import Progress, silent
from fieldguide.training.network import Classifier, check_stages
from fieldguide.training.network_settings import regularisation
from fieldguide.training.photos.lesson_photos import LessonPhotos
from fieldguide.training.plan import Plan
from fieldguide.training.recipe import Recipe
from fieldguide.weights import Backbone

FINETUNED, FROZEN = "fine-tuned", "frozen"
_DEVIATIONS = 2  # standard ones, of a lead by chance


def compare(
    frozen: npt.NDArray[np.float32],
    finetuned: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    class_names: tuple[str, ...],
) -> dict[str, Any]:
    """Hold a fine-tuned network to the frozen guide on the same validation photos, by the same arithmetic.

    Args:
        frozen: (N, K) probabilities that the guide with frozen features gives.
        finetuned: (N, K) of the fine-tuned network at its best.
        labels: (N,) true classes.
        class_names: (K,).
    """
    right = [probs.argmax(axis=1) == labels for probs in (frozen, finetuned)]
    only_frozen, only_finetuned = (int((one & ~other).sum()) for one, other in (right, right[::-1]))
    values: dict[str, Any] = {
        "kept": FINETUNED if leads(only_finetuned, only_frozen) else FROZEN,
        "num_photos": len(labels),
    }
    for name, probs, only in (("frozen", frozen, only_frozen), ("finetuned", finetuned, only_finetuned)):
        found = evaluate(probs, labels, class_names)
        values[name] = {"top1": found.top1, "log_loss": found.log_loss, "only_right": only}
    return values


def leads(ours: int, theirs: int) -> bool:
    """Whether one classifier does better than another by more than chance.

    Photos that both have right, or neither, tell nothing. Of those that only one has right, equally good
    classifiers would have as many each; a lead of twice the root of their number comes by chance once in twenty
    times (McNemar, 1947), and must be exceeded. For the fine-tuned network is taken at the best of several epochs,
    and learns from fewer photos than the frozen guide that would stand instead.

    Args:
        ours: photos that only the one has right.
        theirs: photos that only the other has right.
    """
    return ours > theirs and (ours - theirs) ** 2 > _DEVIATIONS**2 * (ours + theirs)


def solve_head(
    backbone: Backbone, photos: LessonPhotos, on_progress: Progress = silent, *, balanced: bool = False
) -> LinearHead:
    """Fit the head on frozen features of the photos to learn from, those that have a class."""
    images = photos.learnt.images
    chosen = images.select(np.isin(np.arange(len(images)), photos.learnt.indices) & (images.labels != NO_LABEL))
    embedding = Embedder(backbone).embed(chosen, on_progress)
    labels = chosen.labels[embedding.indices]
    num_classes = len(images.class_names)
    return fit_head(embedding.features, labels, num_classes, balanced=balanced, on_progress=on_progress).head


def pretrained_network(backbone: Backbone, recipe: Recipe, head: LinearHead) -> Classifier:
    """Return the pretrained body, frozen as the recipe says, with the solved head as its classifier."""
    arguments = {**backbone.arguments, **regularisation(backbone.name, recipe)}
    body = replace(backbone, arguments=arguments).build()
    check_stages(body, Plan(backbone.name, backbone.preprocess, backbone.arguments), recipe)
    freeze_parts(body, recipe.freeze)
    classifier = nn.Linear(head.weight.shape[1], head.weight.shape[0])
    with torch.no_grad():
        classifier.weight.copy_(torch.from_numpy(head.weight))
        classifier.bias.copy_(torch.from_numpy(head.bias))
    return Classifier(body, classifier)


def freeze_parts(body: nn.Module, parts: str) -> None:
    """Freeze what a recipe's ``freeze`` names.

    Args:
        body: of the network.
        parts: ``none``; ``features``, all of it; ``stageN``, the stem and its first N stages; or names of modules
            with wildcards, by commas.

    Raises:
        RecipeError: there are no so many stages.
        UnknownNameError: there is no module of that name.
    """
    if parts == "none":
        return
    if parts == "features":
        body.requires_grad_(False)
        return
    if parts.startswith("stage") and parts.removeprefix("stage").isdigit():
        freeze(body, _first_stages(body, int(parts.removeprefix("stage"))))
        return
    freeze(body, [part.strip() for part in parts.split(",")])


def _first_stages(body: nn.Module, count: int) -> list[str]:
    stages = getattr(body, "stages", None)
    names = [name for name, _ in stages.named_children()] if isinstance(stages, nn.Sequential) else []
    if not 1 <= count <= len(names):
        found = f"its stages are 1 to {len(names)}" if names else "it has no stages"
        raise RecipeError(
            f"freeze is stage{count}, but {found}; set freeze to one of these, or to names of modules"
        )
    before = [name for name, _ in body.named_children() if name.startswith("stem")]
    stem = [name for name in before if list(body.get_submodule(name).parameters())]
    return stem + [f"stages.{name}" for name in names[:count]]
