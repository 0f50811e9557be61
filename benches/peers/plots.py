"""The plots of docs/benchmarks.md. A colour and a mark for each engine, told apart without seeing colours
too."""

from io import BytesIO
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from PIL import Image

from . import bars, compare, tables
from .document import PLOTS
from .engines import ENGINES, OWN, PEERS, engine_of

# Okabe and Ito's colours.
COLOURS = dict(zip(ENGINES, ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7"), strict=True))
MARKS = dict(zip(ENGINES, ("D", "o", "s", "^", "v"), strict=True))
NAMES = {
    OWN: "gru-rs",
    "pytorch": "PyTorch",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "jax": "JAX",
}
LOSS = "#F3E3E0"  # where a peer is faster
WIDTH, DPI, COLOUR_COUNT = 8.0, 110, 64
TICKS = 100  # greatest over least, on a line as wide as the page: beyond it a tick a decade is enough
PROMISED = f"gru-rs: two threads over one, where {bars.SCALING} is promised (dashed)"
plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})


def draw(results, folder):
    """Draws what there are figures for, and returns the files."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, (file, title) in PLOTS.items():
        figure = DRAWN_BY[name](results, name, title)
        if figure is None:
            (folder / file).unlink(missing_ok=True)  # of another record
            continue
        _save(figure, folder / file)
        plt.close(figure)
        drawn.append(folder / file)
    return drawn


def _save(figure, path):
    """With a palette: half the size, and nothing of it is seen."""
    image = BytesIO()
    figure.savefig(image, dpi=DPI, format="png")
    Image.open(image).convert("RGB").quantize(COLOUR_COUNT).save(path, optimize=True)


def _relative(results, name, title):
    """Each peer's time over the own, a line a point."""
    meetings = list(compare.meetings(results, name).values())
    if not meetings:
        return None
    figure, axes = _lines([str(m.point) for m in meetings], title)
    for engine in PEERS:
        shift = _shift(engine)
        places = [(m.peers[engine] / m.own, y + shift) for y, m in enumerate(meetings) if engine in m.peers]
        _marks(axes, engine, places)
    ratios = [seconds / m.own for m in meetings for seconds in m.peers.values()]
    axes.set_xlim(min(0.75, 0.85 * min(ratios)), max(2.4, 1.15 * max(ratios)))
    axes.axvspan(axes.get_xlim()[0], 1, color=LOSS, zorder=0)
    axes.axvline(1, color=COLOURS[OWN], linewidth=1.5)
    _log_axis(axes, "time over gru-rs's (T,B,I,H at the left; shaded: the peer is faster)")
    _legend(figure, axes)
    return figure


def _shift(engine):
    """Off its line, so that engines of equal times do not hide each other."""
    return 0.13 * (PEERS.index(engine) - (len(PEERS) - 1) / 2) if engine in PEERS else 0.0


def _lines(labels, title, heading=0.95):
    figure, axes = plt.subplots(figsize=(WIDTH, heading + 0.42 * len(labels) + 0.5), layout="constrained")
    axes.set_title(title, loc="left", fontweight="bold")
    _rows(axes, labels)
    return figure, axes


def _rows(axes, labels):
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.8)
    axes.set_axisbelow(True)


def _marks(axes, engine, places, **more):
    if places:
        style = {"marker": MARKS[engine], "linestyle": "none", "markersize": 7, "label": NAMES[engine]}
        axes.plot(*zip(*places, strict=True), **(style | {"color": COLOURS[engine]} | more))


def _log_axis(axes, label, form=None, columns=1):
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    wide = high / low > TICKS / columns
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(form or (lambda value, _: f"{value:g}")))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label)


def _legend(figure, axes, ncols=6):
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=ncols, frameon=False)


def _step(results, name, title):
    meetings = list(compare.meetings(results, name).values())
    if not meetings:
        return None
    figure, axes = _lines([str(m.point) for m in meetings], title)
    for engine in ENGINES:
        found = [({OWN: m.own} | m.peers).get(engine) for m in meetings]
        _marks(axes, engine, [(seconds, y + _shift(engine)) for y, seconds in enumerate(found) if seconds])
    _log_axis(axes, "time of a step, called from Python (T,B,I,H at the left)", _time_tick)
    _legend(figure, axes)
    return figure


def _time_tick(seconds, _):
    return tables.time(seconds).replace(".00", "").replace(".0 ", " ")


def _threads(results, _, title):
    """Own time on one thread over that on two, and where that leaves it against the best peer with two."""
    scaling = {mode: compare.scaling(results, mode) for mode in ("forward", "training")}
    points = list(dict.fromkeys(point for ratios in scaling.values() for point in ratios))
    if not points:
        return None
    size = (WIDTH, 1.6 + 0.4 * len(points))
    figure, sides = plt.subplots(1, 2, figsize=size, layout="constrained", sharey=True, sharex=True)
    for axes, (mode, ratios) in zip(sides, scaling.items(), strict=True):
        _rows(axes, [str(point) for point in points])
        for promised, colour, words in (
            (True, "#666666", PROMISED),
            (False, "#C4C4C4", "gru-rs: other sizes"),
        ):
            shown = [p for p in points if p in ratios and bars.is_for_two_threads(p) == promised]
            places = [points.index(p) for p in shown]
            axes.barh(places, [ratios[p] for p in shown], height=0.55, color=colour, label=words)
        best = compare.meetings(results, f"threads {mode}")
        places = [(best[point].ratio, y) for y, point in enumerate(points) if point in best]
        style = {"markersize": 6, "markeredgecolor": "white"}
        _marks(
            axes,
            "onnxruntime",
            places,
            marker="o",
            label="best peer's time over gru-rs's, two threads",
            **style,
        )
        axes.axvline(1, color=COLOURS[OWN], linewidth=1)
        axes.axvline(bars.SCALING, color=COLOURS["pytorch"], linewidth=1.2, linestyle="--")
        axes.set_title(
            {"forward": "Forward", "training": "Forward and backward"}[mode], loc="left", fontsize=9
        )
        axes.set_xlabel("times as fast")
        axes.set_xlim(0)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=10)
    _legend(figure, sides[0], ncols=2)
    return figure


def _busy(results, _, title):
    """For each engine the best job's p50, with a line to its p99: hollow when quiet, filled when busy."""
    cases = {}
    for (section, point, job), loads in compare.crowd(results).items():
        engines = cases.setdefault(f"{section.removeprefix('busy ')} {point}", {})
        known = engines.get(engine_of(job))
        if known is None or loads["quiet"].p50 < known["quiet"].p50:
            engines[engine_of(job)] = loads
    if not cases:
        return None
    figure, grid = plt.subplots(
        -(-len(cases) // 2), 2, figsize=(WIDTH, 5.4), layout="constrained", squeeze=False
    )
    for axes, (case, engines) in zip(grid.flat, cases.items(), strict=False):
        _crowd_panel(axes, case, engines)
    for axes in grid.flat[len(cases) :]:
        axes.set_visible(False)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=10)
    figure.supxlabel(
        "time of a call; hollow: quiet, filled: both cores also busy; mark: p50, end of the line: p99\n"
        f"dashed: gru-rs's promise, {bars.BUSY} times its quiet p50",
        fontsize=9,
    )
    return figure


def _crowd_panel(axes, case, engines):
    shown = [engine for engine in ENGINES if engine in engines]
    _rows(axes, [NAMES[engine] for engine in shown])
    for y, engine in enumerate(shown):
        for load, shift, fill in (("quiet", -0.17, "white"), ("busy", 0.17, COLOURS[engine])):
            timing = engines[engine][load]
            axes.plot([timing.p50, timing.p99], [y + shift] * 2, color=COLOURS[engine], linewidth=1.5)
            _marks(axes, engine, [(timing.p50, y + shift)], markerfacecolor=fill)
    if OWN in engines:
        axes.axvline(
            bars.BUSY * engines[OWN]["quiet"].p50, color=COLOURS[OWN], linewidth=1, linestyle="--", zorder=0
        )
    axes.set_title(case, loc="left", fontsize=9)
    _log_axis(axes, "", _time_tick, columns=2)


DRAWN_BY = {"forward": _relative, "training": _relative, "step": _step, "threads": _threads, "busy": _busy}
