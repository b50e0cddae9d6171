"""A cell in canonical form: what it computes, whatever its values are called and in what order.

Named values are put in where they are read, products multiplied out, sums and products sorted,
concatenations split with the weights that read them. Two cells are the same function when a
renaming of leaves makes their canonical forms equal (`passes.isomorphism` finds it).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from elman.ir import Carry, Cell, Node, Shape, topological
from elman.ir.ops import POINTWISE
from elman.passes.forms import (
    LARGEST,
    ONE,
    Atom,
    Atoms,
    Form,
    Key,
    alone,
    contract,
    indices,
    is_single,
    key,
    plus,
    power,
    scaled,
    times,
)
from elman.passes.joins import Piece, pieces, without_joins
from elman.passes.system import carries_of

SYMMETRIC = frozenset({"maximum"})  # functions whose arguments may change places


@dataclass(frozen=True, slots=True)
class Base:
    """What a leaf is known by; of a weight that is read in pieces, which piece."""

    name: str  # the user's; of a state its key
    role: str
    over: str
    piece: Piece | None = None

    def __str__(self) -> str:
        return self.name + (str(self.piece) if self.piece else "")


@dataclass(frozen=True)
class Canonical:
    """What a cell returns, and what each state that it needs becomes, as forms over atoms."""

    returns: tuple[Key, ...]
    carries: Mapping[int, tuple[Key, Key]]  # a state's atom: next, and before the first step
    values: Mapping[str, Key]  # of every equation
    bases: tuple[int, ...]  # leaves and sizes that what is returned needs, in order of use


@dataclass(frozen=True)
class Changes:
    """What stands in place of a cell's own atoms: others' numbers, or forms (-b, b - c)."""

    rename: Mapping[int, int] = field(default_factory=dict)
    instead: Mapping[int, Form] = field(default_factory=dict)


def canonical(
    cell: Cell, atoms: Atoms, changes: Changes | None = None, *, joins: bool = False
) -> Canonical:
    """The canonical form of a cell with shapes; with `joins` concatenations stay as they are."""
    states, split, parts = _taken_apart(cell, joins)
    initial = dict(cell.initial)
    forms = _Former(cell, atoms, changes or Changes(), parts).forms(split.values())

    def form_of(n: Node) -> Key:
        return key(forms[split[n]])

    values = {e.name: form_of(e.value) for e in cell.equations}
    returns = tuple(values[name] for name in cell.returns)
    every = {}
    for carry in states:
        ((((atom, _, _),), _),) = form_of(carry.previous)
        start = form_of(initial[carry.key]) if carry.key in initial else ()
        every[atom] = form_of(carry.next), start
    carries = _needed(atoms, returns, every)
    found = atoms.reached([*returns, *(k for pair in carries.values() for k in pair)])
    bases = tuple(n for n in sorted(found | carries.keys()) if is_base(atoms[n]))
    return Canonical(returns, carries, values, bases)


@functools.lru_cache(maxsize=16)
def _taken_apart(
    cell: Cell, joins: bool
) -> tuple[tuple[Carry, ...], dict[Node, Node], dict[Node, Piece]]:
    """The states, every node without the joins that it need not read, and the weights' pieces."""
    states = carries_of(cell)
    roots = [*cell.roots, *(n for c in states for n in (c.previous, c.next))]
    split = {n: n for n in topological(roots)} if joins else without_joins(roots)
    return states, split, pieces(split.values())


def is_base(atom: Atom) -> bool:
    """Whether the atom is a name of the user's: a leaf or a size."""
    return atom.op in ("leaf", "size")


def _needed(
    atoms: Atoms, returns: Sequence[Key], every: Mapping[int, tuple[Key, Key]]
) -> dict[int, tuple[Key, Key]]:
    """The states that what is returned needs, and those that these need."""
    found: dict[int, tuple[Key, Key]] = {}
    waiting = list(returns)
    while waiting:
        reached = atoms.reached(waiting)
        fresh = {n: pair for n, pair in every.items() if n in reached and n not in found}
        found |= fresh
        waiting = [k for pair in fresh.values() for k in pair]
    return found


class _Former:
    """Makes the form of every node; what has no rule is a function that nothing is known of."""

    def __init__(
        self, cell: Cell, atoms: Atoms, changes: Changes, split: Mapping[Node, Piece]
    ) -> None:
        self.constants = dict(cell.constants)
        self.atoms, self.changes, self.split = atoms, changes, split

    def forms(self, roots: Iterable[Node]) -> dict[Node, Form]:
        found: dict[Node, Form] = {}
        for n in topological(roots):
            args = [found[arg] for arg in n.args]
            form = RULES.get(n.op, _Former.plain)(self, n, args)
            finite = all(math.isfinite(c) for c in form.values())
            found[n] = form if finite else self.plain(n, args)
        return found

    # ---- leaves and sizes ----

    def size(self, name: str, new: Mapping[int, int] | None = None) -> int:
        """The atom of a size: a name, a number, or a sum of both."""
        new = self.changes.rename if new is None else new
        parts = name.split("+")
        if len(parts) > 1:
            sizes = sorted(self.size(part, new) for part in parts)
            return self.atoms.number(Atom("sizes", parts=tuple(sizes)))
        if name.isdigit():
            return self.atoms.number(Atom("number", int(name)))
        number = self.atoms.number(Atom("size", name))
        return new.get(number, number)

    def size_form(self, name: str) -> Form:
        total: Form = {}
        for part in name.split("+"):
            one: Form = {(): float(part)} if part.isdigit() else alone(self.size(part))
            total = plus(total, one)
        return total

    def leaf(self, n: Node, args: Sequence[Form]) -> Form:
        leaf = n.attr
        shape = n.shape or ()
        at = tuple(range(len(shape)))
        if leaf.role == "constant" and leaf.name in self.constants:  # else a stream of a pass
            value = self.constants[leaf.name]
            if isinstance(value, float | int):
                return {(): float(value)} if value else {}
            sizes = tuple(map(self.size, shape))
            return alone(self.atoms.number(Atom("constant", value, sizes)), at)
        return self.named(Base(leaf.key, leaf.role, leaf.over), shape)

    def named(self, base: Base, shape: Shape) -> Form:
        own = tuple(self.size(name, {}) for name in shape)
        number = self.atoms.number(Atom("leaf", base, own))
        form = self.changes.instead.get(number) or alone(number, tuple(range(len(shape))))
        new = self.changes.rename
        return {tuple((new.get(n, n), e, at) for n, e, at in term): c for term, c in form.items()}

    def slice(self, n: Node, args: Sequence[Form]) -> Form:
        if n in self.split:
            leaf = n.args[0].attr
            return self.named(Base(leaf.name, leaf.role, leaf.over, self.split[n]), n.shape or ())
        axis, start, length = n.attr
        sizes = (self.size(start), self.size(length))
        return self.function(n, "slice", args, axis, sizes)

    # ---- functions ----

    def function(
        self,
        n: Node,
        op: str,
        args: Sequence[Form],
        attr: object = None,
        parts: tuple[int, ...] = (),
    ) -> Form:
        keys = [key(arg) for arg in args]
        keys = sorted(keys) if op in SYMMETRIC else keys
        number = self.atoms.number(Atom(op, attr, parts, tuple(keys)))
        moves = op not in POINTWISE or any(indices(arg) for arg in args)
        return alone(number, tuple(range(len(n.shape or ()))) if moves else ())

    def plain(self, n: Node, args: Sequence[Form]) -> Form:
        value = _number(args[0]) if len(args) == 1 else None
        if value is not None and n.op in FOLDED:
            try:
                return {(): found} if (found := FOLDED[n.op](value)) else {}
            except (ValueError, OverflowError):
                pass
        attr = n.attr.hex() if isinstance(n.attr, float) else n.attr
        return self.function(n, n.op, args, attr)

    def sign(self, form: Form) -> float:
        """1 or -1, another for -form where that can be told: by what no renaming changes."""
        kinds = {t: tuple(sorted((self.kind(n), e, len(at)) for n, e, at in t)) for t in form}
        up, down = (sorted((kinds[t], s * c) for t, c in form.items()) for s in (1.0, -1.0))
        return 1.0 if up >= down else -1.0

    def kind(self, number: int) -> str:
        atom = self.atoms[number]
        return atom.attr.role if isinstance(atom.attr, Base) else atom.op

    def even(self, n: Node, args: Sequence[Form]) -> Form:
        return self.function(n, n.op, [scaled(args[0], self.sign(args[0]))])

    def odd(self, n: Node, args: Sequence[Form]) -> Form:
        if _number(args[0]) is not None:
            return self.plain(n, args)
        sign = self.sign(args[0])
        return scaled(self.function(n, n.op, [scaled(args[0], sign)]), sign)

    def sigmoid(self, n: Node, args: Sequence[Form]) -> Form:
        if _number(args[0]) is not None or self.sign(args[0]) > 0:
            return self.plain(n, args)
        return plus(ONE, self.plain(n, [scaled(args[0], -1.0)]), -1.0)  # 1 - sigmoid(-x)

    def maximum(self, n: Node, args: Sequence[Form]) -> Form:
        every: list[Key] = []
        for arg in args:
            every += self.inside(arg, "maximum") or [key(arg)]
        distinct = [dict(each) for each in dict.fromkeys(every)]
        return distinct[0] if len(distinct) == 1 else self.function(n, "maximum", distinct)

    def inside(self, form: Form, op: str) -> list[Key]:
        """The arguments of `op`, where the form is one call of it and nothing else."""
        ((term, c),) = form.items() if len(form) == 1 else ((None, 0.0),)
        if not term or len(term) != 1 or (c, term[0][1]) != (1.0, 1):
            return []
        atom = self.atoms[term[0][0]]
        return list(atom.args) if atom.op == op else []

    def minimum(self, n: Node, args: Sequence[Form]) -> Form:
        return scaled(self.maximum(n, [scaled(arg, -1.0) for arg in args]), -1.0)

    def relu(self, n: Node, args: Sequence[Form]) -> Form:
        return self.maximum(n, [args[0], {}])

    def less(self, n: Node, args: Sequence[Form]) -> Form:
        """a < b as a - b < 0, to a positive scale."""
        gap = plus(args[0], args[1], -1.0)
        value = _number(gap)
        if value is not None:
            return ONE if value < 0 else {}
        return self.function(n, "less", [scaled(gap, 1 / _content(gap))])

    def equal(self, n: Node, args: Sequence[Form]) -> Form:
        gap = plus(args[0], args[1], -1.0)
        value = _number(gap)
        if value is not None:
            return {} if value else ONE
        return self.function(n, "equal", [scaled(gap, self.sign(gap) / _content(gap))])

    def where(self, n: Node, args: Sequence[Form]) -> Form:
        condition, a, b = args
        if key(a) == key(b):
            return a
        opposite = plus(ONE, condition, -1.0)
        ((term, c),) = opposite.items() if len(opposite) == 1 else ((None, 0.0),)
        if term and len(term) == 1 and c == 1.0 and self.kind(term[0][0]) in ("less", "equal"):
            condition, a, b = opposite, b, a  # where(not c, a, b)
        return self.function(n, "where", [condition, a, b])

    # ---- products ----

    def whole(self, n: Node, form: Form) -> Form:
        """The form as one atom that is not multiplied out, to a scale."""
        scale = _content(form) * self.sign(form)
        at = tuple(sorted(indices(form)))
        number = self.atoms.number(Atom("sum", at, (), (key(scaled(form, 1 / scale)),)))
        return scaled(alone(number, at), scale)

    def small(self, n: Node, args: Sequence[Form]) -> list[Form]:
        """The factors, the longest of them as atoms where the product would be too long."""
        found = list(args)
        while math.prod(map(len, found)) > LARGEST:
            longest = max(range(len(found)), key=lambda k: len(found[k]))
            found[longest] = self.whole(n, found[longest])
        return found

    def product(self, n: Node, args: Sequence[Form]) -> Form:
        a, b = self.small(n, args)
        return times(a, b)

    def inverse(self, n: Node, form: Form) -> Form:
        return power(form if is_single(form) else self.whole(n, form), -1)

    def quotient(self, n: Node, args: Sequence[Form]) -> Form:
        if not args[1] or not args[0]:
            return self.plain(n, args) if not args[1] else {}
        return self.product(n, [args[0], self.inverse(n, args[1])])

    def pow(self, n: Node, args: Sequence[Form]) -> Form:
        exponent = _number(args[1])
        if exponent == 0.5:
            return self.function(n, "sqrt", args[:1])
        if exponent is None or not args[0] or exponent not in (-4, -3, -2, -1, 0, 1, 2, 3, 4):
            return self.plain(n, args)
        found = ONE
        for _ in range(int(abs(exponent))):
            found = self.product(n, [found, args[0]])
        return found if exponent >= 0 else self.inverse(n, found)

    def contract(self, n: Node, args: Sequence[Form]) -> Form:
        inputs, output = n.attr.split("->")
        words = inputs.split(",")
        names: dict[str, str] = {}
        for word, arg in zip(words, n.args, strict=True):
            names |= dict(zip(word, arg.shape or (), strict=True))
        return contract(words, output, self.small(n, args), lambda c: self.size_form(names[c]))


def _number(form: Form) -> float | None:
    """The number that the form is, if it is one."""
    return 0.0 if not form else form[()] if form.keys() == {()} else None


def _content(form: Form) -> float:
    return max(map(abs, form.values()), default=1.0)


FOLDED: dict[str, Callable[[float], float]] = {
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "tanh": math.tanh,
    "sin": math.sin,
    "cos": math.cos,
    "floor": math.floor,
    "sigmoid": lambda x: 0.5 + 0.5 * math.tanh(x / 2),
    "softplus": lambda x: math.log1p(math.exp(-abs(x))) + max(x, 0.0),
}

Rule = Callable[[_Former, Node, Sequence[Form]], Form]
RULES: dict[str, Rule] = {
    "leaf": _Former.leaf,
    "const": lambda f, n, a: {(): n.attr} if n.attr else {},
    "size": lambda f, n, a: f.size_form(n.attr),
    "fill": lambda f, n, a: a[0],
    "neg": lambda f, n, a: scaled(a[0], -1.0),
    "add": lambda f, n, a: plus(a[0], a[1]),
    "sub": lambda f, n, a: plus(a[0], a[1], -1.0),
    "mul": _Former.product,
    "div": _Former.quotient,
    "pow": _Former.pow,
    "contract": _Former.contract,
    "slice": _Former.slice,
    "maximum": _Former.maximum,
    "minimum": _Former.minimum,
    "relu": _Former.relu,
    "less": _Former.less,
    "equal": _Former.equal,
    "where": _Former.where,
    "sigmoid": _Former.sigmoid,
    **dict.fromkeys(("abs", "cos"), _Former.even),
    **dict.fromkeys(("tanh", "sin", "sign"), _Former.odd),
}
