"""What a network costs: parameters, multiply-adds, memory, receptive field, time. See docs/cost.md."""

from fieldguide.cost.count import Counts, total_macs
from fieldguide.cost.freezing import freeze
from fieldguide.cost.layers import Conv
from fieldguide.cost.receptive_field import ReceptiveField, Span, receptive_fields
from fieldguide.cost.tree import ModuleCost, Summary, summarise, summary

__all__ = [
    "Conv",
    "Counts",
    "ModuleCost",
    "ReceptiveField",
    "Span",
    "Summary",
    "freeze",
    "receptive_fields",
    "summarise",
    "summary",
    "total_macs",
]
