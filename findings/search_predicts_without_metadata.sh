#!/usr/bin/env bash
# scikit-learn 1.9.1 with metadata routing on: an estimator whose fit, score and predict request `lengths`, as padded
# sequences need them.
# Guess: GridSearchCV and cross_val_predict hand `lengths` to predict, which requests it, as they do to fit and score.
# Seen: cross_val_predict calls predict without it and says nothing; GridSearchCV.predict does not take it at all.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" scikit-learn==1.9.1
PYTHONPATH=$folder python3 - <<'PY'
import numpy as np, sklearn
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GridSearchCV, cross_val_predict
seen = {"fit": set(), "score": set(), "predict": set()}
class Padded(ClassifierMixin, BaseEstimator):
    def __init__(self, size=1):
        self.size = size
    def fit(self, X, y, lengths=None):
        seen["fit"].add(lengths is not None); self.classes_ = np.unique(y); return self
    def predict(self, X, lengths=None):
        seen["predict"].add(lengths is not None); return np.zeros(len(X), int)
    def score(self, X, y, lengths=None):
        seen["score"].add(lengths is not None); return 1.0
sklearn.set_config(enable_metadata_routing=True)
model = Padded().set_fit_request(lengths=True).set_score_request(lengths=True).set_predict_request(lengths=True)
X, y, lengths = np.zeros((8, 3)), [0, 1] * 4, np.arange(8) % 3 + 1
search = GridSearchCV(model, {"size": [1, 2]}, cv=2).fit(X, y, lengths=lengths)
print("search: fit and score had lengths:", seen)
assert seen["fit"] == {True} and seen["score"] == {True}
try:
    search.predict(X, lengths=lengths)
    raise SystemExit("GridSearchCV.predict takes lengths now")
except TypeError as error:
    print("TypeError:", error)
cross_val_predict(model, X, y, cv=2, params={"lengths": lengths})
print("cross_val_predict: predict had lengths:", seen["predict"])
assert seen["predict"] == {False}
PY
