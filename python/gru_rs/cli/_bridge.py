"""`gru-rs convert | inspect`: recurrent layers in files of PyTorch, Keras and ONNX."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

import gru_rs

from ._beside import TOLERANCE, Found, differences

File = Annotated[Path, typer.Argument(help="A .pt, .pth, .safetensors, .keras, .h5 or .onnx file.")]
Name = Annotated[str | None, typer.Option(help="Which layer, where there are several.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON value instead of text.")]


def add_to(app: typer.Typer) -> None:
    """Make both commands of the program."""
    app.command()(convert)
    app.command()(inspect)


def _kind(path: Path) -> str:
    kinds = {".onnx": "onnx", ".keras": "keras", ".h5": "keras"}
    return kinds.get(path.suffix.lower(), "torch")


def _read(path: Path) -> dict[str, Found]:
    if _kind(path) == "torch":
        from gru_rs.io._found import everything
        from gru_rs.io._torch import found_in

        layers = everything(found_in(path), None, "")
        return {name: Found(layer, layer) for name, layer in layers.items()}
    found: dict[str, Any] = gru_rs.from_onnx(path) if _kind(path) == "onnx" else gru_rs.from_keras(path)
    if not found:
        msg = f"{path.name}: expected a model with a GRU or an LSTM, got one without"
        raise ValueError(msg)
    return {name: Found(whole.layer, whole) for name, whole in found.items()}


def inspect(
    file: File,
    check: Annotated[
        bool, typer.Option("--check", help="Run each layer beside its own framework, which it needs.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what recurrent layers a file has, which variant each is, and whether they match."""
    found = _read(file)
    shown = [{"name": name, **_described(one)} for name, one in found.items()]
    if check:
        largest = differences(_kind(file), file, found)
        for row in shown:
            row["largest difference"] = largest[row["name"]]
    if as_json:
        print(json.dumps(shown))
    else:
        _print(shown)
    wrong = [row["name"] for row in shown if not row.get("largest difference", 0.0) <= TOLERANCE]
    if wrong:
        msg = f"{file.name}: {', '.join(wrong)} differ by more than {TOLERANCE} from their own framework's"
        raise ValueError(msg)


def _described(found: Found) -> dict[str, Any]:
    layer = found.layer
    described = {"layer": repr(layer)}
    if isinstance(layer, (gru_rs.GRU, gru_rs.GRUCell)):
        where = "after" if layer.reset_after else "before"
        described["reset gate"] = f"{where} the product"
    else:
        described["reset gate"] = ""
    described["functions"] = f"{layer.recurrent_activation}, {layer.activation}"
    if layer.clip is not None:
        described["functions"] += f", clip {layer.clip:g}"
    described["biases"] = "yes" if layer.bias else "no"
    manners = [
        name
        for name in ("go_backwards", "stateful", "return_sequences", "return_state", "zero_output_for_mask")
        if getattr(found.whole, name, False)
    ]
    direction = getattr(found.whole, "direction", "")
    manners += [direction] if direction == "reverse" else []
    merge = getattr(found.whole, "merge_mode", None)
    manners += [f"merge_mode={merge}"] if merge else []
    described["manners"] = ", ".join(manners)
    described["note"] = getattr(found.whole, "note", "")
    return described


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table(show_header=False, box=None)
    for row in rows:
        for key, value in row.items():
            if value != "":
                shown = f"{value:.1e}" if isinstance(value, float) else str(value)
                table.add_row(key if key == "name" else f"  {key}", shown)
    Console().print(table)


def convert(
    source: File,
    target: Annotated[Path, typer.Argument(help="A .safetensors, .pt, .keras or .onnx file to be written.")],
    name: Name = None,
) -> None:
    """Write the recurrent layers of a file as another framework has them."""
    found = _read(source)
    if name is not None:
        if name not in found:
            msg = f"--name: expected one of {', '.join(map(repr, found))}, got {name!r}"
            raise ValueError(msg)
        found = {name: found[name]}
    layers = {name: _plain(name, one) for name, one in found.items()}
    writers = {
        ".onnx": _to_onnx,
        ".safetensors": _to_safetensors,
        ".pt": _to_pt,
        ".pth": _to_pt,
        ".keras": _to_keras,
    }
    if target.suffix not in writers:
        msg = f"target: expected a file that ends in {', '.join(writers)}, got {target.name}"
        raise ValueError(msg)
    writers[target.suffix](layers, target)
    Console(stderr=True).print(f"{', '.join(layers)} → {target}", markup=False, highlight=False)


def _plain(name: str, found: Found) -> Any:
    """The layer, if it is the whole: what is around it would be lost."""
    whole = found.whole
    lost = [word for word in ("go_backwards", "stateful") if getattr(whole, word, False)]
    lost += whole.beyond() if hasattr(whole, "beyond") else []
    if found.layer is not whole and getattr(found.layer, "bidirectional", False):
        merge = getattr(whole, "merge_mode", "concat")
        lost += [f"merge_mode={merge!r}"] if merge != "concat" else []
    if lost:
        msg = f"{name}: expected a layer with nothing around it, which would be lost, got {', '.join(lost)}"
        raise ValueError(msg)
    return found.layer


def _single(layers: dict[str, Any], kind: str) -> Any:
    if len(layers) > 1:
        msg = f"--name: expected one of {', '.join(map(repr, layers))} for {kind}, got none"
        raise ValueError(msg)
    return next(iter(layers.values()))


def _to_onnx(layers: dict[str, Any], target: Path) -> None:
    gru_rs.to_onnx(_single(layers, "an ONNX model"), target)


def _prefix(layers: dict[str, Any], name: str) -> str:
    return f"{name.replace('/', '.')}." if len(layers) > 1 else ""


def _to_safetensors(layers: dict[str, Any], target: Path) -> None:
    gru_rs.to_safetensors({_prefix(layers, name): layer for name, layer in layers.items()}, target)


def _to_pt(layers: dict[str, Any], target: Path) -> None:
    import io

    import torch

    from gru_rs._files import write_whole

    state: dict[str, Any] = {}
    for name, layer in layers.items():
        state |= gru_rs.to_torch_state_dict(layer, prefix=_prefix(layers, name))
    data = io.BytesIO()
    torch.save(state, data)
    write_whole(target, data.getvalue())


def _to_keras(layers: dict[str, Any], target: Path) -> None:
    import keras

    layer = _single(layers, "a Keras model")
    all_weights = gru_rs.to_keras_weights(layer)
    functions = {"recurrent_activation": layer.recurrent_activation, "activation": layer.activation}
    if "hard_sigmoid_0.2" in functions.values():
        msg = "target: expected functions that Keras 3 has, got hard_sigmoid_0.2, which was Keras 2's"
        raise ValueError(msg)
    stack = [keras.Input((None, layer.input_size), dtype=layer.dtype.name)]
    for _ in all_weights:
        options = {"return_sequences": True, "use_bias": layer.bias, "dtype": layer.dtype.name, **functions}
        if isinstance(layer, gru_rs.GRU):
            options["reset_after"] = layer.reset_after
        one = getattr(keras.layers, type(layer).__name__)(layer.hidden_size, **options)
        stack.append(keras.layers.Bidirectional(one, dtype=layer.dtype.name) if layer.bidirectional else one)
    model = keras.Sequential(stack)
    for made, weights in zip(model.layers, all_weights, strict=True):
        made.set_weights(weights)
    model.save(target)
