"""Answers to held-out photos, one row a photo, as Parquet."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Answers:
    """What a classifier said of photos whose class is known.

    Args:
        photo_names: (N,).
        labels: (N,) true class.
        probs: (N, K) probability of each class.
        class_names: (K,).
    """

    photo_names: Sequence[str]
    labels: npt.NDArray[np.int64]
    probs: npt.NDArray[np.float32]
    class_names: tuple[str, ...]

    def to_parquet(self) -> bytes:
        """Return a Parquet file: photo, label, answer, probability, and probs in the order of the classes.

        The class names stand in the schema's metadata under ``class_names``, as JSON.
        """
        import pyarrow as pa
        from pyarrow import parquet

        num_classes = self.probs.shape[1]
        answers = self.probs.argmax(axis=1)
        table = pa.table(
            {
                "photo": _strings(self.photo_names),
                "label": _strings([self.class_names[k] for k in self.labels]),
                "answer": _strings([self.class_names[k] for k in answers]),
                "probability": _numbers(self.probs[np.arange(len(answers)), answers]),
                "probs": pa.FixedSizeListArray.from_arrays(_numbers(self.probs.reshape(-1)), num_classes),
            }
        )
        table = table.replace_schema_metadata({"class_names": json.dumps(self.class_names)})
        buffer = io.BytesIO()
        parquet.write_table(table, buffer, compression="zstd")
        return buffer.getvalue()


# Arrow's arrays are made from their buffers: pyarrow.array would import pandas, where there is one, for 0.2 s.


def _numbers(values: npt.NDArray[np.float32]) -> Any:  # noqa: ANN401 - pyarrow has no types
    import pyarrow as pa

    return pa.Array.from_buffers(pa.float32(), values.size, [None, pa.py_buffer(np.ascontiguousarray(values))])


def _strings(values: Sequence[str]) -> Any:  # noqa: ANN401
    import pyarrow as pa

    encoded = [value.encode() for value in values]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))
