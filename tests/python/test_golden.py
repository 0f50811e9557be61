"""Golden vectors of PyTorch, Keras, ONNX Runtime and the ONNX node suite, with gradients.

`tests/golden/generate.py` wrote them and says how; the tolerance of each case stands in `manifest.json`.
Both gru_rs and the NumPy reference answer every case, so that the judge of the other tests is itself
judged.
"""

import json
from pathlib import Path

import gru_rs
import numpy as np
import numpy_reference
import pytest

GOLDEN = Path(__file__).parent.parent / "golden"
MANIFEST = json.loads((GOLDEN / "manifest.json").read_text())
CASES = [(file, name) for file, entry in MANIFEST["files"].items() for name in entry["cases"]]


def load(file, name):
    """A case: its description, and its arrays by name in the case's dtype."""
    case = MANIFEST["files"][file]["cases"][name]
    with np.load(GOLDEN / f"{file}.npz") as archive:
        record = archive[name]
    arrays = {k: record[k] if k == "lengths" else record[k].astype(case["dtype"]) for k in record.dtype.names}
    return case, arrays


def pick(arrays, prefix):
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def state(case, arrays, h, c):
    """The state with these names: an array for the GRU, a pair for the LSTM, None where the case has none."""
    if h not in arrays:
        return None
    return arrays[h] if case["kind"] == "gru" else (arrays[h], arrays[c])


def answer_of_gru_rs(case, arrays):
    kind = {"gru": "GRU", "lstm": "LSTM"}[case["kind"]] + ("Cell" if case["cell"] else "")
    layer = getattr(gru_rs, kind)(**case["options"], dtype=case["dtype"])
    layer.load_state_dict(pick(arrays, "param/"))
    first, d_last = state(case, arrays, "h0", "c0"), state(case, arrays, "dh_n", "dc_n")
    if case["cell"]:
        y = None
        last, tape = layer.forward(arrays["x"], first)
        grads = tape.backward(d_last)
    else:
        y, last, tape = layer.forward(arrays["x"], first, lengths=arrays.get("lengths"))
        grads = tape.backward(arrays.get("dy"), d_last)
    return numpy_reference.results(y, last, grads.x, grads.h0, grads.params)


def answer_of_numpy_reference(case, arrays):
    params, x = pick(arrays, "param/"), arrays["x"]
    options = {k: v for k, v in case["options"].items() if k not in ("input_size", "hidden_size", "bias")}
    options["dtype"] = case["dtype"]
    first, d_last = state(case, arrays, "h0", "c0"), state(case, arrays, "dh_n", "dc_n")
    if case["cell"]:
        y = None
        last, cache = numpy_reference.cell_forward(case["kind"], params, x, first, **options)
        gradients = numpy_reference.cell_backward(cache, d_last)
    else:
        lengths = arrays.get("lengths")
        y, last, cache = numpy_reference.forward(case["kind"], params, x, first, lengths, **options)
        gradients = numpy_reference.backward(cache, arrays.get("dy"), d_last)
    return numpy_reference.results(y, last, *gradients)


@pytest.mark.parametrize("answer", [answer_of_gru_rs, answer_of_numpy_reference])
@pytest.mark.parametrize(("file", "name"), CASES, ids=[f"{f}-{n}" for f, n in CASES])
def test_golden(file, name, answer):
    case, arrays = load(file, name)
    actual = answer(case, arrays)
    wanted = {k: v for k, v in arrays.items() if k in ("y", "h_n", "c_n") or k.startswith("grad/")}
    errors = {k: numpy_reference.relative_error(actual[k], v) for k, v in wanted.items()}
    wrong = {k: v for k, v in errors.items() if not v <= case["tolerance"]}
    assert not wrong, f"relative errors {wrong} above {case['tolerance']} ({case['reason']})"
    dtypes = {actual[k].dtype for k in wanted}
    assert dtypes == {np.dtype(case["dtype"])}


def test_every_promised_source_is_present():
    """The files hold what the contract names, and gradients wherever the source can differentiate."""
    assert set(MANIFEST["files"]) == {"torch_layers", "torch_cells", "keras", "onnxruntime", "onnx_node"}
    assert len(MANIFEST["files"]["onnx_node"]["cases"]) == 6
    for file in ("torch_layers", "torch_cells", "keras"):
        for name in MANIFEST["files"][file]["cases"]:
            _, arrays = load(file, name)
            expected = {"x"} | set(pick(arrays, "param/"))
            expected |= {k for k in ("h0", "c0") if k in arrays}
            assert set(pick(arrays, "grad/")) == expected
