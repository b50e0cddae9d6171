"""The one immutable node of the IR, hash-consed: equal nodes are the same object.

A node knows its shape (a tuple of size names, `None` before the shapes pass) and over what it
varies: time `t`, batch `b`, both or neither. Batch and time are never axes of a shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

Shape = tuple[str, ...]  # size names: ("hidden", "input"); "3" is a number; "hidden+input" a sum


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a leaf stands for: a stream, a state, a parameter, a constant, or a value held."""

    name: str
    # input, state, parameter, constant; random: uniform in [0, 1), until a pass draws it or takes
    # its mean; in plans also value (of an earlier stage) and given
    role: str
    over: str = "tb"  # what it varies over: "tb", "t", "b" or ""
    lag: int = 0  # h[t-1] has lag 1
    shape: Shape | None = None

    @property
    def key(self) -> str:
        """The name under which its array is known: `h`, or `h[t-2]` for the second delay."""
        return self.name if self.lag < 2 else f"{self.name}[t-{self.lag}]"


class Node:
    """`op` applied to `args`; `attr` is what it needs besides (a leaf, a number, a contraction)."""

    __slots__ = ("__weakref__", "args", "attr", "op", "over", "shape")

    op: str
    args: tuple[Node, ...]
    attr: Any
    shape: Shape | None
    over: str

    def __repr__(self) -> str:
        return show(self)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a node is immutable: {name} cannot be set")

    def __reduce__(self) -> tuple[Any, ...]:
        return node, (self.op, self.args, self.attr)


_table: WeakValueDictionary[Any, Node] = WeakValueDictionary()
_shape_rules: dict[str, Callable[[tuple[Node, ...], Any], Shape | None]] = {}


def shape_rule(*ops: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare how the shape of `ops` follows from args and attr (see `ir.ops`)."""

    def declare(rule: Callable[..., Any]) -> Callable[..., Any]:
        _shape_rules.update(dict.fromkeys(ops, rule))
        return rule

    return declare


def node(op: str, args: Iterable[Node] = (), attr: Any = None) -> Node:
    """The node `op(args)`; the same object whenever it is asked for again."""
    args = tuple(args)
    # floats by their bits: -0.0 is not 0.0 as a divisor, and 1.0 is not True
    key = (op, args, attr.hex() if isinstance(attr, float) else attr)
    found = _table.get(key)
    if found is not None:
        return found
    made = object.__new__(Node)
    put = object.__setattr__
    put(made, "op", op)
    put(made, "args", args)
    put(made, "attr", attr)
    put(made, "shape", _shape_rules[op](args, attr))
    put(made, "over", _over(op, args, attr))
    return _table.setdefault(key, made)


def _over(op: str, args: tuple[Node, ...], attr: Any) -> str:
    if op == "leaf":
        return str(attr.over)
    axes = {axis for arg in args for axis in arg.over}
    if op == "total":
        axes -= set(attr)
    return "".join(axis for axis in "tb" if axis in axes)


def leaf(name: str, role: str, over: str = "tb", lag: int = 0, shape: Shape | None = None) -> Node:
    """A leaf node; parameters and constants vary over nothing."""
    return node("leaf", (), Leaf(name, role, over, lag, shape))


def const(value: float) -> Node:
    """A number."""
    return node("const", (), float(value))


def topological(roots: Iterable[Node]) -> list[Node]:
    """Every node under `roots`, arguments before their users, without recursion."""
    seen: set[Node] = set()
    order: list[Node] = []
    stack: list[tuple[Node, Iterator[Node]]] = []
    for root in roots:
        if root in seen:
            continue
        seen.add(root)
        stack.append((root, iter(root.args)))
        while stack:
            current, rest = stack[-1]
            for arg in rest:
                if arg not in seen:
                    seen.add(arg)
                    stack.append((arg, iter(arg.args)))
                    break
            else:
                order.append(current)
                stack.pop()
    return order


def rebuild(
    roots: Iterable[Node], change: Callable[[Node, tuple[Node, ...]], Node]
) -> dict[Node, Node]:
    """Map every node under `roots` bottom up: `change(old, new_args)` gives the new node."""
    new: dict[Node, Node] = {}
    for old in topological(roots):
        new[old] = change(old, tuple(new[arg] for arg in old.args))
    return new


def substitute(roots: Iterable[Node], replacement: dict[Node, Node]) -> dict[Node, Node]:
    """Map every node under `roots` with the nodes in `replacement` exchanged; stops at them."""
    new: dict[Node, Node] = dict(replacement)
    for old in topological(roots):
        if old not in new:
            args = tuple(new[arg] for arg in old.args)
            new[old] = old if args == old.args else node(old.op, args, old.attr)
    return new


def leaves(roots: Iterable[Node]) -> list[Node]:
    """The leaf nodes under `roots`, in order of first use."""
    return [n for n in topological(roots) if n.op == "leaf"]


def show(root: Node) -> str:
    """A node as text: `add(contract[ij,j->i](W, x), b)`."""
    text: dict[Node, str] = {}
    for n in topological([root]):
        if n.op == "leaf":
            lag = f"[t-{n.attr.lag}]" if n.attr.lag else ""
            text[n] = n.attr.name + lag
        elif n.op == "const":
            text[n] = f"{n.attr:g}"
        else:
            attr = "" if n.attr is None else f"[{n.attr}]"
            text[n] = f"{n.op}{attr}({', '.join(text[a] for a in n.args)})"
    return text[root]
