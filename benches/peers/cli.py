"""Options, and who gets them: the driver, one process under one setting, or the renderer alone."""

import argparse
from importlib.util import find_spec
from pathlib import Path

from .driver import SECTIONS
from .engines import ENGINES
from .setting import SETTINGS

# Seconds for each job at a point, rounds at least, seconds for each job under each load of `busy`.
FULL, QUICK = {"budget": 1.5, "rounds": 7, "seconds": 6.0}, {"budget": 0.15, "rounds": 3, "seconds": 0.3}


def main():
    options = _options()
    if options.setting:  # nothing may be imported before it that starts threads
        setting = SETTINGS[options.setting]
        cores = setting.enter(options.core)
        from . import child

        return child.run(options, setting, cores)

    from . import driver, publish, results

    found = results.load(options.render) if options.render else driver.measure(options)
    publish.publish(found, record=options.record, docs=options.docs)
    return 1 if found.failures else 0


def _options():
    parser = argparse.ArgumentParser(
        description="Times gru_rs beside PyTorch, ONNX Runtime, OpenVINO and JAX: on one thread, on two, "
        "and in default settings on a quiet and on a busy machine."
    )
    out = parser.add_argument_group("what is written (the tables always go to the terminal)")
    out.add_argument("--record", metavar="DIR", help="write <date>-<cpu>-<commit>.csv there")
    out.add_argument("--docs", metavar="DIR", help="write benchmarks.md and the plots in benchmarks/ there")
    out.add_argument("--render", metavar="FILE.csv", help="measure nothing: show this record")
    what = parser.add_argument_group("what is measured")
    what.add_argument("--only", type=_list_of(SECTIONS), default=SECTIONS, help=f"of {','.join(SECTIONS)}")
    what.add_argument("--engines", type=_list_of(ENGINES), default=ENGINES, help=f"of {','.join(ENGINES)}")
    what.add_argument(
        "--points", nargs="+", default=(), metavar="NAME", help="of grid.toml, or as 100,32,64,64"
    )
    how = parser.add_argument_group("how")
    how.add_argument("--quick", action="store_true", help="small points and little time: does it work?")
    how.add_argument("--budget", type=float, metavar="SECONDS", help="for each job at each point")
    how.add_argument("--rounds", type=int, help="at least so many, whatever the budget")
    how.add_argument("--seconds", type=float, help="for each job of section busy under each load")
    how.add_argument("--core", type=int, help="the first core to be tied to (default: the first allowed one)")
    how.add_argument(
        "--wheel", metavar="FILE", help="to be weighed (default: the newest in target/wheels, dist)"
    )
    inner = parser.add_argument_group(
        "what this program tells itself when it starts the process of a setting"
    )
    inner.add_argument("--setting", choices=SETTINGS)
    inner.add_argument("--rows", type=Path, help="where that process leaves its figures")
    options = parser.parse_args()
    if options.setting and not options.rows:
        parser.error("--setting needs --rows")
    if options.docs and not find_spec("matplotlib"):
        parser.error("--docs needs matplotlib")
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def _list_of(known):
    def names(text):
        found = tuple(name.strip() for name in text.split(","))
        if unknown := set(found) - set(known):
            raise argparse.ArgumentTypeError(
                f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}"
            )
        return found

    return names
