"""VGG (Simonyan and Zisserman, 2014, https://arxiv.org/abs/1409.1556): nothing but stacks of 3x3 convolutions.

Two of them see as much as one of 5x5, three as much as one of 7x7, with fewer weights and more nonlinearities
between. The forms with batch normalisation came later, from torchvision. From 256 px on, larger maps are pooled to
7x7, as torchvision does; timm moves the hidden layers over them instead.
"""

from collections.abc import Callable

from torch import Tensor, nn

from fieldguide.layers import HiddenLayers, InputSize, check_arguments
from fieldguide.models import register_model

SOURCE = "https://arxiv.org/abs/1409.1556"
BLOCK_CHANNELS = (64, 128, 256, 512, 512)
NUM_CONVOLUTIONS = {  # of each block, by the layers with weights; configurations A, B, D, E of Table 1
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
HIDDEN_FEATURES = 4096
POOLED_PX = 7


class VGG(nn.Module):
    """Five blocks of 3x3 convolutions, each with its pooling, two hidden linear layers, linear classifier.

    Images (N, in_channels, H, W) float32, H and W at least 32 -> logits (N, num_classes), or what the classifier
    would take where num_classes is 0: (N, 4096), and (N, 512) with ``small_input``.

    Args:
        depth: layers with weights, a key of NUM_CONVOLUTIONS.
        norm: makes the normalisation of so many channels, after each convolution; None for none.
        num_classes: logits.
        in_channels: of the images.
        dropout: before the last layer, and between the hidden ones, in training.
        small_input: for images of 28 to 64 px: the last block does not pool, and the classifier takes its means.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        depth: int,
        *,
        norm: Callable[[int], nn.Module] | None = None,
        num_classes: int,
        in_channels: int,
        dropout: float,
        small_input: bool,
    ) -> None:
        check_arguments(num_classes=num_classes, in_channels=in_channels, dropout=dropout)
        if depth not in NUM_CONVOLUTIONS:
            raise ValueError(f"depth is {depth!r}; it must be one of {', '.join(map(str, NUM_CONVOLUTIONS))}")
        super().__init__()
        self.input_size = InputSize(16 if small_input else 32)
        self.stem = nn.Identity()
        self.stages = nn.Sequential()
        channels = in_channels
        for out_channels, count in zip(BLOCK_CHANNELS, NUM_CONVOLUTIONS[depth], strict=True):
            pools = not small_input or len(self.stages) < len(BLOCK_CHANNELS) - 1
            self.stages.append(_block(channels, out_channels, count, norm, pools=pools))
            channels = out_channels
        self.head: nn.Module
        if small_input:
            self.pool = nn.AdaptiveAvgPool2d(1)
            self.head = nn.Sequential(nn.Flatten(), nn.Dropout(dropout))
            features = channels
        else:
            self.pool = nn.AdaptiveAvgPool2d(POOLED_PX)  # leaves 224 px as they are, and lets other sizes in
            self.head = HiddenLayers(channels * POOLED_PX**2, hidden_features=HIDDEN_FEATURES, dropout=dropout)
            features = HIDDEN_FEATURES
        self.classifier = nn.Linear(features, num_classes) if num_classes else nn.Identity()
        self.apply(_initialise)

    def forward_features(self, images: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) -> the last feature map (N, 512, floor(H / 32), floor(W / 32)).

        With ``small_input``, 16 instead of 32.

        Raises:
            ValueError: the images are smaller than 32 px, or than 16 px with ``small_input``.
        """
        self.input_size.check(images)
        features: Tensor = self.stages(self.stem(images))
        return features

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.head(self.pool(self.forward_features(images))))
        return logits


def _block(
    in_channels: int, out_channels: int, count: int, norm: Callable[[int], nn.Module] | None, *, pools: bool
) -> nn.Sequential:
    """Build the children conv1, norm1, act1, conv2, ..., and pool, which gives (N, out, H // 2, W // 2)."""
    block = nn.Sequential()
    for number in range(1, count + 1):
        conv = nn.Conv2d(in_channels if number == 1 else out_channels, out_channels, 3, padding=1)
        block.add_module(f"conv{number}", conv)
        if norm is not None:
            block.add_module(f"norm{number}", norm(out_channels))
        block.add_module(f"act{number}", nn.ReLU())
    if pools:
        block.add_module("pool", nn.MaxPool2d(2))
    return block


def _initialise(module: nn.Module) -> None:
    """As torchvision, which trained them in one go; the paper grew the deep ones from a trained shallow one."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(module.bias)  # type: ignore[arg-type]  # every layer here has one
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
        nn.init.zeros_(module.bias)


@register_model(
    params=132_863_336,
    macs=7_609_090_048,
    input_size_px=224,
    year=2014,
    source=SOURCE,
    references={"torchvision": "vgg11", "timm": "vgg11"},
)
def vgg11(
    *, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5, small_input: bool = False
) -> VGG:
    """VGG-11, configuration A. Images (N, in_channels, H, W) float32, at least 32 px -> logits (N, num_classes).

    Args:
        num_classes: how many logits; 0 gives the features (N, 4096) instead, (N, 512) with ``small_input``.
        in_channels: channels of the images.
        dropout: of either hidden layer, in training.
        small_input: the form for images of 28 to 64 px, with one linear layer.

    Raises:
        ValueError: an argument is out of its range.
    """
    return VGG(11, num_classes=num_classes, in_channels=in_channels, dropout=dropout, small_input=small_input)


@register_model(
    params=133_047_848,
    macs=11_308_466_176,
    input_size_px=224,
    year=2014,
    source=SOURCE,
    references={"torchvision": "vgg13", "timm": "vgg13"},
)
def vgg13(
    *, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5, small_input: bool = False
) -> VGG:
    """VGG-13, configuration B: as :func:`vgg11`."""
    return VGG(13, num_classes=num_classes, in_channels=in_channels, dropout=dropout, small_input=small_input)


@register_model(
    params=138_357_544,
    macs=15_470_264_320,
    input_size_px=224,
    year=2014,
    source=SOURCE,
    references={"torchvision": "vgg16", "timm": "vgg16"},
)
def vgg16(
    *, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5, small_input: bool = False
) -> VGG:
    """VGG-16, configuration D: as :func:`vgg11`."""
    return VGG(16, num_classes=num_classes, in_channels=in_channels, dropout=dropout, small_input=small_input)


@register_model(
    params=143_667_240,
    macs=19_632_062_464,
    input_size_px=224,
    year=2014,
    source=SOURCE,
    references={"torchvision": "vgg19", "timm": "vgg19"},
)
def vgg19(
    *, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5, small_input: bool = False
) -> VGG:
    """VGG-19, configuration E: as :func:`vgg11`."""
    return VGG(19, num_classes=num_classes, in_channels=in_channels, dropout=dropout, small_input=small_input)


@register_model(
    params=132_868_840,
    macs=7_609_090_048,
    input_size_px=224,
    year=2014,
    source=SOURCE,
    references={"torchvision": "vgg11_bn", "timm": "vgg11_bn"},
)
def vgg11_bn(
    *, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5, small_input: bool = False
) -> VGG:
    """VGG-11 with batch normalisation after each convolution: as :func:`vgg11`."""
    return VGG(
        11,
        norm=nn.BatchNorm2d,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        small_input=small_input,
    )


@register_model(
    params=133_053_736,
    macs=11_308_466_176,
    input_size_px=224,
    year=2014,
    source=SOURCE,
    references={"torchvision": "vgg13_bn", "timm": "vgg13_bn"},
)
def vgg13_bn(
    *, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5, small_input: bool = False
) -> VGG:
    """VGG-13 with batch normalisation after each convolution: as :func:`vgg11`."""
    return VGG(
        13,
        norm=nn.BatchNorm2d,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        small_input=small_input,
    )


@register_model(
    params=138_365_992,
    macs=15_470_264_320,
    input_size_px=224,
    year=2014,
    source=SOURCE,
    references={"torchvision": "vgg16_bn", "timm": "vgg16_bn"},
)
def vgg16_bn(
    *, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5, small_input: bool = False
) -> VGG:
    """VGG-16 with batch normalisation after each convolution: as :func:`vgg11`."""
    return VGG(
        16,
        norm=nn.BatchNorm2d,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        small_input=small_input,
    )


@register_model(
    params=143_678_248,
    macs=19_632_062_464,
    input_size_px=224,
    year=2014,
    source=SOURCE,
    references={"torchvision": "vgg19_bn", "timm": "vgg19_bn"},
)
def vgg19_bn(
    *, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5, small_input: bool = False
) -> VGG:
    """VGG-19 with batch normalisation after each convolution: as :func:`vgg11`."""
    return VGG(
        19,
        norm=nn.BatchNorm2d,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        small_input=small_input,
    )
