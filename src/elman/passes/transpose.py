"""The transpose of a system is a system: one step of backpropagation through time, as equations.

It steps in reverse; its carries are the cotangents of the states. Values of the forward step that
it needs come back as given streams: what is dear (a product, tanh) is saved by the forward run,
what is cheap is computed again.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from elman.ir import Carry, Node, System, Value, leaf, node, topological
from elman.ir.node import substitute
from elman.ir.ops import POINTWISE
from elman.passes.differentiate import gradients

CHEAP = (  # computed again rather than saved
    *("neg", "add", "sub", "mul", "less", "equal", "where", "abs", "sign", "relu"),
    *("floor", "round", "straight", "fill", "size", "random"),
)
DEAR = 4  # what a division or a tanh costs beside a product or a sum of two numbers
RECOMPUTED = 12  # a value that costs no more is computed again where that saves memory


def is_outer(n: Node) -> bool:
    """Two values multiplied without a sum: outer(a, b), or "hi,hj->hij" head by head."""
    inputs, _, output = n.attr.partition("->") if n.op == "contract" else ("", "", "")
    return "," in inputs and set(inputs) == {",", *output}


def is_cheap(n: Node) -> bool:
    """Whether a value is computed again rather than saved."""
    return n.op in CHEAP or is_outer(n)


def value_of(n: Node) -> Node:
    """Of straight(a, b) only a, where the derivative is taken already."""
    value = n.args[0] if n.op == "straight" else n
    return value if (value.shape, value.over) == (n.shape, n.over) else n


@dataclass(frozen=True)
class Transposed:
    """The backward system, and the forward values that it wants to be given."""

    system: System
    saved: tuple[Value, ...]


def transpose(system: System, cotangents: tuple[str, ...]) -> Transposed:
    """Backpropagate through one step of `system`, given cotangents of the outputs named.

    Its outputs are `d_x` for inputs, `d_W` for parameters; its final carries are those of the
    initial states.
    """
    outputs = {value.name: value.node for value in system.outputs}
    seeds = [(c.next, _carry_leaf(c)) for c in system.carries]
    seeds += [(outputs[name], _cotangent(name, outputs[name])) for name in cotangents]
    wanted = _wanted(system)
    found = gradients(seeds, wanted)
    labels = [(v.name, v.node) for v in system.labels]
    save = _Save(system, {n: name for name, n in reversed(labels)}, cotangents)
    zero = {n: node("less", (n, n)) for n in wanted}  # 0 with the axes of n, NaN or not
    roots = {n: found.get(n, zero[n]) for n in wanted}
    replaced = save.replace([*roots.values(), *found.values()])
    carries = tuple(
        Carry(c.key, _carry_leaf(c), replaced[roots[c.previous]]) for c in system.carries
    )
    gradient_of = [(n, replaced[g]) for n, g in roots.items() if n.attr.role != "state"]
    values = tuple(Value(f"d_{n.attr.name}", g) for n, g in gradient_of)
    inner = [  # z = sigmoid(a): the cotangent of a is what enters z
        (f"{name}_in", n.args[0]) for name, n in labels if len(n.args) == 1
    ]
    taken = {value.name for value in values}  # a weight may be called as what enters an equation is
    names: dict[str, Node] = {}
    for name, n in (*labels, *inner):
        if n in found and f"d_{name}" not in taken:
            names.setdefault(f"d_{name}", replaced[found[n]])
    spoken = tuple(Value(name, n) for name, n in names.items())
    backward = System(system.name, carries, values, not system.reverse, spoken)
    return Transposed(backward, save.values())


def given(name: str, like: Node) -> Node:
    """A stream that the caller hands in: a saved value."""
    return leaf(name, "given", like.over, 0, like.shape)


def _cotangent(name: str, like: Node) -> Node:
    """The caller's cotangent of an output: of every step and row, however the output varies."""
    return leaf(f"d_{name}", "given", "tb", 0, like.shape)


def past(previous: Node) -> Node:
    """The stream of a state's values before each step, as the backward plan reads it."""
    return given(past_name(previous.attr.key), previous)


def past_name(key: str) -> str:
    """`h` -> `h[t-1]`; a key with a longer delay says so itself."""
    return key if key.endswith("]") else f"{key}[t-1]"


def _carry_leaf(carry: Carry) -> Node:
    return leaf(f"d_{carry.key}", "state", "tb", 1, carry.previous.shape)


def _wanted(system: System) -> list[Node]:
    roots = [c.next for c in system.carries] + [v.node for v in system.outputs]
    roles = ("input", "parameter", "state")
    found = [n for n in topological(roots) if n.op == "leaf" and n.attr.role in roles]
    return list(dict.fromkeys([*(c.previous for c in system.carries), *found]))


class _Save:
    """Decides which forward values are saved, and puts leaves in their place."""

    def __init__(
        self, system: System, labels: dict[Node, str], cotangents: tuple[str, ...]
    ) -> None:
        roots = [c.next for c in system.carries] + [v.node for v in system.outputs]
        self.forward = set(topological([*roots, *(c.previous for c in system.carries)]))
        self.labels = labels
        self.cotangents = {f"d_{name}" for name in cotangents}  # given by these names already
        self.taken = self.cotangents | set(labels.values())
        self.map: dict[Node, Node] = {}
        self.cost: dict[Node, int] = {}  # of each value in the map, from what is saved
        self.saved: dict[Node, str] = {}

    def replace(self, roots: list[Node]) -> dict[Node, Node]:
        needed = {
            arg
            for n in topological(roots)
            if n not in self.forward
            for arg in n.args
            if arg in self.forward
        }
        needed |= {n for n in roots if n in self.forward}
        for n in topological(roots):
            if n in self.forward:
                self._decide(n, n in needed)
        return substitute(roots, self.map)

    def _decide(self, n: Node, needed: bool) -> None:
        cost = self._cost(n)
        if n.op == "leaf":
            self.map[n] = past(n) if n.attr.role == "state" else n
        elif value_of(n) in self.map:
            self.map[n] = self.map[value_of(n)]
            cost = self.cost[value_of(n)]
        elif cost is not None:
            self.map[n] = node(n.op, tuple(self.map[arg] for arg in n.args), n.attr)
        elif needed:
            self.saved[n] = self._name(n)
            self.map[n] = given(self.saved[n], n)
        else:
            return
        self.cost[n] = cost or 0

    def _cost(self, n: Node) -> int | None:
        """What it costs to compute `n` again; None where it must be saved, or has no cost yet."""
        if any(arg not in self.map for arg in n.args):
            return None
        if n.over == "":
            return 0  # once for all steps
        if not is_cheap(n) and n.op not in POINTWISE:
            return None
        cost = (1 if is_cheap(n) else DEAR) + sum(self.cost[arg] for arg in n.args)
        return cost if cost <= RECOMPUTED else None

    def _name(self, n: Node) -> str:
        """The user's name of a saved value, `tanh_c` for the tanh of c, or a number."""
        own = self.labels.get(n)
        if own is not None and own not in self.cotangents:
            return own
        inner = [self.labels.get(arg, "") for arg in n.args]
        speaking = [f"{n.op}_{inner[0]}"] if len(inner) == 1 and inner[0] else []
        numbered = (f"saved_{k}" for k in itertools.count(1))
        name = next(c for c in itertools.chain(speaking, numbered) if c not in self.taken)
        self.taken.add(name)
        return name

    def values(self) -> tuple[Value, ...]:
        return tuple(Value(name, n) for n, name in self.saved.items())
