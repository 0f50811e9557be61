"""What a tape's backward gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._names import split

if TYPE_CHECKING:
    from ._arrays import Array
    from ._names import Names


class Grads:
    """The gradients that a tape's backward gives.

    Attributes
    ----------
    x : ndarray
        Of the inputs, shaped as they; zero past a row's length.
    h0 : ndarray, or a pair of them for an LSTM
        Of the initial states, shaped as they, also when none were given.
    params : dict of str to ndarray
        Of the parameters, with the names and shapes of ``state_dict()``; views of `flat`.
    flat : ndarray, (n,)
        Of the parameters end to end, lined up with the layer's ``flat``.
    """

    __slots__ = ("_flat", "_h0", "_names", "_x")

    def __init__(self, x: Array, h0: Array | tuple[Array, Array], flat: Array, names: Names) -> None:
        self._x, self._h0, self._flat, self._names = x, h0, flat, names

    @property
    def x(self) -> Array:
        """Of the inputs."""
        return self._x

    @property
    def h0(self) -> Any:
        """Of the initial states; a pair for an LSTM."""
        return self._h0

    @property
    def flat(self) -> Array:
        """Of the parameters end to end."""
        return self._flat

    @property
    def params(self) -> dict[str, Array]:
        """Of the parameters by name."""
        return split(self._flat, self._names)

    def __reduce__(self) -> Any:
        msg = "Grads cannot be pickled: pickle its arrays"
        raise TypeError(msg)
