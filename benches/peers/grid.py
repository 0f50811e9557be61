"""The sizes that are measured; knows nothing of engines."""

from dataclasses import dataclass
from pathlib import Path

import tomllib

PATH = Path(__file__).parents[1] / "grid.toml"
QUICK_FLOP = 1e9  # --quick leaves out layers whose forward pass has more


@dataclass(frozen=True)
class Point:
    name: str
    seq: int
    batch: int
    input: int
    hidden: int

    def __str__(self):
        return f"{self.seq},{self.batch},{self.input},{self.hidden}"

    def flop(self, gates=3):
        """Of the products of a forward pass; training counts three times as much."""
        return 2 * self.seq * self.batch * gates * self.hidden * (self.input + self.hidden)


def load(names=(), quick=False):
    """Returns the layer points and the step points, only those called `names` if there are any."""
    layers, steps = _all()
    known = {key for p in layers + steps for key in (p.name, str(p))}
    if unknown := set(names) - known:
        raise SystemExit(f"no such point in {PATH.name}: {', '.join(sorted(unknown))}")
    if names:
        layers, steps = ([p for p in points if {p.name, str(p)} & set(names)] for points in (layers, steps))
    elif quick:
        layers = [p for p in layers if p.flop() <= QUICK_FLOP]
    return layers, steps


def named(name):
    """The point of that name; a KeyError where the grid has none."""
    return {point.name: point for points in _all() for point in points}[name]


def _all():
    tables = tomllib.loads(PATH.read_text())
    return tuple([Point(**table) for table in tables[kind]] for kind in ("layer", "step"))
