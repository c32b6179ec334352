"""The marks by which a network knows a class: Grad-CAM (Selvaraju et al., 2017, https://arxiv.org/abs/1610.02391).

The last map inside the network is taken, its channels weighed by how much each raises the logit of the class.
Where tokens are what the network passes on, they are laid out as a map: then the last one that the answer depends
on place by place. A network without any map, such as softmax regression, is explained by the pixels themselves.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from fieldguide.data import Photo
from fieldguide.data.files import one_photo
from fieldguide.feature_maps import Node, list_nodes
from fieldguide.feature_maps.extract import as_map
from fieldguide.guide import Guide
from fieldguide.introspection import tensors_in
from fieldguide.libraries import one_thread

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Marks:
    """Where a photo shows what a class is known by.

    Args:
        class_name: the class.
        probability: that the guide gives it.
        picture: (S, S, C) uint8, the photo as the network sees it.
        heat: (S, S) float32 from 0 to 1, where it is known by most; all 0 where nothing speaks for the class.
        layer: whose map tells so, by its module's name; "" of a network without maps.
    """

    class_name: str
    probability: float
    picture: Pixels
    heat: npt.NDArray[np.float32]
    layer: str


class Explainer:
    """Finds the marks in photos by which a guide knows its classes.

    Args:
        guide: whose network is run by torch, for its gradients.

    Raises:
        WeightsError: its weights don't fit its network.
    """

    def __init__(self, guide: Guide) -> None:
        self._guide = guide
        self._body = guide.backbone.build().requires_grad_(False)
        self._weight, self._bias = (torch.from_numpy(part) for part in (guide.head.weight, guide.head.bias))
        preprocess = guide.backbone.preprocess
        shape = (preprocess.channels, preprocess.size_px, preprocess.size_px)
        own = ":" not in guide.backbone.name  # the head of a network of ours takes the last map, and has none
        self._nodes = [
            node
            for node in list_nodes(self._body, shape)
            if _is_map(node) and not (own and node.name.startswith("head."))
        ]

    def explain(self, photo: str | Path | Photo | Image.Image, class_names: Sequence[str] = ()) -> list[Marks]:
        """Find the marks of the most probable class, or of those named.

        Args:
            photo: a path, bytes, pixels or a PIL image, as :meth:`fieldguide.Guide.predict` takes them.
            class_names: of the guide's; by default the most probable one.

        Raises:
            PhotoError: the photo can't be used.
            ValueError: the guide knows no class of a name.
            TypeError: it is no photo.
        """
        known = self._guide.class_names
        unknown = [name for name in class_names if name not in known]
        if unknown:
            raise ValueError(f"the guide knows no class {unknown[0]!r}; it knows {', '.join(known)}")
        picture = self._guide.backbone.preprocess(one_photo(photo).read(0))
        images = torch.from_numpy(self._guide.backbone.preprocess.normalise(picture[None]))
        with one_thread(), torch.enable_grad(), _outputs_of(self._body, self._nodes) as outputs:
            images.requires_grad_(True)
            logits = F.linear(self._body(images), self._weight, self._bias)[0]
            probs = logits.softmax(dim=0)
            chosen = [known.index(name) for name in class_names] or [int(probs.argmax())]
            heats = [self._heat(logits[k], images, outputs) for k in chosen]
        return [
            Marks(known[k], float(probs[k].detach()), picture, heat, layer)
            for k, (heat, layer) in zip(chosen, heats, strict=True)
        ]

    def _heat(
        self, logit: Tensor, images: Tensor, outputs: dict[str, Tensor]
    ) -> tuple[npt.NDArray[np.float32], str]:
        """Return the heat of one class, (S, S), and the layer that it is of."""
        inside = [node for node in self._nodes if node.name in outputs]
        wanted = [*(outputs[node.name] for node in inside), images]
        slopes = torch.autograd.grad(logit, wanted, retain_graph=True, allow_unused=True)
        for node, output, slope in reversed(list(zip(inside, wanted, slopes, strict=False))):
            if slope is None or output is images:  # a node that hands the image on is no map of it
                continue
            activation, gradient = as_map(node, output.detach(), images), as_map(node, slope, images)
            if gradient.any():  # of tokens, those of patches: the last ones give way to the class token
                return _scaled(grad_cam(activation, gradient), images), node.name
        assert slopes[-1] is not None
        return _scaled((images.detach() * slopes[-1]).sum(dim=1, keepdim=True).relu(), images), ""


def grad_cam(activation: Tensor, gradient: Tensor) -> Tensor:
    """Maps (1, C, h, w) and the gradient of a logit with regard to them -> (1, 1, h, w), not negative."""
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return (weights * activation).sum(dim=1, keepdim=True).relu()


def _scaled(heat: Tensor, images: Tensor) -> npt.NDArray[np.float32]:
    """(1, 1, h, w) -> (S, S), its most 1."""
    large = F.interpolate(heat, images.shape[-2:], mode="bilinear", align_corners=False)[0, 0]
    scaled: npt.NDArray[np.float32] = (large / large.max().clamp_min(torch.finfo().tiny)).numpy()
    return scaled


def _is_map(node: Node) -> bool:
    """Whether a node's output is a map of more than one place, that stays as it was."""
    sides = {"NCHW": node.shape[1:], "NHWC": node.shape[:2], "NTC": node.shape[:1], "": (1,)}[node.axis_order]
    return node.reduction is not None and min(sides) > 1 and not node.is_overwritten


@contextlib.contextmanager
def _outputs_of(network: nn.Module, nodes: Sequence[Node]) -> Iterator[dict[str, Tensor]]:
    """Give a dictionary that a forward pass fills with what nodes give, in the order in which they finish."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> object:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            tensor = next(iter(tensors_in(output)), None)
            if tensor is not None:
                outputs[name] = tensor

        return hook

    with contextlib.ExitStack() as hooks:
        for node in nodes:
            module = network.get_submodule(node.name)
            hooks.callback(module.register_forward_hook(keep(node.name)).remove)  # type: ignore[arg-type]
        yield outputs
