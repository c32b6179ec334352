"""Layer normalisation (Ba et al., 2016, https://arxiv.org/abs/1607.06450), as vision networks use it."""

from torch import Tensor, nn


class LayerNorm(nn.LayerNorm):
    """Normalise over the last axis, which holds the channels. (..., C) -> (..., C).

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)  # torch's own default is 1e-5


class LayerNorm2d(LayerNorm):
    """Normalise each pixel over its channels. (N, C, H, W) -> (N, C, H, W).

    The output's channels are last in memory, where convolutions and linear layers take them without a copy.
    """

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
