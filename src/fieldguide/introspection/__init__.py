"""What can be learned of any network without computing: what it is for, what runs in it, and what comes out."""

from fieldguide.introspection.building import classifier_name, create_on_meta, input_shape_of
from fieldguide.introspection.trace import (
    Observer,
    Operation,
    OperationObserver,
    UntraceableError,
    images_for,
    tensors_in,
    trace,
)

__all__ = [
    "Observer",
    "Operation",
    "OperationObserver",
    "UntraceableError",
    "classifier_name",
    "create_on_meta",
    "images_for",
    "input_shape_of",
    "tensors_in",
    "trace",
]
