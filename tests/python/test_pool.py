"""The pool of threads inside a call: the same bits, the number that was asked for, forks, Ctrl-C.

Many threads of Python's own around calls are in test_threads.py.
"""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import gru_rs
import numpy as np
import pytest
import threadpoolctl
from conftest import KINDS, new_problem, run

NUMBERS = (1, 2, 3, 7)
HOUR = 120  # seconds: whoever waits so long waits for ever.


@pytest.fixture(autouse=True)
def put_back():
    before = gru_rs.get_num_threads()
    yield
    gru_rs.set_num_threads(before)


def child(code, *arguments, **environment):
    """Run code in a fresh interpreter, under a watchdog."""
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    environment = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=HOUR, check=False, env=environment)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("batch", "options"),
    [
        (150, {}),
        (70, {"num_layers": 2, "bidirectional": True, "batch_first": True}),
        (33, {"bidirectional": True}),
        (32, {}),
        (20, {"ragged": True, "num_layers": 2}),
        (1, {}),
        (1, {"bidirectional": True, "dtype": np.float64}),
        (600, {"ragged": True}),
        (70, {"num_layers": 2, "bidirectional": True, "ragged": True, "dtype": np.float64}),
    ],
)
def test_any_number_of_threads_gives_the_same_bits(kind, batch, options):
    """Outputs and all gradients, of calls that are large enough to be split."""
    seq = 4000 if batch == 1 else 250 if batch < 64 else 24
    problem = new_problem(kind, seq, batch, 25, 41, **options)
    answers = {}
    for number in NUMBERS:
        gru_rs.set_num_threads(number)
        y, _ = problem.layer(problem.x, problem.state, lengths=problem.lengths)
        full, low = ([v.tobytes() for v in run(problem, memory=m).values()] for m in ("full", "low"))
        assert low == full, f"little memory, {number} threads"
        answers[number] = [y.tobytes(), *full]
    assert gru_rs.show_config(mode="dicts")["pool"] == NUMBERS[-1] - 1, "the calls were too small to be split"
    for number in NUMBERS[1:]:
        assert answers[number] == answers[1], f"{number} threads"


def test_setting_the_number():
    gru_rs.set_num_threads(3)
    assert gru_rs.get_num_threads() == 3
    assert gru_rs.show_config(mode="dicts")["threads"] == 3
    with gru_rs.num_threads(2):
        assert gru_rs.get_num_threads() == 2
    assert gru_rs.get_num_threads() == 3
    with pytest.raises(KeyError), gru_rs.num_threads(1):
        raise KeyError
    assert gru_rs.get_num_threads() == 3


@pytest.mark.parametrize(
    ("number", "error", "message"),
    [
        (0, ValueError, "num_threads: expected a positive integer, got 0"),
        (-1, ValueError, "num_threads: expected a positive integer, got -1"),
        (1025, ValueError, "num_threads: expected an integer from 1 to 1024, got 1025"),
        (2**64, ValueError, "num_threads: expected a size that fits the machine"),
        (1.5, TypeError, "num_threads: expected a positive integer \\(int\\), got 1.5"),
        ("2", TypeError, "num_threads: expected a positive integer \\(int\\), got '2'"),
    ],
)
def test_bad_numbers(number, error, message):
    gru_rs.set_num_threads(3)
    with pytest.raises(error, match=message):
        gru_rs.set_num_threads(number)
    with pytest.raises(error, match=message), gru_rs.num_threads(number):
        pass
    assert gru_rs.get_num_threads() == 3


def test_threadpoolctl():
    """It sees our extension and no other, reads and limits its threads, and puts them back."""

    def ours():
        found = [info for info in threadpoolctl.threadpool_info() if info["user_api"] == "gru_rs"]
        assert len(found) == 1, found
        return found[0]

    gru_rs.set_num_threads(5)
    info = ours()
    assert info["version"] == gru_rs.__version__
    assert info["filepath"] == os.path.realpath(gru_rs._core.__file__)
    assert info["num_threads"] == 5
    with threadpoolctl.threadpool_limits(2):
        assert gru_rs.get_num_threads() == 2
        assert ours()["num_threads"] == 2
    assert gru_rs.get_num_threads() == 5
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        assert gru_rs.get_num_threads() == 5
    with threadpoolctl.threadpool_limits({"gru_rs": 3}):
        assert gru_rs.get_num_threads() == 3


def test_without_threadpoolctl():
    done = child("""
        import sys
        sys.modules["threadpoolctl"] = None  # as if it were not installed
        import gru_rs
        print(gru_rs.get_num_threads())
        """)
    assert done.returncode == 0, done.stderr


def cpus():
    """Those this process may use; macOS and Windows have no affinity to ask for."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(allowed, os.cpu_count())


PRINT = "import gru_rs; print(gru_rs.get_num_threads())"
NONE = {"GRU_RS_NUM_THREADS": "", "RAYON_NUM_THREADS": "", "OMP_NUM_THREADS": ""}


@pytest.mark.parametrize(
    ("environment", "number"),
    [
        ({"GRU_RS_NUM_THREADS": "5", "RAYON_NUM_THREADS": "6", "OMP_NUM_THREADS": "7"}, 5),
        ({"RAYON_NUM_THREADS": "6", "OMP_NUM_THREADS": "7"}, 6),
        ({"RAYON_NUM_THREADS": "0", "OMP_NUM_THREADS": " 7,2 "}, 7),
        ({"OMP_NUM_THREADS": "many"}, None),
        ({}, None),
    ],
)
def test_the_environment(environment, number):
    base = {name: value for name, value in os.environ.items() if name not in NONE}
    done = subprocess.run(
        [sys.executable, "-c", PRINT],
        capture_output=True,
        text=True,
        timeout=HOUR,
        check=True,
        env={**base, **environment},
    )
    assert int(done.stdout) == (number or cpus())


@pytest.mark.parametrize("value", ["0", "two", "-1", "1.5", "", "4000"])
def test_a_bad_environment_is_an_error(value):
    done = child(PRINT, GRU_RS_NUM_THREADS=value)
    assert done.returncode == 1
    expected = f'ValueError: GRU_RS_NUM_THREADS: expected an integer from 1 to 1024, got "{value}"'
    assert expected in done.stderr


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_affinity():
    code = f"import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); {PRINT}"
    base = {name: value for name, value in os.environ.items() if name not in NONE}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HOUR, check=True, env=base
    )
    assert int(done.stdout) == 1


def test_no_thread_before_it_is_needed():
    """Neither import nor a small call builds the pool; a large call does, once."""
    done = child("""
        import threading, os, numpy as np, gru_rs
        def threads():
            return len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0
        def pool():
            return gru_rs.show_config(mode="dicts")["pool"]
        gru_rs.set_num_threads(4)
        gru = gru_rs.GRU(16, 32)
        before = threads()
        gru(np.zeros((20, 4, 16), np.float32))
        assert pool() == 0 and threads() == before
        for _ in range(3):
            gru(np.zeros((100, 64, 16), np.float32))
            assert pool() == 3 and threads() in (0, before + 3), (pool(), threads(), before)
        """)
    assert done.returncode == 0, done.stderr


FORK = """
    import multiprocessing, os, sys, threading, warnings, numpy as np, gru_rs
    warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, of forks beside threads.
    gru_rs.set_num_threads(3)
    gru = gru_rs.GRU(16, 64, bidirectional=True, seed=0)
    x = np.random.default_rng(0).standard_normal((60, 64, 16), np.float32)
    def work():
        y, _, tape = gru.forward(x)
        return y.tobytes() + tape.backward(y).flat.tobytes()
    def fork():
        child = os.fork()
        if child == 0:
            os._exit(0 if all(work() == expected for _ in range(3)) else 1)
        return child
    def wait(children):
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert not any(codes), codes
    with gru_rs.num_threads(1):
        expected = work()
    wait([fork() for _ in range(3)])                  # before the pool is built here
    assert work() == expected
    wait([fork() for _ in range(10)])                 # after
    stop = threading.Event()
    def busy():
        while not stop.is_set():
            assert work() == expected
    threads = [threading.Thread(target=busy) for _ in range(2)]
    [thread.start() for thread in threads]
    for _ in range(30):                               # while other threads are in calls
        wait([fork()])
    stop.set()
    [thread.join() for thread in threads]
    assert work() == expected
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forks_before_during_and_after_calls():
    done = child(FORK)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
@pytest.mark.skipif(sys.platform == "win32", reason="Windows spawns only")
def test_multiprocessing(method, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import multiprocessing, sys, numpy as np, gru_rs
        x = np.ones((60, 64, 16), np.float32)
        def work(seed):
            gru_rs.set_num_threads(2)
            return gru_rs.GRU(16, 64, seed=seed)(x)[0].tobytes()
        if __name__ == "__main__":
            expected = [work(seed) for seed in range(6)]
            with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
                assert pool.map(work, range(6)) == expected
        """)
    )
    command = [sys.executable, script, method]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HOUR, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("call", ["gru(x)", "gru.forward(x)", "tape.backward(y)"])
@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT goes to a whole console there")
def test_ctrl_c_ends_a_long_call(call, threads):
    """Long before it would have ended by itself, and everything works afterwards."""
    code = f"""
        import os, signal, threading, time, numpy as np, gru_rs
        signal.signal(signal.SIGINT, signal.default_int_handler)  # A job in the background begins without.
        gru_rs.set_num_threads({threads})
        gru = gru_rs.GRU(8, 2048, seed=0)  # so large, as the tape is small for the time it takes
        def zeros(steps):
            return np.zeros((steps, 48, 8), np.float32)
        def seconds(work):
            began = time.perf_counter()
            try:
                work()
            except KeyboardInterrupt:
                pass
            return time.perf_counter() - began
        gru(zeros(20))
        steps = int(20 * 2 / seconds(lambda: gru(zeros(20))))
        x = zeros(steps)
        y, _, tape = gru.forward(x)
        whole = seconds(lambda: {call})
        if "tape" in {call!r}:
            y, _, tape = gru.forward(x)
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        interrupted = seconds(lambda: {call})
        assert interrupted < 0.7 * whole, (interrupted, whole)
        again, _ = gru(zeros(20))
        assert np.isfinite(again).all()
        """
    done = child(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT goes to a whole console there")
def test_ctrl_c_ends_a_decoder():
    code = """
        import os, signal, threading, time, numpy as np, gru_rs
        signal.signal(signal.SIGINT, signal.default_int_handler)
        model = gru_rs.EncoderDecoder(8, 64, 10, seed=0)
        never = model.params | {"head.bias": np.where(np.arange(10) == model.end, -1e6, 0).astype("f4")}
        model.load_state_dict(never)
        def seconds(length):
            began = time.perf_counter()
            try:
                model.decode(np.ones((4, 3, 8), np.float32), max_length=length)
            except KeyboardInterrupt:
                pass
            return time.perf_counter() - began
        steps = int(100 * 2 / seconds(100))
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        assert seconds(steps) < 1
    """
    done = child(code)
    assert done.returncode == 0, done.stderr


def test_many_python_threads_share_the_pool():
    """64 threads at once, all with one layer and each with its own."""
    gru_rs.set_num_threads(2)
    x = np.random.default_rng(0).standard_normal((40, 64, 16), np.float32)
    shared = gru_rs.GRU(16, 48, seed=0)
    expected = shared(x)[0].tobytes()
    gate = threading.Barrier(64)

    def work(index):
        layer = shared if index % 2 else gru_rs.GRU(16, 48, seed=0)
        gate.wait()
        return [layer(x)[0].tobytes() for _ in range(5)]

    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(work, range(64), timeout=HOUR))
    assert answers == [[expected] * 5] * 64


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")
def test_a_signal_handler_runs_during_a_call():
    """A handler that raises nothing does not end the call."""
    gru = gru_rs.GRU(64, 128, seed=0)
    seen = []
    x = np.zeros((1500, 64, 64), np.float32)
    gru(x)
    begin = time.perf_counter()
    expected = gru(x)[0]
    once = time.perf_counter() - begin
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(time.perf_counter()))
    try:
        signal.setitimer(signal.ITIMER_REAL, once / 4)  # in the middle, however fast this machine is
        y, _ = gru(x)
        end = time.perf_counter()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(seen) == 1
    assert seen[0] < end
    np.testing.assert_array_equal(y, expected)
