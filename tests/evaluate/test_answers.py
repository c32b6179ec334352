"""Held-out answers as Parquet."""

import io
import json

import numpy as np
from pyarrow import parquet

from fieldguide.evaluate import Answers

CLASSES = ("バラ", "daisy", "tulipe é")
PROBS = np.array([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5]], np.float32)


def test_parquet_gives_back_every_answer():
    content = Answers(["rose 1.jpg", "ü/2.jpg"], np.array([0, 1]), PROBS, CLASSES).to_parquet()
    table = parquet.read_table(io.BytesIO(content))
    assert table.column_names == ["photo", "label", "answer", "probability", "probs"]
    rows = table.to_pydict()
    assert rows["photo"] == ["rose 1.jpg", "ü/2.jpg"]
    assert rows["label"] == ["バラ", "daisy"] and rows["answer"] == ["バラ", "tulipe é"]
    np.testing.assert_array_equal(np.array(rows["probability"], np.float32), PROBS.max(axis=1))
    np.testing.assert_array_equal(np.array(rows["probs"], np.float32), PROBS)
    assert json.loads(table.schema.metadata[b"class_names"]) == list(CLASSES)


def test_a_thousand_classes_and_no_photos_are_fine():
    names = tuple(map(str, range(1000)))
    content = Answers([], np.zeros(0, np.int64), np.zeros((0, 1000), np.float32), names).to_parquet()
    assert parquet.read_table(io.BytesIO(content)).num_rows == 0
