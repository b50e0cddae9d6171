"""The gates of a cell: what multiplies a state's past elementwise, and what is written to it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from elman.ir import Cell, Node, topological
from elman.ir.ops import UNARY


@dataclass(frozen=True, slots=True)
class Gate:
    """sigmoid(before) in the factor of a state's past (`keeps`), or of what is written to it.

    `sign` is -1 where the factor falls as `before` grows: 1 - z[t].
    """

    state: str
    before: Node
    sign: int
    keeps: bool


def gates_of(cell: Cell, past: Mapping[Node, Node], moving: Collection[Node]) -> Iterator[Gate]:
    """Every gate of every state; `past` are the states' leaves with their values at [t]."""
    for leaf, value in past.items():
        if value.args and leaf in moving:
            yield from (gate for gate in _Kept(leaf, value).gates() if gate.before in moving)


class _Kept:
    """How the past of one state enters its value at [t]."""

    def __init__(self, leaf: Node, value: Node) -> None:
        self.leaf = leaf
        while value.op in UNARY and value.args[0].op != "leaf":
            value = value.args[0]  # tanh((1 - k[t]) * h[t-1] + ...)
        self.value = value
        self.whole: set[Node] = set()  # what holds the past without a factor
        self.signs = self._signs()

    def _signs(self) -> dict[Node, frozenset[int]]:
        """With which signs a node holds the past, through sums and elementwise products.

        Where it stands in a sum without a factor, as in h + z * (n - h), that sign counts.
        """
        found: dict[Node, frozenset[int]] = {}
        for n in topological([self.value]):
            held = [found.get(arg, frozenset()) for arg in n.args]
            if n.op in ("add", "sub", "neg") and any(arg in self.whole for arg in n.args):
                self.whole.add(n)
                pairs = zip(n.args, held, strict=True)
                held = [signs if arg in self.whole else frozenset() for arg, signs in pairs]
            minus = [frozenset(-sign for sign in signs) for signs in held]
            match n.op:
                case "leaf":
                    found[n] = frozenset({1}) if n is self.leaf else frozenset()
                    self.whole |= {self.leaf} & {n}
                case "add" | "mul":
                    found[n] = held[0] | held[1]
                case "sub":
                    found[n] = held[0] | minus[1]
                case "neg":
                    found[n] = minus[0]
                case "div":
                    found[n] = held[0]
                case "where":
                    found[n] = held[1] | held[2]
                case op if op in UNARY and n.args[0] is self.leaf:  # theta[t] * tanh(h[t-1])
                    found[n] = frozenset({1})
        return {n: signs for n, signs in found.items() if signs}

    def gates(self) -> Iterator[Gate]:
        """What keeps the past, then what writes to the state."""
        if self.value not in self.signs:
            return
        kept, written = list(self._factors_of_the_past()), list(self._written())
        found = [gate for factor, sign in kept for gate in self._keeping(factor, sign)]
        yield from found
        if found or not any(factor.over for factor, _ in kept):
            for term in written:
                yield from self._writing(term)

    def _factors_of_the_past(self) -> Iterator[tuple[Node, int]]:
        """What multiplies the past, and the sign of that product."""
        seen: set[tuple[Node, int]] = set()
        stack = [(self.value, 1)]
        while stack:
            n, sign = stack.pop()
            if (n, sign) in seen or n not in self.signs:
                continue
            seen.add((n, sign))
            if n.op == "mul":
                for kept, factor in (n.args, n.args[::-1]):
                    signs = self.signs.get(kept, frozenset())
                    yield from ((factor, sign * own) for own in signs if len(signs) == 1)
                    stack += [(kept, sign)] if signs and not self._is_correction(kept) else []
            else:
                stack += _held(n, sign)

    def _is_correction(self, n: Node) -> bool:
        """Whether a product takes from what stands beside it: n - h in h + z * (n - h)."""
        return n in self.whole and n is not self.leaf and self.signs[n] == {-1}

    def _written(self) -> Iterator[Node]:
        """What is added to what holds the past."""
        seen: set[Node] = set()
        stack = [self.value]
        while stack:
            n = stack.pop()
            if n in seen:
                continue
            seen.add(n)
            if n not in self.signs:
                yield n
            elif n.op == "mul":
                stack += [arg for arg in n.args[::-1] if arg in self.signs]
            else:
                stack += [arg for arg, _ in _held(n, 1)]

    def _keeping(self, factor: Node, sign: int) -> Iterator[Gate]:
        for before, side in _gates_in(factor, sign):
            yield Gate(self.leaf.attr.name, before, side, True)

    def _writing(self, term: Node) -> Iterator[Gate]:
        """The one gate among several factors."""
        factors = list(_factors(term))
        found = [gates for factor in factors if (gates := list(_gates_in(factor, 1)))]
        if len(found) == 1 and len(factors) > 1:
            for before, side in found[0]:
                yield Gate(self.leaf.attr.name, before, side, False)


def _held(n: Node, sign: int) -> list[tuple[Node, int]]:
    """Where to look on for the past, and for what is added to it."""
    match n.op:
        case "add":
            return [(n.args[1], sign), (n.args[0], sign)]
        case "sub":
            return [(n.args[1], -sign), (n.args[0], sign)]
        case "neg":
            return [(n.args[0], -sign)]
        case "div":
            return [(n.args[0], sign)]
        case "where":
            return [(n.args[2], sign), (n.args[1], sign)]
    return []


def _factors(term: Node) -> Iterator[Node]:
    stack = [term]
    while stack:
        n = stack.pop()
        if n.op == "mul":
            stack += n.args[::-1]
        elif n.op == "div" or n.op == "neg":
            stack.append(n.args[0])
        elif n.op != "const":
            yield n


def _gates_in(factor: Node, sign: int) -> Iterator[tuple[Node, int]]:
    """What stands in the sigmoids of a factor, and whether the factor grows with it.

    The sigmoid may be written through its logarithm: exp(log_sigmoid(a) + ...).
    """
    seen: set[tuple[Node, int, int]] = set()
    stack = [(factor, sign, 0)]
    while stack:
        n, side, log = stack.pop()  # log: the sign in an exponent
        if (n, side, log) in seen:
            continue
        seen.add((n, side, log))
        match n.op:
            case "sigmoid" if not log:
                yield n.args[0], side
            case "softplus" if log < 0:  # exp(-softplus(-a)) is sigmoid(a)
                yield n.args[0], -side
            case "exp" if not log:
                stack.append((n.args[0], side, 1))
            case "sub" if n.args[1].op == "const" and not log:  # 2 * sigmoid(a) - 1: a tanh
                continue
            case "mul" if not log:
                stack += [(arg, side, log) for arg in n.args[::-1]]
            case "add" | "sub" | "neg" if log:
                stack += [(arg, side, at) for arg, at in _held(n, log)]
            case "add" | "sub" | "neg":
                stack += [(arg, at, log) for arg, at in _held(n, side)]
