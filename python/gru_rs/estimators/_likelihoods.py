"""How probable texts are under a model of their tokens, many side by side, however they were read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._corpus import END
from ._probabilities import log_sums

if TYPE_CHECKING:
    from gru_rs._model import Model

    from ._batches import Array

_SCORES_AT_ONCE = 4_000_000
"""Of scored text: rows times steps times vocabulary."""


def log_likelihoods(model: Model, texts: list[Array]) -> Array:
    """ln p of each text with its end."""
    found = np.zeros(len(texts))
    order = np.argsort([-len(text) for text in texts], kind="stable")
    for begin in range(0, len(order), 64):
        rows = order[begin : begin + 64]
        longest = len(texts[rows[0]])
        steps = max(1, _SCORES_AT_ONCE // (len(rows) * model.output_size))
        state = model.state(len(rows))
        for start in range(0, longest, steps):
            end = min(start + steps, longest)
            lengths = np.array([min(max(len(texts[row]) - start, 0), end - start) for row in rows])
            x = np.full((len(rows), end - start), END, np.uint32)
            targets = []
            for place, (row, length) in enumerate(zip(rows, lengths, strict=True)):
                text = texts[row]
                before = text[max(start - 1, 0) : max(start + length - 1, 0)]
                x[place, length - len(before) : length] = before
                targets.append(text[start : start + length])
            scores = model.scores(x, lengths=lengths, state=state)
            flat = np.concatenate(targets)
            right = scores[np.arange(len(flat)), flat] - log_sums(scores)
            found[rows] += np.bincount(np.repeat(np.arange(len(rows)), lengths), right, len(rows))
    return found
