"""The sizes of a stack: what input_size and hidden_size are in a cell, layer after layer."""

from __future__ import annotations

from collections.abc import Mapping

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


def plan_sizes(
    cell: Cell, input_size: int, hidden_size: int, num_layers: int, given: Sizes
) -> tuple[list[Sizes], int]:
    """The number of every size in each layer, and the size of the output of the last.

    Errors: ShapeProblem E203 (two numbers for one size), E209 (a layer that cannot be stacked).
    """
    layers: list[Sizes] = []
    width = input_size
    output = cell.returns[0]
    shape = cell.typed.shape(output)
    for _ in range(num_layers):
        named = _named(cell, width, hidden_size, num_layers)
        for name, value in given.items():
            if named.get(name, value) != value:
                raise ShapeProblem(
                    "E203", f"{name} is {named[name]} in the layer and {value} in sizes"
                )
        layers.append(cell.numbers({**named, **given}, by={size_of_main(cell): "input_size"}))
        if len(shape) != 1 and num_layers > 1:
            raise ShapeProblem(
                "E209",
                f"{output} is no vector, so that no layer can read it",
                rule="Stack one layer.",
            )
        width = number(shape[0], layers[-1]) if shape else 1
    _check_states(cell, layers)
    return layers, width


def _named(cell: Cell, width: int, hidden: int, num_layers: int) -> dict[str, int]:
    """The sizes that input_size and hidden_size stand for in this cell."""
    named = {"hidden": hidden} if "hidden" in cell.typed.aliases else {}
    main, size = main_input(cell), size_of_main(cell)
    if main is None:
        return named
    if not cell.typed.shape(main):
        _check_number(main, width, num_layers)
        return named
    if size.isdigit():
        if int(size) != width:
            raise ShapeProblem(
                "E203", f"{main} has {size} values in the equations, and input_size is {width}"
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


def _check_number(main: str, width: int, num_layers: int) -> None:
    """An input that is a number at each step has the size 1, and reads no layer."""
    if width != 1:
        raise ShapeProblem(
            "E203",
            f"{main} is a number in the equations, and input_size is {width}",
            fix="Pass input_size=1.",
        )
    if num_layers > 1:
        raise ShapeProblem(
            "E209",
            f"{main} is a number in the equations, so that it can read no layer",
            rule="Stack one layer.",
        )


def _check_states(cell: Cell, layers: list[Sizes]) -> None:
    for key in cell.states:
        tails = [tuple(number(s, sizes) for s in cell.typed.shape(key)) for sizes in layers]
        if len(set(tails)) > 1:
            raise ShapeProblem(
                "E209",
                f"the state {key} has not one size in all layers: it is "
                + ", then ".join(str(tail) for tail in tails[:2]),
                rule="The states of a stack are (num_layers, B, size).",
                fix="Stack single layers, or give input and output one size.",
            )
