"""What was learnt, as a file has it: whether each value is of its kind, and whether all of them fit together.
The same is asked before a file is written, so that what was saved can be loaded. It must not know how files
are made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gru_rs._checks import as_count, as_flag, as_real, as_size

from ._batches import spelling
from ._labels import KINDS, expect_savable_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._batches import Array

LONGEST_TARGET = 1_000_000
"""Tokens of a target. A prediction may have twice as many, and each is computed before the next."""


class Sizes(NamedTuple):
    """Of the network that goes with what was learnt."""

    inputs: int
    vocabulary_size: int | None
    outputs: int


class Learnt:
    """Values by the names of attributes, each of which somebody has to ask for."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values
        self._unasked = set(values)

    def has(self, name: str) -> bool:
        """Whether there is such a value."""
        return name in self.values

    def value(self, name: str) -> Any:
        """One that there must be."""
        if name not in self.values:
            msg = f"learnt.{name}: expected a value, got none"
            raise ValueError(msg)
        self._unasked.discard(name)
        return self.values[name]

    def expect_all_asked(self) -> None:
        """Nothing is there that nobody knows."""
        if self._unasked:
            msg = f"learnt.{min(self._unasked)}: expected no attribute that the class does not have, got one"
            raise ValueError(msg)

    def flag(self, name: str) -> bool:
        """True or False."""
        return as_flag(f"learnt.{name}", self.value(name))

    def size(self, name: str) -> int:
        """A positive integer."""
        return as_size(f"learnt.{name}", self.value(name))

    def count(self, name: str, end: int = 2**63) -> int:
        """An integer from 0 to below `end`."""
        return as_count(f"learnt.{name}", self.value(name), end)

    def labels(self, name: str) -> Array:
        """Labels of one kind, each larger than the one before."""
        labels = self.value(name)
        if not isinstance(labels, np.ndarray) or labels.ndim != 1 or labels.dtype.kind not in KINDS:
            refuse(name, "an array (n,) of texts, integers, floats or bools", labels)
        if len(labels) == 0 or not (labels[:-1] < labels[1:]).all():
            refuse(name, "labels in order, each of them once", labels)
        if labels.dtype.kind == "f" and not np.isfinite(labels).all():
            refuse(name, "finite labels", labels)
        found: Array = labels
        return found

    def numbers(self, name: str, shape: tuple[int, ...]) -> Array:
        """Finite numbers."""
        return _numbers(name, self.value(name), shape)

    def moments(self, name: str, count: int, *, there: bool) -> None:
        """Means and deviations, which are not negative; None unless they are there."""
        found = self.value(name)
        if not there:
            if found is not None:
                refuse(name, "None, as nothing is scaled", found)
            return
        if not isinstance(found, tuple) or len(found) != 2:
            refuse(name, "a pair of arrays", found)
        _numbers(name, found[0], (count,))
        if not (_numbers(name, found[1], (count,)) >= 0).all():
            refuse(name, "deviations from 0", found[1])

    def vocabulary(
        self,
        name: str,
        first: int,
        *,
        of_text: bool = False,
        analyzer: Any = None,
        keeps_spaces: bool = False,
    ) -> dict[Any, int]:
        """Tokens with the numbers from `first` on, each of them once; of texts such as the analyzer makes."""
        found = self.value(name)
        if not isinstance(found, dict) or not all(type(number) is int for number in found.values()):
            refuse(name, "a dict of tokens to integers", found)
        if sorted(found.values()) != list(range(first, first + len(found))):
            refuse(name, f"each number from {first} to {first + len(found) - 1} once", sorted(found.values()))
        for token in found:
            expect_savable_token(f"learnt.{name}", token)
            if of_text and analyzer in ("char", "word") and not _is_made(token, analyzer):
                refuse(name, f"what analyzer {analyzer!r} makes of texts", token)
            if keeps_spaces and not set(token) <= found.keys():
                refuse(name, "each character of a piece as a token, too", token)
            if of_text and analyzer == "word" and not keeps_spaces and any(map(str.isspace, token)):
                refuse(name, "words without spaces, as nothing says that they keep them", token)
        vocabulary: dict[Any, int] = found
        return vocabulary


def _is_made(token: Any, analyzer: str) -> bool:
    return type(token) is str and (len(token) == 1 or (analyzer == "word" and token != ""))


def refuse(name: str, expected: str, got: Any) -> None:
    """What cannot be used."""
    shown = (
        f"{got.dtype} of shape {got.shape}" if isinstance(got, np.ndarray) and got.size > 20 else repr(got)
    )
    msg = f"learnt.{name}: expected {expected}, got {shown[:200]}"
    raise ValueError(msg)


def _numbers(name: str, array: Any, shape: tuple[int, ...]) -> Array:
    if not isinstance(array, np.ndarray) or array.dtype != np.float64 or array.shape != shape:
        refuse(name, f"an array of float64, shape {shape}", array)
    if not np.isfinite(array).all():
        refuse(name, "finite numbers", array)
    found: Array = array
    return found


def expect_progress(learnt: Learnt) -> None:
    """The epochs of all training, and what validation said."""
    losses, scores = learnt.value("loss_curve_"), learnt.value("validation_scores_")
    for name, values in (("loss_curve_", losses), ("validation_scores_", scores or [])):
        if not isinstance(values, list) or not all(type(value) is float for value in values):
            refuse(name, "a list of floats", values)
    if learnt.count("n_iter_") != len(losses):
        refuse("n_iter_", f"{len(losses)}, the epochs of loss_curve_", learnt.value("n_iter_"))
    if scores is not None and not 0 < len(scores) <= len(losses):
        refuse("validation_scores_", f"None, or 1 to {len(losses)} scores", scores)
    # Files did not always say it.
    reason = learnt.value("stop_reason_") if learnt.has("stop_reason_") else None
    if reason is not None and type(reason) is not str:
        refuse("stop_reason_", "None, or a text", reason)
    best = learnt.value("best_validation_score_")
    if best is not None and repr(best) not in map(repr, scores or []):  # as NaN is not itself
        refuse("best_validation_score_", "None, or one of validation_scores_", best)


def expect_reader(estimator: Any, learnt: Learnt) -> tuple[int, int | None]:
    """What `fit` learnt of sequences; numbers a step of the network, and tokens if there are any."""
    if estimator.tokens is not None:
        as_flag("tokens", estimator.tokens)
    if learnt.flag("_reads_tokens"):
        return _expect_tokens(estimator, learnt)
    if estimator.tokens:
        refuse("_reads_tokens", "True, as with tokens=True", False)
    features, is_table, columns = (
        learnt.size("_features"),
        learnt.flag("_is_table"),
        learnt.size("n_features_in_"),
    )
    if is_table and features != 1:
        refuse("_features", "1, as of a table", features)
    if not is_table and columns != features:
        refuse("n_features_in_", f"{features}, as _features", columns)
    if learnt.has("feature_names_in_"):
        names = learnt.value("feature_names_in_")
        texts = isinstance(names, np.ndarray) and names.dtype == object and names.shape == (columns,)
        if not texts or not all(type(name) is str for name in names):
            refuse("feature_names_in_", f"the names of {columns} columns", names)
    learnt.moments("scale_", features, there=bool(estimator.scale))
    return features, None


def _expect_tokens(estimator: Any, learnt: Learnt) -> tuple[int, int | None]:
    if estimator.tokens is not None and not estimator.tokens:
        refuse("_reads_tokens", "False, as with tokens=False", True)
    vocabulary = learnt.vocabulary("vocabulary_", first=1)
    # Files did not always say these.
    per_step = learnt.size("_per_step") if learnt.has("_per_step") else 1
    own = learnt.flag("_own_token") if learnt.has("_own_token") else not callable(estimator.token_features)
    analyzer = _expect_analyzer(estimator, learnt)
    if learnt.has("_reads_text"):
        _expect_form(estimator, analyzer, vocabulary, of_text=learnt.flag("_reads_text"))
    alone = own + (analyzer == "unspaced")
    features, spelled = estimator.token_features, alone + len(spelling(""))
    if not callable(features) and not own:
        refuse("_own_token", f"True, as with token_features={features!r}", own)
    if features is None and per_step != alone:
        refuse("_per_step", f"{alone}, as without token_features", per_step)
    if features == "spelling" and per_step != alone:
        if per_step != spelled:
            refuse("_per_step", f"{alone} or {spelled}, as of token_features='spelling'", per_step)
        if not all(isinstance(token, (str, tuple)) for token in vocabulary):
            refuse("vocabulary_", "texts and what is told of them, as _per_step says", list(vocabulary)[:5])
    if per_step < alone:
        refuse("_per_step", f"at least {alone}, as of a token and what was before it", per_step)
    return _expect_embedding_size(estimator, learnt), len(vocabulary) + 1


def _expect_form(estimator: Any, analyzer: Any, vocabulary: dict[Any, int], *, of_text: bool) -> None:
    """Texts have tokens that are texts, and it was texts that "auto" has found to have no spaces."""
    if not of_text and estimator.analyzer == "auto" and analyzer == "unspaced":
        refuse("_reads_text", "True, as 'auto' reads no lists by 'unspaced'", of_text)
    told = callable(estimator.token_features) or not isinstance(estimator.analyzer, str)
    if of_text and not told and not any(isinstance(token, str) for token in vocabulary):
        refuse("vocabulary_", "texts among the tokens, as _reads_text says", list(vocabulary)[:5])


def _expect_analyzer(estimator: Any, learnt: Learnt) -> Any:
    """How texts are read: what the parameter says, or what it left open."""
    given = estimator.analyzer
    if not learnt.has("_analyzer"):
        if given == "auto":
            refuse("_analyzer", "what 'auto' was decided to be", None)
        return given
    found = learnt.value("_analyzer")
    decided = ("word", "unspaced") if given == "auto" else (given if isinstance(given, str) else None,)
    if found not in decided:
        refuse("_analyzer", f"{' or '.join(map(repr, decided))}, as the parameter says", found)
    return found


def _expect_embedding_size(estimator: Any, learnt: Learnt) -> int:
    """Numbers of a token: what the parameter says, or what it left open."""
    given = estimator.embedding_size
    if not learnt.has("_embedding_size"):
        return as_size("embedding_size", given)
    found = learnt.size("_embedding_size")
    if given is not None and found != as_size("embedding_size", given):
        refuse("_embedding_size", f"{given}, as embedding_size", found)
    return found


def expect_deviation(learnt: Learnt, name: str) -> None:
    """A number that others are divided by."""
    found = learnt.value(name)
    if type(found) is not float or not 0 < as_real(name, found) < np.inf:
        refuse(name, "a finite number above 0", found)
