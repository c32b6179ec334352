"""GoogLeNet (Szegedy et al., 2014, https://arxiv.org/abs/1409.4842): inception blocks, which see several scales.

Here in torchvision's form, whose weights fit: each convolution is followed by batch normalisation, which the paper
came a year too early for, and the 5x5 filters of Table 1 are 3x3, by a slip that its weights were trained with;
``five_by_five=True`` builds the paper's. Weights begin as torch draws them, which torchvision means to do too.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from fieldguide.layers import ConvNormAct, InputSize, check_arguments
from fieldguide.models import register_model

STEM_CHANNELS = (64, 64, 192)

_ConvNormAct = partial(ConvNormAct, norm=partial(nn.BatchNorm2d, eps=1e-3))


@dataclass(frozen=True, kw_only=True)
class Branches:
    """The channels of one inception block; the reductions are the 1x1 convolutions before the larger ones."""

    out_1x1: int
    reduce_3x3: int
    out_3x3: int
    reduce_5x5: int
    out_5x5: int
    out_pool: int


STAGES = (  # Table 1: inception (3a) and (3b), (4a) to (4e), (5a) and (5b)
    {
        "a": Branches(out_1x1=64, reduce_3x3=96, out_3x3=128, reduce_5x5=16, out_5x5=32, out_pool=32),
        "b": Branches(out_1x1=128, reduce_3x3=128, out_3x3=192, reduce_5x5=32, out_5x5=96, out_pool=64),
    },
    {
        "a": Branches(out_1x1=192, reduce_3x3=96, out_3x3=208, reduce_5x5=16, out_5x5=48, out_pool=64),
        "b": Branches(out_1x1=160, reduce_3x3=112, out_3x3=224, reduce_5x5=24, out_5x5=64, out_pool=64),
        "c": Branches(out_1x1=128, reduce_3x3=128, out_3x3=256, reduce_5x5=24, out_5x5=64, out_pool=64),
        "d": Branches(out_1x1=112, reduce_3x3=144, out_3x3=288, reduce_5x5=32, out_5x5=64, out_pool=64),
        "e": Branches(out_1x1=256, reduce_3x3=160, out_3x3=320, reduce_5x5=32, out_5x5=128, out_pool=128),
    },
    {
        "a": Branches(out_1x1=256, reduce_3x3=160, out_3x3=320, reduce_5x5=32, out_5x5=128, out_pool=128),
        "b": Branches(out_1x1=384, reduce_3x3=192, out_3x3=384, reduce_5x5=48, out_5x5=128, out_pool=128),
    },
)


class Inception(nn.Module):
    """Four branches side by side; their channels are concatenated. (N, C, H, W) -> (N, out_channels, H, W)."""

    def __init__(
        self,
        *,
        branch_1x1: nn.Module,
        branch_3x3: nn.Module,
        branch_5x5: nn.Module,
        branch_pool: nn.Module,
        out_channels: int,
    ) -> None:
        super().__init__()
        self.branch_1x1 = branch_1x1
        self.branch_3x3 = branch_3x3
        self.branch_5x5 = branch_5x5
        self.branch_pool = branch_pool
        self.out_channels = out_channels

    def forward(self, images: Tensor) -> Tensor:
        branches = (self.branch_1x1, self.branch_3x3, self.branch_5x5, self.branch_pool)
        return torch.cat([branch(images) for branch in branches], dim=1)


def inception(in_channels: int, branches: Branches, *, wide_kernel_size: int) -> Inception:
    """Build the block of Figure 2(b), whose 1x1 bottlenecks keep the larger filters cheap.

    Args:
        in_channels: C of the input.
        branches: channels within.
        wide_kernel_size: of the third branch, 5 in the paper.
    """
    b = branches
    wide = _ConvNormAct(b.reduce_5x5, b.out_5x5, kernel_size=wide_kernel_size)
    return Inception(
        branch_1x1=_ConvNormAct(in_channels, b.out_1x1),
        branch_3x3=nn.Sequential(
            _ConvNormAct(in_channels, b.reduce_3x3), _ConvNormAct(b.reduce_3x3, b.out_3x3, kernel_size=3)
        ),
        branch_5x5=nn.Sequential(_ConvNormAct(in_channels, b.reduce_5x5), wide),
        branch_pool=nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), _ConvNormAct(in_channels, b.out_pool)),
        out_channels=b.out_1x1 + b.out_3x3 + b.out_5x5 + b.out_pool,
    )


def naive_inception(in_channels: int, branches: Branches, *, wide_kernel_size: int) -> Inception:
    """Build the block of Figure 2(a), as :func:`inception` without bottlenecks: pooling keeps every channel."""
    b = branches
    return Inception(
        branch_1x1=_ConvNormAct(in_channels, b.out_1x1),
        branch_3x3=_ConvNormAct(in_channels, b.out_3x3, kernel_size=3),
        branch_5x5=_ConvNormAct(in_channels, b.out_5x5, kernel_size=wide_kernel_size),
        branch_pool=nn.MaxPool2d(3, stride=1, padding=1),
        out_channels=b.out_1x1 + b.out_3x3 + b.out_5x5 + in_channels,
    )


class AuxiliaryClassifier(nn.Module):
    """Brings gradients to the middle of the body. (N, in_channels, H, W) -> logits (N, num_classes)."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.conv = _ConvNormAct(in_channels, 128)
        self.linear = nn.Linear(128 * 4 * 4, 1024)
        self.act = nn.ReLU()
        self.dropout = nn.Dropout(0.7)
        self.classifier = nn.Linear(1024, num_classes) if num_classes else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.act(self.linear(self.conv(self.pool(images)).flatten(1)))
        logits: Tensor = self.classifier(self.dropout(hidden))
        return logits


class GoogLeNet(nn.Module):
    """Stem, three stages of inception blocks, global average pooling, dropout, linear classifier.

    Images (N, in_channels, H, W) float32, H and W at least 32 -> logits (N, num_classes), or the pooled features
    (N, D) where num_classes is 0: D is 1024, and more of naive blocks.

    Args:
        make_block: :func:`inception` or :func:`naive_inception`.
        wide_kernel_size: of the third branch in each block.
        num_classes: logits.
        in_channels: of the images.
        dropout: of the pooled features, in training.
        auxiliary: add the classifiers ``aux1`` and ``aux2``, after blocks (4a) and (4d).
        small_input: a stem for images of 28 to 64 px, which keeps their size: 3x3, stride 1, no pooling.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        make_block: Callable[..., Inception],
        *,
        wide_kernel_size: int,
        num_classes: int,
        in_channels: int,
        dropout: float,
        auxiliary: bool,
        small_input: bool,
    ) -> None:
        check_arguments(num_classes=num_classes, in_channels=in_channels, dropout=dropout)
        super().__init__()
        self.input_size = InputSize(8 if small_input else 32)
        self.stem = _small_stem(in_channels) if small_input else _stem(in_channels)
        self.stages = nn.Sequential()
        width = STEM_CHANNELS[-1]
        widths = []
        for stage, pool in zip(STAGES, (None, _pool(3), _pool(2)), strict=True):
            self.stages.append(nn.Sequential(OrderedDict(pool=pool) if pool else OrderedDict()))
            for name, branches in stage.items():
                block = make_block(width, branches, wide_kernel_size=wide_kernel_size)
                self.stages[-1].add_module(name, block)
                width = block.out_channels
                widths.append(width)
        _, _, after_4a, _, _, after_4d, *_ = widths
        self.aux1 = AuxiliaryClassifier(after_4a, num_classes) if auxiliary else None
        self.aux2 = AuxiliaryClassifier(after_4d, num_classes) if auxiliary else None
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, num_classes) if num_classes else nn.Identity()

    def forward_features(self, images: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) -> the last feature map (N, D, H', W').

        H' is ceil(floor((H + 1) / 16) / 2), or ceil(floor(H / 2) / 2) with ``small_input``: pooling of 3x3 rounds
        down, that of 2x2 up; and so is W'.

        Raises:
            ValueError: the images are smaller than 32 px, or than 8 px with ``small_input``.
        """
        self.input_size.check(images)
        features: Tensor = self.stages(self.stem(images))
        return features

    def forward(self, images: Tensor) -> Tensor:
        return self._classify(self.forward_features(images))

    def forward_with_auxiliaries(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images (N, in_channels, H, W) -> logits of the classifier, ``aux1`` and ``aux2``, each (N, num_classes).

        The paper trains on the sum of their losses, with 0.3 as the auxiliary ones' weight.

        Raises:
            ValueError: the network was built without them, or the images are too small.
        """
        if self.aux1 is None or self.aux2 is None:
            raise ValueError("auxiliary is False; build the network with auxiliary=True to get all three logits")
        self.input_size.check(images)
        fine, middle, coarse = self.stages
        maps = fine(self.stem(images))
        after = {}
        for name, layer in middle.named_children():
            after[name] = maps = layer(maps)
        return self._classify(coarse(maps)), self.aux1(after["a"]), self.aux2(after["d"])

    def _classify(self, features: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.dropout(features.mean(dim=(2, 3))))
        return logits


def _pool(kernel_size: int) -> nn.MaxPool2d:
    return nn.MaxPool2d(kernel_size, stride=2, ceil_mode=True)


def _stem(in_channels: int) -> nn.Sequential:
    first, second, third = STEM_CHANNELS
    return nn.Sequential(
        OrderedDict(
            conv1=_ConvNormAct(in_channels, first, kernel_size=7, stride=2),
            pool1=_pool(3),
            conv2=_ConvNormAct(first, second),
            conv3=_ConvNormAct(second, third, kernel_size=3),
            pool2=_pool(3),
        )
    )


def _small_stem(in_channels: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(conv1=_ConvNormAct(in_channels, STEM_CHANNELS[-1], kernel_size=3)))


@register_model(
    params=6_624_904,
    macs=1_498_376_192,
    input_size_px=224,
    year=2014,
    source="https://arxiv.org/abs/1409.4842",
    references={"torchvision": "googlenet"},
)
def googlenet(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.2,
    auxiliary: bool = False,
    naive: bool = False,
    five_by_five: bool = False,
    small_input: bool = False,
) -> GoogLeNet:
    """GoogLeNet. Images (N, in_channels, H, W) float32, at least 32 px -> logits (N, num_classes).

    Args:
        num_classes: how many logits; 0 gives the pooled features (N, 1024) instead.
        in_channels: channels of the images.
        dropout: of the pooled features, in training; the paper drops 0.4.
        auxiliary: add two classifiers halfway, for training: see :meth:`GoogLeNet.forward_with_auxiliaries`.
        naive: build every block without bottlenecks, to see what they save.
        five_by_five: give the third branch the paper's filters, which no torchvision weights fit.
        small_input: the form for images of 28 to 64 px.

    Raises:
        ValueError: an argument is out of its range.
    """
    return GoogLeNet(
        naive_inception if naive else inception,
        wide_kernel_size=5 if five_by_five else 3,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        auxiliary=auxiliary,
        small_input=small_input,
    )
