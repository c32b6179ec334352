"""Frozen features: photos through a backbone, once, and kept on disk."""

from fieldguide.embed.embedder import Embedder, Embedding

__all__ = ["Embedder", "Embedding"]
