"""Rewrites that make a graph smaller without changing what it computes."""

from __future__ import annotations

from collections.abc import Iterable

from elman.ir import Node, node, rebuild


def simplify(roots: Iterable[Node]) -> dict[Node, Node]:
    """Map every node under `roots` to its simpler equal."""
    return rebuild(roots, lambda old, args: rewrite(node(old.op, args, old.attr)))


def rewrite(n: Node) -> Node:
    """One step of simplification at the top of `n`, whose arguments are simple already."""
    match n.op, n.args:
        case (("add" | "sub"), (a, b)) if a.op == "const" and b.op == "const":
            return node("const", (), a.attr + b.attr if n.op == "add" else a.attr - b.attr)
        case "add", (a, b):
            return _add(n, a, b)
        case "sub", (a, b) if _is(b, 0.0) and _same(n, a):
            return a
        case "sub", (a, b) if _is(a, 0.0) and _same(n, b):
            return rewrite(node("neg", (b,)))
        case "sub", (a, b) if b.op == "neg":
            return rewrite(node("add", (a, b.args[0])))
        case "mul", (a, b):
            return _mul(n, a, b)
        case "div", (a, b) if _is(b, 1.0) and _same(n, a):
            return a
        case "neg", (a,) if a.op == "neg":
            return a.args[0]
        case "neg", (a,) if a.op == "sub":
            return node("sub", a.args[::-1])
        case "neg", (a,) if a.op == "const":
            return node("const", (), -a.attr)
        case "pow", (a, b) if _is(b, 1.0) and _same(n, a):
            return a
        case "pow", (a, b) if _is(b, 2.0):
            return node("mul", (a, a))
        case (("floor" | "round"), (a,)) if a.op in ("floor", "round"):
            return a
        case "straight", (a, b) if a is b:
            return a
        case "contract", args if any(map(_is_nothing, args)):
            return node("fill", (node("const", (), 0.0),), n.shape)
        case "contract", _:
            return _fold_transposes(n)
        case "fill", (a,) if n.shape == () or a.shape == n.shape:
            return a
    return n


def _is(n: Node, value: float) -> bool:
    return n.op == "const" and n.attr == value


def _same(n: Node, other: Node) -> bool:
    return n.shape == other.shape


def _add(n: Node, a: Node, b: Node) -> Node:
    if _is_zero(a) and _same(n, b):
        return b
    if _is_zero(b) and _same(n, a):
        return a
    if b.op == "neg":
        return rewrite(node("sub", (a, b.args[0])))
    if a.op == "neg":
        return rewrite(node("sub", (b, a.args[0])))
    if _is_sum(a) and _is_sum(b) and a.attr == b.attr and _same(a.args[0], b.args[0]):
        return node("contract", (rewrite(node("add", (a.args[0], b.args[0]))),), a.attr)
    return n


def _is_sum(n: Node) -> bool:
    """Whether `n` is the sum of all entries of one value."""
    return n.op == "contract" and len(n.args) == 1 and n.attr.endswith("->") and n.attr != "->"


def _is_zero(n: Node) -> bool:
    return _is(n, 0.0) or (n.op == "fill" and _is(n.args[0], 0.0))


def _is_nothing(n: Node) -> bool:
    """Whether `n` is written as 0 times something: a product with it is 0."""
    return _is_zero(n) or (n.op == "mul" and _is(n.args[0], 0.0))


def _mul(n: Node, a: Node, b: Node) -> Node:
    if a.op == "const" and b.op == "const":
        return node("const", (), a.attr * b.attr)
    for one, other in ((a, b), (b, a)):
        if _is(one, 1.0) and _same(n, other):
            return other
        if _is(one, -1.0):
            return rewrite(node("neg", (other,)))
        if one.op == "fill" and _same(n, other):  # the scalar spreads by itself
            return rewrite(node("mul", (one.args[0], other)))
    return n


def _fold_transposes(n: Node) -> Node:
    """`contract` of a transposed matrix reads the matrix with its letters exchanged."""
    inputs, output = n.attr.split("->")
    words, args = inputs.split(","), list(n.args)
    for k, arg in enumerate(args):
        if is_transposed(arg):
            inside, outside = arg.attr.split("->")
            words[k], args[k] = "".join(words[k][outside.index(c)] for c in inside), arg.args[0]
    if words == [output]:
        return args[0]
    if len(words) == 2 and len(words[0]) < len(words[1]) and not set(words[0]) <= set(output):
        words.reverse()  # the matrix stands first
        args.reverse()
    return node("contract", args, _canonical(",".join(words) + "->" + output))


def is_transposed(n: Node) -> bool:
    """Whether `n` has the values of its argument with the axes in another order."""
    inside, _, outside = n.attr.partition("->") if n.op == "contract" else ("", "", ",")
    return len(inside) == len(outside) and "," not in inside


def _canonical(spec: str) -> str:
    """The same contraction with its letters named i, j, k in order of appearance."""
    order = dict.fromkeys(c for c in spec if c.isalpha())
    return spec.translate({ord(c): "ijklmn"[k] for k, c in enumerate(order)})
