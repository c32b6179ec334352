"""From pictures to a training step's images: cropped, mirrored, changed and mixed, a batch at a time.

All chance comes from the seed, the step and a photo's place in the batch, so nothing of it needs to be saved, and
several processes that share a batch crop its photos as one process would.
"""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from fieldguide.data import Preprocess
from fieldguide.data.image_set import NO_LABEL
from fieldguide.libraries import import_timm, import_torchvision
from fieldguide.training.photos.colours import change_colours, draw_changes
from fieldguide.training.recipe import Recipe
from fieldguide.training.schedule import Stage
from fieldguide.training.seeds import Purpose, generator, seed_of

SMALL_PX = 64  # pictures up to this side are taken as they are, by networks in their form for small input
_MARGIN = 8 / 7  # of the pictures' side to the images', where crops are taken: 256 for 224
_RAND_AUGMENT_OPS = 2
_ASPECT = (3 / 4, 4 / 3)  # of random crops (Szegedy et al., 2014, section 6)


def picture_size(recipe: Recipe, size_px: int) -> int:
    """Return the side of the pictures that images of ``size_px`` are cropped from: larger for random crops."""
    return round(size_px * _MARGIN) if recipe.min_scale < 1 and size_px > SMALL_PX else size_px


class Augmentation:
    """A recipe's augmentation.

    Args:
        recipe: its settings.
        preprocess: of the images: size, mean and standard deviation.
        num_classes: K.
        seed: of the run.
        device: where images are made.
    """

    def __init__(
        self, recipe: Recipe, preprocess: Preprocess, *, num_classes: int, seed: int, device: torch.device
    ) -> None:
        self._recipe = recipe
        self._num_classes = num_classes
        self._seed = seed
        self._device = device
        shape = (1, -1, 1, 1)
        self._mean = 255 * torch.tensor(preprocess.mean, device=device).view(shape)
        self._std = 255 * torch.tensor(preprocess.std, device=device).view(shape)
        self._size_px = preprocess.size_px

    def plain(self, pictures: Tensor) -> Tensor:
        """Pictures uint8 (n, C, S, S) -> images float32 (n, C, H, W) as they are: larger ones are made smaller."""
        images = pictures.to(self._device).float()
        if images.shape[-1] != self._size_px:
            images = F.interpolate(images, (self._size_px,) * 2, mode="bilinear", antialias=True)
        images = (images - self._mean) / self._std
        return images.contiguous(memory_format=torch.channels_last)

    def __call__(
        self, pictures: Tensor, labels: Tensor, *, step: int, stage: Stage, place: int, batch_size: int
    ) -> tuple[Tensor, Tensor]:
        """Pictures uint8 (n, C, S, S), labels (n,) -> images float32 (n, C, H, W), targets (n,) or (n, K).

        H and W are the stage's size. Targets are shares of classes where the recipe mixes photos; they sum to what
        is of photos with a class. A label of -1 is none.

        Args:
            pictures: those of the places ``place`` to ``place + n`` of a step's batch.
            labels: their classes.
            step: from 0.
            stage: of progressive learning.
            place: of the first picture in the whole batch.
            batch_size: of the whole batch.
        """
        if self._recipe.rand_augment:
            pictures = self._rand_augment(pictures, step, stage, place)
        images = pictures.to(self._device).float()
        images = self._crop(images, step, stage, slice(place, place + len(images)), batch_size)
        if self._recipe.jitter or self._recipe.grey:
            images = self._recolour(images, step, stage, slice(place, place + len(images)), batch_size)
        images = (images - self._mean) / self._std
        images = images.contiguous(memory_format=torch.channels_last)
        if self._recipe.erasing:
            images = self._erase(images, stage)
        return self._mix(images, labels.to(self._device), stage)

    def _rand_augment(self, pictures: Tensor, step: int, stage: Stage, place: int) -> Tensor:
        """RandAugment (Cubuk et al., 2019), by torchvision, of each picture by itself."""
        import_torchvision()
        from torchvision.transforms import v2

        magnitude = round(self._recipe.rand_augment * stage.strength)
        if not magnitude:
            return pictures
        change = v2.RandAugment(_RAND_AUGMENT_OPS, magnitude)
        changed = []
        with torch.random.fork_rng(devices=[]):
            for number, picture in enumerate(pictures):
                torch.default_generator.manual_seed(seed_of(self._seed, Purpose.PLACE, step, place + number))
                changed.append(change(picture.contiguous()))
        return torch.stack(changed)

    def _crop(self, images: Tensor, step: int, stage: Stage, places: slice, batch_size: int) -> Tensor:
        """Crop, shift and mirror each image and bring it to the stage's size, all in one sampling."""
        random_numbers = generator(self._seed, Purpose.GEOMETRY, step)
        boxes = self._boxes(random_numbers, batch_size)[places]
        if self._recipe.flip:
            mirrored = random_numbers.random(batch_size)[places] < 0.5
            boxes[mirrored, 0] *= -1
        if (boxes == (1, 1, 0, 0)).all() and images.shape[-1] == stage.size_px:
            return images
        theta = np.zeros((len(boxes), 2, 3), np.float32)
        theta[:, 0, 0], theta[:, 1, 1], theta[:, 0, 2], theta[:, 1, 2] = boxes.T
        shape = [len(images), images.shape[1], self._size_px, self._size_px]
        grid = F.affine_grid(torch.from_numpy(theta).to(images.device), shape, align_corners=False)
        padding = "reflection" if self._recipe.shift else "border"
        images = F.grid_sample(images, grid, padding_mode=padding, align_corners=False)
        if stage.size_px != self._size_px:
            images = F.interpolate(images, (stage.size_px,) * 2, mode="bilinear", antialias=True)
        return images

    def _boxes(self, random_numbers: np.random.Generator, batch_size: int) -> npt.NDArray[np.float64]:
        """Return (B, 4): width and height of each crop as shares of the picture, and its centre from -1 to 1."""
        scale = random_numbers.uniform(self._recipe.min_scale, 1, batch_size)
        aspect = np.exp(random_numbers.uniform(math.log(_ASPECT[0]), math.log(_ASPECT[1]), batch_size))
        x, y = random_numbers.uniform(-1, 1, (2, batch_size))
        if self._recipe.min_scale == 1:
            width = height = np.ones(batch_size)
        else:
            width, height = (np.minimum(np.sqrt(scale * ratio), 1) for ratio in (aspect, 1 / aspect))
        reach = 2 * self._recipe.shift
        boxes = np.stack([width, height, x * (1 - width + reach), y * (1 - height + reach)], axis=1)
        if self._recipe.shift and self._recipe.min_scale == 1:  # by whole pixels, so that nothing is blurred
            pixel = 2 / self._size_px
            boxes[:, 2:] = np.round(boxes[:, 2:] / pixel) * pixel
        return boxes

    def _recolour(self, images: Tensor, step: int, stage: Stage, places: slice, batch_size: int) -> Tensor:
        random_numbers = generator(self._seed, Purpose.COLOURS, step)
        strength = self._recipe.jitter * stage.strength
        matrices, contrasts = draw_changes(random_numbers, batch_size, strength=strength, grey=self._recipe.grey)
        return change_colours(images, matrices[places], contrasts[places])

    def _erase(self, images: Tensor, stage: Stage) -> Tensor:
        """Random erasing (Zhong et al., 2017), by timm, of each image by itself."""
        import_timm()
        from timm.data.random_erasing import RandomErasing

        erase = RandomErasing(self._recipe.erasing * stage.strength, mode="const", device=str(self._device))
        erased: Tensor = erase(images)
        return erased

    def _mix(self, images: Tensor, labels: Tensor, stage: Stage) -> tuple[Tensor, Tensor]:
        """Mixup (Zhang et al., 2017) or CutMix (Yun et al., 2019), by torchvision; of both, one of them."""
        alphas = (self._recipe.mixup * stage.strength, self._recipe.cutmix * stage.strength)
        if not any(alphas) or len(images) < 2:
            return images, labels
        import_torchvision()
        from torchvision.transforms import v2

        kinds = (v2.MixUp, v2.CutMix)
        mixes: list[Callable[..., tuple[Tensor, Tensor]]] = [
            kind(alpha=alpha) for kind, alpha in zip(kinds, alphas, strict=True) if alpha
        ]
        mix = mixes[int(torch.randint(len(mixes), ()))]
        shares = F.one_hot(labels.clamp(min=0), self._num_classes).float()
        shares[labels == NO_LABEL] = 0  # what is mixed in of such a photo has no class
        images, targets = mix(images, shares)
        return images.contiguous(memory_format=torch.channels_last), targets
