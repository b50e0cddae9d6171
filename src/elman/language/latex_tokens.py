"""LaTeX and Unicode mathematics -> tokens, each with its place in the user's text.

What only sets type is dropped here: thin spaces, sizes of brackets, bold and upright letters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from elman.language.source import Span, Token

# commands that only set type; the group after them stays
DROPPED = {
    r"\mathbf",
    r"\boldsymbol",
    r"\bm",
    r"\pmb",
    r"\vec",
    r"\mathbfit",
    r"\symbf",
    r"\bold",
    r"\mathbin",
    r"\mathrel",
    r"\mathop",
    r"\mathord",
    r"\mathopen",
    r"\mathclose",
    r"\limits",
    r"\nolimits",
    r"\displaystyle",
    r"\textstyle",
    r"\scriptstyle",
    r"\big",
    r"\Big",
    r"\bigg",
    r"\Bigg",
    r"\bigl",
    r"\Bigl",
    r"\biggl",
    r"\Biggl",
    r"\bigr",
    r"\Bigr",
    r"\biggr",
    r"\Biggr",
    r"\bigm",
    r"\Bigm",
    r"\middle",
    r"\nonumber",
    r"\notag",
    r"\ensuremath",
    r"\allowbreak",
    r"\noindent",
    r"\centering",
    r"\small",
    r"\hfill",
    r"\relax",
    r"\strut",
    r"\mathstrut",
    r"\hline",
    r"\null",
    r"\protect",
    r"\bf",
    r"\rm",
    r"\it",
    r"\cal",
    r"\ignorespaces",
    r"\left.",
    r"\smash",
    r"\boxed",
    r"\underbrace",
    r"\overbrace",
    r"\par",
    r"\upmath",
    r"\symbfit",
    r"\unskip",
}
SPACES = {"\\ "} | {
    r"\,",
    r"\;",
    r"\:",
    r"\!",
    r"\>",
    r"\/",
    r"\thinspace",
    r"\medspace",
    r"\thickspace",
    r"\negthinspace",
    r"~",
}
WIDE = {r"\quad", r"\qquad", r"\enspace", r"\hspace", r"\hskip"}
# commands that say the same as another sign
SAME = {
    r"\lbrace": r"\{", r"\rbrace": r"\}", r"\lbrack": "[", r"\rbrack": "]", r"\lparen": "(",
    r"\rparen": ")", r"\Vert": r"\|", r"\parallel": r"\|", r"\vert": "|", r"\mid": "|",
    r"\colon": ":", r"\coloneqq": "=", r"\triangleq": "=", r"\equiv": "=", r"\doteq": "=",
    r"\eqdef": "=", r"\coloneq": "=", r"\leftarrow": "=", r"\gets": "=", r"\longleftarrow": "=",
    r"\defeq": "=", r"\Coloneqq": "=", r"\ast": "*", r"\star": "*", r"\cdotp": r"\cdot",
    r"\bullet": r"\cdot", r"\le": "<=", r"\leq": "<=", r"\leqslant": "<=", r"\ge": ">=",
    r"\geq": ">=", r"\geqslant": ">=", r"\ne": "!=", r"\neq": "!=", r"\lt": "<", r"\gt": ">",
    r"\div": "/", r"\intercal": r"\top",
    r"\transpose": r"\top", r"\tran": r"\top", r"\ldots": r"\dots", r"\cdots": r"\dots",
    r"\dotsc": r"\dots", r"\dotsb": r"\dots", r"\vdots": r"\dots", r"\lnot": r"\neg",
    r"\Hadamard": r"\odot", r"\circledast": r"\odot", r"\bigcirc": r"\circ", r"\newline": r"\\",
    r"\cr": r"\\", r"\bigoplus": r"\oplus", r"\tanhyp": r"\tanh", r"\th": r"\tanh",
    r"\ell": "ell", r"\hbar": "hbar", r"\imath": "i", r"\jmath": "j", r"\%": "%", r"\bmod": "%",
    r"\_": "_", r"\#": "#", r"\backslash": "/", r"\tfrac": r"\frac", r"\dfrac": r"\frac",
    r"\cfrac": r"\frac", r"\nicefrac": r"\frac", r"\widehat": r"\hat", r"\widetilde": r"\tilde",
    r"\overline": r"\bar", r"\mathds": r"\mathbb", r"\prime": "'", r"\wedge": r"\land",
    r"\overrightarrow": r"\right_arrow", r"\overleftarrow": r"\left_arrow", r"\sp": "^",
    r"\sb": "_",
}  # fmt: skip
UNICODE = {
    "⊙": r"\odot", "∘": r"\circ", "∗": "*", "·": r"\cdot", "⋅": r"\cdot", "•": r"\cdot",
    "×": r"\times", "⊗": r"\otimes", "⊕": r"\oplus", "−": "-", "–": "-", "≤": "<=", "≥": ">=",
    "≠": "!=", "∈": r"\in", "\u223c": r"\sim", "√": r"\sqrt", "∑": r"\sum", "Σ": "Σ", "‖": r"\|",
    "∥": r"\|", "⟨": r"\langle", "⟩": r"\rangle", "〈": r"\langle", "〉": r"\rangle",
    "←": "=", "≔": "=", "≜": "=", "≡": "=", "…": r"\dots", "⋯": r"\dots", "\u22a4": r"\top",
    "′": "'", "″": "''", "÷": "/", "∀": r"\forall", "≈": r"\approx", "⌊": r"\lfloor",
    "⌋": r"\rfloor", "ϕ": r"\phi", "∇": r"\nabla", "∂": r"\partial", "⋆": "*",
}  # fmt: skip
_LOW = dict(
    zip("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", "0123456789+-=()aehijklmnoprstuvx", strict=True)
)
_HIGH = dict(
    zip(
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵀᵗⁱⁿᵃᵇᶜᵈᵉᶠᵍʰʲᵏˡᵐᵒᵖʳˢᵘᵛʷˣʸᶻᵂᵁ⟨⟩",
        "0123456789+-=()Ttinabcdefghjklmoprsuvwxyz" + "WU<>",
        strict=True,
    )
)
del _HIGH["⟨"], _HIGH["⟩"]

# `\text{...}` and its kin hold words, which are read whole
_WORDS = (
    r"\\(?:text(?:rm|tt|bf|it|sf|sc|normal|up)?|mathrm|mathit|mathtt|mathsf|mbox|hbox|"
    r"operatorname\*?|intertext|shortintertext|textnormal)"
)
_TOKEN = re.compile(
    rf"(?P<word>{_WORDS}\s*\{{(?P<inside>(?:[^{{}}$]|\$[^{{}}$]*\$)*)\}})"
    r"|(?P<skip>\\(?:label|tag\*?|eqref|ref|cite[pt]?|hspace\*?|vspace\*?|phantom|hphantom|vphantom"
    r"|color|mkern|mskip|kern)\s*(?:\{[^{}]*\}|-?[0-9.]+\s*(?:mu|em|ex|pt))|\[-?[0-9.]+(?:em|ex|pt|cm|mm)\])"
    r"|(?P<board>\\math(?:bb|ds|bbm)\s*(?:\{\s*(?P<letter>[A-Za-z0-9])\s*\}|(?P<bare>[A-Za-z0-9])))"
    r"|(?P<script>\\math(?:cal|scr|frak)\s*(?:\{\s*(?P<curly>[A-Za-z])\s*\}|(?P<plain>[A-Za-z])))"
    r"|(?P<env>\\(?P<edge>begin|end)\s*\{(?P<name>[A-Za-z]+)\*?\})"
    r"|(?P<break>\\\\\*?(?:\s*\[-?[0-9.]+\s*[a-z]+\])?)"
    r"|(?P<command>\\(?:[A-Za-z]+|.))"
    r"|(?P<letters>\"[a-z,]*->[a-z]*\")"
    r"|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<sign>\*\*|:=|<=|>=|!=|==|:\s*=|[-+*/@%^_={}()\[\]<>|,;:.'&!~#])"
)
_OPENING = {"(": ")", "[": "]", "{": "}", r"\{": r"\}", r"\langle": r"\rangle",
            r"\lfloor": r"\rfloor", r"\lvert": r"\rvert", r"\lVert": r"\rVert"}  # fmt: skip
CLOSES = {close: opening for opening, close in _OPENING.items()}
OPENS = _OPENING


def tokens(line: str, number: int, start: int, end: int) -> Iterator[Token]:
    """The tokens of columns [start, end) of one line."""
    at = start
    while at < end:
        if line[at].isspace():
            at += 1
            continue
        match = _TOKEN.match(line, at, end)
        if match:
            yield from _token(match, number)
            at = match.end()
        else:
            stop = _letter_end(line, at, end)
            yield from _character(line[at:stop], Span(number, at, stop), line[max(0, at - 1) : at])
            at = stop


def _token(match: re.Match[str], line: int) -> Iterator[Token]:
    kind, span = str(match.lastgroup), Span(line, match.start(), match.end())
    text = match[0]
    match kind:
        case "word" | "inside":
            yield Token("name" if _is_name(match) else "word", match["inside"], span)
        case "skip":
            return
        case "board" | "letter" | "bare":
            yield Token("board", match["letter"] or match["bare"], span)
        case "script" | "curly" | "plain":
            yield Token("script", match["curly"] or match["plain"], span)
        case "env" | "edge" | "name":
            yield Token(match["edge"], match["name"], span)
        case "break":
            yield Token("break", r"\\", span)
        case "number":
            yield from _number(text, span)
        case "letters":  # of einsum, as plain text prints it
            yield Token("letters", text.strip('"'), span)
        case "command":
            yield from _command(text, span)
        case _:
            text = "=" if text.startswith(":") and text.endswith("=") else text
            text = "=" if text == "==" else text
            if text != "~":
                yield Token({"&": "align"}.get(text, "sign"), text, span)


def _is_name(match: re.Match[str]) -> bool:
    r"""Is it one name whatever it says: `\mathit{at}`, but before a bracket a function's?"""
    after = match.string[match.end() :].lstrip()
    is_word = match[0].startswith(r"\mathit") and " " not in match["inside"].strip()
    return is_word and not after.startswith(("(", "[", r"\left", r"\big", r"\Big"))


def _number(text: str, span: Span) -> Iterator[Token]:
    """A number; the full stop that ends a sentence, `= 0.`, is not part of it."""
    if text.endswith("."):
        yield Token("number", text[:-1], Span(span.line, span.start, span.end - 1))
        yield Token("sign", ".", Span(span.line, span.end - 1, span.end))
    else:
        yield Token("number", text, span)


def _command(text: str, span: Span) -> Iterator[Token]:
    if text in DROPPED or text in SPACES:
        return
    if text in WIDE:
        yield Token("quad", text, span)
        return
    text = SAME.get(text, text)
    if text == r"\\":
        yield Token("break", text, span)
    elif text[0] == "\\":
        yield Token("command", text, span)
    else:
        yield Token("letter" if text[0].isalpha() else "sign", text, span)


def _letter_end(line: str, at: int, end: int) -> int:
    """After a letter with its combining accents, or a run of Unicode scripts."""
    for table in (_LOW, _HIGH):
        stop = at
        while stop < end and line[stop] in table:
            stop += 1
        if stop > at:
            return stop
    stop = at + 1
    while stop < end and unicodedata.combining(line[stop]):
        stop += 1
    return stop


def _character(text: str, span: Span, before: str) -> Iterator[Token]:
    for table, mark in ((_LOW, "_"), (_HIGH, "^")):
        if text[0] in table:
            yield from _script("".join(table[c] for c in text), mark, span)
            return
    text = unicodedata.normalize("NFKC", text) if text not in UNICODE else UNICODE[text]
    if text.startswith("\\"):
        yield Token("command", text, span)
    elif text and text[0].isidentifier():
        yield Token("letter", text, span)
    elif text and _TOKEN.fullmatch(text):
        yield Token("sign", text, span)
    else:
        yield Token("stray", text or "?", span)


def _script(text: str, mark: str, span: Span) -> Iterator[Token]:
    """`ₜ₋₁` as `_{t-1}`: every token has the place of the character that it stands for."""
    places = [
        Span(span.line, span.start + index, span.start + index + 1) for index in range(len(text))
    ]
    yield Token("sign", mark, places[0])
    yield Token("sign", "{", places[0])
    for part in re.finditer(r"[0-9]+|.", text):
        place = places[part.start()].to(places[part.end() - 1])
        if part.start() and re.fullmatch("t([-+][0-9]+)?", text[part.start() :]):
            yield Token("sign", ",", place)  # ₁ₜ₋₁ is 1,t-1
        kind = "number" if part[0].isdecimal() else "letter" if part[0].isalpha() else "sign"
        yield Token(kind, part[0], place)
    yield Token("sign", "}", places[-1])
