"""Names in MathML as a page prints them: Greek letters, accents, indices."""

from __future__ import annotations

import functools
import re
import unicodedata
from html import escape

from elman.language.letters import ACCENTS, COMMANDS, GREEK
from elman.trace.formats.latex_letters import ACCENTS as MARKED

SHORT = re.compile("[a-zA-Z][a-zA-Z0-9]")
OVER = dict(zip(ACCENTS, "^˜¯˙¨ˇ˘", strict=True))  # noqa: RUF001 - accents over a letter
MARKS = {mark: OVER[word] for mark, word in MARKED.items() if word in OVER}
MARKS |= {"\u0300": "`", "\u0301": "\u00b4", "\u030a": "\u02da"}
LETTERS = GREEK | {
    "varepsilon": "ε",
    "vartheta": "ϑ",
    "varpi": "ϖ",
    "varrho": "\u03f1",
    "varsigma": "ς",
    "varphi": "φ",
    "epsilon": "ϵ",
    "phi": "ϕ",
    "ell": "ℓ",
}


def identifier(text: str) -> str:
    """`<mi>h</mi>`, `<mn>2</mn>`; a single letter is set in italics, its accent over it."""
    if text.isdecimal():
        return f"<mn>{escape(text)}</mn>"
    letter = unicodedata.normalize("NFC", LETTERS.get(text, text))
    if len(letter) != 1 or letter.isascii():
        return f"<mi>{escape(letter)}</mi>"
    base, *marks = tuple(unicodedata.normalize("NFD", letter))
    if marks and all(mark in MARKS for mark in marks):
        return functools.reduce(_under, (MARKS[mark] for mark in marks), identifier(base))
    # Greek letters lean by themselves, as Latin ones do
    is_plain = "GREEK" in unicodedata.name(letter, "") or letter.lower() == letter.upper()
    return f"<mi>{letter}</mi>" if is_plain else f'<mi class="letter">{letter}</mi>'


def _under(xml: str, accent: str) -> str:
    return f'<mover accent="true">{xml}<mo stretchy="false">{accent}</mo></mover>'


def math_name(name: str, time: str = "", *, whole: bool = False) -> str:
    """A name with its indices, the time the last of them.

    >>> math_name("h", "2")
    '<msub><mi>h</mi><mn>2</mn></msub>'
    >>> math_name("c_hat")
    '<mover accent="true"><mi>c</mi><mo stretchy="false">^</mo></mover>'
    """
    parts = name.split("_")
    if whole or not all(parts) or ("t" in parts and name != "t"):
        return indexed(identifier(name), [moment(time)] if time else [])
    letter, *indices = _accented(parts)
    return indexed(letter, [*indices, *([moment(time)] if time else [])])


def moment(time: str) -> str:
    """A step as an index: `-1` has a sign."""
    return f"<mrow><mo>−</mo>{identifier(time[1:])}</mrow>" if time[0] == "-" else identifier(time)


def indexed(letter: str, indices: list[str]) -> str:
    """A letter with indices, commas between them."""
    if not indices:
        return letter
    low = "<mo>,</mo>".join(indices)
    return f"<msub>{letter}{low if len(indices) == 1 else f'<mrow>{low}</mrow>'}</msub>"


def _index(part: str) -> str:
    """The letters of a short index stand for themselves, as `hy` of W_hy does; a word is a word."""
    if not SHORT.fullmatch(part) or part in LETTERS:
        return identifier(part)
    return f"<mrow>{''.join(map(identifier, part))}</mrow>"


def _accented(parts: list[str]) -> list[str]:
    """The parts with the accents set over the letters before them."""
    done: list[str] = []
    before = ""
    for part in parts:
        is_letter = before in COMMANDS or (len(before) == 1 and before.isalpha())
        if part in OVER and (is_letter or (len(done) == 1 and before not in OVER)):
            done[-1] = _under(done[-1], OVER[part])
        else:
            done.append(_index(part) if done else identifier(part))
        before = part
    return done
