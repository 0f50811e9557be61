"""Estimators with scikit-learn's manners: from sequences and targets to a trained model. They need the extra
``gru-rs[sklearn]``; each is also an attribute of `gru_rs`.
"""

from ._answers import Guess
from ._callbacks import Checkpoint, CSVLog, TensorBoardLog
from ._compare import ComparisonInfo, compare
from ._comparison import Comparison, Entry
from ._files import load
from ._memory import MemoryProbe
from ._probe import memory_probe
from ._probing import ProbeInfo
from ._step_memory import StepProbe
from ._stream import EstimatorStream, SpellingStream
from ._training import TrainingInfo
from .classifier import SequenceClassifier
from .forecaster import Backtest, Forecaster
from .language_model import LanguageModel
from .regressor import SequenceRegressor
from .seq2seq import Seq2Seq
from .tagger import SequenceTagger
from .transcriber import Transcriber

__all__ = [
    "Backtest",
    "CSVLog",
    "Checkpoint",
    "Comparison",
    "ComparisonInfo",
    "Entry",
    "EstimatorStream",
    "Forecaster",
    "Guess",
    "LanguageModel",
    "MemoryProbe",
    "ProbeInfo",
    "Seq2Seq",
    "SequenceClassifier",
    "SequenceRegressor",
    "SequenceTagger",
    "SpellingStream",
    "StepProbe",
    "TensorBoardLog",
    "TrainingInfo",
    "Transcriber",
    "compare",
    "load",
    "memory_probe",
]
