"""The recipe of docs/layouts.md for Core ML, whose models coremltools makes of PyTorch's on any system."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

DOCUMENT = Path(__file__).parents[2] / "docs" / "layouts.md"
(RECIPE,) = re.findall(r"```python\n(import coremltools.*?)```", DOCUMENT.read_text(), re.S)


class Outputs(torch.nn.Module):
    def __init__(self, recurrent):
        super().__init__()
        self.recurrent = recurrent

    def forward(self, x):
        return self.recurrent(x)[0]


@pytest.mark.parametrize("kind", [torch.nn.GRU, torch.nn.LSTM])
@pytest.mark.parametrize("sizes", [(3, 4), (5, 40)])  # arrays within the text, and beside it
def test_recurrent_layers_of_coreml(tmp_path, kind, sizes):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of versions that it has not been tested with
        import coremltools

        torch.manual_seed(0)
        module, x = Outputs(kind(*sizes)).eval(), torch.randn(7, 2, sizes[0])
        traced = torch.jit.trace(module, x)
        precision = coremltools.precision.FLOAT32
        given = [coremltools.TensorType(shape=x.shape, name="x")]
        made = coremltools.convert(traced, inputs=given, convert_to="mlprogram", compute_precision=precision)
        made.save(str(tmp_path / "model.mlpackage"))
        names = {}
        exec(RECIPE, names)
        ours = names["from_coreml"](str(tmp_path / "model.mlpackage"))
    assert type(ours).__name__ == kind.__name__
    with torch.no_grad():
        theirs = module(x).numpy()
    assert np.abs(ours(x.numpy())[0] - theirs).max() <= 1e-6
