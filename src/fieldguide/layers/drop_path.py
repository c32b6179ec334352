"""Stochastic depth (Huang et al., 2016, https://arxiv.org/abs/1603.09382)."""

from torch import Tensor, nn


class DropPath(nn.Module):
    """In training, leave out a residual branch for some of the images, and scale it up for the others.

    (N, ...) -> (N, ...). In evaluation, or at rate 0, the input as it is.

    Args:
        rate: probability, from 0 to below 1, that an image's branch is left out.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return branch
        keep = 1 - self.rate
        kept = branch.new_empty((len(branch),) + (1,) * (branch.ndim - 1)).bernoulli_(keep)
        return branch * kept.div_(keep)

    def extra_repr(self) -> str:
        return f"rate={self.rate:.3f}"
