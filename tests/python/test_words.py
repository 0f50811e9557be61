"""The one table of words: what Python offers is what the extension knows, and what that does not know is an
error there, too, never another choice.
"""

import inspect

import gru_rs
import numpy as np
import pytest
from conftest import KINDS as KINDS_OF_TESTS
from gru_rs import _core, _quantize
from gru_rs._losses import LOSSES_OF_NUMBERS, loss_of_numbers
from gru_rs._words import CELLS, WORDS, cell_of_rows
from gru_rs.io import _layouts

STACK = {
    "cell": "gru",
    "dtype": "float32",
    "input_size": 3,
    "hidden_size": 5,
    "num_layers": 1,
    "bias": True,
    "bidirectional": False,
    "reset_after": True,
    "dropout": 0.0,
    "seed": 1,
}
LAYER = STACK | {
    "batch_first": False,
    "recurrent_activation": "sigmoid",
    "activation": "tanh",
    "clip": None,
}
MODEL = STACK | {
    "vocabulary_size": None,
    "output_size": 2,
    "input_dropout": 0.0,
    "output_dropout": 0.0,
    "variational": False,
    "pooling": "last",
    "crf": False,
    "conv_channels": 3,
    "conv_kernel_size": 2,
    "conv_stride": 2,
    "conv_activation": "relu",
}
PAIR = STACK | {
    "vocabulary_size": None,
    "output_size": 4,
    "embedding_size": 3,
    "attention": None,
    "begin": 0,
    "end": 1,
    "input_dropout": 0.0,
    "output_dropout": 0.0,
}
KINDS = [(_core.Rnn, LAYER), (_core.Model, MODEL), (_core.EncoderDecoder, PAIR)]


@pytest.mark.parametrize(
    ("kind", "options", "option"),
    [
        (kind, options, option)
        for kind, options in KINDS
        for option in (
            "cell",
            "dtype",
            "recurrent_activation",
            "activation",
            "pooling",
            "attention",
            "conv_activation",
        )
        if option in options
    ],
)
def test_the_border_refuses_other_words(kind, options, option):
    kind(options)
    with pytest.raises(ValueError, match=f'{option}: expected one of .*got "int4"'):
        kind(options | {option: "int4"})


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_every_option_is_asked_for(kind, options):
    for option in options:
        rest = {name: value for name, value in options.items() if name != option}
        with pytest.raises(ValueError, match=f"{option}: expected a value, got none"):
            kind(rest)
        wrong = object() if option != "clip" else "much"
        with pytest.raises(ValueError, match=f"{option}: expected"):
            kind(options | {option: wrong})


def test_other_widths_are_refused():
    with pytest.raises(ValueError, match='dtype: expected one of int8, float16, bfloat16, got "int4"'):
        _core.Rnn(LAYER).quantized("int4")
    for word in WORDS["weight_dtype"]:
        assert _core.Rnn(LAYER).quantized(word).width == word


def test_what_weights_are_kept_in_is_said_and_not_guessed():
    """Another width of as many bits, forgotten at the border, would be read as one that is known."""
    assert set(_quantize._IN_FILES) == set(WORDS["weight_dtype"])
    for word in WORDS["weight_dtype"]:
        given = [(one, list(arrays)) for one, arrays in _core.Rnn(LAYER).quantized(word).tensors()]
        assert _core.Rnn(LAYER, given).width == word
        others = [("int16" if one == word else one, arrays) for one, arrays in given]
        with pytest.raises(ValueError, match='tensors: expected one of int8, float16, bfloat16, got "int16"'):
            _core.Rnn(LAYER, others)
        with pytest.raises(ValueError, match=r"tensors: expected .* of (int8|b?float16|float32), got 0"):
            _core.Rnn(LAYER, [(one, []) for one, _ in given])


@pytest.mark.parametrize("cell", CELLS)
def test_cells_are_as_the_table_says(cell):
    model = gru_rs.Model(3, 5, 2, cell=cell)
    assert model.params["rnn.weight_hh_l0"].shape == (5 * len(CELLS[cell].gates), 5)
    state = model.state(4)
    assert len(CELLS[cell].states) == (1 if isinstance(state, np.ndarray) else len(state))
    assert cell_of_rows(5 * len(CELLS[cell].gates), 5, [cell]) == cell
    assert cell_of_rows(5 * len(CELLS[cell].gates) + 1, 5, CELLS) is None
    assert cell_of_rows(5 * len(CELLS[cell].gates), 5, []) is None


@pytest.mark.parametrize(
    ("call", "argument", "words"),
    [
        (lambda word: gru_rs.Model(3, 5, 2, cell=word), "cell", "cell"),
        (lambda word: gru_rs.Model(3, 5, 2, pooling=word), "pooling", "pooling"),
        (lambda word: gru_rs.EncoderDecoder(3, 5, 4, attention=word), "attention", "attention"),
        (lambda word: gru_rs.GRU(3, 5, activation=word), "activation", "activation"),
        (lambda word: gru_rs.GRU(3, 5).forward(np.ones((1, 3), np.float32), memory=word), "memory", "memory"),
    ],
)
def test_messages_are_made_from_the_table(call, argument, words):
    with pytest.raises(ValueError, match=f"{argument}: expected ") as caught:
        call("another")
    assert all(repr(word) in str(caught.value) for word in WORDS[words])
    for word in WORDS[words]:
        call(word)


def test_every_cell_has_its_classes_and_tests():
    """One without would be there for models only, and would be tested nowhere."""
    for base in (gru_rs._layers._Layer, gru_rs._cells._Cell):
        classes = {
            kind._cell: kind for kind in base.__subclasses__() if kind.__module__.startswith("gru_rs.")
        }
        assert classes.keys() == CELLS.keys()
        for kind in classes.values():
            assert getattr(gru_rs, kind.__name__) is kind
            assert gru_rs._saved._NETWORKS[kind.__name__] is kind
    assert {kind.removesuffix("_reset_before") for kind in KINDS_OF_TESTS} == CELLS.keys()


@pytest.mark.parametrize("layout", _layouts.ALL, ids=lambda layout: f"{layout.framework} {layout.cell}")
def test_layouts_are_of_cells_of_the_table(layout):
    assert sorted(layout.gates) == sorted(CELLS[layout.cell].gates)


def test_every_loss_has_its_class():
    """A loss of the table that no class has would be another's, or none's."""
    kinds, losses = [gru_rs._losses.Loss], {}
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        if "_word" in vars(kind):
            losses[kind._word] = kind
    assert losses.keys() == set(WORDS["loss"])
    for word in LOSSES_OF_NUMBERS:
        assert type(loss_of_numbers(word)) is losses[word]


def test_hints_of_types_are_the_table():
    """`Literal`s cannot be made from the table; they can be compared with it."""
    for kind in (gru_rs.Model, gru_rs.EncoderDecoder):
        for name, parameter in inspect.signature(kind).parameters.items():
            if name in ("cell", "pooling", "attention"):
                for word in WORDS[name]:
                    assert repr(word) in parameter.annotation
