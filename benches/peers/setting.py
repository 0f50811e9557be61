"""What a process may use, settled before an engine is imported: its threads inherit the mask and the
variables."""

import os
from dataclasses import dataclass

THREAD_VARIABLES = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
    *("GRU_RS_NUM_THREADS", "RAYON_NUM_THREADS"),
)


@dataclass(frozen=True)
class Setting:
    """`threads` is the number each engine is told, and the number of cores the process is tied to, since JAX
    heeds nothing else; None leaves both to the engines, as where nobody has thought of it."""

    name: str
    threads: int | None

    @property
    def label(self):
        return str(self.threads or "default")

    def enter(self, first_core=None):
        """Returns the cores this process has from now on."""
        allowed = sorted(os.sched_getaffinity(0))
        for variable in THREAD_VARIABLES:
            os.environ.pop(variable, None)
        os.environ["JAX_PLATFORMS"] = "cpu"
        if self.threads is None:
            return allowed
        if first_core is not None:
            allowed = [first_core, *(core for core in allowed if core != first_core)]
        if len(allowed) < self.threads:
            raise SystemExit(f"{self.threads} threads need as many cores; there is {len(allowed)}")
        os.sched_setaffinity(0, allowed[: self.threads])
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(self.threads)))
        return allowed[: self.threads]


ONE, TWO, DEFAULT = Setting("one", 1), Setting("two", 2), Setting("default", None)
SETTINGS = {setting.name: setting for setting in (ONE, TWO, DEFAULT)}
