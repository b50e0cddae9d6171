r"""Which product a page means: decided by what stands on both sides, once all names are known.

| printed | left and right | read |
|---|---|---|
| any sign or none | a number or scalar, anything | `*` |
| none, `\cdot`, `\times`, `*` | matrix, vector or matrix | `@` |
| none, `\cdot`, `\times`, `*` | vector, vector | `*` |
| none, `\cdot`, `\times`, `*` | vector, matrix (rows: `x_t W`) | `W.T @ x[t]` |
| none, `\cdot` | `a^\top b`, two vectors | `dot(a, b)` |
| none, `\cdot` | `a b^\top`, two vectors | `outer(a, b)` |
| `\odot`, `\circ` | any two | `*` |
| `\otimes` | vectors; the left side is a capital | `outer(a, b)` |
| `\otimes` | vectors; the left side is a small letter | `*` |
| `@` | any two | `@` |
| none | `\mathrm{diag}(a) b` | `a * b` |

A name at a step is a vector unless its equation or a declaration makes it a matrix or a scalar. A
capital without a step (`W`, `\Lambda`) is a matrix, beside `\odot` a vector; a small or Greek
letter is a vector, and a scalar where shapes ask for one: before a matrix (`\lambda A_{t-1}`),
beside an inner product (`w^\top h_t + b`). Before a concatenation every parameter is a matrix. A
capital I that no line computes is the identity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from elman.errors import SyntaxProblem
from elman.language.latex_nodes import Functions, Product
from elman.language.letters import GREEK
from elman.language.source import Fault, Source
from elman.language.syntax import (
    At,
    Binary,
    Call,
    Equation,
    Expr,
    Join,
    Name,
    Number,
    Transpose,
    Unary,
    fold,
    remake,
    walk,
)

# number, scalar, small letter (a vector, or a scalar where one is asked for), vector, row,
# capital (a matrix, or a vector beside vectors), matrix, and the identity
NUMBER, SCALAR, SMALL, VECTOR, ROW, CAPITAL, MATRIX, IDENTITY, OPEN = "nsevrMmi?"
_VECTORS = (SMALL, VECTOR, OPEN)
_MATRICES = (CAPITAL, MATRIX)
_WIDTH = {kind: width for width, kind in enumerate("nseM?rvmi")}
SCALARS = ("sum", "mean", "norm", "dot", "logsumexp")  # what they give is one number
MOST_ROUNDS = 8

Known = tuple[Expr, str]  # an expression, and its kind


@dataclass
class Products:
    """Decides every product of the equations; `scalars` are the letters that had to be scalars."""

    equations: Mapping[str, Equation]
    kinds: dict[str, str]  # of names that a declaration or a constant makes known
    source: Source
    scalars: set[str] = field(default_factory=set)
    left: str = ""  # the name whose equation is read
    computed: dict[str, str] = field(default_factory=dict)

    def decide(self) -> dict[str, Expr]:
        """The right sides with their products decided."""
        self.computed = dict.fromkeys(self.equations, OPEN)
        found = self.rounds()
        if OPEN in self.computed.values():  # only their own past says what they are: vectors
            settled = {OPEN: VECTOR}
            self.computed = {name: settled.get(kind, kind) for name, kind in self.computed.items()}
            found = self.rounds()
        return {name: value for name, (value, _) in found.items()}

    def rounds(self) -> dict[str, Known]:
        """Decide every right side again and again, until no kind changes."""
        found: dict[str, Known] = {}
        for _ in range(MOST_ROUNDS):
            before = dict(self.computed), set(self.scalars)
            for name, equation in self.equations.items():
                found[name] = self.right(name, equation.value)
                self.computed[name] = found[name][1]
            if (self.computed, self.scalars) == before:
                break
        return found

    def right(self, name: str, value: Expr) -> Known:
        self.left = name
        expr, kind = fold(value, self.visit)
        if kind == IDENTITY:
            raise self.lone_identity(value)
        return expr, {ROW: VECTOR}.get(kind, kind)

    # ---- kinds of names ----

    def kind(self, name: str, at_step: bool) -> str:
        if name in self.kinds:
            return self.kinds[name]
        if name in self.scalars:
            return NUMBER
        if name in self.equations:
            return {CAPITAL: VECTOR if at_step else CAPITAL}.get(
                self.computed[name], self.computed[name]
            )
        if at_step:
            return VECTOR
        if name == "I":
            return IDENTITY
        if name == "t":
            return NUMBER
        return CAPITAL if _is_capital(name) else SMALL

    # ---- from the leaves upwards ----

    def visit(self, expr: Expr, parts: list[Known]) -> Known:
        match expr:
            case Number():
                return expr, NUMBER
            case At(name=name):
                return expr, self.kind(name, at_step=True)
            case Name(name=name):
                return expr, self.kind(name, at_step=False)
            case Transpose():
                return self.transposed(expr, *parts)
            case Product(sign=sign):
                return self.product(expr, sign, parts)
            case Functions():
                raise self.stray_functions(expr)
        is_sum = isinstance(expr, Unary) or (isinstance(expr, Binary) and expr.op in "+-")
        for value, kind in parts:
            if kind == IDENTITY and not is_sum:
                raise self.lone_identity(value)
        made = remake(expr, [value for value, _ in parts])
        if isinstance(made, Call) and made.function == "transpose":  # written out, so meant
            made = Transpose(made.args[0], span=expr.span)
        return made, self.outcome(made, [kind for _, kind in parts])

    def outcome(self, made: Expr, kinds: list[str]) -> str:
        match made:
            case Call(function="outer"):
                return MATRIX
            case Call(function=name) if name in SCALARS:
                return NUMBER  # a call on the page: no letter beside it must be a scalar, too
            case Call(function="max" | "min", args=args) if len(args) == 1:
                return NUMBER
            case Join() if kinds and all(kind in _MATRICES for kind in kinds):
                return MATRIX
            case Call(function="softmax" | "cumsum" | "diag") | Join():
                return VECTOR
            case Binary(op="@"):
                return VECTOR if kinds[1] in (*_VECTORS, ROW) else MATRIX
            case Binary(op="+" | "-", left=left, right=right):
                return self.total((left, kinds[0]), (right, kinds[1]))
        return _widest(kinds)

    def total(self, left: Known, right: Known) -> str:
        """The kind of a sum; a bias beside an inner product is a scalar."""
        for (_, kind), (other, small) in ((left, right), (right, left)):
            if kind == SCALAR and small == SMALL and self.is_small_sum(other):
                self.ask_scalar(other)
                return SCALAR
        return _widest([left[1], right[1]])

    def is_small_sum(self, expr: Expr) -> bool:
        return isinstance(expr, Name) and expr.name not in self.equations

    def transposed(self, expr: Transpose, arg: Known) -> Known:
        value, kind = arg
        if kind in (*_MATRICES, IDENTITY):
            return Transpose(value, span=expr.span), MATRIX if kind != IDENTITY else kind
        flipped = {ROW: VECTOR, NUMBER: NUMBER, SCALAR: SCALAR}.get(kind, ROW)
        if isinstance(value, Join):  # [a^T, b^T]^T is one after the other
            return replace(value, span=expr.span), flipped
        return value, flipped

    # ---- products ----

    def product(self, expr: Product, sign: str, parts: list[Known]) -> Known:
        if sign == "x":
            return self.circled(expr, *parts)
        if sign == "*":
            (left, a), (right, b) = parts
            if IDENTITY in (a, b):
                raise self.lone_identity(expr)
            made = Binary("*", left, right, span=expr.span)
            return made, VECTOR if {a, b} & {VECTOR} else _widest([a, b])
        return self.chain(parts)

    def chain(self, parts: list[Known]) -> Known:
        """Factors side by side, from the left; `z_t W x_t` is z_t times the vector W x_t."""
        waiting: list[Known] = []
        value = parts[0]
        for index, factor in enumerate(parts[1:], 1):
            starts = factor[1] in _MATRICES and value[1] in _VECTORS
            if starts and index + 1 < len(parts):
                waiting.append(value)
                value = factor
            else:
                value = self.pair(value, factor)
        while waiting:
            value = self.pair(waiting.pop(), value)
        return value

    def pair(self, left: Known, right: Known) -> Known:
        """The product of two neighbours, by the table at the head of this file."""
        (a, kind_a), (b, kind_b) = left, right
        span = a.span.to(b.span)
        if IDENTITY in (kind_a, kind_b):
            return self.with_identity(left, right)
        if isinstance(a, Call) and a.function == "diag" and kind_b not in _MATRICES:
            return Binary("*", a.args[0], b, span=span), VECTOR
        if {kind_a, kind_b} & {NUMBER, SCALAR}:
            other = kind_b if kind_a in (NUMBER, SCALAR) else kind_a
            return Binary("*", a, b, span=span), other
        if OPEN in (kind_a, kind_b) and kind_a not in _MATRICES:
            return Binary("*", a, b, span=span), OPEN
        if kind_a == ROW and kind_b in _VECTORS:
            return Call("dot", (a, b), span=span), SCALAR
        if kind_b == ROW and kind_a in _VECTORS:
            return Call("outer", (a, b), span=span), MATRIX
        if kind_a in _MATRICES:
            if isinstance(a, Join):
                return self.blocks(a, b)
            kind = MATRIX if kind_b in _MATRICES else VECTOR
            return Binary("@", a, b, span=span), kind
        if isinstance(b, Join) and kind_a == SMALL and isinstance(a, Name):
            return Binary("@", a, b, span=span), VECTOR
        if kind_b in _MATRICES:
            return self.before_matrix(left, right)
        return Binary("*", a, b, span=span), _widest([kind_a, kind_b])

    def before_matrix(self, left: Known, right: Known) -> Known:
        """`\\lambda A_{t-1}` scales the matrix; `x_t W` is a row before it."""
        (a, kind_a), (b, kind_b) = left, right
        span = a.span.to(b.span)
        is_gate = isinstance(a, At) and a.name in self.equations and kind_b == MATRIX
        if kind_a == SMALL or (is_gate and not _is_weight(b)):
            self.ask_scalar(a)
            return Binary("*", a, b, span=span), kind_b
        turned = b.arg if isinstance(b, Transpose) else Transpose(b, span=b.span)
        return Binary("@", turned, a, span=span), ROW if kind_a == ROW else VECTOR

    def blocks(self, left: Join, right: Expr) -> Known:
        """`[W, U] [x; h]` is W x + U h."""
        span = left.span.to(right.span)
        if not isinstance(right, Join) or len(right.items) != len(left.items):
            headline = "a row of matrices stands before something else than a column of as many"
            fix = r"Write W x_t + U h_{t-1}."
            raise Fault(SyntaxProblem, "E155", headline, span, fix=fix)
        products = [
            Binary("@", matrix, vector, span=span)
            for matrix, vector in zip(left.items, right.items, strict=True)
        ]
        total: Expr = products[0]
        for term in products[1:]:
            total = Binary("+", total, term, span=span)
        return total, VECTOR

    def circled(self, expr: Product, left: Known, right: Known) -> Known:
        r"""`\otimes`: of vectors the outer product where a matrix is computed, else elementwise."""
        (a, kind_a), (b, kind_b) = left, right
        if kind_a in _VECTORS and kind_b in _VECTORS and self.left[0].isupper():
            return Call("outer", (a, b), span=expr.span), MATRIX
        if ROW in (kind_a, kind_b):
            headline = r"\otimes of a row may be an outer product or an elementwise one"
            fix = r"Write a b^\top, or a \odot b."
            raise Fault(SyntaxProblem, "E155", headline, expr.span, fix=fix)
        return Binary("*", a, b, span=expr.span), _widest([kind_a, kind_b])

    # ---- scalars that shapes ask for ----

    def ask_scalar(self, expr: Expr) -> None:
        """Make the small letters scalars that give `expr` its width."""
        waiting, seen = [expr], set[str]()
        while waiting:
            for part in walk(waiting.pop()):
                name = part.name if isinstance(part, At | Name) else ""
                if not name or name in seen:
                    continue
                seen.add(name)
                if name in self.equations:
                    waiting.append(self.equations[name].value)
                elif isinstance(part, Name) and self.is_open(part, expr):
                    self.scalars.add(name)

    def is_open(self, name: Name, expr: Expr) -> bool:
        """May the letter be a scalar: a small one that is no row of an inner product?"""
        is_small = self.kind(name.name, at_step=False) == SMALL
        return is_small and not _beside_row(expr, name, self.equations)

    # ---- the identity ----

    def with_identity(self, left: Known, right: Known) -> Known:
        """`(A - \\gamma I) h` is A h - \\gamma h."""
        (a, kind_a), (b, kind_b) = left, right
        span = a.span.to(b.span)
        if kind_a != IDENTITY:
            return Product((a, b), span=span), IDENTITY  # \gamma I, times a vector later
        if kind_b in _MATRICES or kind_b == IDENTITY:
            raise self.lone_identity(a)
        total: Expr | None = None
        for negative, term in _terms(a):
            value = b if _is_identity(term) else self.scaled(term, b)
            if total is None:
                total = Unary("-", value, span=span) if negative else value
            else:
                total = Binary("-" if negative else "+", total, value, span=span)
        assert total is not None
        return total, VECTOR

    def scaled(self, term: Expr, vector: Expr) -> Expr:
        span = term.span.to(vector.span)
        if isinstance(term, Product):  # \gamma I
            return Binary("*", term.items[0], vector, span=span)
        return Binary("@", term, vector, span=span)

    def lone_identity(self, expr: Expr) -> Fault:
        headline = "the identity I stands where no vector follows it"
        rule = "A capital I without a step is the identity; it is read before a vector."
        fix = 'Write it out, or say that it is a weight: symbols={"I": "W_I"}.'
        return Fault(SyntaxProblem, "E156", headline, expr.span, rule=rule, fix=fix)

    def stray_functions(self, expr: Expr) -> Fault:
        headline = "a column of functions stands where a value is expected"
        rule = "It is read at the head of a right side whose left side is a column of names."
        fix = "Write one equation a line."
        return Fault(SyntaxProblem, "E159", headline, expr.span, rule=rule, fix=fix)


def _is_capital(name: str) -> bool:
    """`W_f`; `core_W_f`, the W of what is called core."""
    letter, _, rest = name.partition("_")
    if letter[:1].isupper():  # W, Wx, W1, WREC, Gamma
        return True
    if len(letter) > 1 and letter not in GREEK:
        letter = rest.partition("_")[0]
    return letter[:1].isupper() and (len(letter) == 1 or letter in GREEK or not rest)


def _widest(kinds: Iterable[str]) -> str:
    known = list(kinds)
    if VECTOR in known and IDENTITY not in known:
        return VECTOR
    widest = max(known, key=_WIDTH.__getitem__, default=NUMBER)
    return MATRIX if widest in _MATRICES and known.count(CAPITAL) > 1 else widest


def _is_weight(expr: Expr) -> bool:
    return all(not isinstance(part, At) for part in walk(expr))


def _beside_row(expr: Expr, name: Name, equations: Mapping[str, Equation]) -> bool:
    """Is the letter the row of an inner product, `w^\\top x`, which is a scalar already?"""
    holders = [expr, *(equation.value for equation in equations.values())]
    rows = {
        part.arg.name
        for holder in holders
        for part in walk(holder)
        if isinstance(part, Transpose) and isinstance(part.arg, Name)
    }
    return name.name in rows


def _terms(expr: Expr) -> list[tuple[bool, Expr]]:
    """The terms of a sum, each with whether it is taken away."""
    found: list[tuple[bool, Expr]] = []
    stack = [(False, expr)]
    while stack:
        negative, part = stack.pop()
        match part:
            case Binary(op="+" | "-" as op, left=left, right=right):
                stack.append((negative != (op == "-"), right))
                stack.append((negative, left))
            case Unary(arg=arg):
                stack.append((not negative, arg))
            case _:
                found.append((negative, part))
    return found


def _is_identity(expr: Expr) -> bool:
    return isinstance(expr, Name) and expr.name == "I"
