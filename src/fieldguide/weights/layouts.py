"""Rename tables between the names that others gave to a network's tensors and ours."""

import re
from collections.abc import Mapping
from typing import TypeVar

from fieldguide.errors import WeightsError

T = TypeVar("T")

_LITE0_BLOCKS = (1, 2, 2, 3, 3, 4, 1)  # blocks a stage; the other layout numbers them through

# EfficientNet-Lite0 as https://github.com/lukemelas/EfficientNet-PyTorch names it, by our name.
_STEM_AND_HEAD = {
    "_conv_stem": "stem.0",
    "_bn0": "stem.1",
    "_conv_head": "head.0",
    "_bn1": "head.1",
    "_fc": "classifier",
}
_BLOCK_LAYERS = {
    "_expand_conv": "expand.0",
    "_bn0": "expand.1",
    "_depthwise_conv": "depthwise.0",
    "_bn1": "depthwise.1",
    "_project_conv": "project.0",
    "_bn2": "project.1",
}


def efficientnet_lite0_from_lukemelas(tensors: Mapping[str, T]) -> dict[str, T]:
    """Rename the tensors of lukemelas' EfficientNet-Lite0 to ours.

    Raises:
        WeightsError: a name is not of that layout.
    """
    places = [(s, b) for s, num_blocks in enumerate(_LITE0_BLOCKS) for b in range(num_blocks)]
    renamed: dict[str, T] = {}
    for name, tensor in tensors.items():
        block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
        plain = re.fullmatch(r"(\w+)\.(\w+)", name)
        if block and int(block[1]) < len(places) and block[2] in _BLOCK_LAYERS:
            stage, index = places[int(block[1])]
            renamed[f"stages.{stage}.{index}.{_BLOCK_LAYERS[block[2]]}.{block[3]}"] = tensor
        elif plain and plain[1] in _STEM_AND_HEAD:
            renamed[f"{_STEM_AND_HEAD[plain[1]]}.{plain[2]}"] = tensor
        else:
            raise WeightsError(f"{name!r} is no tensor of an EfficientNet-Lite0; the file holds another network")
    return renamed
