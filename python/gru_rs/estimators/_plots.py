"""Pictures: the only file that knows matplotlib, which is imported when a picture is asked for."""

from __future__ import annotations

from typing import Any


def axes_of(ax: Any) -> Any:
    """The axes that were given, or those of a figure that no window shows: it may be written to a file, and
    is forgotten with its axes.
    """
    if ax is not None:
        if not hasattr(ax, "plot") or not hasattr(ax, "figure"):
            msg = f"ax: expected axes of matplotlib, got {ax!r:.60} ({type(ax).__name__})"
            raise TypeError(msg)
        return ax
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        msg = f"plot needs {error.name}: pip install 'gru-rs[plot]'"
        raise ImportError(msg, name=error.name) from error
    return Figure(figsize=(7, 4.5), layout="constrained").subplots()
