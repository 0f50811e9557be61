"""What the commands may be told: each option once, and what the options of a file say together. It must not
know what commands do.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from gru_rs._words import WORDS

from ._tables import Layout, UsageError
from ._values import Reads


class Task(str, Enum):
    """What is to be learnt."""

    classify = "classify"
    regress = "regress"
    tag = "tag"
    forecast = "forecast"
    lm = "lm"
    seq2seq = "seq2seq"
    ctc = "ctc"


class Compared(str, Enum):
    """What can be compared."""

    classify = "classify"
    regress = "regress"
    tag = "tag"
    forecast = "forecast"


class Quoting(str, Enum):
    """What quotes in CSV and TSV are."""

    none = "none"
    minimal = "minimal"


Cell = Enum("Cell", {word: word for word in WORDS["cell"]}, type=str)  # type: ignore[misc]
CELL = next(iter(Cell))


File = Annotated[Path, typer.Argument(help="A .csv, .tsv, .jsonl, .conll, .conllu, .parquet or .arrow file.")]
Model = Annotated[Path, typer.Argument(help="A model that train has written.")]
TaskOption = Annotated[Task, typer.Option(help="What is to be learnt.")]
Text = Annotated[str | None, typer.Option(help="The column of texts; in JSON and Arrow also of lists.")]
Label = Annotated[str | None, typer.Option(help="The column of labels or numbers; else label.")]
SequenceOption = Annotated[
    str | None, typer.Option(help="The column that is the same for all steps of a sequence.")
]
Features = Annotated[str | None, typer.Option(help="Columns of numbers, with commas between them.")]
ColumnsOption = Annotated[
    str | None,
    typer.Option(
        help="In CoNLL the columns of tokens and labels, by number or CoNLL-U name, as 1,4 or form,xpos."
    ),
]
Delimiter = Annotated[str | None, typer.Option(help="What is between columns; else a comma, in .tsv a tab.")]
QuotingOption = Annotated[
    Quoting | None, typer.Option(help="none: quotes are part of the text; minimal: they are around fields.")
]
Value = Annotated[str | None, typer.Option(help="The column of a series; else value.")]
Exog = Annotated[str | None, typer.Option(help="Columns known ahead, with commas between them.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON value instead of text.")]
Option = Annotated[list[str], typer.Option("--set", help="A parameter of the estimator, as hidden_size=128.")]


def _names(given: str | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(given.split(","))


def layout_of(
    text: Text = None,
    label: Label = None,
    sequence: SequenceOption = None,
    features: Features = None,
    columns: ColumnsOption = None,
    delimiter: Delimiter = None,
    quoting: QuotingOption = None,
    value: Value = None,
    exog: Exog = None,
) -> Layout:
    """What the options say of a file."""
    around = None if quoting is None else quoting.value
    return Layout(text, label, sequence, _names(features), columns, delimiter, around, value, _names(exog))


def of_a_file(*, but: tuple[str, ...] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the options of `layout_of`, but for some, where it has its parameter ``layout``."""
    options = inspect.signature(layout_of, eval_str=True).parameters

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True)
        parameters = []
        by_name = inspect.Parameter.KEYWORD_ONLY
        for name, parameter in own.parameters.items():
            given = [one.replace(kind=by_name) for other, one in options.items() if other not in but]
            parameters += given if name == "layout" else [parameter]

        def run(**given: Any) -> None:
            told = {name: given.pop(name) for name in options if name in given}
            command(layout=layout_of(**told), **given)

        # Typer reads both.
        run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        return run

    return decorate


def reads_of(tokens: Any) -> Reads:
    """What --set tokens says that sequences are."""
    if tokens is None:
        return None
    if not isinstance(tokens, bool):
        msg = f"--set tokens: expected true or false, got {tokens!r}"
        raise UsageError(msg)
    return "tokens" if tokens else "numbers"


def model_reads(model: Any) -> Reads:
    """What a trained model takes sequences for, whatever they look like by themselves."""
    if not hasattr(model, "vocabulary_"):
        return "numbers"
    # Strings would all be unknown to a vocabulary of integers, and the other way round.
    integers = {isinstance(token, int) for token in model.vocabulary_}
    if len(integers) != 1:
        return "tokens"
    if True in integers:
        return "integers"
    of_text = model._reader.of_text
    return "strings" if of_text is None else "text" if of_text else "lists of strings"


def parameters_of(given: list[str]) -> dict[str, Any]:
    """`name=value`, the value as JSON or else as text."""
    found = {}
    for option in given:
        name, equals, value = option.partition("=")
        if not equals:
            raise typer.BadParameter(f"--set: expected name=value, got {option!r}")
        if name in found:
            raise typer.BadParameter(f"--set: expected {name} once, got it twice")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


OWN = {"cell": "cell", "random_state": "seed", "max_iter": "epochs", "early_stopping": "early-stopping"}
"""Parameters that have an option of their own, one of which would be ignored."""
