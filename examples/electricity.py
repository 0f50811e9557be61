"""How much electricity in half an hour, and in a day? A GRU on the demand of England and Wales.

    python examples/electricity.py            # GRU and LSTM, three seeds
    python examples/electricity.py --quick    # what CI runs

Twelve weeks of half-hours (Taylor, 2003); the last two are the test, forecast from one origin after the
other. That a season is a week is found in the data. The parameters were chosen on the two weeks before the
test.
"""

from __future__ import annotations

import argparse

import gru_rs
import numpy as np
from _data import demand
from _report import arguments, compare

DAY, WEEK = 48, 7 * 48
TASKS = {"the next half-hour": 1, "the next 48 half-hours": DAY}


def main() -> None:
    given = arguments(__doc__)
    for name, horizon in TASKS.items():
        measure(name, given, demand(given.data), horizon)


def measure(name: str, given: argparse.Namespace, values: np.ndarray, horizon: int) -> None:
    """Trains with all but the last two weeks and forecasts those."""
    known = len(values) - 2 * WEEK

    def fit(cell: str, seed: int) -> gru_rs.Forecaster:
        forecaster = gru_rs.Forecaster(
            cell=cell,
            horizon=horizon,
            hidden_size=32,
            window=DAY,
            warmup_fraction=0.0,
            weight_decay=0.0,
            learning_rate_init=5e-3,
            max_iter=2 if given.quick else 20,
            random_state=seed,
        )
        return forecaster.fit(values[:known])

    def score(forecaster: gru_rs.Forecaster) -> dict[str, float]:
        return {"RMSE/MW": forecaster.backtest(values, start=known).rmse}

    fitted = compare(name, given.seeds, fit, score)["gru"]
    print(fitted)
    print(f"  {fitted.backtest(values, start=known)}")


if __name__ == "__main__":
    main()
