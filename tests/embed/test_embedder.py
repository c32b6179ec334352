"""Photos in, features out: in order, once each, a bounded number at a time."""

import io
import os
from dataclasses import replace

import numpy as np
import pytest
from mean_colour import NAME, colours, make_backbone, make_embedder, make_set, picture
from PIL import Image

from fieldguide.data.files import open_photos
from fieldguide.data.image_set import SkippedPhoto, content_digest
from fieldguide.embed import Embedder, embedder
from fieldguide.embed.cache import list_cache
from fieldguide.errors import DataError, EngineError, PhotoError, UnknownNameError, WeightsError
from fieldguide.weights import load_backbone
from fieldguide.weights.tensors import Weights

pytestmark = pytest.mark.usefixtures("mean_colour_engine")


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of 100 photos, 20 decoded ahead."""
    monkeypatch.setattr(embedder, "_CHUNK", 100)
    monkeypatch.setattr(embedder, "_AHEAD_BYTES", 20 * 8 * 8 * 3)


# What comes out


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 1000])
def test_every_photo_gets_its_feature_in_order(small_chunks, count):
    embedding = make_embedder().embed(make_set(count))
    assert embedding.indices.tolist() == list(range(count))
    assert embedding.digests == [content_digest(picture(i)) for i in range(count)]
    assert embedding.skipped == []
    assert embedding.features.dtype == np.float16
    if count:
        np.testing.assert_array_equal(embedding.features, colours(count))


def test_a_stream_is_the_same_in_pieces(small_chunks):
    chunks = list(make_embedder().stream(make_set(250)))
    assert [len(chunk.indices) for chunk in chunks] == [100, 100, 50]
    np.testing.assert_array_equal(np.concatenate([chunk.features for chunk in chunks]), colours(250))


def test_a_warm_run_never_starts_the_network_and_gives_the_same_bits(small_chunks):
    cold, warm = make_embedder(), make_embedder()
    first, second = cold.embed(make_set(250)), warm.embed(make_set(250))
    assert cold._engine is not None
    assert warm._engine is None
    assert first.features.tobytes() == second.features.tobytes()
    assert (first.digests, first.indices.tolist()) == (second.digests, second.indices.tolist())


def test_only_photos_that_are_new_go_through_the_network(small_chunks):
    make_embedder().embed(make_set(150))
    mixed = make_embedder()
    seen = []
    mixed.engine.embed = lambda pictures: (seen.append(p) or p.mean(axis=(0, 1)) for p in pictures)
    even_new = make_set(300, lambda index: picture(index // 2 + 150 * (index % 2)))
    features = mixed.embed(even_new).features
    np.testing.assert_array_equal(features, colours(300).reshape(2, 150, 3).transpose(1, 0, 2).reshape(300, 3))
    assert len(seen) == 150


def test_one_photo_many_times_has_one_entry_and_one_feature():
    same = make_embedder()
    features = same.embed(make_set(50, lambda index: picture(7))).features
    np.testing.assert_array_equal(features, np.repeat(colours(8)[7:], 50, axis=0))
    assert make_embedder().cache.get(content_digest(picture(7))).tolist() == colours(8)[7].tolist()


def test_features_do_not_depend_on_how_the_photo_is_stored():
    buffer = io.BytesIO()
    Image.fromarray(picture(5)).save(buffer, "PNG")
    embedding = make_embedder().embed(make_set(2, [buffer.getvalue(), picture(5)].__getitem__))
    np.testing.assert_array_equal(*embedding.features)


# What is skipped


def read_with_faults(index):
    if index % 10 == 3:
        raise PhotoError("a link that leads nowhere")
    if index % 10 == 5:
        raise PermissionError(13, "Permission denied")
    if index % 10 == 7:
        raise OSError
    return b"not an image" if index % 10 == 9 else picture(index)


REASONS = {
    3: "a link that leads nowhere",
    5: "[Errno 13] Permission denied",
    7: "OSError",
    9: "not an image (JPEG, PNG, WebP, GIF, BMP or TIFF)",
}


@pytest.mark.parametrize("warm", [False, True])
def test_photos_that_cannot_be_used_are_named_in_order_with_their_reasons(small_chunks, warm):
    images = make_set(250, read_with_faults)
    if warm:
        make_embedder().embed(images)
    embedding = make_embedder().embed(images)
    good = [i for i in range(250) if i % 10 not in REASONS]
    assert embedding.indices.tolist() == good
    np.testing.assert_array_equal(embedding.features, colours(250)[good])
    assert embedding.skipped == [
        SkippedPhoto(f"picture {i}", REASONS[i % 10]) for i in range(250) if i % 10 in REASONS
    ]


def test_a_set_without_one_usable_photo_has_no_features(small_chunks):
    embedding = make_embedder().embed(make_set(150, lambda index: b""))
    assert (len(embedding.indices), len(embedding.features), len(embedding.digests)) == (0, 0, 0)
    assert embedding.skipped[-1] == SkippedPhoto("picture 149", "empty file")


def test_a_chunk_without_a_usable_photo_leaves_the_others_whole(small_chunks):
    embedding = make_embedder().embed(make_set(250, lambda index: b"" if index < 100 else picture(index)))
    np.testing.assert_array_equal(embedding.features, colours(250)[100:])
    assert len(embedding.skipped) == 100


@pytest.mark.parametrize(("fault", "reason"), REASONS.items())
def test_strict_stops_at_the_first_with_its_name(small_chunks, fault, reason):
    def read(index):
        return read_with_faults(fault) if index in (42, 44) else picture(index)

    stopped = make_embedder()
    with pytest.raises(DataError) as caught:
        stopped.embed(make_set(250, read), strict=True)
    assert str(caught.value) == f"picture 42: {reason}; stopped, as --strict asks"
    assert len(stopped.embed(make_set(250)).features) == 250


def test_a_fault_that_is_not_the_photos_is_not_hidden():
    def read(index):
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        make_embedder().embed(make_set(3, read))


# How it goes


@pytest.mark.parametrize("count", [1, 499, 500, 999, 12_345])
def test_progress_goes_to_the_end_and_is_told_a_few_hundred_times(count):
    cold, warm = [], []
    for calls in (cold, warm):
        make_embedder().embed(make_set(count), lambda *call, to=calls: to.append(call))
    assert cold == warm
    done = [call[1] for call in cold]
    assert done == sorted(set(done))
    assert cold[-1] == ("features", count, count)
    assert len(cold) <= 501
    assert {(stage, total) for stage, _, total in cold} == {("features", count)}


@pytest.mark.parametrize("state", ["cold", "warm", "cache at fault"])
def test_however_many_photos_a_bounded_number_is_in_flight(small_chunks, mean_colour_engine, state):
    """Memory stays flat: no photo is read before nearly all before it have been handed on."""
    count, reads, consumed, furthest = 20_000, 0, 0, 0
    if state == "cache at fault":
        mean_colour_engine.write_text("a regular file")
    if state == "warm":
        make_embedder().embed(make_set(count))

    def read(index):
        nonlocal reads, furthest
        reads += 1
        furthest = max(furthest, index - consumed)
        return picture(index)

    for chunk in make_embedder().stream(make_set(count, read)):
        consumed += len(chunk.indices)
    assert (reads, consumed) == (count, count)
    assert furthest <= 100 + 20 + 1


def test_pictures_of_any_size_wait_in_bounded_number():
    """However small pictures are, no more of them wait than a step of the stream has."""
    ahead = []
    for chunk in make_embedder().stream(make_set(10_000, lambda index: ahead.append(index) or picture(0))):
        ahead.append(-len(chunk.indices))
    first_chunk = next(place for place, value in enumerate(ahead) if value < 0)
    assert first_chunk <= 2 * embedder._CHUNK + 1


def test_a_stream_left_in_its_middle_stops_reading(small_chunks):
    read = []
    stream = make_embedder().stream(make_set(20_000, lambda index: read.append(index) or picture(index)))
    next(stream)
    stream.close()
    assert len(read) <= 121


def test_what_an_interrupted_run_finished_is_kept(small_chunks):
    def read(index):
        if index == 555:
            raise KeyboardInterrupt
        return picture(index)

    with pytest.raises(KeyboardInterrupt):
        make_embedder().embed(make_set(1000, read))
    again = make_embedder()
    assert [again.cache.get(content_digest(picture(i))) is not None for i in (0, 499)] == [True, True]
    np.testing.assert_array_equal(again.embed(make_set(1000)).features, colours(1000))


# What features depend on


def test_each_backbone_weights_and_preprocessing_has_its_own_cache():
    backbone = make_backbone()
    backbones = [
        backbone,
        make_backbone(size_px=9),
        make_backbone(fingerprint="other"),
        replace(backbone, arguments={"in_channels": 1}),
        replace(backbone, name="other"),
        replace(backbone, preprocess=replace(backbone.preprocess, fit="pad")),
        replace(backbone, preprocess=replace(backbone.preprocess, mean=(0.4, 0.5, 0.5))),
    ]
    embedders = [Embedder(b, engine=NAME) for b in backbones]
    assert len({e.fingerprint for e in embedders}) == len(backbones)
    assert len({e.cache.path for e in embedders}) == len(backbones)
    assert Embedder(make_backbone(), engine="torch-cpu").fingerprint == embedders[0].fingerprint


def test_the_cache_knows_what_it_holds():
    make_embedder()
    assert [entry.name for entry in list_cache()] == ["mean-colour, 8 px"]


@pytest.mark.parametrize(
    ("engine", "error", "message"),
    [
        ("warp", UnknownNameError, "no engine is called 'warp'; known: mean-colour, openvino, torch-cpu"),
        ("torch_cpu", UnknownNameError, "no engine is called 'torch_cpu', did you mean 'torch-cpu'"),
        ("torch-mps", EngineError, "the engine 'torch-mps' does not run on this machine; these do: "),
    ],
)
def test_an_engine_that_cannot_be_had_is_refused_before_any_photo(engine, error, message):
    if engine == "torch-mps" and os.uname().sysname == "Darwin":
        pytest.skip("an Apple computer may have it")
    with pytest.raises(error, match=message):
        Embedder(make_backbone(), engine=engine)


def test_weights_that_do_not_fit_are_told_when_the_network_starts(own_cache):
    misfit = replace(load_backbone(size_px=32), weights=Weights(lambda: {"stem": np.zeros(3, np.float32)}))
    for engine in ("openvino", "torch-cpu"):
        with pytest.raises(WeightsError, match="fit efficientnet_lite0: 0 of 294 tensors fitted; 294 missing"):
            Embedder(misfit, engine=engine).embed(make_set(3))


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e5])
def test_features_that_are_no_numbers_are_told_and_not_kept(value):
    broken = make_embedder()
    broken.engine.embed = lambda pictures: (np.array([1, value, 2], np.float32) for _ in pictures)
    expected = (
        rf"mean-colour gives a photo the feature {value}; features are numbers from -65504 to 65504: its weights"
    )
    with pytest.raises(WeightsError, match=expected):
        broken.embed(make_set(3))
    assert [entry.photos for entry in list_cache()] == [0]


@pytest.mark.parametrize("engine", ["openvino", "torch-cpu"])
def test_the_real_network_too_gives_the_same_bits_cold_and_warm(engine, colour_folder):
    images = open_photos([colour_folder])
    cold, warm = (Embedder(load_backbone(size_px=32), engine=engine) for _ in range(2))
    first, second = cold.embed(images), warm.embed(images)
    assert first.features.shape == (36, 1280)
    assert first.features.tobytes() == second.features.tobytes()
    assert (warm._engine, warm.backbone.weights.are_loaded) == (None, False)


def test_a_warm_run_reads_no_weights():
    def fail():
        raise AssertionError("the weights were read")

    make_embedder().embed(make_set(3))
    cached = Embedder(replace(make_backbone(), weights=Weights(fail, "none")), engine=NAME)
    np.testing.assert_array_equal(cached.embed(make_set(3)).features, colours(3))
