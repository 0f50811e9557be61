"""Cases and answers as files: what driver and runners agree on. Plain, so that a runner can be of any
language.

A case is a folder with model.onnx, inputs.txt (a line "name dtype size size …" for each), in_0.bin and so on
(little-endian), outputs.txt (a name a line). A runner is called with the folder of cases, that of answers and
the cases' names. It makes NAME.begun before a case; then NAME.txt (a line "dtype size size …" for each
output) with NAME_0.bin and so on, or NAME.error.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np


def put_case(folder: Path, model: bytes, feeds: dict[str, np.ndarray], outputs: list[str]) -> None:
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model)
    for k, value in enumerate(feeds.values()):
        np.ascontiguousarray(value).tofile(folder / f"in_{k}.bin")
    lines = [" ".join([name, line_of(value)]) for name, value in feeds.items()]
    (folder / "inputs.txt").write_text("\n".join(lines))
    (folder / "outputs.txt").write_text("\n".join(outputs))


def get_case(folder: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    feeds = {}
    for k, line in enumerate((folder / "inputs.txt").read_text().splitlines()):
        name, described = line.split(" ", 1)
        feeds[name] = array_of(folder / f"in_{k}.bin", described)
    return feeds, (folder / "outputs.txt").read_text().splitlines()


def put_answer(folder: Path, name: str, values: list[np.ndarray]) -> None:
    for k, value in enumerate(values):
        np.ascontiguousarray(value).tofile(folder / f"{name}_{k}.bin")
    (folder / f"{name}.txt").write_text("\n".join(line_of(value) for value in values))


def get_answer(folder: Path, name: str) -> list[np.ndarray]:
    lines = (folder / f"{name}.txt").read_text().splitlines()
    return [array_of(folder / f"{name}_{k}.bin", line) for k, line in enumerate(lines)]


def line_of(value: np.ndarray) -> str:
    return " ".join([value.dtype.name, *map(str, value.shape)])


def array_of(path: Path, described: str) -> np.ndarray:
    dtype, *sizes = described.split(" ")
    return np.fromfile(path, dtype).reshape([int(size) for size in sizes])
