"""What each engine does for one forward pass, one training call and one step.

Each engine is a module with NAME, version(), use_threads(count) and some of forward(work), training(work) and
steps(work), which return a dict of jobs by name: usually one, several where an engine can be asked in several
ways, of which the best counts, none where it lacks what the work asks for. An engine keeps what it may keep
between calls (compiled graphs, packed weights, buffers); everything that has to be done anew for each call is
in `run`.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass

OWN = "gru_rs"
PEERS = ("pytorch", "onnxruntime", "openvino", "jax")
ENGINES = (OWN, *PEERS)


@dataclass(frozen=True)
class Job:
    """`run` is what is timed; `read` turns what it returned into NumPy arrays named as in `reference`."""

    run: Callable
    read: Callable


def engine_of(job_name):
    """A job is called by its engine, and the way of asking it behind a comma."""
    return job_name.partition(",")[0]


def load(wanted, threads=None):
    """Imports the engines that are installed and gives them so many threads (None: as many as they like).
    Returns them by name, and for each of the others the reason."""
    engines, missing = {}, {}
    for name in wanted:
        try:
            engine = importlib.import_module(f"{__name__}.{name}_engine")
        except ImportError as error:
            missing[name] = str(error)
            continue
        if threads is not None:
            engine.use_threads(threads)
        engines[name] = engine
    return engines, missing


def jobs(engines, mode, work):
    """All jobs of one mode, in the engines' order."""
    found = {}
    for engine in engines.values():
        found.update(getattr(engine, mode, lambda _: {})(work))
    return found
