"""Pretrained weights: where they come from, their layouts, and the backbone they make."""

from fieldguide.weights.backbone import DEFAULT_BACKBONE, Backbone, load_backbone
from fieldguide.weights.loading import LoadReport, load_model

__all__ = ["DEFAULT_BACKBONE", "Backbone", "LoadReport", "load_backbone", "load_model"]
