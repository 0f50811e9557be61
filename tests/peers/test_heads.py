"""Models with a convolution and each pooling beside PyTorch's: scores, and gradients of all parameters."""

import gru_rs
import numpy as np
import pytest
import torch

STEPS, LENGTHS = 23, [23, 1, 9, 16]


class Peer(torch.nn.Module):
    """What a user of PyTorch would write."""

    def __init__(self, model):
        super().__init__()
        options = {"batch_first": True, "bidirectional": model.bidirectional, "dtype": torch.float64}
        layer = torch.nn.GRU if model.cell == "gru" else torch.nn.LSTM
        self.pooling, self.directions = model.pooling, 2 if model.bidirectional else 1
        self.rnn = layer(model.conv_channels, model.hidden_size, **options)
        self.conv = torch.nn.Conv1d(
            model.input_size,
            model.conv_channels,
            model.conv_kernel_size,
            model.conv_stride,
            dtype=torch.float64,
        )
        self.early, self.stride = model.conv_kernel_size - 1, model.conv_stride
        self.activation = {"relu": torch.relu, "tanh": torch.tanh, "linear": lambda x: x}[
            model.conv_activation
        ]
        width = self.directions * model.hidden_size
        self.pool = torch.nn.Linear(width, 1, bias=False, dtype=torch.float64)
        self.head = torch.nn.Linear(
            width * (3 if model.pooling == "concat" else 1), model.output_size
        ).double()

    def forward(self, x):
        """The scores of one row, ``(T, F)``."""
        early = torch.nn.functional.pad(x.T[None], (self.early, 0))
        y, states = self.rnn(self.activation(self.conv(early)).transpose(1, 2))
        last = (states[0] if isinstance(states, tuple) else states)[:, 0].reshape(-1)
        y = y[0]
        if self.pooling == "concat":
            return self.head(torch.cat([last, y.mean(0), y.max(0).values]))
        if self.pooling == "attention":
            return self.head(torch.softmax(self.pool(y), 0).T @ y)[0]
        return self.head({"last": last, "mean": y.mean(0), "max": y.max(0).values}[self.pooling])


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", ["last", "mean", "max", "concat", "attention"])
@pytest.mark.parametrize(
    ("kernel", "stride", "activation"), [(5, 3, "relu"), (1, 1, "linear"), (4, 7, "tanh")]
)
def test_scores_and_gradients(cell, bidirectional, pooling, kernel, stride, activation):
    model = gru_rs.Model(
        3,
        6,
        4,
        cell=cell,
        bidirectional=bidirectional,
        pooling=pooling,
        conv_channels=5,
        conv_kernel_size=kernel,
        conv_stride=stride,
        conv_activation=activation,
        dtype=np.float64,
        seed=1,
    )
    peer = Peer(model)
    names = dict(peer.named_parameters())
    if pooling != "attention":
        del names["pool.weight"]
    with torch.no_grad():
        for name, value in model.params.items():
            names[name].copy_(torch.from_numpy(as_torch(name, value.copy(), names[name].shape)))
    x = np.random.default_rng(2).normal(size=(len(LENGTHS), STEPS, 3))
    targets = np.array([0, 3, 1, 1])
    scores = torch.stack(
        [peer(torch.from_numpy(row[:length])) for row, length in zip(x, LENGTHS, strict=True)]
    )
    np.testing.assert_allclose(
        model.scores(x, lengths=LENGTHS), scores.detach().numpy(), rtol=1e-9, atol=1e-12
    )
    loss = torch.nn.functional.cross_entropy(scores, torch.from_numpy(targets))
    loss.backward()
    lost, gradients = model.loss_and_grad(x, targets, loss=gru_rs.CrossEntropy(), lengths=LENGTHS)
    assert lost == pytest.approx(loss.item(), rel=1e-12)
    places = np.cumsum([value.size for value in model.params.values()])
    found = dict(zip(model.params, np.split(gradients, places[:-1]), strict=True))
    for name, value in model.params.items():
        own = as_torch(name, found[name].reshape(value.shape), names[name].shape)
        np.testing.assert_allclose(own, names[name].grad.numpy(), rtol=1e-8, atol=1e-12, err_msg=name)


def as_torch(name, value, shape):
    """Of a convolution PyTorch has the steps behind the channels."""
    if name == "conv.weight":
        return value.reshape(shape[0], shape[2], shape[1]).transpose(0, 2, 1).copy()
    return value.reshape(shape)
