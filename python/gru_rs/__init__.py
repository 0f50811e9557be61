"""GRU and LSTM sequence models, trained and run on a CPU from NumPy arrays.

Examples
--------
>>> import numpy as np, gru_rs
>>> gru = gru_rs.GRU(input_size=3, hidden_size=8, seed=1)
>>> x = np.ones((5, 2, 3), np.float32)          # 5 steps of 2 rows of 3 numbers
>>> y, h_n = gru(x)
>>> y.shape, h_n.shape
((5, 2, 8), (1, 2, 8))
"""

from contextlib import suppress

from ._cells import CellTape, GRUCell, LSTMCell
from ._config import show_config
from ._core import Stream, __version__
from ._layers import GRU, LSTM, Tape
from ._losses import AbsoluteError, CrossEntropy, QuantileError, SquaredError
from ._model import Model
from ._optim import SGD, Adam, AdamW, clip_grad_norm
from ._schedules import CosineSchedule, PlateauSchedule
from ._threads import get_num_threads, num_threads, set_num_threads
from ._weights import Grads

with suppress(ImportError):  # not installed
    from . import _threadpoolctl  # noqa: F401

__all__ = [
    "GRU",
    "LSTM",
    "SGD",
    "AbsoluteError",
    "Adam",
    "AdamW",
    "CellTape",
    "CosineSchedule",
    "CrossEntropy",
    "GRUCell",
    "Grads",
    "LSTMCell",
    "Model",
    "PlateauSchedule",
    "QuantileError",
    "SquaredError",
    "Stream",
    "Tape",
    "__version__",
    "clip_grad_norm",
    "get_num_threads",
    "num_threads",
    "set_num_threads",
    "show_config",
]
