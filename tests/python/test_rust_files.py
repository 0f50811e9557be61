"""What estimators save is read by Rust without Python: `examples/stream_file.rs` gives the bits of their
models, `examples/edge.rs` the columns that its nets are trained with. Needs cargo and a checkout.
"""

import os
import shutil
import subprocess
from pathlib import Path

import gru_rs
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.skipif(
        shutil.which("cargo") is None or not (ROOT / ".git").exists(), reason="no cargo, or no checkout"
    ),
    pytest.mark.timeout(1800),  # the first build takes its time on a busy machine
]
BUILD = "cargo build --quiet --profile test --no-default-features --features files"
COLUMNS = 1e-4  # of numbers up to 25; float32 keeps 1e-6
RNG = np.random.default_rng(1)
NUMBERS = [RNG.normal(3, 2, (length, 3)).round(4) for length in range(3, 11)]
TEXTS = [text.split() for text in ["a good day", "what a good film", "a bad day", "what a bad film"] * 4]
OPTIONS = {"hidden_size": 20, "max_iter": 2, "random_state": 1, "bidirectional": False}


@pytest.fixture(scope="module")
def run():
    """The examples, which are built once."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    examples = "--example edge --example stream_file"
    subprocess.run(f"{BUILD} {examples}".split(), cwd=ROOT, check=True)

    def example(name, *arguments, given):
        command = [target / "debug" / "examples" / name, *map(str, arguments)]
        return subprocess.run(command, input=given, capture_output=True, check=True).stdout

    return example


def classifier(**more):
    return gru_rs.SequenceClassifier(**OPTIONS, **more).fit(NUMBERS, np.arange(8) % 3)


ESTIMATORS = {
    "classifier": classifier,
    "two layers": lambda: classifier(num_layers=2, pooling="mean", scale=False),
    "several labels": lambda: gru_rs.SequenceClassifier(**OPTIONS).fit(NUMBERS, np.eye(8, 3, dtype=int)),
    "lstm": lambda: classifier(cell="lstm", pooling="max"),
    "words": lambda: gru_rs.SequenceClassifier(**OPTIONS).fit(TEXTS, [1, 1, 0, 0] * 4),
    "regressor": lambda: gru_rs.SequenceRegressor(**OPTIONS, reset_after=False).fit(NUMBERS, np.arange(8.0)),
    "tagger": lambda: gru_rs.SequenceTagger(**OPTIONS, crf=False, token_features=None).fit(TEXTS, TEXTS),
    "transcriber": lambda: gru_rs.Transcriber(**OPTIONS).fit(NUMBERS, ["a", "ab", "b", "ba"] * 2),
}


WIDTHS = pytest.mark.parametrize("width", [None, "int8", "f16", "bf16"])


def saved(make, width, path):
    """An estimator, and a sequence for it."""
    estimator = make()
    if width is not None:
        estimator = estimator.quantize(width)
    estimator.save(path)
    return estimator, TEXTS[1] if hasattr(estimator, "vocabulary_") else NUMBERS[-1].astype(np.float32)


def bits_of(run, *arguments, sequence):
    """What Rust says after each step."""
    lines = ["\t".join(map(str, [step] if isinstance(step, str) else step)) for step in sequence]
    found = run("stream_file", "--bits", *arguments, given="\n".join(lines).encode())
    rows = [[int(number, 16) for number in line.split("\t")] for line in found.decode().splitlines()]
    return np.array(rows, np.uint32)


@WIDTHS
@pytest.mark.parametrize("make", ESTIMATORS.values(), ids=ESTIMATORS)
def test_scores_have_the_bits_of_python(run, tmp_path, make, width):
    estimator, sequence = saved(make, width, tmp_path / "model.safetensors")
    bits = bits_of(run, tmp_path / "model.safetensors", sequence=sequence)
    sequences = estimator._read_fitted([sequence], None)
    x, lengths = sequences.batch(np.array([0]))
    model = estimator.model_
    if estimator._pooled() == "each":
        scores = model.scores(x)
    else:
        scores = np.concatenate([model.scores(x[:, : step + 1]) for step in range(lengths[0])])
    np.testing.assert_array_equal(bits, scores.view(np.uint32))


@WIDTHS
@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name not in ("regressor", "transcriber")])
def test_probabilities_have_the_bits_of_python(run, tmp_path, name, width):
    """Of a stream after each step, and of a classifier's `predict_proba`."""
    estimator, sequence = saved(ESTIMATORS[name], width, tmp_path / "model.safetensors")
    bits = bits_of(run, "--probabilities", tmp_path / "model.safetensors", sequence=sequence)
    np.testing.assert_array_equal(bits, estimator.stream()(sequence).view(np.uint32))
    if name != "tagger":
        begun = [sequence[: step + 1] for step in range(len(sequence))]
        np.testing.assert_array_equal(bits, estimator.predict_proba(begun).view(np.uint32))


def log_mel(samples, count):
    """The columns by their definition: python_speech_features makes the same filters."""
    sharp = samples - 0.97 * np.append(0.0, samples[:-1])
    frames = np.lib.stride_tricks.sliding_window_view(sharp, 200)[::80] * np.hamming(200)
    power = np.abs(np.fft.rfft(frames, 256)) ** 2 / 256
    mels = np.linspace(0, 2595 * np.log10(1 + 4000 / 700), count + 2)
    corners = np.floor(257 * 700 * (10 ** (mels / 2595) - 1) / 8000)
    left, top, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    bins = np.arange(129)
    with np.errstate(divide="ignore", invalid="ignore"):
        up, down = (bins - left) / (top - left), (right - bins) / (right - top)
    inside = (bins >= left) & (bins < top), (bins >= top) & (bins < right)
    return np.log(power @ np.select(inside, (up, down)).T + 1.0)


@pytest.mark.parametrize("count", [12, 26])
@pytest.mark.parametrize("header", [b"", b"RIFF" + 40 * b"."])
def test_columns_of_edge(run, count, header):
    time = np.arange(4000) / 8000
    tone = 9000 * np.sin(2 * np.pi * (300 + 1500 * time) * time)
    samples = (tone + RNG.normal(0, 20, len(time))).astype("<i2")
    samples[3000:] = 0
    found = run("edge", "--columns", count, given=header + samples.tobytes()).decode()
    rows = np.array([[float(number) for number in line.split("\t")] for line in found.splitlines()])
    np.testing.assert_allclose(rows, log_mel(samples.astype(float), count), rtol=0, atol=COLUMNS)


def test_edge_refuses_other_models(run, tmp_path):
    gru_rs.SequenceRegressor(**OPTIONS).fit(NUMBERS, np.arange(8.0)).save(tmp_path / "model.safetensors")
    with pytest.raises(subprocess.CalledProcessError) as raised:
        run("edge", tmp_path / "model.safetensors", given=b"")
    assert raised.value.stderr == b"edge: expected a SequenceClassifier of numbers, got another model\n"
