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
    given = parser.parse_args()
    cases = all_cases()
    names = [case.name for case in cases]
    if not given.document:
        with tempfile.TemporaryDirectory() as folder:
            put_cases(Path(folder), cases)
            for name in given.engine or ENGINES:
                version, ends = outcomes(ENGINES[name], Path(folder), cases)
                own = record.kept(version, datetime.date.today().isoformat(), ends)
                counts = ", ".join(f"{own.count(one)} {one}" for one in record.OUTCOMES)
                print(f"{version}: {counts}", flush=True)
                # What others wrote meanwhile stays.
                found = record.read(names) | {name: own}
                record.write({name: found[name] for name in ENGINES if name in found}, names)
    found = record.read(names)
    DOCUMENT.write_text(document(found, cases))
