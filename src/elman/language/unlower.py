"""`elman.ir.Cell` -> syntax: the text it would have had. Also for stages that no text can say."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from elman.ir.cell import Cell
from elman.ir.cell import Equation as Valued
from elman.ir.node import Node, leaf, leaves, topological
from elman.language.functions import FUNCTIONS, OPERATORS, Builder
from elman.language.named import CLOCK
from elman.language.syntax import (
    At,
    Binary,
    Call,
    Constant,
    Declaration,
    Equation,
    Expr,
    Initial,
    Join,
    Line,
    Name,
    Number,
    Return,
    Text,
    Transpose,
    Unary,
)

LARGEST = 2000  # an equation of more parts ...
MANIFOLD = 8  # ... that holds them so many times over gets names for what it repeats

INFIX = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "pow": "**",
    "matmul": "@",
    "less": "<",
    "equal": "==",
}
CALLS = {"amax": "max", "maximum": "max", "minimum": "min", "straight": "straight_through"}
CONTRACTIONS: dict[str, Callable[..., Expr]] = {
    "ij,j->i": lambda a, b: Binary("@", a, b),
    "ij,i->j": lambda a, b: Binary("@", Transpose(a), b),
    "i,i->": lambda a, b: Call("dot", (a, b)),
    "ij->ji": Transpose,
    "i->": lambda a: Call("sum", (a,)),
    "i,j->ij": lambda a, b: Call("outer", (a, b)),
}
# macros that hold an argument more than once; others are as short written out
FOLDED = (
    *("softmax", "log_softmax", "logsumexp", "layer_norm", "rms_norm", "gelu", "norm"),
    *("round", "step"),
)


def unlower(cell: Cell) -> Text:
    """The lines that say `cell`: constants, declarations, equations, and what it returns."""
    lines: list[Line] = [Constant(name, value) for name, value in cell.constants]
    lines += _declarations(cell)
    lines += _initial(cell)
    lines += (equations := write_equations(cell.equations))
    steps = [line.name for line in equations if line.per_step]
    if steps and cell.returns != (steps[-1],):
        lines.append(Return(cell.returns))
    return Text(tuple(lines))


def _declarations(cell: Cell) -> Iterable[Declaration]:
    nodes = topological(cell.roots)
    over = {
        n.attr.name: n.attr.over
        for n in nodes
        if n.op == "leaf" and n.attr.role in ("input", "random") and n.attr.over in ("b", "t")
    }
    masks = {n.args[0].attr.name: _chance(n.args[1]) for n in nodes if _is_mask(n)}
    shapes, roles = dict(cell.declared), dict(cell.roles)
    for name in dict.fromkeys([*shapes, *over, *masks, *cell.frozen, *roles]):
        yield Declaration(
            name,
            shapes.get(name),
            over.get(name),
            frozen=name in cell.frozen,
            bernoulli=masks.get(name),
            role=roles.get(name),
        )


def _is_mask(n: Node) -> bool:
    """Is it 1 where a drawn number is less than a probability?"""
    is_drawn = n.op == "less" and n.args[0].op == "leaf" and n.args[0].attr.role == "random"
    return is_drawn and _chance(n.args[1]) is not None


def _chance(n: Node) -> float | str | None:
    """The probability that a declaration can say: a number, or a constant's name."""
    if n.op == "const":
        return float(n.attr)
    return str(n.attr.name) if n.op == "leaf" and n.attr.role == "constant" else None


def _initial(cell: Cell) -> Iterable[Initial]:
    named = names_of_values(each for each in cell.equations if not each.per_step)
    for key, value in cell.initial:
        name, _, lag = key.removesuffix("]").partition("[t-")
        bare: dict[Node, Expr] = {n: Name(n.attr.name) for n in leaves([value]) if n.over == "b"}
        yield Initial(name, 1 - int(lag or 1), expression(value, named | bare))


def write_equations(equations: Iterable[Valued]) -> list[Equation]:
    """Equations whose values are nodes, as syntax; each stands by its name in the others."""
    equations = _with_shared(list(equations))
    named = names_of_values(equations)
    return [_equation(each, named) for each in equations if each.name != "t"]


def names_of_values(equations: Iterable[Valued]) -> dict[Node, Expr]:
    """How the value of an equation is read in the others."""
    known: dict[Node, Expr] = {CLOCK: Name("t")}
    for each in sorted(equations, key=lambda each: each.per_step):  # what is computed once first
        if each.value.args:
            known.setdefault(each.value, At(each.name) if each.per_step else Name(each.name))
    return known


def _equation(each: Valued, named: dict[Node, Expr]) -> Equation:
    own = named.get(each.value)
    if isinstance(own, At | Name) and own.name == each.name:
        named = {value: name for value, name in named.items() if value is not each.value}
    return Equation(each.name, each.per_step, expression(each.value, named))


def expression(root: Node, named: dict[Node, Expr]) -> Expr:
    """A node as syntax; the nodes in `named` stand by their names."""
    done: dict[Node, Expr] = dict(named)
    stack = [root]
    while stack:
        current = stack[-1]
        if current in done:
            stack.pop()
            continue
        make, args = _spelling(current)
        waiting = [arg for arg in args if arg not in done]
        if waiting:
            stack += waiting
        else:
            done[current] = make(*(done[arg] for arg in args))
    return done[root]


def _spelling(n: Node) -> tuple[Callable[..., Expr], tuple[Node, ...]]:
    """How a node is written, and the nodes that stand inside."""
    for macro in MACROS:
        args = _macro_arguments(macro, n)
        if args:
            return macro.make, args
    if _is_mask(n):
        return lambda *_: _leaf(n.args[0]), ()
    if n.op == "concat":
        return lambda *parts: Join(parts), tuple(map(_unfilled, n.args))
    return _maker(n), n.args


def _maker(n: Node) -> Callable[..., Expr]:
    match n.op:
        case "leaf":
            return lambda: _leaf(n)
        case "const":
            return lambda: _const(n.attr)
        case "neg":
            return lambda arg: Unary("-", arg)
        case "transpose":
            return Transpose
        case "contract" if n.attr in CONTRACTIONS:
            return CONTRACTIONS[n.attr]
        case "einsum" if n.attr == "i,j->ij":
            return _call("outer")
        case "einsum":
            return lambda *args: Call("einsum", args, n.attr)
        case op if op in INFIX:
            return lambda a, b: Binary(INFIX[op], a, b)
    function = CALLS.get(n.op, n.op)
    function += "" if n.attr is None or n.attr is False or n.op == "total" else f"[{n.attr}]"
    return _call(function)


def _call(function: str) -> Callable[..., Expr]:
    return lambda *args: Call(function, args)


def _leaf(n: Node) -> Expr:
    is_stream = n.attr.role in ("input", "state") or n.attr.over
    if n.attr.role == "random" and n.attr.over == "b":
        return Name(n.attr.name)
    return At(n.attr.name, n.attr.lag) if is_stream else Name(n.attr.name)


def _const(value: float) -> Expr:
    is_negative = str(value)[0] == "-"
    return Unary("-", Number(-value)) if is_negative else Number(value)


def _unfilled(n: Node) -> Node:
    """A number in a concatenation is a vector of one: `[h[t-1], 1]`."""
    is_number = n.op == "fill" and n.attr == ("1",) and n.args[0].op == "const"
    return n.args[0] if is_number else n


def _path_to(root: Node, target: Node) -> tuple[int, ...]:
    """Which arguments to follow from `root` to reach `target`."""
    paths: dict[Node, tuple[int, ...]] = {target: ()}
    for n in topological([root]):
        for index, arg in enumerate(n.args):
            if arg in paths:
                paths.setdefault(n, (index, *paths[arg]))
    return paths[root]


@dataclass(frozen=True)
class _Macro:
    """What a macro builds: its outermost op, and where its arguments stand."""

    build: Builder
    make: Callable[..., Expr]
    op: str
    paths: tuple[tuple[int, ...], ...]


def _macro(build: Builder, make: Callable[..., Expr], count: int) -> _Macro:
    holes = [leaf(f"x_{k}", "hole") for k in range(count)]
    built = build(*holes)
    return _Macro(build, make, built.op, tuple(_path_to(built, hole) for hole in holes))


MACROS = [_macro(FUNCTIONS[name].build, _call(name), 1) for name in FOLDED]
MACROS.append(_macro(OPERATORS["%"], lambda a, b: Binary("%", a, b), 2))


def _macro_arguments(macro: _Macro, n: Node) -> tuple[Node, ...]:
    """The arguments of `macro`, if `n` is its expansion: equal nodes are the same object."""
    if n.op != macro.op:
        return ()
    args = tuple(_follow(path, n) for path in macro.paths)
    found = tuple(arg for arg in args if arg is not None)
    return found if len(found) == len(args) and macro.build(*found) is n else ()


def _follow(path: tuple[int, ...], n: Node) -> Node | None:
    for index in path:
        if index >= len(n.args):
            return None
        n = n.args[index]
    return n


def _with_shared(equations: list[Valued]) -> list[Valued]:
    """The equations; where one is endless when written out, what it shares gets its own lines."""
    named = {each.value for each in equations}
    roots = [each.value for each in equations]
    inner = _in_order(roots)
    size: dict[Node, int] = {}
    for n, args in inner.items():
        size[n] = 1 + sum(1 if arg in named else size[arg] for arg in args)
    longest = max((size[root] for root in roots), default=0)
    if longest <= LARGEST or longest <= MANIFOLD * len(inner):
        return equations
    users = Counter(arg for args in inner.values() for arg in args)
    taken = {each.name for each in equations} | {n.attr.name for n in inner if n.op == "leaf"}
    free = (f"s_{i}" for i in itertools.count(1) if f"s_{i}" not in taken)
    shared = [n for n in inner if n.args and users[n] > 1 and n not in named]
    return [Valued(next(free), n, bool(n.over)) for n in shared] + equations


def _in_order(roots: Iterable[Node]) -> dict[Node, tuple[Node, ...]]:
    """Every node that is written, with those that stand inside it, which come before it."""
    order: dict[Node, tuple[Node, ...]] = {}
    stack = list(roots)
    known: dict[Node, tuple[Node, ...]] = {}
    while stack:
        current = stack[-1]
        if current not in known:
            known[current] = _spelling(current)[1]
        waiting = [arg for arg in known[current] if arg not in order]
        if waiting:
            stack += waiting
        else:
            order.setdefault(stack.pop(), known[current])
    return order
