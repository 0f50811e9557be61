"""What parameters that are left open, None, come to: a rule for each, of whether sequences are tokens, and of
how many there are. The parameters themselves stay None, so that other data mean other values.

How the rules were found is in ``docs/first-parameters.md``. They must not know what sequences hold, nor how
training goes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

_FEW, _SOME = 300, 3000
_READ = 50_000
_LEAST_EPOCHS, _MOST_EPOCHS = 8, 150
_BATCH = 32

_SHARES = {
    "input_dropout": {"tokens": 0.3, "numbers": 0.0},
    "output_dropout": {"tokens": 0.5, "numbers": 0.3},
}


class Run(NamedTuple):
    """How long training goes on, and in what steps."""

    max_iter: int
    batch_size: int
    learning_rate: str


def run_of(estimator: Any, rows: int, *, whole: bool) -> Run:
    """That of a `fit` to so many sequences; not `whole`: of one of many calls, of which each is an epoch."""
    by_rows = Run(max_iter_for(rows), batch_size_for(rows), "cosine")
    chosen = by_rows if whole else Run(1, _BATCH, "constant")
    given = {name: getattr(estimator, name) for name in Run._fields if whole or name != "max_iter"}
    return chosen._replace(**{name: value for name, value in given.items() if value is not None})


def batch_size_for(rows: int) -> int:
    """Of few sequences few at a time: else an epoch would be hardly a step."""
    return 8 if rows < _FEW else 16 if rows < _SOME else _BATCH


def max_iter_for(rows: int) -> int:
    """Epochs in which about the same number of sequences is read, be there many or few."""
    return min(_MOST_EPOCHS, max(_LEAST_EPOCHS, round(_READ / max(rows, 1))))


def dropouts_of(estimator: Any, *, tokens: bool) -> dict[str, float]:
    """Shares that are dropped: more of words, which are soon learnt by heart. Of a class whose own default is
    a number None stays, to be refused.
    """
    kind = "tokens" if tokens else "numbers"
    is_open = {
        name: getattr(estimator, name) is None and getattr(type(estimator), name) is None for name in _SHARES
    }
    return {name: _SHARES[name][kind] if is_open[name] else getattr(estimator, name) for name in _SHARES}


def told(estimator: Any, rows: int, run: Run, network: dict[str, Any]) -> str | None:
    """What was left open and what it came to, if anything was."""
    found = run._asdict() | {name: network[name] for name in _SHARES}
    chosen = [f"{name}={value!r}" for name, value in found.items() if getattr(estimator, name) is None]
    return f"for {rows} sequences: {', '.join(chosen)}" if chosen else None
