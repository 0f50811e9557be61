"""Counts the instructions of the main kernels under callgrind and compares them with the recorded ones.

    python benches/instructions.py            fails if a count has moved by more than 3 %
    python benches/instructions.py --record   writes the counts as they are now

Counts need no quiet machine: the same program on the same input gives the same number. A new compiler may
give others: then record them in a commit of their own.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
RECORD = Path(__file__).with_suffix(".json")
TOLERANCE = 0.03
WORKS = ("gru", "gru_one_row", "gru_odd", "gru_reset_before", "lstm", "gru_large")
CASES = [
    *((work, mode, "f32") for work in WORKS for mode in ("forward", "training")),
    ("gru", "forward", "f64"),
    ("gru", "training", "f64"),
    ("gru_one_row", "step", "f32"),
]
# The first call makes what the others use again: only what the later ones add is counted.
CALLS = (1, 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name}")
    record = parser.parse_args().record
    program = build()
    counts = {"/".join(case): count(program, case) for case in CASES}
    if record:
        RECORD.write_text(json.dumps({"rustc": rustc(), "instructions": counts}, indent=2) + "\n")
    return report(counts, json.loads(RECORD.read_text()))


def build():
    """The path of the compiled work."""
    command = ["cargo", "bench", "--bench", "instructions", "--no-run", "--message-format", "json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    built = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    return next(
        message["executable"]
        for message in built
        if message.get("executable") and message["target"]["name"] == "instructions"
    )


def rustc():
    return subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True).stdout.strip()


def count(program, case):
    """Instructions of one call."""
    few, many = (total(program, [*case, str(calls)]) for calls in CALLS)
    return (many - few) // (CALLS[1] - CALLS[0])


def total(program, arguments):
    with tempfile.TemporaryDirectory() as folder:
        tool = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out"]
        command = [*tool, program, *arguments]
        # The environment lies on the stack and moves what is aligned to it.
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={})
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return int(found[1])


def report(counts, recorded):
    moved = 0
    print(f"recorded by {recorded['rustc']}, counted by {rustc()}")
    for name, counted in counts.items():
        before = recorded["instructions"].get(name)
        change = counted / before - 1 if before else float("inf")
        bad = abs(change) > TOLERANCE
        moved += bad
        print(f"{name:32} {counted:12,} instructions {change:+8.2%}{'  MOVED' if bad else ''}")
    if moved:
        print(f"{moved} of {len(counts)} moved by more than {TOLERANCE:.0%}: explain them, then --record")
    return 1 if moved else 0


if __name__ == "__main__":
    raise SystemExit(main())
