"""The one way from a photo to what a network takes. Training, evaluation and prediction all use it."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from fieldguide.data.decode import decode
from fieldguide.data.image_set import Photo

Fit = Literal["crop", "pad", "squash"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """How a photo becomes the square picture that a network takes.

    Args:
        size_px: side of the square, in pixels.
        fit: how a photo that is not square fits: ``crop`` takes the largest centred square and loses the
            ends of a wide photo; ``pad`` keeps the whole photo and fills with the mean colour; ``squash``
            keeps the whole photo and changes its proportions.
        interpolation: ``nearest``, ``bilinear``, ``bicubic`` or ``lanczos``, each antialiased but the first.
        mean, std: a channel's, on the scale where black is 0 and white is 1.
        channels: 3 for RGB, 1 for grey.

    Raises:
        ValueError: a field is out of its range.
    """

    size_px: int = 224
    fit: Fit = "crop"
    interpolation: Interpolation = "bicubic"
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    channels: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.size_px <= 8192:
            raise ValueError(f"size_px is {self.size_px}; it must be from 1 to 8192")
        if self.fit not in get_args(Fit):
            raise ValueError(f"fit is {self.fit!r}; it must be crop, pad or squash")
        if self.interpolation not in _RESAMPLING:
            raise ValueError(
                f"interpolation is {self.interpolation!r}; it must be one of {', '.join(_RESAMPLING)}"
            )
        if self.channels not in (1, 3):
            raise ValueError(f"channels is {self.channels}; it must be 3 (RGB) or 1 (grey)")
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError(f"mean {self.mean} and std {self.std} must have one value per channel")
        if not all(s > 0 for s in self.std):
            raise ValueError(f"std is {self.std}; every value must be above 0")
        if not all(isinstance(value, int | float) and math.isfinite(value) for value in (*self.mean, *self.std)):
            raise ValueError(f"mean is {self.mean} and std {self.std}; every value must be a finite number")

    def __call__(self, photo: Photo) -> npt.NDArray[np.uint8]:
        """Decode a photo and fit it. Returns uint8 (size_px, size_px, channels), not yet normalised.

        Raises:
            PhotoError: the photo can't be decoded.
        """
        picture = decode(photo, channels=self.channels, smallest_px=2 * self.size_px)
        pixels = np.asarray(self.fit_picture(picture))
        return pixels if pixels.ndim == 3 else pixels[:, :, None]

    def fit_picture(self, picture: Image.Image) -> Image.Image:
        """Return ``picture`` (mode RGB or L, any size) as a square of size_px."""
        square, resample = (self.size_px, self.size_px), _RESAMPLING[self.interpolation]
        width, height = picture.size
        if self.fit == "squash":
            return picture.resize(square, resample)
        if self.fit == "crop":
            side = min(width, height)
            left, top = (width - side) / 2, (height - side) / 2
            return picture.resize(square, resample, box=(left, top, left + side, top + side))
        scale = self.size_px / max(width, height)
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        padded = Image.new(picture.mode, square, self._mean_colour())
        corner = ((self.size_px - inner[0]) // 2, (self.size_px - inner[1]) // 2)
        padded.paste(picture.resize(inner, resample), corner)
        return padded

    def normalise(self, pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 (N, H, W, C) -> float32 (N, C, H, W), less the mean and over the std."""
        mean = np.asarray(self.mean, np.float32) * 255
        std = np.asarray(self.std, np.float32) * 255
        return np.ascontiguousarray(((pictures - mean) / std).transpose(0, 3, 1, 2))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON holds them."""
        return {**asdict(self), "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Preprocess":
        """Rebuild from :meth:`to_dict`.

        Raises:
            ValueError: a field is missing, unknown, or out of its range.
        """
        known = {f.name for f in fields(cls)}
        if set(values) != known:
            raise ValueError(f"preprocess has the fields {sorted(values)}; expected {sorted(known)}")
        return cls(**{**values, "mean": tuple(values["mean"]), "std": tuple(values["std"])})

    def _mean_colour(self) -> tuple[int, ...] | int:
        colour = tuple(round(255 * min(max(m, 0.0), 1.0)) for m in self.mean)
        return colour if self.channels == 3 else colour[0]
