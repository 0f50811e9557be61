"""`gru-rs train | predict | evaluate | generate | info`, and the program that all commands are of:
compare and probe are written in `_studies`, convert and inspect in `_bridge`.

Results go to the standard output, as text or with ``--json`` as one JSON value; all else goes to the standard
error. Exit codes: 0 done, 1 the data or the model cannot be used, 2 the command itself is wrong, 130 Ctrl-C.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

import gru_rs
from gru_rs.estimators import (
    Forecaster,
    LanguageModel,
    Seq2Seq,
    SequenceClassifier,
    SequenceRegressor,
    SequenceTagger,
    Transcriber,
)
from gru_rs.estimators._columns import Frame

from ._options import (
    CELL,
    OWN,
    Cell,
    File,
    Json,
    Model,
    Option,
    Task,
    TaskOption,
    model_reads,
    of_a_file,
    parameters_of,
    reads_of,
)
from ._studies import compare, probe
from ._tables import Data, DataError, Layout, UsageError, expect_another, read, read_series

app = typer.Typer(
    help="GRU and LSTM sequence models from CSV, JSON Lines, CoNLL, Parquet and Arrow files.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out, err = Console(), Console(stderr=True)


_KINDS: dict[str, Any] = {
    "classify": SequenceClassifier,
    "regress": SequenceRegressor,
    "tag": SequenceTagger,
    "forecast": Forecaster,
    "lm": LanguageModel,
    "seq2seq": Seq2Seq,
    "ctc": Transcriber,
}
_METRIC = {
    "classify": "accuracy",
    "regress": "R²",
    "tag": "F1 or accuracy",
    "seq2seq": "1 − token error rate",
    "ctc": "1 − label error rate",
}


def _show(values: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(values, default=_plain))
        return
    table = Table(show_header=False, box=None)
    for name, value in values.items():
        table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
    out.print(table)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else str(value)


def _make(task: str, cell: Cell, seed: int, options: list[str], **more: Any) -> Any:
    found = parameters_of(options)
    for name, own in OWN.items():
        if name in found:
            raise typer.BadParameter(f"--set: expected --{own} for {name}, got {name}={found[name]}")
    try:
        return _KINDS[task](**({"cell": cell.value, "random_state": seed} | more | found))
    except TypeError as error:
        raise typer.BadParameter(f"--set: {error}") from error


@app.command()
@of_a_file()
def train(
    *,
    file: File,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the model goes.")],
    task: TaskOption = Task.classify,
    layout: Layout,
    cell: Annotated[Cell, typer.Option(help="Kind of layer.")] = CELL,
    epochs: Annotated[
        int | None, typer.Option(help="Most epochs; else what suits the task and the data.")
    ] = None,
    early_stopping: Annotated[
        bool | None,
        typer.Option(
            help="Hold a tenth out, and keep what is best on it; else of a forecast if there is enough."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bits.")] = 0,
    option: Option = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Train a model and write it to one safetensors file."""
    expect_another(file, output)
    stops: dict[str, Any] = {"early_stopping": True if early_stopping is None else early_stopping}
    if task is Task.forecast and early_stopping is None:
        stops = {}  # a Forecaster decides by itself
    if epochs is not None:
        stops["max_iter"] = epochs
    model = _make(task.value, cell, seed, option, **stops)
    model.verbose = not as_json and sys.stderr.isatty()
    begin = time.perf_counter()
    if task is Task.forecast:
        series, beside = read_series(file, layout)
        model.fit(series, _by_name(layout, beside))
        count = len(series)
    else:
        reads = "tokens" if task is Task.lm else reads_of(model.tokens)
        data = read(file, layout, task=task.value, labelled=task is not Task.lm, reads=reads)
        model.fit(data.named, data.targets(task.value))
        count = len(data.sequences)
    seconds = time.perf_counter() - begin
    model.verbose = False
    model.save(output)
    shown = {
        "model": str(output),
        "trained on": count,
        "epochs": model.n_iter_,
        "loss": model.loss_curve_[-1],
        "validation score": model.best_validation_score_,
        "seconds": seconds,
    }
    _show(shown, as_json=as_json)


def _by_name(layout: Layout, columns: np.ndarray[Any, Any] | None) -> Frame | None:
    """Columns beside a series with their names, which a model holds to."""
    return None if columns is None else Frame.of_matrix(layout.exog or (), columns)


def _loaded(model: Path) -> tuple[Any, str]:
    """What train has written, and the task that it is for."""
    loaded: Any = gru_rs.load(model)
    for task, kind in _KINDS.items():
        if isinstance(loaded, kind):
            return loaded, task
    msg = f"{model}: expected a model that train has written, got a {type(loaded).__name__} by itself"
    raise DataError(msg)


@app.command()
@of_a_file(but=("label",))
def predict(
    *,
    model: Model,
    file: File,
    layout: Layout,
    as_json: Json = False,
) -> None:
    """Print a prediction for each sequence, a line each; of a series its next values.

    Of a series with --exog the last rows, as many as are forecast, are the future: their values are not used
    and may be missing.
    """
    loaded, task = _loaded(model)
    if task == "lm":
        msg = f"{model}: expected a model that predicts, got a LanguageModel: see gru-rs generate"
        raise DataError(msg)
    if task == "forecast":
        # Where columns are known ahead, the last rows are the future.
        ahead = 0 if layout.exog is None else loaded.horizon
        series, beside = read_series(file, layout, ahead=ahead)
        known = len(series) - ahead
        if known < 1:
            msg = f"{file}: expected rows of the past and {ahead} of the future, got {len(series)}"
            raise DataError(msg)
        past, future = (
            _by_name(layout, None if beside is None else beside[part])
            for part in (slice(known), slice(known, None))
        )
        found = loaded.predict(future, y=series[:known], past_exog=past)
    else:
        data = read(file, layout, task=task, labelled=False, reads=model_reads(loaded))
        found = loaded.predict(data.named)
    if as_json:
        print(json.dumps(list(found), default=_plain))
        return
    for one in found:
        print(" ".join(map(str, one)) if np.ndim(one) else one)


@app.command()
@of_a_file()
def evaluate(
    *,
    model: Model,
    file: File,
    layout: Layout,
    start: Annotated[int | None, typer.Option(help="Values known to the first forecast.")] = None,
    as_json: Json = False,
) -> None:
    """Score a model on a file with labels; a series by forecasts from one origin after the other."""
    loaded, task = _loaded(model)
    if task == "forecast":
        series, beside = read_series(file, layout)
        tested = loaded.backtest(
            series, _by_name(layout, beside), start=len(series) // 2 if start is None else start
        )
        shown = {"RMSE": tested.rmse, "MAE": tested.mae, "naive RMSE": tested.naive_rmse}
        shown |= {"last value RMSE": tested.last_rmse}
        shown |= {f"coverage of {level}": share for level, share in tested.coverages.items()}
        _show(shown | {"forecasts": len(tested.origins)}, as_json=as_json)
        return
    if start is not None:
        msg = f"--start: expected none for the task {task}, got {start}"
        raise UsageError(msg)
    data = read(file, layout, task=task, labelled=task != "lm", reads=model_reads(loaded))
    if task == "lm":
        shown = {
            "log p a token": loaded.score(data.sequences),
            "perplexity": loaded.perplexity(data.sequences),
        }
        if all(isinstance(one, str) for one in data.sequences):
            shown["bits a character"] = loaded.bits_per_character(data.sequences)
        _show(shown | {"texts": len(data.sequences)}, as_json=as_json)
        return
    targets = data.targets(task)
    if task == "classify":
        targets = _as_classes(loaded, data)
    score = loaded.score(data.named, targets)
    _show({_METRIC[task]: float(score), "sequences": len(data.sequences)}, as_json=as_json)


def _as_classes(model: Any, data: Data) -> Any:
    """Labels of a file, of which the model must know each."""
    known = set(model.classes_.tolist())
    for place, one in zip(data.places, data.labels, strict=True):
        if one not in known:
            names = sorted(known, key=str)
            raise data.source.fault(place, f"expected one of the model's labels {names}, got {one!r}")
    return np.array(data.labels)


@app.command()
def generate(
    model: Model,
    prompt: Annotated[str, typer.Option(help="How the text begins.")] = "",
    count: Annotated[int, typer.Option(help="Texts.", min=1)] = 1,
    max_length: Annotated[int, typer.Option(help="Most tokens that are drawn.", min=0)] = 200,
    temperature: Annotated[float, typer.Option(help="Below 1 bolder choices are rarer; 0: the best.")] = 1.0,
    top_k: Annotated[int | None, typer.Option(help="Draw among so many of the most probable.")] = None,
    top_p: Annotated[float, typer.Option(help="Draw among the fewest that sum to this.")] = 1.0,
    repetition_penalty: Annotated[float, typer.Option(help="Above 1 against repetitions.")] = 1.0,
    stop: Annotated[list[str], typer.Option(help="The text ends before this; may be repeated.")] = [],  # noqa: B006
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same texts.")] = None,
    as_json: Json = False,
) -> None:
    """Write texts by a language model, as they are drawn."""
    loaded, task = _loaded(model)
    if task != "lm":
        msg = f"{model}: expected a LanguageModel, got a {type(loaded).__name__}"
        raise DataError(msg)
    texts = []
    # Of a model of tokens that were no text, the tokens with spaces between them.
    known = {str(token): token for token in loaded.vocabulary_}
    begin = prompt if loaded.of_text_ else [known.get(word, word) for word in prompt.split()]
    for number in range(count):
        pieces = loaded.stream(
            begin,
            max_length=max_length,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            repetition_penalty=repetition_penalty,
            stop=stop,
            seed=None if seed is None else seed + number,
        )
        if as_json:
            texts.append(prompt + "".join(pieces))
            continue
        print(prompt, end="")
        for piece in pieces:
            print(piece, end="", flush=True)
        print()
    if as_json:
        print(json.dumps(texts, ensure_ascii=False))


app.command()(compare)
app.command()(probe)


@app.command()
def info(
    model: Annotated[Path | None, typer.Argument(help="A model; without one, the installation.")] = None,
    as_json: Json = False,
) -> None:
    """Say what a model is, or how gru-rs is installed."""
    if model is None:
        config = gru_rs.show_config(mode="dicts")
        _show(dict(config or {}), as_json=as_json)
        return
    loaded, _ = _loaded(model)
    changed = {
        name: value
        for name, value in loaded.get_params().items()
        if value != getattr(type(loaded), name, None)
    }
    shown: dict[str, Any] = {
        "estimator": type(loaded).__name__,
        "network": repr(loaded.model_),
        "parameters": int(loaded.model_.flat.size),
        "bytes": model.stat().st_size,
        "epochs": loaded.n_iter_,
        "set": changed,
    }
    if hasattr(loaded, "classes_"):
        shown["classes"] = loaded.classes_.tolist()
    if hasattr(loaded, "vocabulary_"):
        shown["vocabulary"] = len(loaded.vocabulary_)
    _show(shown, as_json=as_json)
