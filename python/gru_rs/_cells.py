"""GRUCell and LSTMCell: one step, the caller holding the state. A cell is a layer of one step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ._arrays import as_array, as_states, check_out, expect_apart, expect_shape
from ._gradients import Grads
from ._parameters import Argument, Recurrent
from ._saved import readable
from ._words import CELLS

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ._arrays import Array
    from ._core import Tape as CoreTape
    from ._names import Names

    _Arguments: TypeAlias = tuple[Array, int, int, list[Array], None]


class _Cell(Recurrent):
    """One step of a GRU or LSTM."""

    @classmethod
    def _named(cls, names: list[tuple[str, int, int, list[int]]]) -> Names:
        return [(name.removesuffix("_l0"), *rest) for name, *rest in super()._named(names)]  # type: ignore[misc]

    def _states(self, name: str, value: Any) -> list[Any]:
        """The states in `value`, none for None."""
        return [] if value is None else as_states(name, value, CELLS[self._cell].states)

    def _checked(self, name: str, value: Any, shape: tuple[int, ...]) -> list[Array]:
        """States or their gradients as arrays; a missing one of a pair is zero."""
        arrays = []
        for letter, given in zip(CELLS[self._cell].states, self._states(name, value), strict=False):
            own = name.replace("h", letter)
            array = np.zeros(shape, self._dtype) if given is None else as_array(own, given, self._dtype)
            expect_shape(own, array, shape)
            arrays.append(array)
        return arrays

    def _run(self, x: ArrayLike, h: Any) -> tuple[tuple[int, ...], _Arguments]:
        given = as_array("x", x, self._dtype)
        expect_shape("x", given, ("B", self.input_size), (self.input_size,))
        rows = given.shape[:-1]
        shape = (*rows, self.hidden_size)
        return shape, (given, rows[0] if rows else 1, 1, self._checked("h", h, shape), None)

    def __call__(self, x: ArrayLike, h: Any = None, *, out: Any = None) -> Any:
        """One step.

        Parameters
        ----------
        x : array_like
            ``(B, input_size)`` or ``(input_size,)``.
        h : array_like, or a pair (h, c) for an LSTM, optional
            ``(B, hidden_size)`` or ``(hidden_size,)``; zeros when missing.
        out : ndarray, or a pair of them for an LSTM, optional
            Where the new state goes; may be the old one.

        Returns
        -------
        ndarray, or a pair (h', c') for an LSTM
            The new state; `out` itself if given.

        Examples
        --------
        >>> GRUCell(3, 8)([0.1, 0.2, 0.3]).shape
        (8,)
        """
        shape, arguments = self._run(x, h)
        if out is None:
            _, states = self._core.run(*arguments)
            return self._wrap([state.reshape(shape) for state in states])
        outs = self._states("out", out)
        for array in outs:
            check_out("out", array, shape, self._dtype.name)
        expect_apart("out", outs)
        _, states = self._core.run(*arguments)
        for array, state in zip(outs, states, strict=True):
            array[...] = state.reshape(shape)
        return out

    def _outputs_for(self, x: Any, lengths: Any) -> Array:
        if lengths is not None:
            msg = "lengths: expected None for a cell, which takes one step"
            raise ValueError(msg)
        shape, arguments = self._run(x, None)
        return self._core.run(*arguments)[1][0].reshape(shape)

    def forward(self, x: ArrayLike, h: Any = None) -> tuple[Any, CellTape]:
        """One step for training.

        Parameters
        ----------
        x, h
            As in a call.

        Returns
        -------
        h' : ndarray, or a pair for an LSTM
            As from a call.
        tape : CellTape
            Good for one ``backward``.

        Examples
        --------
        >>> h, tape = GRUCell(3, 8).forward(np.ones((2, 3), np.float32))
        >>> tape.backward(h).x.shape
        (2, 3)
        """
        shape, arguments = self._run(x, h)
        _, states, tape = self._core.forward(*arguments, None, False)
        return self._wrap([state.reshape(shape) for state in states]), CellTape(self, shape, tape)


class CellTape:
    """What one step keeps for one ``backward``; made by a cell only."""

    __slots__ = ("_cell", "_core", "_shape")

    def __init__(self, cell: _Cell, shape: tuple[int, ...], core: CoreTape) -> None:
        self._cell, self._shape, self._core = cell, shape, core

    def backward(self, dh: Any = None) -> Grads:
        """The gradients of a loss, from that of the new state.

        Parameters
        ----------
        dh : array_like, or a pair (dh, dc) for an LSTM, optional
            Shaped as the new state; zeros when missing.

        Returns
        -------
        Grads
            With ``x``, ``h0`` (of the old state), ``params`` and ``flat``.

        Raises
        ------
        RuntimeError
            The tape was used, or the cell's weights were written since.
        """
        d_states = self._cell._checked("dh", dh, self._shape)
        x, states, flat = self._core.backward(None, d_states)
        wrapped = self._cell._wrap([state.reshape(self._shape) for state in states])
        rows = self._shape[:-1]
        return Grads(x.reshape((*rows, self._cell.input_size)), wrapped, flat, self._cell._names)

    def __reduce__(self) -> Any:
        msg = "a CellTape cannot be pickled: run forward again"
        raise TypeError(msg)


@readable
class GRUCell(_Cell):
    """One step of a `GRU`, as PyTorch's ``nn.GRUCell``.

    Parameters
    ----------
    input_size, hidden_size, bias, reset_after, recurrent_activation, activation, clip, dtype, seed
        As for `GRU`.

    Examples
    --------
    >>> cell = GRUCell(3, 8, seed=1)
    >>> h = cell(np.ones((2, 3), np.float32))
    >>> h = cell(np.ones((2, 3), np.float32), h)
    >>> h.shape
    (2, 8)
    """

    reset_after: Argument[bool] = Argument("Where the reset gate acts.")

    _cell = "gru"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        reset_after: bool = True,
        recurrent_activation: str = "sigmoid",
        activation: str = "tanh",
        clip: float | None = None,
        dtype: Any = np.float32,
        seed: int | None = None,
    ) -> None:
        self._make(locals())


@readable
class LSTMCell(_Cell):
    """One step of an `LSTM`, as PyTorch's ``nn.LSTMCell``: (h, c) in place of h.

    Parameters
    ----------
    input_size, hidden_size, bias, recurrent_activation, activation, clip, dtype, seed
        As for `LSTM`.

    Examples
    --------
    >>> cell = LSTMCell(3, 8, seed=1)
    >>> h, c = cell(np.ones((2, 3), np.float32))
    >>> h.shape, c.shape
    ((2, 8), (2, 8))
    """

    _cell = "lstm"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        recurrent_activation: str = "sigmoid",
        activation: str = "tanh",
        clip: float | None = None,
        dtype: Any = np.float32,
        seed: int | None = None,
    ) -> None:
        self._make(locals())
