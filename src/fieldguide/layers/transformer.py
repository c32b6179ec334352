"""The bricks of vision transformers (Dosovitskiy et al., 2020, https://arxiv.org/abs/2010.11929)."""

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fieldguide.layers.drop_path import DropPath
from fieldguide.layers.layer_norm import LayerNorm

MLP_RATIO = 4  # hidden channels of a block's MLP, in widths


class PatchEmbedding(nn.Module):
    """Cut images into patches, put the class token before them, and tell each where it is.

    (N, in_channels, H, W) -> (N, 1 + L, width), where L is H / patch_px * W / patch_px.

    Args:
        in_channels: of the images.
        width: channels of a token.
        patch_px: side of a patch.
        size_px: side of the images whose positions are learnt; for others they are interpolated.
        bias: whether the convolution has one.
    """

    def __init__(self, in_channels: int, width: int, *, patch_px: int, size_px: int, bias: bool = True) -> None:
        super().__init__()
        self.grid = (size_px // patch_px, size_px // patch_px)
        self.conv = nn.Conv2d(in_channels, width, patch_px, stride=patch_px, bias=bias)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.empty(1, 1 + self.grid[0] * self.grid[1], width))
        nn.init.trunc_normal_(self.conv.weight, std=(in_channels * patch_px**2) ** -0.5)
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)
        nn.init.normal_(self.positions, std=0.02)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.conv(images)
        tokens = patches.flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(tokens.shape[0], -1, -1), tokens], dim=1)
        return tokens + resize_positions(self.positions, self.grid, (patches.shape[-2], patches.shape[-1]))


def resize_positions(positions: Tensor, learnt: tuple[int, int], wanted: tuple[int, int]) -> Tensor:
    """Interpolate the positions of a grid of tokens for another grid; that of the first token stays as it is.

    (1, 1 + L, D) -> (1, 1 + L', D).

    Args:
        positions: of the token that stands for the whole, and of L others, row by row.
        learnt: height and width of their grid.
        wanted: height and width of the other.
    """
    if wanted == learnt:
        return positions
    of_whole, of_parts = positions[:, :1], positions[:, 1:]
    maps = of_parts.transpose(1, 2).reshape(1, -1, *learnt)
    resized = F.interpolate(maps, size=wanted, mode="bicubic", antialias=True)
    return torch.cat([of_whole, resized.flatten(2).transpose(1, 2)], dim=1)


def linear_by_xavier(in_features: int, out_features: int, *, matrices: int = 1) -> nn.Linear:
    """Make a linear layer, initialised by Xavier's rule for each of the matrices that are stacked in it.

    So does the paper's code, but for the classifier, whose zeros leave the body without a gradient at first. Torch
    has drawn the weights evenly within 1 / sqrt(in_features); to scale them is faster than to draw them again.
    """
    linear = nn.Linear(in_features, out_features)
    with torch.no_grad():
        linear.weight *= (6 * in_features / (in_features + out_features / matrices)) ** 0.5
        linear.bias.zero_()
    return linear


class SelfAttention(nn.Module):
    """Every token gathers from all, weighted by how its query meets their keys. (N, L, D) -> (N, L, D).

    Args:
        width: D.
        num_heads: how many gather side by side, each in its own D / num_heads channels.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = linear_by_xavier(width, 3 * width, matrices=3)
        self.project = linear_by_xavier(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        queries_keys_values = self.qkv(tokens).unflatten(2, (3, self.num_heads, -1))  # (N, L, 3, heads, channels)
        queries, keys, values = queries_keys_values.permute(2, 0, 3, 1, 4).unbind()
        gathered = F.scaled_dot_product_attention(queries, keys, values)  # (N, heads, L, channels)
        projected: Tensor = self.project(gathered.transpose(1, 2).flatten(2))
        return projected


class TransformerBlock(nn.Module):
    """Attention among the tokens, then an MLP on each, both normalised before and added. (N, L, D) -> (N, L, D).

    Args:
        width: D.
        num_heads: of the attention.
        dropout: of what the attention and both layers of the MLP give.
        drop_path_rate: how often each of the two branches is left out in training.
        norm: makes the normalisation of so many channels.
        activation: makes that of the MLP.
    """

    def __init__(
        self,
        width: int,
        *,
        num_heads: int,
        dropout: float = 0.0,
        drop_path_rate: float = 0.0,
        norm: Callable[[int], nn.Module] = LayerNorm,
        activation: Callable[[], nn.Module] = nn.GELU,
    ) -> None:
        super().__init__()
        self.norm1 = norm(width)
        self.attention = SelfAttention(width, num_heads)
        self.norm2 = norm(width)
        self.mlp = nn.Sequential(
            OrderedDict(
                expand=linear_by_xavier(width, MLP_RATIO * width),
                act=activation(),
                dropout=nn.Dropout(dropout),
                project=linear_by_xavier(MLP_RATIO * width, width),
            )
        )
        self.dropout = nn.Dropout(dropout)
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.drop_path(self.dropout(self.attention(self.norm1(tokens))))
        branch: Tensor = self.drop_path(self.dropout(self.mlp(self.norm2(tokens))))
        return tokens + branch
