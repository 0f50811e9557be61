"""How far back a target depends on its sequence: what a probe came to, in numbers, a sentence and a picture.
It must not know how it was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._plots import axes_of, finished_by_steps

if TYPE_CHECKING:
    import os

    from ._batches import Array

READERS: dict[str, dict[str, Any]] = {
    "gru": {"cell": "gru", "bidirectional": False, "pooling": "last"},
    "lstm": {"cell": "lstm", "bidirectional": False, "pooling": "last"},
    "wide": {"cell": "gru", "bidirectional": True, "pooling": "max"},
}
"""The two cells as textbooks have them, which must remember to the last step, and one that need not."""
_SURE = 2.5
"""Standard errors of a paired difference, over the rows that were held out, that count."""
_WORTH = 0.05
"""Share of what is learnt at all that a difference must be, to be one."""


def differ(one: Array, other: Array, blocks: Array | None, learnt: float) -> bool:
    """Whether one is better by more than chance, and by more than a trifle of what is learnt at all."""
    gains = one - other
    if blocks is not None:
        gains = np.bincount(blocks, gains) / np.bincount(blocks)
    error = float(gains.std(ddof=1)) / np.sqrt(len(gains)) if len(gains) > 1 else np.inf
    return float(gains.mean()) > max(_SURE * error, _WORTH * max(learnt, 0.0))


@dataclass(frozen=True)
class MemoryProbe:
    """What the last 0, 1, 2, 4, … steps of sequences tell of their targets, and what networks make of them.

    Attributes
    ----------
    task, quality : str
        What was asked for, and what the scores are.
    trained, held : int
        Sequences that networks were trained on, and that they were tried on.
    views : ndarray of int, (v,)
        Steps back from the end of a sequence; the first is 0, the last the longest sequence.
    seen : dict of str to ndarray (v, held)
        For each reader what each sequence adds to the score of a network that was trained and tried on the
        last steps alone; of 0 steps it is the constant answer.
    within, between : dict of str to ndarray (v, held)
        The same of the network of whole sequences, when all but the last steps come in another order, or are
        another sequence's.
    gradients : dict of str to ndarray (longest,)
        Of that network's score, the mean norm of its derivatives by the inputs of the step that lies 0, 1, …
        steps before the last.
    seconds : float
        It took.
    blocks : ndarray of int, (held,), optional
        What sequence held out belongs to, numbered: sequences of one group, or windows side by side, err
        alike, and differences are those of the means of blocks.

    Notes
    -----
    Readers are ``"gru"`` and ``"lstm"``, which read forwards and are judged by their last state, and
    ``"wide"``, a GRU of two directions with max pooling, which need not remember.
    """

    task: str
    quality: str
    trained: int
    held: int
    views: Array
    seen: dict[str, Array]
    within: dict[str, Array]
    between: dict[str, Array]
    gradients: dict[str, Array]
    seconds: float
    blocks: Array | None = None

    @property
    def scores(self) -> dict[str, Array]:
        """Of each reader the score of each view."""
        return {reader: rows.mean(axis=1) for reader, rows in self.seen.items()}

    @property
    def chance(self) -> float:
        """The score of the constant answer."""
        return float(self.seen["gru"][0].mean())

    @property
    def best(self) -> str:
        """The reader that comes to the highest score of all views; of equals the simpler."""
        found = "gru"
        for reader in ("lstm", "wide"):
            if self._differ(self._top(reader), self._top(found)):
                found = reader
        return found

    @property
    def reach(self) -> int | None:
        """The least steps back from the end that tell as much as any more; None if nothing is learnt."""
        seen = self.seen[self.best]
        if not self._differ(self._top(self.best), seen[0]):
            return None
        for view in range(len(self.views)):
            if not any(self._differ(later, seen[view]) for later in seen[view + 1 :]):
                return int(self.views[view])
        return int(self.views[-1])

    @property
    def advised(self) -> str | None:
        """The reader to take for whole sequences: the GRU, unless another is better; None if none learns."""
        found = "gru"
        for reader in ("lstm", "wide"):
            if self._differ(self.seen[reader][-1], self.seen[found][-1]):
                found = reader
        return found if self._differ(self.seen[found][-1], self.seen[found][0]) else None

    @property
    def options(self) -> dict[str, Any]:
        """Parameters of an estimator that the figures speak for."""
        if self.advised is None:
            return {}
        return dict(READERS[self.advised])

    @property
    def order_counts(self) -> bool:
        """Whether the network that is advised needs the steps in their order."""
        reader = self.advised
        return reader is not None and self._differ(self.seen[reader][-1], self.within[reader][0])

    def _top(self, reader: str) -> Array:
        """Of a reader its best view."""
        rows: Array = self.seen[reader][int(np.argmax(self.scores[reader]))]
        return rows

    def _differ(self, one: Array, other: Array) -> bool:
        """Whether one is better by more than chance, and by more than a trifle."""
        top = max(float(scores.max()) for scores in self.scores.values())
        return differ(one, other, self.blocks, top - self.chance)

    # In words

    @property
    def advice(self) -> str:
        """Sentences that follow from the figures."""
        return " ".join([self._how_far(), *self._what_helps()])

    def _how_far(self) -> str:
        reach, longest = self.reach, int(self.views[-1])
        best = self.scores[self.best]
        if reach is None:
            top = max(float(scores.max()) for scores in self.scores.values())
            return (
                "Nothing of the sequences tells of the target, as far as these networks see: the best comes"
                f" to {self.quality} {top:.3f}, the constant answer to {self.chance:.3f}, on {self.held}"
                " sequences that were held out."
            )
        at = int(np.searchsorted(self.views, reach))
        before = f"{self.quality} {best[at - 1]:.3f} with the last {self.views[at - 1]:,}"
        if self.views[at - 1] == 0:
            before = f"{self.quality} {self.chance:.3f} of the constant answer"
        if reach == longest:
            return (
                f"The target depends on steps as far back as the sequences go, {longest:,}: {self.quality}"
                f" {best[at]:.3f} with all of them, {before}."
            )
        steps = "step tells" if reach == 1 else f"{reach:,} steps tell"
        return (
            f"The last {steps} all that is found: {self.quality} {best[at]:.3f}, {before}; with all"
            f" {longest:,} it is {best[-1]:.3f}."
        )

    def _what_helps(self) -> list[str]:
        advised, full = self.advised, {reader: scores[-1] for reader, scores in self.scores.items()}
        if advised is None and self.reach is None:
            return ["More sequences or another kind of model may: ask gru_rs.compare for both."]
        found = []
        if advised is None:
            found.append(
                f"None learns it from whole sequences: give them the last {self.reach:,} steps alone, or"
                " train longer."
            )
        elif advised == "gru":
            found.append(
                "A GRU that reads forwards and is judged by its last state remembers what counts:"
                f" {full['gru']:.3f}."
            )
        else:
            lost = [
                f"{name} comes to {full[reader]:.3f}"
                for reader, name in (("gru", "a GRU"), ("lstm", "an LSTM"))
                if reader != advised and self._differ(self.seen[advised][-1], self.seen[reader][-1])
            ]
            chosen = ", ".join(f"{name}={value!r}" for name, value in self._changed().items())
            found.append(
                f"Take {chosen}, which comes to {full[advised]:.3f}; reading forwards and judged by its last"
                f" state {' and '.join(lost)}."
            )
        found += self._of_context()
        if advised is not None and not self.order_counts:
            found.append(
                "The order of the steps counts little: another kind of model may do as well, ask"
                " gru_rs.compare."
            )
        return found

    def _changed(self) -> dict[str, Any]:
        """What is advised beyond what textbooks have."""
        return {name: value for name, value in self.options.items() if READERS["gru"][name] != value}

    def _of_context(self) -> list[str]:
        advised, longest = self.advised, int(self.views[-1])
        if self.task == "forecast" and self.reach is not None:
            if self.reach == longest:
                return [f"More context may help: probe with longest above {longest:,}, then set window."]
            return [f"A window of {max(self.reach, 1):,} is enough."]
        if advised is not None and self.reach != longest:
            rows = self.seen[advised]
            if any(self._differ(view, rows[-1]) for view in rows[:-1]):
                return [f"Steps before them only disturb it: give it the last {self.reach:,} alone."]
        if self.reach == longest and longest > 1:
            return ["Do not cut the sequences (max_length)."]
        return []

    def __str__(self) -> str:
        shown = f"{self.trained:,} sequences to train on, {self.held:,} held out, {self.seconds:.0f} s"
        heading = [
            "last steps",
            *(f"{self.quality}, {reader}" for reader in self.seen),
            *(f"{what}, {self._shown}" for what in ("shuffled before", "another's before")),
            f"gradient there, {self._shown}",
        ]
        rows = [heading, *(self._row(view) for view in range(len(self.views)))]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(str.rjust, row, widths)) for row in rows]
        return "\n".join([f"{self.task}, {shown}", "", *lines, "", self.advice])

    @property
    def _shown(self) -> str:
        return self.advised or self.best

    def _row(self, view: int) -> list[str]:
        steps, reader = int(self.views[view]), self._shown
        gradient = f"{self.gradients[reader][steps - 1]:.1e}" if steps else ""
        scores = [*self.scores.values(), self.within[reader].mean(axis=1), self.between[reader].mean(axis=1)]
        return [f"{steps:,}", *(f"{one[view]:.3f}" for one in scores), gradient]

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain values, for JSON."""

        def means(rows: dict[str, Array]) -> dict[str, list[float]]:
            return {reader: one.mean(axis=1).tolist() for reader, one in rows.items()}

        return {
            "task": self.task,
            "quality": self.quality,
            "trained": self.trained,
            "held": self.held,
            "views": self.views.tolist(),
            "scores": means(self.seen),
            "shuffled_within": means(self.within),
            "shuffled_between": means(self.between),
            "gradients": {reader: one.tolist() for reader, one in self.gradients.items()},
            "chance": self.chance,
            "reach": self.reach,
            "options": self.options,
            "advice": self.advice,
            "seconds": self.seconds,
        }

    def plot(self, path: str | os.PathLike[str] | None = None, *, ax: Any = None) -> Any:
        """Scores over how far back is seen, dashed what remains with another's steps before; needs matplotlib
        (``gru-rs[plot]``).

        Parameters
        ----------
        path : path-like, optional
            Where it is written to; its ending says which format.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a figure of its own when missing.

        Returns
        -------
        matplotlib.axes.Axes
            With a second scale to the right for the norms of gradients, relative to their largest.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        """
        axes = axes_of(ax)
        other = axes.twinx()
        for place, (reader, scores) in enumerate(self.scores.items()):
            colour = f"C{place}"
            axes.plot(self.views, scores, "o-", color=colour, label=f"{reader}: last steps alone")
            axes.plot(
                self.views,
                self.between[reader].mean(axis=1),
                "--",
                color=colour,
                label=f"{reader}: another's before",
            )
            gradient = self.gradients[reader]
            largest = float(gradient.max(initial=0)) or 1.0
            other.plot(np.arange(1, len(gradient) + 1), gradient / largest, ":", color=colour, alpha=0.6)
        if self.reach is not None:
            axes.axvline(self.reach, color="grey", linewidth=1, label=f"reach: {self.reach:,}")
        return finished_by_steps(axes, other, ("steps back from the end", self.quality), path)
