"""What every engine that runs here promises; a new engine is covered by being registered."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from fieldguide.data.preprocess import Preprocess
from fieldguide.embed.engines import ENGINES, choose_engine
from fieldguide.errors import EngineError, UnknownNameError
from fieldguide.head.logistic_regression import fit_head
from fieldguide.libraries import keep_freed_memory
from fieldguide.models import create_model
from fieldguide.registry import Entry
from fieldguide.weights import Backbone, load_backbone
from fieldguide.weights.tensors import Weights

HERE = [entry.name for entry in ENGINES.entries() if entry.facts.available()]
PICTURES = np.kron(  # 60 that no network confuses: 8 x 8 coloured squares, of 8 pixels each
    np.random.default_rng(0).integers(0, 255, (60, 8, 8, 3), np.uint8), np.ones((1, 8, 8, 1), np.uint8)
)


def plain_features(backbone: Backbone, pictures: np.ndarray) -> np.ndarray:
    """Features by float32 torch as it comes."""
    keep_freed_memory()  # changes the time alone
    network = backbone.build()
    with torch.inference_mode():
        batches = np.split(pictures, range(25, len(pictures), 25))
        return np.concatenate(
            [network(torch.from_numpy(backbone.preprocess.normalise(b))).numpy() for b in batches]
        )


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def start(name: str, backbone: Backbone, folder):
    return ENGINES[name].factory(backbone, folder)


@pytest.fixture(scope="module")
def small() -> Backbone:
    return load_backbone(size_px=64)


@pytest.fixture(scope="module")
def expected(small) -> np.ndarray:
    return plain_features(small, PICTURES)


@pytest.fixture(scope="module", params=HERE)
def engine(request, small, tmp_path_factory):
    return start(request.param, small, tmp_path_factory.mktemp("networks"))


def assert_right(features, expected):
    assert np.array(features).shape == expected.shape
    assert cosines(np.array(features), expected).min() >= 0.995  # of other pictures it is below 0.9


# Agreement on real photos


@pytest.fixture(scope="module")
def flowers(photos):
    """Pictures of 400 flowers, their plain float32 features, and a head fitted to 200 of them."""
    folders = [*sorted((photos / "flowers/val").iterdir()), *sorted((photos / "flowers/train").iterdir())]
    files = [file for folder in folders for file in sorted(folder.iterdir())[:40]]
    backbone = load_backbone()
    pictures = np.stack([backbone.preprocess(file.read_bytes()) for file in files])
    features = plain_features(backbone, pictures)
    names = sorted({file.parent.name for file in files})
    labels = np.array([names.index(file.parent.name) for file in files])
    head = fit_head(features[-200:], labels[-200:], len(names)).head
    return backbone, pictures, features, head


@pytest.mark.parametrize("name", HERE)
def test_agrees_with_plain_float32_torch_on_real_photos(name, flowers, tmp_path):
    backbone, pictures, plain, head = flowers
    engine = start(name, backbone, tmp_path)
    features = np.stack(list(engine.embed(pictures)))
    cosine = cosines(features, plain)
    same = head.logits(features).argmax(axis=1) == head.logits(plain).argmax(axis=1)
    print(f"{engine.description}: cosine {cosine.min():.5f} to {cosine.max():.5f}, same class {same.mean():.4f}")
    assert len(pictures) == 400
    assert cosine.min() >= 0.999
    assert same.mean() >= 0.995


# One feature a picture, in order


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 9, 60])
def test_any_number_of_pictures_gives_as_many_features_in_order(engine, expected, count):
    features = list(engine.embed(PICTURES[:count]))
    assert len(features) == count
    assert all(f.dtype == np.float32 and f.shape == (1280,) for f in features)
    if count:
        assert_right(features, expected[:count])
        nearest = [int(cosines(expected, f[None]).argmax()) for f in features]
        assert nearest == list(range(count))


def test_features_do_not_change_after_they_were_given(engine):
    features = engine.embed(PICTURES)
    early = [next(features) for _ in range(5)]
    copies = [f.copy() for f in early]
    list(features)
    np.testing.assert_array_equal(early, copies)


def test_pictures_may_lie_in_memory_as_they_like(engine, expected):
    frozen = PICTURES.copy()
    frozen.flags.writeable = False
    mirrored = [np.asfortranarray(p[:, ::-1])[:, ::-1] for p in frozen]
    assert_right(list(engine.embed(iter(mirrored))), expected)


def test_draws_a_bounded_number_of_pictures_ahead(engine):
    drawn, furthest = 0, 0

    def source():
        nonlocal drawn
        for index in range(600):
            drawn += 1
            yield PICTURES[index % 60]

    for given, _ in enumerate(engine.embed(source())):
        furthest = max(furthest, drawn - given)
    assert drawn == 600
    assert furthest <= 300


# Several streams


def test_a_stream_that_is_left_spoils_no_later_one(engine, expected):
    for count in (1, 7):
        stream = engine.embed(PICTURES)
        for _ in range(count):
            next(stream)
        stream.close()
        assert_right(list(engine.embed(PICTURES)), expected)


def test_an_error_of_the_source_comes_through_and_spoils_no_later_stream(engine, expected):
    def source():
        yield from PICTURES[:40]
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="the disk is gone"):
        list(engine.embed(source()))
    assert_right(list(engine.embed(PICTURES)), expected)


def test_two_streams_in_turns_do_not_mix(engine, expected):
    pairs = zip(engine.embed(PICTURES), engine.embed(PICTURES[::-1]), strict=True)
    forwards, backwards = zip(*pairs, strict=True)
    assert_right(forwards, expected)
    assert_right(backwards, expected[::-1])


def test_threads_may_share_an_engine(engine, expected):
    found = {}

    def work(number: int) -> None:
        found[number] = list(engine.embed(PICTURES[number::4]))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        assert_right(found[number], expected[number::4])


# Other networks


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize(
    ("model", "channels", "arguments"),
    [
        ("efficientnet_lite0", 1, {"in_channels": 1}),
        ("timm:resnet10t", 3, {}),
        ("timm:mobilenetv3_small_050", 3, {}),
        ("timm:convnext_atto", 3, {}),
    ],
)
def test_runs_any_network_on_pictures_of_its_channels(name, model, channels, arguments, tmp_path):
    torch.manual_seed(0)
    state = create_model(model, num_classes=0, **arguments).state_dict()
    weights = Weights(lambda: {key: tensor.numpy() for key, tensor in state.items()})
    preprocess = Preprocess(
        size_px=64, channels=channels, mean=(0.4, 0.5, 0.45)[:channels], std=(0.3, 0.25, 0.2)[:channels]
    )
    backbone = Backbone(model, weights, preprocess, arguments)
    pictures = np.stack([preprocess(picture) for picture in PICTURES])
    assert pictures.shape == (60, 64, 64, channels)
    expected = plain_features(backbone, pictures)
    features = np.array(list(start(name, backbone, tmp_path).embed(pictures)))
    assert cosines(features, expected).min() >= 0.999
    average = expected.mean(axis=0)  # untrained networks give most of a feature to every picture
    assert cosines(features - average, expected - average).min() >= 0.99


# Choosing


def test_the_fastest_that_runs_here_is_chosen():
    by_speed = sorted(HERE, key=lambda name: ENGINES[name].facts.order)
    assert choose_engine() == choose_engine("auto") == by_speed[0]
    assert [choose_engine(name) for name in HERE] == HERE
    assert "torch-cpu" in HERE


def test_every_engine_says_what_it_is(engine):
    assert {"openvino", "torch-cpu", "torch-cuda", "torch-mps"} <= set(ENGINES.names())
    assert engine.description.startswith(("OpenVINO, ", "torch on "))


def pretend(monkeypatch, available: dict[str, bool]) -> None:
    for entry in ENGINES.entries():
        facts = replace(entry.facts, available=lambda name=entry.name: available.get(name, False))
        monkeypatch.setitem(ENGINES._entries, entry.name, Entry(entry.name, entry.factory, facts))


@pytest.mark.parametrize(
    ("there", "chosen"),
    [
        ({"torch-cuda", "openvino", "torch-cpu"}, "torch-cuda"),
        ({"torch-mps", "torch-cpu"}, "torch-mps"),
        ({"torch-cpu", "openvino"}, "openvino"),
        ({"torch-cpu"}, "torch-cpu"),
    ],
)
def test_the_order_is_a_gpu_then_openvino_then_torch(monkeypatch, there, chosen):
    pretend(monkeypatch, dict.fromkeys(there, True))
    assert choose_engine() == chosen


def test_an_engine_that_does_not_run_here_is_refused_with_those_that_do(monkeypatch):
    pretend(monkeypatch, {"openvino": True, "torch-cpu": True})
    expected = "^the engine 'torch-cuda' does not run on this machine; these do: openvino, torch-cpu$"
    with pytest.raises(EngineError, match=expected):
        choose_engine("torch-cuda")
    with pytest.raises(UnknownNameError, match="no engine is called 'openvin', did you mean 'openvino'"):
        choose_engine("openvin")
