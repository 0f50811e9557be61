"""Transcriber: labels from more steps than labels: speech, handwriting, whatever is not aligned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rapidfuzz.distance import Levenshtein
from sklearn.model_selection import train_test_split

from gru_rs._checks import as_size
from gru_rs._losses import CTC

from ._doc import document
from ._reading import expect_rows
from ._sequence import SequenceEstimator

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._sequences import Array


@document
@dataclass(kw_only=True, eq=False, repr=False)
class Transcriber(SequenceEstimator):
    """A sequence of labels for a longer sequence of steps, by a GRU or LSTM trained by CTC.

    Connectionist temporal classification (Graves et al., 2006) sums over all ways to spread the labels over
    the steps: nobody has to say when a label was spoken.

    Parameters
    ----------
    {network}
    {tokens}
    beam_width : int or None, default None
        Prefixes that `predict` keeps at each step; None takes the best label of each step.
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

    def _check(self) -> None:
        super()._check()
        if self.beam_width is not None:
            as_size("beam_width", self.beam_width)

    def _pooled(self) -> str:
        return "each"

    def _read_targets(self, y: Any, lengths: Array, *, first: bool) -> list[Array]:
        expect_rows("y", y, lengths)
        rows = [_labels(row, labels) for row, labels in enumerate(y)]
        if first:
            self.classes_ = _classes([labels for labels in rows if len(labels)])
            self._of_text = all(isinstance(labels, str) for labels in y)
        found = []
        for row, (labels, steps) in enumerate(zip(rows, lengths, strict=True)):
            if not len(labels):
                found.append(np.empty(0, np.uint32))
                continue
            if labels.dtype.kind != self.classes_.dtype.kind:
                msg = f"y: expected labels like {self.classes_[0]!r}, got {labels[0]!r} in row {row}"
                raise TypeError(msg)
            places = np.searchsorted(self.classes_, labels).clip(max=len(self.classes_) - 1)
            unknown = self.classes_[places] != labels
            if unknown.any():
                known = self.classes_.tolist()
                msg = f"y: expected labels {known}, got {labels[unknown][0]!r} in row {row}"
                raise ValueError(msg)
            needed = len(labels) + int((labels[1:] == labels[:-1]).sum())
            if needed > steps:
                msg = f"y: expected labels that fit into the {steps} steps of row {row}, got {needed} with"
                msg += " the blanks between equal ones"
                raise ValueError(msg)
            found.append((places + 1).astype(np.uint32))
        return found

    def _outputs(self) -> int:
        return len(self.classes_) + 1

    def _loss(self, targets: list[Array]) -> CTC:  # noqa: ARG002
        return CTC(blank=0)

    def _batch_targets(self, targets: list[Array], rows: Array) -> Any:
        return [targets[row] for row in rows]

    def _split(self, targets: list[Array], count: int, seed: int) -> tuple[Array, Array]:  # noqa: ARG002
        train, held = train_test_split(
            np.arange(count), test_size=self.validation_fraction, random_state=seed
        )
        return train, held

    def _validation_score(
        self,
        sequences: Any,
        targets: list[Array],
        rows: Array,
        weights: Array | None,  # noqa: ARG002
    ) -> float:
        guesses = [guess[0][0] for guess in self._guesses(sequences, rows, self.beam_width)]
        return 1 - error_rate([(targets[row]).tolist() for row in rows], guesses)

    def _guesses(self, sequences: Any, rows: Array, width: int | None) -> list[list[tuple[list[int], float]]]:
        def spell(x: Array, lengths: Array) -> list[list[tuple[list[int], float]]]:
            return self.model_.spell(x, lengths=lengths, beam_width=width)

        return self._by_rows(sequences, rows, spell)

    def _spelled(self, numbers: Sequence[int]) -> Any:
        """Labels as the first targets were: a string, or a list."""
        labels = self.classes_[np.asarray(numbers, np.intp) - 1].tolist() if len(numbers) else []
        return "".join(labels) if self._of_text else labels

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, lengths: Any = None) -> Self:
        """One epoch over these sequences. The first call fixes labels, vocabulary and scale.

        Parameters
        ----------
        X, y, sample_weight, lengths
            As for `fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As for `fit`; a label that the first call did not have.
        """
        first = not hasattr(self, "model_")
        return self._fit(X, y, sample_weight, lengths, first=first, epochs=1, stop=False)

    def predict(self, X: Any, lengths: Any = None) -> list[Any]:
        """The labels of each sequence.

        Parameters
        ----------
        X, lengths
            As for `fit`.

        Returns
        -------
        list of str, or of lists of labels
            As the targets of `fit` were.

        Raises
        ------
        ValueError, TypeError
            Sequences that `fit` would not take, or of another kind.
        """
        sequences = self._read_fitted(X, lengths)
        rows = np.arange(len(sequences.lengths))
        return [self._spelled(found[0][0]) for found in self._guesses(sequences, rows, self.beam_width)]

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
        rows = np.arange(len(sequences.lengths))
        found = self._guesses(sequences, rows, as_size("beam_width", beam_width))
        return [[(self._spelled(labels), log_p) for labels, log_p in guesses] for guesses in found]

    def score(self, X: Any, y: Any, lengths: Any = None) -> float:
        """1 − the label error rate.

        That is the labels that must be put in, taken out or changed, by those there should be.

        Parameters
        ----------
        X, y, lengths
            As for `fit`.

        Returns
        -------
        float
            At most 1; below 0 if more is wrong than there are labels.
        """
        return 1 - error_rate(list(y), self.predict(X, lengths))


def _labels(row: int, labels: Any) -> Array:
    found = np.asarray(list(labels) if isinstance(labels, str) else labels)
    if found.size == 0:
        return np.empty(0, str)
    if found.ndim != 1:
        msg = f"y: expected a string or a sequence of labels in row {row}, got shape {found.shape}"
        raise ValueError(msg)
    return found


def _classes(rows: list[Array]) -> Array:
    """All labels, sorted."""
    if not rows:
        msg = "y: expected at least one label, got none"
        raise ValueError(msg)
    if len({labels.dtype.kind for labels in rows}) > 1:
        msg = "y: expected labels of one kind, got strings and numbers"
        raise TypeError(msg)
    found: Array = np.unique(np.concatenate(rows))
    return found


def error_rate(truth: Sequence[Sequence[Any]], predicted: Sequence[Sequence[Any]]) -> float:
    """Edit distance over the number of labels that there should be, all sequences together.

    Examples
    --------
    >>> error_rate(["kitten"], ["sitting"])
    0.5
    """
    wrong = sum(Levenshtein.distance(list(a), list(b)) for a, b in zip(truth, predicted, strict=True))
    return wrong / max(sum(map(len, truth)), 1)
