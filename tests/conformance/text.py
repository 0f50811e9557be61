"""What people wrote of docs/engines.md; all numbers in it are `document`'s."""

BEGIN = """# Which engine computes a GRU right?

Written by `make conformance` from `benches/record/conformance.json`; `make conformance ENGINES="onnxruntime
mnn"` brings single rows up to date. {cases} ONNX models of GRU, LSTM and RNN nodes with known answers
(`tests/conformance/cases.py`) go through engines, each in an environment of its own, on a CPU. The answers
are those of a reference in float64 that is written from ONNX's text of the operators
(`tests/conformance/reference.py`) and passes ONNX's own cases.

An answer is *right* within 2e-5 in float32, 1e-9 in float64, 4e-3 in float16 (absolute, relative above 1),
*wrong* beyond it, *refused* where the engine says that it cannot. How a wrong one is wrong is found by
comparing it with the reference of a node in which something is left out or turned round. Where an engine
*aborts* its process or *hangs*, only that is recorded. ONNX does not say what a row of length 0 gives; here
it keeps its initial state, as in PyTorch's and gru-rs's own layers."""

WRITTEN = """## What `to_onnx` writes

Layers of gru-rs with the same weights, by `to_onnx`: with lengths, initial states, free or fixed sizes. ✓ all
right, ✗ all wrong, – all refused, else how many of each. Engines that are not in the table have no recurrent
operator. `to_onnx(target=…)` warns of what an engine is known not to compute right."""

NODES = """## Nodes as ONNX has them

What other exporters write, and what they may: all options of the operators, on top of initial states where
nothing else is said."""

FORMS = """## Lengths as plain operators

`sequence_lens` is what engines most often drop without a word. There are two ways to write lengths without
it:

* *picked*: Y times (t < length); the final state picked from initial state and Y at the length; reverse as a
  forward node between two ReverseSequence. An LSTM's Y does not hold its cell; a gate keeps that, as below.
* *gated*, of a GRU: one more input, which is 1 past a row's length, with a weight of 10,000 to the update
  gate: σ is 1 there, and the state stays as it is. Nothing is picked nor reversed. Y times (t < length) as
  before. It needs σ as the gate, and no clip.

`to_onnx` writes the first, with GatherND in place of ReverseSequence and a sum over (t = length) in place of
GatherElements, which more engines have: what becomes of that is in *What `to_onnx` writes*, above, and not in
this table.

A sign is for all of: lengths, lengths with a 0, the same with initial states, two layers; free sizes are the
last of them with free numbers of rows and steps."""

END = """## What to write for an engine that is not here

Fix the sizes, give zeros for initial states, leave out `sequence_lens`, `clip` and activations other than σ
and tanh, use layout 0 and float32, and compare one answer with the layer's own before you deploy."""

DEPLOY = {
    "onnxruntime": """
`InferenceSession("model.onnx").run(None, {"x": x})`. Everything that `to_onnx` writes in float32 is right.
Float64 and layout 1 are refused: load the weights into a float32 layer first. With `sequence_lens`, a row of
length 0 gives the state 0, not the one it was given.""",
    "reference": """
`onnx.reference.ReferenceEvaluator("model.onnx").run(None, {"x": x})`: to look into a model, not to serve it.
It drops lengths, clip, activations and input_forget without a word.""",
    "openvino": """
`openvino.Core().compile_model("model.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})`: without the hint it
may choose bfloat16 or float16. With `sequence_lens`, fix all sizes: where one is free the lengths are dropped
without a word. Lengths as plain operators are right with free sizes, too.""",
    "mnn": """
`mnnconvert(["mnnconvert", "-f", "ONNX", "--modelFile", …, "--MNNModel", …, "--bizCode", "x"])` of the
extension module `_tools`, then `MNN.nn.load_module_from_file`. Do not import `MNN.tools` nor run its console
command: both have pip install another package into the Python that is first in PATH, and report what is
converted. Fix all sizes; GRUs with `reset_after=True` only, forward and bidirectional. If a call fails,
its list of outputs is empty and nothing is raised.""",
    "opencv": """
`cv2.dnn.readNetFromONNX("model.onnx")`, `setInput(x, "x")`, `forward(["y", "h_n"])`. Nodes are forward or
bidirectional, σ and tanh, no `sequence_lens`. Of a GRU ask for both outputs: Y alone is its last step. A node
with direction `reverse` is run forward if it is a GRU; an LSTM's final states are those behind one step.""",
    "tract": """
`tract.onnx().load(path).into_model().into_runnable()`, or the crate `tract-onnx`. A node with direction
`reverse` is run forward, and clip and activations are dropped, without a word; an LSTM needs its initial
states as inputs (`states=True`) if there is more than one row; ReverseSequence is refused.""",
    "rten": """
The crate `rten`, `Model::load_file("model.onnx")`. GRUs with `reset_after=True`, and LSTMs, with σ and tanh,
no clip. It drops lengths; both forms with plain operators are right, free sizes too. What it cannot do it
refuses.""",
    "candle": """
The crate `candle-onnx`, `simple_eval`. It has forward LSTMs with σ and tanh, and no GRU; of more than one row
the LSTM's steps and rows come mixed up. Of one row the LSTMs of `to_onnx` are right, bidirectional ones too,
but for what is refused: lengths and tokens, which are integers of 32 bits, weights of 8 bits, float64.""",
    "iree": """
`iree-import-onnx`, `iree-compile --iree-hal-target-backends=llvm-cpu`, `iree-run-module`, or the same from
Python. Opset 17 or newer (older ones are converted here first). Forward nodes with fixed sizes: `to_onnx`
writes each direction as one. HardSigmoid is computed as Relu.""",
    "onnx2tf": """
`onnx2tf -i model.onnx`, then LiteRT. It wants Python 3.12; it runs in 3.11 (`pip install
--ignore-requires-python`). Fix all sizes: free ones become 1. An LSTM that is given initial states gives them
back as the final ones.""",
    "tinygrad": "It has no recurrent operator.",
    "tvm": "Relax's reader of ONNX has no recurrent operator.",
    "onnx2torch": """
It has no recurrent operator; `to_torch_state_dict` gives PyTorch the weights without ONNX.""",
    "jaxonnxruntime": """
It has no recurrent operator; [layouts.md](layouts.md) has what JAX's libraries call the weights.""",
}
