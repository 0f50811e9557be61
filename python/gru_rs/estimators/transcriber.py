"""Transcriber: labels from more steps than labels: speech, handwriting, whatever is not aligned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from rapidfuzz.distance import Levenshtein

from gru_rs._checks import as_size
from gru_rs._losses import CTC, ctc_loss

from ._doc import document
from ._exported import of_sequences
from ._files import readable
from ._labels import as_labels, expect_kind_of
from ._learnt import refuse
from ._sequence_estimator import StreamedEstimator
from ._states import StepFeatures
from ._stream import SpellingStream
from ._targets import expect_rows, opened_targets, rows_of
from ._tokens import as_tokens

if TYPE_CHECKING:
    from gru_rs._exported import Exported

    from ._batches import Array, Sequences
    from ._learnt import Learnt


@readable
@document
@dataclass(kw_only=True, eq=False, repr=False)
class Transcriber(StepFeatures, StreamedEstimator):
    """A sequence of labels for a longer sequence of steps, by a GRU or LSTM trained by CTC.

    Connectionist temporal classification (Graves et al., 2006) sums over all ways to spread the labels over
    the steps: nobody has to say when a label was spoken.

    Parameters
    ----------
    {network}
    {convolution}
    {tokens}
    beam_width : int or None, default None
        Prefixes that `predict` keeps at each step; None takes the best label of each step.
    {scoring}
    {training}

    Attributes
    ----------
    classes_ : ndarray, (n_labels,)
        The labels, sorted. The model has one more, the first: the blank.
    {attributes}

    Examples
    --------
    >>> import numpy as np
    >>> from gru_rs import Transcriber
    >>> rng = np.random.default_rng(1)
    >>> words = ["".join(rng.choice(list("ab"), 3)) for _ in range(200)]
    >>> heard = {"a": [1.0, 0, 0], "b": [0, 1.0, 0], " ": [0, 0, 1.0]}
    >>> X = [np.array([heard[letter] for letter in " ".join(word) for _ in range(2)]) for word in words]
    >>> transcriber = Transcriber(hidden_size=16, max_iter=20, learning_rate_init=0.02, random_state=1)
    >>> transcriber.fit(X, words).score(X, words)
    1.0
    """

    beam_width: int | None = None

    _stream_kind = SpellingStream

    def _check(self) -> None:
        super()._check()
        if self.beam_width is not None:
            as_size("beam_width", self.beam_width)

    def _pooled(self) -> str:
        return "each"

    _of_targets = ("classes_", "_of_text")

    def _read_targets(
        self, y: Any, sequences: Sequences, known: Mapping[str, Any] | None
    ) -> tuple[dict[str, Any], list[Array]]:
        given, lengths = opened_targets(y), sequences.lengths
        rows = _labels(given, lengths)
        if known is None:
            flat = as_labels("y", [label for row in rows for label in row])
            known = {"classes_": _classes(flat), "_of_text": all(isinstance(labels, str) for labels in given)}
        found = _numbers(rows, known["classes_"])
        stride = 1 if self.conv_channels is None else self.conv_stride
        of_what = "steps" if stride == 1 else f"frames of {stride} steps"
        for row, (labels, steps) in enumerate(zip(found, -(-lengths // stride), strict=True)):
            if _needed(labels) > steps:
                msg = f"y: expected labels that fit into the {steps} {of_what} of row {row}, got"
                msg += f" {_needed(labels)}"
                msg += " with the blanks between equal ones"
                raise ValueError(msg)
        return dict(known), found

    def _answers(self) -> Literal["one", "steps", "sequences"]:
        return "sequences"

    def _truth(self, targets: list[Array], rows: Array) -> list[Any]:
        return [self._spelled(targets[row].tolist()) for row in rows]

    def _expect_targets(self, learnt: Learnt) -> None:
        classes = learnt.labels("classes_")
        if learnt.flag("_of_text") and (classes.dtype.kind != "U" or set(map(len, classes.tolist())) != {1}):
            refuse("classes_", "single letters, as _of_text says", classes)

    def _outputs(self, learnt: Mapping[str, Any]) -> int:
        return len(learnt["classes_"]) + 1

    def _loss(self, targets: list[Array]) -> CTC:  # noqa: ARG002
        return CTC(blank=0)

    def _batch_targets(self, targets: list[Array], rows: Array) -> Any:
        return [targets[row] for row in rows]

    def _validation_score(
        self, sequences: Any, targets: list[Array], rows: Array, weights: Array | None
    ) -> float:
        guesses = [guess[0][0] for guess in self._guesses(sequences, rows, self.beam_width)]
        counted = None if weights is None else weights[rows]
        return 1 - error_rate([targets[row].tolist() for row in rows], guesses, counted)

    def _of_scores(self, scores: Array) -> Array:
        """As they are: of them the best is said when it is new."""
        return scores

    def _described(self) -> Exported:
        learnt = {"classes": self.classes_.tolist(), "of_text": self._of_text}
        return of_sequences(self, "log_softmax", learnt, most=self.max_length)

    def _answer(self) -> None:
        pass

    def _guesses(self, sequences: Any, rows: Array, width: int | None) -> list[list[tuple[list[int], float]]]:
        def spell(x: Array, lengths: Array) -> list[list[tuple[list[int], float]]]:
            return self.model_.spell(x, lengths=lengths, beam_width=width)

        return self._by_rows(sequences, rows, spell)

    def _best(self, sequences: Any) -> list[Any]:
        """The labels of each sequence."""
        guesses = self._guesses(sequences, sequences.rows, self.beam_width)
        return [self._spelled(found[0][0]) for found in guesses]

    def _spelled(self, numbers: Sequence[int]) -> Any:
        """Labels as the first targets were: a string, or a list."""
        labels = self.classes_[np.asarray(numbers, np.intp) - 1].tolist() if len(numbers) else []
        return "".join(labels) if self._of_text else labels

    def predict(self, X: Any, lengths: Any = None) -> list[Any]:
        """The labels of each sequence.

        {given}

        Returns
        -------
        list of str, or of lists of labels
            As the targets of `fit` were.

        {refused}
        """
        sequences = self._read_fitted(X, lengths)
        return self._best(sequences)

    def predict_beam(
        self, X: Any, lengths: Any = None, *, beam_width: int = 10
    ) -> list[list[tuple[Any, float]]]:
        """The best guesses at each sequence, with their probabilities.

        Parameters
        ----------
        X, lengths
            As for `fit`.
        beam_width : int, default 10
            Prefixes that are kept at each step.

        Returns
        -------
        list of list of (labels, log p)
            At most `beam_width` for each sequence, the best first; log p is of all the paths that were kept.

        Raises
        ------
        ValueError, TypeError
            As for `predict`.
        """
        sequences = self._read_fitted(X, lengths)
        found = self._guesses(sequences, sequences.rows, as_size("beam_width", beam_width))
        return [[(self._spelled(labels), log_p) for labels, log_p in guesses] for guesses in found]

    def log_likelihood(self, X: Any, y: Any, lengths: Any = None) -> Array:
        """The natural logarithm of the probability of given labels, over all ways to spread them.

        Parameters
        ----------
        X, lengths
            As for `fit`.
        y : array_like, (n,)
            The labels of each sequence, as for `fit`.

        Returns
        -------
        ndarray, (n,)
            −∞ where there are too few steps for the labels.

        Raises
        ------
        ValueError, TypeError
            Sequences or labels that `fit` would not take, or a label that training did not have.
        """
        sequences = self._read_fitted(X, lengths)
        targets = _numbers(_labels(opened_targets(y), sequences.lengths), self.classes_)
        scores = self._predict_rows(sequences, sequences.rows, self.model_._outputs_for)
        found = np.empty(len(targets))
        for row, (labels, steps) in enumerate(zip(targets, scores, strict=True)):
            if _needed(labels) > len(steps):
                found[row] = -np.inf
            else:
                # A row's loss is by the number of its labels.
                found[row] = -max(len(labels), 1) * ctc_loss(steps[np.newaxis], [labels])[0]
        return found

    def score(self, X: Any, y: Any, lengths: Any = None) -> float:
        """1 − the label error rate, which is lenient: labels that are right in part count in part.

        The error rate is the labels that must be put in, taken out or changed, by those there should be, all
        sequences together. ``np.mean([a == b for a, b in zip(transcriber.predict(X), y)])`` is strict.

        Parameters
        ----------
        X, y, lengths
            As for `fit`.

        Returns
        -------
        float
            At most 1; below 0 if more is wrong than there are labels.
        """
        sequences = self._read_fitted(X, lengths)
        found = self._best(sequences)
        truth = _labels(opened_targets(y), sequences.lengths)
        expect_kind_of("labels", as_labels("y", [label for row in truth for label in row]), self.classes_)
        return 1 - error_rate(truth, found)


def _numbers(rows: list[Sequence[Any]], classes: Array) -> list[Array]:
    """The labels of each row by their numbers, from 1 as 0 is the blank."""
    expect_kind_of("labels", as_labels("y", [label for row in rows for label in row]), classes)
    numbers = {label: number for number, label in enumerate(classes.tolist(), 1)}
    for row, labels in enumerate(rows):
        unknown = next((label for label in labels if label not in numbers), None)
        if unknown is not None:
            msg = f"y: expected labels {list(numbers)}, got {unknown!r} in row {row}"
            raise ValueError(msg)
    return [np.array([numbers[label] for label in labels], np.uint32) for labels in rows]


def _needed(labels: Array) -> int:
    """Steps that labels need, with the blanks between equal ones."""
    return len(labels) + int((labels[1:] == labels[:-1]).sum())


def _labels(given: Any, lengths: Array) -> list[Sequence[Any]]:
    """Those of each row."""
    expect_rows("y", given, lengths)
    return [
        list(labels) if isinstance(labels, str) else as_tokens("y", row, labels)
        for row, labels in enumerate(rows_of(given))
    ]


def _classes(labels: Array) -> Array:
    """All labels, sorted."""
    if labels.size == 0:
        msg = "y: expected at least one label, got none"
        raise ValueError(msg)
    found: Array = np.unique(labels)
    return found


def error_rate(
    truth: Sequence[Sequence[Any]], predicted: Sequence[Sequence[Any]], weights: Array | None = None
) -> float:
    """Edit distance over the number of labels that there should be, all sequences together.

    Examples
    --------
    >>> error_rate(["kitten"], ["sitting"])
    0.5
    """
    rows = np.ones(len(truth)) if weights is None else weights
    wrong = rows @ [Levenshtein.distance(list(a), list(b)) for a, b in zip(truth, predicted, strict=True)]
    there = rows @ [len(labels) for labels in truth]
    return float(wrong / (there or 1))
