"""The references: torchvision's and timm's networks, with weights and statistics that tell every tensor apart."""

import pytest
import torch
from torch import nn

from fieldguide.libraries import import_timm, import_torchvision
from fieldguide.models import MODELS, create_model
from fieldguide.weights.layouts import Layout, layouts_of

ARGUMENTS = {  # to build them as they are when they only answer
    ("torchvision", "googlenet"): {"aux_logits": False, "transform_input": False, "init_weights": False},
}


def build_reference(source: str, name: str, **arguments) -> nn.Module:
    """Build a reference with its own random weights; its normalisations get random statistics and weights too."""
    torch.manual_seed(0)
    arguments = {**ARGUMENTS.get((source, name), {}), **arguments}
    if source == "timm" and name.startswith("vit_"):
        arguments.setdefault("dynamic_img_size", True)
    if source == "timm":
        network = import_timm().create_model(name, **arguments)
    else:
        import_torchvision()
        from torchvision import models

        network = models.get_model(name, weights=None, **arguments)
    return with_telling_numbers(network)


def with_telling_numbers(network: nn.Module) -> nn.Module:
    """Give numbers that tell to normalisations and what begins near 0; switch off what is random in training."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
        if isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    for key, parameter in network.named_parameters():
        if "gamma" in key or "layer_scale" in key or "grn" in key:  # begin near 0, which would hide the branch
            nn.init.uniform_(parameter, 0.1, 0.5)
    return without_dropout(network)


def without_dropout(network: nn.Module) -> nn.Module:
    """Switch off all that is random in training."""
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for rate in ("rate", "drop_prob", "p", "drop_rate", "drop_path_rate"):  # of stochastic depth, everywhere
            if isinstance(getattr(module, rate, None), float):
                setattr(module, rate, 0.0)
    return network


def layout_of(source: str, name: str, network: nn.Module) -> Layout:
    """Return the rename table of a source."""
    return next(layout for layout in layouts_of(name, network) if layout.source == source)


def copy_to_ours(source: str, name: str, reference: nn.Module, **arguments) -> tuple[nn.Module, Layout]:
    """Build our network of that name around the reference's very tensors, so that none is held twice."""
    with torch.device("meta"):
        ours = create_model(name, **arguments)
    layout = layout_of(source, name, ours)
    renamed = layout.to_ours(reference.state_dict())
    parameters = dict(ours.named_parameters())  # shared; but each has statistics of its own, which training moves
    tensors = {key: tensor if key in parameters else tensor.clone() for key, tensor in renamed.items()}
    ours.load_state_dict(tensors, assign=True)  # strict: nothing missing, nothing left over, no other shape
    return without_dropout(ours), layout


def referenced() -> list:
    """Return (source, reference, our name) of every network that torchvision or timm has.

    torchvision's vision transformers take one size of images only: test_vit_parity.py compares them. CLIP's towers
    elsewhere give embeddings of any length: test_clip_parity.py does.
    """
    return [
        pytest.param(source, reference, entry.name, id=f"{entry.name}-{source}")
        for entry in MODELS.entries()
        for source, reference in entry.facts.references.items()
        if (source == "timm" and not entry.name.startswith("clip_"))
        or (source == "torchvision" and not reference.startswith("vit_"))
    ]
