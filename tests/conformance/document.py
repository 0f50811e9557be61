"""docs/engines.md, from the record: which engine computes what, and how a model of gru-rs gets to each."""

from __future__ import annotations

from collections import defaultdict

from .cases import Case
from .engines import ENGINES
from .record import OUTCOMES, Found
from .text import BEGIN, DEPLOY, END, FORMS, NODES, WRITTEN

# Of an engine's reasons to refuse so many are told, those of most cases.
MOST = 5
SIGNS = {"right": "✓", "wrong": "✗", "refused": "–"}


def document(found: dict[str, Found], cases: list[Case]) -> str:
    engines = [name for name in ENGINES if name in found]
    parts = [
        BEGIN.format(cases=len(cases)),
        counts(found, engines),
        WRITTEN,
        written(found, engines, cases),
        NODES,
        options(found, engines, cases),
        FORMS,
        forms(found, engines, cases),
        "## Engine by engine",
    ]
    parts += [one(name, found[name], cases) for name in engines]
    return "\n\n".join([*parts, END]) + "\n"


def counts(found, engines) -> str:
    heads = ["engine", "version", "date", *OUTCOMES]
    rows = [
        [
            ENGINES[name].title,
            found[name].version,
            found[name].date,
            *(str(found[name].count(outcome)) for outcome in OUTCOMES),
        ]
        for name in engines
    ]
    return table(heads, rows, numbers=len(OUTCOMES))


def options(found, engines, cases) -> str:
    """Nodes as ONNX has them: by kind and direction, and by option."""
    plain = [case for case in cases if case.form in ("node", "outer")]
    groups = {f"{case.kind}, {case.direction}": [case] for case in plain if case.option == "plain"}
    for case in plain:
        if case.option != "plain":
            groups.setdefault(case.option, []).append(case)
    return by_engine(found, engines, groups)


def written(found, engines, cases) -> str:
    """What to_onnx writes: by kind and direction, and by option."""
    own = [case for case in cases if case.form == "to_onnx"]
    groups = {}
    for case in own:
        groups.setdefault(f"{case.kind}, {case.direction}", []).append(case)
    for case in own:
        groups.setdefault(case.option.removeprefix("to_onnx: "), []).append(case)
    return by_engine(found, engines, groups)


def forms(found, engines, cases) -> str:
    """Ways to write lengths: by form, kind and direction."""
    groups = {}
    for case in cases:
        if case.form in ("picked", "gated"):
            sizes = "free" if case.free else "fixed"
            label = f"{case.form}: {case.kind}, {case.direction}, {sizes} sizes"
            groups.setdefault(label, []).append(case)
    return by_engine(found, engines, dict(sorted(groups.items(), key=lambda item: item[0][0] != "p")))


def by_engine(found, engines, groups) -> str:
    """A row a group; engines without recurrent operators are left out."""
    shown = [name for name in engines if any(one[0] != "refused" for one in found[name].cases.values())]
    rows = [[label, *cells(found, shown, chosen)] for label, chosen in groups.items()]
    return table(["", *(ENGINES[name].title for name in shown)], rows)


def cells(found, engines, cases) -> list[str]:
    """A sign where all cases end alike, else how many are right, wrong, refused."""
    texts = []
    for name in engines:
        seen = [found[name].cases[case.name][0] for case in cases if case.name in found[name].cases]
        ends = {outcome: seen.count(outcome) for outcome in SIGNS if outcome in seen}
        if not seen:
            texts.append("?")
        elif len(ends) == 1:
            texts.append(SIGNS[seen[0]])
        else:
            texts.append(" ".join(f"{count}{SIGNS[outcome]}" for outcome, count in ends.items()))
    return texts


def one(name: str, found: Found, cases: list[Case]) -> str:
    lines = [f"### {found.version}", "", *DEPLOY.get(name, "").strip().splitlines(), ""]
    for outcome in ("wrong", "refused"):
        by_how = defaultdict(list)
        for case in cases:
            own, how = found.cases.get(case.name, ("", ""))
            if own == outcome:
                by_how[how].append(case)
        ranked = sorted(by_how.items(), key=lambda item: -len(item[1]))
        shown = ranked if outcome == "wrong" else ranked[:MOST]
        for how, chosen in shown:
            text = how.replace("|", "\\|").replace("<", "&lt;") if outcome == "wrong" else f"`{how}`"
            lines.append(f"* {outcome}, {len(chosen)}: {text} ({where(chosen)})")
        if shown != ranked:
            lines.append(f"* refused, {sum(len(chosen) for _, chosen in ranked[MOST:])}: for other reasons")
    for outcome, count in found.lost.items():
        lines.append(f"* {outcome}: {count} of those without an answer")
    return "\n".join(lines)


def where(chosen: list[Case]) -> str:
    """Cases in few words: kinds, directions, options."""
    kinds, directions, options = (
        list(dict.fromkeys(getattr(case, part) for case in chosen))
        for part in ("kind", "direction", "option")
    )
    words = []
    if len(kinds) < 4:
        words.append(" and ".join(kinds))
    if len(directions) < 3:
        words.append(" and ".join(directions))
    words.append(
        ", ".join(options) if len(options) <= 6 else ", ".join(options[:5]) + f" and {len(options) - 5} more"
    )
    return "; ".join(words)


def table(heads: list[str], rows: list[list[str]], numbers: int = 0) -> str:
    aligned = ["---"] * (len(heads) - numbers) + ["---:"] * numbers
    return "\n".join("| " + " | ".join(row) + " |" for row in [heads, aligned, *rows])
