"""The columns of a stream of sound: logarithms of mel energies, each frame by itself, so that a program that
hears sample after sample can compute the same. `edge.rs` does.

It must not know models or data.
"""

from __future__ import annotations

import numpy as np
from python_speech_features import get_filterbanks

RATE = 8000
WINDOW, STEP, TRANSFORM = 200, 80, 256  # samples: 25 ms each 10 ms
EMPHASIS = 0.97


def log_mel(samples: np.ndarray, columns: int) -> np.ndarray:
    """ln(energy + 1) of `columns` mel filters up to 4 kHz in each whole frame: (frames, columns).

    The samples are numbers of the size of int16. Nothing is subtracted: what is loud stays loud.
    """
    samples = np.asarray(samples, np.float64)
    if len(samples) < WINDOW:
        return np.empty((0, columns), np.float32)
    sharp = samples - EMPHASIS * np.append(0.0, samples[:-1])
    frames = np.lib.stride_tricks.sliding_window_view(sharp, WINDOW)[::STEP] * np.hamming(WINDOW)
    power = np.abs(np.fft.rfft(frames, TRANSFORM)) ** 2 / TRANSFORM
    filters = get_filterbanks(columns, TRANSFORM, RATE, 0, RATE // 2)
    return np.log(power @ filters.T + 1.0).astype(np.float32)


def resampled(samples: np.ndarray, speed: float) -> np.ndarray:
    """The same said faster, and so higher; below 1 slower and lower."""
    return np.interp(np.arange(0, len(samples) - 1, speed), np.arange(len(samples)), samples)


def altered(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same as another day and another microphone may bring it: speed, loudness, and often up to 300 ms of
    noise before or behind."""
    before, behind = rng.integers(0, 3 * RATE // 10, 2) * (rng.random(2) < 0.6)
    said = resampled(samples, rng.uniform(0.85, 1.15))
    return rng.uniform(0.3, 1.5) * surrounded(said, rng, before, behind)


def surrounded(samples: np.ndarray, rng: np.random.Generator, before: int, behind: int) -> np.ndarray:
    """The same with noise before and behind, so much softer that it may be none."""
    noise = np.abs(samples).std() * 10 ** rng.uniform(-4, -1.5)
    return np.concatenate([rng.normal(0, noise, before), samples, rng.normal(0, noise, behind)])
