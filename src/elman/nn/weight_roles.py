"""The weights of a model's recurrent layers by their roles, read off the layers' equations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from elman.cell import Cell
from elman.errors import WeightProblem
from elman.ir.sizes import names, number
from elman.nn.given import as_cell
from elman.nn.recurrent import Recurrent
from elman.nn.stack import size_of_main
from elman.nn.torch_stacks import KINDS, WEIGHTS, equations
from elman.passes.roles import Role, kinds_of, roles_of

LAYERS = (Recurrent, torch.nn.RNNBase, torch.nn.RNNCellBase)
PROJECTION = Role("read out")


class Table(dict[str, Any]):
    """What is said of each weight by its name; shows itself as a table."""

    def __repr__(self) -> str:
        rows = [
            (name, *((said,) if isinstance(said, str) else said)) for name, said in self.items()
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = (
            "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
            for row in rows
        )
        return "\n".join(line.rstrip() for line in lines)


@dataclass(frozen=True, eq=False)
class Part:
    """A weight of a layer, or the gate or the columns of it that have one role."""

    module: torch.nn.Module
    path: str  # of the module in the model, with a point at its end
    name: str
    place: str  # the layer and direction: `_l0`, `_l0_reverse`
    role: Role
    label: str = ""  # the gate, or the slice
    cut: tuple[int, int, int] | None = None  # axis, start, length

    @property
    def is_bias(self) -> bool:
        return self.role.kind.endswith("bias")

    def of(self, weight: torch.Tensor) -> torch.Tensor:
        """This part of the weight."""
        return weight if self.cut is None else weight.narrow(*self.cut)


def roles(of: torch.nn.Module | Cell | str) -> Table:
    """What each weight is for, as the equations have it: what `initialize` goes by.

    >>> from elman.library import cells
    >>> roles(cells["minimal_rnn"])
    W_z  input
    b_z  bias
    U_h  recurrent
    U_z  input
    b_u  forget bias
    >>> roles(torch.nn.GRU(3, 5))
    weight_ih_l0      input
    weight_hh_l0      recurrent
    bias_ih_l0[r, n]  bias
    bias_ih_l0[z]     forget bias
    bias_hh_l0[r, n]  bias
    bias_hh_l0[z]     forget bias

    `of` is a cell, its equations, or a module with recurrent layers of Elman's or torch's in it.
    Errors: WeightProblem E553 where a module has no such layer.
    """
    if isinstance(of, torch.nn.Module):
        return tabled((part, part.role.kind) for part in parts_of(of))
    return Table(kinds_of(as_cell(of).typed.cell))


def tabled(said: Iterable[tuple[Part, Any]]) -> Table:
    """What is said of parts, by the names of the weights; of all gates alike in one row."""
    weights: dict[str, dict[Any, list[str]]] = {}
    for part, value in said:
        weights.setdefault(part.path + part.name, {}).setdefault(value, []).append(part.label)
    made = Table()
    for name, rows in weights.items():
        for value, labels in rows.items():
            made[name if len(rows) == 1 else f"{name}[{', '.join(labels)}]"] = value
    return made


def layers_of(model: torch.nn.Module) -> list[tuple[str, torch.nn.Module]]:
    """The recurrent layers of a model, each with the beginning of its weights' names."""
    modules = model.named_modules() if isinstance(model, torch.nn.Module) else ()
    found = [
        (f"{path}." if path else "", module)
        for path, module in modules
        if isinstance(module, LAYERS)
    ]
    if not found:
        raise WeightProblem(
            "E553",
            f"{type(model).__name__} has no recurrent layer",
            rule="Roles are known of the weights of Elman's layers and of torch's RNN, LSTM and "
            "GRU and their cells.",
            fix="Pass the model that contains them.",
        )
    return found


def parts_of(model: torch.nn.Module) -> list[Part]:
    """Every weight of the recurrent layers of a model, layer upon layer, cut by roles."""
    found: list[Part] = []
    for path, module in layers_of(model):
        made = _recurrent(module) if isinstance(module, Recurrent) else _stacked(module)
        found += [replace(part, path=path) for part in made]
    return found


def _recurrent(layer: Recurrent) -> Iterator[Part]:
    """A parameter for every name of the equations, layer and direction: `W_z_l0_reverse`."""
    for k, cell in enumerate(layer.unmasked):
        found = roles_of(cell.typed.cell)
        for place in (f"_l{k}", f"_l{k}_reverse"):
            weights = {n: w for n in found if (w := getattr(layer, n + place, None)) is not None}
            known = dict(layer.sizes) | ({} if k else {size_of_main(cell): layer.input_size})
            sizes = _sizes(cell, weights, known)
            for name in weights:
                for role in found[name]:
                    label, cut = "", None
                    if role.cut is not None:
                        axis, start, length = role.cut
                        cut = axis, number(start, sizes), number(length, sizes)
                        label = ":, " * axis + f"{cut[1]}:{cut[1] + cut[2]}"
                    yield Part(layer, "", name + place, place, role, label, cut)


def _sizes(
    cell: Cell, weights: Mapping[str, torch.Tensor], known: Mapping[str, int]
) -> dict[str, int]:
    """The numbers of the size names, from the weights; `hidden+input` once one of them is known."""
    axes = [
        (size, length)
        for name, weight in weights.items()
        for size, length in zip(cell.typed.shape(name), weight.shape, strict=True)
    ]
    sizes = dict(known)
    for _ in axes:
        before = len(sizes)
        for size, length in axes:
            unknown = [name for name in names(size) if name not in sizes]
            if len(unknown) == 1:
                rest = number(size, sizes | {unknown[0]: 0})
                sizes[unknown[0]] = length - rest
        if len(sizes) == before:
            break
    return sizes


def _stacked(layer: torch.nn.Module) -> Iterator[Part]:
    """torch's weights, which hold the gates one under the other."""
    kind, places = _kind(layer)
    _, gates, _ = KINDS[kind]
    found = roles_of(equations(kind, True).typed.cell)
    for place in places:
        for stacked, letter in WEIGHTS.items():
            weight = getattr(layer, stacked + place, None)
            if weight is None:
                continue
            rows = weight.shape[0] // len(gates)
            for k, gate in enumerate(gates):
                cut = None if len(gates) == 1 else (0, k * rows, rows)
                (role,) = found[letter + gate]
                yield Part(layer, "", stacked + place, place, role, gate, cut)
        if getattr(layer, "weight_hr" + place, None) is not None:
            yield Part(layer, "", "weight_hr" + place, place, PROJECTION)


def _kind(layer: Any) -> tuple[str, list[str]]:
    """torch's name of the kind, and the ends of the names of the weights."""
    if isinstance(layer, torch.nn.RNNBase):
        directions = ("", "_reverse") if layer.bidirectional else ("",)
        return layer.mode, [f"_l{k}{way}" for k in range(layer.num_layers) for way in directions]
    if isinstance(layer, torch.nn.RNNCell):
        return f"RNN_{layer.nonlinearity.upper()}", [""]
    return "LSTM" if isinstance(layer, torch.nn.LSTMCell) else "GRU", [""]
