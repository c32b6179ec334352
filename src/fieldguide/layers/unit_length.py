"""Vectors of length 1, whose products are cosines."""

from torch import Tensor, nn
from torch.nn import functional as F


class UnitLength(nn.Module):
    """Scale every vector to length 1; one of zeros stays as it is. (..., D) -> (..., D)."""

    def forward(self, vectors: Tensor) -> Tensor:
        return F.normalize(vectors, dim=-1)
