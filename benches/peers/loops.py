"""Processes that keep the machine busy; it must not import an engine."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

SETTLE = 0.05  # seconds after a change of load
# 1 is PR_SET_PDEATHSIG: it is killed with the process that started it, however that ends.
LOOP = """
import ctypes
ctypes.CDLL(None).prctl(1, 9)
while True:
    pass
"""


@dataclass
class BusyLoops:
    """A process for each core that does nothing but take its time, of the priority that we have; stopped at
    first."""

    processes: list = field(default_factory=list)

    def __enter__(self):
        for _ in os.sched_getaffinity(0):
            self.processes.append(subprocess.Popen([sys.executable, "-c", LOOP]))
        time.sleep(0.5)  # while Python starts
        self.let(False)
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()

    def let(self, run):
        for process in self.processes:
            process.send_signal(signal.SIGCONT if run else signal.SIGSTOP)
        time.sleep(SETTLE)
