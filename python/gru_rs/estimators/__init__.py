"""Estimators with scikit-learn's manners: from sequences and targets to a trained model. They need the extra
``gru-rs[sklearn]``; each is also an attribute of `gru_rs`.
"""

from ._compare import Comparison, Entry, compare
from ._files import load
from ._training import TrainingInfo
from .classifier import SequenceClassifier
from .forecaster import Backtest, Forecaster
from .regressor import SequenceRegressor
from .tagger import SequenceTagger

__all__ = [
    "Backtest",
    "Comparison",
    "Entry",
    "Forecaster",
    "SequenceClassifier",
    "SequenceRegressor",
    "SequenceTagger",
    "TrainingInfo",
    "compare",
    "load",
]
