"""GoogLeNet's three classifiers in training give torchvision's logits, gradients and statistics."""

import pytest
import torch
from references import build_reference, copy_to_ours
from torch.nn.functional import cross_entropy
from torch.testing import assert_close


@pytest.fixture(scope="module")
def pair():
    theirs = build_reference("torchvision", "googlenet", aux_logits=True)
    ours, layout = copy_to_ours("torchvision", "googlenet", theirs, auxiliary=True)
    return ours.train(), theirs.train(), layout


def training_loss(logits, aux1, aux2):
    """Sum the three as section 5 of the paper does."""
    labels = torch.tensor([0, 1, 500, 999])
    return cross_entropy(logits, labels) + 0.3 * (cross_entropy(aux1, labels) + cross_entropy(aux2, labels))


@pytest.mark.parametrize("size", [(64, 64), (96, 64)], ids=str)
def test_all_three_logits_gradients_and_statistics_equal_torchvisions(pair, size):
    ours, theirs, layout = pair
    images = torch.randn(4, 3, *size, generator=torch.Generator().manual_seed(1))
    mine, others = ours.forward_with_auxiliaries(images), theirs(images)
    others = (others.logits, others.aux_logits1, others.aux_logits2)
    for number, (my_logits, other) in enumerate(zip(mine, others, strict=True)):
        difference = float((my_logits - other).detach().abs().max() / other.detach().abs().max())
        assert difference < 1e-4, number
    for network, logits in ((ours, mine), (theirs, others)):
        network.zero_grad()
        training_loss(*logits).backward()
    gradients = layout.to_ours({name: p.grad for name, p in theirs.named_parameters()})
    assert gradients.keys() == dict(ours.named_parameters()).keys()
    for name, parameter in ours.named_parameters():
        tolerance = 1e-3 * float(gradients[name].abs().max())
        assert parameter.grad.any(), name
        assert_close(parameter.grad, gradients[name], rtol=0, atol=tolerance, msg=name)
    statistics = layout.to_ours(dict(theirs.named_buffers()))
    for name, buffer in ours.named_buffers():
        assert_close(buffer, statistics[name], rtol=1e-4, atol=1e-5, msg=name)


def test_the_rename_table_of_all_three_goes_both_ways(pair):
    _, theirs, layout = pair
    state = theirs.state_dict()
    assert layout.from_ours(layout.to_ours(state)).keys() == state.keys()
