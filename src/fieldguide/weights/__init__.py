"""Pretrained weights: where they come from, their layouts, and the backbone they make."""

from fieldguide.weights.backbone import DEFAULT_BACKBONE, Backbone, load_backbone

__all__ = ["DEFAULT_BACKBONE", "Backbone", "load_backbone"]
