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
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, unique_labels

from gru_rs._checks import as_choice
from gru_rs._losses import CrossEntropy
from gru_rs._words import POOLINGS

from ._containers import opened
from ._doc import document
from ._files import readable
from ._labels import as_labels, places_of
from ._probabilities import log_softmax, softmax
from ._supervised import StreamedEstimator
from ._targets import expect_rows, opened_targets, opened_weights

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._batches import Array, Sequences
    from ._learnt import Learnt


@readable
@document
@dataclass(kw_only=True, eq=False, repr=False)
class SequenceClassifier(ClassifierMixin, StreamedEstimator):  # type: ignore[misc]
    """A class for each sequence, by a GRU or LSTM, trained by cross-entropy.

    Parameters
    ----------
    {network}
    {pooling}
    {tokens}
    class_weight : "balanced", dict of class to float, or None, default None
        How much each class counts; "balanced": inversely to how often it comes.
    label_smoothing : float, default 0.0
        Share of the target that goes to all classes alike.
    {training}

    Attributes
    ----------
    classes_ : ndarray, (n_classes,)
        The labels, sorted.
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

    pooling: str = "last"
    class_weight: str | Mapping[Any, float] | None = None
    label_smoothing: float = 0.0

    def _pooled(self) -> str:
        return as_choice("pooling", self.pooling, POOLINGS)

    _of_targets = ("classes_",)

    def _read_targets(
        self, y: Any, sequences: Sequences, known: Mapping[str, Any] | None
    ) -> tuple[dict[str, Any], Array]:
        labels = as_labels("y", column_or_1d(as_labels("y", opened_targets(y)), warn=True))
        check_classification_targets(labels)
        expect_rows("y", labels, sequences.lengths)
        classes = unique_labels(labels) if known is None else known["classes_"]
        return {"classes_": classes}, places_of("classes", labels, classes)

    def _expect_targets(self, learnt: Learnt) -> None:
        learnt.labels("classes_")

    def _outputs(self, learnt: Mapping[str, Any]) -> int:
        return len(learnt["classes_"])

    def _loss(self, targets: Array) -> CrossEntropy:
        return CrossEntropy(self._per_class(targets), label_smoothing=self.label_smoothing)

    def _per_class(self, targets: Array) -> Array | None:
        """How much each class counts, if they do not count alike."""
        if self.class_weight is None:
            return None
        present = np.unique(targets)
        found = np.ones(len(self.classes_))
        found[present] = compute_class_weight(
            self.class_weight, classes=self.classes_[present], y=self.classes_[targets]
        )
        return found

    def _units(self, sequences: Any, targets: Array) -> Array | None:  # noqa: ARG002
        per_class = self._per_class(targets)
        return None if per_class is None else per_class[targets]

    def _split(self, targets: Array, count: int, seed: int) -> tuple[Array, Array]:
        # Stratified where every class has rows enough for both parts.
        counts = np.bincount(targets)
        held = max(1, round(count * self.validation_fraction))
        enough = counts[counts > 0].min() > 1 and held >= len(counts) and count - held >= len(counts)
        train, validation = train_test_split(
            np.arange(count), test_size=held, random_state=seed, stratify=targets if enough else None
        )
        return train, validation

    def _validation_score(self, sequences: Any, targets: Array, rows: Array, weights: Array | None) -> float:
        right = self._scores(sequences, rows).argmax(axis=1) == targets[rows]
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
        return self._fit(X, y, sample_weight, lengths, first=first, epochs=1, stop=False, known=known)

    def predict_proba(self, X: Any, lengths: Any = None) -> Array:
        """The probability of each class.

        {given}

        Returns
        -------
        ndarray, (n, n_classes)
            In the order of ``classes_``.

        {refused}
        """
        sequences = self._read_fitted(X, lengths)
        return self._of_scores(self._scores(sequences, sequences.rows))

    def predict_log_proba(self, X: Any, lengths: Any = None) -> Array:
        """The natural logarithms of `predict_proba`.

        {given}

        Returns
        -------
        ndarray, (n, n_classes)
            In the order of ``classes_``.

        {refused}
        """
        sequences = self._read_fitted(X, lengths)
        return log_softmax(self._scores(sequences, sequences.rows))

    def _of_scores(self, scores: Array) -> Array:
        return softmax(scores)

    def predict(self, X: Any, lengths: Any = None) -> Array:
        """The most probable class.

        {given}

        Returns
        -------
        ndarray, (n,)
            Labels of ``classes_``.

        Raises
        ------
        ValueError, TypeError
            As for `predict_proba`.
        """
        best = self.predict_proba(X, lengths).argmax(axis=1)
        found: Array = self.classes_[best]
        return found

    def score(self, X: Any, y: Any, sample_weight: Any = None, lengths: Any = None) -> float:
        """The accuracy.

        {scored}
        """
        return float(
            accuracy_score(
                opened_targets(y), self.predict(X, lengths), sample_weight=opened_weights(sample_weight)
            )
        )
