"""Random calls of the layer API, as a program: python tests/python/random_calls SEED CALLS [LOG].

Of each call some arguments are right and some are what `values` makes of them. A call with right ones
alone gives finite numbers of the documented shape, and again the same; a call that is refused raises what the
contract says, names an argument, and leaves weights, states, generators and arrays as they were. It runs in a
process of its own with little memory, so that a size which is allocated before it is refused shows.
"""

import faulthandler
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gru_rs
import numpy as np
from layers import Cells, Layers
from models import Models, Pairs
from rules import Functions, Rules
from values import KINDS

SESSIONS = [Layers, Models, Cells, Layers, Pairs, Models, Rules, Functions]

REFUSALS = (TypeError, ValueError, RuntimeError, MemoryError)
PLAIN = {"integer", "number", "flag", "word", "dtype"}
"""Kinds of arguments that a message names itself; of arrays that do not fit it may name the other."""
CALLED = {"loss"}
"""Arguments that may be functions of the caller's, and what these raise is their own."""
ALIASES = {
    "h0": ["c0"],
    "h": ["c:"],
    "dh_n": ["dc_n"],
    "dh": ["dc"],
    "total_steps": ["warmup_steps"],
    "output_size": ["begin", "end"],
    "targets": ["lengths"],
}
"""What else a message may name: the other state of an LSTM, the argument that this one bounds."""
MEMORY = 5 << 29
HANG = 60  # seconds
SHOWN = 12  # failures


@dataclass
class Call:
    """A function, its arguments by name, each with its kind and a right value, and what is known of it."""

    name: str
    function: Callable[..., Any]
    arguments: dict[str, tuple[str, Any]]
    watched: Sequence[Any] = ()
    shapes: Callable[[Any], list[tuple[Any, tuple[int, ...], Any]]] | None = None
    pure: bool = True
    after: Callable[[], Any] | None = None
    """What has to work after a refusal."""
    written: set[str] = field(default_factory=set)


def arrays_of(thing):
    """What a call that is refused may not change, as arrays."""
    if isinstance(thing, np.ndarray):
        return [thing]
    if isinstance(thing, gru_rs.ModelStream):
        return [np.array(thing.batch_size or 0), *thing.state.values()]
    if isinstance(thing, gru_rs.Stream):
        state = thing.state
        return [np.array(thing.batch_size or 0), *(state if isinstance(state, tuple) else [state])]
    if isinstance(thing, (list, tuple)):
        return [array for one in thing for array in arrays_of(one)]
    if hasattr(thing, "_core"):
        return [thing.flat, np.array(thing._core.rng_state, np.uint64)]
    return [np.array(repr(thing))]


def held(value):
    """The arrays in an argument."""
    values = (
        value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else [value]
    )
    return [one for one in values if isinstance(one, np.ndarray)]


def snapshot(things):
    return [(a.shape, a.dtype, a.tobytes()) for a in arrays_of(list(things)) if not a.dtype.hasobject]


def calm(things):
    """Whether no number is wild already, as after weights that were set to NaN."""
    floats = [a for a in arrays_of(list(things)) if a.dtype.kind == "f"]
    return all(np.isfinite(a).all() and (np.abs(a) < 1e3).all() for a in floats)


def bits(result):
    """A result for comparison."""
    if isinstance(result, np.ndarray):
        return result.shape, str(result.dtype), result.tobytes()
    if isinstance(result, dict):
        return {name: bits(value) for name, value in result.items()}
    if isinstance(result, (list, tuple)):
        return [bits(one) for one in result]
    if isinstance(result, (int, str, type(None))):
        return result
    return np.float64(result).tobytes() if isinstance(result, float) else type(result)


def check_result(call, result, was_calm):
    """Of right arguments: documented shapes and dtypes, finite numbers."""
    for array, shape, dtype in call.shapes(result) if call.shapes else []:
        assert isinstance(array, np.ndarray), f"{type(array)} in place of an array"
        assert (array.shape, array.dtype) == (shape, np.dtype(dtype)), f"{array.shape} {array.dtype}: {shape}"
        if was_calm:
            assert np.isfinite(array).all(), "not finite"


def check_repetition(call, given, result):
    """The same again; but while the first answer is there, memory may not do for another."""
    try:
        expected, again = bits(result), bits(call.function(**given))
    except MemoryError:
        return
    assert again == expected, "again it gave something else"


def check_refusal(call, error, hostile):
    """What was raised is what the contract says, and names an argument."""
    assert isinstance(error, REFUSALS), f"{type(error)} is no refusal"
    assert not isinstance(error, (UnicodeError, NotImplementedError, RecursionError)), type(error)
    if isinstance(error, MemoryError) or not call.arguments:
        return
    names = list(hostile) if len(hostile) == 1 else list(call.arguments)
    if not all(call.arguments[name][0] in PLAIN for name in names):
        names = list(call.arguments)
    named = [word for name in names for word in [name, *ALIASES.get(name, [])]]
    named += [key for kind, right in call.arguments.values() if kind == "table" for key in right]
    assert any(word in str(error) for word in named), f"names none of {named}: {error}"


def perform(call, rng, note):
    """One call, and all that has to hold of it. `note` is told of it before it is made."""
    chance = rng.choice([0.0, 0.3, 0.5], p=[0.25, 0.35, 0.4])
    names = list(call.arguments)
    hostile = {name for name in names if rng.random() < chance}
    if chance == 0.3 and names:
        hostile = {names[rng.integers(len(names))]}
    given = {}
    for name, (kind, right) in call.arguments.items():
        given[name] = KINDS[kind](rng, right) if name in hostile else right
    note(call.name, hostile, given)
    kept = [array for name, value in given.items() if name not in call.written for array in held(value)]
    own = [array for name in call.written & given.keys() for array in held(given[name])]
    before, inputs, written = snapshot(call.watched), snapshot(kept), snapshot(own)
    was_calm, result, refusal = calm(call.watched), None, None
    try:
        result = call.function(**given)
    except BaseException as error:
        refusal = error
    if refusal is not None:
        assert hostile, f"was refused: {type(refusal).__name__}: {refusal}"
        if not any(name in CALLED and callable(given[name]) for name in hostile):
            check_refusal(call, refusal, hostile)
        assert snapshot(call.watched) == before, f"changed something, then: {refusal}"
        assert snapshot(own) == written, f"wrote an array, then: {refusal}"
        if call.after:
            call.after()
    else:
        if not hostile:
            check_result(call, result, was_calm)
        # Without a seed the generator moves on.
        if call.pure and given.get("seed", 0) is not None:
            assert snapshot(call.watched) == before, "changed something"
            if not any(hasattr(value, "__next__") for value in given.values()):
                check_repetition(call, given, result)
    assert snapshot(kept) == inputs, "wrote its inputs"


def shown(given):
    """Arguments in a line."""
    found = []
    for name, value in given.items():
        try:
            text = repr(value)
        except ValueError:
            text = f"a huge {type(value).__name__}"
        if isinstance(value, np.ndarray):
            text = f"{type(value).__name__}{value.shape} of {value.dtype}: {text}"
        found.append(f"    {name} = {' '.join(text.split())[:200]}")
    return "\n".join(found)


def limit_memory():
    """So much more than there is, as libraries take address space for each core."""
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(seed, calls, log):
    """So many calls; the failures, each kind once."""
    rng, failures, last = np.random.default_rng(seed), {}, {}
    session = None

    def note(name, hostile, given):
        last.update(name=name, hostile=hostile, given=given)
        text = f"seed {seed} call {number}: {name}, hostile {sorted(hostile)}\n"
        if hostile:
            text += shown({n: given[n] for n in hostile})
        log.seek(0)
        log.truncate()
        log.write(text.encode("utf-8", "replace"))
        log.flush()

    for number in range(calls):
        if number % 100 == 0:
            faulthandler.dump_traceback_later(HANG, exit=True)
        if number % 40 == 0:
            session = SESSIONS[number // 40 % len(SESSIONS)](rng)
        last["name"] = type(session).__name__
        try:
            name, function, arguments, known = session.call()
            perform(Call(name, function, arguments, **known), rng, note)
        except Exception as error:
            key = (last["name"], type(error).__name__, str(error)[:40])
            trace = "".join(traceback.format_exception(error))
            about = f"call {number}: {last['name']}, hostile {sorted(last.get('hostile', []))}"
            failures.setdefault(key, f"{about}\n{shown(last.get('given', {}))}\n{trace}")
            session = type(session)(rng)
    faulthandler.cancel_dump_traceback_later()
    return list(failures.values())


def main():
    seed, calls = int(sys.argv[1]), int(sys.argv[2])
    faulthandler.enable()
    limit_memory()
    np.seterr(all="ignore")
    with Path(sys.argv[3] if len(sys.argv) > 3 else os.devnull).open("wb") as log:
        failures = run(seed, calls, log)
    for failure in failures[:SHOWN]:
        print(failure)
    print(f"{len(failures)} kinds of failures in {calls} calls of seed {seed}")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
