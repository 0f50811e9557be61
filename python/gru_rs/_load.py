"""One way to read what was saved: an estimator with its extra, a network without."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _saved
from ._checks import as_size
from ._files import MAX_BYTES

if TYPE_CHECKING:
    import os
    from collections.abc import Callable


def load(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES, **functions: Callable[..., Any]) -> Any:
    """Read what ``save`` has written: an estimator, a model, a layer.

    Parameters
    ----------
    path : path-like
        A file of format version 1. It is read into memory, and whatever is written to it later changes
        nothing.
    max_bytes : int, default 2**32
        A file that says it has more is refused before any of it is read.
    **functions : callable
        Of an estimator the parameters that were functions or tokenizers, which are not saved, by name:
        ``analyzer=str.split``.

    Returns
    -------
    estimator, Model, EncoderDecoder, GRU, LSTM, GRUCell or LSTMCell
        Of the class that was saved, with the bits of its weights and its place in the generator of dropout.
        An estimator goes on training where it stood, unless it was saved without that: see `warm_start`. Its
        callbacks are not saved.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It is not a whole file of this kind, or of a later version; it is damaged, as its checksum says, or
        what is in it does not fit together; it is larger than `max_bytes`; a function is missing, or was
        none.
    ImportError
        An estimator needs scikit-learn, which is not installed.

    Examples
    --------
    >>> import gru_rs, os, tempfile
    >>> classifier = gru_rs.SequenceClassifier(max_iter=1).fit(["yes", "no"], [1, 0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     classifier.save(os.path.join(folder, "model.safetensors"))
    ...     again = gru_rs.load(os.path.join(folder, "model.safetensors"))
    >>> bool((again.predict_proba(["yes"]) == classifier.predict_proba(["yes"])).all())
    True
    """
    path = Path(path)
    tensors, header = _saved.read(path, as_size("max_bytes", max_bytes))
    if "network" not in header:
        from .estimators._files import restored

        return restored(path, tensors, header, functions)
    if functions:
        name = min(functions)
        msg = f"{name}: expected none, as a network has no functions, got {functions[name]!r}"
        raise ValueError(msg)
    try:
        return _saved.load_network(tensors, header)
    except _saved.UNUSABLE as error:
        raise _saved.unusable(path, error) from error
