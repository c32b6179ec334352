"""The optimiser of a recipe, with its groups: no decay for biases and norms, lower rates for earlier layers."""

from typing import Any

import torch
from torch import nn

from fieldguide.layers import ScaleShift, Shift
from fieldguide.libraries import import_timm
from fieldguide.training.recipe import Recipe
from fieldguide.training.schedule import LR_SCALE

_FIXUP_SHARE = 0.1  # of the learning rate, for the single numbers of networks without normalisation


def make_optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Make the recipe's optimiser of all parameters that are not frozen.

    Args:
        network: a :class:`~fieldguide.training.network.Classifier`.
        recipe: optimiser, weight decay, layer decay.
    """
    groups = parameter_groups(network, weight_decay=recipe.weight_decay, layer_decay=recipe.layer_decay)
    if recipe.optimiser == "sgd":
        nesterov = recipe.nesterov and recipe.momentum > 0
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=nesterov, fused=True)
    kind = torch.optim.Adam if recipe.optimiser == "adam" else torch.optim.AdamW
    return kind(groups, lr=recipe.lr, fused=True)


def parameter_groups(network: nn.Module, *, weight_decay: float, layer_decay: float) -> list[dict[str, Any]]:
    """Return the parameters in groups of one decay and one share of the learning rate.

    Vectors and single numbers (biases, norms) are not decayed. The classifier learns at the full rate, the last
    block of the body at ``layer_decay`` of it, the one before at its square, and so on (Howard and Ruder, 2018,
    https://arxiv.org/abs/1801.06146, section 3.2). The single numbers that stand for normalisation in Fixup
    networks learn at a tenth of their layer's rate (Zhang et al., 2019, https://arxiv.org/abs/1901.09321).
    """
    depths = layer_depths(network)
    modules = [module for module in network.modules() if isinstance(module, Shift | ScaleShift)]
    of_fixup = {id(parameter) for module in modules for parameter in module.parameters()}
    deepest = max(depths[name] for name, parameter in network.named_parameters() if parameter.requires_grad)
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        decay = weight_decay if parameter.ndim > 1 else 0.0
        share = layer_decay ** (deepest - depths[name])
        share *= _FIXUP_SHARE if id(parameter) in of_fixup else 1.0
        group = groups.setdefault((share, decay), {"params": [], "weight_decay": decay, LR_SCALE: share})
        group["params"].append(parameter)
    return list(groups.values())


def layer_depths(network: nn.Module) -> dict[str, int]:
    """Return how deep each parameter lies: the stem at 0, each block one deeper, the classifier last.

    A block is a child of the body that holds others but is no container; containers are opened, however nested.
    """
    units = [unit for name, child in network.named_children() for unit in _units(name, child)]
    depths: dict[str, int] = {}
    for name, _ in network.named_parameters():
        inside = [i for i, unit in enumerate(units) if name == unit or name.startswith(f"{unit}.")]
        depths[name] = inside[-1] if inside else 0
    return depths


def _units(name: str, module: nn.Module) -> list[str]:
    """Return the names of the layers that a module consists of: containers are opened, blocks are not."""
    children = list(module.named_children())
    is_container = type(module) in (nn.Sequential, nn.ModuleList) or name == "body"  # a block may be a Sequential
    if not (is_container and children):
        return [name] if list(module.parameters()) else []
    return [unit for child_name, child in children for unit in _units(f"{name}.{child_name}", child)]


def average_weights(network: nn.Module, decay: float) -> Any:  # noqa: ANN401 - timm has no types
    """Return timm's average of weights, or None; its memory is short at first, so that early weights fade."""
    if not decay:
        return None
    import_timm()
    from timm.utils import ModelEmaV3

    return ModelEmaV3(network, decay=decay, use_warmup=True, warmup_gamma=10, warmup_power=1)
