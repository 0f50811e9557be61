"""What was found, as a small file that runs of some engines bring up to date:
benches/record/conformance.json."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from .diagnose import NOTHING

PLACE = Path(__file__).parents[2] / "benches" / "record" / "conformance.json"
OUTCOMES = ["right", "wrong", "refused", "aborted", "hung"]
LONGEST = 110


@dataclass
class Found:
    """An engine's outcomes: by case's name (outcome, how); only a number of cases in which it aborted or
    hung."""

    version: str
    date: str
    cases: dict[str, tuple[str, str]]
    lost: dict[str, int] = field(default_factory=dict)

    def count(self, outcome: str) -> int:
        if outcome in self.lost:
            return self.lost[outcome]
        count = sum(found == outcome for found, _ in self.cases.values())
        return count - sum(self.lost.values()) if outcome == "refused" else count


def kept(version: str, date: str, outcomes: dict[str, tuple[str, str]]) -> Found:
    """What is written down. Which inputs end an engine, or keep it busy for good, is not: they stand among
    those that it does not answer."""
    lost: dict[str, int] = defaultdict(int)
    cases = {}
    for name, (outcome, how) in outcomes.items():
        if outcome in ("aborted", "hung"):
            lost[outcome] += 1
            cases[name] = ("refused", NOTHING)
        else:
            cases[name] = (outcome, plain(how) if outcome == "refused" else how)
    return Found(version, date, cases, dict(lost))


def plain(message: str) -> str:
    """A refusal without what differs from case to case: numbers of nodes and sizes."""
    message = re.sub(r"^.*Diagnostics: <stdin>:\d+:\d+: |Node number \d+ ", "", message)
    message = re.split(
        r" ?(?:Stack backtrace|0: candle_core|for op NodeProto|Inputs were|Required inputs|: %\d)", message
    )[0]
    message = re.sub(r"#?\b\d+ (?=\")|(?<=[A-Za-z])_\d+\b", "", message)
    message = re.sub(r"\d+(,\d+)+(,F\d+)?|\[\d+(, \d+)*\]", "…", message)
    return message[:LONGEST].strip()


def read(cases: list[str], place: Path = PLACE) -> dict[str, Found]:
    """By engine; of cases that are there still."""
    if not place.exists():
        return {}
    data = json.loads(place.read_text())
    names = data["cases"]
    found = {}
    for engine, own in data["engines"].items():
        outcomes = {
            names[k]: (outcome, how)
            for outcome in OUTCOMES[:3]
            for how, numbers in own[outcome].items()
            for k in numbers
            if names[k] in set(cases)
        }
        found[engine] = Found(own["version"], own["date"], outcomes, own["lost"])
    return found


def write(found: dict[str, Found], cases: list[str], place: Path = PLACE) -> None:
    numbers = {name: k for k, name in enumerate(cases)}
    engines = {}
    for engine, own in found.items():
        entry: dict = {"version": own.version, "date": own.date, "lost": own.lost}
        for outcome in OUTCOMES[:3]:
            by_how = defaultdict(list)
            for name, (one, how) in own.cases.items():
                if one == outcome:
                    by_how[how].append(numbers[name])
            entry[outcome] = dict(by_how)
        engines[engine] = entry
    # A line for each case and for each list of them: what changed shows in a diff.
    text = json.dumps({"cases": cases, "engines": engines}, indent=1, ensure_ascii=False)
    text = re.sub(r"\[\s+(\d[\d,\s]*?)\s+\]", lambda m: "[" + " ".join(m[1].split()) + "]", text)
    place.write_text(text + "\n")
