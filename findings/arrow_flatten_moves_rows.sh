#!/usr/bin/env bash
# pyarrow 26.0.1, FixedSizeListArray.flatten(). Fixed-size lists are the steps of a sequence: n lists of 2 numbers.
# Guess: flatten() gives n × 2 values, nulls among them, so that step i is at 2 i, as it is in `values`.
# Seen: a null list is left out, and all behind it move up; behind a list_view, whose rows are told by offsets into
# these very lists, each row from there on reads another row's numbers, and nothing is raised.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" pyarrow==26.0.1
PYTHONPATH=$folder python3 - <<'PY'
import pyarrow as pa
steps = pa.array([[1.0, 2.0], None, [3.0, 4.0]], pa.list_(pa.float64(), 2))
flat, values = steps.flatten().to_pylist(), steps.values.to_pylist()
print("lists:", len(steps), "flatten:", flat, "values:", values)
assert flat == [1.0, 2.0, 3.0, 4.0] and len(values) == 6 and values[4:] == [3.0, 4.0]
rows = pa.ListViewArray.from_arrays(pa.array([2, 0], pa.int32()), pa.array([1, 1], pa.int32()), steps)
print("rows:", rows.to_pylist(), "whose lists are at", rows.offsets.to_pylist())
assert rows.null_count == 0 and rows.to_pylist() == [[[3.0, 4.0]], [[1.0, 2.0]]]
assert flat[2 * rows.offsets[0].as_py():] == [], "by its offset the first row has nothing in flatten()"
PY
