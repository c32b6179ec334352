"""AlexNet (Krizhevsky et al., 2012), as one tower.

Source: https://papers.nips.cc/paper/2012/hash/c399862d3b9d6b76c8436e924a68c45b-Abstract.html

The author's own later form, for one device rather than two (2014, https://arxiv.org/abs/1404.5997), which
torchvision has too: no grouped convolutions, fewer filters at first, no response normalisation. Weights begin as
torch draws them, as torchvision's did.
"""

from collections import OrderedDict

from torch import Tensor, nn

from fieldguide.layers import InputSize, check_arguments
from fieldguide.models import register_model

SOURCE = "https://papers.nips.cc/paper/2012/hash/c399862d3b9d6b76c8436e924a68c45b-Abstract.html"
HIDDEN_FEATURES = 4096
POOLED_PX = 6


class AlexNet(nn.Module):
    """Five convolutions, pooling to 6x6, two hidden linear layers with dropout before each, linear classifier.

    Images (N, in_channels, H, W) float32, H and W at least 63 -> logits (N, num_classes), or the second hidden
    layer's activations (N, 4096) where num_classes is 0.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, *, num_classes: int, in_channels: int, dropout: float) -> None:
        check_arguments(num_classes=num_classes, in_channels=in_channels, dropout=dropout)
        super().__init__()
        self.input_size = InputSize(63)  # below it, the last pooling has nothing to pool
        self.stem = nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(in_channels, 64, 11, stride=4, padding=2),
                act=nn.ReLU(),
                pool=nn.MaxPool2d(3, stride=2),
            )
        )
        self.stages = nn.Sequential(
            nn.Sequential(
                OrderedDict(
                    conv=nn.Conv2d(64, 192, 5, padding=2),
                    act=nn.ReLU(),
                    pool=nn.MaxPool2d(3, stride=2),
                )
            ),
            nn.Sequential(
                OrderedDict(
                    conv1=nn.Conv2d(192, 384, 3, padding=1),
                    act1=nn.ReLU(),
                    conv2=nn.Conv2d(384, 256, 3, padding=1),
                    act2=nn.ReLU(),
                    conv3=nn.Conv2d(256, 256, 3, padding=1),
                    act3=nn.ReLU(),
                    pool=nn.MaxPool2d(3, stride=2),
                )
            ),
        )
        self.pool = nn.AdaptiveAvgPool2d(POOLED_PX)  # leaves 224 px as they are, and lets other sizes in
        # Not HiddenLayers, which drop what they give, as the paper says: torchvision's drop what they take in.
        self.head = nn.Sequential(
            OrderedDict(
                flatten=nn.Flatten(),
                dropout1=nn.Dropout(dropout),
                linear1=nn.Linear(256 * POOLED_PX**2, HIDDEN_FEATURES),
                act1=nn.ReLU(),
                dropout2=nn.Dropout(dropout),
                linear2=nn.Linear(HIDDEN_FEATURES, HIDDEN_FEATURES),
                act2=nn.ReLU(),
            )
        )
        self.classifier = nn.Linear(HIDDEN_FEATURES, num_classes) if num_classes else nn.Identity()

    def forward_features(self, images: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) -> the last feature map, (N, 256, 6, 6) of 224 px.

        Raises:
            ValueError: the images are smaller than 63 px.
        """
        self.input_size.check(images)
        features: Tensor = self.stages(self.stem(images))
        return features

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.head(self.pool(self.forward_features(images))))
        return logits


@register_model(
    params=61_100_840,
    macs=714_188_480,
    input_size_px=224,
    year=2012,
    source=SOURCE,
    references={"torchvision": "alexnet"},
)
def alexnet(*, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> AlexNet:
    """AlexNet. Images (N, in_channels, H, W) float32, at least 63 px -> logits (N, num_classes).

    Args:
        num_classes: how many logits; 0 gives the features (N, 4096) instead.
        in_channels: channels of the images.
        dropout: of either hidden layer's input, in training.

    Raises:
        ValueError: an argument is out of its range.
    """
    return AlexNet(num_classes=num_classes, in_channels=in_channels, dropout=dropout)
