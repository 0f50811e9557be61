"""A measurement in a process of its own. It must not import NumPy or an engine: their threads would inherit
what the process was allowed before."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

from peers.setting import DEFAULT, ONE

FLAG = "--one"
SCRIPT = Path(__file__).parents[1] / "edge.py"


def ask(measure, *arguments, pinned=True):
    """What `measure`, a function of one of these modules, returns in a process that has one core, or all."""
    asked = json.dumps([measure.__module__, measure.__name__, pinned, *arguments])
    done = subprocess.run(
        [sys.executable, str(SCRIPT), FLAG, asked], check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def answer(asked):
    module, name, pinned, *arguments = json.loads(asked)
    (ONE if pinned else DEFAULT).enter()
    measure = getattr(importlib.import_module(module), name)
    print(json.dumps(measure(*arguments)))
