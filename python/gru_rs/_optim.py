"""SGD, Adam and AdamW over the flat parameters of layers and cells."""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import deepcopy
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np

from ._arrays import as_array, as_float_dtype, check_out, expect_shape
from ._checks import as_flag, as_real, shown
from ._core import Memory, Rule, clip_by_norm
from ._gradients import Grads
from ._parameters import Network

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from typing_extensions import Self

    from ._arrays import Array

Moments: TypeAlias = tuple[str, list[Any], int, tuple[float, float]]
"""The dtype, the moments, the steps taken, β₁ᵗ and β₂ᵗ."""


class _Optimizer(ABC):
    """A rule, and what it remembers of each layer it has stepped.

    Copies and pickles have it, too. A layer that was copied or pickled along goes on with it, and so does one
    that comes by another way, such as a file of its own, if it is of the same class and has the same
    arguments and weights, to the bit. A copy goes on with the layers of the original as well.
    """

    def __init__(self, lr: float, shown: str) -> None:
        self._shown = shown
        self.lr = lr
        self._memory: WeakKeyDictionary[Network, Memory] = WeakKeyDictionary()
        # Layers that came along with a copy or a pickle, held until somebody steps them.
        self._waiting: list[Network] = []

    @abstractmethod
    def _make(self, lr: float) -> Rule:
        """The rule at a learning rate."""

    @property
    def lr(self) -> float:
        """Learning rate, a float of at least 0.

        It may be set between steps, as a schedule does; what the optimizer remembers stays. What is no
        finite number of at least 0 is a ValueError or TypeError, and the rate stays as it was.
        """
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        rate = as_real("lr", value)
        self._rule, self._lr = self._make(rate), rate

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._lr}, {self._shown})"

    def step(self, layer: Network, grads: Grads | ArrayLike) -> None:
        """Move a layer's weights one step against its gradients.

        Parameters
        ----------
        layer : GRU, LSTM, GRUCell, LSTMCell or Model
            Its moments are kept apart from other layers'.
        grads : Grads or array_like, (n,)
            Gradients lined up with ``layer.flat``.

        Raises
        ------
        ValueError, TypeError
            Gradients of another size or a wider dtype; nothing is changed.
        """
        if not isinstance(layer, Network):
            kind = type(layer).__name__
            msg = f"layer: expected a layer of gru_rs (GRU, LSTM, GRUCell, LSTMCell, Model), got {kind}"
            raise TypeError(msg)
        flat = as_array("grads", grads.flat if isinstance(grads, Grads) else grads, layer.dtype)
        expect_shape("grads", flat, (layer._names[-1][2],))
        self._rule.step(layer._core, flat, self._memory_of(layer))

    def _memory_of(self, layer: Network) -> Memory:
        """What is remembered of a layer."""
        if layer not in self._memory or self._waiting:
            known = (
                layer
                if layer in self._memory
                else next((one for one in self._waiting if _same(one, layer)), None)
            )
            self._waiting = [one for one in self._waiting if one is not known]
            if known is not None and known is not layer:
                self._memory[layer] = self._memory.pop(known)
        return self._memory.setdefault(layer, Memory())

    def _remembered(self, layer: Network) -> Moments | None:
        """What is remembered of a layer, to be kept elsewhere; None where no step was taken."""
        return self._memory_of(layer).state()

    def _remember(self, layer: Network, remembered: Moments) -> None:
        """Goes on with a layer from what `_remembered` gave."""
        self._memory[layer] = Memory(remembered)

    def _forget(self, layer: Network) -> None:
        """Begins anew with a layer."""
        self._memory[layer] = Memory()

    def _steps(self, layer: Network) -> int:
        """Steps that a layer has taken."""
        remembered = self._remembered(layer)
        return 0 if remembered is None else remembered[2]

    def __getstate__(self) -> dict[str, Any]:
        state = {
            name: value for name, value in vars(self).items() if name not in ("_rule", "_memory", "_waiting")
        }
        return state | {"memory": [(layer, memory.state()) for layer, memory in list(self._memory.items())]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        memory = state.pop("memory")
        vars(self).update(state)
        self.lr = self._lr
        self._memory = WeakKeyDictionary((layer, Memory(found)) for layer, found in memory)
        self._waiting = [layer for layer, _ in memory]

    def __copy__(self) -> Self:
        """One with moments of its own for the same layers."""
        other = type(self).__new__(type(self))
        other.__setstate__(self.__getstate__())
        other._waiting = []
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """One that goes on with the same layers, and with copies of them."""
        memo[id(self)] = other = type(self).__new__(type(self))
        state = self.__getstate__()
        memory = state.pop("memory")
        other.__setstate__(
            deepcopy(state, memo) | {"memory": [(deepcopy(layer, memo), own) for layer, own in memory]}
        )
        for layer, own in memory:
            other._memory[layer] = Memory(own)
        return other


def _same(one: Network, other: Network) -> bool:
    """Whether two layers differ in nothing that training goes on from."""
    if type(one) is not type(other) or (one._options, one.dtype) != (other._options, other.dtype):
        return False
    return one._flat_view.tobytes() == other._flat_view.tobytes()


class SGD(_Optimizer):
    """Stochastic gradient descent, as PyTorch's: ``g += λ w; v = μ v + g; w -= lr v``.

    Parameters
    ----------
    lr : float
        Learning rate.
    momentum : float, default 0.0
        μ
    nesterov : bool, default False
        Step along ``g + μ v``; needs momentum.
    weight_decay : float, default 0.0
        λ

    Examples
    --------
    >>> import gru_rs, numpy as np
    >>> gru = gru_rs.GRU(3, 8)
    >>> y, _, tape = gru.forward(np.ones((5, 2, 3), np.float32))
    >>> gru_rs.SGD(0.1, momentum=0.9).step(gru, tape.backward(y))
    """

    def __init__(
        self, lr: float, *, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0
    ) -> None:
        mu, ahead, decay = (
            as_real("momentum", momentum),
            as_flag("nesterov", nesterov),
            as_real("weight_decay", weight_decay),
        )
        self._numbers = mu, ahead, decay
        super().__init__(lr, f"momentum={mu}, nesterov={ahead}, weight_decay={decay}")

    def _make(self, lr: float) -> Rule:
        return Rule.sgd(lr, *self._numbers)


class Adam(_Optimizer):
    """Adam (Kingma and Ba, 2015), as PyTorch's; weight decay is part of the gradient.

    Parameters
    ----------
    lr : float, default 0.001
        Learning rate.
    betas : pair of float, default (0.9, 0.999)
        Decay of the mean and of the mean square.
    eps : float, default 1e-8
        Added to the root of the mean square.
    weight_decay : float, default 0.0
        λ

    Examples
    --------
    >>> import gru_rs, numpy as np
    >>> gru, adam = gru_rs.GRU(3, 8), gru_rs.Adam(0.01)
    >>> y, _, tape = gru.forward(np.ones((5, 2, 3), np.float32))
    >>> adam.step(gru, tape.backward(y))
    """

    _decoupled = False

    def __init__(
        self,
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        pair, small, decay = _betas(betas), as_real("eps", eps), as_real("weight_decay", weight_decay)
        self._numbers = pair, small, decay
        super().__init__(lr, f"betas={betas}, eps={small}, weight_decay={decay}")

    def _make(self, lr: float) -> Rule:
        return Rule.adam(lr, *self._numbers, self._decoupled)


class AdamW(Adam):
    """Adam with the weight decay apart from the gradient (Loshchilov and Hutter, 2019), as PyTorch's.

    Parameters
    ----------
    lr, betas, eps
        As for `Adam`.
    weight_decay : float, default 0.01
        Each step shrinks the weights by ``lr · weight_decay``.
    """

    _decoupled = True

    def __init__(
        self,
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(lr, betas=betas, eps=eps, weight_decay=weight_decay)


def _betas(value: Any) -> tuple[float, float]:
    if not isinstance(value, (tuple, list)):
        msg = f"betas: expected a pair (tuple) of numbers, got {shown(value)} ({type(value).__name__})"
        raise TypeError(msg)
    if len(value) != 2:
        msg = f"betas: expected a pair of 2 numbers, got {len(value)}"
        raise ValueError(msg)
    return as_real("betas", value[0]), as_real("betas", value[1])


def clip_grad_norm(gradients: Grads | Array, max_norm: float) -> float:
    """Shorten gradients in place if their Euclidean norm is larger (Pascanu et al., 2013), as PyTorch does.

    Parameters
    ----------
    gradients : Grads or ndarray, (n,)
        Of the parameters: what ``tape.backward`` or `Model.loss_and_grad` gives, or any array of float32 or
        float64 that is writeable and C-contiguous. If their norm is not finite they stay as they are.
    max_norm : float
        Largest norm, above 0.

    Returns
    -------
    float
        The norm that they had.

    Raises
    ------
    ValueError, TypeError
        An array that cannot be written in place, or a norm that is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> gradients = np.array([3.0, 4.0])
    >>> clip_grad_norm(gradients, 1.0)
    5.0
    >>> gradients.round(3).tolist()
    [0.6, 0.8]
    """
    flat = gradients.flat if isinstance(gradients, Grads) else gradients
    if not isinstance(flat, np.ndarray):
        kind = type(flat).__name__
        msg = f"gradients: expected Grads or an array, which is written in place, got {kind}"
        raise TypeError(msg)
    check_out("gradients", flat, (flat.size,), as_float_dtype(flat.dtype, "gradients").name)
    return clip_by_norm(flat, as_real("max_norm", max_norm))
