"""Freezing by name."""

import pytest

from fieldguide.cost import freeze
from fieldguide.errors import UnknownNameError
from fieldguide.introspection import classifier_name, create_on_meta


def trainable(network):
    return [name for name, parameter in network.named_parameters() if parameter.requires_grad]


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("efficientnet_lite0", "classifier"),
        ("resnet18", "classifier"),
        ("torchvision:resnet18", "fc"),
        ("torchvision:vgg11", "classifier"),
        ("torchvision:squeezenet1_1", "classifier"),
        ("torchvision:vit_b_32", "heads"),
        ("timm:resnet18", "fc"),
        ("timm:vit_tiny_patch16_224", "head"),
        ("timm:convnext_atto", "head"),
    ],
)
def test_features_are_all_but_the_classifier_of_any_network(name, left):
    network = create_on_meta(name)
    freeze(network, "features")
    assert trainable(network) == [n for n, _ in network.named_parameters() if n.startswith(f"{left}.")] != []


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("resnet18", "classifier"),
        ("googlenet", "classifier"),
        ("torchvision:vgg11", "classifier.6"),
        ("torchvision:squeezenet1_1", "classifier.1"),
        ("timm:resnet18", "fc"),
    ],
)
def test_the_layer_that_gives_the_logits_has_a_name(name, layer):
    assert classifier_name(create_on_meta(name)) == layer


@pytest.mark.parametrize("name", ["resnet18", "timm:resnet18"])
def test_a_network_without_classifier_is_all_features(name):
    network = create_on_meta(name, num_classes=0)
    freeze(network, "features")
    assert trainable(network) == []


@pytest.mark.parametrize(
    ("patterns", "frozen"),
    [
        ("stem", ["stem"]),
        (["stem", "classifier"], ["stem", "classifier"]),
        ("s*", ["stem", "stages"]),
        ("stages.[0-2]", ["stages.0", "stages.1", "stages.2"]),
        ("*.norm", ["norm"]),
        ("*.bias", ["bias"]),
        ((), []),
    ],
    ids=str,
)
def test_wildcards_freeze_modules_with_all_that_is_in_them(patterns, frozen):
    network = create_on_meta("resnet18")
    freeze(network, patterns)

    def is_frozen(name):
        return any(name.startswith(f"{f}.") or f".{f}." in name or name.endswith(f".{f}") for f in frozen)

    assert trainable(network) == [name for name, _ in network.named_parameters() if not is_frozen(name)]


def test_what_matches_nothing_is_refused():
    network = create_on_meta("resnet18")
    with pytest.raises(UnknownNameError, match="nothing to freeze is called 'feature', did you mean 'features'"):
        freeze(network, "feature")
    with pytest.raises(
        UnknownNameError, match=r"'xyz'; its outermost modules are stem, stem_pool, stages, classifier$"
    ):
        freeze(network, ["stem", "xyz"])
    assert len(trainable(network)) == len(list(network.parameters()))
