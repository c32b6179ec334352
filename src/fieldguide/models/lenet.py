"""LeNet-5 (LeCun et al., 1998, https://doi.org/10.1109/5.726791).

As it is mostly built since: ReLU for the scaled tanh, max pooling for averages with weights of their own, and
every map of the second convolution sees all of the first one's. The hidden linear layer has 64 outputs, 84 in the
paper; a linear classifier follows, in the paper distances to drawn digits. Weights begin as torch draws them.
"""

from collections import OrderedDict

from torch import Tensor, nn

from fieldguide.layers import InputSize, check_arguments, check_whole
from fieldguide.models import register_model

KERNEL_SIZE = 5
CONV_CHANNELS = (6, 16, 120)  # C1, C3 and C5 of the paper's Figure 2
HIDDEN_FEATURES = 64
LEAST_PX = 32  # there, C5 sees a map of 5x5


class LeNet(nn.Module):
    """Two convolutions with pooling, a third one, a hidden linear layer, a linear classifier.

    Images (N, in_channels, size_px, size_px) float32 -> logits (N, num_classes), or the hidden layer's activations
    (N, 64) where num_classes is 0.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, *, num_classes: int, in_channels: int, size_px: int) -> None:
        check_arguments(num_classes=num_classes, in_channels=in_channels)
        check_whole("size_px", size_px, least=LEAST_PX, allowed=f"{LEAST_PX} or more: pad smaller images")
        super().__init__()
        self.input_size = InputSize(size_px, fixed=True)
        first, second, third = CONV_CHANNELS
        self.stem = _conv_act_pool(in_channels, first)
        self.stages = nn.Sequential(
            _conv_act_pool(first, second),
            nn.Sequential(OrderedDict(conv=nn.Conv2d(second, third, KERNEL_SIZE), act=nn.ReLU())),
        )
        side = ((size_px - KERNEL_SIZE + 1) // 2 - KERNEL_SIZE + 1) // 2 - KERNEL_SIZE + 1
        hidden = nn.Linear(third * side**2, HIDDEN_FEATURES)
        self.head = nn.Sequential(OrderedDict(flatten=nn.Flatten(), linear=hidden, act=nn.ReLU()))
        self.classifier = nn.Linear(HIDDEN_FEATURES, num_classes) if num_classes else nn.Identity()

    def forward_features(self, images: Tensor) -> Tensor:
        """Images (N, in_channels, size_px, size_px) -> the last feature map, (N, 120, 1, 1) of 32 px.

        Raises:
            ValueError: the images have another size.
        """
        self.input_size.check(images)
        features: Tensor = self.stages(self.stem(images))
        return features

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.head(self.forward_features(images)))
        return logits


def _conv_act_pool(in_channels: int, out_channels: int) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, out_channels, KERNEL_SIZE)
    return nn.Sequential(OrderedDict(conv=conv, act=nn.ReLU(), pool=nn.MaxPool2d(2)))


@register_model(
    params=59_386, macs=649_120, input_size_px=32, year=1998, source="https://doi.org/10.1109/5.726791"
)
def lenet(*, num_classes: int = 10, in_channels: int = 3, size_px: int = 32) -> LeNet:
    """LeNet. Images (N, in_channels, size_px, size_px) float32 -> logits (N, num_classes).

    Args:
        num_classes: how many logits; 0 gives the features (N, 64) instead.
        in_channels: channels of the images; the paper's have 1.
        size_px: of either side of the images, 32 or more; pad those of 28 px, as the paper does.

    Raises:
        ValueError: num_classes is below 0, in_channels below 1, or size_px below 32.
    """
    return LeNet(num_classes=num_classes, in_channels=in_channels, size_px=size_px)
