"""EfficientNetV2 in torchvision and timm, which name it as they name EfficientNet."""

from fieldguide.weights.layouts.efficientnet import timm, torchvision

__all__ = ["timm", "torchvision"]
