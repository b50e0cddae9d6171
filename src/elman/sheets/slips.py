"""The slips of a hand: every expression that is one change away from the right one.

Each is tried by `causes`; nothing here knows what a page claims.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

from elman.language.syntax import Binary, Call, Expr, Join, Number, Transpose, Unary, remake, walk
from elman.sheets.page import Array, Page, Reckoning
from elman.sheets.slip import (
    ELEMENTWISE,
    FACTOR,
    LEFT_OUT,
    ORDER,
    OTHER_NAME,
    POINT,
    SHIFTED,
    SIGN,
    TRANSPOSED,
    Change,
    Slip,
    is_complement,
    plain,
)
from elman.sheets.slips_inside import calls, numbers, powers, product_terms
from elman.sheets.slips_sums import products, sums
from elman.sheets.slips_whole import (
    half_or_double,
    one_too_many,
    renamed,
    swapped_gates,
    swapped_names,
)
from elman.trace.leaves import Dated

MOST_PARTS = 400  # of an expression that slips are looked for in
RARE = 0.3
SIGMOIDS = ("sigmoid", "σ", "logistic")
Path = tuple[int, ...]  # which operand, from the root down
Place = tuple[Path, Expr, Expr | None]  # a part, and the one around it


class Slips:
    """The slips in expressions of a page; `whole` are parts that no slip is looked for in.

    A line is not taken to read what is computed after it.
    """

    def __init__(self, page: Page, whole: frozenset[Expr] = frozenset()) -> None:
        self.page, self.whole = page, whole
        self.exact = Reckoning(page)
        self.of = functools.lru_cache(maxsize=1024)(self._of)

    def _of(self, root: Expr, left: Expr | None = None) -> tuple[Slip, ...]:
        """Every slip in an expression, or in the right side of the line that `left` names."""
        found: list[Slip] = []
        place = self.page.order.get(left) if isinstance(left, Dated) else None
        places = list(self.places(root))
        if len(places) > MOST_PARTS:
            return ()
        is_single = left in self.known and self.known[left].size == 1  # type: ignore[index]
        for path, part, parent in places:
            for change in self.changes(part, parent, place):
                if is_single and change.label == "softmax":
                    continue  # it would be 1
                changed = rebuilt(root, path, change.part)
                label = (change.kind, path, change.label)
                found.append(Slip(change.kind, change.text, changed, label, change.share))
        found += self.through(root, left, [part for _, part, _ in places])
        return tuple(slip for slip in found if slip.expr != root)

    def through(self, root: Expr, left: Expr | None, parts: Sequence[Expr]) -> Iterator[Slip]:
        """The slips that run through a line."""
        place = self.page.order.get(left) if isinstance(left, Dated) else None
        yield from swapped_gates(root, parts)
        yield from swapped_names(root, parts, self.known, self.whole)
        yield from renamed(root, parts, lambda name: self.names(name, None, place), self.whole)
        if isinstance(left, Dated) and left in self.known:
            yield from one_too_many(root, left, self.known[left].shape)
            yield from half_or_double(root, left)

    def places(self, root: Expr) -> Iterator[Place]:
        stack: list[Place] = [((), root, None)]
        while stack:
            path, part, parent = stack.pop()
            yield path, part, parent
            if part in self.whole and path:
                continue
            stack += [((*path, k), each, part) for k, each in reversed([*enumerate(part.parts)])]

    def changes(self, part: Expr, parent: Expr | None, place: int | None) -> Iterator[Change]:
        match part:
            case Binary(op="+" | "-") if not _is(parent, "+-"):
                yield from sums(part)
            case Binary(op="*" | "/") if not _is(parent, "*/"):
                yield from products(part, self.gates)
            case Binary(op="@"):
                yield from self.matrix_products(part)
            case Binary(op="**"):
                yield from powers(part)
            case Unary():
                yield Change(SIGN, f"the sign of {plain(part)} is lost", part.arg)
            case Call():
                yield from calls(part)
            case Join() if len(part.items) > 1:
                turned = Join(part.items[::-1])
                yield Change(ORDER, f"{plain(turned)} is taken for {plain(part)}", turned)
            case Transpose():
                yield Change(TRANSPOSED, f"{plain(part.arg)} is not transposed", part.arg)
            case Number() if not _is(parent, "**"):
                yield from numbers(part)
            case Dated():
                yield from self.names(part, parent, place)

    def names(self, part: Dated, parent: Expr | None, place: int | None) -> Iterator[Change]:
        """Another step, another name of the same shape, a weight with its point elsewhere."""
        order, last = self.page.order, len(self.page.order) if place is None else place
        known = {name: a for name, a in self.known.items() if order.get(name, -1) < last}
        if part.step is not None:
            for shift in (-1, 1, -2):
                other = Dated(part.name, part.step + shift, part.kind)
                if other in known:
                    text = f"{plain(other)} is taken for {plain(part)}"
                    yield Change(SHIFTED, text, other, shift, 1.0 if shift > -2 else RARE)
            before = Dated(part.name, 0, part.kind)
            if part.step == 1 and part in self.page.given and before not in known:
                text = f"{plain(before)}, which is 0, is taken for {plain(part)}"
                yield Change(SHIFTED, text, Binary("*", Number(0.0), part), -1, RARE)
        shape = known[part].shape if part in known else None
        for other in known:
            is_kin = (other.name == part.name) != (other.kind == part.kind)  # d_h for d_h_in too
            if is_kin and other.step == part.step and known[other].shape == shape:
                text = f"{plain(other)} is taken for {plain(part)}"
                yield Change(OTHER_NAME, text, other, other.name)
        line = self.page.lines.get(part)
        if line is not None and isinstance(line.expr, Call) and len(line.expr.args) == 1:
            text = f"{plain(part)} is taken before its {line.expr.function}"
            yield Change(LEFT_OUT, text, line.expr.args[0], "before", RARE)
        if part in self.page.given and known[part].size == 1 and not _is(parent, "@"):
            for power in (10.0, 0.1):
                text = f"the decimal point of {plain(part)} is shifted"
                shifted = Binary("*", part, Number(power))
                yield Change(POINT, text, shifted, power)

    @functools.cached_property
    def known(self) -> dict[Dated, Array]:
        return self.page.known

    @functools.cached_property
    def gates(self) -> frozenset[str]:
        """The names that are between 0 and 1: of a sigmoid, or with a 1 - z somewhere."""
        found = set()
        for left, line in self.page.lines.items():
            if isinstance(line.expr, Call) and line.expr.function in SIGMOIDS:
                found.add(left.name)
            complements = (part.parts[1] for part in walk(line.expr) if is_complement(part))
            found |= {gate.name for gate in complements if isinstance(gate, Dated)}
        return frozenset(found)

    def matrix_products(self, part: Binary) -> Iterator[Change]:
        left, right = part.left, part.right
        whole = plain(part)
        turned = left.arg if isinstance(left, Transpose) else Transpose(left)
        yield Change(
            TRANSPOSED, f"{plain(turned)} is taken for {plain(left)}", Binary("@", turned, right)
        )
        times = Binary("*", left, right)
        yield Change(ELEMENTWISE, f"{whole} is worked entry by entry", times)
        yield Change(FACTOR, f"the factor {plain(left)} is left out", right, 0)
        if isinstance(right, Binary) and right.op == "*":
            for k, outer in enumerate(right.parts):
                late = Binary("*", outer, Binary("@", left, right.parts[1 - k]))
                yield Change(ORDER, f"{plain(late)} is worked for {whole}", late, k)
        yield from self.terms(part)

    def terms(self, part: Binary) -> Iterator[Change]:
        """Within the written-out sums: a term left out, or with the other sign."""
        try:
            matrix = self.exact.worked(part.left)
            vector = self.exact.worked(part.right)
        except (KeyError, ValueError, AssertionError):
            return
        yield from product_terms(part, matrix, vector)


def rebuilt(root: Expr, path: Path, part: Expr) -> Expr:
    """The expression with another part at a place."""
    around = [root]
    for k in path[:-1]:
        around.append(around[-1].parts[k])
    for expr, k in zip(reversed(around), reversed(path), strict=True) if path else ():
        parts = list(expr.parts)
        parts[k] = part
        part = remake(expr, parts)
    return part


def _is(expr: Expr | None, ops: str) -> bool:
    return isinstance(expr, Binary) and (expr.op == ops or (expr.op in ops and ops != "**"))
