"""The Markdown tables of a record, aligned so that a terminal shows them well too."""

from . import bars, compare, threads
from .engines import ENGINES, OWN

TITLES = {
    "forward": "Forward",
    "training": "Forward and backward",
    "step": "One step from Python, the state carried on",
    "lstm forward": "LSTM, forward",
    "lstm training": "LSTM, forward and backward",
    "variants forward": "Where the reset gate stands, forward",
    "variants training": "Where the reset gate stands, forward and backward",
    "f64 forward": "Float64, forward",
    "f64 training": "Float64, forward and backward",
    "ragged forward": "Ragged batches, forward",
    "ragged training": "Ragged batches, forward and backward",
    "threads forward": "Two threads, forward",
    "threads training": "Two threads, forward and backward",
}
ON_ONE_CORE = ("forward", "training")  # shown as a share of the peak too
FOOTPRINT = {
    "import ms": "import over NumPy, ms",
    "resident MB": "resident memory over NumPy, MB",
    "training MB": "one training call at 100,64,256,256 over inputs and weights, MB",
    "wheel MB": "wheel, MB",
}


def promises(results):
    rows = []
    for bar in bars.compute(results):
        sign = "≤" if bar.at_most else "≥"
        figure = "–" if bar.figure is None else f"{bar.figure:.3g}"
        moonshot = "" if bar.moonshot is None else f"{sign} {bar.moonshot:.3g}"
        limit = "" if bar.bar is None else f"{sign} {bar.bar:.3g}"
        rows.append([bar.name, figure, limit, moonshot, bar.verdict, bar.where])
    return table(["bar", "figure", "bar", "moonshot", "verdict", "where"], rows)


def losses(results):
    rows = [
        [TITLES[m.section], str(m.point), m.best, f"{m.ratio:.2f}", time(m.own), time(m.peers[m.best])]
        for m in compare.lost(results)
    ]
    return table(["what", "T,B,I,H", "fastest peer", "×", "gru_rs", "the peer"], rows)


def section(results, name):
    """A line a point, a column a job: µs for a step, else GFLOP/s."""
    rows, meetings = results.of(name), compare.meetings(results, name)
    jobs = list(dict.fromkeys(row.job for row in rows))
    scaling = compare.scaling(results, name.removeprefix("threads ")) if name.startswith("threads ") else {}
    header = ["T,B,I,H", *jobs, *["two over one"] * bool(scaling), *["×"] * bool(meetings)]
    header += ["gru_rs / peak"] * (name in ON_ONE_CORE)
    lines = []
    for point in dict.fromkeys(row.point for row in rows):
        here = {row.job: row for row in rows if row.point == point}
        line = [str(point), *(_figure(here.get(job), name == "step") for job in jobs)]
        if scaling:
            line.append(_ratio(scaling.get(point)))
        if meetings:
            line.append(_ratio(meetings[point].ratio if point in meetings else None))
        if name in ON_ONE_CORE:
            own = here.get(OWN)
            line.append(_ratio(own.gflops / results.peak if own and results.peak else None))
        lines.append(line)
    return table(header, lines)


def _figure(row, in_us):
    if row is None:
        return "–"
    return f"{row.timing.minimum * 1e6:.2f}" if in_us else f"{row.gflops:.1f}"


def _ratio(value):
    return "–" if value is None else f"{value:.2f}"


def spot(results):
    """Times of every engine on one and on two threads at one point. One thread is that of the pinned
    process; of gru_rs it is the one that took turns with two."""
    lines = []
    for engine in ENGINES:
        line = [engine]
        for mode in ("forward", "training"):
            pinned = {row.job: row for row in results.of(mode) if row.point.name == threads.SPOT}
            both = {row.job: row for row in results.of(f"threads {mode}") if row.point.name == threads.SPOT}
            one, two = (
                both.get(engine + threads.ONE, pinned.get(engine)),
                both.get(engine + threads.TWO),
            )
            line += [time(row.timing.minimum) if row else "–" for row in (one, two)]
            line.append(_ratio(one.timing.minimum / two.timing.minimum if one and two else None))
        if set(line[1:]) != {"–"}:
            lines.append(line)
    return table(["", *(f"{m}, {n}" for m in ("forward", "training") for n in ("one", "two", "×"))], lines)


def busy(results):
    lines = []
    for (name, point, job), loads in compare.crowd(results).items():
        quiet, crowded = loads["quiet"], loads["busy"]
        figures = [time(t) for t in (quiet.p50, crowded.p50, quiet.p99, crowded.p99)]
        ratios = [_ratio(crowded.p50 / quiet.p50), _ratio(crowded.p99 / quiet.p99)]
        calls = f"{quiet.samples}, {crowded.samples}"
        what = f"{name.removeprefix('busy ')} {point}"
        lines.append([what, job, *figures[:2], ratios[0], *figures[2:], ratios[1], calls])
    header = ["what", "engine", "p50 quiet", "p50 busy", "×", "p99 quiet", "p99 busy", "×", "calls"]
    order = {what: number for number, what in enumerate(dict.fromkeys(line[0] for line in lines))}
    return table(header, sorted(lines, key=lambda line: order[line[0]]), left=2)


def footprint(figures):
    engines = [e for e in ENGINES if any(e in values for values in figures.values())]
    rows = [
        [FOOTPRINT[what], *(f"{values[e]:.1f}" if e in values else "–" for e in engines)]
        for what, values in figures.items()
    ]
    return table(["", *engines], rows)


def time(seconds):
    """With three digits, in the unit that suits."""
    unit, factor = ("s", 1) if seconds >= 1 else ("ms", 1e3) if seconds >= 1e-3 else ("µs", 1e6)
    value = seconds * factor
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"


def table(header, rows, left=1):
    """Markdown with aligned columns; the first `left` columns, and columns of words, are flush left."""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(3, *map(len, column)) for column in columns]
    words = [
        i < left or any(cell[:1].isalpha() or cell[:1] in "≥≤" for cell in column[1:])
        for i, column in enumerate(columns)
    ]

    def line(cells):
        padded = (c.ljust(w) if word else c.rjust(w) for c, w, word in zip(cells, widths, words, strict=True))
        return "| " + " | ".join(padded) + " |"

    rule = (
        "|"
        + "|".join("-" * (w + 1) + ("-" if word else ":") for w, word in zip(widths, words, strict=True))
        + "|"
    )
    return "\n".join([line(header), rule, *map(line, rows)]) + "\n"
