"""Reading what users pass as X: whether it is tokens or numbers, and what `fit` learns of it. It must not
know targets or models.

Arrays are numbers, tokens are lists: an array, a tensor, a column of numbers or a list of arrays is numbers,
whatever its dtype; lists of lists of integers or of strings are tokens, and strings are texts. A float
anywhere makes numbers of all.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from sklearn.utils.validation import validate_data

from gru_rs._arrays import as_float_dtype, expect_shape
from gru_rs._checks import as_flag, as_size

from ._batches import EMBEDDING_SIZE, Array, Numeric, Scale, Sequences, Token, encode, spelling
from ._columns import Frame, Named, Ragged, is_integral, is_missing, is_number, refuse_missing
from ._containers import opened
from ._numbers import expect_usable, moments_of, numbers_of, row_array
from ._served import CUTS, Served, ServedNumbers, ServedTexts
from ._tokens import Tokenizer, expect_apart, expect_kinds, kinds_of, width_of
from ._vocabulary import Choice


def opened_sequences(name: str, given: Any) -> Any:
    """A container of sequences, opened; a table of one column of sequences or texts is that."""
    found = opened(name, given)
    if isinstance(found, Frame) and len(found.columns) == 1:
        column = found.columns[0]
        of_numbers = isinstance(column, np.ndarray) or (
            isinstance(column, list) and all(map(is_number, column))
        )
        return found if of_numbers else column
    return found


def holds_tokens(name: str, given: Any) -> bool:
    """Whether a container that was opened holds texts or tokens, by all that it holds."""
    if not isinstance(given, list):
        return isinstance(given, np.ndarray) and given.dtype.kind not in "fiub"
    first: dict[str, int] = {}
    for row, sequence in enumerate(given):
        kind = _kind(name, row, sequence)
        if kind is not None:
            first.setdefault(kind, row)
    for one, other in (
        ("texts", "strings"),
        ("texts", "integers"),
        ("texts", "numbers"),
        ("strings", "numbers"),
    ):
        if one in first and other in first:
            got = f"{one} in row {first[one]} and {other} in row {first[other]}"
            msg = f"{name}: expected sequences of one kind, got {got}"
            raise TypeError(msg)
    return "numbers" not in first and len(first) > 0


def _kind(name: str, row: int, sequence: Any) -> str | None:
    """What a row is: "texts", "strings", "integers" or "numbers"; None of a list of nothing."""
    if isinstance(sequence, str):
        return "texts"
    if not isinstance(sequence, (list, tuple)):
        if is_missing(sequence):
            refuse_missing(name, f"row {row}")
        if is_number(sequence):
            msg = f"{name}: expected a text or a sequence in row {row}, got {sequence!r}"
            raise ValueError(msg)
        sequence = opened(f"{name}, row {row}", sequence)
        if not isinstance(sequence, list):
            return (
                "strings"
                if isinstance(sequence, np.ndarray) and sequence.dtype.kind not in "fiub"
                else "numbers"
            )
        # An array of objects: numbers of whatever kind are those of an array.
        if sequence and all(map(is_number, sequence)):
            return "numbers"
    kinds = set(map(type, sequence))
    if not kinds:
        return None
    words = [kind for kind in kinds if issubclass(kind, str)]
    others = [kind for kind in kinds if not (issubclass(kind, str) or is_integral(kind))]
    if words and others:
        step = next(step for step, value in enumerate(sequence) if type(value) in others)
        if is_missing(sequence[step]):
            refuse_missing(name, f"row {row}", f"step {step}")
        got = f"{sequence[step]!r:.60} in row {row}, step {step}"
        msg = f"{name}: expected tokens that are strings or integers, got {got}"
        raise TypeError(msg)
    return "numbers" if others else "strings" if words else "integers"


class Reader(Protocol):
    """How sequences are read. `fit` makes one when it has seen what there is to learn; afterwards it is only
    read, by any number of threads.
    """

    @property
    def served(self) -> Served | None:
        """What it learnt, in Rust, if there is such."""
        ...

    def read(self, estimator: Any, given: Any, lengths: Any, most: int | None) -> Sequences:
        """Sequences for a fitted estimator, of at most `most` steps."""
        ...

    def step(self, x_t: Any, batch_size: int | None) -> Array:
        """What a stream of so many sequences is given, as its model takes it."""
        ...

    def inputs(self) -> tuple[int, int | None]:
        """Numbers a step, and tokens if there are any, of a model for such sequences."""
        ...

    def expect_stepwise(self) -> None:
        """A step is read by itself, whatever was before it."""
        ...

    def fitted(self) -> dict[str, Any]:
        """The attributes by which an estimator shows what was learnt."""
        ...

    def saved(self) -> dict[str, Any]:
        """What a file holds besides those."""
        ...


FITTED = ("vocabulary_", "scale_", "n_features_in_", "feature_names_in_")
"""All that readers show."""


@dataclass(frozen=True)
class TokenReader:
    """Tokens as their numbers in a vocabulary."""

    tokenizer: Tokenizer
    vocabulary: dict[Token, int]
    embedding_size: int = EMBEDDING_SIZE
    kinds: frozenset[str] = field(init=False)
    """Of the vocabulary's tokens; made once, as it may be large."""
    served: ServedTexts | None = field(init=False)
    """The same for texts that are predicted for at once, if they can be."""

    def __post_init__(self) -> None:
        kinds, read = kinds_of(self.vocabulary), self.tokenizer
        served = None
        if kinds == {"strings"} and read.token_features is None and read.analyzer in CUTS:
            of_text, cut = read.of_text, str(read.analyzer)
            served = ServedTexts(self.vocabulary, cut, lowercase=read.lowercase, of_text=of_text)
        vars(self).update(kinds=kinds, served=served)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("kinds", "served")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.__post_init__()

    @classmethod
    def learn(
        cls,
        tokenizer: Tokenizer,
        given: Any,
        lengths: Any,
        most: int | None,
        choice: Choice,
        embedding_size: int | None,
    ) -> tuple[TokenReader, Sequences]:
        """From the first sequences, which are given back read."""
        tokenizer = tokenizer.decided_for(given, stacklevel=6)
        sequences = tokenizer.tokens("X", given, lengths)
        if not any(map(len, sequences)):
            got = f"{len(sequences)} sequences without any" if sequences else "none"
            msg = f"X: expected at least one sequence with at least one step, got {got}"
            raise ValueError(msg)
        expect_apart("X", sequences)
        tokenizer = tokenizer.fitted_to(sequences)
        features = tokenizer.features(sequences)
        vocabulary = choice.made_of(features, sum(map(len, sequences)))
        size = embedding_size or EMBEDDING_SIZE
        if choice.vectors is not None:
            size = choice.vectors.expect_size(embedding_size)
        reader = cls(tokenizer, vocabulary, size)
        found = encode(features, reader.vocabulary, most, tokenizer.per_step)
        if choice.given is not None and not found.flat.any():
            msg = f"vocabulary: expected tokens of X, got none of {len(choice.given)} that is there"
            raise ValueError(msg)
        return reader, replace(found, width=width_of(given))

    @classmethod
    def of_saved(cls, tokenizer: Tokenizer, state: Mapping[str, Any], embedding_size: int) -> TokenReader:
        """From what a file holds."""
        vocabulary, per_step = state["vocabulary_"], as_size("_per_step", state.get("_per_step", 1))
        features, own = tokenizer.token_features, state.get("_own_token", False)
        tokenizer = replace(tokenizer, analyzer=state.get("_analyzer") or tokenizer.analyzer)
        if features == "spelling":
            # One of a tagger that had read an empty sentence said one feature a step.
            spelt = any(isinstance(token, tuple) and token[:1] == ("small",) for token in vocabulary)
            alone = 1 + tokenizer.pairs
            full = alone + len(spelling(""))
            features, per_step = ("spelling", full) if spelt or per_step > alone else (None, alone)
        of_text = state.get("_reads_text")
        read = replace(tokenizer, token_features=features, per_step=per_step, own=own, of_text=of_text)
        return cls(read, vocabulary, embedding_size)

    @property
    def of_text(self) -> bool | None:
        """Whether what was learnt from were texts, and no lists; None if nobody knows."""
        return self.tokenizer.of_text

    def read(self, estimator: Any, given: Any, lengths: Any, most: int | None) -> Sequences:  # noqa: ARG002
        """Sequences, of at most `most` steps."""
        sequences = self._features("X", self.tokenizer.tokens("X", given, lengths))
        found = encode(sequences, self.vocabulary, most, self.tokenizer.per_step)
        return replace(found, width=width_of(given))

    def _features(self, name: str, sequences: list[Sequence[Token]]) -> list[Sequence[Token]]:
        # Of what has features something is known, whatever it is: among words a number is one.
        if self.tokenizer.token_features is None:
            expect_kinds(name, sequences, self.kinds)
        return self.tokenizer.features(sequences)

    def step(self, x_t: Any, batch_size: int | None) -> Array:
        """A text or a list of tokens; with a batch a list of them, all of as many tokens."""
        given = [x_t] if batch_size is None else opened("x_t", x_t)
        sequences = self._features("x_t", self.tokenizer.tokens("x_t", given))
        per_step, counts = self.tokenizer.per_step, {len(row) for row in sequences}
        if len(sequences) != (batch_size or 1) or len(counts) > 1:
            msg = f"x_t: expected {batch_size} sequences of as many tokens, got {len(sequences)}"
            msg += f" of {sorted(count // per_step for count in counts)}"
            raise ValueError(msg)
        numbers = encode(sequences, self.vocabulary, None, per_step).flat
        steps = max(counts) // per_step
        return numbers.reshape((*_axis(batch_size), steps, *([per_step] if per_step > 1 else [])))

    def inputs(self) -> tuple[int, int | None]:
        """Numbers of an embedding; the known tokens and the unknown one."""
        return self.embedding_size, len(self.vocabulary) + 1

    def expect_stepwise(self) -> None:
        """Pairs of tokens are no stream's, whose chunks may end between them."""
        if self.tokenizer.pairs:
            expected = "tokens by themselves for a stream, as analyzer='char' reads them"
            msg = f"analyzer: expected {expected}, got 'unspaced', which reads pairs"
            raise ValueError(msg)

    def fitted(self) -> dict[str, Any]:
        """The vocabulary."""
        return {"vocabulary_": self.vocabulary}

    def saved(self) -> dict[str, Any]:
        """Names that src/io/vocabulary.rs knows."""
        tokenizer = self.tokenizer
        return {
            "_reads_tokens": True,
            "_per_step": tokenizer.per_step,
            "_own_token": tokenizer.own or not callable(tokenizer.token_features),
            "_analyzer": tokenizer.analyzer if isinstance(tokenizer.analyzer, str) else None,
            "_embedding_size": self.embedding_size,
        } | ({} if tokenizer.of_text is None else {"_reads_text": tokenizer.of_text})


def _axis(batch_size: int | None) -> tuple[int, ...]:
    """A stream's axis of rows, if it has one."""
    return () if batch_size is None else (batch_size,)


@dataclass(frozen=True)
class NumberReader:
    """Numbers, in the units of their mean and deviation."""

    features: int
    is_table: bool
    scale: Scale | None
    dtype: np.dtype[Any]
    columns: dict[str, Any]
    """What scikit-learn learns of them: ``n_features_in_``, and ``feature_names_in_`` of what has names."""
    padded: bool = False
    """Whether training gave lengths of padded rows."""
    served: ServedNumbers = field(init=False)
    """The same for arrays that are predicted for at once."""

    def __post_init__(self) -> None:
        named = "feature_names_in_" in self.columns
        vars(self).update(served=ServedNumbers(self.scale, named=named, padded=self.padded))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "served"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.__post_init__()

    @classmethod
    def learn(
        cls, estimator: Any, given: Any, lengths: Any, most: int | None, *, scale: bool
    ) -> tuple[NumberReader, Numeric]:
        """From the first sequences, which are given back read."""
        dtype = as_float_dtype(estimator.dtype)
        found = numbers_of("X", given, lengths, features=None, least=1)
        if estimator.tokens is None and _may_be_ids(given, found):
            msg = "X: integers in an array are numbers; if they are ids of tokens, say tokens=True"
            warnings.warn(msg, UserWarning, stacklevel=5)
        features = found.flat.shape[1]
        # What a fit that fails has noted is gone with this copy.
        noted = copy(estimator)
        for name in _COLUMNS:
            vars(noted).pop(name, None)
        shown = np.empty((1, features)) if found.table is None else found.table
        validate_data(noted, shown, reset=True, skip_check_array=True)
        columns = {name: value for name, value in vars(noted).items() if name in _COLUMNS}
        if isinstance(found.table, Named):
            columns["feature_names_in_"] = np.array(found.table.names, object)
        numeric = _numeric(found, dtype).cut(most)
        if scale:
            numeric.scale = moments_of("X", numeric)
        expect_usable("X", numeric)
        padded = lengths is not None and bool((found.lengths < (found.width or 0)).any())
        return cls(features, _is_table(given), numeric.scale, dtype, columns, padded), numeric

    @classmethod
    def of_saved(cls, state: Mapping[str, Any], dtype: np.dtype[Any]) -> NumberReader:
        """From what a file holds."""
        columns = {name: state[name] for name in _COLUMNS if name in state}
        features, is_table = (
            as_size("_features", state["_features"]),
            as_flag("_is_table", state["_is_table"]),
        )
        scale = None if state["scale_"] is None else Scale(*state["scale_"])
        return cls(features, is_table, scale, dtype, columns)

    def read(self, estimator: Any, given: Any, lengths: Any, most: int | None) -> Numeric:
        """Sequences, of at most `most` steps."""
        found = numbers_of("X", given, lengths, features=self.features, least=0)
        if found.flat.shape[1] != self.features:
            expected = f"{self.features} features a step as in training"
            msg = f"X: expected {expected}, got {found.flat.shape[1]}"
            raise ValueError(msg)
        named = found.table is not None or "feature_names_in_" in self.columns
        if isinstance(found.table, Named):
            self._expect_names("X", found.table.names)
        elif named and _is_table(given) == self.is_table and len(found.lengths):
            shown = np.empty((1, self.features)) if found.table is None else found.table
            validate_data(estimator, shown, reset=False, skip_check_array=True)
        if self.padded and lengths is None and found.width is not None:
            msg = "X: training had lengths, here all steps of a padded array are read; in a search or a"
            msg += " cross-validation lengths reach predict and score by set_score_request(lengths=True)"
            warnings.warn(msg, UserWarning, stacklevel=5)
        numeric = replace(_numeric(found, self.dtype).cut(most), scale=self.scale)
        expect_usable("X", numeric)
        return numeric

    def step(self, x_t: Any, batch_size: int | None) -> Array:
        """A step or a chunk of steps."""
        array, rows = x_t, _axis(batch_size)
        if type(x_t) is not np.ndarray or x_t.dtype.kind not in "fiub":
            array = self._opened_step(x_t)
        if array.dtype.kind not in "fiub":
            msg = f"x_t: expected numbers, got {type(x_t).__name__} of dtype {array.dtype}"
            raise TypeError(msg)
        if array.shape[-1:] != (self.features,) or array.shape[: len(rows)] != rows:
            expect_shape("x_t", array, (*rows, self.features), (*rows, "T", self.features))
        with np.errstate(over="ignore"):
            scaled = array.astype(self.dtype) if self.scale is None else self.scale.apply(array, self.dtype)
        # What is not finite stays so in other units.
        if not np.isfinite(scaled).all():
            if not np.isfinite(array).all():
                msg = "x_t: expected finite numbers, got NaN or infinity"
                raise ValueError(msg)
            held = f"numbers that {self.dtype.name} can hold in the units of training"
            msg = f"x_t: expected {held}, got {array!r:.80}"
            raise ValueError(msg)
        return scaled

    def _expect_names(self, argument: str, names: list[Any]) -> None:
        """The columns of training, if they had names."""
        known = self.columns.get("feature_names_in_")
        if known is not None and list(map(str, names)) != known.tolist():
            expected = f"the columns {known.tolist()} in this order, as in training"
            msg = f"{argument}: expected {expected}, got {names}"
            raise ValueError(msg)

    def _opened_step(self, x_t: Any) -> Array:
        """A step that is no array of numbers yet."""
        found = opened("x_t", x_t)
        if isinstance(found, Frame):
            if not self.is_table:
                self._expect_names("x_t", found.names)
            return found.matrix("x_t")
        if not isinstance(found, list):
            return np.asarray(found)
        try:
            return row_array("x_t", found)[0]
        except ValueError:
            # Of a batch of chunks, (B, T, F).
            return np.stack([row_array(f"x_t, row {row}", one)[0] for row, one in enumerate(found)])

    def inputs(self) -> tuple[int, int | None]:
        """Features; no tokens."""
        return self.features, None

    def expect_stepwise(self) -> None:
        """So it is."""

    def fitted(self) -> dict[str, Any]:
        """The scale, and what scikit-learn asks for."""
        scale = None if self.scale is None else (self.scale.mean, self.scale.deviation)
        return {"scale_": scale, **self.columns}

    def saved(self) -> dict[str, Any]:
        """Names that files have had from the first."""
        return {"_reads_tokens": False, "_features": self.features, "_is_table": self.is_table}


_COLUMNS = ("n_features_in_", "feature_names_in_")


def _numeric(found: Ragged, dtype: np.dtype[Any]) -> Numeric:
    return Numeric(found.flat, found.starts, found.lengths, found.width, dtype=dtype)


def _is_table(given: Any) -> bool:
    """Whether the steps of rows are columns to scikit-learn."""
    return isinstance(given, Frame) or (isinstance(given, np.ndarray) and given.ndim == 2)


def _may_be_ids(given: Any, found: Ragged) -> bool:
    """Whether integers, one a step and none negative, stand where tokens might have been meant."""
    if found.flat.dtype.kind not in "iu" or found.flat.shape[1] != 1 or isinstance(given, Frame):
        return False
    if isinstance(given, np.ndarray):
        return given.ndim == 2
    one_each = isinstance(given, Ragged) or all(np.ndim(row) == 1 for row in given[:1])
    return one_each and bool(found.flat.min(initial=0) >= 0)


SAVED = (
    "_reads_tokens",
    "_per_step",
    "_own_token",
    "_analyzer",
    "_embedding_size",
    "_reads_text",
    "_features",
    "_is_table",
)
"""The names of files, which no attribute has any more."""
