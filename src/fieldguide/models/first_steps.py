"""The first steps: from one linear layer to two convolutions, for grey pictures of 28 px such as MNIST's.

Each adds one idea: ``dense`` weighs every pixel (the perceptron of Rosenblatt, 1958), ``mlp`` puts a hidden layer
between (Rumelhart et al., 1986), ``one_conv`` looks at neighbourhoods with shared weights (LeCun et al., 1989),
and ``multilayer_cnn`` alternates convolutions with pooling, as LeNet does (LeCun et al., 1998). Weights begin as
torch draws them: uniform, by the number of inputs.
"""

from collections import OrderedDict

from torch import Tensor, nn

from fieldguide.layers import InputSize, check_arguments, check_whole
from fieldguide.models import register_model

KERNEL_SIZE = 5


class FirstStep(nn.Module):
    """Convolutions, a hidden layer, either or neither of them; and a linear classifier.

    Images (N, in_channels, size_px, size_px) float32 -> logits (N, num_classes), or the classifier's input (N, D)
    where num_classes is 0.

    Args:
        conv_channels: of each 5x5 convolution; the first one is the stem, every other one a stage.
        pools: whether 2x2 pooling follows each of them.
        hidden_features: of the hidden layer; None for none.
        num_classes: logits.
        in_channels: of the images.
        size_px: the one size of images that fits.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        *,
        conv_channels: tuple[int, ...] = (),
        pools: bool = False,
        hidden_features: int | None = None,
        num_classes: int,
        in_channels: int,
        size_px: int,
    ) -> None:
        hidden_layer = {} if hidden_features is None else {"hidden_features": hidden_features}
        check_arguments(num_classes=num_classes, in_channels=in_channels, **hidden_layer)
        least_px = 1
        for _ in conv_channels:
            least_px = least_px * (2 if pools else 1) + KERNEL_SIZE - 1
        check_whole("size_px", size_px, least=least_px)
        super().__init__()
        self.input_size = InputSize(size_px, fixed=True)
        body, channels, side = nn.Sequential(), in_channels, size_px
        for out_channels in conv_channels:
            body.append(_conv(channels, out_channels, pools=pools))
            channels, side = out_channels, (side - KERNEL_SIZE + 1) // (2 if pools else 1)
        self.stem = body[0] if conv_channels else nn.Identity()
        self.stages = body[1:]
        features = channels * side**2
        self.head: nn.Module = nn.Flatten()
        if hidden_features is not None:
            hidden = nn.Linear(features, hidden_features)
            self.head = nn.Sequential(OrderedDict(flatten=nn.Flatten(), linear=hidden, act=nn.ReLU()))
            features = hidden_features
        self.classifier = nn.Linear(features, num_classes) if num_classes else nn.Identity()

    def forward_features(self, images: Tensor) -> Tensor:
        """Images (N, in_channels, size_px, size_px) -> the last feature map (N, C, H, W).

        Raises:
            ValueError: the images have another size.
        """
        self.input_size.check(images)
        features: Tensor = self.stages(self.stem(images))
        return features

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.head(self.forward_features(images)))
        return logits


def _conv(in_channels: int, out_channels: int, *, pools: bool) -> nn.Sequential:
    conv = nn.Sequential(OrderedDict(conv=nn.Conv2d(in_channels, out_channels, KERNEL_SIZE), act=nn.ReLU()))
    if pools:
        conv.add_module("pool", nn.MaxPool2d(2))
    return conv


@register_model(params=7_850, macs=7_840, input_size_px=28, year=1958, source="https://doi.org/10.1037/h0042519")
def dense(*, num_classes: int = 10, in_channels: int = 1, size_px: int = 28) -> FirstStep:
    """Softmax regression: one linear layer. Images (N, in_channels, size_px, size_px) -> logits (N, num_classes).

    Args:
        num_classes: how many logits; 0 gives the flattened pixels instead.
        in_channels: channels of the images.
        size_px: of either side of the images, 1 or more.

    Raises:
        ValueError: num_classes is below 0, or in_channels or size_px below 1.
    """
    return FirstStep(num_classes=num_classes, in_channels=in_channels, size_px=size_px)


@register_model(params=79_510, macs=79_400, input_size_px=28, year=1986, source="https://doi.org/10.1038/323533a0")
def mlp(
    *, num_classes: int = 10, in_channels: int = 1, size_px: int = 28, hidden_features: int = 100
) -> FirstStep:
    """A multilayer perceptron of one hidden layer: as :func:`dense`; features (N, hidden_features).

    Args:
        num_classes: how many logits; 0 gives the hidden layer's activations instead.
        in_channels: channels of the images.
        size_px: of either side of the images, 1 or more.
        hidden_features: of the hidden layer.

    Raises:
        ValueError: num_classes is below 0, or another argument below 1.
    """
    return FirstStep(
        hidden_features=hidden_features, num_classes=num_classes, in_channels=in_channels, size_px=size_px
    )


@register_model(
    params=52_084,
    macs=181_440,
    input_size_px=28,
    year=1989,
    source="https://doi.org/10.1162/neco.1989.1.4.541",
)
def one_conv(*, num_classes: int = 10, in_channels: int = 1, size_px: int = 28) -> FirstStep:
    """Nine 5x5 filters and a linear layer: as :func:`dense`, from 5 px on; features (N, 9 * (size_px - 4)^2)."""
    return FirstStep(conv_channels=(9,), num_classes=num_classes, in_channels=in_channels, size_px=size_px)


@register_model(params=8_490, macs=467_200, input_size_px=28, year=1998, source="https://doi.org/10.1109/5.726791")
def multilayer_cnn(*, num_classes: int = 10, in_channels: int = 1, size_px: int = 28) -> FirstStep:
    """Ten, then twenty 5x5 filters, each with 2x2 pooling, and a linear layer: as :func:`dense`, from 16 px on.

    Of 28 px, the features are (N, 320): a fifth of ``one_conv``'s weights see more of the picture.
    """
    return FirstStep(
        conv_channels=(10, 20), pools=True, num_classes=num_classes, in_channels=in_channels, size_px=size_px
    )
