"""The season of a series, found in the series itself. It must not know windows or networks."""

from __future__ import annotations

import numpy as np

from ._batches import Array

_CHANGES = (1, 2, 11)
"""Over how many steps changes are looked at: the first see sharp seasons, the last slow ones under noise. No
usual season is a part of 11, over which it would not change.
"""
_CERTAIN = 3.6
"""Standard errors above which a correlation is none of chance: one in 3,000, as many lags are asked."""
_PLAIN = 0.6
"""A correlation that is one whatever came before it: a clear wave makes the errors of its own large."""
_FALLEN = 0.5
"""Below which share of a peak correlations are no longer those of the peak."""
_AS_GOOD = (1.25, 0.02)
"""How much more may be left unexplained by a shorter season: a share of what the best one leaves, and a
number beside it."""
_AROUND, _SMOOTH = 6, 0.1
"""Of a season the part on either side of its peak that a parabola goes through, and the share of what varies
there that it may leave: sharp peaks are where they are.
"""


def find_season(series: list[Array]) -> int | None:
    """The season of one or several series ``(n,)``, by the autocorrelation of their changes.

    Changes over 1, 2 and 11 steps of each series, in units of its deviation, have correlations r(k) with
    those k steps before; changes over k steps count only where r(k) is not lower by them. A season is a k of
    2 to a third of the longest series at which r peaks above .6 or 3.6 standard errors by Bartlett's formula,
    √((1 + 2 Σ r(j)², j < k) / n), with an r below half of the peak both between 0 and k and between k and
    2 k. Of several, those count whose r is above .8 of the best one's and whose unexplained share 1 − r(k) is
    at most 1.25 times its and .02 more; the shortest of them is taken. Where r is a parabola around it, to a
    sixth on either side, the season is the parabola's vertex.

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
    total, others, whole, counts = np.zeros((4, 2 * most + 2))
    for values in series:
        _add(values, total, others, whole, counts)
    if not (total[0] > 0 and (whole > 0).all()):
        return None
    kept, pairs = np.maximum(total / total[0], others / whole), np.maximum(counts, 1) / counts[0]
    deviation = np.sqrt((1 + 2 * np.concatenate([[0], np.cumsum(kept[1 : most + 1] ** 2)])) / counts[0])
    lags = np.arange(2, most + 1)
    peaks = lags[
        (kept[lags] >= kept[lags - 1])
        & (kept[lags] >= kept[lags + 1])
        & (kept[lags] > np.minimum(_CERTAIN * deviation[lags - 1], _PLAIN))
    ]
    peaks = peaks[[_apart(kept, int(lag)) for lag in peaks]]
    if not len(peaks):
        return None
    explained = kept[peaks] / pairs[peaks]
    best = explained.max()
    share, beside = _AS_GOOD
    good = (1 - explained <= share * (1 - best) + beside) & (explained > 0.8 * best)
    return _refined(int(peaks[good].min()), kept / pairs)


def _refined(lag: int, explained: Array) -> int:
    """The vertex of the parabola through the correlations around a smooth peak. The peak itself wanders over
    what is nearly flat, and is short of it, as fewer changes are those of longer lags.
    """
    reach = lag // _AROUND
    places = np.arange(-reach, reach + 1)
    around = explained[lag - reach : lag + reach + 1]
    if reach < 2 or len(around) < len(places):
        return lag
    bent, slope, height = np.polyfit(places, around, 2)
    off = around - np.polyval((bent, slope, height), places)
    if not bent < 0 or off.var() > _SMOOTH * around.var():
        return lag
    vertex = round(-slope / (2 * bent))
    return lag + vertex if 2 * abs(vertex) <= reach else lag


def _apart(kept: Array, lag: int) -> bool:
    """Whether a correlation lies between lower ones: those of a slow wave are high at all short lags."""
    return all(part.min() < _FALLEN * kept[lag] for part in (kept[1:lag], kept[lag + 1 : 2 * lag]))


def _add(values: Array, total: Array, others: Array, whole: Array, counts: Array) -> None:
    """Sums over the changes of a series for each lag; those of changes over other than so many steps, and
    what they would be of equal ones; and how many changes went into them.
    """
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
        # Noise alone makes the correlation of changes with those as many steps before -1/2.
        other = np.arange(len(total)) != over
        others[:reach] += other[:reach] * sums[:reach] / len(changes)
        whole += other * sums[0] / len(changes)
        if over == 1:
            counts[:reach] += np.arange(len(changes), len(changes) - reach, -1)
