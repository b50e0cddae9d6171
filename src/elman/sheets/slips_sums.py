"""The slips of a hand in sums and products: what may have become of their terms and factors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from elman.language.syntax import Binary, Call, Expr, Number, Unary
from elman.sheets.slip import (
    BRACKETS,
    DERIVATIVE,
    DROPPED,
    FACTOR,
    GATE,
    OPERATOR,
    ORDER,
    SIGN,
    Change,
    is_complement,
    plain,
)
from elman.trace.leaves import Dated

RARE = 0.3  # beside the slip of one term or factor
Signed = tuple[bool, Expr]  # whether it is added, and what


def sums(part: Binary) -> Iterator[Change]:
    """A sum with a term left out, alone, or of the other sign; 1 - z for z; a product for it."""
    terms = list(signed_terms(part))
    if is_complement(part):
        text = f"{plain(part.right)} is taken for {plain(part)}"
        yield Change(GATE, text, part.right, "z for 1 - z")
        text = f"the sign in {plain(part)} is wrong"
        yield Change(SIGN, text, Binary("+", part.left, part.right))
        yield Change(ORDER, f"{plain(part)} is turned round", Binary("-", part.right, part.left))
        yield Change(DROPPED, f"{plain(part.right)} is left out", part.left, 1, RARE)
        return
    for k, (is_added, term) in enumerate(terms):
        rest = [*terms[:k], *terms[k + 1 :]]
        yield Change(DROPPED, f"{plain(term)} is left out", summed(rest), k)
        turned = [*terms[:k], (not is_added, term), *terms[k + 1 :]]
        how = "subtracted, not added" if is_added else "added, not subtracted"
        yield Change(SIGN, f"{plain(term)} is {how}", summed(turned), k)
        if len(terms) > 2:
            text = f"only {plain(term)} is taken"
            yield Change(DROPPED, text, summed([terms[k]]), ("only", k), RARE)
    for k in range(len(terms) - 1):
        (_, a), (_, b) = terms[k : k + 2]
        product = Binary("*", a, b)
        changed = summed([*terms[:k], (terms[k][0], product), *terms[k + 2 :]])
        pair = summed([(True, a), (terms[k + 1][0] == terms[k][0], b)])
        share = 1.0 if len(terms) == 2 else RARE
        text = f"{plain(product)} is worked for {plain(pair)}"
        yield Change(OPERATOR, text, changed, k, share)
    if len(terms) == 2 and not terms[1][0]:
        yield Change(DROPPED, f"only {plain(terms[1][1])} is taken", terms[1][1], "last", RARE)
    if len({each.name for _, each in terms if isinstance(each, Dated)}) == 1 and all(
        isinstance(each, Dated) and is_added for is_added, each in terms
    ):
        mean = Binary("/", summed(terms), Number(float(len(terms))))
        yield Change(OPERATOR, "the mean is taken, not the sum", mean, "mean", RARE)
    yield from late_brackets(terms)
    if len(terms) == 2 and part.op == "-":
        turned = [(False, part.left), (True, part.right)]
        yield Change(ORDER, f"{plain(part)} is turned round", summed(turned))


def late_brackets(terms: Sequence[Signed]) -> Iterator[Change]:
    """a * b + c worked as a * (b + c), where the two stand side by side."""
    for k in range(len(terms) - 1):
        (is_added, product), (is_next_added, term) = terms[k : k + 2]
        if isinstance(product, Binary) and product.op == "*":
            inner = summed([(True, product.right), (is_next_added == is_added, term)])
            changed = Binary("*", product.left, inner)
            text = f"{plain(changed)} is worked, with brackets that are not there"
            rest = summed([*terms[:k], (is_added, changed), *terms[k + 2 :]])
            yield Change(BRACKETS, text, rest, k, RARE)


def lost_brackets(factors: Sequence[Signed]) -> Iterator[Change]:
    """(a + b) * c worked as a + b * c, and c * (a + b) as c * a + b."""
    for k, (is_times, factor) in enumerate(factors):
        terms = signed_terms(factor)
        rest = [*factors[:k], *factors[k + 1 :]]
        if len(terms) < 2 or not is_times or not rest:
            continue
        for place in (0, len(terms) - 1):
            is_added, term = terms[place]
            scaled = multiplied([(True, term), *rest])
            kept = summed([*terms[:place], (is_added, scaled), *terms[place + 1 :]])
            text = f"{plain(kept)} is worked, without the brackets"
            yield Change(BRACKETS, text, kept, (k, place), RARE)


def swallowed(factors: Sequence[Signed]) -> Iterator[Change]:
    """o * f(c) worked as f(o * c), and g * v**2 as (g * v)**2."""
    for k, (is_times, factor) in enumerate(factors):
        rest = [*factors[:k], *factors[k + 1 :]]
        if not is_times or not rest:
            continue
        if isinstance(factor, Call) and len(factor.args) == 1:
            inner = multiplied([*rest, (True, factor.args[0])])
            changed: Expr = Call(factor.function, (inner,))
        elif isinstance(factor, Binary) and factor.op == "**":
            changed = Binary("**", multiplied([*rest, (True, factor.left)]), factor.right)
        else:
            continue
        text = f"{plain(changed)} is worked, the brackets around all"
        yield Change(BRACKETS, text, changed, ("all", k), RARE)


def signed_terms(expr: Expr) -> list[Signed]:
    """The terms of a sum from left to right."""
    found: list[Signed] = []
    stack: list[Signed] = [(True, expr)]
    while stack:
        is_added, part = stack.pop()
        if isinstance(part, Binary) and part.op in "+-":
            stack += [(is_added == (part.op == "+"), part.right), (is_added, part.left)]
        else:
            found.append((is_added, part))
    return found


def summed(terms: Sequence[Signed]) -> Expr:
    """The sum of terms."""
    (is_added, first), *rest = terms
    found: Expr = first if is_added else Unary("-", first)
    for is_added, term in rest:
        found = Binary("+" if is_added else "-", found, term)
    return found


def products(part: Binary, gates: frozenset[str]) -> Iterator[Change]:
    """A product with a factor left out, a gate for its complement, a sum or quotient for it."""
    factors = list(signed_factors(part))
    for k, (is_times, factor) in enumerate(factors):
        rest = [*factors[:k], *factors[k + 1 :]]
        what = "factor" if is_times else "divisor"
        yield Change(FACTOR, f"the {what} {plain(factor)} is left out", multiplied(rest), k)
        if len(factors) > 2:
            alone = multiplied([factors[k]])
            yield Change(FACTOR, f"only {plain(alone)} is taken", alone, ("only", k), RARE)
        if isinstance(factor, Dated) and factor.name in gates and is_times:
            one = Binary("-", Number(1.0), factor)
            changed = [*factors[:k], (True, one), *factors[k + 1 :]]
            text = f"{plain(one)} is taken for {plain(factor)}"
            yield Change(GATE, text, multiplied(changed), k)
        if not is_times:
            turned = [*factors[:k], (True, factor), *factors[k + 1 :]]
            text = f"it is multiplied by {plain(factor)}, not divided"
            yield Change(OPERATOR, text, multiplied(turned), k)
    if len(factors) == 2 and part.op == "*":
        total = Binary("+", part.left, part.right)
        yield Change(OPERATOR, f"{plain(total)} is worked for {plain(part)}", total, "+")
    yield from lost_brackets(factors)
    yield from swallowed(factors)
    yield from derivatives(factors)


def derivatives(factors: Sequence[Signed]) -> Iterator[Change]:
    """a * (1 - a), as for sigmoid, where 1 - a**2 belongs, as for tanh; and the other way."""
    plain_factors = [factor for _, factor in factors]
    for k, factor in enumerate(plain_factors):
        if not is_complement(factor) or not isinstance(factor, Binary):
            continue
        square = factor.right
        if isinstance(square, Binary) and square.op == "**":
            a = square.left
            changed = [
                *factors[:k],
                (True, a),
                (True, Binary("-", Number(1.0), a)),
                *factors[k + 1 :],
            ]
            text = "the derivative of sigmoid is taken for that of tanh"
            yield Change(DERIVATIVE, text, multiplied(changed), k)
        elif square in plain_factors:
            kept = [f for f in factors if f[1] is not factor and f[1] != square]
            tanh = Binary("-", Number(1.0), Binary("**", square, Number(2.0)))
            text = "the derivative of tanh is taken for that of sigmoid"
            yield Change(DERIVATIVE, text, multiplied([*kept, (True, tanh)]), k)


def signed_factors(expr: Expr) -> list[Signed]:
    """The factors of a product, each with whether it multiplies."""
    found: list[Signed] = []
    stack: list[Signed] = [(True, expr)]
    while stack:
        is_times, part = stack.pop()
        if isinstance(part, Binary) and part.op in ("*", "/"):
            stack += [(is_times == (part.op == "*"), part.right), (is_times, part.left)]
        else:
            found.append((is_times, part))
    return found


def multiplied(factors: Sequence[Signed]) -> Expr:
    """The product of factors."""
    found: Expr | None = None
    for is_times, factor in factors:
        if found is None:
            found = factor if is_times else Binary("/", Number(1.0), factor)
        else:
            found = Binary("*" if is_times else "/", found, factor)
    return Number(1.0) if found is None else found
