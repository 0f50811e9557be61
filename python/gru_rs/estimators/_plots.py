"""Pictures: the only file that knows matplotlib, which is imported when a picture is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os


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


def finished(axes: Any, path: str | os.PathLike[str] | None, fontsize: str = "medium") -> Any:
    """The axes with their legend, written to a file if one is named."""
    axes.legend(fontsize=fontsize)
    if path is not None:
        axes.figure.savefig(path, dpi=120)
    return axes


def finished_by_steps(
    axes: Any, gradients: Any, labels: tuple[str, str], path: str | os.PathLike[str] | None
) -> Any:
    """The axes of what is found in so many steps, and those behind them of the norms of gradients, which have
    a scale to the right: with their scales, labels and legend, written to a file if one is named.
    """
    axes.set_xscale("symlog", base=2, linthresh=1)
    axes.set(xlabel=labels[0], ylabel=labels[1])
    gradients.set(yscale="log", ylabel="norm of gradients (dotted), of its largest")
    return finished(axes, path, "small")
