#!/usr/bin/env bash
# polars 2.1.0 with pyarrow 26.0.1, through the PyCapsule interface.
# Guess: labels in a column of categories arrive as dictionary<string> and can be cast to strings.
# Seen: they arrive as dictionary<string_view>, of which pyarrow has no cast to string_view (the dictionary has to be
# cast first); nor has it one from list_view to large_list_view, which differ in the width of their offsets only.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" polars==2.1.0 pyarrow==26.0.1
PYTHONPATH=$folder python3 - <<'PY'
import polars as pl, pyarrow as pa
column = pa.chunked_array(pl.Series(["O", "B-PER", "O"], dtype=pl.Categorical))
print(column.type)
assert pa.types.is_string_view(column.type.value_type)
def refused(call):
    try:
        call()
    except pa.lib.ArrowNotImplementedError as error:
        print("ArrowNotImplementedError:", error)
        return True
    return False
assert refused(lambda: column.cast(column.type.value_type))
chunk = column.chunk(0)
whole = pa.DictionaryArray.from_arrays(chunk.indices, chunk.dictionary.cast(pa.large_string())).dictionary_decode()
assert whole.to_pylist() == ["O", "B-PER", "O"]
views = pa.array([[1.0, 2.0], [3.0]], pa.list_view(pa.float64()))
assert refused(lambda: views.cast(pa.large_list_view(pa.float64())))
PY
