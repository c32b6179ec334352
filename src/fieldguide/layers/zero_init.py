"""Residual branches that begin at 0: a deep network begins as shallow as its shortcuts, and learns sooner."""

from torch import nn

from fieldguide.layers.inverted_residual import FusedInvertedResidual, InvertedResidual
from fieldguide.layers.residual import BasicBlock, Bottleneck

_ENDS = {BasicBlock: "conv2", Bottleneck: "conv3", InvertedResidual: "project", FusedInvertedResidual: "project"}


def zero_branches(network: nn.Module) -> int:
    """Set the scale of the last batch normalisation of every residual branch to 0, in place.

    Branches that end otherwise stay: one that ends in ReLU would never learn.

    Source: Goyal et al., 2017 (https://arxiv.org/abs/1706.02677), section 5.1.

    Returns:
        The number of branches.
    """
    norms = [norm for block in network.modules() if (norm := _last_norm(block)) is not None]
    for norm in norms:
        nn.init.zeros_(norm.weight)
    return len(norms)


def _last_norm(block: nn.Module) -> nn.BatchNorm2d | None:
    """Return the normalisation that a block's branch ends in; None where there is no branch, or none such."""
    if type(block) not in _ENDS or not getattr(block, "has_shortcut", True):
        return None
    norm = getattr(getattr(block, _ENDS[type(block)]), "norm", None)
    return norm if isinstance(norm, nn.BatchNorm2d) else None
