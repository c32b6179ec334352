"""What every registered model promises; a new architecture is covered by being registered."""

import inspect

import pytest
import torch
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from fieldguide.models import MODELS, create_model
from fieldguide.weights.tensors import read_tensors, serialise

NAMES = MODELS.names()


def parameter_default(name, parameter):
    return inspect.signature(MODELS[name].factory).parameters[parameter].default


def takes(name, parameter):
    return parameter in inspect.signature(MODELS[name].factory).parameters


def on_meta(name, **arguments):
    """Build shapes without numbers: nothing is computed, and no memory taken."""
    with torch.device("meta"):
        return create_model(name, **arguments).eval()


@pytest.fixture(scope="module", params=NAMES)
def network(request):
    """The network of ten classes, freshly initialised; tests leave its weights as they are."""
    torch.manual_seed(0)
    # A branch that is left out for all images of a small batch has no gradient.
    whole = {"drop_path_rate": 0.0} if takes(request.param, "drop_path_rate") else {}
    built = create_model(request.param, num_classes=10, **whole).eval()
    built.registered_name = request.param
    built.in_channels = parameter_default(request.param, "in_channels")
    return built


def images(network, count=2, size=None):
    least = network.input_size.least_px
    size = size or (least, least)
    return torch.randn(count, network.in_channels, *size, generator=torch.Generator().manual_seed(0))


def allowed_sizes(network):
    size = network.input_size
    least, step = size.least_px, size.multiple_of
    if size.fixed:
        return [(least, least)]
    odd = least + (step if step > 1 else 5)
    return [(least, least), (odd, odd), (odd, least), (least, 2 * least)]


def test_gives_finite_logits_at_every_size_that_it_allows(network):
    for size in allowed_sizes(network):
        with torch.no_grad():
            logits = network(images(network, size=size))
        assert logits.shape == (2, 10), size
        assert logits.isfinite().all(), size
        # Fresh statistics are not the data's: a deep residual network grows, torchvision's resnet152 to 2e6 too.
        assert logits.abs().max() < 1e8, size


def test_names_the_least_size_that_it_takes(network):
    least = network.input_size.least_px
    with pytest.raises(
        ValueError, match=f"images are {least - 1}x{least} px; this network takes {least}x{least} px"
    ):
        network(images(network, size=(least - 1, least)))


def test_its_body_is_a_stem_and_stages_of_ever_coarser_maps(network):
    shapes = []
    parts = [network.stem, *network.stages]
    hooks = [part.register_forward_hook(lambda _, __, output: shapes.append(output.shape)) for part in parts]
    with torch.no_grad():
        features = network.forward_features(images(network))
    for hook in hooks:
        hook.remove()
    assert len(shapes) == len(parts), "the stem and every stage are called, once"
    assert isinstance(network.classifier, torch.nn.Linear)
    assert features.isfinite().all()
    if "vit_" in network.registered_name:  # tokens (N, 1 + L, D), and the class token is what the rest takes
        head = getattr(network, "head", torch.nn.Identity())
        with torch.no_grad():
            assert_close(network.classifier(head(features[:, 0])), network(images(network)))
        return
    sides = [shape[-1] for shape in shapes] + [features.shape[-1]]
    assert sides == sorted(sides, reverse=True)
    assert features.ndim == 4


def test_every_parameter_gets_a_gradient(network):
    network.train()
    try:
        size = network.input_size
        side = size.least_px if size.fixed else max(size.least_px, 32)
        side += -side % size.multiple_of
        network(images(network, count=4, size=(side, side))).square().sum().backward()
        without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
        assert without == []
        assert all(p.grad.isfinite().all() for p in network.parameters())
    finally:
        network.zero_grad()
        network.eval()


def test_without_classes_gives_the_features_that_the_classifier_takes(network):
    body = on_meta(network.registered_name, num_classes=0)
    state = network.state_dict()
    body.load_state_dict({k: v for k, v in state.items() if not k.startswith("classifier.")}, assign=True)
    with torch.no_grad():
        features = body(images(network))
        assert features.ndim == 2
        assert_close(network.classifier(features), network(images(network)))


def test_its_weights_go_through_a_file(network, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(serialise({k: v.numpy() for k, v in network.state_dict().items()}))
    read = {k: torch.from_numpy(v) for k, v in read_tensors(tmp_path / "w.safetensors").items()}
    second = on_meta(network.registered_name, num_classes=10)
    second.load_state_dict(read, assign=True)
    with torch.no_grad():
        assert_close(second(images(network)), network(images(network)), rtol=0, atol=0)


def test_one_image_alone_equals_the_same_image_in_a_batch(network):
    batch = images(network, count=3)
    with torch.no_grad():
        together = network(batch)
        alone = torch.cat([network(image[None]) for image in batch])
    assert_close(alone, together, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_has_as_many_parameters_as_declared(name):
    assert sum(p.numel() for p in on_meta(name).parameters()) == MODELS[name].facts.params


@pytest.mark.parametrize("name", NAMES)
def test_does_as_many_multiply_adds_as_declared(name):
    side, channels = MODELS[name].facts.input_size_px, parameter_default(name, "in_channels")
    network = on_meta(name)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, channels, side, side, device="meta"))
    assert counter.get_total_flops() == 2 * MODELS[name].facts.macs


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_takes_images_of_any_channels(name, channels):
    side = MODELS[name].facts.input_size_px
    network = on_meta(name, num_classes=2, in_channels=channels)
    assert network(torch.zeros(2, channels, side, side, device="meta")).shape == (2, 2)


@pytest.mark.parametrize(
    "name", [n for n in NAMES if "small_input" in inspect.signature(MODELS[n].factory).parameters]
)
@pytest.mark.parametrize("side", [28, 32, 64])
def test_its_form_for_small_images_takes_them_and_keeps_more_of_them(name, side):
    network = on_meta(name, num_classes=10, small_input=True)
    pictures = torch.zeros(2, 3, side, side, device="meta")
    assert network(pictures).shape == (2, 10)
    if side >= on_meta(name).input_size.least_px:
        usual = on_meta(name).forward_features(pictures)
        assert network.forward_features(pictures).shape[-1] > usual.shape[-1]


@pytest.mark.parametrize("name", NAMES)
def test_says_where_it_comes_from(name):
    facts = MODELS[name].facts
    assert facts.source.startswith("https://")
    assert 1943 <= facts.year <= 2026
    assert facts.input_size_px >= 28
    assert MODELS[name].factory.__doc__


NONSENSE = [
    ("num_classes", -1, r"num_classes is -1; it must be 0 \(features\) or more"),
    ("in_channels", 0, "in_channels is 0; it must be 1 or more"),
    ("dropout", 1.0, "dropout is 1.0; it must be from 0 to below 1"),
    ("drop_path_rate", -0.1, "drop_path_rate is -0.1; it must be from 0 to below 1"),
    ("width", 0.0, "width is 0.0; it must be above 0"),
    ("size_px", 0, "size_px is 0; it must be"),
    ("hidden_features", 0, "hidden_features is 0; it must be above 0"),
]


@pytest.mark.parametrize(
    ("name", "argument", "value", "message"),
    [
        pytest.param(name, argument, value, message, id=f"{name}-{argument}")
        for name in NAMES
        for argument, value, message in NONSENSE
        if takes(name, argument)
    ],
)
def test_refuses_what_it_cannot_be(name, argument, value, message):
    with pytest.raises(ValueError, match=message), torch.device("meta"):
        create_model(name, **{argument: value})
