"""SequenceClassifier: sentiment, intents, commands, activities, speakers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, unique_labels

from gru_rs import _core
from gru_rs._arrays import as_float_dtype
from gru_rs._checks import as_choice, as_size
from gru_rs._losses import BinaryCrossEntropy, CrossEntropy, Loss
from gru_rs._words import POOLINGS

from ._containers import opened
from ._doc import document
from ._exported import of_sequences
from ._files import readable
from ._labels import as_labels, places_of
from ._learnt import refuse
from ._probabilities import log_sigmoid, log_softmax, sigmoid, softmax, top
from ._sequence_estimator import StreamedEstimator
from ._states import StateFeatures
from ._targets import class_weights, expect_rows, opened_targets, opened_weights

if TYPE_CHECKING:
    from typing_extensions import Self

    from gru_rs._exported import Exported

    from ._batches import Array, Sequences
    from ._learnt import Learnt

_SHAPES = {False: "a class for each sequence, (n,),", True: "several labels for each, (n, n_labels),"}


@readable
@document
@dataclass(kw_only=True, eq=False, repr=False)
class SequenceClassifier(ClassifierMixin, StateFeatures, StreamedEstimator):  # type: ignore[misc]
    """A class for each sequence, by a GRU or LSTM, trained by cross-entropy.

    Or several labels that do not exclude each other: targets ``(n, n_labels)`` of 0 and 1.

    Parameters
    ----------
    {network}
    {convolution}
    {pooling}
    {tokens}
    class_weight : "balanced", dict of class to float, or None, default None
        How much each class counts; "balanced": inversely to how often it comes. Not of several labels.
    label_smoothing : float, default 0.0
        Share of the target that goes to all classes alike; of several labels to 0 and 1 alike.
    {scoring}
    {training}

    Attributes
    ----------
    classes_ : ndarray, (n_classes,)
        The labels, sorted; of several labels a sequence their numbers.
    multilabel_ : bool
        Whether each sequence has several labels.
    {attributes}

    Examples
    --------
    >>> from gru_rs import SequenceClassifier
    >>> texts = ["a fine day", "what a fine film", "a bad day", "what a bad film"] * 8
    >>> labels = ["good", "good", "bad", "bad"] * 8
    >>> classifier = SequenceClassifier(hidden_size=8, max_iter=30, random_state=1).fit(texts, labels)
    >>> classifier.predict(["a fine film", "bad"]).tolist()
    ['good', 'bad']
    """

    pooling: str = "max"
    class_weight: str | Mapping[Any, float] | None = None
    label_smoothing: float = 0.0

    def _pooled(self) -> str:
        return as_choice("pooling", self.pooling, POOLINGS)

    multilabel_ = False  # of files that say nothing of it

    _of_targets = ("classes_", "multilabel_")

    def _read_targets(
        self, y: Any, sequences: Sequences, known: Mapping[str, Any] | None
    ) -> tuple[dict[str, Any], Array]:
        labels = as_labels("y", opened_targets(y))
        several = labels.ndim == 2 and labels.shape[1] > 1
        if known is not None and several != known.get("multilabel_", several):
            msg = f"y: expected {_SHAPES[not several]} as before, got shape {labels.shape}"
            raise ValueError(msg)
        if several:
            return self._several(labels, sequences, known)
        labels = as_labels("y", column_or_1d(labels, warn=True))
        check_classification_targets(labels)
        expect_rows("y", labels, sequences.lengths)
        classes = unique_labels(labels) if known is None else known["classes_"]
        return {"classes_": classes, "multilabel_": False}, places_of("classes", labels, classes)

    def _several(
        self, labels: Array, sequences: Sequences, known: Mapping[str, Any] | None
    ) -> tuple[dict[str, Any], Array]:
        """Labels that do not exclude each other, as numbers for the loss."""
        expect_rows("y", labels, sequences.lengths)
        if labels.dtype.kind == "U" or not np.isin(labels, (0, 1)).all():
            odd = labels[0, 0] if labels.dtype.kind == "U" else labels[~np.isin(labels, (0, 1))][0]
            msg = f"y: expected 0 or 1 for each of {labels.shape[1]} labels, got {odd.item()!r}"
            raise ValueError(msg)
        if self.class_weight is not None:
            msg = f"class_weight: expected None for several labels a sequence, got {self.class_weight!r}"
            raise ValueError(msg)
        classes = np.arange(labels.shape[1]) if known is None else known["classes_"]
        if not np.array_equal(classes, np.arange(labels.shape[1])):
            msg = f"y: expected the {len(classes)} labels {classes.tolist()}, got shape {labels.shape}"
            raise ValueError(msg)
        return {"classes_": np.arange(len(classes)), "multilabel_": True}, labels.astype(
            as_float_dtype(self.dtype)
        )

    def _truth(self, targets: Array, rows: Array) -> Array:
        if self.multilabel_:
            return targets[rows].astype(np.intp)
        found: Array = self.classes_[targets[rows]]
        return found

    def _expect_targets(self, learnt: Learnt) -> None:
        classes = learnt.labels("classes_")
        if not learnt.has("multilabel_") or not learnt.flag("multilabel_"):
            return
        if len(classes) < 2 or classes.dtype.kind != "i" or (classes != np.arange(len(classes))).any():
            refuse("classes_", "the numbers of several labels", classes)
        if self.class_weight is not None:
            refuse("multilabel_", "False, as there is a class_weight", True)

    def _outputs(self, learnt: Mapping[str, Any]) -> int:
        return len(learnt["classes_"])

    def _loss(self, targets: Array) -> Loss:
        if self.multilabel_:
            return BinaryCrossEntropy()
        weights = class_weights(self.class_weight, self.classes_, targets)
        return CrossEntropy(weights, label_smoothing=self.label_smoothing)

    def _batch_targets(self, targets: Array, rows: Array) -> Array:
        found = super()._batch_targets(targets, rows)
        if self.multilabel_:
            share = self.label_smoothing
            found = (found * (1 - share) + share / 2).astype(found.dtype)
        return found

    def _units(self, sequences: Any, targets: Array) -> Array | None:  # noqa: ARG002
        if self.multilabel_:
            return None
        per_class = class_weights(self.class_weight, self.classes_, targets)
        return None if per_class is None else per_class[targets]

    def _split(self, targets: Array, count: int, seed: int) -> tuple[Array, Array]:
        if self.multilabel_:
            return super()._split(targets, count, seed)
        # Stratified where every class has rows enough for both parts.
        counts = np.bincount(targets)
        held = max(1, round(count * self.validation_fraction))
        enough = counts[counts > 0].min() > 1 and held >= len(counts) and count - held >= len(counts)
        train, validation = train_test_split(
            np.arange(count), test_size=held, random_state=seed, stratify=targets if enough else None
        )
        return train, validation

    def _validation_score(self, sequences: Any, targets: Array, rows: Array, weights: Array | None) -> float:
        scores = self._scores(sequences, rows)
        if self.multilabel_:
            right = ((scores > 0) == (targets[rows] > 0)).mean(axis=1)
        else:
            right = scores.argmax(axis=1) == targets[rows]
        return float(np.average(right, weights=None if weights is None else weights[rows]))

    def partial_fit(  # type: ignore[override] # the order is scikit-learn's
        self,
        X: Any,
        y: Any,
        classes: Any = None,
        sample_weight: Any = None,
        lengths: Any = None,
    ) -> Self:
        """One epoch over these sequences. The first call fixes classes, vocabulary and scale.
        As nobody knows which call is the last, `learning_rate` "cosine" is "constant" here, and
        `early_stopping` and its kin are for `fit` alone.

        Parameters
        ----------
        X, y, sample_weight, lengths
            As for `fit`.
        classes : array_like, (n_classes,), optional
            All classes, in the first call; those of `y` when missing.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As for `fit`; a class that the first call did not name.
        """
        first, known = not hasattr(self, "model_"), None
        if classes is not None:
            known = {"classes_": unique_labels(as_labels("classes", opened("classes", classes)))}
            if not first and not np.array_equal(known["classes_"], self.classes_):
                msg = (
                    f"classes: expected {self.classes_.tolist()} as before, got {known['classes_'].tolist()}"
                )
                raise ValueError(msg)
        return self._fit(X, y, sample_weight, lengths, first=first, stop=False, known=known)

    def predict_proba(self, X: Any, lengths: Any = None) -> Array:
        """The probability of each class.

        {given}

        Returns
        -------
        ndarray, (n, n_classes)
            In the order of ``classes_``; of several labels that of each by itself.

        {refused}
        """
        return self._of_scores(self._scores_of(X, lengths))

    def predict_log_proba(self, X: Any, lengths: Any = None) -> Array:
        """The natural logarithms of `predict_proba`.

        {given}

        Returns
        -------
        ndarray, (n, n_classes)
            In the order of ``classes_``.

        {refused}
        """
        scores = self._scores_of(X, lengths)
        return log_sigmoid(scores) if self.multilabel_ else log_softmax(scores)

    def predict_top_k(self, X: Any, lengths: Any = None, *, k: int = 5) -> tuple[Array, Array]:
        """The k most probable classes, the most probable first.

        Parameters
        ----------
        X, lengths
            As for `fit`.
        k : int, default 5
            At most the number of classes.

        Returns
        -------
        classes : ndarray, (n, k)
            Labels of ``classes_``; of equally probable ones the first comes first, as for `predict`.
        probabilities : ndarray, (n, k)
            Those of `predict_proba`.

        Raises
        ------
        ValueError, TypeError
            As for `predict_proba`; a `k` that is too large.
        """
        return top(self.predict_proba(X, lengths), self.classes_, as_size("k", k))

    def _of_scores(self, scores: Array) -> Array:
        return sigmoid(scores) if self.multilabel_ else softmax(scores)

    def _described(self) -> Exported:
        learnt = {"classes": self.classes_.tolist(), "multilabel": self.multilabel_}
        return of_sequences(self, "sigmoid" if self.multilabel_ else "softmax", learnt, most=self.max_length)

    def _answer(self) -> _core.Answer:
        return _core.Answer.probabilities(self.multilabel_)

    def predict(self, X: Any, lengths: Any = None) -> Array:
        """The most probable class; of several labels those that are more probable than not.

        {given}

        Returns
        -------
        ndarray, (n,)
            Labels of ``classes_``. Of several labels ``(n, n_labels)`` of 0 and 1.

        Raises
        ------
        ValueError, TypeError
            As for `predict_proba`.
        """
        probable = self.predict_proba(X, lengths)
        if self.multilabel_:
            return (probable > 0.5).astype(np.intp)
        found: Array = self.classes_[probable.argmax(axis=1)]
        return found

    def score(self, X: Any, y: Any, sample_weight: Any = None, lengths: Any = None) -> float:
        """The accuracy; of several labels the share of sequences all of whose labels are right.

        {scored}
        """
        return float(
            accuracy_score(
                opened_targets(y), self.predict(X, lengths), sample_weight=opened_weights(sample_weight)
            )
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
