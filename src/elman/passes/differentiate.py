"""Reverse-mode derivatives of a graph: from the cotangents of its roots to those of its leaves.

Subgradients follow torch: 0 for relu at 0, half each where maximum and minimum tie, equal shares
for amax.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from elman.ir import Node, const, node, topological
from elman.passes.simplify import rewrite

Gradients = tuple[Node | None, ...]


def make(op: str, *args: Node, attr: Any = None) -> Node:
    """A node, simplified as it is made."""
    return rewrite(node(op, args, attr))


def add(a: Node, b: Node) -> Node:
    return make("add", a, b)


def mul(a: Node, b: Node) -> Node:
    return make("mul", a, b)


def _tie_share(a: Node, b: Node) -> Node:
    """1 where a < b, a half where they tie."""
    return add(make("less", a, b), mul(const(0.5), make("equal", a, b)))


def _one_minus(y: Node) -> Node:
    return make("sub", const(1), y)


VJP: dict[str, Callable[[Node, Node, tuple[Node, ...]], Gradients]] = {
    "neg": lambda g, y, a: (make("neg", g),),
    "exp": lambda g, y, a: (mul(g, y),),
    "log": lambda g, y, a: (make("div", g, a[0]),),
    "sqrt": lambda g, y, a: (make("div", mul(const(0.5), g), y),),
    "abs": lambda g, y, a: (mul(g, make("sign", a[0])),),
    "sign": lambda g, y, a: (None,),
    "tanh": lambda g, y, a: (mul(g, _one_minus(mul(y, y))),),
    "sigmoid": lambda g, y, a: (mul(g, mul(y, _one_minus(y))),),
    "relu": lambda g, y, a: (make("where", make("less", const(0), y), g, const(0)),),
    "softplus": lambda g, y, a: (mul(g, make("sigmoid", a[0])),),
    "floor": lambda g, y, a: (None,),
    "round": lambda g, y, a: (None,),
    "sin": lambda g, y, a: (mul(g, make("cos", a[0])),),
    "cos": lambda g, y, a: (make("neg", mul(g, make("sin", a[0]))),),
    "add": lambda g, y, a: (g, g),
    "sub": lambda g, y, a: (g, make("neg", g)),
    "mul": lambda g, y, a: (mul(g, a[1]), mul(g, a[0])),
    "div": lambda g, y, a: (
        make("div", g, a[1]),
        make("neg", make("div", mul(g, y), a[1])),
    ),
    "pow": lambda g, y, a: (
        mul(g, mul(a[1], make("pow", a[0], make("sub", a[1], const(1))))),
        mul(g, mul(y, make("log", a[0]))),
    ),
    "maximum": lambda g, y, a: (mul(g, _tie_share(a[1], a[0])), mul(g, _tie_share(a[0], a[1]))),
    "minimum": lambda g, y, a: (mul(g, _tie_share(a[0], a[1])), mul(g, _tie_share(a[1], a[0]))),
    "less": lambda g, y, a: (None, None),
    "equal": lambda g, y, a: (None, None),
    "straight": lambda g, y, a: (None, g),
    "where": lambda g, y, a: (
        None,
        make("where", a[0], g, const(0)),
        make("where", a[0], const(0), g),
    ),
    "contract": lambda g, y, a: _contract(g, y, a),
    "amax": lambda g, y, a: _amax(g, y, a),
    "cumsum": lambda g, y, a: (make("cumsum", g, attr=not y.attr),),
    "fill": lambda g, y, a: (_sum(g),),
    "size": lambda g, y, a: (),
    "random": lambda g, y, a: (None, None, None),
    "concat": lambda g, y, a: _concat(g, a),
    "slice": lambda g, y, a: (
        make("embed", g, attr=(y.attr[0], y.attr[1], _axis(a[0], y.attr[0]))),
    ),
    "embed": lambda g, y, a: (
        make("slice", g, attr=(y.attr[0], y.attr[1], _axis(a[0], y.attr[0]))),
    ),
    "total": lambda g, y, a: (g,),
}


def _axis(n: Node, axis: int) -> str:
    assert n.shape is not None
    return n.shape[axis]


def _sum(g: Node) -> Node:
    letters = "ijklmn"[: len(g.shape or ())]
    return make("contract", g, attr=f"{letters}->") if letters else g


def _contract(g: Node, y: Node, args: tuple[Node, ...]) -> Gradients:
    inputs, output = y.attr.split("->")
    if len(args) == 1:
        return (_spread(g, output, inputs, args[0]),)
    words = inputs.split(",")
    ways = ((words[0], words[1], args[1]), (words[1], words[0], args[0]))
    if output == "":  # a dot product: the cotangent is a scalar
        return tuple(
            mul(g, other if own == word else make("contract", other, attr=f"{word}->{own}"))
            for own, word, other in ways
        )
    # every letter is in two of the three words: what one argument lacks the others have
    return tuple(
        make("contract", g, other, attr=f"{output},{word}->{own}") for own, word, other in ways
    )


def _spread(g: Node, output: str, inputs: str, arg: Node) -> Node:
    """The cotangent of a sum is that of each term: `g` with the axes that were summed."""
    assert arg.shape is not None
    missing = "".join(c for c in inputs if c not in output)
    if output == "":
        return make("fill", g, attr=arg.shape)
    if not missing:
        return make("contract", g, attr=f"{output}->{inputs}")
    sizes = tuple(arg.shape[inputs.index(c)] for c in missing)
    ones = make("fill", const(1), attr=sizes)
    return make("contract", g, ones, attr=f"{output},{missing}->{inputs}")


def _amax(g: Node, y: Node, args: tuple[Node, ...]) -> Gradients:
    largest = make("equal", args[0], y)
    return (mul(make("div", g, _sum(largest)), largest),)


def _concat(g: Node, args: tuple[Node, ...]) -> Gradients:
    start, found = "0", []
    for arg in args:
        length = _axis(arg, 0)
        found.append(make("slice", g, attr=(0, start, length)))
        start = length if start == "0" else f"{start}+{length}"
    return tuple(found)


def gradients(cotangents: Iterable[tuple[Node, Node]], wrt: Iterable[Node]) -> Mapping[Node, Node]:
    """The cotangent of every node between `wrt` and the roots; `cotangents` pairs (root, d_root).

    Where a value varies over less than its cotangent does (a weight, used at every step), the sum
    over the steps and rows is a `total`.
    """
    pairs = list(cotangents)
    order = topological(root for root, _ in pairs)
    active = _users_of(set(wrt), order)
    found: dict[Node, Node] = {}
    for root, cotangent in pairs:
        _accumulate(found, root, cotangent)
    for n in reversed(order):
        if n in found and n.args and n in active:
            for arg, g in zip(n.args, VJP[n.op](found[n], n, n.args), strict=True):
                if arg in active and g is not None:
                    _accumulate(found, arg, g)
    return {n: _total(g, n) if n.op == "leaf" else g for n, g in found.items()}


def _total(g: Node, n: Node) -> Node:
    """The cotangent of `n`, summed over the axes that `n` does not vary over."""
    missing = "".join(axis for axis in g.over if axis not in n.over)
    return node("total", (g,), missing) if missing else g


def _users_of(wrt: set[Node], order: list[Node]) -> set[Node]:
    active = set(wrt)
    for n in order:
        if any(arg in active for arg in n.args):
            active.add(n)
    return active


def _accumulate(found: dict[Node, Node], arg: Node, g: Node) -> None:
    if arg.shape == () and g.shape != ():
        g = _sum(g)
    if g.shape == () and arg.shape != ():
        g = make("fill", g, attr=arg.shape)
    if arg.over == "":  # a weight, or what follows from weights alone
        g = _total(g, arg)
    found[arg] = add(found[arg], g) if arg in found else g
