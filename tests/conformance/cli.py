"""Run the cases in some engines, or all, and write down what came."""

from __future__ import annotations

import argparse
import datetime
import tempfile
from pathlib import Path

from . import record
from .cases import all_cases
from .document import document
from .driver import outcomes, put_cases
from .engines import ENGINES

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "engines.md"


def main(about: str) -> None:
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", nargs="*", choices=[*ENGINES, []], help="these alone; all if none is named")
    parser.add_argument(
        "--document", action="store_true", help="write the document from the record, run nothing"
    )
    parser.add_argument("--missing", action="store_true", help="run only cases that the record lacks")
    given = parser.parse_args()
    cases = all_cases()
    names = [case.name for case in cases]
    if not given.document:
        with tempfile.TemporaryDirectory() as folder:
            put_cases(Path(folder), cases)
            for name in given.engine or ENGINES:
                before = record.read(names).get(name) if given.missing else None
                asked = [case for case in cases if before is None or case.name not in before.cases]
                own = asked_of(name, Path(folder), asked)
                if before is not None:
                    own.cases |= before.cases
                    own.lost = {k: own.lost.get(k, 0) + before.lost.get(k, 0) for k in own.lost | before.lost}
                counts = ", ".join(f"{own.count(one)} {one}" for one in record.OUTCOMES)
                print(f"{own.version}: {counts}", flush=True)
                # What others wrote meanwhile stays.
                found = record.read(names) | {name: own}
                record.write({name: found[name] for name in ENGINES if name in found}, names)
    DOCUMENT.write_text(document(record.read(names), cases))


def asked_of(name: str, folder: Path, cases) -> record.Found:
    """What an engine makes of these cases today."""
    version, ends = outcomes(ENGINES[name], folder, cases)
    return record.kept(version, datetime.date.today().isoformat(), ends)
