"""Options, the sections, the record."""

import argparse
import inspect
import os
import time
from pathlib import Path

import gru_rs
import onnxruntime
from peers import where

from .endurance import endurance
from .layers import chunk, step, weights
from .rust import rust
from .suppressor import nsnet2_gains
from .tails import tails

SECTIONS = {
    "step": step,
    "chunk": chunk,
    "rust": rust,
    "bytes": weights,
    "nsnet2": nsnet2_gains,
    "endurance": endurance,
    "tails": tails,
}


def main(about):
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=about, formatter_class=raw)
    parser.add_argument("--quick", action="store_true", help="few rounds, few steps: to see that it runs")
    parser.add_argument("--section", action="append", choices=SECTIONS, help="only this one, or these")
    parser.add_argument("--record", type=Path, help="write the tables into this folder")
    given = parser.parse_args()
    facts, began = where.about(), time.perf_counter()
    texts = []
    for name in given.section or SECTIONS:
        section = SECTIONS[name]
        print(f"\n{name}", flush=True)
        texts.append(f"{inspect.getdoc(section)}\n\n{section(given.quick)}")
    minutes = (time.perf_counter() - began) / 60
    print(f"\n{minutes:.1f} minutes")
    if given.record:
        path = given.record / f"{stem(facts)}.md"
        path.write_text("\n".join([head(facts, minutes), *texts]))
        print(path)


def stem(facts):
    forced = os.environ.get("GRU_RS_ISA")
    return f"{facts['date']}-edge-{facts['commit'][:7]}" + (f"-{forced}" if forced else "")


def head(facts, minutes):
    own = gru_rs.show_config(mode="dicts")
    forced = os.environ.get("GRU_RS_ISA")
    isa = f"{own['isa']}, forced by GRU_RS_ISA" if forced else f"{own['isa']}, chosen by itself"
    lines = {
        "date": facts["date"],
        "CPU": facts["CPU"],
        "load at the start": facts["load at the start"],
        "commit": facts["commit"],
        "instruction set": f"{isa}; there are {', '.join(own['isa_available'])}",
        "extension built at": own["commit"][:10],
        "versions": f"onnxruntime {onnxruntime.__version__}, numpy {own['numpy']}, Python {own['python']}",
        "command": f"`{facts['command']}` (`make bench-edge`), {minutes:.1f} minutes",
    }
    return "# Small machines\n\n" + "".join(f"* {name}: {value}\n" for name, value in lines.items())
