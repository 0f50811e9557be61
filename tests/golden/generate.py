"""Write the golden vectors: what PyTorch, Keras, ONNX Runtime and the ONNX node suite answer, with gradients.

    python tests/golden/generate.py            rewrite *.npz and manifest.json beside this file
    python tests/golden/generate.py --check    compute all of it again and compare with the committed files

Needs numpy, torch, keras, onnx and onnxruntime, but not gru_rs. Every conversion of gate order and layout
happens here, so that the files hold the names and shapes of gru_rs alone. An entry of a file is a case: a
record with the fields `param/weight_ih_l0`, `x`, `h0`, `dy`, `y`, `h_n`, `grad/x`, `grad/weight_ih_l0` and so
on. Weights and inputs lie on a coarse grid that float16 holds exactly: both precisions see the same numbers,
and the files stay small.
"""

import argparse
import io
import json
import os
import sys
import warnings
import zipfile
import zlib
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import keras
import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases

HERE = Path(__file__).parent
SEED = 20261122
COMMAND = "python tests/golden/generate.py"

# Tolerances are in the relative max norm: max |a - b| <= tolerance * max |b| for each array of a case.
F64 = (2e-14, "float64: 90 units of 2^-52; both sides round differently at every step, 5e-15 was seen")
F32 = (2e-6, "float32: 17 units of 2^-23; both sides round differently at every step, 5e-7 was seen")
ORT = (3e-6, "float32: 25 units of 2^-23; ONNX Runtime has its own sigmoid and tanh, 4e-7 was seen")
NODE = (1e-6, "float32: 8 units of 2^-23; plain NumPy, 2e-7 was seen (the suite itself allows 1e-3)")

SWAP_RZ = [1, 0, 2]  # r, z, n <-> z, r, h (Keras, ONNX): its own inverse
SAME = [0, 1, 2, 3]  # i, f, g, o: PyTorch and Keras
IFGO_TO_IOFC = [0, 3, 1, 2]  # ONNX
IOFC_TO_IFGO = [0, 2, 3, 1]


# Cases ------------------------------------------------------------------------------------------------------


def grid(rng, shape, bound, spacing):
    """Uniform multiples of `spacing` in [-bound, bound], exact in float16."""
    steps = round(bound / spacing)
    return rng.integers(-steps, steps + 1, shape).astype(np.float64) * spacing


def case(name, kind, *, dtype, tolerance, seq, batch, h0=False, lengths=None, **options):
    """One problem: options named as in gru_rs's constructors, random weights, inputs and output gradients.

    batch None is unbatched, seq None a cell.
    """
    rng = np.random.default_rng([SEED, zlib.crc32(f"{kind}/{name}".encode())])
    layers, directions = options.get("num_layers", 1), 2 if options.get("bidirectional") else 1
    width, hidden = options["input_size"], options["hidden_size"]
    gates = 3 if kind == "gru" else 4
    params = {}
    for layer in range(layers):
        for end in ["", "_reverse"][:directions]:
            end = "" if seq is None else f"_l{layer}{end}"
            columns = width if layer == 0 else directions * hidden
            params["weight_ih" + end] = grid(rng, (gates * hidden, columns), 0.5, 2**-5)
            params["weight_hh" + end] = grid(rng, (gates * hidden, hidden), 0.5, 2**-5)
            if options.get("bias", True):
                params["bias_ih" + end] = grid(rng, gates * hidden, 0.5, 2**-5)
                params["bias_hh" + end] = grid(rng, gates * hidden, 0.5, 2**-5)

    rows = [] if batch is None else [batch]
    steps = [] if seq is None else [seq]
    axes = rows + steps if options.get("batch_first") else steps + rows
    stack = [] if seq is None else [layers * directions]
    states = ["h", "c"] if kind == "lstm" else ["h"]
    arrays = {"x": grid(rng, (*axes, width), 2, 2**-3)}
    if seq is not None:
        arrays["dy"] = grid(rng, (*axes, directions * hidden), 1, 2**-4)
    for s in states:
        arrays[f"d{s}_n"] = grid(rng, (*stack, *rows, hidden), 1, 2**-4)
        if h0 or seq is None:
            arrays[f"{s}0"] = grid(rng, (*stack, *rows, hidden), 1, 2**-4)
    if lengths is not None:
        arrays["lengths"] = np.array(lengths, np.int64)
    return {
        "name": name,
        "kind": kind,
        "cell": seq is None,
        "dtype": dtype,
        "tolerance": tolerance,
        "options": options,
        "params": params,
        "arrays": arrays,
    }


def collect(c, outputs, gradients=None):
    """The arrays of a case as they go to the file, with exact narrow inputs and full outputs."""
    out = {f"param/{k}": narrow(v, c["dtype"]) for k, v in c["params"].items()}
    out |= {k: v if k == "lengths" else narrow(v, c["dtype"]) for k, v in c["arrays"].items()}
    out |= {k: np.asarray(v, c["dtype"]) for k, v in outputs.items()}
    out |= {f"grad/{k}": np.asarray(v, c["dtype"]) for k, v in (gradients or {}).items()}
    return out


def narrow(v, dtype):
    half = np.asarray(v).astype(np.float16)
    return (
        half if np.array_equal(half.astype(np.float64), np.asarray(v, np.float64)) else np.asarray(v, dtype)
    )


def leaf(v, dtype):
    """A torch tensor to differentiate by."""
    return torch.tensor(v, dtype=getattr(torch, dtype), requires_grad=True)


def numbers(v):
    return v.detach().cpu().numpy()


# PyTorch ----------------------------------------------------------------------------------------------------


def torch_layer_cases():
    f32, f64 = {"dtype": "float32", "tolerance": F32}, {"dtype": "float64", "tolerance": F64}
    deep = {"num_layers": 2, "bidirectional": True}
    for kind, tail in (("gru", 33), ("lstm", 25)):
        yield case("plain_f32", kind, seq=7, batch=3, input_size=5, hidden_size=9, **f32)
        yield case("plain_f64", kind, seq=7, batch=3, input_size=5, hidden_size=9, **f64)
        yield case("h0_tail_f32", kind, seq=6, batch=7, h0=True, input_size=4, hidden_size=tail, **f32)
        yield case("one_step_f32", kind, seq=1, batch=6, h0=True, input_size=5, hidden_size=9, **f32)
        yield case("one_row_f32", kind, seq=30, batch=1, h0=True, input_size=4, hidden_size=12, **f32)
        yield case("one_unit_f64", kind, seq=9, batch=2, input_size=1, hidden_size=1, **f64)
        yield case("long_f64", kind, seq=50, batch=2, h0=True, input_size=2, hidden_size=3, **f64)
        yield case("no_bias_f64", kind, seq=5, batch=4, input_size=6, hidden_size=7, bias=False, **f64)
        yield case("unbatched_f64", kind, seq=8, batch=None, h0=True, input_size=5, hidden_size=6, **f64)
        lengths = [3, 9, 1, 7, 7]
        yield case(
            "ragged_f32", kind, seq=9, batch=5, h0=True, lengths=lengths, input_size=5, hidden_size=10, **f32
        )
        rows = {"batch": 4, "batch_first": True}
        yield case("batch_first_f32", kind, seq=9, h0=True, input_size=3, hidden_size=9, **rows, **f32)
        ragged = {"h0": True, "lengths": [8, 2, 5, 1, 6], **deep}
        yield case("deep_ragged_f32", kind, seq=8, batch=5, input_size=6, hidden_size=7, **ragged, **f32)
        ragged = {"h0": True, "lengths": [4, 0, 6, 0, 1], **deep}
        yield case(
            "deep_zero_lengths_f64", kind, seq=6, batch=5, input_size=3, hidden_size=4, **ragged, **f64
        )
        three = {"num_layers": 3, "bidirectional": True, "batch_first": True, "bias": False}
        yield case("three_layers_f64", kind, seq=5, batch=3, input_size=2, hidden_size=3, **three, **f64)


def torch_cell_cases():
    f32, f64 = {"dtype": "float32", "tolerance": F32}, {"dtype": "float64", "tolerance": F64}
    for kind, hidden in (("gru", 25), ("lstm", 10)):
        yield case("cell_f32", kind, seq=None, batch=5, input_size=3, hidden_size=hidden, **f32)
        yield case("cell_f64", kind, seq=None, batch=3, input_size=4, hidden_size=6, **f64)
        yield case(
            "cell_no_bias_f32", kind, seq=None, batch=2, input_size=3, hidden_size=8, bias=False, **f32
        )
        yield case("cell_unbatched_f64", kind, seq=None, batch=None, input_size=5, hidden_size=7, **f64)


def run_torch_layer(c):
    """torch.nn.GRU or LSTM; ragged batches through pack_padded_sequence.

    PyTorch refuses a row of length zero. Such rows stay outside, and by the contract h_n is h0 and y is zero.
    """
    arrays, options, dtype = c["arrays"], c["options"], c["dtype"]
    module = (torch.nn.GRU if c["kind"] == "gru" else torch.nn.LSTM)(**options, dtype=getattr(torch, dtype))
    module.load_state_dict({k: torch.tensor(v) for k, v in c["params"].items()})
    x = leaf(arrays["x"], dtype)
    first = {k: leaf(arrays[k], dtype) for k in ("h0", "c0") if k in arrays}
    lengths = torch.tensor(arrays["lengths"]) if "lengths" in arrays else None
    rows = slice(None) if lengths is None else lengths > 0

    def state_of(kept):
        return None if not kept else kept[0] if c["kind"] == "gru" else tuple(kept)

    if lengths is None:
        y, last = module(x, state_of(list(first.values())))
    else:
        kept = [s[:, rows] for s in first.values()]
        packed = torch.nn.utils.rnn.pack_padded_sequence(x[:, rows], lengths[rows], enforce_sorted=False)
        out, last = module(packed, state_of(kept))
        out, _ = torch.nn.utils.rnn.pad_packed_sequence(out, total_length=x.shape[0])
        y = torch.zeros(*x.shape[:2], out.shape[2], dtype=out.dtype)
        y[:, rows] = out
    last = [last] if c["kind"] == "gru" else list(last)
    if lengths is not None:
        for i, start in enumerate(first.values()):
            full = start.clone()
            full[:, rows] = last[i]
            last[i] = full

    loss = (y * torch.tensor(arrays["dy"], dtype=y.dtype)).sum()
    for s, name in zip(last, ["dh_n", "dc_n"], strict=False):
        loss = loss + (s * torch.tensor(arrays[name], dtype=s.dtype)).sum()
    loss.backward()
    outputs = {"y": numbers(y)} | {k: numbers(s) for k, s in zip(["h_n", "c_n"], last, strict=False)}
    gradients = {"x": x.grad} | {k: v.grad for k, v in first.items()}
    gradients |= {k: v.grad for k, v in module.named_parameters()}
    return collect(c, outputs, gradients)


def run_torch_cell(c):
    arrays, dtype = c["arrays"], c["dtype"]
    module = (torch.nn.GRUCell if c["kind"] == "gru" else torch.nn.LSTMCell)(
        **c["options"], dtype=getattr(torch, dtype)
    )
    module.load_state_dict({k: torch.tensor(v) for k, v in c["params"].items()})
    x = leaf(arrays["x"], dtype)
    first = {k: leaf(arrays[k], dtype) for k in ("h0", "c0") if k in arrays}
    last = [module(x, first["h0"])] if c["kind"] == "gru" else list(module(x, tuple(first.values())))
    loss = sum(
        (s * torch.tensor(arrays[k], dtype=s.dtype)).sum()
        for s, k in zip(last, ["dh_n", "dc_n"], strict=False)
    )
    loss.backward()
    outputs = {k: numbers(s) for k, s in zip(["h_n", "c_n"], last, strict=False)}
    gradients = {"x": x.grad} | {k: v.grad for k, v in first.items()}
    gradients |= {k: v.grad for k, v in module.named_parameters()}
    return collect(c, outputs, gradients)


# Keras ------------------------------------------------------------------------------------------------------


def keras_cases():
    """All float32: ops.matmul of Keras 3.15 multiplies float64 arguments in float32 (keras issue 23704)."""
    for name, kind, hidden, more in (
        ("after", "gru", 10, {"reset_after": True}),
        ("before", "gru", 25, {"reset_after": False}),
        ("lstm", "lstm", 10, {}),
    ):
        f32 = {"dtype": "float32", "tolerance": F32, "batch_first": True, **more}
        yield case(f"{name}_plain", kind, seq=7, batch=3, input_size=4, hidden_size=7, **f32)
        yield case(f"{name}_h0", kind, seq=6, batch=4, h0=True, input_size=3, hidden_size=hidden, **f32)
        yield case(f"{name}_no_bias", kind, seq=5, batch=2, input_size=3, hidden_size=6, bias=False, **f32)
        deep = {"num_layers": 2, "bidirectional": True, "h0": True, "lengths": [4, 7, 1, 0, 6], **f32}
        yield case(f"{name}_deep_ragged", kind, seq=7, batch=5, input_size=4, hidden_size=6, **deep)


def keras_weights(c, end):
    """Our four arrays as Keras keeps them: transposed, gates z, r, h, and one bias unless reset_after."""
    order = SWAP_RZ if c["kind"] == "gru" else SAME
    w_ih, w_hh = (reorder(c["params"][p + end], order).T for p in ("weight_ih", "weight_hh"))
    if not c["options"].get("bias", True):
        return [w_ih, w_hh]
    b_ih, b_hh = (reorder(c["params"][p + end], order) for p in ("bias_ih", "bias_hh"))
    two = c["options"].get("reset_after", False)
    return [w_ih, w_hh, np.stack([b_ih, b_hh]) if two else b_ih + b_hh]


def reorder(v, order):
    """The blocks of v along its first axis in another order of gates."""
    blocks = np.split(v, len(order))
    return np.concatenate([blocks[i] for i in order])


def run_keras(c):
    """A stack of keras layers, masked where the batch is ragged, differentiated by torch below Keras."""
    arrays, options, dtype = c["arrays"], c["options"], c["dtype"]
    parts = 1 if c["kind"] == "gru" else 2
    ends = ["", "_reverse"] if options.get("bidirectional") else [""]
    x = leaf(arrays["x"], dtype)
    first = {k: leaf(arrays[k], dtype) for k in ("h0", "c0") if k in arrays}
    mask = None
    if "lengths" in arrays:
        mask = torch.tensor(np.arange(x.shape[1]) < arrays["lengths"][:, None])

    below, last, variables = x, [], {}
    for layer in range(options.get("num_layers", 1)):
        block = keras_layer(c)
        rows = range(layer * len(ends), (layer + 1) * len(ends))
        start = [s[row] for row in rows for s in first.values()] or None
        block.build(below.shape)
        inners = [block.forward_layer, block.backward_layer] if len(ends) == 2 else [block]
        for end, inner in zip(ends, inners, strict=True):
            variables[f"_l{layer}{end}"] = inner.trainable_weights
            inner.set_weights(keras_weights(c, f"_l{layer}{end}"))
        below, *states = block(below, mask=mask, initial_state=start)
        last += [states[i : i + parts] for i in range(0, len(states), parts)]

    outputs = {"y": numbers(below)}
    loss = (below * torch.tensor(arrays["dy"], dtype=below.dtype)).sum()
    for i, name in enumerate(["h_n", "c_n"][:parts]):
        state = torch.stack([s[i] for s in last])
        outputs[name] = numbers(state)
        loss = loss + (state * torch.tensor(arrays["d" + name], dtype=state.dtype)).sum()
    loss.backward()
    gradients = {"x": x.grad} | {k: v.grad for k, v in first.items()}
    for end, v in variables.items():
        gradients |= keras_gradients(c, end, [numbers(w.value.grad) for w in v])
    return collect(c, outputs, gradients)


def keras_layer(c):
    options = c["options"]
    common = {
        "units": options["hidden_size"],
        "use_bias": options.get("bias", True),
        "return_sequences": True,
        "return_state": True,
        "zero_output_for_mask": True,
        "use_cudnn": False,  # or Keras hands what it can to torch.nn's own kernel
    }
    if c["kind"] == "gru":
        layer = keras.layers.GRU(**common, reset_after=options["reset_after"])
    else:
        layer = keras.layers.LSTM(**common)
    return keras.layers.Bidirectional(layer, merge_mode="concat") if options.get("bidirectional") else layer


def keras_gradients(c, end, grads):
    """The gradients of one Keras layer under our names. The one bias of Keras is the sum of our two."""
    order = SWAP_RZ if c["kind"] == "gru" else SAME
    out = {"weight_ih" + end: reorder(grads[0].T, order), "weight_hh" + end: reorder(grads[1].T, order)}
    if len(grads) == 3:
        two = grads[2] if grads[2].ndim == 2 else [grads[2], grads[2]]
        out |= {p + end: reorder(b, order) for p, b in zip(["bias_ih", "bias_hh"], two, strict=True)}
    return out


# ONNX Runtime -----------------------------------------------------------------------------------------------


def onnxruntime_cases():
    """ONNX has a direction "reverse", gru_rs has not: such a case is a bidirectional layer half zero."""
    for name, kind, more in (
        ("after", "gru", {"reset_after": True}),
        ("before", "gru", {"reset_after": False}),
        ("lstm", "lstm", {}),
    ):
        f32 = {"dtype": "float32", "tolerance": ORT, **more}
        yield case(f"{name}_forward", kind, seq=7, batch=3, input_size=5, hidden_size=25, **f32)
        yield case(f"{name}_h0_one_row", kind, seq=12, batch=1, h0=True, input_size=4, hidden_size=9, **f32)
        ragged = {"h0": True, "lengths": [5, 8, 1, 3, 8], **f32}
        yield case(f"{name}_ragged", kind, seq=8, batch=5, input_size=6, hidden_size=18, **ragged)
        ragged = {"h0": True, "lengths": [6, 2, 5, 1], "bidirectional": True, **f32}
        yield reverse_only(
            case(f"{name}_reverse_ragged", kind, seq=6, batch=4, input_size=5, hidden_size=10, **ragged)
        )
        ragged = {"h0": True, "lengths": [2, 7, 4, 1], "bidirectional": True, "num_layers": 2, **f32}
        yield case(f"{name}_deep_ragged", kind, seq=7, batch=4, input_size=5, hidden_size=9, **ragged)


def reverse_only(c):
    """Zero the forward half: with zero weights and a zero state it answers exact zeros."""
    for k, v in c["params"].items():
        if not k.endswith("_reverse"):
            c["params"][k] = np.zeros_like(v)
    for k in ("h0", "c0"):
        if k in c["arrays"]:
            c["arrays"][k][0] = 0
    c["reverse_only"] = True
    return c


def run_onnxruntime(c):
    """A model of one GRU or LSTM node for each layer, with a transpose and a reshape between two."""
    arrays, options = c["arrays"], c["options"]
    layers, hidden = options.get("num_layers", 1), options["hidden_size"]
    ends = (
        ["_reverse"] if c.get("reverse_only") else ["", "_reverse"] if options.get("bidirectional") else [""]
    )
    direction = {"": "forward", "_reverse": "reverse"}[ends[0]] if len(ends) == 1 else "bidirectional"
    seq, batch, _ = arrays["x"].shape
    states = ["h", "c"] if c["kind"] == "lstm" else ["h"]
    nodes, constants, feeds = [], {}, {"x0": arrays["x"].astype(np.float32)}
    if "lengths" in arrays:
        feeds["lengths"] = arrays["lengths"].astype(np.int32)
    wanted = []
    for layer in range(layers):
        for letter, v in onnx_weights(c, [f"_l{layer}{e}" for e in ends]).items():
            constants[f"{letter}{layer}"] = v.astype(np.float32)
        rows = [0] if ends == [""] else [1] if c.get("reverse_only") else [2 * layer, 2 * layer + 1]
        starts = []
        for s in states:
            if f"{s}0" in arrays:
                feeds[f"{s}0_{layer}"] = arrays[f"{s}0"][rows].astype(np.float32)
                starts.append(f"{s}0_{layer}")
        ins = [
            f"x{layer}",
            f"W{layer}",
            f"R{layer}",
            f"B{layer}",
            "lengths" if "lengths" in arrays else "",
            *starts,
        ]
        outs = [f"Y{layer}", *(f"{s}_n{layer}" for s in states)]
        wanted += outs[1:]
        more = {"linear_before_reset": int(options["reset_after"])} if c["kind"] == "gru" else {}
        nodes.append(
            helper.make_node(c["kind"].upper(), ins, outs, hidden_size=hidden, direction=direction, **more)
        )
        nodes.append(helper.make_node("Transpose", [f"Y{layer}"], [f"by_row{layer}"], perm=[0, 2, 1, 3]))
        nodes.append(helper.make_node("Reshape", [f"by_row{layer}", "flat"], [f"x{layer + 1}"]))
    constants["flat"] = np.array([seq, batch, len(ends) * hidden], np.int64)
    session = onnx_session(nodes, constants, feeds, [f"x{layers}", *wanted])
    y, *last = session.run(None, feeds)

    outputs = {"y": y}
    for i, s in enumerate(states):
        outputs[f"{s}_n"] = np.concatenate(last[i :: len(states)])
    if c.get("reverse_only"):
        outputs["y"] = np.concatenate([np.zeros_like(y), y], axis=2)
        outputs |= {k: np.concatenate([np.zeros_like(v), v]) for k, v in outputs.items() if k != "y"}
    for k in ("dy", "dh_n", "dc_n"):
        arrays.pop(k, None)
    return collect(c, outputs)


def onnx_weights(c, ends):
    """W, R and B of a node: an axis of directions first, gates z, r, h or i, o, f, c, biases end to end."""
    order = SWAP_RZ if c["kind"] == "gru" else IFGO_TO_IOFC
    w_ih, w_hh, b_ih, b_hh = (
        np.stack([reorder(c["params"][p + e], order) for e in ends])
        for p in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    return {"W": w_ih, "R": w_hh, "B": np.concatenate([b_ih, b_hh], axis=1)}


def onnx_session(nodes, constants, feeds, outputs):
    graph = helper.make_graph(
        nodes,
        "golden",
        [
            helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
            for k, v in feeds.items()
        ],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, [None] * 3) for k in outputs],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    onnx.checker.check_model(model)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )


# The ONNX node suite ----------------------------------------------------------------------------------------


def onnx_node_cases():
    """The `test_gru_*` cases of the ONNX standard: default activations, and all of them reset-before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tests = [t for t in collect_testcases(None) if t.name.startswith("test_gru_")]
    for test in sorted(tests, key=lambda t: t.name):
        (node,) = test.model.graph.node
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        unknown = set(attributes) - {"hidden_size", "layout", "direction"}
        assert not unknown, f"{test.name}: attributes {unknown} have no translation here"
        ((inputs, outputs),) = test.data_sets
        assert len(inputs) <= 4, f"{test.name}: sequence_lens or initial_h has no translation here"
        present = [o for o in node.output if o]
        yield onnx_node_case(test.name, attributes, inputs, dict(zip(present, outputs, strict=True)))


def onnx_node_case(name, attributes, inputs, outputs):
    x, w, r = inputs[:3]
    b = inputs[3] if len(inputs) == 4 else None
    hidden, batch_first = attributes["hidden_size"], attributes.get("layout", 0) == 1
    direction = attributes.get("direction", b"forward")
    ends = {b"forward": ["_l0"], b"reverse": ["_l0_reverse"], b"bidirectional": ["_l0", "_l0_reverse"]}[
        direction
    ]
    params = {}
    for i, end in enumerate(ends):
        params |= {"weight_ih" + end: reorder(w[i], SWAP_RZ), "weight_hh" + end: reorder(r[i], SWAP_RZ)}
        if b is not None:
            b_ih, b_hh = np.split(b[i], 2)
            params |= {"bias_ih" + end: reorder(b_ih, SWAP_RZ), "bias_hh" + end: reorder(b_hh, SWAP_RZ)}

    found = {}
    if "Y" in outputs:  # (T, D, B, H), or (B, T, D, H) with layout 1
        y = outputs["Y"] if batch_first else outputs["Y"].transpose(0, 2, 1, 3)
        found["y"] = y.reshape(*x.shape[:2], -1)
    h_n = outputs["Y_h"]  # (D, B, H), or (B, D, H) with layout 1
    found["h_n"] = h_n.swapaxes(0, 1) if batch_first else h_n
    if direction == b"reverse":
        params = {k.removesuffix("_reverse"): np.zeros_like(v) for k, v in params.items()} | params
        found["y"] = np.concatenate([np.zeros_like(found["y"]), found["y"]], axis=2)
        found["h_n"] = np.concatenate([np.zeros_like(found["h_n"]), found["h_n"]])
    options = {
        "input_size": x.shape[2],
        "hidden_size": hidden,
        "bias": b is not None,
        "batch_first": batch_first,
        "bidirectional": direction != b"forward",
        "reset_after": False,
    }
    return {
        "name": name,
        "kind": "gru",
        "cell": False,
        "dtype": "float32",
        "tolerance": NODE,
        "options": options,
        "params": params,
        "arrays": {"x": x},
        "found": found,
    }


def run_onnx_node(c):
    return collect(c, c["found"])


# Files ------------------------------------------------------------------------------------------------------

FILES = {
    "torch_layers": (
        "torch.nn.GRU and torch.nn.LSTM on the CPU, autograd",
        torch_layer_cases,
        run_torch_layer,
    ),
    "torch_cells": (
        "torch.nn.GRUCell and torch.nn.LSTMCell on the CPU, autograd",
        torch_cell_cases,
        run_torch_cell,
    ),
    "keras": (
        "keras.layers.GRU, LSTM and Bidirectional on the torch backend, autograd",
        keras_cases,
        run_keras,
    ),
    "onnxruntime": ("GRU and LSTM nodes in ONNX Runtime, CPU provider", onnxruntime_cases, run_onnxruntime),
    "onnx_node": ("the test_gru_* node cases of the ONNX standard", onnx_node_cases, run_onnx_node),
}


def generate():
    """All cases as {file: {case: {array: values}}}, and the manifest."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    arrays, files = {}, {}
    for file, (source, cases, run) in FILES.items():
        arrays[file], described = {}, {}
        for c in cases():
            key = c["name"] if c["kind"] in c["name"] else f"{c['kind']}_{c['name']}"
            assert key not in described, key
            arrays[file][key] = run(c)
            tolerance, reason = c["tolerance"]
            described[key] = {
                "kind": c["kind"],
                "cell": c["cell"],
                "dtype": c["dtype"],
                "options": c["options"],
                "tolerance": tolerance,
                "reason": reason,
            }
        files[file] = {"source": source, "cases": described}
    tools = {m.__name__: m.__version__ for m in (np, torch, keras, onnx, onnxruntime)}
    tools["python"] = ".".join(map(str, sys.version_info[:3]))
    manifest = {
        "about": "golden vectors written by generate.py; never edited by hand",
        "command": COMMAND,
        "seed": SEED,
        "tools": tools,
        "norm": "max |a - b| <= tolerance * max |b|, for each array",
        "files": files,
    }
    return arrays, manifest


def pack(entries):
    """The arrays of a case as one record whose fields are their names: one zip entry instead of twenty."""
    record = np.zeros((), [(k, v.dtype.newbyteorder("<"), v.shape) for k, v in entries.items()])
    for k, v in entries.items():
        record[k] = v
    return record


def write(arrays, manifest):
    for file, cases in arrays.items():
        with zipfile.ZipFile(HERE / f"{file}.npz", "w") as archive:
            for name, entries in cases.items():
                buffer = io.BytesIO()
                np.lib.format.write_array(buffer, pack(entries), allow_pickle=False)
                entry = zipfile.ZipInfo(
                    f"{name}.npy", (1980, 1, 1, 0, 0, 0)
                )  # a fixed date: same input, same bytes
                archive.writestr(entry, buffer.getvalue(), zipfile.ZIP_DEFLATED, 9)
    (HERE / "manifest.json").write_text(lines(manifest) + "\n")


def lines(value, depth=3, pad=""):
    """JSON with a line for each case, so that a change shows as a change of its case."""
    if not (isinstance(value, dict) and depth >= 0):
        return json.dumps(value)
    inner = pad + "  "
    body = (f"{inner}{json.dumps(k)}: {lines(v, depth - 1, inner)}" for k, v in value.items())
    return "{\n" + ",\n".join(body) + f"\n{pad}}}"


def check(arrays, manifest):
    """The differences between what was just computed and what is committed, as lines of text."""
    committed = json.loads((HERE / "manifest.json").read_text())
    problems = []
    if committed["files"] != json.loads(json.dumps(manifest["files"])):
        problems.append("manifest.json: the cases, options or tolerances differ")
    for file, cases in arrays.items():
        with np.load(HERE / f"{file}.npz") as old:
            if set(old) != set(cases):
                problems.append(f"{file}.npz: other cases: {sorted(set(old) ^ set(cases))}")
                continue
            for name, entries in cases.items():
                tolerance = manifest["files"][file]["cases"][name]["tolerance"]
                problems += [f"{file}.npz: {name}: {p}" for p in differences(old[name], entries, tolerance)]
    return problems


def differences(old, new, tolerance):
    if old.dtype != pack(new).dtype:
        return ["other names, types or shapes of arrays"]
    return [p for k in new if (p := difference(k, old[k], new[k], tolerance))]


def difference(role, old, new, tolerance):
    computed = role in ("y", "h_n", "c_n") or role.startswith("grad/")
    bound = tolerance * np.abs(old).max(initial=0) if computed else 0
    error = np.abs(old.astype(np.float64) - new.astype(np.float64)).max(initial=0)
    return None if error <= bound else f"{role} differs by {error:.3g}, allowed {bound:.3g}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="compare with the committed files and write nothing"
    )
    arguments = parser.parse_args()
    arrays, manifest = generate()
    if not arguments.check:
        write(arrays, manifest)
    problems = check(arrays, manifest)
    print("\n".join(problems) or f"{sum(len(f['cases']) for f in manifest['files'].values())} cases agree")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
