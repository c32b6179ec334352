"""CLIP's towers for images: ours against open_clip's where it is installed, and against timm's everywhere."""

import pytest
import torch
from references import build_reference, copy_to_ours, layout_of, with_telling_numbers
from test_every_reference import check_training
from torch import nn
from torch.nn import functional as F

from fieldguide.libraries import import_torchvision
from fieldguide.models import MODELS, create_model
from fieldguide.weights.loading import load_model
from fieldguide.weights.tensors import serialise

TOLERANCE = 1e-5  # of a number in an embedding of length 1
TOWERS = [entry.name for entry in MODELS.entries() if entry.name.startswith("clip_")]
SMALL_PX = {"clip_vit_b_16": 64, "clip_vit_l_14": 56, "clip_resnet101": 96, "clip_resnet50x4": 96}  # else 224


def build_open_clip(name: str, **arguments) -> nn.Module:
    """Build a CLIP with random weights; its tower for texts, which is not looked at, is a small one."""
    import_torchvision()  # around its quirk
    open_clip = pytest.importorskip("open_clip")
    torch.manual_seed(0)
    texts = {"context_length": 4, "vocab_size": 8, "width": 64, "heads": 1, "layers": 1}
    model = open_clip.create_model(
        name, pretrained=None, text_cfg=texts, device=torch.get_default_device(), **arguments
    )
    return with_telling_biases(with_telling_numbers(model))


def build_timm(name: str) -> nn.Module:
    """Build timm's tower, whose embeddings get length 1; CLIP's projection by a vision transformer has no bias."""
    theirs = with_telling_biases(build_reference("timm", name))
    if name.startswith("vit_"):
        theirs.head.register_parameter("bias", None)
    theirs.register_forward_hook(unit_length)
    return theirs


def with_telling_biases(network: nn.Module) -> nn.Module:
    """Draw the biases that begin as zeros, and timm's class tokens and positions, which begin near them."""
    for name, parameter in network.named_parameters():
        if name.endswith(("bias", "cls_token", "pos_embed")):
            nn.init.normal_(parameter, std=0.05)
    return network


def unit_length(_module, _images, embeddings):
    return F.normalize(embeddings, dim=-1)


def draw(*size: int) -> torch.Tensor:
    return torch.randn(4, 3, *size, generator=torch.Generator().manual_seed(1))


def check_embeddings(ours: nn.Module, theirs: nn.Module, images: torch.Tensor) -> None:
    with torch.no_grad():
        found, expected = ours.eval()(images), theirs.eval()(images)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < TOLERANCE


@pytest.mark.parametrize(
    ("name", "quick_gelu"),
    [(name, quick) for name in TOWERS for quick in ([False, True] if "vit" in name else [False])],
)
def test_embeddings_and_gradients_equal_open_clips(name, quick_gelu):
    size_px = SMALL_PX.get(name, 224)
    theirs = build_open_clip(
        MODELS[name].facts.references["open_clip"], force_image_size=size_px, force_quick_gelu=quick_gelu
    )
    images = draw(size_px, size_px)
    with torch.no_grad():
        expected = F.normalize(theirs.eval().encode_image(images), dim=-1)
    tower = theirs.visual
    tower.register_forward_hook(unit_length)
    arguments = {"quick_gelu": quick_gelu} if "vit" in name else {}
    ours, layout = copy_to_ours("open_clip", name, tower, size_px=size_px, **arguments)
    check_embeddings(ours, tower, images)
    with torch.no_grad():
        assert (ours(images) - expected).abs().max() < TOLERANCE
    check_training(ours.train(), tower.train(), layout, images)


@pytest.mark.parametrize("name", TOWERS)
def test_has_as_many_parameters_as_open_clips(name):
    with torch.device("meta"):
        theirs = build_open_clip(MODELS[name].facts.references["open_clip"]).visual
    assert sum(parameter.numel() for parameter in theirs.parameters()) == MODELS[name].facts.params


@pytest.mark.parametrize("name", ["clip_vit_b_32", "clip_resnet50"])
def test_a_file_of_both_towers_of_open_clip_loads(name, tmp_path):
    theirs = build_open_clip(MODELS[name].facts.references["open_clip"])
    file = tmp_path / "open_clip_model.safetensors"
    for prefix in ("", "module."):
        tensors = {f"{prefix}{key}": tensor.numpy() for key, tensor in theirs.state_dict().items()}
        file.write_bytes(serialise(tensors))
        ours, report = load_model(name, file)
        assert (report.layout, report.is_whole) == ("open_clip", True)
    theirs.visual.register_forward_hook(unit_length)
    check_embeddings(ours, theirs.visual, draw(224, 224))


@pytest.mark.parametrize("name", TOWERS)
def test_embeddings_and_gradients_equal_timms(name):
    theirs = build_timm(MODELS[name].facts.references["timm"])
    ours, layout = copy_to_ours("timm", name, theirs)
    step = ours.input_size.multiple_of if "vit" in name else 32
    for size in [(4 * step, 4 * step), (6 * step, 4 * step)]:
        check_embeddings(ours, theirs, draw(*size))
    check_training(ours.train(), theirs.train(), layout, draw(*size))


@pytest.mark.parametrize("quick_gelu", [False, True])
def test_quick_gelu_is_timms(quick_gelu):
    reference = "vit_base_patch32_clip_quickgelu_224.openai" if quick_gelu else "vit_base_patch32_clip_224.laion2b"
    theirs = build_timm(reference)
    ours, _ = copy_to_ours("timm", "clip_vit_b_32", theirs, quick_gelu=quick_gelu)
    check_embeddings(ours, theirs, draw(128, 128))


@pytest.mark.parametrize("name", TOWERS)
@pytest.mark.parametrize("source", ["open_clip", "timm"])
def test_the_rename_table_goes_both_ways(source, name):
    reference = MODELS[name].facts.references[source]
    with torch.device("meta"):
        ours = create_model(name)
        theirs = build_open_clip(reference).visual if source == "open_clip" else build_reference(source, reference)
    shapes = {key: tensor.shape for key, tensor in theirs.state_dict().items()}
    layout = layout_of(source, name, ours)
    back = layout.from_ours(layout.to_ours(theirs.state_dict()))
    assert {key: tensor.shape for key, tensor in back.items()} == shapes
