"""LeNet: its numbers by hand, its shapes, and the sizes that it takes."""

import pytest
import torch

from fieldguide.models import MODELS
from fieldguide.models.lenet import lenet


def test_each_layer_has_as_many_parameters_as_by_hand():
    layers = [3 * 25 * 6 + 6, 6 * 25 * 16 + 16, 16 * 25 * 120 + 120, 120 * 64 + 64, 64 * 10 + 10]
    network = lenet()
    found = [sum(p.numel() for p in m.parameters()) for m in network.modules() if hasattr(m, "weight")]
    assert found == layers == [456, 2_416, 48_120, 7_744, 650]
    assert sum(layers) == 59_386


def test_multiply_adds_come_out_by_hand():
    outputs = [6 * 28 * 28, 16 * 10 * 10, 120, 64, 10]
    inputs = [3 * 25, 6 * 25, 16 * 25, 120, 64]  # of each output
    products = sum(out * of_each for out, of_each in zip(outputs, inputs, strict=True))
    assert MODELS["lenet"].facts.macs == products == 649_120
    assert round((products + sum(outputs)) / 1e6, 2) == 0.66  # with the additions of biases


def test_maps_shrink_to_a_vector():
    network, images, shapes = lenet().eval(), torch.zeros(1, 3, 32, 32), []
    for name, layer in network.named_modules():
        if name.endswith(("conv", "pool", "linear")) or name == "classifier":
            layer.register_forward_hook(lambda _, __, output: shapes.append(tuple(output.shape[1:])))
    network(images)
    assert shapes == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (120, 1, 1), (64,), (10,)]
    assert network.forward_features(images).shape == (1, 120, 1, 1)


@pytest.mark.parametrize("size_px", [32, 33, 64])
def test_takes_the_size_that_it_was_built_for(size_px):
    network = lenet(num_classes=3, in_channels=1, size_px=size_px)
    assert network(torch.zeros(2, 1, size_px, size_px)).shape == (2, 3)
    with pytest.raises(ValueError, match=f"images are 28x28 px; this network takes {size_px}x{size_px} px only"):
        network(torch.zeros(2, 1, 28, 28))


def test_refuses_images_that_leave_the_third_convolution_nothing():
    with pytest.raises(ValueError, match="size_px is 28; it must be 32 or more: pad smaller images"):
        lenet(size_px=28)
