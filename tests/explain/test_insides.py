"""What is inside a network, and kernels made by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fieldguide.data import Preprocess
from fieldguide.embed import Embedder
from fieldguide.errors import GuideError, PhotoError, UnknownNameError
from fieldguide.explain.insides import KERNELS, apply_kernel, first_filters, node_maps, shown_range, to_picture
from fieldguide.weights import Backbone
from fieldguide.weights.tensors import Weights


def test_the_first_filters_are_those_of_the_weights(colour_guide):
    filters = first_filters(colour_guide)
    assert filters.shape == (32, 3, 3, 3)
    known = {k: v for k, v in colour_guide.backbone.weights.tensors.items() if v.shape == filters.shape}
    assert any((filters == weights).all() for weights in known.values())


def test_maps_are_what_the_node_gives(colour_guide, colours):
    photo = (colours / "red" / "03.png").read_bytes()
    maps = node_maps(colour_guide, photo, "stages.2")
    assert maps.shape == (40, 28, 28)
    body = colour_guide.backbone.build()
    preprocess = colour_guide.backbone.preprocess
    with torch.no_grad():
        stem = body.stem(torch.from_numpy(preprocess.normalise(preprocess(photo)[None])))
        expected = body.stages[2](body.stages[1](body.stages[0](stem)))[0]
    np.testing.assert_allclose(maps, expected.numpy(), atol=1e-5)


def test_nodes_that_are_none_are_named(colour_guide, colours):
    photo = (colours / "red" / "03.png").read_bytes()
    with pytest.raises(UnknownNameError, match=r"no node is called 'stages\.99'"):
        node_maps(colour_guide, photo, "stages.99")
    with pytest.raises(
        UnknownNameError, match=r"'stages.\?' matches \d nodes; name one of them, such as stages.0"
    ):
        node_maps(colour_guide, photo, "stages.?")


@pytest.mark.parametrize(("name", "axis"), [("vertical edges", 1), ("horizontal edges", 0)])
def test_edges_are_found_where_they_are(name, axis):
    picture = np.zeros((28, 28), np.uint8)
    np.moveaxis(picture, axis, 0)[14:] = 100
    slid = apply_kernel(picture, KERNELS[name])
    assert slid.shape == (26, 26)
    assert (np.moveaxis(slid, axis, 0)[12:14] == 300).all() and np.count_nonzero(slid) == 2 * 26
    other = "horizontal edges" if axis else "vertical edges"
    assert not apply_kernel(picture, KERNELS[other]).any()


def test_values_become_pictures_from_black_to_white():
    assert to_picture(np.array([[-1.0, 0.0], [1.0, 3.0]], np.float32)).tolist() == [[0, 64], [128, 255]]
    assert to_picture(np.ones((2, 2), np.float32)).tolist() == [[128, 128], [128, 128]]


def test_values_beyond_what_is_shown_stay_black_or_white():
    values = np.array([[-300.0, 0.0], [51.0, 300.0]], np.float32)
    assert to_picture(values, (0.0, 255.0)).tolist() == [[0, 0], [51, 255]]
    assert to_picture(values, (-100.0, 100.0)).tolist() == [[0, 128], [193, 255]]


def test_what_kernels_give_can_be_seen():
    chance = np.random.default_rng(0)
    picture = np.repeat(np.repeat(chance.integers(60, 180, (30, 30)), 8, axis=0), 8, axis=1).astype(np.uint8)
    picture[:2, :2] = [[0, 255], [255, 0]]  # one place with far stronger edges than all others
    for name in ("blurred", "sharper"):
        values = apply_kernel(picture, KERNELS[name])
        assert shown_range(values, KERNELS[name]) == (0, 255)
        inside = np.abs(to_picture(values, (0, 255))[3:5, 3:5].astype(int) - picture[4:6, 4:6])
        assert inside.max() <= 1, "where a picture is even, its greys stay"
    for name in ("vertical edges", "horizontal edges", "all edges (Laplace)"):
        values = apply_kernel(picture, KERNELS[name])
        low, high = shown_range(values, KERNELS[name])
        assert low == -high and high == np.ceil(np.quantile(np.abs(values), 0.98)) < np.abs(values).max()
        assert to_picture(values, (low, high)).std() > to_picture(values).std()
    assert shown_range(np.zeros((3, 3), np.float32), KERNELS["vertical edges"]) == (-1, 1), "of an even picture"


def test_a_picture_smaller_than_the_kernel_is_named():
    with pytest.raises(PhotoError, match=r"480 x 2 px, and a kernel of 3 x 3 needs as many; try another photo"):
        apply_kernel(np.zeros((2, 480), np.uint8), KERNELS["sharper"])


def test_a_network_without_filters_is_named(colour_guide):
    backbone = Backbone("dense", Weights(dict), Preprocess(size_px=28, channels=1, mean=(0.5,), std=(0.5,)), {})
    plain = replace(colour_guide, embedder=Embedder(backbone, engine="torch-cpu"))
    with pytest.raises(GuideError, match="dense has no convolution, and so no filters; try "):
        first_filters(plain)


def test_a_node_that_is_no_map_is_named(colour_guide, colours):
    with pytest.raises(UnknownNameError, match=r"gives \(1280,\), and no map; `fieldguide nodes"):
        node_maps(colour_guide, (colours / "red" / "03.png").read_bytes(), "dropout")
