"""The states of a stack by name: (layers * directions, B, size), or layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import torch

from elman.errors import NameProblem, ShapeProblem, nearest
from elman.nn.given import Shape, check_dtype, check_tensor, way_to

Tensor: TypeAlias = torch.Tensor
Rows: TypeAlias = list[dict[str, Tensor]]  # for each direction of each layer


@dataclass(frozen=True)
class States:
    """What the states of a stack look like.

    One tensor (layers * directions, B, size) holds a state that every layer has in one size; of
    others there is a tuple, for each layer (directions, B, size), or None where it has none: within
    torch.func, which knows tensors alone, (directions, B, 0).
    """

    tails: Mapping[str, Sequence[Shape | None]]  # by layer, what stands behind the batch
    remembered: tuple[str, ...]  # what a state may hold beside them, a number for each sequence
    layers: int
    directions: int

    def __post_init__(self) -> None:
        _ = self.parted  # found here, as torch.compile cannot look into a cached property

    @cached_property
    def parted(self) -> frozenset[str]:
        """The states that have a tensor for each layer."""
        each = self.tails.items()
        return frozenset(name for name, tails in each if None in tails or len({*tails}) != 1)

    def is_whole(self, name: str) -> bool:
        """Whether one tensor holds a state of all layers."""
        return name not in self.parted

    def tail(self, name: str, layer: int = 0) -> Shape:
        """What stands behind the batch; nothing of what is remembered, or in a layer without it."""
        return (self.tails[name][layer] if name in self.tails else None) or ()

    def shape(self, name: str, batch: tuple[int, ...], layer: int | None = None) -> Shape:
        """That of a state of all layers, or of one."""
        count = self.directions * (1 if layer is not None else self.layers)
        return (count, *batch, *self.tail(name, layer or 0))

    @property
    def ragged(self) -> dict[str, int]:
        """The states that have a tensor for each layer, and for how many layers."""
        return {name: len(tails) for name, tails in self.tails.items() if not self.is_whole(name)}

    def shapes(self) -> dict[str, Shape]:
        """Of each state, without the batch; "h.1" is that of a layer of its own."""
        found = {}
        for name, tails in self.tails.items():
            if self.is_whole(name):
                found[name] = self.shape(name, ())
                continue
            own = {f"{name}.{k}": k for k, tail in enumerate(tails) if tail is not None}
            found |= {key: self.shape(name, (), k) for key, k in own.items()}
        return found

    def count(self, state: object) -> int | None:
        """How many sequences a state holds; None without a batch."""
        if not isinstance(state, Mapping):
            return None
        for name, given in state.items():
            for k, tensor in enumerate(given if isinstance(given, tuple | list) else (given,)):
                tail = self.tail(name, min(k, self.layers - 1))
                if isinstance(tensor, torch.Tensor) and tensor.dim() == 2 + len(tail):
                    return int(tensor.shape[1])
        return None

    def checked(
        self, state: Any, rows: int, batched: bool, dtype: torch.dtype | None
    ) -> dict[str, Any]:
        """The states given, each with an axis for the batch.

        Errors: NameProblem E406, ShapeProblem E213, WeightProblem E504 and E505.
        """
        if not isinstance(state, Mapping):
            first = next(iter(self.tails), None)
            fix = f'As in {{"{first}": ...}}.' if first else None
            raise NameProblem("E406", "states are given by name, as a dict", fix=fix)
        batch, found = (rows,) if batched else (), {}
        for name, given in state.items():
            self._check_name(name)
            if self.is_whole(name):
                self._check(name, given, self.shape(name, batch), dtype)
                found[name] = given if batched else given.unsqueeze(1)
            else:
                found[name] = self._by_layer(name, given, batch, dtype)
        return found

    def _check_name(self, name: str) -> None:
        if name not in self.tails and name not in self.remembered:
            raise NameProblem(
                "E406",
                f"the cell has no state {name}",
                rule=f"Its states are {', '.join(self.tails)}.",
                fix=nearest(name, self.tails) or None,
            )

    def _by_layer(
        self, name: str, given: Any, batch: tuple[int, ...], dtype: torch.dtype | None
    ) -> tuple[Tensor | None, ...]:
        tails = self.tails[name]
        if not isinstance(given, tuple | list) or len(given) != len(tails):
            raise ShapeProblem(
                "E213",
                f"the state {name} has not one size in all layers, and is given as one tensor"
                if isinstance(given, torch.Tensor)
                else f"the state {name} is no tuple of {len(tails)}",
                rule=f"It is a tuple of {len(tails)}, (directions, B, size) for each layer.",
                fix="None stands for a layer without the state.",
            )
        found: list[Tensor | None] = []
        for k, (tail, tensor) in enumerate(zip(tails, given, strict=True)):
            if tail is None or tensor is None:
                found.append(None)
                continue
            self._check(name, tensor, self.shape(name, batch, k), dtype, k)
            found.append(tensor if batch else tensor.unsqueeze(1))
        return tuple(found)

    def _check(
        self,
        name: str,
        tensor: Any,
        shape: Shape,
        dtype: torch.dtype | None,
        layer: int | None = None,
    ) -> None:
        called = f"the state {name}"
        check_tensor(called, tensor)
        if name not in self.remembered:  # what is counted beside the states keeps its own
            check_dtype(called, tensor, dtype)
        if tuple(tensor.shape) != shape:
            first = "directions" if layer is not None else "num_layers"
            first += " * 2" if layer is None and self.directions == 2 else ""
            where = "" if layer is None else f" of layer {layer}"
            has_batch = len(shape) > 1 + len(self.tail(name, layer or 0))
            raise ShapeProblem(
                "E213",
                f"{called}{where} is {tuple(tensor.shape)}, and the layer needs {shape}",
                rule=f"({first}, B, size)." if has_batch else f"({first}, size) without a batch.",
                fix=way_to(f'state["{name}"]', tuple(tensor.shape), shape)
                or f"Leave {name} out of the state to begin anew.",
            )

    def rows(self, checked: Mapping[str, Any]) -> Rows:
        """The states, (1, B, size) for every direction of every layer."""
        found: Rows = [{} for _ in range(self.layers * self.directions)]
        for name, given in checked.items():
            each = (
                _each(given)
                if isinstance(given, torch.Tensor)
                else _unbound(given, self.directions)
            )
            for row, tensor in zip(found, each, strict=True):
                if tensor is not None:
                    row[name] = tensor
        return found

    def joined(self, rows: Sequence[Mapping[str, Tensor]]) -> dict[str, Any]:
        """The inverse of `rows`."""
        found: dict[str, Any] = {}
        for name in dict.fromkeys(name for row in rows for name in row):
            if self.is_whole(name):
                found[name] = _whole([row[name] for row in rows])
                continue
            own = [rows[k : k + self.directions] for k in range(0, len(rows), self.directions)]
            like = next(row[name] for row in rows if name in row)
            found[name] = tuple(
                _whole([row[name] for row in layer]) if name in layer[0] else self._none(like)
                for layer in own
            )
        return found

    def _none(self, like: Tensor) -> Tensor | None:
        """The state of a layer that has none."""
        if not torch._C._are_functorch_transforms_active():
            return None
        return like.new_empty((self.directions, like.shape[1], 0))


def without_batch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The states of one sequence, as it is given them."""
    return {
        name: tuple(None if t is None else t.squeeze(1) for t in given)
        if isinstance(given, tuple)
        else given.squeeze(1)
        for name, given in state.items()
    }


def _unbound(layers: Sequence[Tensor | None], directions: int) -> list[Tensor | None]:
    """A tensor for each direction of each layer."""
    found: list[Tensor | None] = []
    for layer in layers:
        found += [None] * directions if layer is None else _each(layer)
    return found


def _each(whole: Tensor) -> Sequence[Tensor]:
    """A tensor (1, ...) of each of several."""
    return whole.split(1) if len(whole) > 1 else (whole,)


def _whole(each: Sequence[Tensor]) -> Tensor:
    return torch.cat(each) if len(each) > 1 else each[0]  # type: ignore[arg-type]
