"""Named feature maps from inside any network."""

from fieldguide.feature_maps.extract import FeatureMaps, features
from fieldguide.feature_maps.nodes import Node, list_nodes, pick_nodes

__all__ = ["FeatureMaps", "Node", "features", "list_nodes", "pick_nodes"]
