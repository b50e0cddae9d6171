r"""The formulas of a page -> statements, each a left side and a right side.

Lines end at `\\`, at a comma, `\quad` or a new line before the next left side; what begins with an
operator, or follows one, goes on. Numbers of equations, conditions such as t = 1, ..., T and words
between the formulas say nothing of the cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from elman.errors import SyntaxProblem
from elman.ir.cell import ROLES
from elman.language.latex_expression import LEVELS
from elman.language.latex_page import SCRIPTS, called
from elman.language.latex_tree import CASES, PLAIN, Group, Item, is_sign, span_of
from elman.language.source import Fault, Source, Span, Token

RELATIONS = ("=", r"\in", r"\sim")
_OTHER_RELATIONS = (r"\approx", r"\propto", r"\to", r"\mapsto", r"\rightarrow", r"\Rightarrow")
_REMARKS = (
    r"\forall",
    r"\dots",
    r"\exists",
    r"\therefore",
    r"\because",
    r"\Rightarrow",
    r"\implies",
)
# words that declare
SAID = ("per sequence", "per step", "frozen", "scalar", *(f"role {role}" for role in ROLES))
_CLOSING = (".", ",", ";", ":", "!")
_GOING_ON = tuple(sign for sign in LEVELS if sign not in ("=", "<", ">"))


@dataclass
class Statement:
    """`left = right`, or another relation; more right sides where one line has several."""

    left: list[Item]
    relation: str = ""
    rights: list[list[Item]] = field(default_factory=list)
    inline: bool = False

    @property
    def span(self) -> Span:
        return span_of(self.left) if self.left else span_of(self.rights[0])


@dataclass
class _Fragment:
    items: list[Item]
    before: str  # what ends the one before: break, newline, quad, a comma, words
    after: str = ""


def statements(items: Sequence[Item], source: Source, inline: bool) -> list[Statement]:
    """The statements of one formula."""
    made: list[Statement] = []
    flat = _flattened(items)
    has_breaks = any(isinstance(i, Token) and i.kind == "break" for i in flat)
    for fragment in _fragments(flat, newlines=not has_breaks):
        _take(fragment, made, source, inline)
    return made


def _flattened(items: Sequence[Item]) -> list[Item]:
    """The items with the lines of `aligned`, and of an array of equations, as lines."""
    found: list[Item] = []
    stack = list(reversed(items))
    since = 0  # where the line began
    while stack:
        item = stack.pop()
        inner = _lines_of(item, found[since:]) if isinstance(item, Group) else None
        if inner is None:
            found.append(item)
            since = len(found) if isinstance(item, Token) and item.kind == "break" else since
            continue
        edge = Token("break", r"\\", Span(item.span.line, item.span.start, item.span.start))
        stack.extend([edge, *reversed(inner), edge])
    return found


def _lines_of(group: Group, before: Sequence[Item]) -> list[Item] | None:
    """The lines of an environment that only sets type; None for a value."""
    items = list(group.items)
    if group.kind in PLAIN:
        takes_columns = "alignat" in group.kind or "alignedat" in group.kind or "IEEE" in group.kind
        if items and isinstance(items[0], Group) and (takes_columns or items[0].kind == "["):
            items = items[1:]
        return items
    if group.kind == r"\{" and len(items) == 1 and isinstance(items[0], Group):
        return _lines_of(items[0], before)
    holds_lines = group.kind in (*CASES, "array") and any(is_sign(item, "=") for item in items)
    if holds_lines and not any(is_sign(item, *RELATIONS) for item in before):
        is_columns = group.kind == "array" and isinstance(items[0], Group)
        return items[1:] if is_columns else items
    return None


def _fragments(items: Sequence[Item], newlines: bool) -> Iterator[_Fragment]:
    current = _Fragment([], "break")
    for index, item in enumerate(items):
        after = items[index + 1] if index + 1 < len(items) else None
        edge = _edge(item, current.items, after, newlines)
        if edge == "skip" and item.kind == "newline" and _starts(items, index + 1, current):
            edge = "newline"
        if edge == "skip":
            continue
        if edge:
            current.after = edge
            yield current
            current = _Fragment([], edge)
        else:
            current.items.append(item)
    yield current


def _starts(items: Sequence[Item], at: int, current: _Fragment) -> bool:
    """Does a new equation begin on the next line, where the break before it was forgotten?"""
    if not any(is_sign(item, "=") for item in current.items):
        return False
    left: list[Item] = []
    while at < len(items) and not is_sign(items[at], "="):
        item = items[at]
        if isinstance(item, Token) and item.kind in ("newline", "break", "quad"):
            return False
        left.append(item)
        at += 1
    kept = [item for item in left if not (isinstance(item, Token) and item.kind == "align")]
    return at < len(items) and bool(kept) and _is_target(kept, _Fragment([], "words"))


def _edge(item: Item, before: Sequence[Item], after: Item | None, newlines: bool) -> str:
    """What ends a fragment; empty for what belongs to it."""
    if isinstance(item, Group):
        return ""
    match item.kind, item.text:
        case "break" | "quad", _:
            return item.kind
        case "newline", _:
            return "newline" if newlines else "skip"
        case "align", _:
            return "skip"
        case "sign", "," | ";":
            return item.text
        case "sign", ":":
            return ":"
        case "word", text if _is_prose(text, before, after):
            return "words"
    return ""


def _is_prose(text: str, before: Sequence[Item], after: Item | None) -> bool:
    """Words between formulas, not the name of a value or a function."""
    words = text.strip()
    if words in SAID or words == "return":
        return False
    if is_sign(after, *SCRIPTS) or (isinstance(after, Group) and after.kind in ("(", "[")):
        return " " in words and not is_sign(after, *SCRIPTS)
    if " " in words or not words or words.lower() in _CONNECTING:
        return True
    if called(words):
        return False
    last = before[-1] if before else None
    follows_value = last is not None and not is_sign(last, *LEVELS, *RELATIONS, *_OTHER_RELATIONS)
    return follows_value or not words.replace("_", "").replace("\\", "").isalnum()


_CONNECTING = frozenset(
    [
        "where",
        "with",
        "and",
        "if",
        "for",
        "when",
        "as",
        "is",
        "the",
        "by",
        "so",
        "or",
        "then",
        "thus",
        "hence",
        "else",
        "otherwise",
        "such",
        "that",
        "let",
        "denotes",
        "using",
        "also",
        "at",
        "in",
        "of",
        "on",
        "from",
        "to",
    ]
)


def _take(fragment: _Fragment, made: list[Statement], source: Source, inline: bool) -> None:
    """Make a statement of a fragment, or carry the one before on."""
    items = _trimmed(fragment.items)
    if not items:
        return
    last = made[-1] if made else None
    at = next((i for i, item in enumerate(items) if is_sign(item, *RELATIONS)), None)
    left = items if at is None else items[:at]
    size = _returns(items)
    if last and last.relation == "return" and fragment.before == "," and at is None:
        last.rights.append(items)
    elif size:
        made.append(Statement(items[:size], "return", [items[size:]], inline))
    elif fragment.before == ":" and last and last.relation == "" and at is None:
        last.relation, last.rights = ":", [items]  # U: hidden, hidden
    elif last and last.relation == ":" and fragment.before == "," and at is None:
        last.rights.append(items)
    elif at is not None and left and _is_legend(items[at:], fragment):
        return
    elif at is not None and left and _is_target(left, fragment):
        relation = items[at].text  # type: ignore[union-attr]
        made.append(Statement(_unnumbered(left), relation, _sides(items[at + 1 :]), inline))
    elif last and last.relation == "=" and _goes_on(items, last, fragment):
        _extend(last, items, at)
    elif at and fragment.before in ("break", "newline") and is_sign(items[at], "="):
        made.append(Statement(left, "=", _sides(items[at + 1 :]), inline))  # h_t+1 = ..., refused
    elif _says_nothing(items, fragment):
        return
    elif _word(items[-1]) in SAID:
        made.append(Statement(items, "said", [], inline))
    else:
        made.append(Statement(items, "", [], inline))


def _returns(items: Sequence[Item]) -> int:
    """How many items the word `return` is, at the head of a line; 0 where it is not there."""
    if _word(items[0]) == "return":
        return 1
    spelt = "".join(getattr(item, "text", "?") for item in items[:6])
    return 6 if spelt == "return" and len(items) > 6 else 0


def _trimmed(items: list[Item]) -> list[Item]:
    """Without the full stop at the end, and the number of the equation."""
    while items and is_sign(items[-1], *_CLOSING):
        items = items[:-1]
    if len(items) > 1 and isinstance(items[-1], Group) and _is_number(items[-1]):
        gap = items[-1].span.start - items[-2].span.end
        if gap > 1 and items[-1].span.line == items[-2].span.line:
            items = items[:-1]
    return items


def _is_number(group: Group) -> bool:
    inner = group.items
    return group.kind == "(" and len(inner) == 1 and getattr(inner[0], "kind", "") == "number"


def _unnumbered(left: list[Item]) -> list[Item]:
    """Without `(1)`, `1.`, `-` or `*` at the head of a line."""
    if len(left) > 1 and isinstance(left[0], Group) and _is_number(left[0]):
        return left[1:]
    if len(left) > 1 and is_sign(left[0], "-", "*", "+", ">"):
        is_bullet = left[1].span.start > left[0].span.end  # "- h_t = ...", not "-h_t = ..."
        return left[1:] if is_bullet else left
    is_counted = isinstance(left[0], Token) and left[0].kind == "number"
    if len(left) > 2 and is_counted and is_sign(left[1], "."):
        return left[2:]
    return left


def _is_target(left: Sequence[Item], fragment: _Fragment) -> bool:
    """May it be a left side: nothing in it is added or multiplied?"""
    inner = left[1:] if fragment.before in ("newline", "break") else left
    return not any(is_sign(item, *_GOING_ON, "<", ">") for item in inner)


def _is_legend(right: Sequence[Item], fragment: _Fragment) -> bool:
    """`N = \\text{batch size}`, `H = \\text{hidden\\_size}`: what a letter stands for, in words."""
    if len(right) == 1:
        return fragment.after == "words"
    return all(is_sign(item, "=") or "_" in _word(item) for item in right)


def _sides(items: list[Item]) -> list[list[Item]]:
    sides: list[list[Item]] = [[]]
    for item in items:
        if is_sign(item, "="):
            sides.append([])
        else:
            sides[-1].append(item)
    return sides


def _goes_on(items: Sequence[Item], last: Statement, fragment: _Fragment) -> bool:
    """Does the fragment carry the statement before it on?"""
    begins = is_sign(items[0], *_GOING_ON, "=", "/")
    ends = bool(last.rights[-1]) and is_sign(last.rights[-1][-1], *_GOING_ON, "/")
    is_open = not last.rights[-1]
    return begins or ends or is_open


def _extend(last: Statement, items: list[Item], at: int | None) -> None:
    if at == 0:
        last.rights += _sides(items[1:])
        if not last.rights[0]:
            last.rights.pop(0)
        return
    first, *rest = _sides(items)
    last.rights[-1] += first
    last.rights += rest


def _says_nothing(items: Sequence[Item], fragment: _Fragment) -> bool:
    """A condition, a number, words, the page's own remarks."""
    if any(is_sign(item, *_REMARKS, *_OTHER_RELATIONS) for item in items):
        return True
    if fragment.before in (",", ";", ":", "words"):
        return not _computes(items, fragment)
    if all(isinstance(item, Group) and _is_number(item) for item in items):
        return True
    if any(is_sign(item, "<", ">", "<=", ">=", "!=", r"\in") for item in items):
        return True
    letters = [item for item in items if isinstance(item, Token) and item.kind == "letter"]
    return _spelt_words(letters) > 1


def _computes(items: Sequence[Item], fragment: _Fragment) -> bool:
    """Would something be lost without it: `0,5 x_t`, `W x_t, U h_{t-1}`, `if x_t > 0`?"""
    has_index = any(is_sign(item, "_", "^") for item in items)
    is_decimal = fragment.before == "," and getattr(items[0], "kind", "") == "number"
    joins = any(is_sign(item, *_GOING_ON, "<", ">", "<=", ">=") for item in items[1:])
    factors = sum(getattr(item, "kind", "") in ("letter", "command", "name") for item in items)
    return has_index and (is_decimal or joins or factors > 1)


def _spelt_words(letters: Sequence[Token]) -> int:
    """How many words of two letters and more are spelt out, as prose is."""
    count, size = 0, 1
    for left, right in zip(letters, [*letters[1:], None], strict=False):
        touches = right is not None and (left.span.line, left.span.end) == (
            right.span.line,
            right.span.start,
        )
        if touches:
            size += 1
        else:
            count += size > 1
            size = 1
    return count


def _word(item: Item) -> str:
    is_word = isinstance(item, Token) and item.kind == "word"
    return item.text.strip() if is_word and isinstance(item, Token) else ""


def computes_nothing(statement: Statement, source: Source) -> Fault:
    """The error for a line without a left side."""
    span = span_of(statement.left)
    quoted = source.quote(span) if span.line else "..."
    rule = "Every line names what it computes."
    fix = f"Write h_t = {quoted}, or begin with an operator where the line before goes on."
    return Fault(SyntaxProblem, "E112", "the line has no =", span, rule=rule, fix=fix)
