"""The probe of memory, from what users have: sequences, with targets for them or their steps, and series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gru_rs._checks import as_choice, as_size

from ._callbacks import Told
from ._compare import expect_known, expect_labels, rows_to_learn
from ._folds import opened_groups
from ._panel import one_series
from ._probing import FEWEST, Probing, Rows, updates_of
from ._step_probe import Steps, probed_steps
from .classifier import SequenceClassifier
from .regressor import SequenceRegressor
from .tagger import SequenceTagger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._batches import Array
    from ._memory import MemoryProbe
    from ._probing import ProbeInfo
    from ._step_memory import StepProbe

TASKS = ("classify", "regress", "tag", "forecast")
_LONGEST = 512
"""Steps of the windows of a series, if nobody says how many."""


def memory_probe(
    task: str,
    X: Any,
    y: Any = None,
    *,
    rows: int = 1000,
    longest: int | None = None,
    max_steps: int = 10**8,
    options: Mapping[str, Any] | None = None,
    groups: Any = None,
    lengths: Any = None,
    random_state: int = 0,
    verbose: bool = False,
    callback: Callable[[ProbeInfo], object] | None = None,
) -> MemoryProbe | StepProbe:
    """How far back the target depends on the sequence: the question of long dependencies, on your own data.

    Three networks are trained again and again on the last 1, 2, 4, … steps alone: a GRU and an LSTM that read
    forwards and are judged by their last state, and a GRU of two directions with max pooling, which need not
    remember. Then those of whole sequences are asked what they use: the steps before the last k come in
    another order, or are another sequence's; and their scores' gradients are taken by the inputs.

    Of labels of steps ("tag"), or numbers of steps (``options={"pooling": "each"}``), that is asked twice for
    single steps: with the steps before it, and with those after it. Then networks that read whole sequences
    forwards, and in both directions, say what the steps to come are worth.

    Parameters
    ----------
    task : {"classify", "regress", "tag", "forecast"}
        What is to be learnt.
    X : sequences
        As for the estimators; for "forecast" one series without gaps, with dates or without, whose change is
        learnt from windows of it.
    y : array_like
        As for the estimators; for "forecast" nothing.
    rows : int, default 1000
        Most sequences that are used, drawn at random; 3 of 10 are held out. Of targets of steps also the most
        steps that are asked about. Of a series windows, the last of which are held out.
    longest : int, optional
        Most steps that are looked at, back from the end; of a step on each side, with itself. None: all; of a
        series an eighth of it, 512 at most.
    max_steps : int, default 100,000,000
        Most steps of sequences that all trainings together go over, about: networks of long sequences are
        trained less. It is some minutes of one core.
    options : mapping, optional
        Parameters of the networks, such as ``{"hidden_size": 64}``; for "forecast" also `horizon`; with
        ``{"pooling": "each"}`` "regress" has numbers of steps. By default
        32 units, batches of 32, a learning rate of .005 and about 500 steps of training, fewer where the
        loss has come down to a hundredth; with `max_iter` so many epochs, and no other bound.
    groups : array_like, (n,), optional
        Of each sequence whose it is: nobody is in training and held out at once.
    lengths : array_like of int, (n,), optional
        Steps of each row of a padded form.
    random_state : int, default 0
        Of rows and networks: the same number gives the same figures.
    verbose : bool, default False
        A line for each network.
    callback : callable, optional
        Is given a `ProbeInfo` after each network.

    Returns
    -------
    MemoryProbe or StepProbe
        Its text is a table and an advice, ``plot()`` a picture, ``options`` the parameters that are advised.
        Of targets of steps it is a `StepProbe`.

    Raises
    ------
    ValueError, TypeError
        A task that is not known, data that the estimators do not take, fewer than 20 sequences, an option
        that the probe sets itself (cell, bidirectional, pooling, max_length, those of a convolution) or that
        its networks do not have; numbers that are not finite.

    Notes
    -----
    It trains 3 networks for each of log2(longest) + 2 views, whose steps sum to some 6 times those of one
    training on whole sequences.

    Examples
    --------
    >>> import numpy as np, gru_rs
    >>> X = np.random.default_rng(0).normal(size=(200, 8, 1))
    >>> probe = gru_rs.memory_probe("classify", X, (X[:, -2, 0] > 0).astype(int))
    >>> probe.reach
    2
    """
    as_choice("task", task, TASKS)
    told = Told(verbose, callback)
    given = dict(options or {})
    each = task == "tag" or (task == "regress" and given.get("pooling") == "each")
    if each and task == "regress":
        del given["pooling"]
    _expect_options(task, given)
    most, rng = None if longest is None else as_size("longest", longest), np.random.default_rng(random_state)
    if task == "forecast":
        for name, value in (("y", y), ("groups", groups), ("lengths", lengths)):
            if value is not None:
                msg = f"{name}: expected None for the task 'forecast', got {value!r:.60}"
                raise ValueError(msg)
        data: Rows | Steps = _windows(
            one_series(("X", "y"), X)[0], most, as_size("horizon", given.pop("horizon", 1))
        )
    else:
        data = _sequences(task, X, y, lengths, given, groups, most, each=each)
    count, bound = as_size("rows", rows), as_size("max_steps", max_steps)
    if count < FEWEST:
        msg = f"rows: expected at least {FEWEST}, of which some are held out, got {rows}"
        raise ValueError(msg)
    if isinstance(data, Steps):
        return probed_steps(task, data.drawn(count, most, rng), given, bound, random_state, told)
    drawn = data.drawn(count, rng)
    return Probing(task, drawn, given, updates_of(drawn.X, bound), random_state, told).run()


def _expect_options(task: str, options: Mapping[str, Any]) -> None:
    """Those that all networks of the probe have, and that it does not set itself."""
    for name in _OWN:
        if name in options:
            msg = f"options: expected no {name}, which the probe sets itself, got {options[name]!r}"
            raise ValueError(msg)
    kinds = {"classify": (SequenceClassifier,), "tag": (SequenceClassifier, SequenceTagger)}
    more = {"horizon"} if task == "forecast" else set()
    expect_known(options.keys() - more, _OWN, *kinds.get(task, (SequenceRegressor,)))


_OWN = (
    "cell",
    "bidirectional",
    "pooling",
    "max_length",
    "conv_channels",
    "conv_kernel_size",
    "conv_stride",
    "conv_activation",
)
"""Parameters that are not the user's to choose here."""


def _sequences(
    task: str,
    X: Any,
    y: Any,
    lengths: Any,
    options: dict[str, Any],
    groups: Any,
    longest: int | None,
    *,
    each: bool,
) -> Rows | Steps:
    """Rows as tokens or numbers, which can be cut anywhere, from their ends on."""
    data, targets = rows_to_learn(task, X, y, options.pop("tokens", None), lengths, each=each)
    group = opened_groups(groups, len(data), 2, "of which some are held out")
    if task == "tag":  # as a tagger reads them
        options.setdefault("lowercase", False)
        options.setdefault("token_features", "spelling")
    if data and isinstance(data[0], str):
        reader = SequenceClassifier(**{name: options.pop(name) for name in _OF_TEXTS if name in options})
        reader._check()
        tokenizer = reader._tokenizer().decided_for(data, stacklevel=4)
        # Networks are given tokens, of which they are told pairs where these are letters.
        options |= {"analyzer": tokenizer.analyzer, "lowercase": tokenizer.lowercase}
        data = [list(row) for row in tokenizer.tokens("X", data)]
    if longest is not None and not each:
        data = [row[max(len(row) - longest, 0) :] for row in data]
    if not any(map(len, data)):
        msg = "X: expected sequences of some steps, got none of any"
        raise ValueError(msg)
    if each:
        return Steps.of(task, data, targets, group)
    if task == "classify":
        expect_labels(targets)
    if task == "classify" and len(np.unique(targets)) < 2:
        msg = f"y: expected at least 2 classes, got {np.unique(targets).tolist()}"
        raise ValueError(msg)
    return Rows(data, targets, group)


_OF_TEXTS = ("analyzer", "lowercase")


def _windows(values: Array, longest: int | None, horizon: int) -> Rows:
    """Each time's last values as a sequence: how they differ from the last one, and from each to the next;
    and what the value ahead differs by.
    """
    size = min(len(values) // 8, _LONGEST) if longest is None else longest
    origins = np.arange(size + 1, len(values) - horizon + 1)
    if len(origins) < FEWEST or size < 1:
        msg = f"X: expected at least {max(size, 1) + horizon + FEWEST} values, got {len(values)}"
        raise ValueError(msg)
    last = values[origins - 1]
    rows = [
        np.stack([values[at - size : at] - values[at - 1], np.diff(values[at - size - 1 : at])], axis=1)
        for at in origins.tolist()
    ]
    return Rows(rows, values[origins - 1 + horizon] - last, in_time=True)
