"""How much a network's score depends on each step of its input: gradients by the inputs, which a `Model` does
not give, from its parts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gru_rs._layers import GRU, LSTM

from ._batches import Array, by_length

_AT_ONCE = 32


def norms_by_distance(estimator: Any, rows: list[Any], longest: int) -> Array:
    """The mean norm of the derivatives of the score by the inputs of a step, ``(longest,)``: 0, 1, … steps
    before the last of a sequence; 0 where no sequence is as long.

    The score is that of the class that is predicted over the mean of all, or the sum of the numbers. Of
    tokens the inputs are their embeddings.
    """
    sequences = estimator._reader.read(estimator, rows, None, None)
    total, count = np.zeros(longest), np.zeros(longest)
    own = sequences.rows[sequences.lengths > 0]
    for part in by_length(sequences.lengths, own, _AT_ONCE) if len(own) else []:
        x, lengths = sequences.batch(part)
        norms = np.linalg.norm(input_gradients(estimator.model_, x, lengths).astype(np.float64), axis=2)
        for norm, length in zip(norms, lengths.tolist(), strict=True):
            total[:length] += norm[:length][::-1]
            count[:length] += 1
    return total / np.maximum(count, 1)


def input_gradients(model: Any, x: Array, lengths: Array) -> Array:
    """Derivatives of each row's score by its inputs or embeddings, ``(B, T, I)``."""
    weights = model.state_dict()
    embedding = weights.get("embedding.weight")
    steps = x if embedding is None else embedding[x].sum(axis=2)
    layer = (GRU if model.cell == "gru" else LSTM)(
        model.input_size,
        model.hidden_size,
        model.num_layers,
        bias=model.bias,
        batch_first=True,
        bidirectional=model.bidirectional,
        dtype=model.dtype,
        **({"reset_after": model.reset_after} if model.cell == "gru" else {}),
    )
    layer.load_state_dict(
        {name.removeprefix("rnn."): value for name, value in weights.items() if name.startswith("rnn.")}
    )
    y, states, tape = layer.forward(steps, lengths=lengths)
    head = weights["head.weight"]
    scores = model.scores(x, lengths=lengths)
    asked = np.ones_like(scores)
    if model.output_size > 1:
        asked = np.eye(model.output_size)[scores.argmax(axis=1)] - 1 / model.output_size
    d_features = (asked @ head).astype(model.dtype)
    d_y, d_states = _unpooled(model, y, states, lengths, d_features)
    found: Array = tape.backward(d_y, d_states).x
    return found


def _unpooled(model: Any, y: Array, states: Any, lengths: Array, d_features: Array) -> tuple[Any, Any]:
    """The gradients of outputs and final states, from those of what the head sees."""
    rows = np.arange(len(lengths))
    if model.pooling == "last":
        final = states if model.cell == "gru" else states[0]
        d_final = np.zeros_like(final)
        directions = 2 if model.bidirectional else 1
        d_final[-directions:] = np.stack(np.split(d_features, directions, axis=1))
        return None, d_final if model.cell == "gru" else (d_final, None)
    d_y = np.zeros_like(y)
    valid = np.arange(y.shape[1]) < lengths[:, np.newaxis]
    if model.pooling == "mean":
        d_y += np.where(valid[..., np.newaxis], (d_features / lengths[:, np.newaxis])[:, np.newaxis], 0)
        return d_y, None
    at = np.where(valid[..., np.newaxis], y, -np.inf).argmax(axis=1)
    d_y[rows[:, np.newaxis], at, np.arange(y.shape[2])] = d_features
    return d_y, None
