"""What a comparison came to: figures of each model, a table, a picture. It must not know how they were
made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ._advice import advise
from ._plots import axes_of, finished

if TYPE_CHECKING:
    import os


@dataclass(frozen=True)
class Entry:
    """What one model came to.

    Attributes
    ----------
    name : str
        What it is.
    kind : {"baseline", "gru", "lstm"}
    scores : list of float
        Quality of each fold, on the rows that were held out; more is better.
    fit_seconds, latency_seconds : float
        Training on a fold, mean; one prediction of one sequence, median.
    parameters, bytes : int
        Numbers that were learnt, and their size; of a baseline the size of its pickle.
    train_scores : list of float
        Quality of each fold on the rows of training: far above `scores`, the model has learnt them by heart.
    cpu_seconds : float
        Processor time of training on a fold, of all threads together, mean.
    """

    name: str
    kind: str
    scores: list[float]
    fit_seconds: float
    latency_seconds: float
    parameters: int
    bytes: int
    train_scores: list[float] = field(default_factory=list)
    cpu_seconds: float = float("nan")

    @property
    def mean(self) -> float:
        """Of the scores."""
        return float(np.mean(self.scores))

    @property
    def spread(self) -> float:
        """Standard deviation of the scores."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else float("nan")

    @property
    def train_mean(self) -> float:
        """Of the scores on rows of training."""
        return float(np.mean(self.train_scores)) if self.train_scores else float("nan")


@dataclass(frozen=True)
class Comparison:
    """Baselines, a GRU and an LSTM side by side.

    Attributes
    ----------
    task, quality : str
        What was asked for, and what the scores are.
    sequences : int
        How many there were; of a series its values.
    entries : list of Entry
    test_share : float, optional
        Rows that were held out over rows of training, in a fold: how far folds are from independent.
    lengths : tuple of two int, optional
        The median and the longest of the sequences, in steps or tokens as the networks read them; of a series
        there are none.
    """

    task: str
    quality: str
    sequences: int
    entries: list[Entry]
    test_share: float | None = None
    lengths: tuple[int, int] | None = None

    @property
    def advice(self) -> str:
        """A sentence that follows from the figures."""
        return advise(self.entries, self.quality, self.test_share)

    @property
    def title(self) -> str:
        """What was compared."""
        shown = f"{self.task}, {self.sequences:,} {'values' if self.task == 'forecast' else 'sequences'}"
        if self.lengths is not None:
            shown += f", length {self.lengths[0]:,} (median) to {self.lengths[1]:,} (longest)"
        folds = len(self.entries[0].scores)
        return f"{shown}, {folds} folds"

    def rows(self) -> list[list[str]]:
        """The table, with its heading."""
        heading = ["model", self.quality, "on training rows", "training", "CPU", "one prediction"]
        return [[*heading, "parameters", "size"]] + [
            [
                entry.name,
                f"{entry.mean:.3f} ± {entry.spread:.3f}",
                f"{entry.train_mean:.3f}",
                f"{entry.fit_seconds:.2f} s",
                f"{entry.cpu_seconds:.2f} s",
                f"{entry.latency_seconds * 1e3:.2f} ms",
                f"{entry.parameters:,}" if entry.parameters else "",
                f"{entry.bytes / 1e3:,.0f} kB",
            ]
            for entry in self.entries
        ]

    def __str__(self) -> str:
        rows = self.rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
        ]
        return "\n".join([self.title, "", *(line.rstrip() for line in lines), "", self.advice])

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table

        heading, *rows = self.rows()
        table = Table(title=self.title)
        for name in heading:
            table.add_column(name, justify="left" if name == "model" else "right")
        for row in rows:
            table.add_row(*row)
        return Group(table, self.advice)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        entries = [
            vars(entry) | {"mean": entry.mean, "spread": entry.spread, "train_mean": entry.train_mean}
            for entry in self.entries
        ]
        shown = {"task": self.task, "quality": self.quality, "sequences": self.sequences}
        lengths = None if self.lengths is None else list(self.lengths)
        shown |= {"lengths": lengths, "test_share": self.test_share}
        return shown | {"entries": entries, "advice": self.advice}

    def plot(self, path: str | os.PathLike[str] | None = None, *, ax: Any = None) -> Any:
        """A picture of quality over training time; needs matplotlib (``gru-rs[plot]``).

        Parameters
        ----------
        path : path-like, optional
            Where it is written to; its ending says which format.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a figure of its own when missing.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            matplotlib is not installed.
        """
        axes = axes_of(ax)
        for entry in self.entries:
            axes.errorbar(
                max(entry.fit_seconds, 1e-4),
                entry.mean,
                yerr=entry.spread,
                fmt="o",
                capsize=4,
                label=entry.name,
            )
        axes.set(xscale="log", xlabel="seconds of training", ylabel=self.quality)
        return finished(axes, path)
