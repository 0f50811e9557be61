"""Streams of whole models: shapes and states as a user sees them. The numbers are `_core`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core
from ._arrays import as_array, as_flags, as_integers, check_out, expect_shape
from ._checks import as_count, as_size, shown
from ._words import CELLS

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from typing_extensions import Self

    from ._arrays import Array
    from ._model import Model


class ModelStream:
    """A model's scores while its sequences come; made by `Model.stream`.

    After each step they are the scores of the sequence so far, the bits of `Model.scores` for it. One
    sequence takes a step ``(input_size,)`` or a chunk ``(T, input_size)``, some side by side ``(B,
    input_size)`` or ``(B, T, input_size)``; of tokens a step has no axis, ``()`` or ``(B,)``, unless several
    stand for one step: then there are chunks ``(T, k)`` or ``(B, T, k)`` only.

    Examples
    --------
    >>> from gru_rs import Model
    >>> stream = Model(3, 8, 2, seed=1).stream()
    >>> stream([0.1, 0.2, 0.3]).shape
    (2,)
    >>> stream(np.zeros((20, 3))[:, ::-1].astype(np.float32)).shape
    (20, 2)
    >>> sorted(stream.state)
    ['h', 'pooled', 'steps']
    """

    __slots__ = ("_batched", "_core", "_model")

    def __init__(self, model: Model, batch_size: int | None = None) -> None:
        self._model = model
        self._batched = batch_size is not None
        batch = as_size("batch_size", batch_size) if self._batched else None
        self._core = _core.ModelStream(model._core, batch)

    @property
    def batch_size(self) -> int | None:
        """Sequences side by side; None for one without an axis."""
        return self._core.batch if self._batched else None

    def __call__(self, x_t: ArrayLike, out: Array | None = None) -> Array:
        """Scores after a step, or after each step of a chunk.

        Parameters
        ----------
        x_t : array_like
            A step or a chunk; see the class.
        out : ndarray, optional
            Where the scores go.

        Returns
        -------
        ndarray, (output_size,), (T, output_size), (B, output_size) or (B, T, output_size)
            `out`, or an array of the caller's own.

        Raises
        ------
        ValueError, TypeError
            An argument of another shape or kind; nothing has changed then.
        RuntimeError
            Another thread is using this stream.
        """
        # What is plain is one call; what is not is converted, or refused, and then the same.
        found = self._core.plain(x_t, out)
        return self._sorted_out(x_t, out) if found is None else found

    def _sorted_out(self, x_t: ArrayLike, out: Array | None) -> Array:
        x, axes = self._read(x_t)
        batch, seq = (*(axes if self._batched else (1, *axes)), 1)[:2]
        shape = (*axes, self._model.output_size)
        if out is None:
            out = np.empty(shape, self._model.dtype)
        else:
            check_out("out", out, shape, self._model.dtype.name)
            if np.may_share_memory(out, x):
                msg = "out: expected an array of its own, got x_t"
                raise ValueError(msg)
        self._core.steps((x, (batch, seq), None, []), out)
        return out

    def _read(self, x_t: ArrayLike) -> tuple[Array, tuple[int, ...]]:
        """The numbers or tokens, and the axes of rows and steps that there are."""
        model, rows = self._model, self._axis
        if model.vocabulary_size is None:
            x = as_array("x_t", x_t, model.dtype)
            expect_shape("x_t", x, (*rows, model.input_size), (*rows, "T", model.input_size))
            return x, x.shape[:-1]
        x = as_integers("x_t", x_t, model.vocabulary_size)
        expect_shape("x_t", x, rows, (*rows, "T"), (*rows, "T", "tokens of a step"))
        return x, x.shape[: len(rows) + 1]

    def reset(self, mask: ArrayLike | None = None) -> None:
        """Begin again.

        Parameters
        ----------
        mask : array_like of bool, (batch_size,), optional
            Which sequences; all when missing.
        """
        if mask is None:
            self._core.reset(None)
        else:
            self._core.reset(as_flags("mask", mask, (self._rows("mask"),)).tolist())

    @property
    def state(self) -> dict[str, Array]:
        """What is remembered, a copy; write it, or None for nothing, to go on from there.

        ``h`` (and of an LSTM ``c``), (num_layers, B, hidden_size); ``pooled``, (B, n), what pooling keeps of
        the outputs so far: the last, their sum or their maximum, of "concat" these three, of "attention" the
        weighted sum, the largest weight's logarithm and the sum of the weights; ``window``, with a
        convolution alone, (B, conv_kernel_size, input_size), the last steps; ``steps``, (B,), how many there
        were.
        Without B for a stream without a batch_size.
        """
        return self._given(self._core.state(), self._axis)

    @state.setter
    def state(self, value: dict[str, ArrayLike] | None) -> None:
        if value is None:
            self._core.reset(None)
        else:
            self._core.set_state(self._taken(value, self._axis))

    def clone(self) -> Self:
        """One that goes on from here on its own, on the same model."""
        other = type(self).__new__(type(self))
        other._model, other._batched, other._core = self._model, self._batched, self._core.duplicate()
        return other

    __copy__ = clone

    def join(self, state: dict[str, ArrayLike] | None = None) -> int:
        """Take another sequence in, behind the others.

        Parameters
        ----------
        state : dict, optional
            What is remembered of it, as `leave` gives it; nothing when missing.

        Returns
        -------
        int
            Its row.
        """
        self._rows("join")
        return self._core.join(None if state is None else self._taken(state, ()))

    def leave(self, row: int) -> dict[str, Array]:
        """Let a sequence go; those behind it move up a row. One has to stay.

        Parameters
        ----------
        row : int
            Which.

        Returns
        -------
        dict
            What was remembered of it, as ``state`` without the axis of rows.
        """
        self._rows("leave")
        return self._given(self._core.leave(as_count("row", row)), ())

    @property
    def _axis(self) -> tuple[int, ...]:
        return (self._core.batch,) if self._batched else ()

    def _rows(self, what: str) -> int:
        if not self._batched:
            msg = f"{what}: expected a stream with a batch_size, got one of a single sequence"
            raise ValueError(msg)
        return self._core.batch

    def _shapes(self, rows: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        hidden = self._model.hidden_size
        states = CELLS[self._model.cell].states
        shapes = dict.fromkeys(states, (self._model.num_layers, *rows, hidden))
        shapes["pooled"] = (*rows, self._core.kept)
        if self._model.conv_channels is not None:
            shapes["window"] = (*rows, self._model.conv_kernel_size, self._model.input_size)
        return shapes | {"steps": rows}

    def _given(self, found: tuple[list[Array], list[int]], rows: tuple[int, ...]) -> dict[str, Array]:
        arrays, steps = found
        shapes = self._shapes(rows)
        if "window" not in shapes:
            arrays = arrays[:-1]
        every = zip(shapes.items(), [*arrays, np.array(steps, np.uint64)], strict=True)
        return {name: array.reshape(shape) for (name, shape), array in every}

    def _taken(self, state: Any, rows: tuple[int, ...]) -> tuple[list[Array], list[int]]:
        shapes = self._shapes(rows)
        if not isinstance(state, dict) or state.keys() != shapes.keys():
            got = sorted(map(str, state)) if isinstance(state, dict) else shown(state)
            msg = f"state: expected a dict of {sorted(shapes)}, got {got}"
            raise (ValueError if isinstance(state, dict) else TypeError)(msg)
        arrays = {
            name: np.asarray(value) if name == "steps" else as_array(name, value, self._model.dtype)
            for name, value in state.items()
        }
        for name, shape in shapes.items():
            expect_shape(name, arrays[name], shape)
        *floats, steps = (arrays[name].reshape(-1) for name in shapes)
        if "window" not in shapes:
            floats.append(np.empty(0, self._model.dtype))
        return floats, [as_count("steps", count) for count in steps.tolist()]

    def __getstate__(self) -> tuple[Any, ...]:
        return self._model, self.batch_size, self.state

    def __setstate__(self, found: tuple[Any, ...]) -> None:
        model, batch, state = found
        self.__init__(model, batch)  # type: ignore[misc]
        self.state = state
