"""What an engine costs before and beside its arithmetic: each figure comes from a fresh process."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
MODULES = {"pytorch": "torch", "jax": "jax.numpy"}  # where it is not the engine's name
TRAINING_POINT = "t100_b64_i256_h256"

# Resident memory and seconds that an import adds to a process that has NumPy.
IMPORT = """
import time, numpy
def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))
before, began = resident(), time.perf_counter()
import {module}
print(time.perf_counter() - began, resident() - before)
"""

# The high-water mark of one training call over what is resident with inputs and weights in place. A tiny call
# first loads the code; the allocator must hand freed memory back, or the call would live on what set-up left.
TRAINING = """
import ctypes, gc, sys
sys.path.insert(0, {benches!r})
from peers import engines, grid, workload
def field(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))
engine = engines.load([{engine!r}], 1)[0][{engine!r}]
engine.training(workload.make(grid.Point("tiny", 2, 2, 8, 8)))[engine.NAME].run()
work = workload.make(grid.load([{point!r}])[0][0])
run = engine.training(work)[engine.NAME].run
gc.collect()
ctypes.CDLL(None).malloc_trim(0)
open("/proc/self/clear_refs", "w").write("5")
before = field("VmRSS")
answer = run()
print(field("VmHWM") - before)
"""


def measure(engines, wheel, repeats):
    """Returns {"import ms": {engine: …}, "resident MB": …, "training MB": …, "wheel MB": …}, MB of 10⁶."""
    figures = {"import ms": {}, "resident MB": {}, "training MB": {}}
    if (size := wheel_size(wheel)) is not None:
        figures["wheel MB"] = {"gru_rs": size}
    for name in engines:
        code = IMPORT.format(module=MODULES.get(name, name))
        runs = [_fresh(code) for _ in range(repeats if name == "gru_rs" else min(repeats, 3))]
        figures["import ms"][name] = min(seconds for seconds, _ in runs) * 1e3
        figures["resident MB"][name] = median(kib for _, kib in runs) * 1024 / 1e6
    for name in ("gru_rs", "pytorch"):
        if name in engines:
            code = TRAINING.format(benches=str(ROOT / "benches"), engine=name, point=TRAINING_POINT)
            figures["training MB"][name] = min(_fresh(code)[0] for _ in range(min(repeats, 2))) * 1024 / 1e6
    return figures


def wheel_size(path=None):
    """MB of the wheel at `path`, or of the newest that a build left in the repository; None without one."""
    if path is None:
        wheels = [w for folder in ("target/wheels", "dist") for w in (ROOT / folder).glob("gru_rs-*.whl")]
        path = max(wheels, key=lambda wheel: wheel.stat().st_mtime, default=None)
    return None if path is None else Path(path).stat().st_size / 1e6


def _fresh(code):
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    # As after pip install: compiled, here beside nobody's sources.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / "gru-rs-bench-pycache")
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"footprint: {done.stderr.strip().splitlines()[-1]}")
    return [float(word) for word in done.stdout.split()]
