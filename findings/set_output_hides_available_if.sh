#!/usr/bin/env bash
# scikit-learn 1.9.1: a transformer whose `transform` is there only under a condition, by `available_if`, as an
# estimator has features of sequences but not of steps.
# Guess: hasattr(estimator, "transform") says whether it is available, as the documentation of `available_if` promises.
# Seen: with get_feature_names_out, TransformerMixin wraps `transform` for set_output in a plain function: hasattr is always
# True, and the AttributeError comes with the call. Pipelines and meta-estimators that ask by hasattr are misled.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" scikit-learn==1.9.1
PYTHONPATH=$folder python3 - <<'PY'
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.metaestimators import available_if
class Sometimes(BaseEstimator):
    @available_if(lambda self: False)
    def transform(self, X):
        return X
    def get_feature_names_out(self, input_features=None):
        return ["state"]
class Wrapped(TransformerMixin, BaseEstimator):
    transform = Sometimes.__dict__["transform"]
    get_feature_names_out = Sometimes.get_feature_names_out
class Unwrapped(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    transform = Sometimes.__dict__["transform"]
    get_feature_names_out = Sometimes.get_feature_names_out
shown = [hasattr(kind(), "transform") for kind in (Sometimes, Unwrapped, Wrapped)]
print("hasattr of a transform that is not available: alone, without set_output, with it:", shown)
assert shown == [False, False, True]
try:
    Wrapped().transform([[1.0]])
except AttributeError as error:
    print("AttributeError:", error)
else:
    raise AssertionError("transform was available")
PY
