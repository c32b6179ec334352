"""Networks by name: ours and timm's."""

import pytest
import torch

from fieldguide.errors import UnknownNameError
from fieldguide.models import MODELS, create_model


def test_builds_ours_and_timms():
    assert create_model("efficientnet_lite0", num_classes=3)(torch.zeros(2, 3, 32, 32)).shape == (2, 3)
    timms = create_model("timm:resnet10t", num_classes=0, in_chans=1).eval()
    assert timms(torch.zeros(2, 1, 64, 64)).shape == (2, 512)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("efficientnet_light0", "no model is called 'efficientnet_light0', did you mean 'efficientnet_lite0'"),
        ("resnet50", "no model is called 'resnet50'; known: efficientnet_lite0.*, timm:NAME"),
        ("timm:resnet10", "timm has no model called 'resnet10', did you mean 'resnet"),
        ("timm:zzz", r"timm has no model called 'zzz'; timm.list_models\(\) lists them"),
        ("timm:", "timm has no model called ''"),
    ],
)
def test_an_unknown_name_is_told_with_the_near_ones(name, message):
    with pytest.raises(UnknownNameError, match=message):
        create_model(name)


def test_knows_what_is_registered():
    assert "efficientnet_lite0" in MODELS
    assert "efficientnet_lite9" not in MODELS
