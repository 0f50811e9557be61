"""Two threads: every engine with two, and gru_rs also with one in the same rounds, since a ratio of two
processes would say more about the minute than about the threads."""

from . import grid, workload
from .engines import OWN
from .race import Entry
from .sections import MODES, entries

ONE, TWO = ", 1 thread", ", 2 threads"
SPOT = "t100_b64_i256_h256"  # at which every engine's times on one and on two threads are shown


def threads(bench, layers, named=(), quick=False):
    if quick and not named:
        layers = [*layers, grid.named(SPOT)]
    for mode in MODES:
        for point in layers:
            bench.race(f"threads {mode}", point, _entries(bench.engines, mode, point))


def _entries(engines, mode, point):
    found = entries(engines, mode, workload.make(point), TWO)
    own = found.get(OWN + TWO)
    if own is None:
        return found
    return {
        OWN + ONE: _with_threads(engines, own, 1),
        OWN + TWO: _with_threads(engines, own, 2),
        **_peers(found),
    }


def _with_threads(engines, entry, count):
    job = engines[OWN].with_threads(entry.job, count)
    return Entry(job, entry.expected, entry.flop, entry.dtype, str(count))


def _peers(found):
    return {name: entry for name, entry in found.items() if name != OWN + TWO}
