"""What every registered model promises; a new architecture is covered by being registered."""

import pytest
import torch
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from fieldguide.models import MODELS, create_model

pytestmark = pytest.mark.parametrize("name", MODELS.names())

SIZES = [(32, 32), (64, 64), (97, 97), (224, 224), (64, 97)]


def images(count: int = 2, channels: int = 3, size: tuple[int, int] = (64, 64)) -> torch.Tensor:
    return torch.randn(count, channels, *size, generator=torch.Generator().manual_seed(0))


def build(name: str, **arguments):
    torch.manual_seed(0)
    return create_model(name, **arguments).eval()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_gives_finite_logits_at_any_size(name, size):
    with torch.no_grad():
        logits = build(name, num_classes=10)(images(size=size))
    assert logits.shape == (2, 10)
    assert logits.isfinite().all()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_takes_images_of_any_channels(name, channels):
    with torch.no_grad():
        assert build(name, num_classes=2, in_channels=channels)(images(channels=channels)).shape == (2, 2)


def test_every_parameter_gets_a_gradient(name):
    network = build(name, num_classes=10).train()
    network(images(count=4)).square().sum().backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []
    assert all(p.grad.isfinite().all() for p in network.parameters())


def test_has_as_many_parameters_as_declared(name):
    assert sum(p.numel() for p in create_model(name).parameters()) == MODELS[name].facts["params"]


def test_does_as_many_multiply_adds_as_declared(name):
    side = MODELS[name].facts["input_size_px"]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        build(name)(torch.zeros(1, 3, side, side))
    assert counter.get_total_flops() == 2 * MODELS[name].facts["macs"]


def test_without_classes_gives_the_features_that_the_classifier_takes(name):
    full, body = build(name, num_classes=10), build(name, num_classes=0)
    state = full.state_dict()
    body.load_state_dict({k: v for k, v in state.items() if not k.startswith("classifier.")})
    with torch.no_grad():
        features = body(images())
        assert features.ndim == 2
        assert_close(full.classifier(features), full(images()))


def test_state_dict_round_trips(name):
    first = build(name, num_classes=10)
    second = create_model(name, num_classes=10).eval()
    with torch.no_grad():
        assert not torch.equal(second(images()), first(images()))
        second.load_state_dict(first.state_dict())
        assert_close(second(images()), first(images()), rtol=0, atol=0)


def test_one_image_alone_equals_the_same_image_in_a_batch(name):
    network, batch = build(name, num_classes=10), images(count=5)
    with torch.no_grad():
        together = network(batch)
        alone = torch.cat([network(image[None]) for image in batch])
    assert_close(alone, together, rtol=1e-4, atol=1e-5)


def test_says_where_it_comes_from(name):
    facts = MODELS[name].facts
    assert facts["source"].startswith("https://")
    assert facts["input_size_px"] >= 28


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": -1}, r"num_classes is -1; it must be 0 \(features\) or more"),
        ({"in_channels": 0}, "in_channels is 0; it must be 1 or more"),
    ],
)
def test_refuses_what_it_cannot_be(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        create_model(name, **arguments)
