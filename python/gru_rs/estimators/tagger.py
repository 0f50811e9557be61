"""SequenceTagger: named entities, parts of speech, a label for each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gru_rs import _core
from gru_rs._checks import as_size
from gru_rs._losses import CrossEntropy

from ._batches import end_to_end
from ._containers import opened
from ._doc import document
from ._exported import of_sequences
from ._files import readable
from ._labels import as_labels, expect_kind_of, expect_one_kind, places_of
from ._probabilities import log_softmax, softmax, top
from ._sequence_estimator import StreamedEstimator
from ._states import StepFeatures
from ._targets import class_weights, cut_as_steps, expect_rows, opened_targets, rows_of

if TYPE_CHECKING:
    from gru_rs._exported import Answer, Exported

    from ._batches import Array, Sequences, Token
    from ._learnt import Learnt


@readable
@document
@dataclass(kw_only=True, eq=False, repr=False)
class SequenceTagger(StepFeatures, StreamedEstimator):
    """A label for each step of a sequence, by a GRU or LSTM and a chain over the labels.

    Parameters
    ----------
    {network}
    {convolution}
    {tokens}
    crf : bool, default True
        A linear chain over the labels (Lafferty et al., 2001): which label follows which is learnt, and the
        best path is predicted. Without it each step is judged by itself.
    class_weight : "balanced", dict of label to float, or None, default None
        How much a step of each label counts, "balanced": inversely to how often it comes; for ``crf=False``,
        as a chain judges whole sequences.
    {scoring}
            Beside those "steps", the share of right labels, and "entities", F1 of whole entities.
    {training}

    Attributes
    ----------
    classes_ : ndarray, (n_labels,)
        The labels, sorted.
    {attributes}

    Examples
    --------
    >>> from gru_rs import SequenceTagger
    >>> sentences = [["Ann", "met", "Bob"], ["Bob", "slept"], ["they", "met", "Ann"]] * 8
    >>> labels = [["B-PER", "O", "B-PER"], ["B-PER", "O"], ["O", "O", "B-PER"]] * 8
    >>> tagger = SequenceTagger(hidden_size=8, max_iter=30, random_state=1).fit(sentences, labels)
    >>> [path.tolist() for path in tagger.predict([["Ann", "slept"]])]
    [['B-PER', 'O']]
    """

    output_dropout: float = 0.3
    learning_rate_init: float = 5e-3
    crf: bool = True
    class_weight: str | Mapping[Any, float] | None = None
    lowercase: bool = False
    token_features: str | Callable[[Any], Sequence[Token]] | None = "spelling"

    def _check(self) -> None:
        super()._check()
        if self.crf and self.class_weight is not None:
            msg = f"class_weight: expected None with a chain (crf=True), got {self.class_weight!r}"
            raise ValueError(msg)

    def _pooled(self) -> str:
        return "each"

    _of_targets = ("classes_",)

    def _read_targets(
        self, y: Any, sequences: Sequences, known: Mapping[str, Any] | None
    ) -> tuple[dict[str, Any], Sequences]:
        lengths = sequences.lengths
        kept = _labels_of_steps(y, sequences, self.max_length)
        flat = np.concatenate([labels for labels in kept if len(labels)] or [np.empty(0, str)])
        classes = np.unique(flat) if known is None else known["classes_"]
        if len(classes) == 0:
            msg = "y: expected at least one label, got none"
            raise ValueError(msg)
        if self.scoring == "entities" and not of_entities(classes):
            got = ", ".join(map(repr, classes.tolist()))
            msg = f"scoring: expected 'entities' of labels of IOB, IOBES or BILOU, got {got:.200}"
            raise ValueError(msg)
        return {"classes_": classes}, end_to_end(places_of("labels", flat, classes), lengths)

    def _answers(self) -> Literal["one", "steps", "sequences"]:
        return "steps"

    def _truth(self, targets: Sequences, rows: Array) -> list[Array]:
        return [self.classes_[targets.of(rows[i : i + 1])] for i in range(len(rows))]

    _own_scores = ("steps", "entities")

    def _scored(self, sequences: Sequences, targets: Sequences, rows: Array, weights: Array | None) -> float:
        if self.scoring not in self._own_scores:
            return super()._scored(sequences, targets, rows, weights)
        truth = self._truth(targets, rows)
        found = [self.classes_[path] for path in self._paths(sequences, rows)]
        chosen = None if weights is None else weights[rows]
        return (share_of_steps if self.scoring == "steps" else labels_score)(truth, found, chosen)

    def _expect_targets(self, learnt: Learnt) -> None:
        learnt.labels("classes_")

    def _read_fitted(self, X: Any, lengths: Any) -> Sequences:
        # Training may be cut, but each step gets its label.
        return self._read_whole(X, lengths)

    def _outputs(self, learnt: Mapping[str, Any]) -> int:
        return len(learnt["classes_"])

    def _loss(self, targets: Sequences) -> CrossEntropy:
        return CrossEntropy(self._per_label(targets))

    def _per_label(self, targets: Sequences) -> Array | None:
        return class_weights(self.class_weight, self.classes_, targets.flat)

    def _batch_targets(self, targets: Sequences, rows: Array) -> Array:
        return targets.of(rows)

    def _units(self, sequences: Any, targets: Sequences) -> Array:
        lengths: Array = sequences.lengths
        per_label = self._per_label(targets)
        if per_label is None:
            return lengths
        sums = np.concatenate([[0.0], per_label[targets.flat].cumsum()])
        found: Array = sums[targets.starts + lengths] - sums[targets.starts]
        return found

    def _validation_score(
        self, sequences: Any, targets: Sequences, rows: Array, weights: Array | None
    ) -> float:
        return labels_score(
            self._truth(targets, rows),
            [self.classes_[path] for path in self._paths(sequences, rows)],
            None if weights is None else weights[rows],
        )

    def _of_scores(self, scores: Array) -> Array:
        return softmax(scores)

    def _described(self) -> Exported:
        answer: Answer = "scores" if self.model_.crf else "softmax"
        return of_sequences(self, answer, {"classes": self.classes_.tolist()}, most=None)

    def _answer(self) -> _core.Answer:
        return _core.Answer.probabilities(False)

    def _paths(self, sequences: Any, rows: Array) -> list[Array]:
        return self._predict_rows(sequences, rows, lambda x, lengths: self.model_.labels(x, lengths=lengths))

    def predict(self, X: Any, lengths: Any = None) -> list[Array]:
        """The labels of each step.

        {given}

        Returns
        -------
        list of ndarray, (T_i,) each
            For each step, also beyond ``max_length``.

        {refused}
        """
        sequences = self._read_fitted(X, lengths)
        return [self.classes_[path] for path in self._paths(sequences, sequences.rows)]

    def predict_proba(self, X: Any, lengths: Any = None) -> list[Array]:
        """The probability of each label at each step; with a chain over all paths, the best of which is what
        `predict` gives.

        {given}

        Returns
        -------
        list of ndarray, (T_i, n_labels) each
            In the order of ``classes_``, for each step, also beyond ``max_length``.

        {refused}
        """
        sequences = self._read_fitted(X, lengths)
        return self._predict_rows(sequences, sequences.rows, self._probabilities)

    def _probabilities(self, x: Array, lengths: Array) -> Array:
        if self.model_.crf:
            return self.model_.marginals(x, lengths=lengths)
        return self._of_scores(self.model_.scores(x, lengths=lengths))

    def predict_log_proba(self, X: Any, lengths: Any = None) -> list[Array]:
        """The natural logarithms of `predict_proba`.

        {given}

        Returns
        -------
        list of ndarray, (T_i, n_labels) each
            −∞ where a probability is 0.

        {refused}
        """
        sequences = self._read_fitted(X, lengths)

        def logarithms(x: Array, lengths: Array) -> Array:
            if not self.model_.crf:
                return log_softmax(self.model_.scores(x, lengths=lengths))
            with np.errstate(divide="ignore"):
                found: Array = np.log(self.model_.marginals(x, lengths=lengths))
            return found

        return self._predict_rows(sequences, sequences.rows, logarithms)

    def predict_top_k(self, X: Any, lengths: Any = None, *, k: int = 5) -> list[tuple[Array, Array]]:
        """The k most probable labels of each step, the most probable first; with a chain over all paths, so
        that the first of them need not be those of `predict`.

        Parameters
        ----------
        X, lengths
            As for `fit`.
        k : int, default 5
            At most the number of labels.

        Returns
        -------
        list of (labels, probabilities), ndarray (T_i, k) each
            Labels of ``classes_``, and their probabilities as of `predict_proba`.

        Raises
        ------
        ValueError, TypeError
            As for `predict_proba`; a `k` that is too large.
        """
        count = as_size("k", k)
        return [top(found, self.classes_, count) for found in self.predict_proba(X, lengths)]

    def score(self, X: Any, y: Any, lengths: Any = None) -> float:
        """F1 of whole entities, else the share of right labels.

        Entities are counted if all labels are ``O`` or, with a type behind the dash, of one of the schemes
        IOB (``B- I-``), IOBES (``B- I- E- S-``) and BILOU (``B- I- L- U-``). What goes on with nothing of its
        type begins an entity, as in the CoNLL-2000 evaluation.

        Parameters
        ----------
        X, y, lengths
            As for `fit`.

        Returns
        -------
        float
        """
        sequences = self._read_fitted(X, lengths)
        truth = _labels_of_steps(y, sequences, None)
        for labels in truth:
            expect_kind_of("labels", labels, self.classes_)
        return labels_score(truth, [self.classes_[path] for path in self._paths(sequences, sequences.rows)])


def _labels_of_steps(y: Any, sequences: Sequences, most: int | None) -> list[Array]:
    """The labels of each row: one for each step, or padded as the row is, or more where training was cut."""
    given = opened_targets(y)
    expect_rows("y", given, sequences.lengths)
    found = []
    for row, one in enumerate(rows_of(given)):
        labels = as_labels("y", opened(f"y, row {row}", one), f" in row {row}")
        if labels.ndim != 1:
            msg = f"y: expected a label for each step in row {row}, got shape {labels.shape}"
            raise ValueError(msg)
        found.append(cut_as_steps("labels", labels, sequences, row, most))
    expect_one_kind("y", found)
    return found


_SCHEMES = ("BI", "BIES", "BILU")
"""The letters before a type, of IOB, IOBES and BILOU."""


def labels_score(truth: Sequence[Array], predicted: Sequence[Array], weights: Array | None = None) -> float:
    rows = np.ones(len(truth)) if weights is None else weights
    if not of_entities({str(label) for row in truth for label in row}):
        return share_of_steps(truth, predicted, weights)
    found = [entities(row) for row in predicted]
    real = [entities(row) for row in truth]
    right = rows @ [len(a & b) for a, b in zip(found, real, strict=True)]
    total = rows @ [len(a) + len(b) for a, b in zip(found, real, strict=True)]
    return float(2 * right / total) if total else 1.0


def of_entities(labels: Any) -> bool:
    """Whether labels, of which there are some, say where entities begin and go on."""
    kinds = {str(label) for label in labels} - {"O"}
    letters = {kind[0] if kind[1:2] == "-" else "" for kind in kinds}
    return len(labels) > 0 and any(letters <= set(scheme) for scheme in _SCHEMES)


def share_of_steps(truth: Sequence[Array], predicted: Sequence[Array], weights: Array | None = None) -> float:
    """That of right labels."""
    rows = np.ones(len(truth)) if weights is None else weights
    right = rows @ [int((a == b).sum()) for a, b in zip(truth, predicted, strict=True)]
    total = rows @ [len(row) for row in truth]
    return float(right / total) if total else 0.0


def entities(labels: Sequence[Any] | Array) -> set[tuple[str, int, int]]:
    """The (type, first, end) of the entities in labels of IOB2, IOBES or BILOU.

    ``B-``, ``S-`` and ``U-`` begin an entity; ``S-``, ``U-``, ``E-`` and ``L-`` end it, as does whatever does
    not go on with its type. What goes on with nothing begins one, as in the CoNLL-2000 evaluation.

    Examples
    --------
    >>> sorted(entities(["B-PER", "I-PER", "O", "I-LOC"]))
    [('LOC', 3, 4), ('PER', 0, 2)]
    >>> sorted(entities(["B-PER", "E-PER", "S-PER"]))
    [('PER', 0, 2), ('PER', 2, 3)]
    """
    found, kind, start = set(), "", 0
    for place, label in enumerate([*map(str, labels), "O"]):
        letter, own = (label[0], label[2:]) if label[1:2] == "-" and label[0] in "BIESLU" else ("", "")
        goes_on = letter != "" and letter in "IEL" and own == kind
        if kind and not goes_on:
            found.add((kind, start, place))
        if not goes_on:
            kind, start = own, place
        if kind and letter in "ESLU":
            found.add((kind, start, place + 1))
            kind = ""
    return found
