"""Estimators with scikit-learn's manners: from sequences and targets to a trained model. They need the extra
``gru-rs[sklearn]``; each is also an attribute of `gru_rs`.
"""

from ._files import load
from ._training import TrainingInfo
from .classifier import SequenceClassifier
from .regressor import SequenceRegressor
from .tagger import SequenceTagger

__all__ = ["SequenceClassifier", "SequenceRegressor", "SequenceTagger", "TrainingInfo", "load"]
