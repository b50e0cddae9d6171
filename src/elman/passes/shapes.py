"""Shapes by unification: every axis gets a size name, and the surface ops become contractions.

`W @ [h[t-1], x[t]]` is split here into `W[:, :hidden] @ h[t-1] + W[:, hidden:] @ x[t]`, so that
it hoists like the split form.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from elman.ir import Cell, Equation, Node, Shape, leaf, node, rebuild, sizes, topological
from elman.ir.check import holds
from elman.ir.node import show
from elman.ir.ops import POINTWISE
from elman.passes.axes import Axes, Clash
from elman.passes.mismatch import (
    AxesOf,
    Mismatch,
    Side,
    Spell,
    inside_itself,
    of_many_parts,
    unlike_its_parts,
)
from elman.passes.ranks import infer_ranks, partners
from elman.passes.simplify import rewrite


@dataclass(frozen=True)
class Typed:
    """A cell whose leaves have shapes; `aliases` maps size names one may give to those in use."""

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


def infer_shapes(cell: Cell, spell: Spell = show) -> Typed:
    """The same cell with a size name on every axis.

    Sizes that cannot be equal are a ShapeProblem: E203 for two numbers, E205 for a concatenation;
    `spell` gives the user's spelling of a node.
    """
    axes = Axes()
    ranks = infer_ranks(cell, spell)
    nodes = topological(cell.roots)
    of = {n: tuple(axes.new() for _ in range(ranks[n])) for n in nodes}
    try:
        _unify(cell, of, axes)
    except Mismatch as mismatch:
        _name_sizes(cell, axes, of)  # so that the message can name them
        raise mismatch.problem(axes, spell) from None
    _settle(cell, of, axes, spell)
    _name_sizes(cell, axes, of)
    return Typed(holds(_rewrite(cell, axes, of)), axes.aliases())


def _unify(cell: Cell, of: AxesOf, axes: Axes) -> None:
    """Make equal what the equations, the delays and the declarations say is equal."""
    called = {  # values that a message calls by their equation's name
        e.value: f"{e.name}[t]" if e.per_step else e.name
        for e in cell.equations
        if e.value.op != "leaf"
    }
    declared = dict(cell.declared)
    for n in of:
        if n.op == "leaf" and n.attr.shape is not None:
            name, sizes = n.attr.name, n.attr.shape
            constant = n.attr.role == "constant" and name not in declared
            origin = f"the constant {name}" if constant else _declaration(name, sizes)
            _join("declared", n, Side(name, of[n]), _declared(name, sizes, axes, origin), axes)
        else:
            _constrain(n, of, axes, called)
    for past, present in partners(cell).items():
        right = Side(called.get(present, present), of[present])
        _join("state", present, Side(past, of[past]), right, axes)
    for key, start in cell.initial:
        past = cell.past(key)
        if of[start]:
            right = Side(called.get(start, start), of[start])
            _join("state", start, Side(past, of[past]), right, axes)
    for name, sizes in cell.declared:
        if name in {equation.name for equation in cell.equations}:
            value = cell.value(name)
            right = _declared(name, sizes, axes, _declaration(name, sizes))
            _join("declared", value, Side(called.get(value, name), of[value]), right, axes)
    inputs = _wide_inputs(cell, of)
    for name, n in inputs.items():
        size = "input" if len(inputs) == 1 else name
        if size in axes.names and n.attr.shape is None:  # declared elsewhere: the same size
            _join("input", n, Side(n, of[n][-1:]), Side(size, (axes.names[size],)), axes)


def _wide_inputs(cell: Cell, of: AxesOf) -> dict[str, Node]:
    """The inputs that are no scalars."""
    return {n.attr.name: n for n in cell.leaves if n.attr.role == "input" and of[n]}


def _declared(name: str, sizes: Shape, axes: Axes, origin: str) -> Side:
    return Side(name, tuple(axes.named(size, origin) for size in sizes))


def _declaration(name: str, sizes: Shape) -> str:
    return f"{name}: {', '.join(sizes)}"


def _constrain(n: Node, of: AxesOf, axes: Axes, called: Mapping[Node, str]) -> None:
    def side(arg: Node, along: slice = slice(None)) -> Side:
        return Side(called.get(arg, arg), of[arg][along], of[arg])

    match n.op:
        case "matmul":
            left, right = n.args
            _join("product", n, side(left, slice(-1, None)), side(right, slice(1)), axes)
            _equate(of[n], of[left][:-1] + of[right][1:], axes)
        case "transpose":
            _equate(of[n], of[n.args[0]][::-1], axes)
        case "einsum":
            _join_letters(n, [side(arg) for arg in n.args], of, axes)
        case "cumsum":
            _equate(of[n], of[n.args[0]], axes)
        case "fill":  # a number among the parts of a list
            _equate(of[n], tuple(axes.named(size, "its number") for size in n.attr), axes)
        case "concat":
            axes.bind_sum(of[n][0], tuple(of[arg][0] for arg in n.args))
        case op if op in POINTWISE:
            wide = [arg for arg in n.args if of[arg]]
            for arg in wide:
                _join("pointwise", n, replace(side(wide[0]), axes=of[n]), side(arg), axes)


def _join_letters(n: Node, sides: list[Side], of: AxesOf, axes: Axes) -> None:
    """Axes with the same letter have one size, those of the result with them."""
    inputs, output = n.attr.split("->")
    words = inputs.split(",")
    if len(words) == 2:
        shared = [c for c in words[0] if c in words[1]]
        left, right = (
            replace(side, axes=tuple(side.whole[word.index(c)] for c in shared))
            for word, side in zip(words, sides, strict=True)
        )
        _join("einsum", n, left, right, axes)
    found = {
        c: axis
        for word, side in zip(words, sides, strict=True)
        for c, axis in zip(word, side.whole, strict=True)
    }
    _equate(of[n], tuple(found[c] for c in output), axes)


def _equate(fresh: tuple[int, ...], axes_of: tuple[int, ...], axes: Axes) -> None:
    """Give the axes of a result, which nothing is known of yet, those of its arguments."""
    for one, other in zip(fresh, axes_of, strict=True):
        axes.unify(one, other)


def _join(kind: str, n: Node, left: Side, right: Side, axes: Axes) -> None:
    """Make the axes of two values equal, or raise Mismatch."""
    for a, b in zip(left.axes, right.axes, strict=True):
        try:
            axes.unify(a, b)
        except Clash as clash:
            raise Mismatch(kind, n, left, right, clash) from None


def _settle(cell: Cell, of: AxesOf, axes: Axes, spell: Spell) -> None:
    """Solve what concatenations say of numbers, and refuse what cannot be."""
    joined = [n for n in of if n.op == "concat"]
    circle = axes.circle()
    for n in joined:
        if axes.root(of[n][0]) in circle:
            _name_sizes(cell, axes, of)
            raise inside_itself(n, of, axes, spell)
    while sum(axes.settle(of[n][0]) for n in (*joined, *reversed(joined))):
        pass  # numbers go from parts to wholes and back, each way in one go
    for n in joined:
        if not axes.is_settled(of[n][0]):
            _name_sizes(cell, axes, of)
            raise unlike_its_parts(n, of, axes, spell)
        if axes.is_long(of[n][0]):
            raise of_many_parts(n, spell)


def _name_sizes(cell: Cell, axes: Axes, of: AxesOf) -> None:
    """Give every axis its name, in the order of precedence of the language."""
    states = {n.attr.name: n for n in cell.leaves if n.attr.role == "state"}
    inputs = _wide_inputs(cell, of)
    main = [*(name for name in cell.returns if name in states), *states]
    for name in dict.fromkeys(name for name in main if of[states[name]] and name not in inputs):
        axes.call(of[states[name]][-1], "hidden" if "hidden" not in axes.names else name)
    for name, n in inputs.items():
        axes.call(of[n][-1], "input" if len(inputs) == 1 else name)
    for equation in cell.equations:
        _call_all(axes, of[equation.value], equation.name)
    for n in cell.leaves:
        _call_all(axes, of[n], n.attr.name)
    for n, ids in of.items():
        _call_all(axes, ids, f"{n.op}_size")


def _call_all(axes: Axes, ids: tuple[int, ...], name: str) -> None:
    for k, axis in enumerate(ids):
        if not axes.has_name(axis):
            axes.call(axis, name if k == 0 else f"{name}_{k + 1}")


def _rewrite(cell: Cell, axes: Axes, of: AxesOf) -> Cell:
    def change(old: Node, args: tuple[Node, ...]) -> Node:
        if old.op == "leaf":
            shape = tuple(axes.show(axis) for axis in of[old])
            return leaf(old.attr.name, old.attr.role, old.attr.over, old.attr.lag, shape)
        return lowered(old, args)

    new = rebuild(cell.roots, change)
    equations = tuple(Equation(e.name, new[e.value], e.per_step) for e in cell.equations)
    initial = tuple((key, _start(new[start], new[cell.past(key)])) for key, start in cell.initial)
    return replace(cell, equations=equations, initial=initial)


def _start(value: Node, past: Node) -> Node:
    """What a state is before the first step; one number fills it."""
    return value if value.shape == past.shape else node("fill", (value,), past.shape)


def lowered(old: Node, args: tuple[Node, ...]) -> Node:
    """A node on typed arguments; the surface ops as the primitives that they mean."""
    lower = LOWER.get(old.op)
    if lower is None:
        return node(old.op, args, old.attr)
    return lower(*args) if old.attr is None else lower(old.attr, *args)


def product(left: Node, right: Node) -> Node:
    """`left @ right`; a concatenation on the right is split into slices of the matrix."""
    assert left.shape is not None and right.shape is not None
    if len(left.shape) == 2 and right.op == "concat":
        return _split(left, right)
    middle = len(left.shape) - 1  # the last axis of the left is the first of the right
    letters = "ijklmn"[: middle + len(right.shape)]
    ours, theirs = letters[: middle + 1], letters[middle:]
    spec = f"{ours},{theirs}->{ours[:-1]}{theirs[1:]}"
    return node("contract", (left, right), spec)


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


def _einsum(spec: str, *values: Node) -> Node:
    """Contractions: what only one of two values has is summed before they meet."""
    inputs, output = spec.split("->")
    words, args = inputs.split(","), list(values)
    if len(args) == 2:
        for k, other in ((0, words[1]), (1, words[0])):
            kept = "".join(c for c in words[k] if c in other or c in output)
            args[k], words[k] = _contracted(f"{words[k]}->{kept}", args[k]), kept
        if "" in words or words[0] == words[1] == output:
            args, words = [node("mul", args)], [words[0] or words[1]]  # a scalar spreads by itself
    return _contracted(f"{','.join(words)}->{output}", *args)


def _contracted(spec: str, *args: Node) -> Node:
    return rewrite(node("contract", args, spec))


def _sum(value: Node) -> Node:
    assert value.shape is not None
    return node("contract", (value,), f"{'ijk'[: len(value.shape)]}->")


def _mean(value: Node) -> Node:
    assert value.shape is not None
    total = _sum(value)
    for size in value.shape:
        total = node("div", (total, node("size", (), size)))
    return total


LOWER: dict[str, Callable[..., Node]] = {
    "matmul": product,
    "transpose": lambda matrix: node("contract", (matrix,), "ij->ji"),
    "sum": _sum,
    "mean": _mean,
    "einsum": _einsum,
}
