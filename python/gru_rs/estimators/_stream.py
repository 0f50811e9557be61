"""What an estimator says while its sequences come: a user's steps, through the stream of its model."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gru_rs import _core
from gru_rs._arrays import check_out
from gru_rs._checks import as_count
from gru_rs._model_stream import ModelStream

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from typing_extensions import Self

    from gru_rs._model import Model

    from ._batches import Array
    from ._reader import Reader


class Streamed(Protocol):
    """What a stream asks of a fitted estimator."""

    model_: Model
    _reader: Reader

    def _of_scores(self, scores: Array) -> Array:
        """What it predicts from scores."""
        ...

    def _answer(self) -> _core.Answer | None:
        """The same in Rust; None of scores as they are."""
        ...


class Spelling(Streamed, Protocol):
    """And one whose labels are spelled."""

    classes_: Array

    def _spelled(self, numbers: Any) -> Any:
        """Labels by their numbers."""
        ...


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
    >>> options = {"hidden_size": 8, "max_iter": 30, "random_state": 1, "bidirectional": False}
    >>> classifier = SequenceClassifier(**options).fit(texts, labels)
    >>> stream = classifier.stream()
    >>> stream("what a").shape      # a row for each word: the probabilities of classes_
    (2, 2)
    >>> stream("bad film").argmax(axis=1).tolist()
    [0, 0]
    """

    _estimator: Streamed

    def __init__(self, estimator: Streamed, batch_size: int | None = None) -> None:
        # As it is now: to fit it again shall not change how a stream reads.
        self._estimator = copy(estimator)
        for name in ("_optimizer", "_progress", "_rng"):  # nor does it train
            self._estimator.__dict__.pop(name, None)
        self._stream: ModelStream = estimator.model_.stream(batch_size)
        self._serve()

    def _serve(self) -> None:
        """What of the estimator is in Rust, for steps that are plain."""
        served = self._estimator._reader.served
        self._reading = None if served is None else served.core
        self._answer = self._estimator._answer()

    def __call__(self, x_t: Any, out: Array | None = None) -> Any:
        """What is predicted after a step, or after each step of a chunk.

        Parameters
        ----------
        x_t : array_like, str or list
            A step or a chunk; see the class.
        out : ndarray, optional
            Where the predictions go: C-contiguous, of the model's dtype, or of a regressor of float64.

        Returns
        -------
        ndarray, (…, outputs)
            Of a classifier or a tagger the probabilities in the order of ``classes_``, of a regressor its
            numbers: `out`, or an array of the caller's own.

        Raises
        ------
        ValueError, TypeError
            A step that `predict` would not take, an `out` of another shape or kind; nothing has changed then.
        RuntimeError
            Another thread is using this stream.
        KeyboardInterrupt
            In a long chunk: the stream stands at some step of it, and `out` is of no meaning. `reset` it.
        """
        found = None
        if self._reading is not None:
            # What is plain is one call; what is not is read in Python, or refused.
            found = self._stream._core.plain(x_t, out, self._reading, self._answer)
        return self._read(x_t, out) if found is None else found

    def _read(self, x_t: Any, out: Array | None) -> Any:
        estimator, stream = self._estimator, self._stream
        x = estimator._reader.step(x_t, stream.batch_size)
        if out is None:
            return estimator._of_scores(stream(x))
        x, axes = stream._read(x)
        # What nothing is made of says the shape of all that is made, and their dtype.
        empty = estimator._of_scores(np.empty((0, estimator.model_.output_size), estimator.model_.dtype))
        check_out("out", out, (*axes, *empty.shape[1:]), empty.dtype.name)
        out[...] = estimator._of_scores(stream(x))
        return out

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_reading", "_answer")}

    def __setstate__(self, found: dict[str, Any]) -> None:
        vars(self).update(found)
        self._serve()

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

    _estimator: Spelling

    def __init__(self, estimator: Spelling, batch_size: int | None = None) -> None:
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
        return {name: value for name, value in super().__getstate__().items() if name != "_lock"}

    def __setstate__(self, found: dict[str, Any]) -> None:
        super().__setstate__(found)
        self._lock = threading.Lock()

    def clone(self) -> Self:
        """One that goes on from here on its own."""
        with self._alone():
            other = super().clone()
        other._lock = threading.Lock()
        return other

    __copy__ = clone

    def __call__(self, x_t: Any) -> Any:  # type: ignore[override] # labels have no array
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
            best = super().__call__(x_t).argmax(axis=-1).reshape(len(self._last), -1)
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
