"""Pictures: the same bits held in memory or decoded on demand; photos that can't be used, and ones that vanish."""

from dataclasses import replace

import numpy as np
import pytest

import fieldguide as fg
from fieldguide.data import Preprocess
from fieldguide.data.image_set import ImageSet, content_digest
from fieldguide.errors import DataError
from fieldguide.training.photos import pictures as module
from fieldguide.training.photos.pictures import load_pictures

SMALL = Preprocess(size_px=32)
BATCHES = [np.array([0, 5, 3]), np.array([7]), np.array([5, 5, 1, 2])]


def in_memory(shape, *, read=None):
    """A set of random pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    count = len(pixels)
    return ImageSet(
        name="noise",
        class_names=("even", "odd"),
        photo_names=[f"{n}.png" for n in range(count)],
        labels=np.arange(count) % 2,
        parts=np.full(count, "", "<U5"),
        read=read or (lambda index: pixels[index]),
        pixels=pixels,
    )


def grey(side):
    return Preprocess(size_px=side, mean=(0.5,), std=(0.5,), channels=1)


@pytest.mark.parametrize("side", [32, 80])  # decoded in one thread and in several
def test_held_and_decoded_on_demand_are_the_same_bits(colours, side):
    images, preprocess = fg.open_images(colours), replace(SMALL, size_px=side)
    held = load_pictures(images, preprocess)
    on_demand = load_pictures(images, preprocess, at_most_bytes=0)
    assert held.held is not None and on_demand.held is None
    assert held.digests == on_demand.digests == [content_digest(images.read(i)) for i in range(36)]
    assert (held.indices == np.arange(36)).all() and (held.labels == images.labels).all()
    for ours, theirs, batch in zip(held.batches(BATCHES), on_demand.batches(BATCHES), BATCHES, strict=True):
        assert ours.shape == (len(batch), 3, side, side)
        assert (ours == theirs).all()
        for picture, index in zip(ours, batch.tolist(), strict=True):
            assert (picture.permute(1, 2, 0).numpy() == preprocess(images.read(index))).all()


def test_what_is_held_has_a_limit(colours):
    images = fg.open_images(colours)
    whole = 36 * 32 * 32 * 3
    on_demand, first = (load_pictures(images, SMALL, at_most_bytes=limit) for limit in (whole - 1, whole))
    assert on_demand.held is None and first.held is not None
    for beside, limit in ((on_demand, whole), (first, 2 * whole)):
        assert load_pictures(images, SMALL, at_most_bytes=limit, beside=beside).held is not None
        assert load_pictures(images, SMALL, at_most_bytes=limit - 1, beside=beside).held is None


def test_by_default_it_is_a_quarter_of_the_memory_that_there_is(colours, monkeypatch):
    images, whole = fg.open_images(colours), 36 * 32 * 32 * 3
    for memory, is_held in ((4 * whole, True), (4 * whole - 4, False)):
        monkeypatch.setattr(module, "total_bytes", lambda memory=memory: memory)
        assert (load_pictures(images, SMALL).held is not None) == is_held


@pytest.mark.parametrize("at_most_bytes", [None, 0])
def test_damaged_photos_are_skipped_with_reasons(image_folder, at_most_bytes):
    folder = image_folder({"red": 3, "blue": 3})
    (folder / "blue" / "0000.png").write_bytes(b"")
    (folder / "red" / "notes.txt").write_text("no photo")
    images = fg.open_images(folder)
    pictures = load_pictures(images, SMALL, at_most_bytes=at_most_bytes)
    skipped = {photo.name: photo.reason.split(" (")[0] for photo in pictures.skipped}
    assert skipped == {"blue/0000.png": "empty file", "red/notes.txt": "not an image"}
    assert len(pictures) == 6 and set(skipped).isdisjoint(images.photo_names[i] for i in pictures.indices)
    (whole,) = pictures.batches([np.arange(6)])
    assert (whole[5].permute(1, 2, 0).numpy() == SMALL(images.read(int(pictures.indices[5])))).all()


def test_strict_stops_at_the_first(image_folder):
    folder = image_folder({"red": 3, "blue": 3})
    (folder / "blue" / "0000.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"blue/0000\.png: empty file; stopped, as --strict asks"):
        load_pictures(fg.open_images(folder), SMALL, strict=True)


def test_a_photo_that_vanishes_later_is_named_with_what_to_do(image_folder):
    folder = image_folder({"red": 3, "blue": 3})
    images = fg.open_images(folder)
    pictures = load_pictures(images, SMALL, at_most_bytes=0)
    gone = images.photo_names[4]
    (folder / gone).unlink()
    message = rf"{gone} could be read before, and now: .*; put it back and go on with --resume"
    with pytest.raises(DataError, match=message):
        list(pictures.batches([np.arange(6)]))


@pytest.mark.parametrize("at_most_bytes", [None, 0])
def test_some_of_the_pictures(colours, at_most_bytes):
    pictures = load_pictures(fg.open_images(colours), SMALL, at_most_bytes=at_most_bytes)
    some = pictures.select(pictures.labels == 1).select(np.arange(12) % 2 == 0)
    assert some.held is pictures.held, "nothing is copied"
    assert len(some) == 6 and some.indices.tolist() == list(range(12, 24, 2))
    assert some.digests == pictures.digests[12:24:2] and set(some.labels) == {1}
    (ours,), (theirs,) = some.batches([np.arange(6)]), pictures.batches([some.indices])
    assert (ours == theirs).all()


@pytest.mark.parametrize(
    ("shape", "preprocess"),
    [((9, 12, 12), grey(12)), ((9, 12, 12, 1), grey(12)), ((9, 12, 12, 3), replace(SMALL, size_px=12))],
    ids=["grey", "grey with an axis", "coloured"],
)
def test_pixels_in_memory_pass_as_they_are_and_as_preprocess_gives_them(shape, preprocess):
    images = in_memory(shape)
    ready = load_pictures(images, preprocess, at_most_bytes=0)
    assert np.shares_memory(ready.held, images.pixels), "nothing is copied, so no limit holds"
    decoded = load_pictures(replace(images, pixels=None), preprocess)
    assert (decoded.held == ready.held).all() and decoded.digests == ready.digests
    (batch,) = ready.select(np.arange(9) > 3).batches([np.array([0, 4])])
    assert (batch[1].permute(1, 2, 0).numpy() == preprocess(images.read(8))).all()


@pytest.mark.parametrize("preprocess", [grey(16), replace(SMALL, size_px=12)], ids=["enlarged", "coloured"])
def test_pixels_of_another_form_are_brought_into_it(preprocess):
    images = in_memory((9, 12, 12))
    pictures = load_pictures(images, preprocess)
    assert pictures.held.shape == (9, preprocess.size_px, preprocess.size_px, preprocess.channels)
    assert all((pictures.held[i] == preprocess(images.read(i))).all() for i in range(9))


def test_progress_counts_photos(colours):
    seen = []
    load_pictures(fg.open_images(colours), SMALL, on_progress=lambda *told: seen.append(told))
    assert seen[-1] == ("pictures", 36, 36)
