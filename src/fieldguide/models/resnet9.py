"""ResNet-9 (Page, 2018, https://github.com/davidcpage/cifar10-fast): made to learn CIFAR-10 in few seconds.

Page took a residual network apart for DAWNBench and kept what learnt fastest: four 3x3 convolutions in a row, and
four in two residual branches. He tells it in https://myrtle.ai/learn/how-to-train-your-resnet/.
"""

from collections import OrderedDict
from functools import partial

from torch import Tensor, nn

from fieldguide.layers import ConvNormAct, InputSize, check_arguments
from fieldguide.models import register_model

STEM_CHANNELS = 64
STAGE_CHANNELS = (128, 256, 512)  # before widening: of 16, 8 and 4 px
RESIDUAL_STAGES = (True, False, True)
LOGIT_SCALE = 1 / 8  # Page's

_ConvNormAct = partial(ConvNormAct, kernel_size=3, activation=partial(nn.ReLU, inplace=True))


class ResidualPair(nn.Module):
    """Two 3x3 convolutions, whose activations are added to what they take: (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = _ConvNormAct(channels, channels)
        self.conv2 = _ConvNormAct(channels, channels)

    def forward(self, images: Tensor) -> Tensor:
        output: Tensor = images + self.conv2(self.conv1(images))
        return output


class ResNet9(nn.Module):
    """Stem, three stages of a convolution and pooling (two also of a residual pair), global maxima, classifier.

    Images (N, in_channels, H, W) float32, H and W at least 8 -> logits (N, num_classes), or the scaled maxima
    (N, 512 * width) where num_classes is 0.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, *, num_classes: int, in_channels: int, width: float, mirrored: bool) -> None:
        check_arguments(num_classes=num_classes, in_channels=in_channels, width=width)
        super().__init__()
        self.input_size = InputSize(8)
        self.mirrored = mirrored
        channels = _widened(STEM_CHANNELS, width)
        self.stem = _ConvNormAct(in_channels, channels)
        self.stages = nn.Sequential()
        for stage_channels, residual in zip(STAGE_CHANNELS, RESIDUAL_STAGES, strict=True):
            out_channels = _widened(stage_channels, width)
            stage = OrderedDict[str, nn.Module](
                conv=nn.Conv2d(channels, out_channels, 3, padding=1, bias=False),
                pool=nn.MaxPool2d(2),  # first, as Page came to have it: a quarter is left to normalise
                norm=nn.BatchNorm2d(out_channels),
                act=nn.ReLU(inplace=True),
            )
            if residual:
                stage["residual"] = ResidualPair(out_channels)
            self.stages.append(nn.Sequential(stage))
            channels = out_channels
        self.classifier = nn.Linear(channels, num_classes) if num_classes else nn.Identity()

    def forward_features(self, images: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) -> the last feature map (N, 512 * width, floor(H / 8), floor(W / 8)).

        Raises:
            ValueError: the images are smaller than 8 px.
        """
        self.input_size.check(images)
        features: Tensor = self.stages(self.stem(images))
        return features

    def forward(self, images: Tensor) -> Tensor:
        maxima = self._maxima(images)
        if self.mirrored and not self.training:
            maxima = (maxima + self._maxima(images.flip(-1))) / 2
        logits: Tensor = self.classifier(maxima * LOGIT_SCALE)
        return logits

    def _maxima(self, images: Tensor) -> Tensor:
        return self.forward_features(images).amax(dim=(2, 3))


def _widened(channels: int, width: float) -> int:
    return max(1, round(channels * width))


@register_model(
    params=6_573_130,
    macs=379_261_952,
    input_size_px=32,
    year=2018,
    source="https://github.com/davidcpage/cifar10-fast",
)
def resnet9(*, num_classes: int = 10, in_channels: int = 3, width: float = 1.0, mirrored: bool = False) -> ResNet9:
    """ResNet-9. Images (N, in_channels, H, W) float32, at least 8 px -> logits (N, num_classes).

    Page multiplies the logits of a classifier without bias by 1/8. Here it has one, as everywhere in this package,
    and what it takes is multiplied instead, which comes to the same.

    Args:
        num_classes: how many logits; 0 gives the scaled maxima (N, 512 * width) instead.
        in_channels: channels of the images.
        width: what every channel count is multiplied by; half of it does about a quarter of the arithmetic.
        mirrored: whether the trained network looks at the mirror image too and answers with the mean, as the
            speed-runs do; that takes twice as long, and mirrored letters or digits are something else.

    Raises:
        ValueError: num_classes is below 0, in_channels below 1, or width is not positive.
    """
    return ResNet9(num_classes=num_classes, in_channels=in_channels, width=width, mirrored=mirrored)
