"""The network of a classifier of texts in PyTorch and in ONNX Runtime, as one would serve it there: texts are
cut by a pattern, looked up in a dict and padded. One thread a call.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

WORD = re.compile(r"\w+|[^\w\s]")


def reader(vocabulary: dict[str, int]):
    """Of texts their ids ``(n, T)``, padded, and their lengths."""

    def read(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        rows = [[vocabulary.get(word, 0) for word in WORD.findall(text.lower())] for text in texts]
        lengths = np.array([len(row) for row in rows])
        ids = np.zeros((len(rows), lengths.max()), np.int64)
        for row, found in enumerate(rows):
            ids[row, : len(found)] = found
        return ids, lengths

    return read


def in_torch(classifier: Any):
    """What gives probabilities of texts by PyTorch."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence

    torch.set_num_threads(1)
    model, read = classifier.model_, reader(classifier.vocabulary_)
    own = {name: torch.from_numpy(np.array(value)) for name, value in model.state_dict().items()}
    sizes = own["embedding.weight"].shape
    network = torch.nn.ModuleDict(
        {
            "embedding": torch.nn.Embedding(*sizes),
            "rnn": torch.nn.GRU(sizes[1], model.hidden_size, batch_first=True),
            "head": torch.nn.Linear(model.hidden_size, model.output_size),
        }
    )
    network.load_state_dict(own)
    network.eval()

    def ask(texts: list[str]) -> np.ndarray:
        ids, lengths = read(texts)
        with torch.inference_mode():
            x = network["embedding"](torch.from_numpy(ids))
            if len(texts) > 1:
                x = pack_padded_sequence(x, torch.from_numpy(lengths), batch_first=True, enforce_sorted=False)
            _, state = network["rnn"](x)
            return torch.softmax(network["head"](state[-1]), dim=-1).numpy()

    return ask


def in_onnxruntime(classifier: Any):
    """What gives probabilities of texts by ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    graph = graph_of(classifier.model_).SerializeToString()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    read = reader(classifier.vocabulary_)

    def ask(texts: list[str]) -> np.ndarray:
        ids, lengths = read(texts)
        return session.run(["probabilities"], {"ids": ids.T, "lengths": lengths.astype(np.int32)})[0]

    return ask


def graph_of(model: Any):
    """Embedding, GRU, head and softmax, of ids ``(T, n)``."""
    from onnx import TensorProto, helper, numpy_helper

    own = {name: np.asarray(value) for name, value in model.state_dict().items()}

    def gates(name: str) -> np.ndarray:
        reset, update, new = np.split(own[name], 3)
        return np.concatenate([update, reset, new])

    biases = np.concatenate([gates("rnn.bias_ih_l0"), gates("rnn.bias_hh_l0")])
    tensors = {
        "embedding": own["embedding.weight"],
        "w": gates("rnn.weight_ih_l0")[np.newaxis],
        "r": gates("rnn.weight_hh_l0")[np.newaxis],
        "b": biases[np.newaxis],
        "head": own["head.weight"],
        "bias": own["head.bias"],
        "first": np.array(0, np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["embedding", "ids"], ["x"]),
        helper.make_node(
            "GRU",
            ["x", "w", "r", "b", "lengths"],
            ["", "h"],
            hidden_size=model.hidden_size,
            linear_before_reset=1,
        ),
        helper.make_node("Gather", ["h", "first"], ["state"]),
        helper.make_node("Gemm", ["state", "head", "bias"], ["scores"], transB=1),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=-1),
    ]
    inputs = [
        helper.make_tensor_value_info("ids", TensorProto.INT64, ["T", "n"]),
        helper.make_tensor_value_info("lengths", TensorProto.INT32, ["n"]),
    ]
    outputs = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", model.output_size])]
    initial = [numpy_helper.from_array(np.asarray(value, order="C"), name) for name, value in tensors.items()]
    graph = helper.make_graph(nodes, "texts", inputs, outputs, initial)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


PEERS = {"PyTorch": in_torch, "ONNX Runtime": in_onnxruntime}
