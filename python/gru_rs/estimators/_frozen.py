"""Parts of a network that training leaves alone. It must not know how it trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gru_rs._sequence_network import SequenceNetwork

    from ._batches import Array


class Frozen:
    """Parameters that keep their bits, by the names of a network's state or by what these begin with, up to a
    dot: "embedding" is "embedding.weight".
    """

    def __init__(self, names: Any, network: SequenceNetwork) -> None:
        known = [name for name, *_ in network._names]
        of = {one: {name for name in known if name == one or name.startswith(f"{one}.")} for one in names}
        meant = set().union(*of.values())
        self._places = [slice(first, last) for name, first, last, _ in network._names if name in meant]
        for one, found in of.items():
            if not found:
                parts = list(dict.fromkeys(name.partition(".")[0] for name in known))
                msg = f"frozen: expected parts {parts}, or names of parameters {known}, got {one!r}"
                raise ValueError(msg)
        if len(self._places) == len(known):
            msg = f"frozen: expected at least one parameter that is trained, got {list(names)}"
            raise ValueError(msg)

    def still(self, gradients: Array) -> None:
        """They have no gradients, and none that would count in a norm."""
        for place in self._places:
            gradients[place] = 0

    def kept(self, flat: Array) -> list[Array]:
        """These parameters, as they are before a step."""
        return [flat[place].copy() for place in self._places]

    def restored(self, flat: Array, kept: list[Array]) -> Array:
        """All parameters after a step, but these as before it: moments and weight decay would move them."""
        found: Array = np.array(flat)
        for place, numbers in zip(self._places, kept, strict=True):
            found[place] = numbers
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
