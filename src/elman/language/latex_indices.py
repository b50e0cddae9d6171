"""Indices of names: which is a time, which a further part of the name, which a power."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from elman.errors import TimeProblem
from elman.language.latex_page import GREEK_COMMANDS, SCRIPTS, Page, flat, time_shape
from elman.language.latex_tree import Group, Item, is_sign, span_of
from elman.language.read_expression import LONGEST_LAG
from elman.language.source import Fault, Source, Span, Token

ACCENTS = {
    rf"\{word}": word
    for word in [
        "hat",
        "tilde",
        "bar",
        "dot",
        "ddot",
        "check",
        "breve",
        "acute",
        "grave",
        "mathring",
        "underline",
    ]
} | {r"\right_arrow": "right", r"\left_arrow": "left"}
_ABOVE = {"*": "star", "+": "plus", "-": "minus", r"\dagger": "dagger", r"\infty": "infty"}
_ARROWS = (r"\to", r"\rightarrow", "-", "/", ":", r"\leftrightarrow", "<", ">", ";")


@dataclass(slots=True)
class Named:
    """A name that was read: its parts, its time (0 at t, -1 at t-1), and what else stands above."""

    parts: list[str]
    span: Span
    time: int | None = None
    power: list[Item] | None = None
    is_transposed: bool = False
    is_command: bool = False
    accents: list[str] = field(default_factory=list)
    low: bool = False  # has an index below
    is_script: bool = False  # \\mathcal{H}, which names functions
    is_whole: bool = False  # \\mathit{max}, which names no function

    @property
    def name(self) -> str:
        letter, *rest = self.parts
        return "_".join([letter, *self.accents, *rest])


class IndexReader:
    """Reads what stands below and above a letter."""

    def __init__(self, page: Page, source: Source) -> None:
        self.page = page
        self.source = source

    def is_transpose(self, script: list[Item]) -> bool:
        tokens = flat(script)
        if len(tokens) != 1:
            return False
        text = tokens[0].text
        return text == r"\top" or (text in ("T", "⊺") and self.page.time != "T")

    def is_component(self, piece: Sequence[Item]) -> bool:
        tokens = flat(piece)
        return len(tokens) == 1 and tokens[0].text in self.page.components

    def is_number(self, named: Named, piece: Sequence[Item]) -> bool:
        """`W^1`, `W_h^2`: a number above a weight's capital counts, it is no power."""
        tokens = flat(piece)
        is_integer = len(tokens) == 1 and tokens[0].kind == "number" and tokens[0].text.isdecimal()
        letter = named.parts[0]
        is_weight = named.time is None and len(letter) == 1 and letter.isupper()
        is_counted = letter in self.page.numbered or rf"\{letter}" in self.page.numbered
        return is_integer and (is_weight or is_counted)

    def is_label(self, piece: Sequence[Item], script: Sequence[Item]) -> bool:
        """Is it a further index, `W^{f}`, and not a power, `h^2`, `a^{c r_t}`?"""
        tokens = flat(piece)
        bracketed = bool(piece) and isinstance(piece[0], Group)
        if not tokens or (len(tokens) == 1 and tokens[0].kind == "number" and not bracketed):
            return False
        if len(tokens) == 3 and tokens[0].text in self.page.layers and tokens[1].text in "+-":
            return True  # h^{l-1}, the layer below
        if any(t.text in ("+", "/", r"\frac", r"\cdot", r"\sqrt") for t in tokens):
            return False
        if tokens[0].text == "-" and len(tokens) > 1:
            return False
        if len(tokens) == 1 and tokens[0].text in self.page.words:
            return False
        has_time = any(
            is_sign(a, *SCRIPTS) and self.time([b]) is not None for a, b in pairwise(piece)
        )
        return not has_time and bool(self.label(piece))

    def label(self, items: Sequence[Item]) -> str | None:
        """The index as part of a name: `ih`, `g_y`; None where it is none."""
        text = ""
        at = 0
        while at < len(items):
            item = items[at]
            at += 1
            if isinstance(item, Group):
                piece = self.label([i for i in item.items if not is_sign(i, ",")])
            elif is_sign(item, *SCRIPTS):
                text += "_"
                continue
            elif item.kind == "command" and item.text in ACCENTS and at < len(items):
                piece = self.label([items[at]])
                piece = f"{piece}_{ACCENTS[item.text]}" if piece else None
                at += 1
            elif is_sign(item, *_ARROWS) and at - 1 > 0 and at < len(items):
                piece = "minus" if self.counts_layers(items) else ""
            else:
                piece = self.label_of(item)
            if piece is None:
                return None
            long = len(piece) > 1 and not piece.isdecimal()
            text += f"_{piece}" if text and long and text[-1] != "_" else piece
        return text.strip("_")

    def counts_layers(self, items: Sequence[Item]) -> bool:
        return len(items) == 3 and flat(items)[0].text in self.page.layers

    def label_of(self, token: Token) -> str | None:
        if token.kind in ("letter", "word", "name"):
            words = token.text.replace("\\_", "_").replace("-", "_").split()
            text = "_".join(word.strip(".,") for word in words)
            return text if ("a" + text).isidentifier() else None
        if token.kind == "number":
            return token.text if token.text.isdecimal() else None
        if token.text in GREEK_COMMANDS:
            return GREEK_COMMANDS[token.text]
        if token.text in _ABOVE:
            return _ABOVE[token.text]
        return "prime" if token.text == "'" else None

    # ---- the time ----

    def time(self, items: Sequence[Item]) -> int | None:
        """0 for t, -1 for t-1; None for what is no time."""
        shape = time_shape(items)
        if shape is None or shape[0] != self.page.time:
            return None
        _, sign, last = shape
        if sign is None or last is None:
            return 0
        number = self.page.symbols.get(last.text.lstrip("\\"))
        count = number.number if number else None
        if count is None and last.kind == "number" and last.text.isdecimal():
            count = int(last.text) if len(last.text) < 10 else LONGEST_LAG + 1
        if count is None or count != int(count):
            quoted = self.source.quote(span_of(items))
            headline = f"{quoted} is not a number of steps back"
            fix = f'Say what {last.text} is: symbols={{r"{last.text}": 3}}.'
            raise Fault(TimeProblem, "E303", headline, last.span, fix=fix)
        if abs(count) > LONGEST_LAG:
            rule = f"A delay is at most {LONGEST_LAG} steps."
            headline = f"{self.source.quote(span_of(items))} is too far back"
            raise Fault(TimeProblem, "E309", headline, last.span, rule=rule)
        return int(count) if sign.text == "+" else -int(count)


def pieces(script: list[Item]) -> list[list[Item]]:
    """`(i)\\langle t \\rangle` in pieces, each in its own brackets; nothing where it is not so."""
    pieces: list[list[Item]] = []
    at = 0
    while at < len(script):
        item = script[at]
        if isinstance(item, Group) and item.kind in ("(", "[", r"\langle", r"\{"):
            pieces.append([item])
        elif is_sign(item, "<"):
            end = next((i for i in range(at, len(script)) if is_sign(script[i], ">")), None)
            if end is None:
                return []
            pieces.append(list(script[at : end + 1]))
            at = end
        elif not is_sign(item, ","):
            return []
        at += 1
    return pieces
