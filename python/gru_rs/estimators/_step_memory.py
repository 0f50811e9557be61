"""How far back and ahead the target of a step depends on its sequence: what a probe came to, in numbers, a
sentence and a picture. It must not know how it was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._memory import differ
from ._plots import axes_of, finished_by_steps

if TYPE_CHECKING:
    import os

    from ._batches import Array
    from ._memory import MemoryProbe

READERS: dict[str, dict[str, Any]] = {
    "gru": {"cell": "gru", "bidirectional": False},
    "lstm": {"cell": "lstm", "bidirectional": False},
    "both": {"cell": "gru", "bidirectional": True},
}
"""Those that know what was, and one that knows what comes, too."""


_NOTICED = 0.05
"""Of what a constant answer leaves to be found: less is nothing."""


@dataclass(frozen=True)
class StepProbe:
    """What the steps before and after a step tell of its target, and what networks make of them.

    Attributes
    ----------
    task, quality : str
        What was asked for, and what the scores are.
    back, ahead : MemoryProbe
        Of steps with those before them, and with those after them; views count the step itself.
    whole : dict of str to ndarray (held,)
        For each reader of whole sequences what each step that was held out adds to its score: ``"gru"`` and
        ``"lstm"`` read forwards, ``"both"`` is a GRU of two directions.
    seconds : float
        It took.

    Notes
    -----
    A side is asked about by itself: what needs steps of both sides together is seen in ``whole`` alone.
    """

    task: str
    quality: str
    back: MemoryProbe
    ahead: MemoryProbe
    whole: dict[str, Array]
    seconds: float

    @property
    def scores(self) -> dict[str, float]:
        """Of each reader of whole sequences."""
        return {reader: float(rows.mean()) for reader, rows in self.whole.items()}

    @property
    def chance(self) -> float:
        """The score of the constant answer."""
        return self.back.chance

    @property
    def reach(self) -> tuple[int | None, int | None]:
        """The least steps before and after a step that tell, with the step itself, as much as any more; None
        of a side that tells nothing.
        """
        back, ahead = (None if side.reach is None else side.reach - 1 for side in (self.back, self.ahead))
        return back, ahead

    @property
    def advised(self) -> str | None:
        """The reader to take: the GRU that reads forwards, unless another is better; None if none learns."""
        found = "gru"
        for reader in ("lstm", "both"):
            if self._differ(self.whole[reader], self.whole[found]):
                found = reader
        return found if self._differ(self.whole[found], self.back.seen["gru"][0]) else None

    @property
    def options(self) -> dict[str, Any]:
        """Parameters of an estimator that the figures speak for."""
        return {} if self.advised is None else dict(READERS[self.advised])

    def _differ(self, one: Array, other: Array) -> bool:
        return differ(one, other, self.back.blocks, max(self.scores.values()) - self.chance)

    def _would_count(self, score: float) -> bool:
        """Whether a score that is not known to be more than chance would be so of more data."""
        return score - self.chance > _NOTICED * (1 - self.chance)

    # In words

    @property
    def advice(self) -> str:
        """Sentences that follow from the figures."""
        back, ahead = self._of_side(self.back, "before"), self._of_side(self.ahead, "after")
        return f"{back} {ahead} {self._what_helps()}"

    def _of_side(self, side: MemoryProbe, where: str) -> str:
        longest, best = int(side.views[-1]) - 1, side.scores[side.best]
        if side.reach is None:
            top = max(float(scores.max()) for scores in side.scores.values())
            told = f"the best comes to {self.quality} {top:.3f}, the constant answer to {self.chance:.3f}."
            if self._would_count(top):
                told = f"{told[:-1]}, on {side.held:,} steps that were held out."
                what = f"what a step and those {where} it say of its target"
                return f"There is too little data to tell {what}: {told}"
            return f"A step and those {where} it tell nothing of its target: {told}"
        steps, at = side.reach - 1, int(np.searchsorted(side.views, side.reach))
        if steps == 0:
            return (
                f"With those {where} it nothing more is found than in a step by itself, {self.quality}"
                f" {best[at]:.3f}."
            )
        fewer = int(side.views[at - 1]) - 1
        less = f"{best[at - 1]:.3f} with {fewer:,}" if fewer else f"{best[at - 1]:.3f} of the step alone"
        counted = f"{steps:,} step{'' if steps == 1 else 's'} {where} it"
        if steps == longest:
            counted = f"as far as sequences go {where} it, {steps:,} step{'' if steps == 1 else 's'}"
            return f"A step's target depends on the input {counted}: {self.quality} {best[at]:.3f}, {less}."
        return f"A step's target depends on {counted}: {self.quality} {best[at]:.3f}, {less}."

    def _what_helps(self) -> str:
        advised, full = self.advised, self.scores
        if advised is None:
            top = max(full.values())
            if top > self.chance:
                return (
                    f"Of whole sequences the best comes to {top:.3f}: more data may tell, or gru_rs.compare."
                )
            return "No network learns it from whole sequences: train longer, or ask gru_rs.compare."
        alone = f"a GRU that reads forwards comes to {full['gru']:.3f}"
        if advised == "gru":
            found = f"Steps to come add nothing: {alone}, one of both directions to {full['both']:.3f}."
            return f"{found} It can be streamed."
        chosen = "bidirectional=True" if advised == "both" else "cell='lstm'"
        return f"Take {chosen}, which comes to {full[advised]:.3f}; {alone}."

    def __str__(self) -> str:
        held = f"{self.back.trained:,} steps to train on, {self.back.held:,} held out, {self.seconds:.0f} s"
        lines = [f"{self.task}, {held}", ""]
        for name, side in (("steps before", self.back), ("steps after", self.ahead)):
            rows = [[name, *(f"{self.quality}, {reader}" for reader in side.scores), "gradient there"]]
            for at, view in enumerate(side.views.tolist()):
                shown = f"{view - 1:,}" if view else "not even it"
                gradient = f"{side.gradients[side.advised or side.best][view - 1]:.1e}" if view else ""
                rows.append([shown, *(f"{scores[at]:.3f}" for scores in side.scores.values()), gradient])
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            lines += ["  ".join(map(str.rjust, row, widths)) for row in rows] + [""]
        of_whole = ", ".join(f"{reader} {score:.3f}" for reader, score in self.scores.items())
        return "\n".join([*lines, f"whole sequences, {self.quality}: {of_whole}", "", self.advice])

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain values, for JSON."""
        sides = {name: side.to_dict() for name, side in (("back", self.back), ("ahead", self.ahead))}
        for side in sides.values():
            for name in ("advice", "options"):  # which are of sequences with one target
                del side[name]
        return {
            "task": self.task,
            "quality": self.quality,
            **sides,
            "whole": self.scores,
            "chance": self.chance,
            "reach": list(self.reach),
            "options": self.options,
            "advice": self.advice,
            "seconds": self.seconds,
        }

    def plot(self, path: str | os.PathLike[str] | None = None, *, ax: Any = None) -> Any:
        """Scores over how far back and ahead is seen, dashed those of whole sequences; needs matplotlib
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
        for side, sign in ((self.back, -1), (self.ahead, 1)):
            for place, (reader, scores) in enumerate(side.scores.items()):
                label = f"{reader}: so many steps alone" if sign < 0 else None
                axes.plot(sign * (side.views[1:] - 1), scores[1:], "o-", color=f"C{place}", label=label)
                gradient = side.gradients[reader]
                shown = gradient / (float(gradient.max(initial=0)) or 1.0)
                other.plot(sign * np.arange(len(shown)), shown, ":", color=f"C{place}", alpha=0.6)
        for place, (reader, score) in enumerate(self.scores.items()):
            axes.axhline(score, linestyle="--", color=f"C{place}", label=f"{reader}: whole sequences")
        for steps, sign in zip(self.reach, (-1, 1), strict=True):
            if steps is not None:
                axes.axvline(sign * steps, color="grey", linewidth=1, label=f"reach: {sign * steps:+,}")
        return finished_by_steps(axes, other, ("steps before (-) and after", self.quality), path)
