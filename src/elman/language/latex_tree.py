"""LaTeX tokens -> brackets within brackets: what stands in a pair becomes one item of a list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from elman.errors import SyntaxProblem
from elman.language.latex_tokens import CLOSES, OPENS
from elman.language.read_expression import DEEPEST
from elman.language.source import Fault, Span, Token

# environments that only set type: their lines are lines of what stands around them
PLAIN = frozenset(
    [
        "align",
        "aligned",
        "alignat",
        "alignedat",
        "equation",
        "eqnarray",
        "gather",
        "gathered",
        "split",
        "multline",
        "flalign",
        "displaymath",
        "math",
        "dmath",
        "subequations",
        "dcases",
        "document",
        "center",
        "IEEEeqnarray",
    ]
) - {"dcases"}
MATRICES = frozenset(
    ["matrix", "pmatrix", "bmatrix", "Bmatrix", "vmatrix", "Vmatrix", "smallmatrix", "array"]
)
CASES = frozenset({"cases", "dcases", "rcases"})
_OPERATORS = ("+", "-", "@", "*", "/", "=", "<", ">", ",", ":", r"\odot", r"\circ", r"\|")
WORDS = ("word", "name")
_BARS = {"|": "|", r"\|": r"\|"}


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """What stands between two brackets; kind is the opening one, or the environment's name."""

    kind: str
    items: tuple[Item, ...]
    span: Span
    inner: Span  # without the brackets


Item = Token | Group


@dataclass(slots=True)
class _Open:
    kind: str  # the bracket, `left` before one, or `begin` with a name
    text: str
    token: Token
    items: list[Item] = field(default_factory=list)


def tree(tokens: Iterable[Token]) -> tuple[Item, ...]:
    """The tokens with every pair of brackets as one group."""
    stack = [_Open("", "", Token("end", "", Span(0, 0, 0)))]
    words = iter(tokens)
    for token in words:
        if token.text in (r"\left", r"\right") and token.kind == "command":
            delimiter = next(words, token)
            if token.text == r"\left":
                _push(stack, _Open("left", delimiter.text, token))
            else:
                _close_right(stack, token, delimiter)
        elif token.kind == "newline" and len(stack) > 1:
            continue
        elif token.kind == "begin":
            _push(stack, _Open("begin", token.text, token))
        elif token.kind == "end":
            _close(stack, token, "begin", token.text)
        elif token.kind not in WORDS and token.text in OPENS:
            _push(stack, _Open("bracket", token.text, token))
        elif token.kind not in WORDS and token.text in CLOSES:
            _close(stack, token, "bracket", CLOSES[token.text])
        else:
            stack[-1].items.append(token)
    if len(stack) > 1:
        raise _unclosed(stack[-1])
    return tuple(stack[0].items)


def _push(stack: list[_Open], opened: _Open) -> None:
    if len(stack) > DEEPEST:
        raise too_deep(opened.token.span)
    stack.append(opened)


def too_deep(span: Span) -> Fault:
    """The error for more brackets or functions in each other than anyone reads."""
    headline = f"the equation is nested deeper than {DEEPEST}"
    fix = "Give an inner part its own line: a_t = ..."
    return Fault(SyntaxProblem, "E113", headline, span, fix=fix)


def _reduce(stack: list[_Open], kind: str, token: Token) -> None:
    done = stack.pop()
    span = done.token.span.to(token.span)
    end = token.span.start if token.span.line == done.token.span.line else span.end
    inner = Span(span.line, done.token.span.end, end)
    below = stack[-1].items
    is_index = bool(below) and is_sign(below[-1], "_", "^")
    if kind == "{" and not done.items and not is_index and done.kind == "bracket":
        return  # h_t ={}& ...
    if (
        kind == "{"
        and len(done.items) == 1
        and is_sign(done.items[0], *_OPERATORS)
        and not is_index
    ):
        below.append(done.items[0])  # {-}, \mathbin{@}
        return
    stack[-1].items.append(Group(kind, tuple(done.items), span, inner))


def _close_right(stack: list[_Open], token: Token, delimiter: Token) -> None:
    opened = stack[-1]
    if opened.kind != "left":
        if opened.kind:
            raise _unclosed(opened)
        headline = rf"\right{delimiter.text} stands without \left"
        fix = r"Write \left before the bracket that it closes, or leave \right out."
        raise Fault(SyntaxProblem, "E151", headline, token.span.to(delimiter.span), fix=fix)
    close = CLOSES.get(delimiter.text, _BARS.get(delimiter.text, "."))
    kinds = {opened.text, close} - {"."}
    if len(kinds) > 1:
        raise _mismatched(opened, delimiter)
    _reduce(stack, opened.text if opened.text != "." else close, delimiter)


def _close(stack: list[_Open], token: Token, kind: str, opening: str) -> None:
    opened = stack[-1]
    if opened.kind == kind and opened.text == opening:
        _reduce(stack, opening, token)
        return
    if kind == "begin" and not any(o.kind == kind and o.text == opening for o in stack):
        headline = rf"\end{{{opening}}} ends nothing"
        fix = rf"Remove it, or write \begin{{{opening}}} before."
        raise Fault(SyntaxProblem, "E151", headline, token.span, fix=fix)
    if not opened.kind or (kind == "bracket" and not any(o.text == opening for o in stack)):
        headline = f"{token.text} closes nothing"
        fix = f"Remove it, or open a {opening} before."
        raise Fault(SyntaxProblem, "E104", headline, token.span, fix=fix)
    if opened.kind == "bracket" and kind == "bracket" and opened.text != "{" != opening:
        raise _mismatched(opened, token)
    raise _unclosed(opened)


def _mismatched(opened: _Open, token: Token) -> Fault:
    headline = f"{opened.text} is closed by {token.text}"
    fix = f"Write {OPENS.get(opened.text, opened.text)} here."
    return Fault(SyntaxProblem, "E104", headline, token.span, fix=fix)


def _unclosed(opened: _Open) -> Fault:
    span = opened.token.span
    if opened.kind == "begin":
        headline = rf"\begin{{{opened.text}}} is never ended"
        fix = rf"Write \end{{{opened.text}}} where it ends."
        return Fault(SyntaxProblem, "E151", headline, span, fix=fix)
    close = OPENS.get(opened.text, opened.text)
    if opened.kind == "left":
        headline = rf"\left{opened.text} is never closed"
        fix = rf"Write \right{close} where it ends."
        return Fault(SyntaxProblem, "E151", headline, span, fix=fix)
    headline, fix = f"{opened.text} is never closed", f"Write {close} where it ends."
    return Fault(SyntaxProblem, "E104", headline, span, fix=fix)


def span_of(items: Iterable[Item]) -> Span:
    """From the first item to the last."""
    spans = [item.span for item in items]
    return spans[0].to(spans[-1]) if spans else Span(0, 0, 0)


def is_sign(item: Item | None, *texts: str) -> bool:
    """Is it one of these signs or commands?"""
    return isinstance(item, Token) and item.kind in ("sign", "command") and item.text in texts


def split(items: Iterable[Item], *texts: str, kinds: tuple[str, ...] = ()) -> list[list[Item]]:
    """The items between these signs or kinds of token.

    >>> [len(part) for part in split([], ",")]
    [0]
    """
    parts: list[list[Item]] = [[]]
    for item in items:
        if is_sign(item, *texts) or (isinstance(item, Token) and item.kind in kinds):
            parts.append([])
        else:
            parts[-1].append(item)
    return parts
