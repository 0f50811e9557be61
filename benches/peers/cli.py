"""Options, the order of the run and the exit status; engines are imported only after the core is pinned."""

import argparse
import traceback

from . import timing
from .engines import ENGINES

SECTIONS = ("forward", "training", "step", "lstm", "variants", "footprint")
FULL, QUICK = timing.Effort(budget=1.5, rounds=7), timing.Effort(budget=0.25, rounds=3)


def main():
    options = _options()
    core = timing.pin(options.core)

    from . import engines as engine_room
    from . import footprint, grid, record, sections

    engines, missing = engine_room.load(options.engines, threads=1)
    for name, reason in missing.items():
        print(f"{name} is not measured: {reason}")
    layers, steps = grid.load(options.points, options.quick)
    where = record.setting(engines, core)
    print(f"{where.cpu}; core {core}; {where.versions}\n")

    default = QUICK if options.quick else FULL
    effort = timing.Effort(options.budget or default.budget, options.rounds or default.rounds)
    results = sections.Results(engines, effort, report=lambda line: print(line, flush=True))
    for name in options.only:
        try:
            if name == "footprint":
                results.footprint = footprint.measure(
                    engines, options.wheel, repeats=3 if options.quick else 10
                )
            else:
                sections.SECTIONS[name](results, steps if name == "step" else layers)
        except Exception as error:  # what was measured before it is still worth its record
            traceback.print_exc()
            results.failures.append(f"{name}: {error!r}")

    text = record.document(results, where)
    print(f"\n{text}")
    if options.record:
        for path in record.save(options.record, results, where, text):
            print(f"written: {path}")
    return 1 if results.failures else 0


def _options():
    parser = argparse.ArgumentParser(
        description="Times gru_rs beside PyTorch, ONNX Runtime, OpenVINO and JAX on one core."
    )
    parser.add_argument("--record", metavar="DIR", help="write <date>-<cpu>-<commit>.md and .csv there")
    parser.add_argument("--only", type=_list_of(SECTIONS), default=SECTIONS, help=f"of {','.join(SECTIONS)}")
    parser.add_argument(
        "--points", nargs="+", default=(), metavar="NAME", help="of grid.toml, or as 100,32,64,64"
    )
    parser.add_argument(
        "--engines",
        type=_list_of(ENGINES),
        default=ENGINES,
        help=f"of {','.join(ENGINES)}; those not installed are left out",
    )
    parser.add_argument("--quick", action="store_true", help="small points and little time: does it work?")
    parser.add_argument("--budget", type=float, metavar="SECONDS", help="for each engine at each point")
    parser.add_argument("--rounds", type=int, help="at least so many, whatever the budget")
    parser.add_argument("--core", type=int, help="the core to be pinned to (default: the first allowed one)")
    parser.add_argument(
        "--wheel", metavar="FILE", help="to be weighed (default: the newest one in target/wheels, dist)"
    )
    return parser.parse_args()


def _list_of(known=None):
    def names(text):
        found = tuple(name.strip() for name in text.split(","))
        if known and (unknown := set(found) - set(known)):
            raise argparse.ArgumentTypeError(
                f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}"
            )
        return found

    return names
