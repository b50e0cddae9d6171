"""Elman's layers in the place of torch's, inside any model that exists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch.nn.utils import parametrize

from elman.errors import WeightProblem
from elman.nn.fused import why_not
from elman.nn.torch_cells import GRUCell, LSTMCell, RNNCell
from elman.nn.torch_layers import GRU, LSTM, RNN
from elman.nn.torch_own import DropIn

Module: TypeAlias = torch.nn.Module

OURS: dict[type[Module], type[Module]] = {
    getattr(torch.nn, ours.__name__): ours for ours in (RNN, LSTM, GRU, RNNCell, LSTMCell, GRUCell)
}
NAMES = ", ".join(torchs.__name__ for torchs in OURS)


@dataclass(frozen=True, repr=False)
class Accelerated:
    """What `elman.accelerate` did to a model; true where it swapped anything.

    `swapped` has the new class of each layer by its path in the model ("" is the model itself),
    `kept` has the recurrent layers left as they were, with the reason.
    """

    swapped: dict[str, type[Module]]
    kept: dict[str, str]

    def __bool__(self) -> bool:
        return bool(self.swapped)

    def __len__(self) -> int:
        return len(self.swapped)

    def __str__(self) -> str:
        if not self.swapped and not self.kept:
            return f"nothing swapped: none of torch.nn's {NAMES} in the model"
        rows = {path: f"now elman.nn.{ours.__name__}" for path, ours in self.swapped.items()}
        rows |= {path: f"kept: {reason}" for path, reason in self.kept.items()}
        rows = {path or "(the model itself)": words for path, words in rows.items()}
        width = max(map(len, rows))
        lines = [f"{len(self.swapped) or 'nothing'} swapped, {len(self.kept) or 'nothing'} kept"]
        return "\n".join([*lines, *(f"  {path:<{width}}  {words}" for path, words in rows.items())])

    __repr__ = __str__


def accelerate(model: Module) -> Accelerated:
    """Put Elman's classes in the place of torch's RNN, LSTM, GRU and their cells in a model.

    >>> import torch
    >>> model = torch.nn.ModuleDict({"words": torch.nn.Embedding(9, 3), "rnn": torch.nn.GRU(3, 5)})
    >>> print(accelerate(model))
    1 swapped, nothing kept
      rnn  now elman.nn.GRU

    The layers stay the same objects, with the same parameters, names, hooks and state_dict, so that
    optimizers and checkpoints go on; only their class is another. Subclasses of torch's, compiled
    or quantized layers, and those that the kernels cannot serve where they are (on a GPU, in
    float16) are kept; the report that comes back says which, and why.

    Errors: WeightProblem E556 for what is no module.
    """
    if not isinstance(model, torch.nn.Module):
        raise _not_a_module(model)
    swapped, kept = {}, {}
    for path, module in model.named_modules():
        reason = _why_kept(module)
        if reason is not None:
            kept[path] = reason
        elif _torchs(module) in OURS:
            swapped[path] = _swap(module)
    return Accelerated(swapped, kept)


def _torchs(module: Module) -> type[Module]:
    """The class of a module, beneath the one that a parametrization makes for it alone."""
    found: type[Module] = parametrize.type_before_parametrizations(module)
    return found


def _swap(module: Module) -> type[Module]:
    """Give a module of torch's Elman's class, beneath its parametrizations; that class."""
    own, ours = type(module), OURS[_torchs(module)]
    if own in OURS:
        module.__class__ = ours
    else:  # anew, as the copies of a module share the class that a parametrization makes
        parts = {k: v for k, v in vars(own).items() if k not in ("__dict__", "__weakref__")}
        module.__class__ = type(own.__name__, (ours,), parts)
    return ours


def _why_kept(module: Module) -> str | None:
    """Why a recurrent layer is left as it is; None for one to swap, and for other modules."""
    own = _torchs(module)
    is_scripted = isinstance(module, torch.jit.ScriptModule)
    name = module.original_name if is_scripted else own.__name__
    is_one_of_torchs = name in {torchs.__name__ for torchs in OURS}
    if isinstance(module, DropIn):
        return "Elman's already"
    if is_scripted:
        return "compiled by torch.jit.script: accelerate first" if is_one_of_torchs else None
    if own.__module__.startswith("torch.ao."):
        return "quantized" if is_one_of_torchs else None
    if own not in OURS:
        base = next((torchs for torchs in OURS if isinstance(module, torchs)), None)
        if base is None:
            return None
        return f"a class of its own: derive {name} from elman.nn.{base.__name__}"
    if "forward" in vars(module):
        return "its forward is replaced on the object itself"
    weights = tuple(module.parameters())
    return None if all(weight.is_meta for weight in weights) else why_not(weights)


def _not_a_module(given: object) -> WeightProblem:
    if isinstance(given, type):
        fix = f"Make the model first: accelerate({given.__name__}(...))."
    else:
        fix = "Pass the model itself, a torch.nn.Module, as in elman.accelerate(model)."
    kind = f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
    return WeightProblem(
        "E556", f"accelerate was given {kind}, which is no module of torch's", fix=fix
    )
