"""Random calls of the layer API, most of them wrong: `random_calls/` says what has to hold of each.

They run in processes of their own with little memory, so that a crash, an abort or a call without an end
is a failure that names the call. GRU_RS_LONG=1 makes ten times as many; GRU_RS_SEED draws others.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LONG = os.environ.get("GRU_RS_LONG") == "1"
SEED = int(os.environ.get("GRU_RS_SEED", "1"))
PARTS = 4
CALLS = 6_000 * (10 if LONG else 1)
"""Of each part."""
SECONDS = 120 * (10 if LONG else 1)
"""Of each part: some ten times what it takes."""

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited as on Linux")


@pytest.mark.parametrize("part", range(PARTS))
def test_random_calls(part, tmp_path):
    log, seed = tmp_path / "last", SEED * 1000 + part
    command = [sys.executable, Path(__file__).parent / "random_calls", str(seed), str(CALLS), log]
    own = {**os.environ, "GRU_RS_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"}  # each takes address space
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, env=own)
    last = log.read_text("utf-8", "replace")
    found = f"exit {done.returncode}\n{done.stdout[-20_000:]}\n{done.stderr[-5_000:]}\nlast call: {last}"
    assert done.returncode == 0, f"{found}\nGRU_RS_SEED={SEED}"
