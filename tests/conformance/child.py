"""A process in an engine's own environment: it runs cases one after the other, and says which it is at.

python child.py ENGINE CASES ANSWERS NAME…       python child.py ENGINE --version
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
# What is beside this file must not hide an engine's own modules.
sys.path = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).parent]

from conformance import protocol  # noqa: E402

LONGEST = 300


def main(engine: str, cases: str, *rest: str) -> None:
    runner = importlib.import_module(f"conformance.runners.{engine}")
    if cases == "--version":
        print(runner.version())
        return
    answers, *names = rest
    for name in names:
        folder, out = Path(cases) / name, Path(answers)
        (out / f"{name}.begun").touch()
        feeds, outputs = protocol.get_case(folder)
        try:
            found = runner.run(folder / "model.onnx", feeds, outputs)
        except (Exception, SystemExit) as error:
            (out / f"{name}.error").write_text(shortened(error))
            continue
        protocol.put_answer(out, name, found)


def shortened(error: BaseException) -> str:
    """A message in one line, without paths."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return re.sub(r"/\S*/", "", text)[:LONGEST]


if __name__ == "__main__":
    main(*sys.argv[1:])
