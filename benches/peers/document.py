"""The report in Markdown, for the terminal and for docs/benchmarks.md: what stands where, and the words
around the tables."""

from . import compare, tables

TITLE = "Benchmarks: gru-rs beside PyTorch, ONNX Runtime, OpenVINO and JAX"
GENERATED = """\
This page is written by `make bench-peers`: changes by hand are lost. Its figures are in
[`{record}`](../benches/record/{record}), from which
`benches/peers.py --render benches/record/{record} --docs docs` writes it again without measuring.
"""
METHOD = """\
* Answers (outputs, final states, and gradients of x, h0 and every parameter) are checked against float64
  before anything is timed. h0 and dy are random; weights are written before every training call; what an
  engine may keep between calls (compiled graphs, packed weights, buffers) it keeps.
* Engines take turns round by round, so that a disturbance hits all alike, and the fastest round counts; the
  CSV has medians and 99th percentiles too. Machines are shared: only ratios within one run mean anything.
* One thread: a process tied to one core, since JAX heeds nothing else. Two threads: a process of two cores,
  each engine told to use two, with 10 ms of rest before each sample, in which threads that the neighbour
  left spinning go to sleep. Default settings: a process for each engine, no variable set, all cores.
* × is the best peer's time over gru-rs's: above 1, gru-rs is the fastest. Training counts three times the
  operations of a forward pass, a ragged batch only the steps within its lengths. MB are 10⁶ bytes.
"""
LOST = "Every size at which a peer was faster, in whatever table below, the worst first.\n"
ALL_WON = "At no size of this run was a peer faster.\n"
UNITS = {"step": "µs."}
NOTES = {
    "lstm forward": "gru_rs, GRU is there for the ratio of the two cells' times. JAX has no LSTM here.",
    "variants forward": "Reset-after is PyTorch's GRU, reset-before that of Cho et al. 2014 and ONNX.",
    "f64 forward": "gru_rs, f32 is there for the ratio. ONNX Runtime and OpenVINO have float32 "
    "alone; JAX has a switch for the whole process.",
    "ragged forward": "Random lengths, 1 to T. PyTorch packs and pads in each call, ONNX Runtime "
    "and OpenVINO take sequence_lens, JAX masks. gru_rs, dense is the same size without lengths, for the "
    "ratio.",
    "threads forward": "gru_rs with one and with two threads took turns in one process; two over one is the "
    "ratio of their times. × is among the engines with two threads.",
}
SPOT = "One thread is that of the process with one core; gru_rs's is the one that took turns with two.\n"
BUSY = """\
Single calls in default settings, quiet, and with a process in an endless loop for each core, of the same
priority. p50 is the median call, p99 the one that one in a hundred exceeds (of under a hundred calls,
nearly the slowest); × is busy over quiet. An engine that collapses gets no more time than the others, so it
has fewer calls.
"""
PLOTS = {
    "forward": ("forward.png", "Forward: each peer's time over gru-rs's, one thread"),
    "training": ("training.png", "Forward and backward: each peer's time over gru-rs's, one thread"),
    "step": ("step.png", "One step: each engine's time"),
    "threads": ("threads.png", "Two threads over one"),
    "busy": ("busy.png", "Default settings, quiet and busy"),
}


def render(results, record, plots=None):
    """`plots` is the folder of the plots as the page sees it, None for a page without."""
    parts = [f"# {TITLE}\n"]
    if plots:
        parts.append(GENERATED.format(record=record))
    parts.append(tables.table(["", ""], [[f"**{k}**", v] for k, v in _facts(results)], left=2))
    if results.failures:
        parts.append("## FAILURES\n\n" + "\n".join(f"* {failure}" for failure in results.failures) + "\n")
    parts.append("## What is promised, and what was measured\n\n" + tables.promises(results))
    lost = compare.lost(results)
    parts.append("## Where gru-rs loses\n\n" + (f"{LOST}\n{tables.losses(results)}" if lost else ALL_WON))
    parts.append("## How it is measured\n\n" + METHOD)
    for name, title in tables.TITLES.items():
        if results.of(name):
            parts.append(f"## {title}\n\n" + _section(results, name, plots))
    parts += _threads(results) + _busy(results, plots)
    if results.footprint:
        parts.append("## Footprint\n\n" + tables.footprint(results.footprint))
    return "\n".join(parts)


def _facts(results):
    versions = []
    for name, text in results.about.items():
        if name.startswith("version of "):
            versions.append(f"{name.removeprefix('version of ')} {text}")
        else:
            yield name, f"`{text}`" if name == "command" else text
    if versions:
        yield "versions", ", ".join(versions)
    if results.peak:
        yield "FMA peak", f"{results.peak:.1f} GFLOP/s (float32, registers only, one core, largest seen)"


def _section(results, name, plots):
    text = f"{UNITS.get(name, 'GFLOP/s, more is better.')} {NOTES.get(name, '')}".strip()
    family = "threads" if name == "threads training" else name  # one plot for both modes
    return f"{text}\n\n{tables.section(results, name)}" + _plot(family, plots)


def _plot(name, folder):
    if not folder or name not in PLOTS:
        return ""
    file, words = PLOTS[name]
    return f"\n![{words}]({folder}/{file})\n"


def _threads(results):
    if not results.of("threads forward"):
        return []
    return [f"## 100,64,256,256 on one thread and on two\n\n{SPOT}\n{tables.spot(results)}"]


def _busy(results, plots):
    if not compare.crowd(results):
        return []
    return [f"## Default settings, quiet and busy\n\n{BUSY}\n{tables.busy(results)}" + _plot("busy", plots)]
