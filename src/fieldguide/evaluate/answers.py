"""Answers to held-out photos, one row a photo, as Parquet."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

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
        import json

        import pyarrow as pa
        from pyarrow import parquet

        names = pa.array(self.class_names)
        answers = self.probs.argmax(axis=1)
        num_classes = self.probs.shape[1]
        table = pa.table(
            {
                "photo": pa.array(self.photo_names, pa.string()),
                "label": names.take(pa.array(self.labels)),
                "answer": names.take(pa.array(answers)),
                "probability": pa.array(self.probs[np.arange(len(answers)), answers]),
                "probs": pa.FixedSizeListArray.from_arrays(pa.array(self.probs.reshape(-1)), num_classes),
            }
        )
        table = table.replace_schema_metadata({"class_names": json.dumps(self.class_names)})
        buffer = io.BytesIO()
        parquet.write_table(table, buffer, compression="zstd")
        return buffer.getvalue()
