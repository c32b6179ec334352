"""MobileNetV2: the paper's table, any size of images, any width."""

import pytest
import torch
from references import build_reference, copy_to_ours, layout_of
from torch.testing import assert_close

from fieldguide.models import create_model
from fieldguide.models.mobilenet_v2 import STAGES


def test_the_rows_are_table_2():
    rows = [(s.expand_ratio, s.out_channels, s.num_blocks, s.stride) for s in STAGES]
    assert rows == [
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ]  # fmt: skip


def test_stages_shrink_and_widen_as_the_paper_says():
    with torch.device("meta"):
        network, images = create_model("mobilenet_v2"), torch.zeros(1, 3, 224, 224)
    images, shapes = network.stem(images), []
    for stage in network.stages:
        images = stage(images)
        shapes.append(tuple(images.shape[1:]))
    assert shapes == [
        (16, 112, 112), (24, 56, 56), (32, 28, 28), (64, 14, 14), (96, 14, 14), (160, 7, 7), (320, 7, 7),
    ]  # fmt: skip


def test_with_a_classifier_of_two_classes():
    with torch.device("meta"):
        network = create_model("mobilenet_v2", num_classes=2)
    assert sum(p.numel() for p in network.parameters()) == 2_226_434
    assert sum(p.numel() for p in network.classifier.parameters()) == 2_562


def test_the_same_weights_take_any_size_of_images():
    network = create_model("mobilenet_v2", num_classes=10).eval()
    with torch.no_grad():
        for side in (32, 500):
            scores = network(torch.randn(1, 3, side, side))
            assert scores.shape == (1, 10)
            assert scores.isfinite().all()


@pytest.mark.parametrize(("width", "head"), [(0.35, 1280), (0.5, 1280), (0.75, 1280), (1.4, 1792)])
def test_every_width_is_torchvisions(width, head):
    theirs = build_reference("torchvision", "mobilenet_v2", width_mult=width).eval()
    ours, _ = copy_to_ours("torchvision", "mobilenet_v2", theirs, width=width)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert_close(ours.eval()(images), theirs(images), rtol=1e-4, atol=1e-5)
        assert ours.forward_features(images).shape[1] == head


@pytest.mark.parametrize(("width", "reference"), [(0.5, "mobilenetv2_050"), (1.4, "mobilenetv2_140")])
def test_widths_that_timm_has_fit(width, reference):
    with torch.device("meta"):
        theirs = build_reference("timm", reference).state_dict()
        ours = create_model("mobilenet_v2", width=width)
    renamed = layout_of("timm", "mobilenet_v2", ours).to_ours(theirs)
    assert {k: t.shape for k, t in renamed.items()} == {k: t.shape for k, t in ours.state_dict().items()}
