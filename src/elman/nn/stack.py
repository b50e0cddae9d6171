"""The sizes of a stack: what input_size and hidden_size are in a cell, layer after layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from elman.cell import Cell
from elman.errors import ShapeProblem
from elman.ir.sizes import number

Sizes = Mapping[str, int]


def main_input(cell: Cell) -> str | None:
    """The input that a layer's `x` is: varies over time and batch, is no scalar, is called x."""
    wide = [name for name in cell.inputs if cell.typed.shape(name)]
    wide.sort(key=lambda name: (cell.typed.over[name] != "tb", name != "x"))
    return wide[0] if wide else next(iter(cell.inputs), None)


def size_of_main(cell: Cell) -> str:
    """The name of the size that input_size sets."""
    main = main_input(cell)
    shape = cell.typed.shape(main) if main else ()
    return shape[0] if shape else "input"


def each_layer(what: str, given: Any, num_layers: int) -> list[Any]:
    """What is given for every layer, or a list with something for each; ShapeProblem E208."""
    if not isinstance(given, list | tuple):
        return [given] * num_layers
    if len(given) != num_layers:
        raise ShapeProblem(
            "E208",
            f"{what} is a list of {len(given)}, and there are {num_layers} layers",
            rule="A list has something for each layer.",
            fix=f"Pass {num_layers} of them, or one for all layers.",
        )
    return list(given)


def count_layers(num_layers: int, **given: object) -> int:
    """The number of layers, which a list says where num_layers does not; ShapeProblem E208."""
    listed = {name: len(each) for name, each in given.items() if isinstance(each, list | tuple)}
    for name, count in listed.items():
        if not count:
            rule = "A list has something for each layer."
            fix = "Pass one of them for each layer, or one for all without a list."
            raise ShapeProblem("E208", f"{name} is an empty list", rule=rule, fix=fix)
    return next(iter(listed.values())) if num_layers == 1 and listed else num_layers


def plan_sizes(
    cells: Sequence[Cell],
    input_size: int,
    hidden_sizes: Sequence[int],
    given: Sizes,
    directions: int = 1,
) -> tuple[list[Sizes], list[int]]:
    """The number of every size in each layer, and what each layer reads; last, what comes out.

    Errors: ShapeProblem E203 (two numbers for one size), E209 (a layer that cannot be stacked).
    """
    layers: list[Sizes] = []
    widths = [input_size]
    for k, (cell, hidden) in enumerate(zip(cells, hidden_sizes, strict=True)):
        is_last = k + 1 == len(cells)
        named = _named(cell, widths[-1], hidden, is_first=not k)
        own = _own(cell, cells, given)
        for name, value in own.items():
            if named.get(name, value) != value:
                raise ShapeProblem(
                    "E203",
                    f"{name} is {named[name]} in the layer and {value} in sizes",
                    fix=f"Leave {name} out of sizes.",
                )
        layers.append(cell.numbers({**named, **own}, by={size_of_main(cell): "input_size"}))
        shape = cell.typed.shape(cell.returns[0])
        if not is_last and len(shape) != 1:
            raise ShapeProblem(
                "E209",
                f"{cell.returns[0]} is no vector, so that no layer can read it",
                rule="A layer reads what the one below returns first.",
                fix="Pass num_layers=1.",
            )
        widths.append(directions * number(shape[0], layers[-1]) if shape else 1)
    return layers, widths


def _own(cell: Cell, cells: Sequence[Cell], given: Sizes) -> Sizes:
    """Of the given sizes those that a cell has, and those that none has, which it then refuses."""
    known = {name for each in cells for name in each.typed.aliases}
    return {n: v for n, v in given.items() if n in cell.typed.aliases or n not in known}


def _named(cell: Cell, width: int, hidden: int, *, is_first: bool) -> dict[str, int]:
    """The sizes that input_size and hidden_size stand for in this cell."""
    named = {"hidden": hidden} if "hidden" in cell.typed.aliases else {}
    main, size = main_input(cell), size_of_main(cell)
    if main is None:
        return named
    if not cell.typed.shape(main):
        _check_number(main, width, is_first)
        return named
    if size.isdigit():
        if int(size) != width:
            raise ShapeProblem(
                "E203",
                f"{main} has {size} values in the equations, and input_size is {width}",
                fix=f"Pass input_size={size}.",
            )
        return named
    if named.get(size, width) != width:
        raise ShapeProblem(
            "E203",
            f"the cell needs {main} and its state to have one size, not {width} and {hidden}",
            rule="They are added or multiplied elementwise in the equations.",
            fix=f"Pass input_size={hidden}.",
        )
    return {**named, size: width}


def _check_number(main: str, width: int, is_first: bool) -> None:
    """An input that is a number at each step has the size 1, and reads no layer."""
    if not is_first:
        raise ShapeProblem(
            "E209",
            f"{main} is a number in the equations, so that it can read no layer",
            rule="A layer reads what the one below returns first, a vector.",
            fix="Pass num_layers=1.",
        )
    if width != 1:
        raise ShapeProblem(
            "E203",
            f"{main} is a number in the equations, and input_size is {width}",
            fix="Pass input_size=1.",
        )
