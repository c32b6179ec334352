"""Loading a file into a network of ours: what fits, what is adapted, what is refused, and what is said of it."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.testing import assert_close

from fieldguide.errors import UnknownNameError, WeightsError
from fieldguide.libraries import import_timm, import_torchvision
from fieldguide.models import create_model
from fieldguide.weights import load_backbone
from fieldguide.weights.layouts import layouts_of
from fieldguide.weights.loading import adapt_channels, load_model
from fieldguide.weights.tensors import serialise

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def build(source, name="resnet18"):
    torch.manual_seed(0)
    if source == "torchvision":
        import_torchvision()
        from torchvision import models

        return models.get_model(name).eval()
    return import_timm().create_model(name).eval()


@pytest.fixture
def save(tmp_path):
    def write(network_or_tensors):
        tensors = network_or_tensors
        if not isinstance(tensors, dict):
            tensors = {name: tensor.numpy() for name, tensor in tensors.state_dict().items()}
        (tmp_path / "weights.safetensors").write_bytes(serialise(tensors))
        return tmp_path / "weights.safetensors"

    return write


@pytest.mark.parametrize("source", ["torchvision", "timm"])
def test_another_layout_is_detected_and_gives_the_same_answers(save, source):
    theirs = build(source, "efficientnet_b0")
    ours, report = load_model("efficientnet_b0", save(theirs))
    assert report.layout == source
    assert (
        str(report)
        == f"{len(ours.state_dict())} of {len(ours.state_dict())} tensors fitted, in the layout of {source}"
    )
    with torch.no_grad():
        assert_close(ours.eval()(IMAGES), theirs(IMAGES), rtol=1e-4, atol=1e-5)


def clip_arrays(source):
    """Return a tower for images of CLIP, as a file of that source has it, by names and shapes alone."""
    network = create_model("clip_vit_b_32", size_px=64)
    layout = next(each for each in layouts_of("clip_vit_b_32", network) if each.source == source)
    return layout.from_ours({name: tensor.numpy() for name, tensor in network.state_dict().items()})


def test_of_both_towers_of_a_clip_that_for_images_is_taken(save):
    tensors = {f"visual.{name}": array for name, array in clip_arrays("open_clip").items()}
    texts = {"positional_embedding": np.zeros((77, 512)), "token_embedding.weight": np.zeros((9, 512))}
    file = save(
        {**tensors, **texts, "transformer.resblocks.0.ln_1.weight": np.zeros(512), "logit_scale": np.array(4)}
    )
    _, report = load_model("clip_vit_b_32", file, size_px=64)
    assert (report.layout, report.is_whole) == ("open_clip", True)


def test_a_bias_of_zeros_of_a_layer_that_has_none_adds_nothing(save):
    """timm makes CLIP's projection a classifier, and gives it a bias."""
    tensors = clip_arrays("timm")
    _, report = load_model("clip_vit_b_32", save({**tensors, "head.bias": np.zeros(512)}), size_px=64)
    assert (report.layout, report.is_whole) == ("timm", True)
    with pytest.raises(WeightsError, match=r"don't fit clip_vit_b_32: .*; 1 left over \(head\.project\.bias\)"):
        load_model("clip_vit_b_32", save({**tensors, "head.bias": np.ones(512)}), size_px=64)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod."])
def test_the_names_that_torchs_wrappers_write_are_read(save, prefix):
    theirs = build("torchvision")
    tensors = {prefix + name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    tensors["n_averaged"] = np.array(7)  # as torch's AveragedModel adds
    ours, report = load_model("resnet18", save(tensors))
    assert (report.layout, report.is_whole) == ("torchvision", True)
    with torch.no_grad():
        assert_close(ours.eval()(IMAGES), theirs(IMAGES), rtol=1e-4, atol=1e-5)


def test_a_file_of_our_own_is_loaded_as_it_is(save):
    network = create_model("resnet18", num_classes=3).eval()
    loaded, report = load_model("resnet18", save(network), num_classes=3)
    assert (report.layout, report.is_whole) == ("fieldguide", True)
    with torch.no_grad():
        assert_close(loaded.eval()(IMAGES), network(IMAGES), rtol=0, atol=0)


def test_a_new_head_of_another_size_is_expected_and_said(save):
    theirs = build("torchvision")
    ours, report = load_model("resnet18", save(theirs), num_classes=7)
    assert str(report) == (
        "120 of 122 tensors fitted, in the layout of torchvision; 2 of another shape "
        "(classifier.weight is 1000x512, not 7x512, classifier.bias is 1000, not 7)"
    )
    assert ours(IMAGES).shape == (2, 7)
    assert_close(ours.stem.conv.weight, theirs.conv1.weight)


def test_without_a_head_the_files_is_left_over(save):
    _, report = load_model("resnet18", save(build("timm")), num_classes=0)
    assert report.left_over == ("classifier.bias", "classifier.weight")
    assert not report.is_whole
    assert report.fits


@pytest.mark.parametrize("channels", [1, 2, 4, 6])
def test_the_first_filters_adapt_to_other_channels(save, channels):
    theirs = build("timm")
    ours, report = load_model("resnet18", save(theirs), in_channels=channels)
    assert report.adapted == "stem.conv.weight"
    assert "stem.conv.weight adapted to the channels of the images" in str(report)
    same = import_timm().models.adapt_input_conv(channels, theirs.conv1.weight.detach())
    assert_close(ours.stem.conv.weight.detach(), same)


def test_a_grey_image_answers_as_its_colour_copy(save):
    theirs = build("torchvision")
    ours, _ = load_model("resnet18", save(theirs), in_channels=1)
    with torch.no_grad():
        assert_close(ours.eval()(IMAGES[:, :1]), theirs(IMAGES[:, :1].expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-5)


def test_adapted_filters_keep_the_size_of_their_answer():
    filters = np.ones((2, 3, 5, 5), np.float32)
    for channels in (1, 2, 5, 9):
        adapted = adapt_channels(filters, channels)
        assert adapted.shape == (2, channels, 5, 5)
        assert adapted.dtype == np.float32
        np.testing.assert_allclose(adapted.sum(), filters.sum(), rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("layer1.0.conv1.weight"), r"1 missing \(stages\.0\.0\.conv1\.conv\.weight\)"),
        (lambda t: t.update({"zzz": np.zeros(1)}), r"1 left over \(zzz\)"),
        (
            lambda t: t.update({"layer1.0.bn1.bias": np.zeros(3, np.float32)}),
            r"1 of another shape \(stages\.0\.0\.conv1\.norm\.bias is 3, not 64\)",
        ),
        (
            lambda t: t.update({"conv1.weight": np.zeros((64, 3, 3, 3), np.float32)}),
            r"1 of another shape \(stem\.conv\.weight is 64x3x3x3, not 64x3x7x7\)",
        ),
    ],
    ids=["missing", "left over", "misshapen", "another stem"],
)
def test_a_body_that_does_not_fit_is_refused_with_the_tensors_that_speak_against_it(save, change, message):
    tensors = {name: tensor.numpy() for name, tensor in build("torchvision").state_dict().items()}
    change(tensors)
    expected = rf"the weights don't fit resnet18: .*in the layout of torchvision; {message}; pass weights of this"
    with pytest.raises(WeightsError, match=expected):
        load_model("resnet18", save(tensors))


def test_another_network_is_refused(save):
    with pytest.raises(WeightsError, match=r"don't fit resnet50: .* missing .* of another shape"):
        load_model("resnet50", save(build("timm")))
    with pytest.raises(WeightsError, match=r"don't fit resnet18: 0 of 122 tensors fitted.* 122 missing"):
        load_model("resnet18", save({"weight": np.zeros(3)}))


def test_a_file_that_would_need_code_is_no_safetensors(tmp_path):
    torch.save(build("torchvision").state_dict(), tmp_path / "weights.pth")
    with pytest.raises(
        WeightsError, match=r"weights\.pth can't be read as safetensors: .*; expected a whole .*save_file"
    ):
        load_model("resnet18", tmp_path / "weights.pth")


def arrays_of(network):
    return {name: tensor.numpy().copy() for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: np.full_like(t, np.nan), r"the tensor 'conv1\.weight' holds nan or infinity"),
        (lambda t: (100 * t).astype(np.int8), r"the tensor 'conv1\.weight' is of int8; weights are of floats"),
    ],
    ids=["nan", "int8"],
)
def test_numbers_that_are_no_weights_are_refused(save, damage, message):
    tensors = arrays_of(build("torchvision"))
    tensors["conv1.weight"] = damage(tensors["conv1.weight"])
    for name in ("resnet18", "torchvision:resnet18", "timm:resnet18"):
        with pytest.raises(WeightsError, match=message):
            load_backbone(name, weights=save(tensors))


def test_bfloat16_is_widened(tmp_path):
    theirs = build("torchvision")
    state = {name: t.bfloat16() if t.is_floating_point() else t for name, t in theirs.state_dict().items()}
    save_file(state, tmp_path / "weights.safetensors")
    ours, report = load_model("resnet18", tmp_path / "weights.safetensors")
    assert report.is_whole
    assert_close(ours.stem.conv.weight.detach(), theirs.conv1.weight.detach().bfloat16().float())


def test_counters_of_batches_may_be_missing(save):
    tensors = {k: v for k, v in arrays_of(build("timm")).items() if not k.endswith("num_batches_tracked")}
    _, report = load_model("resnet18", save(tensors))
    assert report.is_whole
    load_backbone("resnet18", weights=save(tensors)).build()


def test_a_network_that_is_all_head_takes_a_new_one(save):
    _, report = load_model("dense", save(create_model("dense")), num_classes=3)
    assert report.fits and not report.fitted


@pytest.mark.parametrize("name", ["timm:resnet18", "torchvision:resnet18"])
def test_networks_of_others_are_not_for_load_model(save, name):
    expected = f"{name} is no model of ours, which alone load_model fills; try 'resnet18', or train with backbone="
    with pytest.raises(UnknownNameError, match=expected):
        load_model(name, save(build("timm")))
    assert load_backbone(name, weights=save(build("timm"))).weights.report.startswith("120 of 120 tensors fitted")


@pytest.mark.parametrize(
    ("name", "size_px", "message"),
    [
        ("lenet", 64, "lenet: images are 64x64 px; this network takes 32x32 px only; choose another --size"),
        ("alexnet", 32, "alexnet: images are 32x32 px; this network takes 63x63 px or more; choose another"),
    ],
)
def test_a_size_that_the_network_does_not_take_is_refused_at_once(save, name, size_px, message):
    with pytest.raises(WeightsError, match=message):
        load_backbone(name, weights=save(create_model(name)), size_px=size_px)


def test_an_unknown_model_is_told_with_the_near_ones(save):
    with pytest.raises(UnknownNameError, match="no model is called 'resnet19', did you mean 'resnet"):
        load_model("resnet19", save(build("timm")))
