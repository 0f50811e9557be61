"""python/gru_rs/io/_engines.py, from the record: what of a layer's options an engine cannot do, for to_onnx's
warnings."""

from __future__ import annotations

from .cases import Case
from .engines import ENGINES
from .record import Found

HEAD = '''"""What engines do not compute of what `to_onnx` writes. `make conformance` writes this file."""

from __future__ import annotations

'''
KINDS = {"reset_before": "GRU, reset before", "reset_after": "GRU, reset after", "LSTM": "LSTM"}
# By the options of cases; each is asked of kinds and directions that are right without it.
OPTIONS = {
    "bias=False": ["no bias"],
    "clip": ["clip"],
    "activations": ["HardSigmoid", "HardSigmoid with alpha and beta", "Relu"],
    "no states": ["plain"],
    "num_layers": ["two layers"],
    "float64": ["float64"],
    "free sizes": ["free sizes"],
    "sequence_lens": ["lengths, initial states", "a length of 0, initial states"],
}


def known(found: dict[str, Found], cases: list[Case]) -> str:
    """The file's text."""
    lines = [HEAD + "KNOWN: dict[str, tuple[str, dict[str, str]]] = {"]
    for name in ENGINES:
        if name in found:
            lines.append(f'    "{name}": (')
            lines.append(f'        "{found[name].version}",')
            lines.append("        {")
            for option, what in wrongs(found[name], cases).items():
                line = f'            "{option}": "{what}",'
                lines.append(
                    line
                    if len(line) <= 110
                    else f'            "{option}": (\n                "{what}"\n            ),'
                )
            lines.append("        },")
            lines.append("    ),")
    lines.append("}")
    text = (
        '"""By engine its version, and by option what happens: it is refused, or computed wrongly and how."""'
    )
    return "\n".join([*lines, text, ""]).replace("        {\n        },\n", "        {},\n")


def wrongs(found: Found, cases: list[Case]) -> dict[str, str]:
    """By option what happens."""
    outcome = {case.name: found.cases[case.name] for case in cases if case.name in found.cases}

    def plain(kind, direction):
        return outcome[f"{kind}, {direction}: initial states"]

    told = {}
    for name, kind in KINDS.items():
        if (own := plain(kind, "forward"))[0] != "right":
            told[name] = own
    right = [kind for kind in KINDS.values() if plain(kind, "forward")[0] == "right"]
    for direction in ("reverse", "bidirectional"):
        worst(told, direction, [plain(kind, direction) for kind in right])
    for option, names in OPTIONS.items():
        chosen = [
            case
            for case in cases
            if case.form == "node"
            and case.option in names
            and case.kind in right
            and plain(case.kind, case.direction)[0] == "right"
        ]
        worst(told, option, [outcome[case.name] for case in chosen])
    for form in ("picked", "gated"):
        for free in (False, True):
            chosen = [
                case
                for case in cases
                if case.form == form
                and case.free == free
                and case.kind in right
                and (form == "picked" or plain(case.kind, case.direction)[0] == "right")
                and len(case.nodes) == 1
            ]
            worst(told, f"{form} lengths" + ", free sizes" * free, [outcome[case.name] for case in chosen])
    return {option: phrase(*what) for option, what in told.items()}


def worst(told, option, outcomes) -> None:
    """Note the worst of what happens, a wrong answer before all else."""
    for kind in ("wrong", "refused"):
        for one in outcomes:
            if one[0] == kind:
                told[option] = one
                return


def phrase(outcome: str, how: str) -> str:
    return how if outcome == "wrong" else outcome
