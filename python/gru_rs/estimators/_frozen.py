"""Parts of a network that training leaves alone. It must not know how it trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gru_rs._model import SequenceNetwork

    from ._batches import Array


class Frozen:
    """Parameters that keep their bits, by the names of a network's state or by what these begin with, up to a
    dot: "embedding" is "embedding.weight".
    """

    def __init__(self, names: Any, network: SequenceNetwork) -> None:
        self._places = [
            slice(first, last)
            for name, first, last, _ in network._names
            if any(name == one or name.startswith(f"{one}.") for one in names)
        ]
        known = [name for name, *_ in network._names]
        for one in names:
            if not any(name == one or name.startswith(f"{one}.") for name in known):
                parts = list(dict.fromkeys(name.partition(".")[0] for name in known))
                msg = f"frozen: expected parts {parts}, or names of parameters {known}, got {one!r}"
                raise ValueError(msg)
        if len(self._places) == len(known):
            msg = f"frozen: expected at least one parameter that is trained, got {list(names)}"
            raise ValueError(msg)

    def __bool__(self) -> bool:
        return bool(self._places)

    def still(self, gradients: Array) -> None:
        """They have no gradients, and none that would count in a norm."""
        for place in self._places:
            gradients[place] = 0

    def restored(self, flat: Array, before: Array) -> Array:
        """All parameters after a step, but these as before it: moments and weight decay would move them."""
        found: Array = np.array(flat)
        for place in self._places:
            found[place] = before[place]
        return found


def expect_frozen(names: Any) -> None:
    """Names, as far as they can be told without a network."""
    if (
        isinstance(names, str)
        or not isinstance(names, (list, tuple))
        or not all(isinstance(name, str) for name in names)
    ):
        msg = f"frozen: expected a list of names, such as ('embedding',), got {names!r:.60}"
        raise TypeError(msg)
