"""The recipe of docs/layouts.md for DyNet's files, beside DyNet."""

import re
from pathlib import Path

import dynet
import gru_rs
import numpy as np
import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "layouts.md"
(RECIPE,) = re.findall(r"```python\n([^`]*?def from_dynet.*?)```", DOCUMENT.read_text(), re.S)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("builder", "count"), [(dynet.GRUBuilder, 9), (dynet.VanillaLSTMBuilder, 3)])
def test_files_of_dynet(tmp_path, layers, builder, count):
    parameters = dynet.ParameterCollection()
    made = builder(layers, 3, 4, parameters)
    x = np.random.default_rng(0).normal(size=(7, 3))
    dynet.renew_cg()
    state, theirs = made.initial_state(), []
    for step in x:
        state = state.add_input(dynet.inputVector(step))
        theirs.append(state.output().npvalue())
    parameters.save(str(tmp_path / "model.txt"))
    names = {}
    exec(RECIPE, names)
    ours = names["from_dynet"](tmp_path / "model.txt", count)
    assert ours.num_layers == layers
    assert np.abs(ours(x.astype(np.float32))[0] - np.array(theirs)).max() <= 1e-6


def test_a_bias_that_dynet_adds_is_not_lost():
    """Without `_2` nothing would say that 1 is added to the forget gate."""
    with pytest.raises(ValueError, match="expected exactly the arrays"):
        gru_rs.from_arrays("dynet", {"_0": np.ones((16, 3)), "_1": np.ones((16, 4))})
