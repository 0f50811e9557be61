"""ONNX models as PyTorch's exporter writes them: states of any batch, and cells, beside PyTorch."""

import io
import warnings

import gru_rs
import numpy as np
import pytest
import torch

# Two engines in float32, over seven steps of values around 1, through two layers.
TOLERANCE = 2e-6


class Around(torch.nn.Module):
    """A layer that makes its own states, or learnt ones for every row."""

    def __init__(self, kind, *, learnt, **options):
        super().__init__()
        self.layer = kind(3, 4, 2, **options)
        states = 1 + (kind is torch.nn.LSTM)
        sides = 2 * (1 + self.layer.bidirectional)
        self.first = torch.nn.Parameter(torch.randn(states, sides, 1, 4)) if learnt else None

    def forward(self, x):
        if self.first is None:
            return self.layer(x)[0]
        rows = x.shape[0] if self.layer.batch_first else x.shape[1]
        states = tuple(state.expand(-1, rows, -1).contiguous() for state in self.first)
        return self.layer(x, states if len(states) == 2 else states[0])[0]


@pytest.mark.parametrize("learnt", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", [torch.nn.GRU, torch.nn.LSTM])
@pytest.mark.parametrize("opset", [11, 17])
def test_states_of_any_batch(kind, batch_first, bidirectional, learnt, opset):
    torch.manual_seed(1)
    module = Around(kind, learnt=learnt, batch_first=batch_first, bidirectional=bidirectional).eval()
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.randn(2, 5, 3),),
            file,
            dynamo=False,
            opset_version=opset,
            input_names=["x"],
            dynamic_axes={"x": {0: "a", 1: "b"}},
        )
    nodes = list(gru_rs.from_onnx(file.getvalue()).values())
    assert len(nodes) == 2
    for rows in (1, 6):
        x = torch.randn(rows, 7, 3) if batch_first else torch.randn(7, rows, 3)
        y = x.numpy().swapaxes(0, 1) if batch_first else x.numpy()
        for node in nodes:
            y = node(np.ascontiguousarray(y))[0].transpose(0, 2, 1, 3)
            y = y.reshape(*y.shape[:2], -1)
        y = y.swapaxes(0, 1) if batch_first else y
        with torch.no_grad():
            assert np.abs(module(x).numpy() - y).max() <= TOLERANCE


class Steps(torch.nn.Module):
    """A cell, step by step."""

    def __init__(self, kind, inputs, *, bias):
        super().__init__()
        self.cell = kind(inputs, 4, bias=bias)

    def forward(self, x):
        state = x.new_zeros(x.shape[1], 4)
        state = (state, state) if isinstance(self.cell, torch.nn.LSTMCell) else state
        for step in x:
            state = self.cell(step, state)
        return state


@pytest.mark.parametrize("inputs", [3, 4])
@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("kind", [torch.nn.GRUCell, torch.nn.LSTMCell])
@pytest.mark.parametrize("opset", [11, 17])
def test_cells(kind, steps, inputs, opset):
    torch.manual_seed(1)
    module = Steps(kind, inputs, bias=True).eval()
    file, x = io.BytesIO(), torch.randn(steps, 2, inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {"input_names": ["x"], "dynamic_axes": {"x": {1: "rows"}}}
        torch.onnx.export(module, (x,), file, dynamo=False, opset_version=opset, **options)
    ((name, node),) = gru_rs.from_onnx(file.getvalue()).items()
    assert name == "cell"
    assert f"{steps} places" in node.note or steps == 1
    states = node(x.numpy())[1:]
    with torch.no_grad():
        expected = module(x)
    for ours, theirs in zip(states, expected if isinstance(expected, tuple) else [expected], strict=True):
        assert np.abs(ours[0] - theirs.numpy()).max() <= TOLERANCE
