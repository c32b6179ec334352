"""Weights of torchvision's models: from a file, from torch's hub, and what is said where that is out of reach."""

import urllib.request

import pytest
import torch
from torch.testing import assert_close

from fieldguide.data.preprocess import Preprocess
from fieldguide.errors import WeightsError
from fieldguide.libraries import import_torchvision
from fieldguide.weights import load_backbone
from fieldguide.weights.tensors import serialise
from fieldguide.weights.torchvision_weights import preprocess_of

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def build(name, **arguments):
    import_torchvision()
    from torchvision import models

    torch.manual_seed(0)
    return models.get_model(name, weights=None, **arguments).eval()


def pooled(network, images):
    """Return what torchvision's ResNet gives to its classifier."""
    network.fc = torch.nn.Identity()
    return network(images)


def save(network, file):
    file.write_bytes(serialise({name: tensor.numpy() for name, tensor in network.state_dict().items()}))
    return file


def test_a_file_gives_the_features_that_torchvision_gives(tmp_path):
    network = build("resnet18", num_classes=7)
    backbone = load_backbone("torchvision:resnet18", weights=save(network, tmp_path / "w.safetensors"))
    assert backbone.preprocess == Preprocess(size_px=224, interpolation="bilinear", **IMAGENET)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert_close(backbone.build()(images), pooled(network, images))


def test_auxiliary_classifiers_in_a_file_are_no_part_of_the_body(tmp_path):
    network = build("googlenet", aux_logits=True, init_weights=False, transform_input=False)
    backbone = load_backbone("torchvision:googlenet", weights=save(network, tmp_path / "w.safetensors"))
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert_close(backbone.build()(images), pooled(network, images))


def test_weights_that_scale_their_images_inside_are_given_what_they_were_trained_with():
    assert preprocess_of("googlenet").mean == preprocess_of("inception_v3").std == (0.5, 0.5, 0.5)
    assert preprocess_of("efficientnet_v2_l").size_px == 480
    assert preprocess_of("efficientnet_b0") == Preprocess(size_px=224, interpolation="bicubic", **IMAGENET)


@pytest.fixture
def no_net(tmp_path, monkeypatch):
    """A hub of the test's own, and a way to the net where nothing answers."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setattr(urllib.request, "_opener", None)  # it remembers the proxies of its first use


@pytest.mark.usefixtures("no_net")
def test_what_the_hub_has_kept_is_not_fetched_again(tmp_path):
    network = build("resnet18")
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(network.state_dict(), tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth")
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert_close(load_backbone("torchvision:resnet18").build()(images), pooled(network, images))


@pytest.mark.usefixtures("no_net")
def test_where_nothing_answers_the_way_on_is_told(tmp_path):
    expected = (
        r"the weights of torchvision:resnet18 could not be downloaded from https://download\.pytorch\.org/models/"
        r"resnet18-f37072fd\.pth: .*refused.*; offline, fetch that file on another computer and put it into "
        rf"{tmp_path}/hub/checkpoints"
    )
    with pytest.raises(WeightsError, match=expected):
        load_backbone("torchvision:resnet18")


def test_a_file_of_another_network_is_refused(tmp_path):
    file = save(build("resnet34"), tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"don't fit torchvision:resnet18: .* left over .*layer1\.2"):
        load_backbone("torchvision:resnet18", weights=file).build()
