"""A right side of a page: items -> syntax tree, its products still undecided.

Side by side binds tighter than a product sign, a product sign tighter than + and -. What stands in
brackets is read by the same function again: brackets are at most 100 deep (`tree` sees to it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from elman.errors import SyntaxProblem
from elman.language.latex_atoms import AtomReader
from elman.language.latex_nodes import Product, Ref
from elman.language.latex_tree import Item, is_sign
from elman.language.source import Fault, Span, Token
from elman.language.syntax import Binary, Expr, Join, Unary

COMPARED = {"<": "<", ">": ">", "<=": "<=", ">=": ">=", "!=": "!=", "=": "=="}
PRODUCTS = {r"\odot": "*", r"\circ": "*", r"\cdot": ".", r"\times": ".", "*": ".", r"\otimes": "x"}
LEVELS = {r"\oplus": 0, r"\|": 0}
LEVELS |= dict.fromkeys(COMPARED, 1) | {"%": 2, "+": 3, "-": 3} | dict.fromkeys(PRODUCTS, 4)
LEVELS |= {"@": 4, "/": 4, "**": 5}
_SKIPPED = ("newline", "align", "quad", "break")


@dataclass(slots=True)
class _State:
    """Values and operators that wait, and the factors that stand side by side just now."""

    values: list[Expr] = field(default_factory=list)
    operators: list[Token] = field(default_factory=list)
    run: list[Expr] = field(default_factory=list)
    signs: list[Token] = field(default_factory=list)


class ExpressionReader(AtomReader):
    """Reads whole right sides; `AtomReader` reads what stands between two operators."""

    def expression(self, items: Sequence[Item], around: Span) -> Expr:
        """The value of all of `items`; `around` is blamed where there are none."""
        kept = [i for i in items if not (isinstance(i, Token) and i.kind in _SKIPPED)]
        state = _State()
        at = 0
        while at < len(kept):
            item = kept[at]
            is_operator = is_sign(item, *LEVELS)
            if is_operator and state.run and isinstance(item, Token):
                self.end_run(state)
                self.reduce(state, LEVELS[item.text])
                state.operators.append(item)
            elif is_sign(item, "-", "+") and isinstance(item, Token):
                state.signs.append(item)
            elif is_operator and not is_sign(item, r"\|"):
                raise self.missing_value(item, state)
            else:
                value, at = self.atom(kept, at)
                state.run.append(self.signed(value, state))
                continue
            at += 1
        if not state.run:
            raise self.nothing_follows(state, around)
        self.end_run(state)
        self.reduce(state, 0)
        return self.joined(state.values)

    def joined(self, values: list[Expr]) -> Expr:
        if len(values) == 1:
            return values[0]
        items = [part for v in values for part in (v.items if isinstance(v, Join) else (v,))]
        return Join(tuple(items), span=values[0].span.to(values[-1].span))

    def signed(self, value: Expr, state: _State) -> Expr:
        for sign in reversed(state.signs):
            if sign.text == "-":
                value = Unary("-", value, span=sign.span.to(value.span))
        state.signs.clear()
        return value

    def end_run(self, state: _State) -> None:
        run = state.run
        if len(run) > 1 and state.operators and state.operators[-1].text == "/":
            slash = state.operators[-1]
            headline = "it is not clear where what / divides by ends"
            fix = r"Write \frac{...}{...}, or brackets around it."
            span = slash.span.to(run[-1].span)
            raise Fault(SyntaxProblem, "E155", headline, span, fix=fix)
        for left, right in pairwise(run):
            self.refuse_bias_inside(left, right)
        span = run[0].span.to(run[-1].span)
        state.values.append(run[0] if len(run) == 1 else Product(tuple(run), "", span=span))
        state.run = []

    def refuse_bias_inside(self, left: Expr, right: Expr) -> None:
        """`W_u [a, x + b_u]`: the bias of the product stands inside the list."""
        last = right.items[-1] if isinstance(right, Join) and len(right.items) > 1 else None
        if not (isinstance(left, Ref) and isinstance(last, Binary) and last.op == "+"):
            return
        bias = last.right
        is_bias = isinstance(bias, Ref) and bias.time is None and bias.name[0] in "bc"
        if left.time is None and is_bias and right.span.line == last.span.line:
            quote, quoted = self.source.quote, self.source.quote(left.span.to(right.span))
            inner = Span(right.span.line, right.span.start, last.left.span.end)
            closing = quote(right.span)[-1:]
            headline = f"{quoted} adds {quote(bias.span)} to a part of the list"
            rule = "A bias is as long as the result, not as one part of the list."
            fix = f"Did you mean {quote(left.span)} {quote(inner)}{closing} + {quote(bias.span)}?"
            raise Fault(SyntaxProblem, "E154", headline, last.span, rule=rule, fix=fix)

    def reduce(self, state: _State, level: int) -> None:
        """Apply the waiting operators that bind as tight as `level` or tighter."""
        while state.operators and LEVELS[state.operators[-1].text] >= max(level, 1):
            operator = state.operators.pop()
            right, left = state.values.pop(), state.values.pop()
            text, span = operator.text, left.span.to(right.span)
            if text in COMPARED and level == 1:
                headline, fix = "comparisons cannot be chained", "Conditions are 0 or 1: multiply."
                raise Fault(SyntaxProblem, "E119", headline, operator.span, fix=fix)
            if text in PRODUCTS:
                state.values.append(Product((left, right), PRODUCTS[text], span=span))
            else:
                op = COMPARED.get(text, text)
                state.values.append(Binary(op, left, right, span=span))
        while level == 0 and state.operators:
            state.operators.pop()

    def missing_value(self, item: Item, state: _State) -> Fault:
        text = self.source.quote(item.span)
        last = state.signs[-1] if state.signs else state.operators[-1] if state.operators else None
        headline = f"a value is missing before {text}"
        if last:
            headline = f"{self.source.quote(last.span)} is followed by {text}"
        fix = "Write a name, a number or a bracket there."
        return Fault(SyntaxProblem, "E106", headline, item.span, fix=fix)

    def nothing_follows(self, state: _State, around: Span) -> Fault:
        last = state.signs[-1] if state.signs else state.operators[-1] if state.operators else None
        fix = "Write a name, a number or a bracket there."
        if last is None:
            return Fault(SyntaxProblem, "E106", "nothing stands here", around, fix=fix)
        headline = f"nothing follows {self.source.quote(last.span)}"
        return Fault(SyntaxProblem, "E106", headline, last.span, fix=fix)
