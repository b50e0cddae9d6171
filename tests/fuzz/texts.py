"""Random texts for both readers: cells with something changed, soups of tokens, and bombs.

Text number n of a seed is always the same: `random_text(seed, n)`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

from elman import Cell, library
from elman.errors import CellWarning
from tests.fuzz.bombs import BOMBS

TESTS = Path(__file__).parents[1]
GOLDEN = ("errors/read", "errors/latex", "errors/shapes", "errors/warnings", "latex/pages")
RULE = "\n----\n"
LONGEST = 200_000  # characters; both readers refuse what is longer than they take

NASTY = [
    *"\u0302\u0300\u20d7\u0345\u093e",  # combine with what stands before them
    *"\u202e\u200f\u05d0\ufdfa\u0627",  # written from right to left
    *"\u200b\u200c\u200d\u2060\ufeff\u00ad\ufe0f",  # of no width
    *"\u0085\u000b\u000c\u001c\u2028\u2029\r\n\t\u00a0\u3000",  # break lines, or do not
    *"\x00\x01\x1b\x7f\ud800\udfff\ufffe\U0010ffff\U000e0001",  # no characters at all
    *"😀名½²₂ßİ\ufb01\u0663\u2167\u33a2\u0131\u017f\u2121\u212a",  # letters and digits, of a kind
    *"\uff11\uff41\uff08\uff1d\uff3b\uff1b\uff1a",  # the same, wide
    *"ₜ₋₁ᵗ⁻¹ᵢĥσϕ⊙∘·×−√∑∈\u223cℝ\U0001d416\U0001d489\U0001d525\u2118",  # printed mathematics
    *"()[]{}<>|,.;:=+-*/@%^_&~#$!?'\"`\\",
]
PYTHON = str.split(r"""
    h x W U b t z l s m inner lstm gru [t] [t-1] [t+1] [t,l] [t,l-1] [l] [0] [-1] [ ] ( ) , . .. .T
    : = == < > <= != + - * / @ ** ^ % # \ ' " ; { } 0.9 1e5 1e999 2 3 -0 1_0 tanh( sigmoid( softmax(
    max( where( einsum( "ij,j->i" outer( cumsum( bernoulli( floor( step( return scalar per sequence
    hidden input frozen if for and lambda 1..3 = = h[t] x[t] h[t-1] W_z c_hat alpha layer_norm(
""")
LATEX = str.split(r"""
    h_t h_{t-1} x_t W U b W_{ih}^{f} \hat{h} \tilde{c} \Gamma_u \mathbf{h} \mathrm{tanh} \text{ReLU}
    \sigma \tanh \phi \odot \circ \cdot \times \oplus \otimes \frac \sqrt \sum \prod \left( \right)
    \left[ \right] \begin{align} \end{align} \begin{bmatrix} \end{bmatrix} \begin{cases} \end{cases}
    \begin{array}{c} \end{array} \\ & \quad { } [ ] ( ) _ ^ = + - * / , ; . | \| \{ \} \langle
    \rangle ^\top ^T ^{(t)} _t _{t-1} ^{-1} ' '' $ $$ \[ \] \( \) % # ~ \, \label{a} \tag{1}
    \mathbb{R} \in \sim \operatorname{Bernoulli} \text{where} \text{return} \dots \mathcal{F} 1 0.5
    \max \exp \softmax \underbrace \overline \bar \not \infty \partial \lfloor \rfloor \top t i 2
""")
OPERATORS = str.split(r"+ - * / @ ** % , < == \odot \cdot [t] [t-1] [t-2] [t-999] .T")
HOSTILE = (
    '__import__("os").system("true")',
    "().__class__.__bases__[0].__subclasses__()",
    "{0.__class__.__init__.__globals__}",
    "%(x)s %s %n",
    "exec(open('x').read())",
    "\\input{/etc/passwd}",
    "\\write18{true}",
)


@cache
def corpus() -> tuple[str, ...]:
    """What there is to change: the library in both notations, pages, and every golden mistake."""
    found = [text for name in library.cells for text in _both(library.cells.text(name), name)]
    for folder in GOLDEN:
        for path in sorted((TESTS / folder).glob("*.txt")):
            found.append(path.read_text("utf-8").split(RULE)[0])
    return tuple(found)


def _both(text: str, name: str) -> tuple[str, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CellWarning)
        cell = Cell(text, name)
    bare = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return text, bare, cell.to_latex(), cell.to_text()


def random_text(seed: int, number: int) -> str:
    """Text `number` of the endless row that `seed` starts."""
    rng = Random(f"{seed}:{number}")
    [make] = rng.choices((_mutated, _soup, _bomb), (75, 21, 4))
    return make(rng)[:LONGEST]


def _mutated(rng: Random) -> str:
    """Changes that break a text at once hide what the later ones might have broken."""
    text = rng.choice(corpus())
    changes = rng.choice((CHANGES, GENTLE))
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5, 9, 20))):
        text = rng.choice(changes)(rng, text)[:LONGEST]
    return text


def _bomb(rng: Random) -> str:
    text = rng.choice(BOMBS)(rng)
    return text if rng.random() < 0.7 else rng.choice(CHANGES)(rng, text)


def _soup(rng: Random) -> str:
    """Tokens in any order, now and then with an equation around them."""
    words = rng.choice((PYTHON, LATEX, [*PYTHON, *LATEX, *NASTY, *HOSTILE]))
    between = rng.choice(("", " ", " "))
    lines = []
    for _ in range(rng.choice((1, 1, 2, 4, 12))):
        soup = between.join(rng.choices(words, k=rng.choice((1, 3, 6, 12, 40))))
        start = rng.choice(("", "h[t] = ", "h_t = ", "h[t] = x[t] + ", "h_t &= W x_t + ", "W: "))
        lines.append(start + soup)
    return rng.choice(("\n", "\n", "\\\\\n", ", ")).join(lines)


# ---- one change of a text ----


def _span(rng: Random, text: str, longest: int = 40) -> tuple[int, int]:
    start = rng.randrange(len(text) + 1)
    return start, min(len(text), start + rng.randint(1, longest))


def _delete(rng: Random, text: str) -> str:
    start, end = _span(rng, text, rng.choice((1, 1, 3, 40)))
    return text[:start] + text[end:]


def _insert(rng: Random, text: str) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + "".join(rng.choices(NASTY, k=rng.choice((1, 1, 2, 5)))) + text[at:]


def _insert_word(rng: Random, text: str) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice((*PYTHON, *LATEX, *HOSTILE)) + text[at:]


def _words(text: str) -> list[str]:
    return re.findall(r"\\?\w+|\s+|.", text)


def _swap(rng: Random, text: str) -> str:
    words = _words(text) or [""]
    a, b = rng.randrange(len(words)), rng.randrange(len(words))
    words[a], words[b] = words[b], words[a]
    return "".join(words)


def _rename(rng: Random, text: str) -> str:
    """One name in place of another, at one place or everywhere: most often it still reads."""
    names = re.findall(r"\\?[^\W\d]\w*", text) or ["h"]
    old, new = rng.choice(names), rng.choice(names)
    places = [m.span() for m in re.finditer(rf"(?<!\w){re.escape(old)}(?!\w)", text)]
    chosen = places if rng.random() < 0.3 else places[: rng.randint(0, len(places))][-1:]
    for start, end in reversed(chosen):
        text = text[:start] + new + text[end:]
    return text


def _operator(rng: Random, text: str) -> str:
    places = [m.span() for m in re.finditer(r"[-+*/@<>=,]|\\odot|\\cdot|\[t(-\d+)?\]", text)]
    start, end = rng.choice(places or [(0, 0)])
    return text[:start] + rng.choice(OPERATORS) + text[end:]


def _lag(rng: Random, text: str) -> str:
    """A step more or less."""
    places = [m.span() for m in re.finditer(r"\bt(\s*-\s*\d+)?(?=[\]})])", text)]
    start, end = rng.choice(places or [(0, 0)])
    return text[:start] + rng.choice(("t", "t-1", "t-2", "t+1", "t-9", "0", "t,1")) + text[end:]


def _number(rng: Random, text: str) -> str:
    places = [m.span() for m in re.finditer(r"\d+(\.\d+)?", text)]
    start, end = rng.choice(places or [(len(text), len(text))])
    numbers = (
        "0",
        "1",
        "-1",
        "2",
        "9" * rng.choice((5, 20, 400, 5000)),
        "1e308",
        "1e999",
        "1e-999",
    )
    return text[:start] + rng.choice((*numbers, "0.5", "1_0", "0x1f", "1j", "nan")) + text[end:]


def _duplicate(rng: Random, text: str) -> str:
    start, end = _span(rng, text, 80)
    at = rng.randrange(len(text) + 1)
    return text[:at] + text[start:end] + text[at:]


def _repeat(rng: Random, text: str) -> str:
    """One span again and again, now and then until the text is as long as a reader takes."""
    start, end = _span(rng, text, rng.choice((1, 3, 30)))
    longest = rng.choice((50, 50, 500, 500, 5000)) if rng.random() < 0.97 else 30_000
    return text[:end] + text[start:end] * (longest // max(1, end - start)) + text[end:]


def _shuffle(rng: Random, text: str) -> str:
    lines = text.split("\n")
    rng.shuffle(lines)
    return "\n".join(lines)


def _repeat_line(rng: Random, text: str) -> str:
    """A line again under another name."""
    lines = text.split("\n")
    line = rng.choice(lines)
    lines.insert(rng.randrange(len(lines) + 1), line.replace(line[:1], rng.choice("ahxyzWU_"), 1))
    return "\n".join(lines)


def _splice(rng: Random, text: str) -> str:
    other = rng.choice(corpus())
    if rng.random() < 0.5:
        lines, others = text.split("\n"), other.split("\n")
        return "\n".join(
            lines[: rng.randrange(len(lines) + 1)] + others[rng.randrange(len(others)) :]
        )
    return text[: rng.randrange(len(text) + 1)] + other[rng.randrange(len(other) + 1) :]


def _nest(rng: Random, text: str) -> str:
    """Brackets around a span, not always closed."""
    start, end = _span(rng, text)
    pairs = ("()", "[]", "{}", "$$", ("\\left(", "\\right)"), ("\\frac{", "}{2}"), ("tanh(", ")"))
    opening, closing = rng.choice(
        (*pairs, ("\\begin{align}", "\\end{align}"), ("-", ""), ("_{", "}"))
    )
    count = rng.choice((1, 1, 2, 5, 30, 99, 102, 300, 3000))
    closed = closing * (count if rng.random() < 0.8 else rng.randrange(count + 1))
    return text[:start] + opening * count + text[start:end] + closed + text[end:]


def _line_endings(rng: Random, text: str) -> str:
    return text.replace(
        "\n", rng.choice(("\r\n", "\r", " ", "\\\n", "\u2028", "\n\n\n", "\n  ", ""))
    )


CHANGES: tuple[Callable[[Random, str], str], ...] = (
    _delete, _delete, _insert, _insert, _insert_word, _swap, _swap, _rename, _rename, _rename,
    _operator, _operator, _operator, _number, _number, _duplicate, _repeat, _shuffle, _repeat_line,
    _repeat_line, _splice, _splice, _nest, _line_endings,
)  # fmt: skip
GENTLE = (
    _rename,
    _rename,
    _operator,
    _operator,
    _number,
    _repeat_line,
    _repeat_line,
    _shuffle,
    _lag,
)
