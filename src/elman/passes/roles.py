"""What each parameter of a cell is for, read off the equations: its role.

A matrix that multiplies a state is recurrent, one that multiplies an input is an input's; what is
added is a bias, and the bias inside a gate that multiplies `s[t-1]` elementwise is a forget bias.
A declaration, `b_f: role forget bias`, has the last word.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from elman.ir import Cell, Node, topological
from elman.ir.ops import POINTWISE
from elman.passes.gates import Gate, gates_of
from elman.passes.ranks import partners

# a parameter that is read in several ways has the first of these roles
ORDER = (
    *("initial state", "recurrent", "input", "read out", "forget bias", "input bias", "bias"),
    *("peephole", "gain", "scale", "other"),
)
SUMS = ("add", "sub", "neg")
STEPS = ("floor", "round", "sign", "less", "equal")  # what passes no gradient
Slice = tuple[int, str, str]  # axis, start, length


@dataclass(frozen=True, slots=True)
class Role:
    """What a parameter, or the part of it that `cut` takes, is for.

    `sign` is -1 where a gate's bias closes it as it grows: the forget gate 1 - z[t] and its b_z.
    """

    kind: str
    cut: Slice | None = None
    sign: int = 1
    state: str = ""  # what the gate of a forget or input bias keeps, or writes to
    is_second: bool = False  # an earlier bias stands in the same sum
    is_vector: bool = False  # multiplies elementwise: a diagonal matrix
    is_transposed: bool = False  # what it multiplies stands along its first axis


def roles_of(cell: Cell) -> dict[str, tuple[Role, ...]]:
    """The roles of every parameter of a cell with shapes; several where it is used in parts.

    >>> from elman.language import read
    >>> from elman.passes.shapes import infer_shapes
    >>> cell = read("z[t] = sigmoid(W @ [h[t-1], x[t]] + b)\\n"
    ...             "h[t] = (1 - z[t]) * h[t-1] + z[t] * tanh(V @ x[t])", "gated").cell
    >>> for name, roles in roles_of(infer_shapes(cell).cell).items():
    ...     print(name, *[(role.kind, role.sign) for role in roles])
    W ('recurrent', 1) ('input', 1)
    b ('forget bias', -1)
    V ('input', 1)
    """
    found = _Uses(cell).found()
    declared = dict(cell.roles)
    made = {}
    for name in cell.names("parameter"):
        roles = _foremost(found.get(name, [])) or (Role("other"),)
        if name in declared:
            roles = tuple(_declared(role, declared[name]) for role in roles)
        made[name] = _joined(roles)
    return made


def kinds_of(cell: Cell) -> dict[str, str]:
    """What each parameter is for, in words."""
    found = roles_of(cell)
    return {name: ", ".join(dict.fromkeys(r.kind for r in own)) for name, own in found.items()}


def written_roles(cell: Cell) -> str:
    """The same as a table."""
    kinds = kinds_of(cell)
    width = max(map(len, kinds), default=0)
    return "\n".join(f"{name:<{width}}  {kind}" for name, kind in kinds.items())


def _foremost(roles: Iterable[Role]) -> tuple[Role, ...]:
    """Of several uses those of the first kind; of a matrix used in slices, each slice's."""
    best: dict[Slice | None, Role] = {}
    for role in roles:
        known = best.get(role.cut)
        if known is None or ORDER.index(role.kind) < ORDER.index(known.kind):
            best[role.cut] = role
    if None in best and len(best) > 1:  # in slices and whole
        return (min(best.values(), key=lambda role: ORDER.index(role.kind)),)
    return tuple(best.values())


def _joined(roles: tuple[Role, ...]) -> tuple[Role, ...]:
    """Columns of one role are one matrix; but of each state, a recurrent one."""
    kinds = {role.kind for role in roles}
    return (replace(roles[0], cut=None),) if len(kinds) == 1 and "recurrent" not in kinds else roles


def _declared(role: Role, kind: str) -> Role:
    return role if role.kind == kind else replace(role, kind=kind, sign=1, state="")


class _Uses:
    """How the equations of a cell use its parameters."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.nodes = topological(cell.roots)
        self.past = partners(cell)
        self.moving = self._reaching(n for n in cell.leaves if n.attr.role in ("input", "state"))
        computed = {leaf: value for leaf, value in self.past.items() if value.args}
        self.memories = {leaf for leaf, value in computed.items() if self._is_memory(leaf, value)}
        self.states = {
            value: leaf.attr.name for leaf, value in computed.items() if leaf not in self.memories
        }
        own = [leaf for leaf in computed if leaf not in self.memories]
        self.stateful = self._reaching(own)
        self.feeding = set(topological(self.states))
        self.users: dict[Node, list[Node]] = defaultdict(list)
        for n in self.nodes:
            for arg in n.args:
                self.users[arg].append(n)
        self.products = {n: v for n in self.nodes if (v := self._multiplied(n)) is not None}
        self.scaled = {n: pair for n in self.nodes if (pair := self._scaling(n)) is not None}
        self.sums = self._sums()
        self.sums_of: dict[Node, list[list[tuple[Node, int]]]] = defaultdict(list)
        for found in self.sums:
            for term in dict.fromkeys(term for term, _ in found):
                self.sums_of[term].append(found)
        self.direct = cache(self._direct)

    def _reaching(self, leaves: Iterable[Node]) -> set[Node]:
        found = set(leaves)
        for n in self.nodes:
            if any(arg in found for arg in n.args):
                found.add(n)
        return found

    def _is_memory(self, leaf: Node, value: Node) -> bool:
        """Whether a state holds nothing but inputs of before."""
        read = [n for n in topological([value]) if n.op == "leaf" and n is not leaf]
        return all(n.attr.role in ("input", "constant") for n in read)

    def _multiplied(self, n: Node) -> Node | None:
        """What a product with a parameter multiplies."""
        args = n.args
        if n.op == "contract" and n.attr == "i->" and args[0].op == "mul":  # dot(w, x[t])
            args = args[0].args
        if n.op != "contract" or len(args) != 2:
            return None
        first, second = args
        if (first in self.moving) == (second in self.moving):
            return None
        weight, value = (second, first) if first in self.moving else (first, second)
        return value if any(weights_in(weight)) else None

    def _scaling(self, n: Node) -> tuple[Node, Node] | None:
        """A parameter that multiplies elementwise, and what it multiplies."""
        if n.op != "mul" or all(user in self.products for user in self.users[n]):
            return None
        for weight, value in (n.args, n.args[::-1]):
            if weight not in self.moving and value in self.moving and any(weights_in(weight)):
                return weight, value
        return None

    def _sums(self) -> list[list[tuple[Node, int]]]:
        """The terms of every sum that is no part of another one alone."""
        whole = (
            n
            for n in self.nodes
            if n.op in SUMS and (not self.users[n] or any(u.op not in SUMS for u in self.users[n]))
        )
        return [list(terms(n)) for n in whole]

    def _direct(self, value: Node) -> frozenset[str]:
        """What a value reads without a product between.

        `input`, `product`, and of states the names: `h` for one of this step, `-h` for its past.
        """
        found: set[str] = set()
        seen: set[Node] = set()
        stack = [value]
        while stack:
            n = stack.pop()
            if n in seen or n not in self.moving:
                continue
            seen.add(n)
            if n in self.products:
                found.add("product")
            elif n.op == "leaf":
                found.add(f"-{n.attr.name}" if self._is_past(n) else "input")
            elif n in self.states:
                found.add(self.states[n])
            else:
                stack += n.args
        return frozenset(found)

    def _is_past(self, n: Node) -> bool:
        return n in self.past and n not in self.memories and bool(self.past[n].args)

    def found(self) -> dict[str, list[Role]]:
        """Every use of every parameter."""
        made: dict[str, list[Role]] = defaultdict(list)
        self._add_initial(made)
        for n, value in self.products.items():
            kind = self._kind_of_product(n, value)
            args = n.args if len(n.args) == 2 else n.args[0].args
            turned = len(n.args) == 2 and _is_transposed(n, value)
            for leaf, cut in weights_in(args[args[0] is value]):
                made[leaf.attr.name].append(Role(kind, cut, is_transposed=turned))
        for n, (weight, value) in self.scaled.items():
            kind = self._kind_of_factor(n, value)
            for leaf, cut in weights_in(weight):
                made[leaf.attr.name].append(Role(kind, cut, is_vector=True))
        self._add_biases(made)
        return made

    def _add_initial(self, made: dict[str, list[Role]]) -> None:
        read = set(topological(e.value for e in self.cell.equations))
        for n in topological(value for _, value in self.cell.initial):
            if n.op == "leaf" and n.attr.role == "parameter" and n not in read:
                made[n.attr.name].append(Role("initial state"))

    def _kind_of_product(self, n: Node, value: Node) -> str:
        reads = self.direct(value)
        states = reads - {"input", "product"}
        is_past = any(state.startswith("-") for state in states)
        if n in self.feeding and is_past:
            return "recurrent"
        beside = [self.products[other] for other in self._beside(n) if other in self.products]
        has_input = any(other not in self.stateful for other in beside)  # W @ x[t]
        if n not in self.feeding and (states or "product" in reads):
            return "recurrent" if is_past and has_input else "read out"
        if not states and ("input" in reads or value not in self.stateful):
            return "input"
        if has_input:
            return "recurrent"
        # a layer reads the one below it beside its own past
        return "input" if any("-" in "".join(self.direct(v)) for v in beside) else "read out"

    def _beside(self, n: Node) -> Iterator[Node]:
        """The other terms of the sums in which a term stands."""
        for found in self.sums_of[n]:
            yield from (term for term, _ in found if term is not n)

    def _kind_of_factor(self, n: Node, value: Node) -> str:
        if _is_normed(value) or any(u.args[0] is n and _is_normed(u) for u in self.users[n]):
            return "gain"
        states = {state.strip("-") for state in self.direct(value) - {"input", "product"}}
        if not states:
            return "scale"
        beside = (self.direct(self.products[m]) for m in self._beside(n) if m in self.products)
        is_other = any(
            past and not past & states
            for reads in beside
            if (past := {state[1:] for state in reads if state.startswith("-")})
        )
        return "peephole" if is_other else "recurrent"

    def _add_biases(self, made: dict[str, list[Role]]) -> None:
        gates = _gates_by_bias(gates_of(self.cell, self.past, self.moving))
        for found in self.sums:
            if not any(term in self.moving and self._is_weighted(term) for term, _ in found):
                continue
            biases = [n for n, _ in found if n not in self.moving and any(weights_in(n))]
            for place, term in enumerate(biases):
                for leaf, cut in weights_in(term):
                    name = leaf.attr.name
                    plain = Role("bias", cut, is_second=place > 0)
                    gate = gates.get(name)
                    known = plain if gate is None else _gated(plain, gate)
                    made[name].append(known)

    def _is_weighted(self, term: Node) -> bool:
        """Whether a term holds a parameter, through functions that have a slope."""
        seen: set[Node] = set()
        stack = [term]
        while stack:
            n = stack.pop()
            if n in seen:
                continue
            seen.add(n)
            if n in self.products or n in self.scaled:
                return True
            is_on_the_way = n.op in POINTWISE and n.op not in STEPS
            stack += [arg for arg in n.args if arg in self.moving] if is_on_the_way else []
        return False


def _gated(plain: Role, gate: Gate) -> Role:
    kind = "forget bias" if gate.keeps else "input bias"
    return replace(plain, kind=kind, sign=gate.sign, state=gate.state)


def _gates_by_bias(gates: Iterable[Gate]) -> Mapping[str, Gate]:
    """The gate of every bias that has one; a forget gate before any other.

    A bias that opens one forget gate and closes another is that of neither.
    """
    found: dict[str, Gate] = {}
    torn: set[str] = set()
    for gate in sorted(gates, key=lambda gate: not gate.keeps):
        for term, sign in terms(gate.before):
            if term.op != "leaf" or term.attr.role != "parameter":
                continue
            own = replace(gate, sign=gate.sign * sign)
            known = found.setdefault(term.attr.name, own)
            if known.keeps and own.keeps and known.sign != own.sign:
                torn.add(term.attr.name)
    return {name: gate for name, gate in found.items() if name not in torn}


def terms(total: Node) -> Iterator[tuple[Node, int]]:
    """The terms of a sum from left to right, each with its sign; of what is shared the first."""
    seen: set[tuple[Node, int]] = set()
    stack = [(total, 1)]
    while stack:
        n, sign = stack.pop()
        if (n, sign) in seen:
            continue
        seen.add((n, sign))
        match n.op:
            case "add":
                stack += [(n.args[1], sign), (n.args[0], sign)]
            case "sub":
                stack += [(n.args[1], -sign), (n.args[0], sign)]
            case "neg":
                stack.append((n.args[0], -sign))
            case _:
                yield n, sign


def weights_in(weight: Node) -> Iterator[tuple[Node, Slice | None]]:
    """The parameters in which a value that does not move is linear, and what is cut of them."""
    seen: set[Node] = set()
    stack = [weight]
    while stack:
        n = stack.pop()
        if n in seen:
            continue
        seen.add(n)
        match n.op:
            case "leaf" if n.attr.role == "parameter":
                yield n, None
            case "slice" if n.args[0].op == "leaf":
                if n.args[0].attr.role == "parameter":
                    yield n.args[0], n.attr
            case "add" | "sub" | "neg" | "mul" | "contract" | "slice" | "fill" | "concat":
                stack += n.args[::-1]
            case "div":
                stack.append(n.args[0])
            case "where":
                stack += n.args[:0:-1]


def _is_normed(n: Node) -> bool:
    return n.op == "div" and n.args[1].op == "sqrt"


def _is_transposed(n: Node, value: Node) -> bool:
    """Whether what is multiplied stands along the first axis of a matrix: `h[t-1] @ U`."""
    first, second = n.attr.partition("->")[0].split(",")
    weight, other = (first, second) if n.args[1] is value else (second, first)
    return len(weight) == 2 and weight[0] in other and weight[1] not in other
