"""What training holds: the tape's bytes, and little memory with the same bits."""

import subprocess
import sys
import textwrap

import gru_rs
import numpy as np
import pytest
from conftest import KINDS, new_problem, run

OPTIONS = [
    {},
    {"batch_first": True, "ragged": True},
    {"num_layers": 3, "bidirectional": True, "dropout": 0.3},
    {"num_layers": 2, "with_state": False, "dtype": np.float64},
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", OPTIONS)
def test_little_memory_gives_the_same_bits(kind, options):
    problem = new_problem(kind, 700, 5, 6, 9, **options)
    full, low = run(problem, seed=3), run(problem, seed=3, memory="low")
    for name, value in full.items():
        assert low[name].tobytes() == value.tobytes(), name


def held(kind, seq, memory, **options):
    """Bytes of a tape but for x, of which every tape has a copy."""
    problem = new_problem(kind, seq, 64, 1, 8, **options)
    tape = problem.layer.forward(problem.x, memory=memory)[-1]
    return tape.nbytes - problem.x.nbytes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"num_layers": 3, "bidirectional": True}])
def test_little_memory_grows_with_the_root_of_the_steps(kind, options):
    """A hundred times the steps: ten times the states, and by rounding a little more."""
    assert held(kind, 40_000, "low", **options) <= 14 * held(kind, 400, "low", **options)
    assert held(kind, 40_000, "full", **options) >= 99 * held(kind, 400, "full", **options)
    assert held(kind, 40_000, "low", **options) < held(kind, 40_000, "full", **options) / 200


def test_peak_of_little_memory():
    """Of the whole process through forward and backward, over what stands before."""
    code = """
        import sys, numpy as np, gru_rs
        def kilobytes(name):
            return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))
        gru, x = gru_rs.GRU(4, 128, seed=0), np.zeros((8000, 8, 4), np.float32)
        before = kilobytes("VmRSS")
        y, _, tape = gru.forward(x, memory=sys.argv[1])
        tape.backward(y)
        print(kilobytes("VmHWM") - before)
    """
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc")

    def peak(memory):
        command = [sys.executable, "-c", textwrap.dedent(code), memory]
        return int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)

    outputs = 8000 * 8 * 128 * 4 // 1024  # kB of y
    assert peak("full") > 5 * outputs
    assert peak("low") < 1.6 * outputs


@pytest.mark.parametrize("value", ["tiny", "LOW", "", None, 1, True])
def test_unknown_memory(value):
    with pytest.raises(ValueError, match=f"memory: expected 'full' or 'low', got {value!r}"):
        gru_rs.GRU(2, 3).forward(np.zeros((2, 1, 2), np.float32), memory=value)
