"""The two wide linear layers that classifiers had before global average pooling.

Source: AlexNet (Krizhevsky et al., 2012,
https://papers.nips.cc/paper/2012/hash/c399862d3b9d6b76c8436e924a68c45b-Abstract.html), sections 3.5
and 4.2. There as here, dropout is of what the hidden layers give. ``models/alexnet.py`` has layers of its own:
torchvision's AlexNet, whose weights it takes, drops what they take in instead.
"""

from collections import OrderedDict

from torch import nn


class HiddenLayers(nn.Sequential):
    """A map, flattened, through two hidden layers. (N, C, H, W) -> (N, hidden_features).

    Args:
        in_features: C * H * W of the map.
        hidden_features: of either layer.
        dropout: of either layer's output, in training.
    """

    def __init__(self, in_features: int, *, hidden_features: int, dropout: float) -> None:
        super().__init__(
            OrderedDict(
                flatten=nn.Flatten(),
                linear1=nn.Linear(in_features, hidden_features),
                act1=nn.ReLU(),
                dropout1=nn.Dropout(dropout),
                linear2=nn.Linear(hidden_features, hidden_features),
                act2=nn.ReLU(),
                dropout2=nn.Dropout(dropout),
            )
        )
