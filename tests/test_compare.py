"""Networks side by side: real measurements of small networks, and real accuracies."""

import pytest

from fieldguide.compare import compare
from fieldguide.cost import total_macs
from fieldguide.errors import DataError, UnknownNameError
from fieldguide.introspection import create_on_meta
from fieldguide.models import MODELS


def test_every_column_is_measured_and_the_counts_are_the_declared_ones():
    seen = []
    found = compare(
        ["efficientnet_lite0", "resnet18"],
        size_px=64,
        seconds=0,
        on_progress=lambda stage, done, total: seen.append((stage, done, total)),
    )
    assert [model.name for model in found.models] == ["efficientnet_lite0", "resnet18"]
    for model in found.models:
        assert model.params == MODELS[model.name].facts.params and model.input_shape == (3, 64, 64)
        assert model.macs == total_macs(create_on_meta(model.name), (1, 3, 64, 64))
        assert sorted(model.latency) == [1, 32]
        assert all(part.batch_size == size and part.rounds == 5 for size, part in model.latency.items())
        assert model.memory_bytes > 4 * model.params and model.top1 is None and model.notes == ()
    assert all(part.ratio == 1 for part in found.models[0].latency.values())
    assert found.data == "" and found.num_held_out is None and found.hardware["threads"] >= 1
    stages = list(dict.fromkeys(stage for stage, _, _ in seen))
    assert stages == ["memory", "latency"]
    assert all((stage, total, total) in seen for stage, _, total in seen), "each comes to its end"


def test_accuracy_is_that_of_the_guide_and_a_network_without_weights_says_so(colours, colour_guide):
    found = compare(["efficientnet_lite0", "lenet"], data=colours, seconds=0)
    lite, lenet = found.models
    assert lite.top1 == colour_guide.evaluation.top1 and lite.notes == ()
    assert lite.top1_interval == colour_guide.evaluation.top1_interval
    assert found.num_held_out == colour_guide.evaluation.num_photos and found.data == str(colours)
    assert lenet.top1 is None and lenet.latency[1].median_ms > 0
    assert lenet.notes == (
        "lenet has no accuracy; `fieldguide train DATA --backbone lenet` says: "
        "no weights are installed for lenet; pass a file with --weights",
    )
    assert found.to_dict()["models"][0]["top1"] == lite.top1


def test_mistakes_come_before_anything_is_measured(monkeypatch, tmp_path):
    monkeypatch.setattr("fieldguide.compare.measure_memory", None)
    monkeypatch.setattr("fieldguide.compare.measure_latency", None)
    with pytest.raises(ValueError, match="'resnet18' is named twice"):
        compare(["resnet18", "lenet", "resnet18"])
    with pytest.raises(ValueError, match="names is empty"):
        compare([])
    with pytest.raises(UnknownNameError, match="no model is called 'resnet180'"):
        compare(["resnet18", "resnet180"])
    with pytest.raises(ValueError, match=r"resnet18: .*8x8 px; this network takes 32x32 px or more"):
        compare(["resnet18"], size_px=8)
    with pytest.raises(DataError, match="nowhere does not exist"):
        compare(["resnet18"], data=tmp_path / "nowhere")
