"""Texts to learn from, as numbers: rows of one long text, read chunk by chunk, and texts that are held out.
It must not know tokens or scores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._validation import split_groups

if TYPE_CHECKING:
    from gru_rs._losses import Loss, LossFunction
    from gru_rs._model import Model

    from ._batches import Array

END = 1
"""The token before the first and behind the last of a text."""


class Corpus:
    """Texts one behind the other, cut into rows that are read side by side, chunk by chunk."""

    def __init__(self, texts: list[Array], chunk: int) -> None:
        self._texts, self._chunk = texts, chunk
        self._wanted = self._cells = np.empty((0, 0), np.uint32)
        self._lengths = np.empty(0, np.intp)
        self.carried: tuple[Array, ...] = ()
        """The state in which the chunk before ended; arrays that nobody writes any more."""

    def batches(self, size: int, rng: np.random.Generator | None) -> range:
        """Where the chunks of an epoch begin. With a generator the texts are put in another order."""
        order = np.arange(len(self._texts)) if rng is None else rng.permutation(len(self._texts))
        flat = np.concatenate([self._texts[text] for text in order])
        # As many rows as leave each a chunk at least.
        rows = min(size, max(1, len(flat) // self._chunk))
        steps = -(-len(flat) // rows)
        self._lengths = np.clip(len(flat) - np.arange(rows) * steps, 0, steps)
        padded = np.full(rows * steps + 1, END, flat.dtype)
        padded[1 : len(flat) + 1] = flat
        # What is read, and one place on what is expected.
        self._cells, self._wanted = (padded[at : at + rows * steps].reshape(rows, steps) for at in (0, 1))
        return range(0, steps, self._chunk)

    def learn(self, model: Model, loss: Loss | LossFunction, batch: int) -> tuple[float, Array, float]:
        """A chunk, from the state in which the one before ended."""
        state = self._state(model, first=batch == 0)
        part = slice(batch, batch + self._chunk)
        x, y = self._cells[:, part], self._wanted[:, part]
        lengths = np.clip(self._lengths - batch, 0, x.shape[1])
        wanted = y[np.arange(x.shape[1]) < lengths[:, np.newaxis]]
        lost, gradients = model.loss_and_grad(x, wanted, lengths=lengths, loss=loss, state=state)
        self.carried = state if isinstance(state, tuple) else (state,)
        return lost, gradients, len(wanted)

    def _state(self, model: Model, *, first: bool) -> Any:
        """The state before a chunk, to be written."""
        if first or not self.carried:
            return model.state(len(self._cells))
        copies = tuple(array.copy() for array in self.carried)
        return copies if len(copies) > 1 else copies[0]


def hold_out(
    texts: list[Array], share: float, seed: int, groups: Array | None
) -> tuple[list[Array], list[Array]]:
    """Texts to learn from, and some texts that are not, whole groups if there are any; or the end of the only
    text.
    """
    if groups is not None:
        train, held = split_groups(groups, share, seed)
        return [texts[text] for text in train], [texts[text] for text in held]
    if len(texts) == 1:
        if len(texts[0]) < 2:
            msg = "X: expected texts of which some can be held out, got one without tokens"
            raise ValueError(msg)
        cut = min(max(1, round(len(texts[0]) * (1 - share))), len(texts[0]) - 1)
        return [texts[0][:cut]], [texts[0][cut:]]
    order = np.random.default_rng(seed).permutation(len(texts))
    count = min(max(1, round(len(texts) * share)), len(texts) - 1)
    return [texts[text] for text in order[count:]], [texts[text] for text in order[:count]]
