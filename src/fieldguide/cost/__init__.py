"""What a network costs: parameters, multiply-adds, memory, receptive field, time. See docs/cost.md."""

from fieldguide.cost.count import Counts, total_macs
from fieldguide.cost.freezing import freeze
from fieldguide.cost.latency import Latency, measure_latency
from fieldguide.cost.layers import Conv
from fieldguide.cost.memory import measure_memory
from fieldguide.cost.memory_profile import BatchMemory, MemoryProfile
from fieldguide.cost.receptive_field import ReceptiveField, Span, receptive_fields
from fieldguide.cost.tree import ModuleCost, Summary, summary

__all__ = [
    "BatchMemory",
    "Conv",
    "Counts",
    "Latency",
    "MemoryProfile",
    "ModuleCost",
    "ReceptiveField",
    "Span",
    "Summary",
    "freeze",
    "measure_latency",
    "measure_memory",
    "receptive_fields",
    "summary",
    "total_macs",
]
