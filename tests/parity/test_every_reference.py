"""Every network that torchvision or timm has gives their logits and gradients, with their weights."""

from functools import partial

import pytest
import torch
from references import build_reference, copy_to_ours, layout_of, referenced
from torch.nn.functional import cross_entropy

from fieldguide.models import create_model

TOLERANCE = 1e-4  # of the largest number
SIZES = [(64, 64), (96, 64)]


def relative_difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float(((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-30)).detach())


@pytest.mark.parametrize(("source", "reference", "name"), referenced())
def test_logits_and_gradients_equal_the_references(source, reference, name):
    theirs = build_reference(source, reference)
    ours, layout = copy_to_ours(source, name, theirs)
    for size in SIZES:
        images = torch.randn(4, 3, *size, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            logits = ours.eval()(images), theirs.eval()(images)
        assert relative_difference(*logits) < TOLERANCE, size
        check_training(ours.train(), theirs.train(), layout, images)


def check_training(ours, theirs, layout, images):
    logits = [network(images) for network in (ours, theirs)]
    labels = torch.tensor([0, 1, 500, 999]) % logits[0].shape[1]
    assert relative_difference(*logits) < TOLERANCE
    for network in (ours, theirs):
        network.zero_grad()
    cross_entropy(logits.pop(), labels).backward()
    others = layout.to_ours({name: parameter.grad for name, parameter in theirs.named_parameters()})
    largest = max(float(grad.abs().max()) for grad in others.values())
    compared = set()

    def compare(name: str, parameter: torch.Tensor) -> None:
        difference = float((parameter.grad - others[name]).abs().max())
        noise = 5e-6 * largest  # of a bias before a normalisation, say, whose true gradient is 0
        assert difference <= 1e-3 * float(others[name].abs().max()) + noise, name
        compared.add(name)
        parameter.grad = None

    hooks = [  # one by one: all at once take gigabytes of the largest
        parameter.register_post_accumulate_grad_hook(partial(compare, name))
        for name, parameter in ours.named_parameters()
    ]
    cross_entropy(logits.pop(), labels).backward()
    for hook in hooks:
        hook.remove()
    assert compared == others.keys() == dict(ours.named_parameters()).keys()
    buffers = layout.to_ours(dict(theirs.named_buffers()))
    for name, buffer in ours.named_buffers():
        torch.testing.assert_close(buffer, buffers[name], rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize(("source", "reference", "name"), referenced())
def test_the_rename_table_goes_both_ways(source, reference, name):
    with torch.device("meta"):
        theirs, ours = build_reference(source, reference).state_dict(), create_model(name)
    layout = layout_of(source, name, ours)
    back = layout.from_ours(layout.to_ours(theirs))
    assert {key: tensor.shape for key, tensor in back.items()} == {k: t.shape for k, t in theirs.items()}
