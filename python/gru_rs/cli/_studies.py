"""`gru-rs compare | probe`: what is asked of data before there is a model. It must not know what train has
written; that the commands are of one program is said in `_commands`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

import gru_rs
from gru_rs.estimators import ComparisonInfo, ProbeInfo

from ._options import Compared, File, Json, Option, of_a_file, parameters_of, reads_of
from ._tables import Layout, UsageError, read, read_series

out, err = Console(), Console(stderr=True)


@of_a_file()
def compare(
    *,
    file: File,
    task: Annotated[Compared, typer.Option(help="What is to be learnt.")] = Compared.classify,
    layout: Layout,
    folds: Annotated[int, typer.Option(help="Parts of the cross-validation.")] = 5,
    repeats: Annotated[
        int | None, typer.Option(help="How often they are drawn; else 3 times below 500 sequences, or once.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of folds and networks.")] = 0,
    plot: Annotated[Path | None, typer.Option(help="Where a picture goes; needs matplotlib.")] = None,
    option: Option = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Cross-validate simple baselines, a GRU and an LSTM, and say which is worth it."""
    options = parameters_of(option)
    if task is Compared.forecast and repeats is not None:
        msg = f"--repeats: expected none for the task forecast, got {repeats}"
        raise UsageError(msg)
    X, y = _asked_about(file, layout, task, options)
    result = gru_rs.compare(
        task.value,
        X,
        y,
        folds=folds,
        repeats=repeats,
        random_state=seed,
        options=options,
        callback=_if_watched(_progress, as_json=as_json),
    )
    if plot is not None:
        result.plot(plot)
    if as_json:
        print(json.dumps(result.to_dict()))
        return
    # Where the table would be broken up it is better as plain lines.
    shown = str(result)
    if max(map(len, shown.splitlines()[:-1])) + len(result.rows()[0]) < out.width:
        out.print(result)
    else:
        print(shown)


@of_a_file()
def probe(
    *,
    file: File,
    task: Annotated[Compared, typer.Option(help="What is to be learnt.")] = Compared.classify,
    layout: Layout,
    rows: Annotated[int, typer.Option(help="Most sequences, or steps, that are used.")] = 1000,
    longest: Annotated[int | None, typer.Option(help="Most steps that are looked at.")] = None,
    seed: Annotated[int, typer.Option(help="Of rows and networks.")] = 0,
    plot: Annotated[Path | None, typer.Option(help="Where a picture goes; needs matplotlib.")] = None,
    option: Option = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Measure how far back the target depends on the sequence, of labels of steps also how far ahead."""
    options = parameters_of(option)
    X, y = _asked_about(file, layout, task, options)
    if task is Compared.forecast and y is not None:
        msg = "--exog: expected none, as the probe looks at the series alone"
        raise UsageError(msg)
    found = gru_rs.memory_probe(
        task.value,
        X,
        y,
        rows=rows,
        longest=longest,
        random_state=seed,
        options=options,
        callback=_if_watched(_probing, as_json=as_json),
    )
    if plot is not None:
        found.plot(plot)
    print(json.dumps(found.to_dict()) if as_json else found)


def _probing(info: ProbeInfo) -> None:
    err.print(str(info))


def _progress(info: ComparisonInfo) -> None:
    err.print(f"{info.model}, fold {info.fold} of {info.folds}: {info.score:.3f}, {info.seconds:.1f} s")


def _asked_about(file: Path, layout: Layout, task: Compared, options: Mapping[str, Any]) -> tuple[Any, Any]:
    """Sequences and their targets; or a series, and the columns beside it if there are any."""
    if task is Compared.forecast:
        return read_series(file, layout)
    data = read(file, layout, task=task.value, labelled=True, reads=reads_of(options.get("tokens")))
    return data.named, data.targets(task.value)


def _if_watched(tell: Callable[[Any], None], *, as_json: bool) -> Callable[[Any], None] | None:
    """How far it is, for somebody who sits before a terminal."""
    return tell if not as_json and sys.stderr.isatty() else None
