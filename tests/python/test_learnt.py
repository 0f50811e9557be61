"""What was learnt goes with the parameters and with the network, value by value; each edit of a file says
what does not, although its checksum is right.
"""

import json
from functools import cache

import gru_rs
import numpy as np
import pandas as pd
import pytest
from gru_rs import Forecaster, SequenceClassifier
from test_mutants import ESTIMATORS, NUMBERS, joined, parts


@cache
def saved(name, quantized, folder):
    """The bytes of a file; made once."""
    estimator = ESTIMATORS[name][0]()
    path = folder / "model.safetensors"
    (estimator.quantize("int8") if quantized else estimator).save(path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("learnt")


def at(path, value):
    """A change of one value."""
    *way, last = path.split("/")

    def change(header):
        inside = header
        for name in way:
            inside = inside[int(name) if isinstance(inside, list) else name]
        if value is DELETED:
            del inside[int(last) if isinstance(inside, list) else last]
        else:
            inside[int(last) if isinstance(inside, list) else last] = value

    return change


def both(one, other):
    """Two changes."""

    def change(header):
        one(header)
        other(header)

    return change


DELETED = object()
CLASSES, WORDS, TABLE, NUMERIC = (
    "classifier of numbers",
    "classifier of texts",
    "classifier of a table",
    "regressor",
)


def array(items, dtype):
    def listed(one):
        return {"list": [listed(item) for item in one]} if isinstance(one, list) else one

    return {"array": listed(items), "dtype": dtype}


def pair(*items):
    return {"tuple": [array(one, "<f8") for one in items]}


def vocabulary(**numbers):
    return {"dict": [[token, number] for token, number in numbers.items()]}


EDITS = [
    # Names
    (CLASSES, at("learnt/classes_", DELETED), "learnt.classes_: expected a value, got none"),
    (CLASSES, at("learnt/scale_", DELETED), "learnt.scale_: expected a value, got none"),
    (CLASSES, at("learnt/colour", 1), "learnt.colour: expected no attribute that the class does not have"),
    (CLASSES, at("learnt/predict", 1), "learnt.predict: expected no attribute"),
    (CLASSES, at("parameters/cell", DELETED), "parameters: expected .*, got no cell"),
    (CLASSES, at("parameters/colour", 1), "parameters: expected .*, got another: colour"),
    (CLASSES, at("model/bias", DELETED), "bias"),
    (CLASSES, at("extra", 1), "metadata: expected .*, got another: extra"),
    (CLASSES, at("generators/more", 1), "generators: expected model, shuffling, got another: more"),
    (CLASSES, at("checksum", DELETED), "expected a checksum as its header says .None., got 'crc32"),
    (CLASSES, at("checksum", "md5"), "expected a checksum as its header says .'md5'."),
    # Parameters and the network
    (CLASSES, at("parameters/hidden_size", 5), "hidden_size: expected a network with 5"),
    (CLASSES, at("parameters/cell", "lstm"), "cell: expected a network with 'lstm'"),
    (CLASSES, at("parameters/num_layers", 2), "num_layers: expected a network with 2"),
    (CLASSES, at("parameters/bidirectional", False), "bidirectional: expected a network with False"),
    (CLASSES, at("parameters/reset_after", False), "reset_after: expected a network with False"),
    (CLASSES, at("parameters/dropout", 0.5), "dropout: expected a network with 0.5"),
    (CLASSES, at("parameters/output_dropout", 0.2), "output_dropout: expected a network with 0.2"),
    (CLASSES, at("parameters/output_dropout", "low"), "output_dropout: expected a number"),
    (CLASSES, at("model/output_dropout", 0.5), "output_dropout: expected a network with 0.3"),
    (WORDS, at("model/input_dropout", 0.0), "input_dropout: expected a network with 0.3"),
    (CLASSES, at("parameters/batch_size", 0), "batch_size: expected"),
    (CLASSES, at("parameters/max_iter", 1.5), "max_iter: expected"),
    (CLASSES, at("parameters/learning_rate", 0.1), "learning_rate: expected"),
    (CLASSES, at("parameters/pooling", "mean"), "pooling: expected a network with 'mean'"),
    (CLASSES, at("parameters/variational", True), "variational: expected a network with True"),
    (CLASSES, at("parameters/dtype", "float64"), "dtype: expected a network with 'float64'"),
    (CLASSES, at("model/dropout", False), "dropout: expected a network with 0.0, .* got one with False"),
    (CLASSES, at("model/bias", False), "bias: expected a network with True"),
    (
        WORDS,
        at("parameters/embedding_size", 4),
        "learnt._embedding_size: expected 4, as embedding_size, got 3",
    ),
    (WORDS, at("learnt/_embedding_size", 4), "learnt._embedding_size: expected 3, as embedding_size, got 4"),
    (
        WORDS,
        both(at("parameters/embedding_size", None), at("learnt/_embedding_size", DELETED)),
        "embedding_size: exp",
    ),
    (
        WORDS,
        both(at("parameters/embedding_size", None), at("learnt/_embedding_size", 2)),
        "expected a network with 2",
    ),
    (
        WORDS,
        at("learnt/_analyzer", "char"),
        "learnt._analyzer: expected 'word' or 'unspaced', as the parameter",
    ),
    (
        WORDS,
        at("learnt/_analyzer", "unspaced"),
        "learnt._per_step: expected 2, as without token_features, got 1",
    ),
    (
        WORDS,
        at("learnt/_analyzer", DELETED),
        "learnt._analyzer: expected what 'auto' was decided to be, got None",
    ),
    (
        WORDS,
        at("parameters/analyzer", "char"),
        "learnt._analyzer: expected 'char', as the parameter says, got 'w",
    ),
    (WORDS, at("learnt/_own_token", False), "learnt._own_token: expected True, as with token_features=None"),
    (WORDS, at("learnt/_own_token", 1), "_own_token: expected a bool"),
    ("tagger", at("parameters/crf", False), "crf: expected a network with False"),
    ("seq2seq", at("parameters/attention", "additive"), "attention: expected a network with 'additive'"),
    ("seq2seq", at("model/begin", 1), "begin: expected a network with 0"),
    ("forecaster", at("parameters/horizon", 3), "learnt.base_: expected an array of int64, shape .3, 1."),
    ("forecaster", at("parameters/window", 7), "learnt.history_: expected an array"),
    # Parameters
    (CLASSES, at("parameters/scale", "yes"), "scale: expected a bool"),
    (CLASSES, at("parameters/tokens", 1), "tokens: expected a bool"),
    (CLASSES, at("parameters/lowercase", 0), "lowercase: expected a bool"),
    (CLASSES, at("parameters/random_state", "x"), "cannot be used to seed"),
    (CLASSES, at("parameters/scoring", "x"), "scoring: expected None, a function or one of accuracy"),
    (CLASSES, at("parameters/callbacks", {"list": [1]}), "callbacks: expected none, as they are not saved"),
    (CLASSES, at("parameters/max_iter", [1]), "expected lists by the name of their type"),
    (
        CLASSES,
        at("parameters/max_iter", {"list": [], "tuple": []}),
        "expected an array, a list, a tuple or a dict",
    ),
    # Labels
    (CLASSES, at("learnt/classes_", array([0, 1], "<i8")), "output_size: expected a network with 2"),
    (CLASSES, at("learnt/classes_", array([0, 2, 1], "<i8")), "expected labels in order, each of them once"),
    (CLASSES, at("learnt/classes_", array([0, 1, 1], "<i8")), "expected labels in order, each of them once"),
    (CLASSES, at("learnt/classes_", array([0.0, 1.0, float("nan")], "<f8")), "expected labels in order"),
    (CLASSES, at("learnt/classes_", array([[0], [1], [2]], "<i8")), "expected an array .n,. of texts"),
    (CLASSES, at("learnt/classes_", array(["a", "b", "c"], "|O")), "expected an array .n,. of texts"),
    (CLASSES, at("learnt/classes_", array(["ab", "b", "c"], "<U1")), "array: expected values of dtype <U1"),
    (CLASSES, at("learnt/classes_", array([0.5, 1.5, 2.5], "<i8")), "array: expected values of dtype <i8"),
    (
        CLASSES,
        at("learnt/classes_", array(["a", "b", "c"], "<U99999999")),
        "array: expected at most .* of text",
    ),
    (
        CLASSES,
        at("learnt/classes_", array([0, 1, 2], "V8")),
        "array: expected numbers, text or objects, got dtype 'V8'",
    ),
    (CLASSES, at("learnt/classes_", {"list": [0, 1, 2]}), "expected an array .n,. of texts"),
    (
        "transcriber",
        at("learnt/classes_", array(["a", "bc"], "<U2")),
        "expected single letters, as _of_text says",
    ),
    ("transcriber", at("learnt/classes_", array([1, 2], "<i8")), "expected single letters, as _of_text says"),
    ("transcriber", at("learnt/_of_text", 1), "_of_text: expected a bool"),
    # How sequences are read
    (CLASSES, at("learnt/scale_", None), "learnt.scale_: expected a pair of arrays, got None"),
    (CLASSES, at("learnt/scale_", pair([0.0], [1.0])), r"expected an array of float64, shape \(2,\)"),
    (CLASSES, at("learnt/scale_", pair([0.0, 1.0], [1.0, -1.0])), "expected deviations from 0"),
    (CLASSES, at("learnt/scale_", pair([0.0, float("inf")], [1.0, 1.0])), "expected finite numbers"),
    (CLASSES, at("learnt/_features", 3), "learnt.n_features_in_: expected 3, as _features, got 2"),
    (CLASSES, at("learnt/_is_table", True), "learnt._features: expected 1, as of a table"),
    (CLASSES, at("learnt/_is_table", "no"), "_is_table: expected a bool"),
    (CLASSES, at("learnt/_reads_tokens", True), "learnt.vocabulary_: expected a value, got none"),
    (CLASSES, at("learnt/n_features_in_", 0), "n_features_in_: expected a positive integer"),
    (
        TABLE,
        at("learnt/feature_names_in_", array(["a", "b"], "|O")),
        "expected the names of 6 columns",
    ),
    (WORDS, at("learnt/_per_step", 2), "learnt._per_step: expected 1, as without token_features, got 2"),
    (WORDS, at("learnt/_reads_text", 1), "_reads_text: expected a bool"),
    (WORDS, at("learnt/_reads_text", None), "_reads_text: expected a bool"),
    (
        WORDS,
        at("learnt/vocabulary_", {"dict": [[1, 1], [2, 2]]}),
        "learnt.vocabulary_: expected texts among the tokens, as _reads_text says, got .1, 2.",
    ),
    (
        WORDS,
        both(
            at("learnt/_reads_text", False),
            both(at("learnt/_analyzer", "unspaced"), at("learnt/_per_step", 2)),
        ),
        "learnt._reads_text: expected True, as 'auto' reads no lists by 'unspaced'",
    ),
    (WORDS, at("learnt/vocabulary_", vocabulary(a=1, b=1)), "expected each number from 1 to 2 once"),
    (WORDS, at("learnt/vocabulary_", vocabulary(a=0, b=1)), "expected each number from 1 to 2 once"),
    (WORDS, at("learnt/vocabulary_", vocabulary(a=1, b=2)), "vocabulary_size: expected a network with 3"),
    (WORDS, at("learnt/vocabulary_", vocabulary(a=True)), "expected a dict of tokens to integers"),
    (WORDS, at("learnt/vocabulary_/dict/0/0", float("nan")), "expected tokens that a file can keep"),
    (WORDS, at("learnt/vocabulary_/dict/0/0", "good"), "metadata: expected each key once"),
    ("tagger", at("learnt/_per_step", 3), "_per_step: expected 1 or 5, as of token_features='spelling'"),
    ("tagger", at("learnt/vocabulary_/dict/0/0", 7), "expected texts and what is told of them"),
    # Targets
    (NUMERIC, at("learnt/n_outputs_", 3), "learnt.target_scale_: expected an array"),
    (NUMERIC, at("learnt/_flat", True), "learnt._flat: expected False, as n_outputs_ is 2"),
    (NUMERIC, at("learnt/target_scale_", None), "learnt.target_scale_: expected a pair of arrays"),
    (
        NUMERIC,
        at("parameters/scale_target", False),
        "learnt.target_scale_: expected None, as nothing is scaled",
    ),
    (
        "seq2seq",
        at("learnt/target_vocabulary_", vocabulary(a=3, b=4)),
        "output_size: expected a network with 5",
    ),
    (
        "seq2seq",
        at("learnt/target_vocabulary_", vocabulary(a=2, b=3)),
        "expected each number from 3 to 4 once",
    ),
    ("seq2seq", at("learnt/_longest", -1), "_longest: expected an integer from 0"),
    ("seq2seq", at("learnt/_longest", 2**40), "_longest: expected an integer from 0"),
    (
        "language model",
        at("learnt/vocabulary_/dict/0/0", "two"),
        "what analyzer 'char' makes of texts, got 'two'",
    ),
    ("language model", at("learnt/of_text_", None), "of_text_: expected a bool"),
    ("forecaster", at("learnt/n_exog_", 2), "learnt.scale_: expected an array"),
    (
        "forecaster",
        at("learnt/target_scale_", array([0.0], "<f8")),
        "target_scale_: expected deviations above 0",
    ),
    (
        "forecaster",
        at("learnt/target_scale_", array([float("inf")], "<f8")),
        "target_scale_: expected finite numbers",
    ),
    (
        "forecaster",
        at("learnt/history_/array/list/0/list/0/list/0", float("nan")),
        "learnt.history_: expected finite numbers",
    ),
    (
        "forecaster",
        at("learnt/history_exog_/array/list/0/list/0", DELETED),
        r"learnt.history_exog_: .*shape \(1, 9, 1\)",
    ),
    ("forecaster", at("learnt/base_", DELETED), "learnt.base_: expected what forecasts begin with"),
    ("forecaster", at("learnt/base_/array/list/0/list/0", 1), "base_: expected 0, or with a season 0 to 2"),
    ("forecaster", at("learnt/n_observed_", 1), "learnt.scale_: expected an array"),
    ("forecaster", at("learnt/n_targets_", 2), "learnt.base_: expected an array of int64, shape .2, 2."),
    ("forecaster", at("learnt/season_", 7), "learnt.history_: expected an array"),
    ("forecaster", at("learnt/_flat", 1), "_flat: expected a bool"),
    ("forecaster", at("learnt/series_", {"list": [0, 2]}), "series_: expected None, names"),
    ("forecaster", at("learnt/_by_name", True), "_by_name: expected False, as there is one series"),
    ("forecaster", at("learnt/n_values_", 3), "n_values_: expected at least the 9 values"),
    ("forecaster", at("learnt/series_scale_", pair([[0.0]], [[1.0]])), "series_scale_: expected None"),
    (
        "forecaster",
        at("learnt/history_gaps_/array/list/0/list/0/list/0", 1.0),
        "history_gaps_: expected 0 or 1",
    ),
    ("forecaster", at("learnt/dates_", {"list": [3]}), "dates_: expected a calendar"),
    (
        "forecaster",
        at("learnt/margins_", array([[[1.0]]], "<f8")),
        "margins_: expected None, as without levels",
    ),
    ("forecaster", at("learnt/held_out_", 1), "held_out_: expected None, or a number for each of"),
    ("forecaster", at("learnt/early_stopping_", 1), "early_stopping_: expected a bool"),
    (
        "forecaster",
        at("learnt/target_names_", {"list": ["a", "b"]}),
        "target_names_: expected None, or the names",
    ),
    # Training
    (CLASSES, at("learnt/n_iter_", 2), "learnt.n_iter_: expected 1, the epochs of loss_curve_, got 2"),
    (CLASSES, at("learnt/loss_curve_", {"list": [1]}), "learnt.loss_curve_: expected a list of floats"),
    (
        CLASSES,
        at("learnt/validation_scores_", {"list": [1.0, 1.0]}),
        "validation_scores_: expected None, or 1 to 1",
    ),
    (CLASSES, at("learnt/validation_scores_", {"list": []}), "validation_scores_: expected None, or 1 to 1"),
    (
        CLASSES,
        at("learnt/best_validation_score_", 7.5),
        "expected None, or one of validation_scores_, got 7.5",
    ),
    (CLASSES, at("generators/model", 2**64), "generators.model: expected an integer from 0"),
    (CLASSES, at("generators/model", True), "generators.model: expected an integer from 0"),
    (CLASSES, at("generators/shuffling/bit_generator", "MT19937"), "cannot be used"),
    (CLASSES, at("generators/shuffling/state/inc", 2), "generators.shuffling: expected a state of PCG64"),
    (CLASSES, at("generators/shuffling/state/state", 2**130), "cannot be used"),
    (
        CLASSES,
        at("generators/shuffling/has_uint32", 7),
        "generators.shuffling: expected a state of PCG64|cannot be used",
    ),
]
QUANTIZED = [
    (at("quantization/nbytes", 1), "quantization.nbytes: expected .*, as the weights have, got 1"),
    (at("quantization/weight_dtype", "float16"), "quantization.weight_dtype: expected 'int8'"),
    (at("quantization/whole_nbytes", True), "quantization.whole_nbytes: expected"),
    (at("quantization/max_difference", 0.5), "quantization: expected three numbers from 0, or none of them"),
    (at("quantization/mean_output", DELETED), "quantization: expected .*, got no mean_output"),
    (at("quantization", DELETED), "weights: expected float ones, got int8"),
]


def edited(name, change, folder, *, quantized=False):
    header, tensors = parts(saved(name, quantized, folder))
    header = json.loads(json.dumps(header))
    change(header)
    path = folder / "edited.safetensors"
    path.write_bytes(joined(header, tensors))
    return path


@pytest.mark.parametrize("case", range(len(EDITS)))
def test_what_does_not_fit_is_named(folder, case):
    name, change, message = EDITS[case]
    path = edited(name, change, folder)
    with pytest.raises(ValueError, match=message) as caught:
        gru_rs.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("case", range(len(QUANTIZED)))
def test_what_does_not_fit_a_quantized_network(folder, case):
    change, message = QUANTIZED[case]
    with pytest.raises(ValueError, match=message):
        gru_rs.load(edited(CLASSES, change, folder, quantized=True))


def test_what_could_not_be_loaded_is_not_saved(tmp_path):
    """Parameters that were set behind the network's back, and attributes that nobody would know."""
    path = tmp_path / "model"
    fitted = ESTIMATORS[CLASSES][0]()
    fitted.save(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="hidden_size: expected 4 as in the fit before, got 9"):
        fitted.set_params(hidden_size=9).save(path)
    fitted.set_params(hidden_size=4).mine = 1
    with pytest.raises(ValueError, match=r"learnt.mine: expected no attribute that the class does not have"):
        fitted.save(path)
    del fitted.mine
    assert path.read_bytes() == before
    fitted.save(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", [SequenceClassifier, Forecaster])
def test_a_file_that_a_callback_of_the_first_fit_saves_is_whole(tmp_path, kind):
    path, found = tmp_path / "model", []

    def save(info):
        info.estimator.save(path)
        again = gru_rs.load(path)
        assert again.model_.flat.tobytes() == info.estimator.model_.flat.tobytes()
        found.append((again.n_iter_, again.loss_curve_))

    options = {"hidden_size": 4, "max_iter": 2, "batch_size": 4, "callbacks": [save], "random_state": 1}
    if kind is Forecaster:
        estimator = Forecaster(window=5, **options).fit(np.sin(np.arange(15.0)))
    else:
        estimator = SequenceClassifier(**options).fit(NUMBERS, np.arange(8) % 2)
    assert {count for count, _ in found} == {0, 1, 2}
    assert found[-1] == (2, estimator.loss_curve_)


def test_names_of_columns_come_back(tmp_path):
    frame = pd.DataFrame(np.eye(6), columns=list("abcdef"))
    fitted = SequenceClassifier(hidden_size=4, max_iter=1).fit(
        frame, pd.Series(["x", "y"] * 3, dtype="category")
    )
    fitted.save(tmp_path / "model")
    again = gru_rs.load(tmp_path / "model")
    assert again.feature_names_in_.tolist() == list("abcdef")
    assert again.predict(frame).tolist() == fitted.predict(frame).tolist()
    with pytest.raises(ValueError, match="feature names"):
        again.predict(frame.rename(columns={"a": "z"}))
