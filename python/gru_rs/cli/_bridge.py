"""`gru-rs convert | inspect`: recurrent layers in files of PyTorch, Keras and ONNX."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

import gru_rs
from gru_rs.io._source import source_of
from gru_rs.io._torch import FILES

from ._beside import TOLERANCE, Taken, differences
from ._beside_written import expect_engine, expect_known, has_lengths, is_saved, saved_as_onnx, written
from ._engines import engine

File = Annotated[Path, typer.Argument(help="A file of PyTorch, Keras or ONNX, or archive!member.")]
Name = Annotated[str | None, typer.Option(help="Which layer, where there are several.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON value instead of text.")]


def add_to(app: typer.Typer) -> None:
    """Make both commands of the program."""
    app.command()(convert)
    app.command()(inspect)


_FRAMEWORKS = {"protobuf": "onnx", "keras": "keras", "hdf5": "keras"} | dict.fromkeys(FILES, "torch")
"""Whose files are whose, by what they are."""


def _read(path: Path) -> tuple[str, dict[str, Taken], dict[str, str]]:
    """Whose file it is, its layers, and of all others why they are refused; by name."""
    framework = _FRAMEWORKS[source_of(path, _FRAMEWORKS).kind]
    taken: dict[str, Any]
    if framework == "torch":
        from gru_rs.io._torch import all_from_torch

        taken, refused = all_from_torch(path)
        return framework, {name: Taken(layer, layer) for name, layer in taken.items()}, refused
    if framework == "keras":
        from gru_rs.io._keras import all_from_keras as all_from
    else:
        from gru_rs.io._onnx import all_from_onnx as all_from  # type: ignore[assignment]
    taken, refused = all_from(path)
    return framework, {name: Taken(whole.layer, whole) for name, whole in taken.items()}, refused


def inspect(
    file: File,
    check: Annotated[
        bool, typer.Option("--check", help="Run each layer beside its own framework, which it needs.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what recurrent layers a file has, which variant each is, and whether they match."""
    framework, found, refused = _read(file)
    shown = [{"name": name, **_described(one)} for name, one in found.items()]
    if check:
        largest = differences(framework, file, found)
        for row in shown:
            row["largest difference"] = largest[row["name"]]
    shown += [{"name": name, "refused": reason} for name, reason in refused.items()]
    if as_json:
        print(json.dumps(shown))
    else:
        _print(shown)
    wrong = [row["name"] for row in shown if not row.get("largest difference", 0.0) <= TOLERANCE]
    if wrong:
        msg = f"{file.name}: {', '.join(wrong)} differ by more than {TOLERANCE} from their own framework's"
        raise ValueError(msg)
    if refused and (check or not found):
        msg = f"{file.name}: expected layers that can be converted, got {len(refused)} that are refused"
        raise ValueError(msg)


def _described(found: Taken) -> dict[str, Any]:
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
    check: Annotated[
        bool, typer.Option("--check", help="Run what was written in its own framework, which that needs.")
    ] = False,
) -> None:
    """Write the layers of a file as another framework has them, or a saved model of ours as ONNX."""
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
    if check:
        expect_engine(target)
    if is_saved(source):
        _of_saved(source, target, name, check)
        return
    layers = {own: _plain(own, one) for own, one in _chosen(source, name).items()}
    if len({_prefix(layers, own) for own in layers}) < len(layers):
        names = ", ".join(map(repr, layers))
        msg = f"--name: expected one of {names}, of which some would have the same name there, got None"
        raise ValueError(msg)
    writers[target.suffix](layers, target)
    _say(", ".join(own or type(layer).__name__ for own, layer in layers.items()), target)
    if check:
        _expect_same(target, written(layers, target))


def _chosen(source: Path, name: str | None) -> dict[str, Taken]:
    """The layers of a file that are wanted, of which none may be refused."""
    _, found, refused = _read(source)
    if name is None and not refused:
        return found
    if name in found:
        return {name: found[name]}
    if not found and name is None:
        msg = f"{source.name}: expected layers that can be converted, got refused ones: "
        raise ValueError(
            msg + "; ".join(f"{own}: {reason}" if own else reason for own, reason in refused.items())
        )
    shown = f"{', '.join(map(repr, found)) or 'none'}, got {name!r}"
    reasons = "; ".join(f"{own} ({reason})" for own, reason in refused.items() if name in (None, own))
    msg = f"--name: expected one of {shown}{f'; refused: {reasons}' if reasons else ''}"
    raise ValueError(msg)


def _of_saved(source: Path, target: Path, name: str | None, check: bool) -> None:
    """A saved network or estimator, whole."""
    if target.suffix != ".onnx":
        msg = f"target: expected a file that ends in .onnx for all of {source.name}, got {target.name}"
        raise ValueError(msg)
    if name is not None:
        msg = f"--name: expected none for {source.name}, which is written whole, got {name!r}"
        raise ValueError(msg)
    whole = gru_rs.load(source)
    if check:
        expect_known(whole)
    gru_rs.to_onnx(whole, target, lengths=has_lengths(whole))
    _say(type(whole).__name__, target)
    if check:
        _expect_same(target, saved_as_onnx(whole, target))


def _say(what: str, target: Path) -> None:
    Console(stderr=True).print(f"{what} → {target}", markup=False, highlight=False)


def _expect_same(target: Path, difference: float) -> None:
    Console(stderr=True).print(f"largest difference {difference:.1e}", highlight=False)
    if not difference <= TOLERANCE:
        msg = f"{target.name}: expected numbers within {TOLERANCE} of the source's, got {difference:.1e}"
        raise ValueError(msg)


def _plain(name: str, found: Taken) -> Any:
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

    from gru_rs._files import write_whole

    torch = engine("torch", "a .pt file")

    state: dict[str, Any] = {}
    for name, layer in layers.items():
        state |= gru_rs.to_torch_state_dict(layer, prefix=_prefix(layers, name))
    data = io.BytesIO()
    torch.save(state, data)
    write_whole(target, data.getvalue())


def _to_keras(layers: dict[str, Any], target: Path) -> None:
    keras = engine("keras", "a .keras file")
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
