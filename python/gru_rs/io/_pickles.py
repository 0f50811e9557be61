"""Pickles read as data: nothing in them is ever imported, made or called.

A pickle is a program. This walks through its instructions and keeps the numbers, texts and containers that
stand there; of everything else it keeps the name and the arguments, an `Opaque`, for a reader to look at.
"""

from __future__ import annotations

import pickletools
import re
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import BinaryIO


@dataclass(eq=False)  # so that it may be a key
class Opaque:
    """What a pickle would import or make: its whole name, what it would be made of, its state."""

    name: str
    # A text of them may have no end: a list that holds another twice, this one another, and so on.
    arguments: Any = field(default=None, repr=False)
    state: Any = field(default=None, repr=False)


class _Mark:
    pass


_MARK = _Mark()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_SET": list}
_PLAIN = re.compile(
    "INT|BININT[12]?|LONG[14]?|(BIN)?FLOAT|(SHORT_)?(BIN)?(UNICODE|STRING|BYTES)8?|BYTEARRAY8"
)
_IGNORED = frozenset(["PROTO", "FRAME"])
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Reader:
    """One pickle.

    Parameters
    ----------
    persistent : callable
        What stands for an object that lies beside the pickle, of its id.
    made : callable
        What stands for an `Opaque` as soon as its arguments, or its state, are known: itself, or another.
    """

    def __init__(self, persistent: Callable[[Any], Any], made: Callable[[Opaque], Any]) -> None:
        self._persistent, self._made = persistent, made
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def read(self, file: BinaryIO) -> Any:
        """The object; the file stands after it. A ValueError where it is no pickle that is whole."""
        try:
            for code, value, _ in pickletools.genops(file):
                if code.name == "STOP":
                    return self._stack.pop()
                if code.name not in _IGNORED:
                    self._step(code.name, value)
        except (IndexError, KeyError, TypeError, AttributeError, RecursionError, struct.error) as error:
            msg = f"a pickle that is whole, got one that is damaged ({type(error).__name__})"
            raise ValueError(msg) from error
        msg = "a pickle that is whole, got one without an end"
        raise ValueError(msg)

    def _step(self, name: str, value: Any) -> None:
        stack = self._stack
        if _PLAIN.fullmatch(name):
            stack.append(value)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name in _TUPLES:
            count = _TUPLES[name]
            items = stack[len(stack) - count :]
            del stack[len(stack) - count :]
            stack.append(tuple(items))
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(self._memo[value])
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self._memo[value] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        else:
            getattr(self, "_" + name.lower())(value)

    def _since_mark(self) -> list[Any]:
        at = len(self._stack) - 1
        while self._stack[at] is not _MARK:
            at -= 1
        items = self._stack[at + 1 :]
        del self._stack[at:]
        return items

    def _mark(self, _: Any) -> None:
        self._stack.append(_MARK)

    def _pop(self, _: Any) -> None:
        self._stack.pop()

    def _dup(self, _: Any) -> None:
        self._stack.append(self._stack[-1])

    def _pop_mark(self, _: Any) -> None:
        self._since_mark()

    def _tuple(self, _: Any) -> None:
        self._stack.append(tuple(self._since_mark()))

    def _list(self, _: Any) -> None:
        self._stack.append(self._since_mark())

    _frozenset = _list

    def _dict(self, _: Any) -> None:
        items = self._since_mark()
        self._stack.append({})
        self._update(items)

    def _append(self, _: Any) -> None:
        value = self._stack.pop()
        self._extend([value])

    def _appends(self, _: Any) -> None:
        self._extend(self._since_mark())

    _additems = _appends

    def _extend(self, values: list[Any]) -> None:
        if isinstance(self._stack[-1], list):  # of an Opaque they are lost, and so is it
            self._stack[-1].extend(values)

    def _setitem(self, _: Any) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._update([key, value])

    def _setitems(self, _: Any) -> None:
        self._update(self._since_mark())

    def _update(self, items: list[Any]) -> None:
        expect_keys(items[::2])
        if isinstance(self._stack[-1], dict):
            self._stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def _global(self, value: str) -> None:
        self._stack.append(Opaque(value.replace(" ", ".")))

    def _stack_global(self, _: Any) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(module, str) or not isinstance(name, str):
            msg = "names that are texts, got others"
            raise ValueError(msg)
        self._stack.append(Opaque(f"{module}.{name}"))

    def _reduce(self, _: Any) -> None:
        arguments, of = self._stack.pop(), self._stack.pop()
        name = of.name if isinstance(of, Opaque) else "an object"
        self._stack.append(self._made(Opaque(name, arguments)))

    _newobj = _reduce

    def _newobj_ex(self, _: Any) -> None:
        self._stack.pop()
        self._reduce(None)

    def _inst(self, value: str) -> None:
        self._stack.append(self._made(Opaque(value.replace(" ", "."), tuple(self._since_mark()))))

    def _obj(self, _: Any) -> None:
        of, *arguments = self._since_mark()
        self._stack.append(self._made(Opaque(of.name, tuple(arguments))))

    def _build(self, _: Any) -> None:
        state = self._stack.pop()
        if isinstance(
            self._stack[-1], Opaque
        ):  # the memo has the same object, so that its state is set in it
            self._stack[-1].state = state

    def _binpersid(self, _: Any) -> None:
        self._stack.append(self._persistent(self._stack.pop()))


def expect_keys(keys: Iterable[Any]) -> None:
    """Those of a dict that can be made; a ValueError if it would never be done."""
    for key in keys:
        # A hash goes through all of a tuple: of tuples that hold one twice, and so on, it never ends.
        if isinstance(key, tuple) and any(isinstance(part, tuple) for part in key):
            msg = "keys that are no tuples of tuples, got one"
            raise ValueError(msg)


def read(file: BinaryIO, persistent: Callable[[Any], Any], made: Callable[[Opaque], Any]) -> Any:
    """The object of a pickle, as `Reader` does it."""
    return Reader(persistent, made).read(file)
