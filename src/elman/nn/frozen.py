"""Layers that are frozen for inference: their weights are packed for the kernels once."""

from __future__ import annotations

import contextlib
import math
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import is_
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from elman.backends.c_frozen import packed_weights
from elman.backends.interpret import USER
from elman.errors import WeightProblem
from elman.nn.layers import Stack, Tensor, Tensors

if TYPE_CHECKING:
    from elman.nn.kernels import StackKernels

Addresses: TypeAlias = Sequence[int]


class CanFreeze(torch.nn.Module):
    """What lets a layer be frozen."""

    _frozen: Frozen | None = None

    def freeze(self) -> Self:
        """Pack the weights for the kernels once, not with every call; the layer itself.

        >>> import torch
        >>> from elman.nn import Recurrent
        >>> layer = Recurrent("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)", 3, 5).freeze()
        >>> layer.is_frozen, layer.training, layer.U_l0.requires_grad
        (True, False, False)
        >>> layer.train().is_frozen, layer.U_l0.requires_grad
        (False, True)

        A frozen layer is in evaluation, and its parameters require no gradient; inputs may. What
        else changes the weights and torch notices (`load_state_dict`, `to`, an optimizer, whatever
        is done in place) is packed anew with the next call. What torch cannot notice is not: an
        edit of `weight.data` in place, or of memory that it shares with NumPy. Call `unfreeze` and
        `freeze` again behind it. `train()` and `unfreeze()` end it. A copy is frozen too, with
        packed weights of its own.

        Errors: WeightProblem E544 where a weight is computed from others.
        """
        if self._frozen is None:
            self._check_weights()
            self._frozen = Frozen(name for name, p in self._parameters.items() if _is_learned(p))
            for name in self._frozen.learned:
                self._parameters[name].requires_grad_(False)  # type: ignore[union-attr]
            self.eval()
            self._pack(self._frozen)
        return self

    def unfreeze(self) -> Self:
        """End it: what required a gradient requires it again. The layer itself."""
        if self._frozen is not None:
            for name in self._frozen.learned:
                parameter = self._parameters.get(name)
                if parameter is not None:
                    parameter.requires_grad_(True)
            self._frozen = None
        return self

    @property
    def is_frozen(self) -> bool:
        """Whether the weights are packed once."""
        return self._frozen is not None

    def train(self, mode: bool = True) -> Self:
        """As of every module; to learn, a frozen layer is one no longer."""
        if mode:
            self.unfreeze()
        return super().train(mode)

    def _apply(self, *given: Any, **named: Any) -> Any:
        if self._frozen is not None:
            self._frozen.forget()  # the weights are about to move
        return super()._apply(*given, **named)  # type: ignore[no-untyped-call]

    def _has_weights(self) -> bool:
        """Whether all weights are parameters or buffers of the layer."""
        known = self._parameters.keys() | self._buffers.keys()
        return known.issuperset(self._weight_names())

    def _check_weights(self) -> None:
        """E544 where a weight is no parameter or buffer of the layer."""
        for name in self._weight_names():
            if name not in self._parameters and name not in self._buffers:
                remove = "torch.nn.utils.parametrize.remove_parametrizations"
                raise WeightProblem(
                    "E544",
                    f"{name} is computed from other weights with every call",
                    rule="A frozen layer packs the weights that it has, once.",
                    fix=f"Remove the parametrization first, as in {remove}(layer, {name!r}).",
                )

    def _weight_names(self) -> Iterable[str]:
        """The names under which the layer has its weights."""
        raise NotImplementedError

    def _pack(self, frozen: Frozen) -> None:
        """Pack now what the calls to come read, where the kernels can serve."""


def _is_learned(parameter: Tensor | None) -> bool:
    return parameter is not None and parameter.requires_grad


@contextlib.contextmanager
def packed_once(module: torch.nn.Module) -> Iterator[None]:
    """All layers within a module pack their weights once for what runs meanwhile."""
    layers = [each for each in module.modules() if isinstance(each, CanFreeze)]
    layers = [each for each in layers if each._frozen is None and each._has_weights()]
    for layer in layers:
        layer._frozen = Frozen()
    try:
        yield
    finally:
        for layer in layers:
            layer._frozen = None


class Frozen:
    """The packed weights of a layer, for each of its kernels; packed anew where they changed."""

    def __init__(self, learned: Iterable[str] = ()) -> None:
        self.learned = tuple(learned)
        self._held: dict[StackKernels, Held] = {}
        self._made: tuple[list[Tensor], list[int], Any] | None = None
        _watch(self)

    def held(self, kernels: StackKernels, given: Tensors, addresses: Addresses) -> Held | None:
        """The weights among these tensors, packed; None where nobody could see them change.

        Whoever runs a kernel on them holds the result meanwhile: another thread may pack anew.
        """
        found = self._held.get(kernels)
        if found is None or not found.is_true(given, addresses):
            found = self._held[kernels] = Held(kernels, given, addresses)
        return found if found.is_watched else None

    def made_of(self, sources: list[Tensor], make: Callable[[], Any]) -> Any:
        """What is made of these tensors: once, as long as they are the same and where they were."""
        places = [tensor.data_ptr() for tensor in sources]
        made = self._made
        if made is None or made[1] != places or not all(map(is_, made[0], sources)):
            # tensors that watch those they are parts of, and need no gradient
            with torch.inference_mode(False), torch.no_grad():
                made = self._made = sources, places, make()
        return made[2]

    def forget(self) -> None:
        """Whatever is packed is packed anew before it is used again."""
        self._held, self._made = {}, None

    def forget_these(self, changed: set[int]) -> None:
        """The same, if one of the tensors with these ids is among the weights."""
        known = [t for held in self._held.values() for _, t, *_ in held.sources]
        known += [] if self._made is None else self._made[0]
        if any(id(t) in changed for t in known):
            self.forget()

    def __reduce__(self) -> tuple[type[Frozen], tuple[tuple[str, ...]]]:
        return Frozen, (self.learned,)  # a copy packs its own weights


class Held:
    """Weights packed for kernels, and how the tensors were that they were packed from."""

    def __init__(self, kernels: StackKernels, given: Tensors, addresses: Addresses) -> None:
        weights = {k: given[k] for k in _weights(kernels.stack)}
        self.is_watched = all(map(_is_watched, weights.values()))
        self.sources: list[tuple[int, Any, int, int]] = []
        self.packed: list[int] = []
        if self.is_watched:
            tensors = [(k, tensor) for k, tensor in weights.items() if tensor is not None]
            self.sources = [(k, t, t._version, addresses[k]) for k, t in tensors]
            # held, so that no other tensor ever gets their addresses
            self._storages = [tensor.untyped_storage() for _, tensor in tensors]
            self._arrays = pack_layers(kernels, addresses)
            self.packed = starts(self._arrays)

    def is_true(self, given: Tensors, addresses: Addresses) -> bool:
        """Whether the tensors given are still those, and nothing was written to them."""
        for k, tensor, version, address in self.sources:
            now = given[k]
            if now is None or now is not tensor or now._version != version:
                return False
            if addresses[k] != address:
                return False
        return self.is_watched


def _is_watched(tensor: Tensor | None) -> bool:
    """Whether torch counts what is written to a tensor: to its own memory, in this process."""
    if tensor is None or tensor.is_inference() or tensor.is_shared():
        return False
    return tensor.is_contiguous()


def _weights(stack: Stack) -> list[int]:
    """Which of the tensors given to a stack are weights."""
    found: dict[int, None] = {}
    for layer, places in zip(stack.layers, stack.places, strict=True):
        fixed = {n.attr.name for n in layer.cell.leaves if not n.over}
        found |= {place.given: None for name, place in places.items() if name in fixed}
    return list(found)


def starts(arrays: Sequence[Any]) -> list[int]:
    """Where packed weights lie; who runs a kernel on them holds the arrays meanwhile."""
    return [array.ctypes.data for array in arrays]


def pack_layers(kernels: StackKernels, addresses: Addresses) -> list[Any]:
    """The weights at these addresses as the forward kernels read them, layer by layer."""
    return [
        packed_weights(layer.forward, layer.numbers[0], _places(kernels, k, addresses, 0))
        for k, layer in enumerate(kernels.layers)
    ]


def pack_back(kernels: StackKernels, addresses: Addresses) -> list[Any] | None:
    """The same for the backward kernels; None where they read more than the weights to pack."""
    given = [b for layer in kernels.layers for b in layer.backward.buffers if b.role == "given"]
    if not all("t" in buffer.over for buffer in given):
        return None
    return [
        packed_weights(layer.backward, layer.numbers[1], _places(kernels, k, addresses, 1))
        for k, layer in enumerate(kernels.layers)
    ]


def _places(kernels: StackKernels, k: int, addresses: Addresses, back: int) -> list[int]:
    """The addresses of the weights of layer `k` as a kernel takes them; else 0."""
    layer, places = kernels.layers[k], kernels.stack.places[k]
    found = []
    for role, name in (layer.forward, layer.backward)[back].keys:
        place = places.get(name) if role in USER else None
        row = 0 if place is None else place.row or 0
        width = math.prod(layer.layer.tails[name][1:]) if row else 0
        found.append(0 if place is None else addresses[place.given] + row * width * layer.itemsize)
    return found


# An optimizer may write to parameters without counting it (`fused=True`), so it is asked.
_frozen: weakref.WeakSet[Frozen] = weakref.WeakSet()
_hooks: list[Any] = []


def _watch(frozen: Frozen) -> None:
    _frozen.add(frozen)
    if not _hooks:
        _hooks.append(register_optimizer_step_post_hook(_stepped))


def _stepped(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    if _frozen:
        changed = {id(p) for group in optimizer.param_groups for p in group["params"]}
        for frozen in tuple(_frozen):
            frozen.forget_these(changed)
