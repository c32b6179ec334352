"""GoogLeNet: Table 1's shapes, what its bottlenecks save, its auxiliary classifiers."""

import pytest
import torch
from torch import nn

from fieldguide.models.googlenet import STAGES, Branches, googlenet, inception, naive_inception

LESSON = Branches(out_1x1=128, reduce_3x3=128, out_3x3=192, reduce_5x5=32, out_5x5=96, out_pool=64)  # it is (3b)


def on_meta(**arguments):
    with torch.device("meta"):
        return googlenet(**arguments).eval()


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def images(size_px, device="meta"):
    return torch.zeros(2, 3, size_px, size_px, device=device)


def test_maps_have_the_shapes_of_table_1():
    network, maps, shapes = on_meta(), images(224), []
    for layer in [*network.stem, *(layer for stage in network.stages for layer in stage)]:
        maps = layer(maps)
        shapes.append(tuple(maps.shape[1:]))
    assert shapes == [
        (64, 112, 112), (64, 56, 56), (64, 56, 56), (192, 56, 56), (192, 28, 28),
        (256, 28, 28), (480, 28, 28),
        (480, 14, 14), (512, 14, 14), (512, 14, 14), (512, 14, 14), (528, 14, 14), (832, 14, 14),
        (832, 7, 7), (832, 7, 7), (1024, 7, 7),
    ]  # fmt: skip


def test_global_average_pooling_shrinks_the_classifiers_input_49_times():
    network = on_meta()
    assert network.forward_features(images(224)).shape == (2, 1024, 7, 7)
    assert network.classifier.in_features == 1024


class TestBottlenecks:
    @pytest.mark.parametrize("wide_kernel_size", [3, 5])
    def test_more_than_halve_the_weights_of_the_naive_block(self, wide_kernel_size):
        cheap, naive = (
            make(256, LESSON, wide_kernel_size=wide_kernel_size) for make in (inception, naive_inception)
        )
        weights = [sum(m.weight.numel() for m in b.modules() if isinstance(m, nn.Conv2d)) for b in (cheap, naive)]
        wide = wide_kernel_size**2
        assert weights == [
            256 * (128 + 128 + 32 + 64) + 128 * 192 * 9 + 32 * 96 * wide,
            256 * (128 + 192 * 9 + 96 * wide),
        ]
        assert 2 * weights[0] < weights[1]

    def test_leave_pooling_fewer_channels(self):
        maps = torch.randn(2, 256, 9, 8)
        naive = naive_inception(256, LESSON, wide_kernel_size=5)
        assert naive(maps).shape == (2, 672, 9, 8)
        assert naive.out_channels == 128 + 192 + 96 + 256 == 672
        assert inception(256, LESSON, wide_kernel_size=5)(maps).shape == (2, 480, 9, 8)

    def test_keep_the_network_from_growing(self):
        network = on_meta(naive=True)
        kept = sum(b.out_1x1 + b.out_3x3 + b.out_5x5 for stage in STAGES for b in stage.values())
        assert network.classifier.in_features == 192 + kept
        assert network(images(64)).shape == (2, 1000)
        assert count(network) > 5 * count(on_meta())


def test_the_papers_filters_are_built_where_asked_for():
    found = count(on_meta(five_by_five=True)) - count(on_meta())
    assert found == sum((25 - 9) * b.reduce_5x5 * b.out_5x5 for stage in STAGES for b in stage.values())
    kernels = {m.kernel_size[0] for m in on_meta(five_by_five=True).modules() if isinstance(m, nn.Conv2d)}
    assert kernels == {1, 3, 5, 7}


class TestAuxiliaryClassifiers:
    def test_sit_after_4a_and_4d(self):
        network = on_meta(auxiliary=True)
        assert network.aux1.conv.conv.in_channels == 512
        assert network.aux2.conv.conv.in_channels == 528
        hidden = 128 * 4 * 4 * 1024 + 1024 + 1024 * 1000 + 1000
        extra = [128 * channels + 2 * 128 + hidden for channels in (512, 528)]
        assert count(network) == count(on_meta()) + sum(extra) == 13_004_888

    @pytest.mark.parametrize("arguments", [{}, {"naive": True}, {"small_input": True}], ids=str)
    def test_give_logits_beside_the_classifiers(self, arguments):
        network = on_meta(num_classes=7, auxiliary=True, **arguments)
        assert [logits.shape for logits in network.forward_with_auxiliaries(images(64))] == [(2, 7)] * 3
        assert network(images(64)).shape == (2, 7)

    def test_leave_forward_as_it_is(self):
        torch.manual_seed(0)
        network = googlenet(num_classes=5, auxiliary=True, dropout=0.0).train()
        pictures = torch.randn(2, 3, 64, 64)
        logits = network(pictures)
        assert isinstance(logits, torch.Tensor)
        torch.testing.assert_close(network.forward_with_auxiliaries(pictures)[0], logits)

    def test_bring_gradients_to_the_blocks_before_them_alone(self):
        network = googlenet(num_classes=5, auxiliary=True).train()
        _, first, _ = network.forward_with_auxiliaries(torch.randn(2, 3, 64, 64))
        first.square().sum().backward()
        reached = {name for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
        assert {name.split(".")[0] for name in reached} == {"stem", "stages", "aux1"}
        assert {name[:8] for name in reached if name.startswith("stages")} == {"stages.0", "stages.1"}
        assert {name.split(".")[2] for name in reached if name.startswith("stages.1")} == {"a"}

    def test_without_classes_give_their_hidden_layers(self):
        network = on_meta(num_classes=0, auxiliary=True)
        assert [f.shape for f in network.forward_with_auxiliaries(images(64))] == [(2, 1024)] * 3

    def test_must_be_there_to_be_asked(self):
        with pytest.raises(ValueError, match="auxiliary is False; build the network with auxiliary=True"):
            on_meta().forward_with_auxiliaries(images(64))

    def test_refuse_images_that_are_too_small(self):
        with pytest.raises(ValueError, match="images are 31x31 px; this network takes 32x32 px or more"):
            on_meta(auxiliary=True).forward_with_auxiliaries(images(31))


@pytest.mark.parametrize(("size_px", "side"), [(8, 2), (28, 7), (32, 8), (64, 16)])
def test_its_form_for_small_images_starts_at_their_size(size_px, side):
    network = on_meta(num_classes=10, small_input=True)
    assert network.stem(images(size_px)).shape == (2, 192, size_px, size_px)
    assert network.forward_features(images(size_px)).shape == (2, 1024, side, side)
