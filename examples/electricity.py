"""How much electricity in half an hour, and in a day? A GRU on the demand of England and Wales.

    python examples/electricity.py            # GRU and LSTM, three seeds
    python examples/electricity.py --quick    # what CI runs

Twelve weeks of half-hours (Taylor, 2003); the last two are the test, forecast from one origin after the
other. What is learnt is the difference from a day or a week before. The parameters were chosen on the two
weeks before the test.
"""

from __future__ import annotations

import gru_rs
from _data import demand
from _report import arguments, compare

DAY, WEEK = 48, 7 * 48
TASKS = {
    "the next half-hour": {"horizon": 1, "season": DAY},
    "the next 48 half-hours": {"horizon": DAY, "season": WEEK},
}


def main() -> None:
    given = arguments(__doc__)
    values = demand(given.data)
    known = len(values) - 2 * WEEK
    for name, options in TASKS.items():

        def run(cell: str, seed: int, options: dict = options) -> dict[str, float]:
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
            ).fit(values[:known])
            tested = forecaster.backtest(values, start=known)
            return {"RMSE/MW": tested.rmse, "a season before": tested.naive_rmse}

        compare(name, given.seeds, run)


if __name__ == "__main__":
    main()
