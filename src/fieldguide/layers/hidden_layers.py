"""The two wide linear layers that classifiers had before global average pooling.

Source: Krizhevsky et al., 2012, https://doi.org/10.1145/3065386, sections 3.5 and 4.2.
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
