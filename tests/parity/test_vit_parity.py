"""torchvision's vision transformers, which take one size of images only: ours against two sizes of them."""

import pytest
import torch
from references import build_reference, copy_to_ours, layout_of
from test_every_reference import TOLERANCE, check_training, relative_difference

from fieldguide.models import MODELS, create_model

PAIRS = [
    pytest.param(entry.facts.references["torchvision"], entry.name, id=entry.name)
    for entry in MODELS.entries()
    if entry.facts.references.get("torchvision", "").startswith("vit_")
]


def build_torchvisions(reference: str, size_px: int) -> torch.nn.Module:
    """Build it with a class token and a classifier that tell: its own begin as zeros."""
    theirs = build_reference("torchvision", reference, image_size=size_px)
    torch.nn.init.normal_(theirs.class_token, std=0.5)
    torch.nn.init.normal_(theirs.heads.head.weight, std=0.02)
    torch.nn.init.normal_(theirs.heads.head.bias, std=0.1)
    for name, parameter in theirs.named_parameters():
        if name.endswith(("in_proj_bias", "out_proj.bias")):  # zeros too
            torch.nn.init.normal_(parameter, std=0.1)
    return theirs


def test_they_are_base_and_large():
    assert {pair.id for pair in PAIRS} == {"vit_base_patch16", "vit_large_patch16", "vit_b_32"}


@pytest.mark.parametrize(("reference", "name"), PAIRS)
@pytest.mark.parametrize("size_px", [64, 96])
def test_logits_and_gradients_equal_torchvisions(reference, name, size_px):
    theirs = build_torchvisions(reference, size_px)
    ours, layout = copy_to_ours("torchvision", name, theirs, size_px=size_px)
    images = torch.randn(4, 3, size_px, size_px, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = ours.eval()(images), theirs.eval()(images)
    assert relative_difference(*logits) < TOLERANCE
    check_training(ours.train(), theirs.train(), layout, images)


@pytest.mark.parametrize(("reference", "name"), PAIRS)
def test_the_rename_table_of_torchvisions_goes_both_ways(reference, name):
    with torch.device("meta"):
        theirs, ours = build_reference("torchvision", reference).state_dict(), create_model(name)
    layout = layout_of("torchvision", name, ours)
    renamed = layout.to_ours(theirs)
    shapes = {key: tensor.shape for key, tensor in ours.state_dict().items()}
    assert {key: tensor.shape for key, tensor in renamed.items()} == shapes
    assert {key: t.shape for key, t in layout.from_ours(renamed).items()} == {
        k: t.shape for k, t in theirs.items()
    }
