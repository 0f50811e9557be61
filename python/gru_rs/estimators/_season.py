"""The season of a series, found in the series itself. It must not know windows or networks."""

from __future__ import annotations

import numpy as np

from ._batches import Array

_CHANGES = (1, 2, 11)
"""Over how many steps changes are looked at: the first see sharp seasons, the last slow ones under noise. No
usual season is a part of 11, over which it would not change.
"""
_CERTAIN = 3.3
"""Standard errors above which a correlation is none of chance: one in a thousand, as many lags are asked."""
_PLAIN = 0.6
"""A correlation that is one whatever came before it: a clear wave makes the errors of its own large."""
_AS_GOOD = (1.25, 0.02)
"""How much more may be left unexplained by a shorter season: a share of what the best one leaves, and a
number beside it."""


def find_season(series: list[Array]) -> int | None:
    """The season of one or several series ``(n,)``, by the autocorrelation of their changes.

    Changes over 1, 2 and 11 steps, each in units of its own deviation, have correlations r(k) with those k
    steps before. A season is a k of 2 to a third of the longest series at which r peaks, above .6 or 3.3
    standard errors by Bartlett's formula, √((1 + 2 Σ r(j)², j < k) / n). Of several the shortest is taken
    whose unexplained share 1 − r(k) is at most 1.25 times the least and .02 more.

    Returns
    -------
    int or None
        None of a walk, of noise, of a trend, of a constant, and of series too short for three seasons.

    Examples
    --------
    >>> find_season([np.resize([5.0, 1.0, 3.0, 2.0, 4.0, 9.0, 7.0], 100)])
    7
    >>> find_season([np.arange(100.0)]) is None
    True
    """
    longest = max(map(len, series), default=0)
    most = longest // 3
    if most < 2:
        return None
    total, counts = np.zeros(most + 2), np.zeros(most + 2)
    for values in series:
        _add(values, total, counts)
    if not total[0] > 0:
        return None
    kept, pairs = total / total[0], np.maximum(counts, 1) / counts[0]
    deviation = np.sqrt((1 + 2 * np.concatenate([[0], np.cumsum(kept[1:-1] ** 2)])) / counts[0])
    lags = np.arange(2, most + 1)
    peaks = lags[
        (kept[lags] >= kept[lags - 1])
        & (kept[lags] >= kept[lags + 1])
        & (kept[lags] > np.minimum(_CERTAIN * deviation[lags - 1], _PLAIN))
    ]
    if not len(peaks):
        return None
    explained = kept[peaks] / pairs[peaks]
    best = explained.max()
    share, beside = _AS_GOOD
    good = (1 - explained <= share * (1 - best) + beside) & (explained > 0.8 * best)
    return int(peaks[good].min())


def _add(values: Array, total: Array, counts: Array) -> None:
    """Sums over the changes of a series for each lag, and how many changes went into them."""
    deviation = values.std()
    if not deviation > 1e-12 * np.abs(values).max(initial=0):
        return
    unit = (values - values.mean()) / deviation
    for over in _CHANGES:
        changes = unit[over:] - unit[:-over]
        if len(changes) < 2 or not changes.std() > 1e-9:
            continue
        changes = changes - changes.mean()
        reach = min(len(changes), len(total))
        transformed = np.fft.rfft(changes, 2 * len(changes))
        sums = np.fft.irfft(transformed * transformed.conj(), 2 * len(changes))
        total[:reach] += sums[:reach] / len(changes)
        if over == 1:
            counts[:reach] += np.arange(len(changes), len(changes) - reach, -1)
