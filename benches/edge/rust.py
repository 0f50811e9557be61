"""Steps from Rust, which benches/steps.rs times, beside what RTNeural's authors have published."""

import json
import subprocess
from pathlib import Path

from .layers import WIDTHS
from .process import ask
from .tables import Table

ROOT = Path(__file__).parents[2]
BUILD = ("cargo", "bench", "--bench", "steps", "--no-run", "--message-format", "json-render-diagnostics")
RTNEURAL = {16: 220, 32: 740, 64: 2400}
"""Nanoseconds of a step by hidden size, on their machine: no ratio of one run."""


def built():
    """Where cargo has put the program. It builds with all cores, so not where the program runs."""
    done = subprocess.run(BUILD, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    messages = map(json.loads, done.stdout.splitlines())
    return next(path for message in messages if (path := message.get("executable")))


def steps(program, rounds):
    """Rows of inputs, units and the nanoseconds of each width."""
    done = subprocess.run([program, str(rounds)], check=True, stdout=subprocess.PIPE, text=True)
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["inputs", "units", *WIDTHS], head
    return [[float(cell) for cell in line.split()] for line in lines]


def rust(quick):
    """## One step from Rust

    ns of `stream.step(&x, &mut y)` on one core: `cargo bench --bench steps`. RTNeural's are those that its
    authors published, of their own machine.
    """
    table = Table("I, H", *WIDTHS, "RTNeural, published", "RTNeural / float32", "RTNeural / int8")
    for inputs, hidden, *nanoseconds in ask(steps, built(), 20 if quick else 200):
        theirs = RTNEURAL[hidden]
        ratios = (theirs / nanoseconds[0], theirs / nanoseconds[-1])
        table.row(
            f"{inputs:.0f}, {hidden:.0f}",
            *(f"{each:.0f}" for each in nanoseconds),
            theirs,
            *(f"{ratio:.2f}" for ratio in ratios),
        )
    return str(table)
