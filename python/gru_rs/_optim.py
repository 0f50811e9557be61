"""SGD, Adam and AdamW over the flat parameters of layers and cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from ._arrays import as_array, as_float_dtype, check_out, expect_shape
from ._checks import as_flag, as_real, shown
from ._core import Memory, Rule, clip_by_norm
from ._gradients import Grads
from ._parameters import Network

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from ._arrays import Array


class _Optimizer:
    """A rule, and what it remembers of each layer it has stepped."""

    def __init__(self, lr: float, make: Callable[[float], Rule], shown: str) -> None:
        self._make, self._shown = make, shown
        self.lr = lr
        self._memory: WeakKeyDictionary[Network, Memory] = WeakKeyDictionary()

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
        self._rule.step(layer._core, flat, self._memory.setdefault(layer, Memory()))


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
        shown = f"momentum={mu}, nesterov={ahead}, weight_decay={decay}"
        super().__init__(lr, lambda rate: Rule.sgd(rate, mu, ahead, decay), shown)


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
        shown = f"betas={betas}, eps={small}, weight_decay={decay}"
        super().__init__(lr, lambda rate: Rule.adam(rate, pair, small, decay, self._decoupled), shown)


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
