"""Recurrent layers of Keras models, read without Keras, and their weights back (extra ``keras``).

The files' forms are Keras's own: ``.keras`` and ``.weights.h5`` of Keras 3, ``.h5`` of Keras 1, 2 and 3
(https://keras.io/guides/serialization_and_saving/). Where layers are in them `_keras_files` knows, and
`_keras_objects` where in models; what their options mean is `_keras_layers`'s to say.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from .._arrays import as_array, expect_shape
from .._files import MAX_BYTES
from .._layers import GRU, LSTM
from ._found import Found, everything, sorted_out
from ._keras_configs import of_json
from ._keras_files import of_file
from ._keras_layers import layer_of
from ._keras_objects import of_object
from ._layouts import KERAS, cell_of, parts_of
from ._steps import packed_steps, spread_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import ArrayLike

    from .._arrays import Array
    from ._keras_configs import Entry, Seen


class KerasLayer:
    """One recurrent layer of a Keras model; call it for what the layer gives.

    Attributes
    ----------
    name : str
        The layer's, those of models around it before it: ``"encoder/gru"``.
    layer : GRU or LSTM
        What it computes, batch_first, as a layer.
    return_sequences, return_state, go_backwards, stateful, zero_output_for_mask : bool
        As in Keras.
    merge_mode : {"concat", "sum", "mul", "ave", None}
        Of Bidirectional's two outputs.
    """

    def __init__(self, name: str, layer: GRU | LSTM, options: Mapping[str, Any]) -> None:
        self.name, self.layer = name, layer
        self.return_sequences: bool = options["return_sequences"]
        self.return_state: bool = options["return_state"]
        self.go_backwards: bool = options["go_backwards"]
        self.stateful: bool = options["stateful"]
        self.zero_output_for_mask: bool = options["zero_output_for_mask"]
        self.merge_mode: str | None = options["merge_mode"]
        self._state: list[Array] | None = None

    def __repr__(self) -> str:
        return f"KerasLayer({self.name!r}, {self.layer!r})"

    def reset_state(self) -> None:
        """Begin the next call from zeros: for stateful layers."""
        self._state = None

    def __call__(
        self,
        x: ArrayLike,
        mask: ArrayLike | None = None,
        initial_state: ArrayLike | Sequence[ArrayLike] | None = None,
    ) -> Any:
        """What the layer gives, in Keras's order and shapes.

        Parameters
        ----------
        x : array_like
            ``(B, T, I)``.
        mask : array_like of bool, (B, T), optional
            Which steps count, anywhere in a row. At others the state stays, and the output is the last, or
            zeros with `zero_output_for_mask` (and from Bidirectional).
        initial_state : array_like or sequence of them, optional
            ``(B, H)`` each: h of a GRU, (h, c) of an LSTM; both directions' one after the other, as those of
            cells on each other, which may be nested.

        Returns
        -------
        ndarray or tuple
            The outputs, ``(B, T, H)``, or the last one without `return_sequences`; with ``merge_mode=None``
            two of them; with `return_state` the states follow.

        Raises
        ------
        ValueError
            A shape cannot be, or there are no steps, of which Keras gives nothing either.
        """
        layer = self.layer
        given = as_array("x", x, layer.dtype)
        expect_shape("x", given, ("B", "T", layer.input_size))
        if not given.shape[1]:
            msg = f"x: expected at least one step, as Keras's layers do, got shape {given.shape}"
            raise ValueError(msg)
        marks = None if mask is None else self._mask(mask, given.shape[:2])
        first = self._first(initial_state, given.shape[0])
        if self.go_backwards:
            given = given[:, ::-1]
            marks = None if marks is None else marks[:, ::-1]
        lengths = None
        if marks is not None:
            given, lengths = packed_steps(given, marks)
        y, last = layer(given, tuple(first) if isinstance(layer, LSTM) else first[0], lengths=lengths)
        finals = last if isinstance(last, tuple) else (last,)
        directions = 2 if layer.bidirectional else 1
        states = [[final[k] for final in finals] for k in range(len(finals[0]))]
        if self.stateful:
            self._state = _flat(states)
        halves = zip(np.split(y, directions, -1), finals[0][-directions:], strict=True)
        ys = [self._outputs(half, final, marks) for half, final in halves]
        outputs: list[Any] = ys if directions == 2 and self.merge_mode is None else [self._merge(ys)]
        if self.return_state:  # of cells on each other nested, if each has several
            outputs += states if layer.num_layers > 1 and len(finals) > 1 else _flat(states)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _mask(self, mask: ArrayLike, shape: tuple[int, ...]) -> Array:
        marks = np.asarray(mask)
        if marks.dtype != np.bool_:
            msg = f"mask: expected an array of bool, got {marks.dtype}"
            raise TypeError(msg)
        expect_shape("mask", marks, shape)
        return marks

    def _first(self, given: Any, batch: int) -> list[Array]:
        """The initial states as the layer takes them: h, and c of an LSTM, of all directions."""
        layer = self.layer
        kinds = 2 if isinstance(layer, LSTM) else 1
        count = kinds * layer.num_layers * (2 if layer.bidirectional else 1)
        shape = (batch, layer.hidden_size)
        if given is None:
            zeros = [np.zeros(shape, layer.dtype)] * count
            given = zeros if self._state is None else self._state
        given = _flat(given) if isinstance(given, (list, tuple)) else [given]
        if len(given) != count:
            msg = f"initial_state: expected {count} states, got {len(given)}"
            raise ValueError(msg)
        states = [as_array("initial_state", state, layer.dtype) for state in given]
        for state in states:
            expect_shape("initial_state", state, shape)
        return [np.stack(states[kind::kinds]) for kind in range(kinds)]

    def _outputs(self, y: Array, final: Array, marks: Array | None) -> Array:
        """One direction's outputs at the places of their steps, or the last of them."""
        if self.layer.bidirectional:
            if not self.return_sequences:
                marks = np.ones(y.shape[:2], np.bool_) if marks is None else marks
                return np.where(marks.any(axis=1, keepdims=True), final, np.zeros((), y.dtype))
            return y if marks is None else spread_steps(y, marks, hold=False)
        if marks is not None:
            y = spread_steps(y, marks, hold=not self.zero_output_for_mask)
        return y if self.return_sequences else y[:, -1]

    def _merge(self, ys: list[Array]) -> Array:
        if len(ys) == 1:
            return ys[0]
        if self.merge_mode == "concat":
            return np.concatenate(ys, -1)
        merged: Array = ys[0] * ys[1] if self.merge_mode == "mul" else ys[0] + ys[1]
        return merged / np.asarray(2, merged.dtype) if self.merge_mode == "ave" else merged


def _flat(nested: Any) -> list[Any]:
    """The states of each cell one after the other."""
    return [leaf for one in nested for leaf in (one if isinstance(one, (list, tuple)) else [one])]


def from_keras(
    source: Any,
    name: str | None = None,
    *,
    config: str | Mapping[str, Any] | None = None,
    max_bytes: int = MAX_BYTES,
) -> dict[str, KerasLayer]:
    """Take every recurrent layer of a Keras model; Keras is not needed for its files.

    GRU, LSTM, their forms for CuDNN, RNN of GRUCell or LSTMCell or several of them of one size on each other,
    and Bidirectional of these, wherever they are in the model. Numbers of 16 bits become float32, and so does
    the computation of layers whose policy is a mixed one.

    Parameters
    ----------
    source : path-like, or a model or layer of Keras
        ``.keras``, ``.weights.h5``, a legacy ``.h5`` of a model or of weights, one of these in an archive, or
        the object itself.
    name : str, optional
        Of the one layer that is wanted. Without it one that has to be refused is an error, which tells all
        names.
    config : str or mapping, optional
        For files of weights alone: the model's, as ``model.to_json()`` gives it. Without it a layer is taken
        to be as Keras 3 makes it by default, with a warning, and a GRU without biases is refused, since then
        nothing in the weights tells where its reset gate acts. For layers within classes of the user's own,
        whose configs no file has: ``{name: keras.saving.serialize_keras_object(layer)}``.
    max_bytes : int, default 2**32
        The most to read of a file, and to make of it.

    Returns
    -------
    dict of str to KerasLayer
        By the layers' names, those of what they are in before them: ``"encoder/gru"``.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It is none of these, has no such layer, refers to what is not in it or is larger than `max_bytes`; or
        a layer has options that layers here do not have, is of a class of the user's own, or its config or
        weights are not in the file.

    Warns
    -----
    UserWarning
        There is no config at all.

    Examples
    --------
    >>> import gru_rs, keras
    >>> model = keras.Sequential([keras.Input((None, 3)), keras.layers.GRU(8, name="gru")])
    >>> node = gru_rs.from_keras(model)["gru"]
    >>> node(np.ones((2, 5, 3), np.float32)).shape
    (2, 8)
    """
    with _seen(source, config, max_bytes) as seen:
        return everything(_found(seen), name, seen.nothing())


def all_from_keras(
    source: Any, *, config: str | Mapping[str, Any] | None = None, max_bytes: int = MAX_BYTES
) -> tuple[dict[str, KerasLayer], dict[str, str]]:
    """What `from_keras` can take, and of all others why it refuses them; by name."""
    with _seen(source, config, max_bytes) as seen:
        if not seen.places:
            raise ValueError(seen.nothing())
        return sorted_out(_found(seen))


def entries_of(source: Any, names: Collection[str]) -> dict[str, Entry]:
    """Layers as they were found: for who sets them beside Keras's own."""
    with _seen(source, None, MAX_BYTES) as seen:
        return {name: read() for name, read in seen.places.items() if name in names}


def _seen(source: Any, config: Any, max_bytes: int) -> AbstractContextManager[Seen]:
    if config is not None and not isinstance(config, (str, Mapping)):
        msg = f"config: expected the text of model.to_json() or a mapping, got {type(config).__name__}"
        raise TypeError(msg)
    if isinstance(source, (str, os.PathLike)):
        given = of_json(config, "config") if isinstance(config, str) else config
        if given is not None and not isinstance(given, Mapping):
            msg = f"config: expected that of a model, got JSON of {type(given).__name__}"
            raise ValueError(msg)
        return of_file(source, given, max_bytes)
    if not (hasattr(source, "get_config") and hasattr(source, "get_weights")):
        msg = f"source: expected a path, or a model or layer of Keras, got {type(source).__name__}"
        raise TypeError(msg)
    if config is not None:
        msg = f"config: expected None for an object, which has its own, got {type(config).__name__}"
        raise ValueError(msg)
    return nullcontext(of_object(source))


def _found(seen: Seen) -> Found[KerasLayer]:
    def convert(read: Callable[[], Entry]) -> Callable[[], KerasLayer]:
        def made() -> KerasLayer:
            entry = read()
            return KerasLayer(entry.name, *layer_of(entry))

        return made

    return {name: convert(read) for name, read in seen.places.items()}


def to_keras_weights(layer: GRU | LSTM) -> list[list[Array]]:
    """Give a layer's weights as those of Keras's layers, for their ``set_weights``.

    Parameters
    ----------
    layer : GRU or LSTM
        Its own `recurrent_activation` and `activation` are Keras's arguments of those names;
        ``hard_sigmoid_0.2`` is Keras 2's ``hard_sigmoid``. Keras has no clip.

    Returns
    -------
    list of list of ndarray
        For each of its layers kernel, recurrent_kernel and, if there are biases, bias: that of a GRU with
        the reset after the product is (2, 3H), of all others the sum of the two, rounded. Of a
        bidirectional layer those for Bidirectional follow: three more.

    Raises
    ------
    ValueError
        The layer has a clip.
    TypeError
        Not a layer.

    Examples
    --------
    >>> import gru_rs
    >>> [[array.shape for array in arrays] for arrays in gru_rs.to_keras_weights(gru_rs.GRU(3, 8))]
    [[(3, 24), (8, 24), (2, 24)]]
    """
    cell = cell_of(layer)
    if not isinstance(layer, (GRU, LSTM)):
        msg = f"layer: expected a GRU or LSTM, got {type(layer).__name__}: a cell is a layer of one step"
        raise TypeError(msg)
    if layer.clip is not None:
        msg = f"layer: expected clip=None, since Keras has none, got {layer.clip}"
        raise ValueError(msg)
    layout = KERAS["gru_reset_before" if isinstance(layer, GRU) and not layer.reset_after else cell]
    parts = []
    for part in parts_of(layer):
        arrays = layout.give(part)
        parts.append([*arrays[:2], np.stack(arrays[2:])] if len(arrays) == 4 else arrays)
    directions = 2 if layer.bidirectional else 1
    sides = range(0, len(parts), directions)
    return [[array for part in parts[k : k + directions] for array in part] for k in sides]
