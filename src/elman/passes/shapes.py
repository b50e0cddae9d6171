"""Shapes by unification: every axis gets a size name, and the surface ops become contractions.

`W @ [h[t-1], x[t]]` is split here into `W[:, :hidden] @ h[t-1] + W[:, hidden:] @ x[t]`, so that
it hoists like the split form.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from elman.errors import Fact, ShapeProblem
from elman.ir import Cell, Equation, Node, Shape, leaf, node, rebuild, sizes, topological
from elman.ir.check import holds
from elman.ir.ops import POINTWISE
from elman.passes.axes import Axes, Clash
from elman.passes.ranks import infer_ranks, partners


@dataclass(frozen=True)
class Typed:
    """A cell whose leaves have shapes; `aliases` maps the size names one may give to those in use."""

    cell: Cell
    aliases: Mapping[str, str]

    def shape(self, name: str) -> Shape:
        """The shape of a parameter, input, state key or value by its name."""
        return self.shapes[name if name in self.shapes else name.partition("[")[0]]

    @functools.cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """Every shape by name."""
        found: dict[str, Shape] = {}
        for n in reversed(self.cell.leaves):
            found[n.attr.key] = found[n.attr.name] = n.shape or ()
        return found | {e.name: e.value.shape or () for e in self.cell.equations}

    @functools.cached_property
    def over(self) -> Mapping[str, str]:
        """What every input and weight varies over."""
        return {n.attr.name: n.over for n in self.cell.leaves if n.attr.role != "state"}


def infer_shapes(cell: Cell) -> Typed:
    """The same cell with a size name on every axis.

    Sizes that cannot be equal are a ShapeProblem: E203 for two numbers, E205 for a concatenation.
    """
    ranks = infer_ranks(cell)
    axes = Axes()
    of = _unify(cell, ranks, axes)
    aliases = _name_sizes(cell, axes, of)
    return Typed(holds(_rewrite(cell, axes, of)), aliases)


def _unify(cell: Cell, ranks: dict[Node, int], axes: Axes) -> dict[Node, tuple[int, ...]]:
    of: dict[Node, tuple[int, ...]] = {}
    nodes = topological(equation.value for equation in cell.equations)
    for n in nodes:
        of[n] = tuple(axes.new() for _ in range(ranks[n]))
    for n in nodes:
        if n.op == "leaf" and n.attr.shape is not None:
            _join(n, of[n], tuple(axes.named(size) for size in n.attr.shape), axes)
        else:
            _constrain(n, of, axes)
    for past, present in partners(cell).items():
        _join(present, of[past], of[present], axes)
    for name, shape in cell.declared:
        if name in (*cell.outputs, *(e.name for e in cell.equations)):
            _join(cell.value(name), of[cell.value(name)], tuple(map(axes.named, shape)), axes)
    return of


def _constrain(n: Node, of: dict[Node, tuple[int, ...]], axes: Axes) -> None:
    match n.op:
        case "matmul":
            left, right = (of[arg] for arg in n.args)
            _join(n, left[-1:], right[:1], axes)
            _join(n, of[n], left[:-1] + right[1:], axes)
        case "transpose":
            _join(n, of[n], of[n.args[0]][::-1], axes)
        case "concat":
            axes.bind_sum(of[n][0], tuple(of[arg][0] for arg in n.args))
        case op if op in POINTWISE:
            for arg in n.args:
                if of[arg]:
                    _join(n, of[arg], of[n], axes)


def _join(n: Node, left: tuple[int, ...], right: tuple[int, ...], axes: Axes) -> None:
    for a, b in zip(left, right, strict=True):
        try:
            axes.unify(a, b)
        except Clash as clash:
            one, other = clash.sizes
            raise ShapeProblem(
                "E203" if clash.numbers else "E205",
                f"an axis of {one} meets an axis of {other}",
                facts=[Fact(str(arg)[:40], "x".join(axes.show(i) for i in of)) for arg, of in ()],
                rule="Values that are added, multiplied or joined by @ must agree in size.",
                subject=n,
            ) from None


def _name_sizes(cell: Cell, axes: Axes, of: dict[Node, tuple[int, ...]]) -> dict[str, str]:
    """Give every axis its name, in the order of precedence of the language."""
    states = {n.attr.name: n for n in cell.leaves if n.attr.role == "state"}
    inputs = {n.attr.name: n for n in cell.leaves if n.attr.role == "input" and of[n]}
    main = [*(name for name in cell.returns if name in states), *states]
    for name in dict.fromkeys(name for name in main if of[states[name]] and name not in inputs):
        axes.call(of[states[name]][-1], "hidden" if "hidden" not in axes.names else name)
    for name, n in inputs.items():
        size = "input" if len(inputs) == 1 else name
        if size in axes.names and n.attr.shape is None:  # declared elsewhere: the same size
            _join(n, of[n][-1:], (axes.names[size],), axes)
        axes.call(of[n][-1], size)
    for equation in cell.equations:
        _call_all(axes, of[equation.value], equation.name)
    for n in cell.leaves:
        _call_all(axes, of[n], n.attr.name)
    for n, ids in of.items():
        _call_all(axes, ids, f"{n.op}_size")
    return axes.aliases()


def _call_all(axes: Axes, ids: tuple[int, ...], name: str) -> None:
    for k, axis in enumerate(ids):
        if not axes.has_name(axis):
            axes.call(axis, name if k == 0 else f"{name}_{k + 1}")


def _rewrite(cell: Cell, axes: Axes, of: dict[Node, tuple[int, ...]]) -> Cell:
    def change(old: Node, args: tuple[Node, ...]) -> Node:
        if old.op == "leaf":
            shape = tuple(axes.show(axis) for axis in of[old])
            return leaf(old.attr.name, old.attr.role, old.attr.over, old.attr.lag, shape)
        lower = LOWER.get(old.op)
        return lower(*args) if lower else node(old.op, args, old.attr)

    new = rebuild((equation.value for equation in cell.equations), change)
    equations = tuple(Equation(e.name, new[e.value], e.per_step) for e in cell.equations)
    return Cell(equations, cell.returns, cell.constants, cell.declared, cell.name)


def product(left: Node, right: Node) -> Node:
    """`left @ right`; a concatenation on the right is split into slices of the matrix."""
    assert left.shape is not None and right.shape is not None
    if len(left.shape) == 2 and right.op == "concat":
        return _split(left, right)
    spec = {(2, 1): "ij,j->i", (2, 2): "ij,jk->ik", (1, 1): "i,i->", (1, 2): "i,ij->j"}
    return node("contract", (left, right), spec[len(left.shape), len(right.shape)])


def _split(matrix: Node, joined: Node) -> Node:
    start, terms = "0", []
    for part in joined.args:
        assert part.shape is not None
        piece = node("slice", (matrix,), (1, start, part.shape[0]))
        terms.append(product(piece, part))
        start = part.shape[0] if start == "0" else sizes.add(start, part.shape[0])
    total = terms[0]
    for term in terms[1:]:
        total = node("add", (total, term))
    return total


def _sum(value: Node) -> Node:
    assert value.shape is not None
    return node("contract", (value,), {0: "->", 1: "i->", 2: "ij->"}[len(value.shape)])


def _mean(value: Node) -> Node:
    assert value.shape is not None
    total = _sum(value)
    for size in value.shape:
        total = node("div", (total, node("size", (), size)))
    return total


LOWER = {
    "matmul": product,
    "transpose": lambda matrix: node("contract", (matrix,), "ij->ji"),
    "sum": _sum,
    "mean": _mean,
}
