"""GRU and LSTM: what a user calls. It turns arrays into sizes and back; the numbers are `_core`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from ._arrays import as_array, as_flags, as_lengths, as_states, expect_shape
from ._checks import as_choice, as_seed, as_size
from ._gradients import Grads
from ._parameters import Argument, Recurrent
from ._saved import readable
from ._words import CELLS, WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from ._arrays import Array
    from ._core import Stream
    from ._core import Tape as CoreTape

    _Arguments: TypeAlias = tuple[Array, int, int, list[Array], list[int] | None]


class _Layer(Recurrent):
    """A stack of recurrent layers, GRU or LSTM."""

    num_layers: Argument[int] = Argument("Layers, one on the other.")
    batch_first: Argument[bool] = Argument("Whether arrays are (batch, steps, numbers).")
    dropout: Argument[float] = Argument("Share of the outputs between layers that training drops.")
    bidirectional: Argument[bool] = Argument("Whether there is a second direction.")

    def _states(self, name: str, value: Any) -> list[tuple[str, Any]]:
        """The states in `value` by name, none for None."""
        if value is None:
            return []
        letters = CELLS[self._cell].states
        names = [name.replace("h", letter) for letter in letters]
        return list(zip(names, as_states(name, value, letters), strict=True))

    def stream(self, batch_size: int | None = None) -> Stream:
        """Run step by step or chunk by chunk, the state kept inside, starting from zeros.

        Parameters
        ----------
        batch_size : int, optional
            Sequences side by side; None for one, without a batch axis.

        Returns
        -------
        Stream
            Call it with a step ``(input_size,)`` or ``(batch_size, input_size)``, or with a chunk, which has
            an axis T more, as in a call of the layer; and, if you like, with ``out=``. It gives as many steps
            of ``hidden_size`` numbers, the bits of one call of the layer over all of them, and takes the
            layer's newest weights at each call.

            Its ``state`` can be read and written and is shaped as the layer's h_n, without the axis of the
            batch if there is none; ``reset(mask)`` begins again from zeros, ``clone()`` goes on on its own,
            ``join(state)`` and ``leave(row)`` take sequences in and let them go. It can be pickled, with its
            layer.

        Raises
        ------
        ValueError
            The layer is bidirectional: its second direction begins at the end of the sequence.

        Examples
        --------
        >>> stream = GRU(3, 8).stream()
        >>> stream([0.1, 0.2, 0.3]).shape
        (8,)
        >>> stream(np.zeros((20, 3), np.float32)).shape
        (20, 8)
        >>> calls = GRU(3, 8).stream(batch_size=2)
        >>> calls(np.zeros((2, 3), np.float32)).shape
        (2, 8)
        >>> calls.reset([True, False])
        >>> calls.state.shape
        (1, 2, 8)
        """
        if self.bidirectional:
            msg = (
                "stream: expected a layer of one direction, got bidirectional=True, whose reverse direction "
                "begins at the end of the sequence"
            )
            raise ValueError(msg)
        return self._core.stream(self, None if batch_size is None else as_size("batch_size", batch_size))

    def _stream_states(self, value: Any, shape: tuple[int, ...]) -> list[Array]:
        """The states that a stream shall go on from, none for zeros."""
        states = []
        for name, given in self._states("state", value):
            state = as_array(name, given, self._dtype)
            expect_shape(name, state, shape)
            states.append(state)
        return states

    def _run(self, x: ArrayLike, h0: Any, lengths: Any) -> tuple[_Frame, _Arguments]:
        """The checked arguments of a call."""
        given = as_array("x", x, self._dtype)
        axes = ("B", "T") if self.batch_first else ("T", "B")
        expect_shape("x", given, (*axes, self.input_size), ("T", self.input_size))
        frame = _Frame(self, given)
        states = []
        for name, value in self._states("h0", h0):
            state = as_array(name, value, self._dtype)
            expect_shape(name, state, frame.state_shape)
            states.append(state)
        steps = None if lengths is None else as_lengths(lengths, frame.batch, frame.seq)
        return frame, (given, frame.batch, frame.seq, states, steps)

    def _resets(self, resets: ArrayLike | None, frame: _Frame) -> Array | None:
        return None if resets is None else as_flags("resets", resets, frame.x_shape[:-1])

    def __call__(
        self,
        x: ArrayLike,
        h0: Any = None,
        *,
        lengths: ArrayLike | Sequence[int] | None = None,
        resets: ArrayLike | None = None,
    ) -> tuple[Array, Any]:
        """Run the layer for its outputs: nothing is kept, nothing is dropped.

        Parameters
        ----------
        x : array_like
            ``(T, B, input_size)``, or ``(B, T, input_size)`` with batch_first, or ``(T, input_size)`` for
            one sequence without a batch axis.
        h0 : array_like, optional
            ``(num_layers · directions, B, hidden_size)``, without B for one sequence; zeros when missing.
            An LSTM takes a pair (h0, c0).
        lengths : array_like of int, (B,), optional
            Each row's steps, in any order, zeros allowed. Past them x is not read and y is zero; the
            reverse direction starts at the last of them.
        resets : array_like of bool, optional
            Shaped as x without its last axis: True where a step begins a new sequence, as an episode does.
            The states before it are zeros, at the first step in place of h0, and gradients do not go beyond
            it; the reverse direction begins anew at the step before it. The bits are those of separate calls.

        Returns
        -------
        y : ndarray
            As x, ``directions · hidden_size`` numbers a step.
        h_n : ndarray, or a pair (h_n, c_n) for an LSTM
            The states after each row's last step, shaped as h0.

        Raises
        ------
        ValueError
            A shape or a length cannot be.
        TypeError
            A dtype is wider than the layer's, or no number.

        Examples
        --------
        >>> y, h_n = GRU(3, 8)(np.zeros((5, 2, 3), np.float32), lengths=[5, 2])
        >>> y.shape, h_n.shape
        ((5, 2, 8), (1, 2, 8))
        """
        frame, arguments = self._run(x, h0, lengths)
        y, states = self._core.run(*arguments, self._resets(resets, frame))
        return y.reshape(frame.y_shape), self._wrap([state.reshape(frame.state_shape) for state in states])

    def forward(
        self,
        x: ArrayLike,
        h0: Any = None,
        *,
        lengths: ArrayLike | Sequence[int] | None = None,
        resets: ArrayLike | None = None,
        seed: int | None = None,
        memory: Literal["full", "low"] = "full",
    ) -> tuple[Array, Any, Tape]:
        """Run the layer for training: dropout is on, and what backward needs is kept.

        Parameters
        ----------
        x, h0, lengths, resets
            As in a call.
        seed : int, optional
            Of the dropout between layers; when missing the layer's own generator gives one and moves on.
        memory : {"full", "low"}
            What the tape holds. With "low" it is x and, for each layer, the states at about √T places, from
            which backward computes the rest again (Chen et al., "Training Deep Nets with Sublinear Memory
            Cost", 2016): a third to a half more time, the same bits.

        Returns
        -------
        y, h_n
            As from a call, and with dropout=0 the same bits.
        tape : Tape
            Good for one ``backward``.

        Examples
        --------
        >>> gru = GRU(3, 8)
        >>> y, h_n, tape = gru.forward(np.ones((5, 2, 3), np.float32))
        >>> grads = tape.backward(dy=y)             # of the loss y² / 2
        >>> grads.flat.shape == gru.flat.shape
        True
        """
        drawn = None if seed is None else as_seed(seed)
        low = as_choice("memory", memory, WORDS["memory"]) == "low"
        frame, arguments = self._run(x, h0, lengths)
        y, states, tape = self._core.forward(*arguments, drawn, low, self._resets(resets, frame))
        wrapped = self._wrap([state.reshape(frame.state_shape) for state in states])
        return y.reshape(frame.y_shape), wrapped, Tape(self, frame, tape)

    def _outputs_for(self, x: Any, lengths: Any) -> Array:
        y, _ = self(x, lengths=lengths)
        return y


class _Frame:
    """The sizes of one call, and the shapes that follow from them."""

    __slots__ = ("batch", "seq", "state_shape", "x_shape", "y_shape")

    def __init__(self, layer: _Layer, x: Array) -> None:
        directions = 2 if layer.bidirectional else 1
        scans = layer.num_layers * directions
        self.x_shape: tuple[int, ...] = x.shape
        self.y_shape = (*x.shape[:-1], directions * layer.hidden_size)
        if x.ndim == 2:
            self.seq, self.batch = x.shape[0], 1
            self.state_shape: tuple[int, ...] = (scans, layer.hidden_size)
        else:
            self.seq, self.batch = x.shape[:2] if not layer.batch_first else x.shape[1::-1]
            self.state_shape = (scans, self.batch, layer.hidden_size)


class Tape:
    """What one ``forward`` keeps for one ``backward``; made by a layer only.

    It holds copies: arrays that were passed in may be changed.
    """

    __slots__ = ("_core", "_frame", "_layer")

    def __init__(self, layer: _Layer, frame: _Frame, core: CoreTape) -> None:
        self._layer, self._frame, self._core = layer, frame, core

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._core.nbytes

    def backward(self, dy: ArrayLike | None = None, dh_n: Any = None) -> Grads:
        """The gradients of a loss, from those of its outputs and final states.

        Parameters
        ----------
        dy : array_like, optional
            Shaped as y; zeros when missing. Past a row's length it is not read.
        dh_n : array_like, or a pair (dh_n, dc_n) for an LSTM, optional
            Shaped as h_n; zeros when missing, of a pair either.

        Returns
        -------
        Grads
            With ``x``, ``h0``, ``params`` and ``flat``.

        Raises
        ------
        RuntimeError
            The tape was used, or the layer's weights were written since its forward.
        ValueError, TypeError
            A shape or dtype cannot be; the tape stays good.
        """
        layer, frame = self._layer, self._frame
        d_y = None
        if dy is not None:
            d_y = as_array("dy", dy, layer.dtype)
            expect_shape("dy", d_y, frame.y_shape)
        d_states = []
        for name, value in layer._states("dh_n", dh_n):
            given = np.zeros(frame.state_shape, layer.dtype) if value is None else value
            d_state = as_array(name, given, layer.dtype)
            expect_shape(name, d_state, frame.state_shape)
            d_states.append(d_state)
        x, states, flat = self._core.backward(d_y, d_states)
        wrapped = layer._wrap([state.reshape(frame.state_shape) for state in states])
        return Grads(x.reshape(frame.x_shape), wrapped, flat, layer._names)

    def __reduce__(self) -> Any:
        msg = "a Tape cannot be pickled: run forward again"
        raise TypeError(msg)


def _resume(layer: _Layer, batch_size: int | None, state: Any) -> Stream:
    """A stream out of a pickle."""
    stream = layer.stream(batch_size)
    stream.state = state
    return stream


@readable
class GRU(_Layer):
    """Gated recurrent units, as PyTorch's ``nn.GRU`` and, with ``reset_after=False``, as Cho et al. 2014.

    With σ the logistic function and ⊙ the product element by element::

        r  = σ(W_ir x + b_ir + W_hr h + b_hr)
        z  = σ(W_iz x + b_iz + W_hz h + b_hz)
        n  = tanh(W_in x + b_in + r ⊙ (W_hn h + b_hn))     reset_after=True (PyTorch, cuDNN, Keras)
        n  = tanh(W_in x + b_in + W_hn (r ⊙ h) + b_hn)     reset_after=False (Cho et al. 2014, ONNX)
        h' = (1 − z) ⊙ n + z ⊙ h

    Parameters
    ----------
    input_size : int
        Numbers a step of the input.
    hidden_size : int
        Units of a layer and direction.
    num_layers : int, default 1
        Layers, each reading the outputs of the one below.
    bias : bool, default True
        Whether there are biases.
    batch_first : bool, default False
        Whether arrays are ``(B, T, …)`` in place of ``(T, B, …)``; states never are.
    dropout : float, default 0.0
        Share of the outputs of every layer but the last that training drops.
    bidirectional : bool, default False
        A second direction from the end to the beginning, its outputs beside the first's.
    reset_after : bool, default True
        Where the reset gate acts; the two variants' weights are not interchangeable.
    recurrent_activation : {"sigmoid", "tanh", "relu", "hard_sigmoid", "hard_sigmoid_0.2"}, default "sigmoid"
        In place of σ. ``hard_sigmoid`` is x/6 + 1/2 within [0, 1], as of PyTorch and Keras 3;
        ``hard_sigmoid_0.2`` is 0.2 x + 1/2 within [0, 1], as of Keras 1 and 2 and, by default, of ONNX.
    activation : str, default "tanh"
        In place of tanh, one of the same.
    clip : float, optional
        Bounds the arguments of all of them to ±clip, as ONNX's nodes may; their gradient is 0 there.
    dtype : dtype, default float32
        float32 or float64.
    seed : int, optional
        Of the first weights, uniform in ±1/√hidden_size, and of dropout.

    Examples
    --------
    >>> gru = GRU(3, 8, seed=1)
    >>> y, h_n = gru(np.ones((5, 2, 3), np.float32))
    >>> y.shape, h_n.shape
    ((5, 2, 8), (1, 2, 8))
    """

    reset_after: Argument[bool] = Argument("Where the reset gate acts.")

    _cell = "gru"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        reset_after: bool = True,
        recurrent_activation: str = "sigmoid",
        activation: str = "tanh",
        clip: float | None = None,
        dtype: Any = np.float32,
        seed: int | None = None,
    ) -> None:
        self._make(locals())


@readable
class LSTM(_Layer):
    """Long short-term memory, as PyTorch's ``nn.LSTM``; where GRU has h it has the pair (h, c).

    ::

        i, f, o = σ(W_i· x + b_i· + W_h· h + b_h·)
        g       = tanh(W_ig x + b_ig + W_hg h + b_hg)
        c'      = f ⊙ c + i ⊙ g
        h'      = o ⊙ tanh(c')

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional
        As for `GRU`.
    recurrent_activation, activation, clip, dtype, seed
        As for `GRU`; `activation` is that of g and of c', and `clip` does not concern the latter, as in
        ONNX Runtime.

    Examples
    --------
    >>> lstm = LSTM(3, 8, seed=1)
    >>> y, (h_n, c_n) = lstm(np.ones((5, 2, 3), np.float32))
    >>> y.shape, h_n.shape, c_n.shape
    ((5, 2, 8), (1, 2, 8), (1, 2, 8))
    """

    _cell = "lstm"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        recurrent_activation: str = "sigmoid",
        activation: str = "tanh",
        clip: float | None = None,
        dtype: Any = np.float32,
        seed: int | None = None,
    ) -> None:
        self._make(locals())
