"""What every network refuses, in the same words."""

from dataclasses import dataclass

from torch import Tensor


def check_arguments(*, num_classes: int, in_channels: int, **others: float) -> None:
    """Refuse sizes that no network can have.

    Args:
        num_classes: logits; 0 stands for the features that the classifier would take.
        in_channels: channels of the images.
        others: further sizes by their names, such as ``width``, which must be above 0; but names that end in
            ``_rate``, and ``dropout``, are probabilities from 0 to below 1.

    Raises:
        ValueError: one of them is out of its range; the message has its name and value.
    """
    if num_classes < 0:
        raise ValueError(f"num_classes is {num_classes}; it must be 0 (features) or more")
    if in_channels < 1:
        raise ValueError(f"in_channels is {in_channels}; it must be 1 or more")
    for name, value in others.items():
        if name == "dropout" or name.endswith("_rate"):
            if not 0 <= value < 1:
                raise ValueError(f"{name} is {value}; it must be from 0 to below 1")
        elif not value > 0:
            raise ValueError(f"{name} is {value}; it must be above 0")


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
