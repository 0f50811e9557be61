"""What follows from the scores of models on the same folds. It must not know how they were measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import t as student

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._comparison import Entry

CONFIDENCE = 0.95
"""Of the intervals that advice rests on."""
_FEWEST = 3
"""Folds with which a deviation means something."""
_WORTH = 0.25
"""Share of what a baseline lacks of 1 that a network must be able to win, to be worth its cost."""


@dataclass(frozen=True)
class Difference:
    """How much better one model is than another: the mean over the folds, and where it may really lie."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.3f}, {CONFIDENCE:.0%} interval {self.low:+.3f} to {self.high:+.3f}"


def difference(one: Sequence[float], other: Sequence[float], share: float | None = None) -> Difference:
    """The paired difference of scores on the same folds, by the corrected resampled t-test.

    Folds share most of their training rows, so their differences are no independent draws: the variance of
    the mean is s² (1/n + share), and not s²/n (Nadeau and Bengio, 2003).

    Parameters
    ----------
    one, other : sequence of float
        Scores, fold by fold.
    share : float, optional
        Rows to test on over rows to train on; that of so many folds when missing.

    Examples
    --------
    >>> print(difference([0.9, 0.8, 0.9, 0.8, 0.85], [0.6, 0.65, 0.6, 0.6, 0.6]))
    +0.240, 95% interval +0.119 to +0.361
    """
    gains = np.subtract(one, other)
    count = len(gains)
    mean = float(gains.mean())
    if count < 2 or not np.isfinite(gains).all():
        return Difference(mean, -np.inf, np.inf)
    share = 1 / (count - 1) if share is None else share
    error = float(gains.std(ddof=1)) * np.sqrt(1 / count + share)
    width = float(student.ppf((1 + CONFIDENCE) / 2, count - 1) * error)
    return Difference(mean, mean - width, mean + width)


def best_baseline(entries: Sequence[Entry]) -> Entry:
    """The one that a network has to beat."""
    return max((entry for entry in entries if entry.kind == "baseline"), key=lambda entry: entry.mean)


def advise(entries: Sequence[Entry], quality: str, share: float | None = None) -> str:
    """A sentence that follows from paired differences over the folds and their error.

    A network is advised if the whole interval of its gain is above 0; the baseline, if a network is no better
    on average and could at best win little of what the baseline lacks. In between the data cannot tell.

    Examples
    --------
    >>> from gru_rs.estimators import Entry
    >>> def entry(kind, *scores):
    ...     return Entry(kind, kind, list(scores), 1.0, 0.001, 1, 4)
    >>> print(advise([entry("baseline", 0.6, 0.61, 0.62), entry("gru", 0.9, 0.91, 0.9)], "accuracy"))
    A GRU is enough: accuracy 0.903, over baseline +0.293, 95% interval +0.248 to +0.339.
    """
    baseline = best_baseline(entries)
    networks = {entry.kind: entry for entry in entries if entry.kind != "baseline"}
    gru, lstm = networks["gru"], networks.get("lstm")
    gain = difference(gru.scores, baseline.scores, share)
    if len(gru.scores) < _FEWEST:
        return _unknown(quality, gru, baseline, gain)
    if lstm is not None:
        more = difference(lstm.scores, gru.scores, share)
        lead = difference(lstm.scores, baseline.scores, share)
        if more.low > 0 and lead.low > 0:
            factor = lstm.fit_seconds / max(gru.fit_seconds, 1e-9)
            return (
                f"An LSTM is worth it: {quality} {lstm.mean:.3f}, over {baseline.name} {lead}; over the GRU"
                f" {more}, for {factor:.1f} times its training time."
            )
    if gain.low > 0:
        return f"A GRU is enough: {quality} {gru.mean:.3f}, over {baseline.name} {gain}."
    best, most = gru, gain
    if lstm is not None and lstm.mean > gru.mean:
        best, most = lstm, lead
    lacks = 1 - baseline.mean
    if most.high <= 0 or (most.mean <= 0 and (lacks <= 0 or most.high <= _WORTH * lacks)):
        return (
            f"The simple baseline wins: {baseline.name} has {quality} {baseline.mean:.3f}, and"
            f" {_article(best.name)} is no better ({most})."
        )
    return _unknown(quality, best, baseline, most)


def _article(name: str) -> str:
    return f"an {name}" if name.startswith("LSTM") else f"a {name}"


def _unknown(quality: str, network: Entry, baseline: Entry, gain: Difference) -> str:
    if len(network.scores) < _FEWEST or not np.isfinite([gain.low, gain.high]).all():
        shown = f"{gain.mean:+.3f} in {len(network.scores)} folds"
    else:
        shown = str(gain)
    return (
        f"There is too little data to tell: {quality} of {network.name} over {baseline.name} is {shown}."
        f" Until there is more, take the simpler: {baseline.name}."
    )
