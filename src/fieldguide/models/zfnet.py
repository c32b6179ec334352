"""ZFNet (Zeiler and Fergus, 2013, https://arxiv.org/abs/1311.2901).

They looked at what AlexNet's filters had learnt: little of middle frequencies, and patterns of the coarse stride
in the next layer. So the first filters became smaller and closer: 7x7 and stride 2 for 11x11 and stride 4.
Response normalisation is AlexNet's of 2012.
"""

from collections import OrderedDict

from torch import Tensor, nn

from fieldguide.layers import HiddenLayers, InputSize, check_arguments
from fieldguide.models import register_model

HIDDEN_FEATURES = 4096
POOLED_PX = 6


class ZFNet(nn.Module):
    """Five convolutions, pooling to 6x6, two hidden linear layers with dropout, linear classifier; see Figure 3.

    Images (N, in_channels, H, W) float32, H and W at least 47 -> logits (N, num_classes), or the second hidden
    layer's activations (N, 4096) where num_classes is 0.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, *, num_classes: int, in_channels: int, dropout: float) -> None:
        check_arguments(num_classes=num_classes, in_channels=in_channels, dropout=dropout)
        super().__init__()
        self.input_size = InputSize(47)  # below it, the last pooling has nothing to pool
        self.stem = nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(in_channels, 96, 7, stride=2, padding=1),
                act=nn.ReLU(),
                pool=_pool(),
                norm=_response_norm(),
            )
        )
        self.stages = nn.Sequential(
            nn.Sequential(
                OrderedDict(
                    conv=nn.Conv2d(96, 256, 5, stride=2),
                    act=nn.ReLU(),
                    pool=_pool(),
                    norm=_response_norm(),
                )
            ),
            nn.Sequential(
                OrderedDict(
                    conv1=nn.Conv2d(256, 384, 3, padding=1),
                    act1=nn.ReLU(),
                    conv2=nn.Conv2d(384, 384, 3, padding=1),
                    act2=nn.ReLU(),
                    conv3=nn.Conv2d(384, 256, 3, padding=1),
                    act3=nn.ReLU(),
                    pool=_pool(),
                )
            ),
        )
        self.pool = nn.AdaptiveAvgPool2d(POOLED_PX)  # leaves 224 px as they are, and lets other sizes in
        self.head = HiddenLayers(256 * POOLED_PX**2, hidden_features=HIDDEN_FEATURES, dropout=dropout)
        self.classifier = nn.Linear(HIDDEN_FEATURES, num_classes) if num_classes else nn.Identity()
        self.apply(_initialise)

    def forward_features(self, images: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) -> the last feature map, (N, 256, 6, 6) of 224 px.

        Raises:
            ValueError: the images are smaller than 47 px.
        """
        self.input_size.check(images)
        features: Tensor = self.stages(self.stem(images))
        return features

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.head(self.pool(self.forward_features(images))))
        return logits


def _pool() -> nn.MaxPool2d:
    # Only rounded up do the sizes of Figure 3 come out: 110 to 55, 26 to 13.
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


def _response_norm() -> nn.LocalResponseNorm:
    channels = 5
    return nn.LocalResponseNorm(channels, alpha=channels * 1e-4, beta=0.75, k=2.0)  # torch averages, they sum


def _initialise(module: nn.Module) -> None:
    """As section 3 of the paper: weights of the size 0.01, biases 0."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.normal_(module.weight, std=0.01)
        nn.init.zeros_(module.bias)  # type: ignore[arg-type]  # every layer here has one


@register_model(
    params=62_357_608,
    macs=1_168_032_896,
    input_size_px=224,
    year=2013,
    source="https://arxiv.org/abs/1311.2901",
)
def zfnet(*, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> ZFNet:
    """ZFNet. Images (N, in_channels, H, W) float32, at least 47 px -> logits (N, num_classes).

    Args:
        num_classes: how many logits; 0 gives the features (N, 4096) instead.
        in_channels: channels of the images.
        dropout: of either hidden layer, in training.

    Raises:
        ValueError: an argument is out of its range.
    """
    return ZFNet(num_classes=num_classes, in_channels=in_channels, dropout=dropout)
