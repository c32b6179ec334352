"""The marks of every family's networks, without a layer being named; those of convolutional ones as Captum's."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fieldguide.data import Preprocess
from fieldguide.embed import Embedder
from fieldguide.explain import Explainer
from fieldguide.guide import Guide
from fieldguide.head import LinearHead
from fieldguide.models import MODELS, create_model
from fieldguide.weights import Backbone
from fieldguide.weights.tensors import Weights

WITHOUT_MAPS = {"dense"}


def lightest_of_each_family() -> list[str]:
    lightest: dict[str, str] = {}
    for name in sorted(MODELS.names(), key=lambda n: MODELS[n].facts.params, reverse=True):
        lightest[MODELS[name].factory.__module__] = name
    return sorted(lightest.values())


def guide_of(name: str) -> Guide:
    """Return a guide to four classes with random weights."""
    torch.manual_seed(0)
    network = create_model(name, num_classes=0)
    size = network.input_size
    side = size.least_px if size.fixed else -(-max(96, size.least_px) // size.multiple_of) * size.multiple_of
    channels = next(p.shape[1] for p in network.parameters() if p.ndim == 4) if _has_convolution(network) else 1
    preprocess = Preprocess(size_px=side, channels=channels, mean=(0.5,) * channels, std=(0.5,) * channels)
    tensors = {key: value.numpy() for key, value in network.state_dict().items()}
    with torch.no_grad():
        width = network.eval()(torch.zeros(2, channels, side, side)).shape[1]
    random = np.random.default_rng(0)
    head = LinearHead(random.normal(size=(4, width)).astype(np.float32), np.zeros(4, np.float32))
    backbone = Backbone(name, Weights(lambda: tensors), preprocess, {})
    return Guide(Embedder(backbone, engine="torch-cpu"), head, ("a", "b", "c", "d"))


def _has_convolution(network: torch.nn.Module) -> bool:
    return any(isinstance(module, torch.nn.Conv2d) for module in network.modules())


@pytest.mark.parametrize("name", lightest_of_each_family())
def test_marks_are_those_that_the_gradient_tells(name):
    from captum.attr import LayerGradCam

    guide = guide_of(name)
    side, channels = guide.backbone.preprocess.size_px, guide.backbone.preprocess.channels
    photo = np.random.default_rng(1).integers(0, 256, (side, side, channels), np.uint8)
    explainer = Explainer(guide)
    marks = explainer.explain(photo, ["a", "b", "c", "d"])
    assert [m.class_name for m in marks] == ["a", "b", "c", "d"]
    assert sum(m.probability for m in marks) == pytest.approx(1, abs=1e-5)
    assert all(m.heat.shape == (side, side) and np.isfinite(m.heat).all() for m in marks)
    assert all(m.heat.min() >= 0 and m.heat.max() in (0, 1) for m in marks)
    assert sum(m.heat.max() for m in marks) >= 1, "something speaks for one of them"
    assert all(m.layer for m in marks) != (name in WITHOUT_MAPS)
    if name in WITHOUT_MAPS or "vit" in name:
        return
    body = guide.backbone.build()
    weight, bias = torch.from_numpy(guide.head.weight), torch.from_numpy(guide.head.bias)
    images = torch.from_numpy(guide.backbone.preprocess.normalise(photo[None])).requires_grad_()
    reference = LayerGradCam(lambda x: F.linear(body(x), weight, bias), body.get_submodule(marks[0].layer))
    for number, each in enumerate(marks):
        theirs = reference.attribute(images, target=number, relu_attributions=True)
        theirs = F.interpolate(theirs, (side, side), mode="bilinear", align_corners=False)[0, 0].detach().numpy()
        np.testing.assert_allclose(each.heat, theirs / max(theirs.max(), 1e-30), atol=1e-4)
