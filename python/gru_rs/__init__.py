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
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ._cells import CellTape, GRUCell, LSTMCell
from ._config import show_config
from ._core import Stream, __version__
from ._encoder_decoder import EncoderDecoder, Hypothesis
from ._gradients import Grads
from ._layers import GRU, LSTM, Tape
from ._losses import (
    CTC,
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    HuberError,
    QuantileError,
    SquaredError,
    ctc_loss,
)
from ._model import Model
from ._model_stream import ModelStream
from ._optim import SGD, Adam, AdamW, clip_grad_norm
from ._quantize import Quantization
from ._schedules import CosineSchedule, PlateauSchedule
from ._threads import get_num_threads, num_threads, set_num_threads
from .io._plain import from_arrays, from_haiku, from_paddle

with suppress(ImportError):  # not installed
    from . import _threadpoolctl  # noqa: F401

if TYPE_CHECKING:
    from ._load import load as load
    from .estimators import Checkpoint as Checkpoint
    from .estimators import CSVLog as CSVLog
    from .estimators import Forecaster as Forecaster
    from .estimators import LanguageModel as LanguageModel
    from .estimators import Seq2Seq as Seq2Seq
    from .estimators import SequenceClassifier as SequenceClassifier
    from .estimators import SequenceRegressor as SequenceRegressor
    from .estimators import SequenceTagger as SequenceTagger
    from .estimators import TensorBoardLog as TensorBoardLog
    from .estimators import TrainingInfo as TrainingInfo
    from .estimators import Transcriber as Transcriber
    from .estimators import compare as compare
    from .estimators import memory_probe as memory_probe
    from .io._keras import KerasLayer as KerasLayer
    from .io._keras import from_keras as from_keras
    from .io._keras import to_keras_weights as to_keras_weights
    from .io._onnx import from_onnx as from_onnx
    from .io._onnx_layer import OnnxLayer as OnnxLayer
    from .io._onnx_write import to_onnx as to_onnx
    from .io._torch import from_torch as from_torch
    from .io._torch import to_safetensors as to_safetensors
    from .io._torch import to_torch_state_dict as to_torch_state_dict

# What needs more than NumPy is imported when it is asked for: where it is, and the extra it needs.
_LAZY = {
    "CSVLog": ("estimators", "sklearn"),
    "Checkpoint": ("estimators", "sklearn"),
    "Forecaster": ("estimators", "sklearn"),
    "LanguageModel": ("estimators", "sklearn"),
    "Seq2Seq": ("estimators", "sklearn"),
    "SequenceClassifier": ("estimators", "sklearn"),
    "SequenceRegressor": ("estimators", "sklearn"),
    "SequenceTagger": ("estimators", "sklearn"),
    "TensorBoardLog": ("estimators", "sklearn"),
    "TrainingInfo": ("estimators", "sklearn"),
    "Transcriber": ("estimators", "sklearn"),
    "compare": ("estimators", "sklearn"),
    "load": ("_load", "sklearn"),
    "memory_probe": ("estimators", "sklearn"),
    "KerasLayer": ("io._keras", "keras"),
    "from_keras": ("io._keras", "keras"),
    "to_keras_weights": ("io._keras", "keras"),
    "OnnxLayer": ("io._onnx_layer", "onnx"),
    "from_onnx": ("io._onnx", "onnx"),
    "to_onnx": ("io._onnx_write", "onnx"),
    "from_torch": ("io._torch", "torch"),
    "to_safetensors": ("io._torch", "torch"),
    "to_torch_state_dict": ("io._torch", "torch"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        msg = f"module 'gru_rs' has no attribute {name!r}"
        raise AttributeError(msg)
    module, extra = _LAZY[name]
    try:
        return getattr(import_module(f".{module}", __name__), name)
    except ModuleNotFoundError as error:
        msg = f"gru_rs.{name} needs {error.name}: pip install 'gru-rs[{extra}]'"
        raise ImportError(msg, name=error.name) from error


def __dir__() -> list[str]:
    return sorted([*__all__, *_LAZY])


__all__ = [
    "CTC",
    "GRU",
    "LSTM",
    "SGD",
    "AbsoluteError",
    "Adam",
    "AdamW",
    "BinaryCrossEntropy",
    "CellTape",
    "CosineSchedule",
    "CrossEntropy",
    "EncoderDecoder",
    "GRUCell",
    "Grads",
    "HuberError",
    "Hypothesis",
    "LSTMCell",
    "Model",
    "ModelStream",
    "PlateauSchedule",
    "QuantileError",
    "Quantization",
    "SquaredError",
    "Stream",
    "Tape",
    "__version__",
    "clip_grad_norm",
    "ctc_loss",
    "from_arrays",
    "from_haiku",
    "from_paddle",
    "get_num_threads",
    "num_threads",
    "set_num_threads",
    "show_config",
]

# A star asks for all of these, so it takes what there is: the estimators if scikit-learn is installed, which
# is looked for and not imported. What other extras bring is asked for by name.
if find_spec("sklearn") is not None:
    __all__ += [name for name, (_, extra) in _LAZY.items() if extra == "sklearn"]
