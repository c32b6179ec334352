"""Networks by name: ours and timm's."""

import pytest
import torch

from fieldguide.errors import UnknownNameError
from fieldguide.models import MODELS, create_model


def test_builds_ours_and_timms():
    assert create_model("efficientnet_lite0", num_classes=3)(torch.zeros(2, 3, 32, 32)).shape == (2, 3)
    timms = create_model("timm:resnet10t", num_classes=0, in_channels=1).eval()
    assert timms(torch.zeros(2, 1, 64, 64)).shape == (2, 512)


@pytest.mark.parametrize(
    ("name", "num_features"),
    [
        ("resnet18", 512),
        ("squeezenet1_1", 512),
        ("mobilenet_v3_small", 1024),
        ("googlenet", 1024),
        ("vit_b_32", 768),
        ("maxvit_t", 512),
    ],
)
def test_torchvisions_keep_to_our_interface(name, num_features):
    with torch.device("meta"):
        full = create_model(f"torchvision:{name}", num_classes=5)
        body = create_model(f"torchvision:{name}", num_classes=0, in_channels=1).eval()
        images = torch.zeros(2, 3, 224, 224)
    assert full(images).shape == (2, 5)  # in training too, where some would give their auxiliary logits
    assert body(images[:, :1]).shape == (2, num_features)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("efficientnet_light0", "no model is called 'efficientnet_light0', did you mean 'efficientnet_lite0'"),
        ("zzz", "no model is called 'zzz'; `fieldguide models` lists them, and timm:NAME and torchvision:NAME"),
        ("timm:resnet10", "timm has no model called 'resnet10', did you mean 'resnet"),
        ("timm:zzz", r"timm has no model called 'zzz'; timm.list_models\(\) lists them"),
        ("timm:", "timm has no model called ''"),
        ("timm:resnet18.a1_in1", "timm's resnet18 has no weights tagged 'a1_in1', did you mean 'a1_in1k'"),
        ("timm:resnet18.zzz", "timm's resnet18 has no weights tagged 'zzz'; it has a1_in1k, .*tv_in1k$"),
        ("torchvision:resnet", "torchvision has no classification model called 'resnet', did you mean 'resnet"),
        ("torchvision:zzz", r"called 'zzz'; torchvision.models.list_models\(\) lists them"),
    ],
)
def test_an_unknown_name_is_told_with_the_near_ones(name, message):
    with pytest.raises(UnknownNameError, match=message):
        create_model(name)


@pytest.mark.parametrize("source", ["timm", "torchvision"])
@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [("num_classes", -1, "num_classes is -1; it must be 0"), ("in_channels", 0, "in_channels is 0; it must be 1")],
)
def test_nonsense_is_refused_of_others_too(source, argument, value, message):
    with pytest.raises(ValueError, match=message):
        create_model(f"{source}:resnet18", **{argument: value})


def test_knows_what_is_registered():
    assert "efficientnet_lite0" in MODELS
    assert "efficientnet_lite9" not in MODELS
