"""Squeeze-and-excitation (Hu et al., 2017, https://arxiv.org/abs/1709.01507)."""

from collections.abc import Callable

from torch import Tensor, nn


class SqueezeExcite(nn.Module):
    """Weigh each channel by what all of them hold on average. (N, C, H, W) -> (N, C, H, W).

    Args:
        channels: C.
        squeezed_channels: of the bottleneck between the two 1x1 convolutions.
        activation: makes what follows the first of them.
        gate: makes what turns the second's output into weights from 0 to 1.
    """

    def __init__(
        self,
        channels: int,
        squeezed_channels: int,
        *,
        activation: Callable[[], nn.Module] = nn.ReLU,
        gate: Callable[[], nn.Module] = nn.Sigmoid,
    ) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed_channels, 1)
        self.act = activation()
        self.expand = nn.Conv2d(squeezed_channels, channels, 1)
        self.gate = gate()

    def forward(self, images: Tensor) -> Tensor:
        means = images.mean(dim=(2, 3), keepdim=True)
        weights: Tensor = self.gate(self.expand(self.act(self.reduce(means))))
        return images * weights
