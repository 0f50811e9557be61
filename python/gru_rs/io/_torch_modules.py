"""The recurrent modules within a module of PyTorch: converted by what they compute, or refused."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ._found import Found, refusal
from ._torch_names import LAYERS, PARAMETERS, is_own, layer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._torch_names import Layer

_PLAIN, _QUANTIZED = "torch.nn.modules.rnn", "torch.ao.nn.quantized.dynamic.modules.rnn"
_KNOWN = (_PLAIN, _QUANTIZED, "gru_rs.torch", "torch.nn.modules.module")
"""Whose methods do what PyTorch's modules do."""
_HOOKS = {("torch.nn.utils.weight_norm", "WeightNorm"), ("torch.nn.utils.prune", "BasePruningMethod")}
"""They make a weight of others before each call, as it is made of them in a state dict."""


def modules_in(source: Any, given: Mapping[str, Any], name: str | None) -> Found[Layer]:
    """Each by its name; a module that has two names by the first, unless one is asked for."""
    found: dict[str, Callable[[], Layer]] = {}
    for own, module in source.named_modules(remove_duplicate=name is None):
        bases = _bases(module)
        kind = next(
            (word for room, word in bases if room in _KNOWN and (word in LAYERS or "RNN" in word)), None
        )
        if kind is None and any(is_own(parameter) for parameter, _ in module.named_parameters(recurse=False)):
            why: str | None = f"{bases[0][1]}, a class of its own"
        else:
            why = kind and _changed(module, kind)
        if why:
            msg = f"expected a module that computes what PyTorch's own does, got {why}"
            found[own] = refusal(f"{own}: {msg}" if own else msg)
        elif kind is not None:
            found[own] = partial(_converted, own, module, given)
    return found


def classes(program: Any) -> dict[str, str]:
    """The classes of an exported program's modules, by the modules' names."""
    stacks = [node.meta.get("nn_module_stack") or {} for node in program.graph.nodes]
    found = {(path.partition("@")[0], of) for stack in stacks for path, of in stack.values()}
    return {path: of if isinstance(of, str) else f"{of.__module__}.{of.__qualname__}" for path, of in found}


def _bases(module: Any) -> list[tuple[str, str]]:
    """Where its classes are, and their names; of a ScriptModule that which it was made of."""
    if hasattr(module, "original_name") and hasattr(module, "_c"):
        whole = str(module._c._type().qualified_name())
        parts = [part for part in whole.split(".") if not part.startswith("__")]
        return [(".".join(parts[:-1]), parts[-1])]
    return [(base.__module__, base.__name__) for base in type(module).__mro__]


def _changed(module: Any, kind: str) -> str | None:
    """What it does that PyTorch's own does not."""
    if kind not in LAYERS:
        return f"a plain {kind}" if type(module).__name__ == kind else f"{type(module).__name__}, an {kind}"
    if hasattr(module, "_c"):
        return None
    for method in ("forward", "__call__", "permute_hidden"):
        is_own_method = method in vars(module) or not getattr(
            type(module), method, len
        ).__module__.startswith((*_KNOWN, "builtins"))
        if is_own_method:
            return f"{type(module).__name__} with a {method} of its own; its state_dict() has the weights"
    hooks = [type(hook) for hook in module._forward_pre_hooks.values()]
    known = [any((base.__module__, base.__name__) in _HOOKS for base in hook.__mro__) for hook in hooks]
    if module._forward_hooks or not all(known):
        return f"{type(module).__name__} with hooks; its state_dict() has the weights"
    return None


def _converted(name: str, module: Any, given: Mapping[str, Any]) -> Layer:
    options = dict(given)
    if not any(word.endswith("Cell") for _, word in _bases(module)):
        if not hasattr(module, "batch_first"):
            if "batch_first" not in given:
                msg = "batch_first: expected True or False for a module that was traced, which does not say"
                raise ValueError(msg)
        else:
            dropout = float(module.dropout) if module.num_layers > 1 else 0.0
            options = {"batch_first": bool(module.batch_first), "dropout": dropout} | options
    return layer(name, _parameters(module), options)


def _parameters(module: Any) -> dict[str, Any]:
    """A module's weights, or what they are made of before each call."""
    if hasattr(module, "get_weight"):  # of quantize_dynamic
        found = module.get_weight() | module.get_bias()
        return {own: value for own, value in found.items() if value is not None}
    if hasattr(module, "_c"):
        return dict(module.named_parameters(recurse=False))
    names = getattr(module, "_flat_weights_names", None) or PARAMETERS
    kept = dict(module.named_parameters(recurse=False)) | dict(module.named_buffers(recurse=False))
    members: dict[str, Any] = {}
    for own in names:
        forms = {own + end: kept[own + end] for end in ("_g", "_v", "_orig", "_mask") if own + end in kept}
        # By attribute: what a parametrization makes is no parameter.
        members |= forms or {own: getattr(module, own)}
    return {own: value for own, value in members.items() if value is not None}
