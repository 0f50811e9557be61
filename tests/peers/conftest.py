"""Beside the frameworks themselves: `make test-peers`, in an environment that has them."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import gru_rs.torch
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

LAYERS = {nn.GRU: gru_rs.torch.GRU, nn.LSTM: gru_rs.torch.LSTM}
CELLS = {nn.GRUCell: gru_rs.torch.GRUCell, nn.LSTMCell: gru_rs.torch.LSTMCell}


def tensors_of(tree):
    """The tensors of nested tuples and packed sequences."""
    if isinstance(tree, torch.Tensor):
        return [tree]
    if isinstance(tree, PackedSequence):
        return [tree.data]
    return [leaf for branch in tree for leaf in tensors_of(branch)]
