"""The promises, computed from the results: figure, bar, met or missed."""

from dataclasses import dataclass
from math import exp, fsum, log

from . import compare
from .engines import OWN, PEERS, engine_of

SCALING = 1.7  # own speed with two threads over that with one
BUSY = 2.5  # own median call on a busy machine over that on a quiet one
LARGE_BATCH = 16  # "every grid point with B ≥ 16"
PEAK_POINTS = ("t100_b64_i256_h256", "t35_b64_i512_h512")
STEP_BARS = {64: 1 / 12, 128: 1 / 6, 512: 0.65}  # own time / ONNX Runtime's, by hidden size


@dataclass(frozen=True)
class Bar:
    """`figure` is None where nothing was measured for it, `bar` where there is a moonshot alone."""

    name: str
    figure: float | None
    bar: float | None
    moonshot: float | None = None
    at_most: bool = False
    where: str = ""

    def reaches(self, limit):
        return self.figure <= limit if self.at_most else self.figure >= limit

    @property
    def verdict(self):
        if self.figure is None:
            return "not measured"
        moonshot = self.moonshot is not None and self.reaches(self.moonshot)
        if self.bar is None:
            return "moonshot met" if moonshot else "moonshot open"
        if not self.reaches(self.bar):
            return "MISSED"
        return "met, and the moonshot" if moonshot else "met"


def geometric_mean(values):
    return exp(fsum(map(log, values)) / len(values)) if values else None


def compute(results):
    """All bars in the order of performance.md's table."""
    fastest = _fastest(results.rows)
    return [
        *_forward(fastest),
        *_step(fastest),
        *_training(fastest),
        *_lstm(fastest),
        *_variants(fastest),
        *_peak(results),
        *_threads(results),
        *_busy(results),
        *_footprint(results.footprint),
    ]


def _fastest(rows):
    """{section: {point: {name: row}}}: each row by its job's name, the fastest also by its engine's."""
    found = {}
    for row in rows:
        names = found.setdefault(row.section, {}).setdefault(row.point, {})
        for name in {row.job, row.engine}:
            if name not in names or row.timing.minimum < names[name].timing.minimum:
                names[name] = row
    return found


def _ratios(fastest, section, own, others, keep=None):
    """{point: (best time of `others`) / (time of `own`)}: above 1, own is faster."""
    found = {}
    for point, names in fastest.get(section, {}).items():
        rivals = [names[name].timing.minimum for name in others if name in names]
        if own in names and rivals and (keep is None or keep(point)):
            found[point] = min(rivals) / names[own].timing.minimum
    return found


def _worst(name, ratios, bar, moonshot=None, at_most=False):
    """The bar must hold at every point: the figure is the worst one's."""
    if not ratios:
        return Bar(name, None, bar, moonshot, at_most)
    point = (max if at_most else min)(ratios, key=ratios.get)
    return Bar(name, ratios[point], bar, moonshot, at_most, where=f"worst of {len(ratios)}, at {point}")


def _mean(name, ratios, bar, moonshot=None):
    return Bar(name, geometric_mean(list(ratios.values())), bar, moonshot, where=f"{len(ratios)} points")


def _forward(fastest):
    large = _ratios(fastest, "forward", "gru_rs", PEERS, lambda p: p.batch >= LARGE_BATCH)
    single = _ratios(fastest, "forward", "gru_rs", PEERS, lambda p: p.batch == 1 and p.seq >= 100)
    return [
        _worst("forward, B ≥ 16: × best peer", large, 1.1),
        _mean("forward, B ≥ 16: × best peer, geometric mean", large, 1.3, 1.4),
        _worst("forward, B = 1, T ≥ 100: × best peer", single, 1.2, 1.5),
    ]


def _step(fastest):
    """Against run(), as one calls ONNX Runtime from Python, and more strictly against its IO binding."""
    bars = [Bar("int8 step, H = 512: time / ORT's f32 (gru_rs has no int8 yet)", None, 0.22, at_most=True)]
    for way in ("run", "binding"):
        ratios = _ratios(fastest, "step", "gru_rs", [f"onnxruntime, {way}"])
        for hidden, bar in STEP_BARS.items():
            at = {point: 1 / ratio for point, ratio in ratios.items() if point.hidden == hidden}
            moonshot = 1 / 15 if hidden == 64 else None
            bars.append(_worst(f"step, H = {hidden}: time / ORT {way}", at, bar, moonshot, at_most=True))
        bars.append(_mean(f"step: × ORT {way}, geometric mean", ratios, 5.0))
    return bars


def _training(fastest):
    best = _ratios(fastest, "training", "gru_rs", ("pytorch", "jax"))
    torch = _ratios(fastest, "training", "gru_rs", ("pytorch",))
    middle = {p: r for p, r in torch.items() if p.name == "t100_b32_i64_h64"}
    small = {p: r for p, r in torch.items() if p.batch == 1 or p.hidden <= 32}
    return [
        _worst("forward + backward: × better of PyTorch and JAX", best, 1.05),
        _mean("forward + backward: × the better, geometric mean", best, 1.45, 1.7),
        _worst("forward + backward, 100,32,64,64: × PyTorch", middle, 3.0),
        _worst("forward + backward, B = 1 or H ≤ 32: × PyTorch", small, 8.0, 12.0),
    ]


def _lstm(fastest):
    own = _ratios(fastest, "lstm training", "gru_rs, LSTM", ["pytorch, LSTM"])
    gru = _ratios(fastest, "lstm training", "gru_rs, LSTM", ["gru_rs, GRU"])
    torch = _ratios(fastest, "lstm training", "pytorch, LSTM", ["gru_rs, GRU"], lambda p: p.hidden <= 256)
    return [
        _worst("LSTM training: × PyTorch's (oneDNN)", own, 1.05, 1.3),
        _worst("training time, GRU / own LSTM", gru, 0.78, 0.75, at_most=True),
        _worst("training time, GRU / PyTorch's LSTM, H ≤ 256", torch, None, 0.6, at_most=True),
    ]


def _variants(fastest):
    bars = []
    for mode in ("forward", "training"):
        for section, variant, base, bar, moonshot in (
            ("f64", "f64", "f32", 0.45, None),
            ("variants", "reset-before", "reset-after", 0.8, None),
            ("ragged", "ragged", "dense", 0.8, 0.9),
        ):
            rates = {
                point: names[f"gru_rs, {variant}"].gflops / names[f"gru_rs, {base}"].gflops
                for point, names in fastest.get(f"{section} {mode}", {}).items()
            }
            bars.append(_worst(f"{mode}, {variant}: rate / {base}'s", rates, bar, moonshot))
    return bars


def _peak(results):
    """Of the points at which the figure is to be reported whatever it is."""
    bars = []
    for section, moonshot in (("forward", 0.85), ("training", 0.75)):
        for name in PEAK_POINTS:
            rows = [r for r in results.rows if (r.section, r.point.name, r.job) == (section, name, "gru_rs")]
            share = rows[0].gflops / results.peak if rows and results.peak else None
            where = str(rows[0].point) if rows else name
            bars.append(Bar(f"{section}: fraction of FMA peak", share, None, moonshot, where=where))
    return bars


def is_for_two_threads(point):
    """Of smaller sizes no gain by a second thread is promised."""
    return point.batch >= 32 and point.hidden >= 128


def _threads(results):
    bars = []
    for mode in ("forward", "training"):
        ratios = {
            point: ratio
            for point, ratio in compare.scaling(results, mode).items()
            if is_for_two_threads(point)
        }
        bars.append(_worst(f"{mode}, two threads over one, B ≥ 32, H ≥ 128: ×", ratios, SCALING, 1.9))
    return bars


def _busy(results):
    """The median call with both cores also busy, default settings."""
    bars = []
    for mode in ("forward", "training", "step"):
        ratios = {
            f"{point} ({job})" if job != OWN else point: loads["busy"].p50 / loads["quiet"].p50
            for (section, point, job), loads in compare.crowd(results).items()
            if section == f"busy {mode}" and engine_of(job) == OWN
        }
        bars.append(_worst(f"{mode}, busy machine: own p50 / own quiet p50", ratios, BUSY, at_most=True))
    return bars


def _footprint(figures):
    def own(name):
        return figures.get(name, {}).get("gru_rs")

    training = figures.get("training MB", {})
    share = training["gru_rs"] / training["pytorch"] if len(training) == 2 else None
    return [
        Bar("training memory / PyTorch's", share, 1.0, 0.5, at_most=True, where="100,64,256,256"),
        Bar("wheel, MB", own("wheel MB"), 2.0, at_most=True),
        Bar("import over NumPy, ms", own("import ms"), 30.0, at_most=True),
        Bar("resident memory over NumPy, MB", own("resident MB"), 6.0, at_most=True),
    ]
