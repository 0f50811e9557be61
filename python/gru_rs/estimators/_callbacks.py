"""What is told of each epoch, and to whom: estimators to files, figures to tables and to TensorBoard; and of
each model that is tried, to the screen and to a function. It must not know how training goes.
"""

from __future__ import annotations

import csv
import io
import time
import weakref
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gru_rs._checks import as_flag, as_size
from gru_rs._files import write_whole

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from ._training import TrainingInfo


class Told:
    """Who wants to know how far something is: the screen, if it is `verbose`, and a function."""

    def __init__(self, verbose: bool, callback: Callable[[Any], object] | None) -> None:
        if callback is not None and not callable(callback):
            msg = f"callback: expected a function or None, got {callback!r:.60}"
            raise TypeError(msg)
        self._verbose, self._callback = as_flag("verbose", verbose), callback

    def __call__(self, info: object) -> None:
        if self._verbose:
            print(info)
        if self._callback is not None:
            self._callback(info)


class Checkpoint:
    """A callback that saves the estimator after epochs, from which training can go on.

    Parameters
    ----------
    path : path-like
        A file, which is replaced each time, whole or not at all; with ``{epoch}`` in its name one for each
        time, as ``"model-{epoch:03d}.safetensors"``. Epochs are counted as by ``n_iter_``: the first is 1.
    every : int, default 1
        Epochs from one time to the next.
    best : bool, default False
        Save only after epochs that were better than all before: by the validation score if there is one, else
        by the loss.
    training : bool, default True
        Save what training goes on from, too; see ``save`` of the estimators.

    Raises
    ------
    ValueError, TypeError
        A path with other words in braces; `every` beside `best`.
    FileNotFoundError
        The folder is not there.

    Examples
    --------
    >>> import gru_rs, os, tempfile
    >>> texts, labels = ["a fine day", "a bad day"] * 8, [1, 0] * 8
    >>> options = {"hidden_size": 8, "max_iter": 6, "random_state": 1}
    >>> whole = gru_rs.SequenceClassifier(**options).fit(texts, labels)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "last.safetensors")
    ...     callbacks = [gru_rs.Checkpoint(path), lambda info: info.event == "epoch" and info.epoch == 3]
    ...     stopped = gru_rs.SequenceClassifier(**options, callbacks=callbacks).fit(texts, labels)
    ...     again = gru_rs.load(path).set_params(warm_start=True).fit(texts, labels)
    >>> len(stopped.loss_curve_), again.loss_curve_ == whole.loss_curve_
    (4, True)
    """

    def __init__(
        self, path: str | os.PathLike[str], every: int = 1, best: bool = False, *, training: bool = True
    ) -> None:
        self.path, self.every, self.best = Path(path), as_size("every", every), as_flag("best", best)
        self.training = as_flag("training", training)
        if self.best and self.every != 1:
            msg = f"every: expected 1 beside best=True, as each epoch may be the best, got {every}"
            raise ValueError(msg)
        try:
            self._path(1)
        except (ValueError, KeyError, IndexError, AttributeError) as error:
            msg = f"path: expected the name of a file, with no braces but of {{epoch}}, got {str(path)!r}"
            raise ValueError(msg) from error
        _expect_folder(self.path)

    def _path(self, epoch: int) -> Path:
        """That of an epoch."""
        return self.path.with_name(self.path.name.format(epoch=epoch))

    def __call__(self, info: TrainingInfo) -> None:
        """Saves the estimator if it is time.

        Parameters
        ----------
        info : TrainingInfo

        Raises
        ------
        OSError, TypeError, ValueError
            As by the estimator's ``save``.
        """
        epoch = info.epoch + 1
        if info.event == "epoch" and (info.best if self.best else epoch % self.every == 0):
            info.estimator.save(self._path(epoch), training=self.training)

    def __repr__(self) -> str:
        return f"Checkpoint({str(self.path)!r}, every={self.every}, best={self.best})"


_FIGURES = ("loss", "validation_score", "learning_rate", "gradient_norm")
_COLUMNS = ("epoch", *_FIGURES, "seconds")


class CSVLog:
    """A callback that writes a row of figures after each epoch.

    The columns are epoch (from 1), loss, validation_score (empty without one), learning_rate, gradient_norm
    and seconds (of this `fit`). A run that goes on adds its rows behind those of the epochs it has had, and
    what was logged beyond them, by a process that came further than its last file, is taken out. A run from
    the beginning begins the log anew.

    Parameters
    ----------
    path : path-like
        A file, new or written by a `CSVLog`.

    Raises
    ------
    FileNotFoundError
        The folder is not there.
    ValueError
        In training: another file is there.

    Examples
    --------
    >>> import gru_rs, os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = gru_rs.CSVLog(os.path.join(folder, "log.csv"))
    ...     model = gru_rs.SequenceClassifier(max_iter=2, callbacks=log).fit(["yes", "no"], [1, 0])
    ...     lines = log.path.read_text().splitlines()
    >>> lines[0], len(lines)
    ('epoch,loss,validation_score,learning_rate,gradient_norm,seconds', 3)
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        _expect_folder(self.path)
        self._next: int | None = None
        """The epoch for which there is room behind the others."""

    def __call__(self, info: TrainingInfo) -> None:
        """Writes the row of an epoch.

        Parameters
        ----------
        info : TrainingInfo

        Raises
        ------
        OSError, ValueError
            The file cannot be written, or is none of these.
        """
        if self._next != info.epoch or not self.path.exists():
            self._keep(info.epoch)
        if info.event == "epoch":
            figures = [getattr(info, name) for name in _FIGURES]
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.writer(file).writerow([info.epoch + 1, *figures, info.seconds])
            self._next = info.epoch + 1

    def _keep(self, epochs: int) -> None:
        """The rows of so many epochs."""
        text = io.StringIO(self.path.read_text("utf-8") if self.path.exists() else ",".join(_COLUMNS))
        header, *rows = [*csv.reader(text)] or [[]]
        if header != list(_COLUMNS):
            msg = f"path: expected a log with the columns {', '.join(_COLUMNS)}, got {header} in {self.path}"
            raise ValueError(msg)
        # A process that was killed may have left half a row.
        whole = [row for row in rows if len(row) == len(_COLUMNS) and row[0].isdigit()]
        kept = [row for row in whole if int(row[0]) <= epochs]
        text = io.StringIO()
        csv.writer(text).writerows([header, *kept])
        write_whole(self.path, text.getvalue().encode())
        self._next = epochs

    def __repr__(self) -> str:
        return f"CSVLog({str(self.path)!r})"


class TensorBoardLog:
    """A callback that gives TensorBoard the figures of each epoch.

    They are loss, validation_score, learning_rate and gradient_norm, and their steps are epochs, counted from
    1 as by ``n_iter_``: a run that goes on adds to the curves of the directory.

    Parameters
    ----------
    directory : path-like
        Where the files of events are, one for each `TensorBoardLog`; made if it is not there.

    Raises
    ------
    ImportError
        Neither tensorboard nor tensorboardX is installed.

    Examples
    --------
    Beside the curves of other runs, to be seen by ``tensorboard --logdir runs``::

        log = gru_rs.TensorBoardLog("runs/two directions")
        gru_rs.SequenceClassifier(bidirectional=True, callbacks=log).fit(X, y)
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        _tensorboard()
        self._writer: Any = None

    def __call__(self, info: TrainingInfo) -> None:
        """Writes the figures of an epoch.

        Parameters
        ----------
        info : TrainingInfo
        """
        if info.event != "epoch":
            return
        if self._writer is None:
            self._writer = _tensorboard()(str(self.directory))
            weakref.finalize(self, self._writer.close)
        for name in _FIGURES:
            value = getattr(info, name)
            if value is not None:
                self._writer.add_scalar(name, value, info.epoch + 1)
        self._writer.flush()

    def __getstate__(self) -> dict[str, Any]:
        """Without the open file: a copy writes one of its own."""
        return vars(self) | {"_writer": None}

    def __repr__(self) -> str:
        return f"TensorBoardLog({str(self.directory)!r})"


def _tensorboard() -> Callable[[str], Any]:
    """What makes a writer of a directory, by the package that there is; PyTorch's needs the first."""
    try:
        found: Callable[[str], Any] = import_module("tensorboard.summary").Writer
    except ImportError:
        try:
            kind = import_module("tensorboardX").SummaryWriter
        except ImportError as error:
            msg = "TensorBoardLog needs tensorboard or tensorboardX: pip install tensorboard"
            raise ImportError(msg, name="tensorboard") from error
        # Else two of one second would write one file. Its flush does not wait for what is on its way.
        return lambda directory: kind(directory, filename_suffix=f".{time.time_ns()}", flush_secs=1)
    return found


def _expect_folder(path: Path) -> None:
    """Before hours of training, not after them."""
    if not path.parent.is_dir():
        msg = f"path: expected a folder that is there, got {str(path)!r}"
        raise FileNotFoundError(msg)
