"""What is installed and in use, for bug reports."""

from __future__ import annotations

import platform
from typing import Any, Literal, overload

import numpy as np

from . import _core


@overload
def show_config(mode: Literal["stdout"] = ...) -> None: ...
@overload
def show_config(mode: Literal["dicts"]) -> dict[str, Any]: ...
def show_config(mode: str = "stdout") -> dict[str, Any] | None:
    """Print, or give, what a bug report needs.

    Parameters
    ----------
    mode : {"stdout", "dicts"}
        Print it, or give it as a dict, as ``numpy.show_config`` does.

    Returns
    -------
    dict or None
        ``version``, ``commit``, ``isa`` (in use; ``GRU_RS_ISA`` forces one), ``isa_available``, ``threads``
        (that a large call may use), ``pool`` (worker threads that stand ready; 0 before the first large
        call), ``python``, ``numpy`` and ``platform``.

    Examples
    --------
    >>> import gru_rs
    >>> gru_rs.show_config(mode="dicts")["version"] == gru_rs.__version__
    True
    """
    config = {
        "version": _core.__version__,
        "commit": _core.commit,
        "isa": _core.isa(),
        "isa_available": _core.isa_available(),
        "threads": _core.num_threads(),
        "pool": _core.num_workers(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
    }
    if mode == "dicts":
        return config
    if mode != "stdout":
        msg = f"mode: expected 'stdout' or 'dicts', got {mode!r}"
        raise ValueError(msg)
    for name, value in config.items():
        print(f"{name}: {', '.join(value) if isinstance(value, list) else value}")
    return None
