"""Fractions, roots, sums over numbers, cases and matrices of a page."""

from __future__ import annotations

from collections.abc import Sequence

from elman.errors import NameProblem, SyntaxProblem, nearest
from elman.language.functions import FUNCTIONS
from elman.language.latex_names import NameReader
from elman.language.latex_nodes import Functions
from elman.language.latex_page import Page, called, flat
from elman.language.latex_tree import WORDS, Group, Item, is_sign, span_of, split
from elman.language.source import Fault, Source, Span, Token
from elman.language.syntax import Binary, Call, Expr, Join, Number

MOST_TERMS = 100
_OTHERWISE = ("otherwise", "else", "elsewhere")
_IF = ("if", "when", "for", "where", "in")
_OPPOSITE = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}


class BlockReader:
    """Reads what fills more than a line; `expression` is given by the class below it."""

    def __init__(self, page: Page, source: Source) -> None:
        self.page = page
        self.source = source
        self.names = NameReader(page, source)
        self.functions = 0  # that wait for an argument without brackets: \tanh \tanh x

    def expression(self, items: Sequence[Item], around: Span) -> Expr:
        raise NotImplementedError

    # ---- fractions and roots ----

    def fraction(self, items: Sequence[Item], at: int) -> tuple[Expr, int]:
        """`\\frac{a}{b}`, `\\frac12`."""
        parts: list[Expr] = []
        end = at + 1
        for _ in range(2):
            item = items[end] if end < len(items) else None
            if item is None:
                headline = r"\frac needs two parts"
                fix = r"Write \frac{a}{b}."
                raise Fault(SyntaxProblem, "E155", headline, items[at].span, fix=fix)
            if isinstance(item, Token) and item.kind == "number" and len(item.text) == 2:
                if parts or not item.text.isdecimal():  # \frac12 is one half
                    parts.append(self.expression([item], item.span))
                else:
                    parts += [Number(float(digit), span=item.span) for digit in item.text]
                    end += 1
                    break
            else:
                inner = item.items if isinstance(item, Group) else [item]
                parts.append(self.expression(inner, item.span))
            end += 1
        left, right = parts[:2]
        span = items[at].span.to(items[end - 1].span)
        return Binary("/", left, right, span=span), end

    def root(self, items: Sequence[Item], at: int) -> tuple[Expr, int]:
        """`\\sqrt{x}`, `\\sqrt[3]{x}`."""
        end = at + 1
        degree = items[end] if end < len(items) else None
        is_degree = isinstance(degree, Group) and degree.kind == "[" and end + 1 < len(items)
        end += is_degree
        if end >= len(items):
            headline = r"\sqrt stands without its argument"
            fix = r"Write \sqrt{x}."
            raise Fault(SyntaxProblem, "E155", headline, items[at].span, fix=fix)
        inner = items[end]
        span = items[at].span.to(inner.span)
        value = self.expression(inner.items if isinstance(inner, Group) else [inner], inner.span)
        if is_degree and isinstance(degree, Group):
            power = Binary(
                "/", Number(1.0, span=span), self.expression(degree.items, span), span=span
            )
            return Binary("**", value, power, span=span), end + 1
        return Call("sqrt", (value,), span=span), end + 1

    # ---- sums ----

    def sum_over(self, items: Sequence[Item], at: int) -> tuple[Expr, int]:
        """`\\sum_{k=1}^{3} U_k h_{t-k}`: the terms, written out."""
        low: list[Item] = []
        high: list[Item] = []
        end = at + 1
        while end < len(items) and is_sign(items[end], "_", "^"):
            script, after = self.names.script(items, end)
            low, high = (script, high) if is_sign(items[end], "_") else (low, script)
            end = after
        stop = end
        while stop < len(items) and not is_sign(items[stop], "+", "-", "=", ",", "<", ">"):
            stop += 1
        span = items[at].span.to(span_of(items[at:end]))
        letter, first, last = self.bounds(low, high, span)
        terms = [
            self.expression(_with_number(items[end:stop], letter, number), span)
            for number in range(first, last + 1)
        ]
        total = terms[0]
        for term in terms[1:]:
            total = Binary("+", total, term, span=span.to(items[stop - 1].span))
        return total, stop

    def bounds(self, low: Sequence[Item], high: Sequence[Item], span: Span) -> tuple[str, int, int]:
        match flat(low), flat(high):
            case [
                Token(kind="letter") as letter,
                Token(text="="),
                Token(kind="number") as first,
            ], [Token(kind="number") as last]:
                numbers = first.text, last.text
                if all(n.isdecimal() and len(n) < 6 for n in numbers):
                    start, stop = map(int, numbers)
                    if start <= stop < start + MOST_TERMS:
                        return letter.text, start, stop
        headline = f"{self.source.quote(span)} is not a sum over a few numbers"
        rule = "A sum runs between two numbers; sums over entries are matrix products."
        fix = r"Write \sum_{k=1}^{3}, W h_{t-1} for \sum_j W_{ij} h_j, or \text{sum}(x)."
        raise Fault(SyntaxProblem, "E156", headline, span, rule=rule, fix=fix)

    # ---- cases ----

    def cases(self, group: Group) -> Expr:
        """Cases `a & \\text{if } c` and `b & \\text{otherwise}` are where(c, a, b)."""
        rows: list[tuple[Expr, Expr | None]] = []
        for row in split(group.items, kinds=("break",)):
            if any(not (isinstance(i, Token) and i.kind in ("align", "newline")) for i in row):
                rows.append(self.case(row, group))
        if not rows:
            raise Fault(SyntaxProblem, "E106", "the cases are empty", group.span, fix="Write them.")
        *others, (value, condition) = rows
        if condition is not None and len(others) == 1 and _are_opposite(others[0][1], condition):
            condition = None
        if not others or condition is not None:
            headline = "the cases do not say what holds otherwise"
            fix = r"End them with a row b & \text{otherwise}."
            raise Fault(SyntaxProblem, "E157", headline, group.span, fix=fix)
        for chosen, when in reversed(others):
            if when is None:
                headline = "a case without a condition is not the last one"
                fix = r"Write a & \text{if } c."
                raise Fault(SyntaxProblem, "E157", headline, chosen.span, fix=fix)
            value = Call("where", (when, chosen, value), span=group.span)
        return value

    def case(self, row: list[Item], group: Group) -> tuple[Expr, Expr | None]:
        parts = [part for part in split(row, kinds=("align", "quad")) if part]
        if len(parts) == 1:
            head, *rest = split(parts[0], ",")
            if not rest:
                at = next((i for i, item in enumerate(head) if _word(item) in _IF), len(head))
                head, rest = head[:at], [head[at:]]
            parts = [head, [item for part in rest for item in part]]
        value = self.expression([i for i in parts[0] if not is_sign(i, ",", ";")], group.span)
        condition = [
            item
            for part in parts[1:]
            for item in part
            if _word(item) not in _IF and not is_sign(item, ",", ";", ".")
        ]
        if not condition or all(_word(item) in _OTHERWISE for item in condition):
            return value, None
        return value, self.expression(condition, span_of(condition))

    # ---- matrices ----

    def matrix(self, group: Group) -> Expr:
        """A column of values is one vector; rows of numbers are a matrix."""
        items = group.items
        if group.kind == "array" and items and isinstance(items[0], Group):
            items = items[1:]
        items = tuple(i for i in items if not (isinstance(i, Token) and i.kind == "newline"))
        rows = [split(row, kinds=("align",)) for row in split(items, kinds=("break",))]
        rows = [[cell for cell in row if cell] or [] for row in rows]
        rows = [row for row in rows if row]
        functions = [is_function(row[0][0]) if len(row[0]) == 1 else None for row in rows]
        if rows and all(functions) and all(len(row) == 1 for row in rows):
            return Functions(tuple(f for f in functions if f), span=group.span)
        values = [[self.expression(cell, group.span) for cell in row] for row in rows]
        if not values:
            headline = "the matrix is empty"
            raise Fault(SyntaxProblem, "E106", headline, group.span, fix="Write its entries.")
        if all(len(row) == 1 for row in values) or len(values) == 1:
            parts = [
                part
                for row in values
                for cell in row
                for part in (cell.items if isinstance(cell, Join) else (cell,))
            ]
            return Join(tuple(parts), span=group.span)
        lines = tuple(Join(tuple(row), span=group.span) for row in values)
        return Join(lines, span=group.span)

    def not_a_value(self, item: Item) -> Fault:
        """A sign, a command or a bracket that stands where a value must."""
        text = self.source.quote(item.span)
        if isinstance(item, Group) or item.kind in ("sign", "align", "break", "newline"):
            headline = f"{text or 'the line'} stands where a value is expected"
            fix = "Write a name, a number or a bracket there."
            return Fault(SyntaxProblem, "E106", headline, item.span, fix=fix)
        if item.kind == "stray":
            headline, fix = f"{text!r} is not part of the notation", "Remove it."
            return Fault(SyntaxProblem, "E103", headline, item.span, fix=fix)
        if item.text == r"\dots":
            headline = f"{text} leaves out what the cell needs"
            return Fault(SyntaxProblem, "E156", headline, item.span, fix="Write every term out.")
        word = item.text.lstrip("\\")
        near = nearest(word, FUNCTIONS)
        fix = f'Say what it is, symbols={{r"{text}": "tanh"}}, or write it out.'
        if near:
            fix = f"Did you mean \\{near.split(chr(39))[1]}?"
        headline = f"{text} is not known here"
        return Fault(NameProblem, "E153", headline, item.span, fix=fix)


def is_function(item: Item) -> str | None:
    """The function that one item names: `\\tanh`, `\\sigma`, `\\text{ReLU}`."""
    if isinstance(item, Group):
        return is_function(item.items[0]) if item.kind == "{" and len(item.items) == 1 else None
    if item.kind == "command":
        return "sigmoid" if item.text == r"\sigma" else called(item.text[1:])
    return "sigmoid" if item.text == "σ" else called(item.text) if item.kind in WORDS else None


def _word(item: Item) -> str:
    is_word = isinstance(item, Token) and item.kind == "word"
    return item.text.strip(" .,:").lower() if is_word and isinstance(item, Token) else ""


def _are_opposite(first: Expr | None, second: Expr) -> bool:
    """`x \\ge 0` and `x < 0`."""
    if not (isinstance(first, Binary) and isinstance(second, Binary)):
        return False
    same = first.left == second.left and first.right == second.right
    return same and _OPPOSITE.get(first.op) == second.op


def _with_number(items: Sequence[Item], letter: str, number: int) -> list[Item]:
    """The items with a number for the letter that counts."""
    made: list[Item] = []
    for item in items:
        if isinstance(item, Group):
            inner = tuple(_with_number(item.items, letter, number))
            made.append(Group(item.kind, inner, item.span, item.inner))
        elif item.kind == "letter" and item.text == letter:
            made.append(Token("number", str(number), item.span))
        else:
            made.append(item)
    return made
