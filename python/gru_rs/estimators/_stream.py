"""What an estimator says while its sequences come: a user's steps, through the stream of its model."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from gru_rs._arrays import as_float_dtype
from gru_rs._checks import as_count
from gru_rs._streams import ModelStream

from ._reading import analyzer_of, as_tokens
from ._sequences import encode, factors

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from typing_extensions import Self

    from ._sequence import StreamedEstimator
    from ._sequences import Array


class EstimatorStream:
    """Predictions for the sequence so far, step by step; made by an estimator's ``stream``.

    Of numbers it takes a step ``(F,)`` or a chunk ``(T, F)``, with a batch ``(B, F)`` or ``(B, T, F)``, and
    gives an answer for each step, shaped alike. Of tokens it takes a chunk: a text, or a list of tokens; with
    a batch a list of them, all of as many tokens. Numbers are scaled and tokens looked up as in training.

    Examples
    --------
    >>> from gru_rs import SequenceClassifier
    >>> texts = ["a fine day", "what a fine film", "a bad day", "what a bad film"] * 8
    >>> labels = ["good", "good", "bad", "bad"] * 8
    >>> classifier = SequenceClassifier(hidden_size=8, max_iter=30, random_state=1).fit(texts, labels)
    >>> stream = classifier.stream()
    >>> stream("what a").shape      # a row for each word: the probabilities of classes_
    (2, 2)
    >>> stream("bad film").argmax(axis=1).tolist()
    [0, 0]
    """

    def __init__(self, estimator: StreamedEstimator, batch_size: int | None = None) -> None:
        # As it is now: to fit it again shall not change how a stream reads.
        self._estimator = copy(estimator)
        self._stream: ModelStream = estimator.model_.stream(batch_size)
        scale = None if estimator._reads_tokens else estimator.scale_
        self._scale = None if scale is None else factors(*scale, as_float_dtype(estimator.dtype))

    def __call__(self, x_t: Any) -> Any:
        """What is predicted after a step, or after each step of a chunk.

        Parameters
        ----------
        x_t : array_like, str or list
            A step or a chunk; see the class.

        Returns
        -------
        ndarray, (…, outputs)
            Of a classifier or a tagger the probabilities in the order of ``classes_``, of a regressor its
            numbers.

        Raises
        ------
        ValueError, TypeError
            A step that `predict` would not take; nothing has changed then.
        """
        return self._estimator._of_scores(self._stream(self._read(x_t)))

    def _read(self, x_t: Any) -> Array:
        if self._estimator._reads_tokens:
            return self._read_tokens(x_t)
        return self._read_numbers(x_t)

    def _read_numbers(self, x_t: ArrayLike) -> Array:
        array = np.asarray(x_t)
        if array.dtype.kind not in "fiub":
            msg = f"x_t: expected numbers, got {type(x_t).__name__} of dtype {array.dtype}"
            raise TypeError(msg)
        features, rows = self._estimator._features, self._stream._axis
        if array.shape[-1:] != (features,) or array.shape[: len(rows)] != rows:
            axes = ", ".join(map(str, rows))
            step, chunk = (
                f"({', '.join(filter(None, [axes, *more]))})"
                for more in ([str(features)], ["T", str(features)])
            )
            msg = f"x_t: expected shape {step} or {chunk}, got {array.shape}"
            raise ValueError(msg)
        if not np.isfinite(array).all():
            msg = "x_t: expected finite numbers, got NaN or infinity"
            raise ValueError(msg)
        array = array.astype(self._estimator.model_.dtype)
        if self._scale is not None:
            mean, factor = self._scale
            array -= mean
            array *= factor
        return array

    def _read_tokens(self, x_t: Any) -> Array:
        estimator, one = self._estimator, self._stream.batch_size is None
        analyze = analyzer_of(estimator.analyzer, estimator.lowercase)
        sequences = as_tokens("x_t", [x_t] if one else x_t, analyze, lowercase=estimator.lowercase)
        features, per_step = estimator._features_of(sequences), estimator._per_step
        if features is not None:
            sequences = [[feature for token in row for feature in features(token)] for row in sequences]
        counts = {len(row) for row in sequences}
        if len(sequences) != (self._stream.batch_size or 1) or len(counts) > 1:
            msg = f"x_t: expected {self._stream.batch_size} sequences of as many tokens, got {len(sequences)}"
            msg += f" of {sorted(count // per_step for count in counts)}"
            raise ValueError(msg)
        numbers = encode(sequences, estimator.vocabulary_, None, per_step).flat
        shape = (*self._stream._axis, -1, per_step) if per_step > 1 else (*self._stream._axis, -1)
        return numbers.reshape(shape)

    @property
    def batch_size(self) -> int | None:
        """Sequences side by side; None for one without an axis."""
        return self._stream.batch_size

    def reset(self, mask: ArrayLike | None = None) -> None:
        """Begin again: the sequences of a mask ``(batch_size,)``, or all."""
        self._stream.reset(mask)

    @property
    def state(self) -> dict[str, Array]:
        """What is remembered, as of a `gru_rs.ModelStream`; write it, or None, to go on from there."""
        return self._stream.state

    @state.setter
    def state(self, value: dict[str, ArrayLike] | None) -> None:
        self._stream.state = value

    def clone(self) -> Self:
        """One that goes on from here on its own."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._stream = self._stream.clone()
        return other

    __copy__ = clone

    def join(self, state: dict[str, ArrayLike] | None = None) -> int:
        """Take another sequence in, behind the others; gives back its row."""
        return self._stream.join(state)

    def leave(self, row: int) -> dict[str, Array]:
        """Let a sequence go; gives back what was remembered of it. Those behind it move up a row."""
        return self._stream.leave(row)


class SpellingStream(EstimatorStream):
    """The labels of a `Transcriber` as they are recognised: after each chunk those that are new.

    All chunks together give what `Transcriber.predict` gives without a beam: of each step the best label,
    repeated ones and blanks left out.
    """

    def __init__(self, estimator: StreamedEstimator, batch_size: int | None = None) -> None:
        super().__init__(estimator, batch_size)
        self._last = np.zeros(self.batch_size or 1, np.int64)
        self._lock = threading.Lock()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The labels go with the model's states: one call at a time for both."""
        if not self._lock.acquire(blocking=False):
            msg = "this stream is in use by another thread: one stream, one call at a time"
            raise RuntimeError(msg)
        try:
            yield
        finally:
            self._lock.release()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, found: dict[str, Any]) -> None:
        self.__dict__.update(found)
        self._lock = threading.Lock()

    def clone(self) -> Self:
        """One that goes on from here on its own."""
        with self._alone():
            other = super().clone()
        other._lock = threading.Lock()
        return other

    __copy__ = clone

    def __call__(self, x_t: Any) -> Any:
        """The labels that a step or a chunk brings.

        Parameters
        ----------
        x_t : array_like, str or list
            A step or a chunk; see `EstimatorStream`.

        Returns
        -------
        str, or list of labels
            As the targets of training were; with a batch a list of them.

        Raises
        ------
        ValueError, TypeError
            As for an `EstimatorStream`.
        """
        with self._alone():
            best = super().__call__(x_t).reshape(len(self._last), -1)
            paths = np.concatenate([self._last[:, np.newaxis], best], axis=1)
            self._last = paths[:, -1]
        new = (paths[:, 1:] != paths[:, :-1]) & (paths[:, 1:] != 0)
        spelled = [self._estimator._spelled(row[keep]) for row, keep in zip(best, new, strict=True)]
        return spelled[0] if self.batch_size is None else spelled

    def reset(self, mask: ArrayLike | None = None) -> None:
        """Begin again: the sequences of a mask ``(batch_size,)``, or all."""
        with self._alone():
            super().reset(mask)
            self._last = np.where(True if mask is None else np.asarray(mask), 0, self._last)

    @property
    def state(self) -> dict[str, Array]:
        """As of an `EstimatorStream`, and ``label``, (B,), the best of the step before."""
        with self._alone():
            return self._stream.state | {"label": self._last.reshape(self._stream._axis).copy()}

    @state.setter
    def state(self, value: dict[str, ArrayLike] | None) -> None:
        with self._alone():
            rest, label = self._parted(value, self._last.shape)
            self._stream.state = rest
            self._last = label

    def join(self, state: dict[str, ArrayLike] | None = None) -> int:
        """Take another sequence in, behind the others; gives back its row."""
        with self._alone():
            rest, label = self._parted(state, (1,))
            row = self._stream.join(rest)
            self._last = np.concatenate([self._last, label])
        return row

    def leave(self, row: int) -> dict[str, Array]:
        """Let a sequence go; gives back what was remembered of it. Those behind it move up a row."""
        row = as_count("row", row)
        with self._alone():
            left = self._stream.leave(row) | {"label": self._last[row].copy()}
            self._last = np.delete(self._last, row)
        return left

    def _parted(self, state: Any, shape: tuple[int, ...]) -> tuple[dict[str, ArrayLike] | None, Array]:
        """The model's own part of a state, and the labels."""
        if state is None:
            return None, np.zeros(shape, np.int64)
        label = np.asarray(state.get("label", ())) if isinstance(state, dict) else np.empty(())
        most = len(self._estimator.classes_)
        if (
            label.dtype.kind not in "iu"
            or label.size != shape[0]
            or not ((label >= 0) & (label <= most)).all()
        ):
            msg = f"state: expected with 'label', an integer of 0 to {most} for each row, got {state!r}"
            raise ValueError(msg)
        rest = {name: value for name, value in state.items() if name != "label"}
        return rest, label.reshape(shape).astype(np.int64)
