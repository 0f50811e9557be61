"""The Rust extension. Private: arrays are checked by `_arrays` before they come here."""

from typing import Any, final

from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Cosine",
    "FlatView",
    "Loss",
    "Memory",
    "Model",
    "Plateau",
    "Rnn",
    "Rule",
    "Stream",
    "Tape",
    "__version__",
    "clip_by_norm",
    "commit",
    "fma_peak",
    "isa",
    "isa_available",
    "num_threads",
    "num_workers",
    "set_num_threads",
]

__version__: str
commit: str

def clip_by_norm(gradients: NDArray[Any], most: float) -> float: ...
def fma_peak() -> float: ...
def isa() -> str: ...
def isa_available() -> list[str]: ...
def num_threads() -> int: ...
def num_workers() -> int: ...
def set_num_threads(threads: int) -> None: ...

@final
class Rnn:
    def __new__(
        cls,
        cell: str,
        dtype: str,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        seed: int,
    ) -> Rnn: ...
    def run(
        self,
        x: NDArray[Any],
        batch: int,
        seq: int,
        states: list[NDArray[Any]],
        lengths: list[int] | None,
    ) -> tuple[NDArray[Any], list[NDArray[Any]]]: ...
    def forward(
        self,
        x: NDArray[Any],
        batch: int,
        seq: int,
        states: list[NDArray[Any]],
        lengths: list[int] | None,
        seed: int | None,
        low_memory: bool,
    ) -> tuple[NDArray[Any], list[NDArray[Any]], Tape]: ...
    def stream(self, batch: int | None) -> Stream: ...
    def flat(self) -> FlatView: ...
    def set_flat(self, flat: NDArray[Any]) -> None: ...
    def names(self) -> list[tuple[str, int, int, list[int]]]: ...
    def duplicate(self) -> Rnn: ...
    @property
    def rng_state(self) -> int: ...
    def set_rng_state(self, state: int) -> None: ...

@final
class Cosine:
    def __new__(cls, first: float, steps: int, warm_up: int, least: float) -> Cosine: ...
    def rate(self, step: int) -> float: ...

@final
class Plateau:
    def __new__(cls, first: float, factor: float, patience: int, least: float) -> Plateau: ...
    def end_of_epoch(self, loss: float) -> float: ...

@final
class Loss:
    @staticmethod
    def cross_entropy(label_smoothing: float, class_weights: list[float]) -> Loss: ...
    @staticmethod
    def squared() -> Loss: ...
    @staticmethod
    def absolute() -> Loss: ...
    @staticmethod
    def quantile(levels: list[float]) -> Loss: ...

_Given = tuple[NDArray[Any], tuple[int, int], list[int] | None]
_Wanted = tuple[NDArray[Any], NDArray[Any] | None]

@final
class Model:
    def __new__(cls, options: dict[str, Any]) -> Model: ...
    @staticmethod
    def names_of(options: dict[str, Any]) -> list[tuple[str, int, int, list[int]]]: ...
    def weights(self) -> Rnn: ...
    def names(self) -> list[tuple[str, int, int, list[int]]]: ...
    def duplicate(self) -> Model: ...
    def scores(self, given: _Given) -> NDArray[Any]: ...
    def labels(self, given: _Given) -> NDArray[Any]: ...
    def loss(self, given: _Given, wanted: _Wanted, loss: Loss) -> float: ...
    def loss_and_grad(
        self, given: _Given, wanted: _Wanted, loss: Loss, seed: int | None, low_memory: bool
    ) -> tuple[float, NDArray[Any]]: ...

@final
class Tape:
    def backward(
        self, d_y: NDArray[Any] | None, d_states: list[NDArray[Any]]
    ) -> tuple[NDArray[Any], list[NDArray[Any]], NDArray[Any]]: ...
    @property
    def nbytes(self) -> int: ...

@final
class FlatView:
    @property
    def __array_interface__(self) -> dict[str, Any]: ...

@final
class Stream:
    def __call__(self, x_t: ArrayLike, out: NDArray[Any] | None = None) -> NDArray[Any]: ...
    @property
    def batch_size(self) -> int | None: ...

@final
class Memory:
    def __new__(cls) -> Memory: ...

@final
class Rule:
    @staticmethod
    def sgd(learning_rate: float, momentum: float, nesterov: bool, weight_decay: float) -> Rule: ...
    @staticmethod
    def adam(
        learning_rate: float, betas: tuple[float, float], epsilon: float, weight_decay: float, decoupled: bool
    ) -> Rule: ...
    def step(self, layer: Rnn, gradients: NDArray[Any], memory: Memory) -> None: ...
