"""How much electricity in half an hour, and in a day? A GRU on the demand of England and Wales.

    python examples/electricity.py            # GRU and LSTM, three seeds
    python examples/electricity.py --quick    # what CI runs

Twelve weeks of half-hours (Taylor, 2003); the last two are the test, forecast from one origin after the
other. What is learnt is the difference from a day or a week before. The parameters were chosen on the two
weeks before the test.
"""

from __future__ import annotations

import argparse

import gru_rs
import numpy as np
from _data import demand
from _report import arguments, compare

DAY, WEEK = 48, 7 * 48
SEASONS = {DAY: "day", WEEK: "week"}
TASKS = {
    "the next half-hour": {"horizon": 1, "season": DAY},
    "the next 48 half-hours": {"horizon": DAY, "season": WEEK},
}


def main() -> None:
    given = arguments(__doc__)
    for name, options in TASKS.items():
        measure(name, given, demand(given.data), options)


def measure(name: str, given: argparse.Namespace, values: np.ndarray, options: dict[str, int]) -> None:
    """Trains with all but the last two weeks and forecasts those."""
    known = len(values) - 2 * WEEK

    def fit(cell: str, seed: int) -> gru_rs.Forecaster:
        forecaster = gru_rs.Forecaster(
            cell=cell,
            hidden_size=32,
            window=DAY,
            learning_rate="cosine",
            learning_rate_init=5e-3,
            max_iter=2 if given.quick else 20,
            n_iter_no_change=100,
            random_state=seed,
            **options,
        )
        return forecaster.fit(values[:known])

    def score(forecaster: gru_rs.Forecaster) -> dict[str, float]:
        return {"RMSE/MW": forecaster.backtest(values, start=known).rmse}

    tested = compare(name, given.seeds, fit, score)["gru"].backtest(values, start=known)
    last = values[tested.origins - 1, np.newaxis]  # what was known last, for all steps ahead
    print(f"  the last value alone: {np.sqrt(np.mean((last - tested.actual) ** 2)):.0f} MW")
    print(f"  the same time a {SEASONS[options['season']]} before: {tested.naive_rmse:.0f} MW")


if __name__ == "__main__":
    main()
