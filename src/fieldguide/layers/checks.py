"""What every network refuses, in the same words."""

from dataclasses import dataclass
from numbers import Integral, Real

from torch import Tensor


def check_arguments(*, num_classes: int, in_channels: int, **others: float) -> None:
    """Refuse sizes that no network can have: the first line of a network's ``__init__``.

    Args:
        num_classes: logits; 0 stands for the features that the classifier would take.
        in_channels: channels of the images.
        others: further ones by their names. ``dropout``, and names that end in ``_rate``, are probabilities from 0
            to below 1; ``width`` is a factor above 0; all others, such as ``size_px``, are whole numbers above 0.

    Raises:
        ValueError: one of them is no number, or not in its range; the message has its name and value.
    """
    check_whole("num_classes", num_classes, least=0, allowed="0 (features) or more")
    check_whole("in_channels", in_channels)
    for name, value in others.items():
        if name == "dropout" or name.endswith("_rate"):
            if not (_is_number(value) and 0 <= value < 1):
                raise ValueError(f"{name} is {value!r}; it must be from 0 to below 1")
        elif name == "width":
            if not (_is_number(value) and 0 < value < float("inf")):
                raise ValueError(f"{name} is {value!r}; it must be above 0")
        else:
            check_whole(name, value, allowed="above 0")


def check_whole(name: str, value: float, *, least: int = 1, allowed: str = "") -> None:
    """Refuse what is no whole number from ``least`` on.

    Args:
        name: of the argument.
        value: of the argument, whatever its type is.
        least: that it may be.
        allowed: how the message says so; by default, "1 or more".

    Raises:
        ValueError: the message has the name and the value.
    """
    allowed = allowed or f"{least} or more"
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(f"{name} is {value!r}; it must be a whole number, {allowed}")
    if value < least:
        raise ValueError(f"{name} is {value}; it must be {allowed}")


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


@dataclass(frozen=True)
class InputSize:
    """The sizes of images that a network takes.

    Args:
        least_px: of either side.
        multiple_of: what either side must be a multiple of.
        fixed: whether ``least_px`` is the one size that it takes.
    """

    least_px: int
    multiple_of: int = 1
    fixed: bool = False

    def check(self, images: Tensor) -> None:
        """Refuse images (N, C, H, W) of another size.

        Raises:
            ValueError: with the size, and the least, or only, one that the network takes.
        """
        height, width = int(images.shape[-2]), int(images.shape[-1])
        found = f"images are {height}x{width} px; this network takes"
        if self.fixed and (height, width) != (self.least_px, self.least_px):
            raise ValueError(f"{found} {self.least_px}x{self.least_px} px only")
        if min(height, width) < self.least_px:
            raise ValueError(f"{found} {self.least_px}x{self.least_px} px or more")
        if height % self.multiple_of or width % self.multiple_of:
            raise ValueError(f"{found} sides that are multiples of {self.multiple_of} px")
