"""Plain arrays of other frameworks as layers, or as parts of state dicts. NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._arrays import as_array, as_ndarray, expect_shape
from .._checks import as_choice, as_flag
from ._layouts import BEFORE, HAIKU, NAMED, PADDLE, Layout, Weights, by_name, new_layer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike

    from .._arrays import Array
    from .._layers import GRU, LSTM


def from_paddle(
    w_ih: ArrayLike,
    weight: ArrayLike,
    b_ih: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    origin_mode: bool = False,
    suffix: str = "_l0",
) -> dict[str, Array]:
    """Convert one direction of Paddle's ``dynamic_gru`` into names and shapes of a state dict.

    The layer is ``GRU(..., reset_after=False)``. Paddle's gates stand in the order u, r, c, and its weights
    are one (H, 2H) after which come one (H, H), in the memory of one (H, 3H). Without `origin_mode` its new
    state is (1 − u) ⊙ h + u ⊙ c, so that u is 1 − z: its weights change their sign, σ(−x) = 1 − σ(x).

    Parameters
    ----------
    w_ih : array_like, (I, 3H)
        Of the fully connected layer before it.
    weight : array_like, (H, 3H)
        Its own.
    b_ih, bias : array_like, (3H,) or (1, 3H), optional
        Of both.
    origin_mode : bool, default False
        As Paddle's.
    suffix : str, default "_l0"
        The end of the names: ``"_l0_reverse"`` for ``is_reverse``, and so on.

    Returns
    -------
    dict of str to ndarray
        ``weight_ih``, ``weight_hh``, ``bias_ih`` and ``bias_hh`` with that end.

    Raises
    ------
    ValueError, TypeError
        Shapes that do not fit together, or arrays that are none of floats.

    Examples
    --------
    >>> import gru_rs
    >>> fc, weight = np.ones((3, 24), np.float32), np.ones((8, 24), np.float32)
    >>> gru = gru_rs.GRU(3, 8, bidirectional=True, reset_after=False)
    >>> forward = gru_rs.from_paddle(fc, weight)
    >>> gru.load_state_dict(forward | gru_rs.from_paddle(fc, weight, suffix="_l0_reverse"))
    """
    biases = {name: bias for name, bias in (("b_ih", b_ih), ("bias", bias)) if bias is not None}
    flip = not as_flag("origin_mode", origin_mode)
    arrays = _floats({"w_ih": w_ih, "weight": weight} | biases)
    units = arrays["weight"].shape[0] if arrays["weight"].ndim == 2 else 0
    expect_shape("weight", arrays["weight"], (units, 3 * units))
    expect_shape("w_ih", arrays["w_ih"], ("input_size", 3 * units))
    memory = arrays["weight"].ravel()
    gates, candidate = memory[: 2 * units * units], memory[2 * units * units :]
    w_hh = np.hstack([gates.reshape(units, 2 * units), candidate.reshape(units, units)])
    rows = [_row(name, arrays[name], 3 * units) for name in biases]
    total = sum(rows[1:], rows[0]) if rows else np.zeros(3 * units, w_hh.dtype)
    return by_name(PADDLE[flip].take(arrays["w_ih"], w_hh, total), suffix)


def from_haiku(params: Mapping[str, ArrayLike], *, suffix: str = "_l0") -> dict[str, Array]:
    """Convert the parameters of ``hk.GRU`` or ``hk.LSTM`` into names and shapes of a state dict.

    The layer is ``GRU(..., reset_after=False)`` or ``LSTM(...)``. Haiku's GRU has the order of gates z, r, a
    and its new state is (1 − z) ⊙ h + z ⊙ a, so that the weights of z change their sign; its LSTM has the
    order i, g, f, o and adds 1 to the argument of f by itself.

    Parameters
    ----------
    params : mapping of str to array_like
        ``w_i`` (I, 3H), ``w_h`` (H, 3H) and ``b`` (3H,) of a GRU; ``w`` (I + H, 4H) and ``b`` (4H,) of an
        LSTM's linear layer.
    suffix : str, default "_l0"
        The end of the names.

    Returns
    -------
    dict of str to ndarray
        ``weight_ih``, ``weight_hh``, ``bias_ih`` and ``bias_hh`` with that end.

    Raises
    ------
    ValueError, TypeError
        Other names, shapes that do not fit together, or arrays that are none of floats.

    Examples
    --------
    >>> import gru_rs
    >>> given = {"w_i": np.ones((3, 24)), "w_h": np.ones((8, 24)), "b": np.ones(24)}
    >>> gru = gru_rs.GRU(3, 8, reset_after=False, dtype=np.float64)
    >>> gru.load_state_dict(gru_rs.from_haiku(given))
    """
    if not isinstance(params, Mapping):
        msg = f"params: expected a mapping (dict) of names to arrays, got {type(params).__name__}"
        raise TypeError(msg)
    names = sorted(map(str, params))
    if names not in (["b", "w_h", "w_i"], ["b", "w"]):
        msg = f"params: expected w_i, w_h and b of a GRU or w and b of an LSTM, got {names}"
        raise ValueError(msg)
    arrays = _floats(dict(params))
    if "w" in arrays:
        columns = arrays["b"].shape[-1] if arrays["b"].ndim == 1 else 0
        expect_shape("b", arrays["b"], (columns - columns % 4,))
        expect_shape("w", arrays["w"], ("input_size + hidden_size", columns))
        inputs = len(arrays["w"]) - columns // 4
        if inputs < 1 or not columns:
            msg = f"w: expected shape (input_size + hidden_size, 4 · hidden_size), got {arrays['w'].shape}"
            raise ValueError(msg)
        return by_name(HAIKU["lstm"].take(arrays["w"][:inputs], arrays["w"][inputs:], arrays["b"]), suffix)
    units = arrays["w_h"].shape[0] if arrays["w_h"].ndim == 2 else 0
    expect_shape("w_h", arrays["w_h"], (units, 3 * units))
    expect_shape("w_i", arrays["w_i"], ("input_size", 3 * units))
    expect_shape("b", arrays["b"], (3 * units,))
    return by_name(HAIKU["gru"].take(arrays["w_i"], arrays["w_h"], arrays["b"]), suffix)


def from_arrays(
    framework: str,
    params: Mapping[str, Any] | list[Mapping[str, Any] | Sequence[Mapping[str, Any]]],
    *,
    batch_first: bool = False,
) -> GRU | LSTM:
    """Make a layer of another framework's arrays, by the names that they have there.

    The arrays of a GRU or an LSTM of Equinox, Flax (linen and nnx), MLX, Chainer, MXNet, DyNet or Flux; the
    table of ``docs/layouts.md`` has the names, and recipes for others.

    Parameters
    ----------
    framework : str
        ``"equinox"``, ``"flax"``, ``"mlx"``, ``"chainer"``, ``"mxnet"``, ``"dynet"`` or
        ``"flux"``.
    params : mapping of str to array_like, or list of them
        The arrays of one cell or layer, in dicts within dicts or by names joined by dots. A list has layer
        after layer; of a bidirectional stack each is a pair, forward and backward.
    batch_first : bool, default False
        As the layer's.

    Returns
    -------
    GRU or LSTM
        In the arrays' dtype, with the reset gate where the framework has it.

    Raises
    ------
    ValueError, TypeError
        Names that are not exactly those, shapes that do not fit together, or arrays that are none of floats.

    Examples
    --------
    >>> import gru_rs
    >>> given = {"Wx": np.ones((24, 3)), "Wh": np.ones((24, 8)), "b": np.ones(24), "bhn": np.ones(8)}
    >>> gru_rs.from_arrays("mlx", [(given, given)])
    GRU(3, 8, bidirectional=True, dtype='float64', seed=0)
    """
    layouts = NAMED[as_choice("framework", framework, tuple(NAMED))]
    if not isinstance(params, (Mapping, list, tuple)):
        msg = f"params: expected a mapping (dict), or a list of them, got {type(params).__name__}"
        raise TypeError(msg)
    stack = [params] if isinstance(params, Mapping) else params
    layers = [[one] if isinstance(one, Mapping) else one for one in stack]
    directions = {len(layer) for layer in layers}
    if directions not in ({1}, {2}):
        msg = "params: expected a mapping, or a list of them or of pairs of them, got other lists"
        raise ValueError(msg)
    parts = [_named(f"params[{k}]", layouts, one) for k, layer in enumerate(layers) for one in layer]
    kinds = {layout for layout, _ in parts}
    if len(kinds) > 1:
        msg = f"params: expected one kind of layer, got {sorted({f'{k.framework} {k.cell}' for k in kinds})}"
        raise ValueError(msg)
    (kind,) = kinds
    options: dict[str, Any] = {"reset_after": kind.reset != BEFORE} if kind.cell == "gru" else {}
    weights = [one for _, one in parts]
    (count,) = directions
    return new_layer(
        kind.cell, weights, directions=count, batch_first=as_flag("batch_first", batch_first), **options
    )


def _named(where: str, layouts: list[Layout], params: Any) -> tuple[Layout, Weights]:
    """Which layout it is, by its names and the number of its gates, and its weights."""
    if not isinstance(params, Mapping):
        msg = f"{where}: expected a mapping (dict) of names to arrays, got {type(params).__name__}"
        raise TypeError(msg)
    arrays = _floats(dict(_joined(params, "")))
    for layout in layouts:
        if layout.fits(arrays):
            return layout, layout.read(arrays)
    names = "; ".join(dict.fromkeys(layout.names for layout in layouts))
    got = {name: array.shape for name, array in sorted(arrays.items())[:24]}
    msg = f"{where}: expected exactly the arrays {names}; got {got}"
    raise ValueError(msg)


def _joined(params: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """The arrays of dicts within dicts; what is None, as a bias that is not used, is not there."""
    for name, value in params.items():
        if isinstance(value, Mapping):
            yield from _joined(value, f"{prefix}{name}.")
        elif value is not None:
            yield f"{prefix}{name}", value


def _floats(given: dict[str, Any]) -> dict[str, Array]:
    """As arrays of one float dtype."""
    raw = {name: as_ndarray(name, value, "an array of float32") for name, value in given.items()}
    wide = any(array.dtype == np.float64 for array in raw.values())
    dtype = np.dtype(np.float64 if wide else np.float32)
    return {name: as_array(name, array, dtype) for name, array in raw.items()}


def _row(name: str, array: Array, size: int) -> Array:
    expect_shape(name, array, (size,), (1, size))
    return array.reshape(-1)
