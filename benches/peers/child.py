"""One process under one setting: its sections, and after each of them all that it has found so far, as
CSV."""

import platform
import time
import traceback

import numpy as np

from . import busy, footprint, grid, results, sections, threads
from . import engines as engine_room
from .race import Bench
from .timing import Effort

REST = 0.01  # seconds; on two cores a spinning thread of the neighbour's would be half of the machine


def run(options, setting, cores):
    engines, missing = engine_room.load(options.engines, setting.threads)
    for name, reason in missing.items():
        print(f"{name} is not measured: {reason}", flush=True)
    effort = Effort(options.budget, options.rounds, REST if setting.threads == 2 else 0.0)
    bench = Bench(engines, effort, setting.label, report=lambda line: print(line, flush=True))
    bench.results.about = _about(engines, setting, cores)
    for name in options.only:
        began = time.perf_counter()
        try:
            _section(bench, name, options)
        except Exception as error:  # what was measured before it is still worth its record
            traceback.print_exc()
            bench.results.failures.append(f"{name}: {error!r}")
        results.save(bench.results, options.rows)
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
    return 0


def _section(bench, name, options):
    layers, steps = grid.load(options.points, options.quick)
    if name == "footprint":
        repeats = 1 if options.quick else 10
        bench.results.footprint = footprint.measure(bench.engines, options.wheel, repeats)
    elif name == "threads":
        threads.threads(bench, layers, options.points, options.quick)
    elif name == "busy":
        busy.busy(bench, options.points, options.seconds, blocks=1 if options.quick else 3)
    else:
        sections.SECTIONS[name](bench, steps if name == "step" else layers)


def _about(engines, setting, cores):
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    versions.update({name: engine.version() for name, engine in engines.items()})
    used = f"{', '.join(map(str, cores))}; {setting.label} thread{'' if setting.threads == 1 else 's'}"
    return {f"cores, setting {setting.name}": used, **{f"version of {n}": v for n, v in versions.items()}}
