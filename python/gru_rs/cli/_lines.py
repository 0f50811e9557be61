"""The lines of a text in UTF-8, counted from 1. It must not know what they hold.

Only a line feed ends a line: `str.splitlines` and universal newlines would also cut at a form feed, U+0085 or
U+2028, which may stand within a token.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from ._source import fault

_OTHERS = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}


def raw_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines with what ends them."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            if number == 1:
                if raw[:2] in _OTHERS:
                    raise fault(path, 1, f"expected text in UTF-8, got {_OTHERS[raw[:2]]}")
                raw = raw.removeprefix(codecs.BOM_UTF8)
            try:
                text = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                came = f"byte {raw[error.start]:#04x} at byte {error.start + 1} of the line"
                raise fault(path, number, f"expected text in UTF-8, got {came}") from error
            if "\0" in text:
                raise fault(path, number, f"expected text, got a NUL at character {text.index(chr(0)) + 1}")
            yield number, text


def lines(path: Path) -> Iterator[tuple[int, str]]:
    r"""Lines without what ends them, \n or \r\n."""
    for number, text in raw_lines(path):
        line = text.removesuffix("\n").removesuffix("\r")
        if "\r" in line:
            raise fault(path, number, carriage_return(line.index("\r")))
        yield number, line


def carriage_return(place: int | None = None) -> str:
    """What is wrong with one that ends no line."""
    where = "" if place is None else f" at character {place + 1}"
    return rf"expected lines that end with \n or \r\n, got a carriage return alone{where}"
