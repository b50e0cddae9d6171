r"""Letters that LaTeX on paper has no sign for, as commands; and texts as LaTeX prints them."""

from __future__ import annotations

import functools
import re
import unicodedata

from elman.language.letters import GREEK

ACCENTS = {
    "\u0300": "grave",
    "\u0301": "acute",
    "\u0302": "hat",
    "\u0303": "tilde",
    "\u0304": "bar",
    "\u0306": "breve",
    "\u0307": "dot",
    "\u0308": "ddot",
    "\u030a": "mathring",
    "\u030c": "check",
    "\u20d7": "vec",
}
LETTERS = {letter: rf"\{word}" for word, letter in GREEK.items() if word != "lam"}
LETTERS |= {"λ": r"\lambda", "ο": "o", "ς": r"\varsigma", "ϵ": r"\epsilon", "ϑ": r"\vartheta"}
LETTERS |= {"ϕ": r"\phi", "\u03f1": r"\varrho", "ϖ": r"\varpi", "ℓ": r"\ell", "∂": r"\partial"}
# Greek capitals that look like Latin ones
LATIN_LIKE = (913, 914, 917, 918, 919, 921, 922, 924, 925, 927, 929, 932, 935)
LETTERS |= dict(zip(map(chr, LATIN_LIKE), "ABEZHIKMNOPTX", strict=True))
SPECIAL = {letter: rf"\{letter}" for letter in "#$%&_{}"}
SPECIAL |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
SPECIAL |= {
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
# signs that pdflatex knows in a text, or in a formula
SIGNS = {"–": "--", "—": "---", "…": r"\dots{}", "“": "``", "”": "''", "\u2018": "`", "’": "'"}
SIGNS |= {"→": r"$\to$", "←": r"$\leftarrow$", "≤": r"$\le$", "≥": r"$\ge$", "≠": r"$\neq$"}
SIGNS |= {"×": r"$\times$", "·": r"$\cdot$", "⊙": r"$\odot$", "−": "$-$", "≈": r"$\approx$"}
SIGNS |= {"∈": r"$\in$", "∞": r"$\infty$", "√": r"$\surd$", "∑": r"$\sum$", "′": "$'$"}
HIGH = "⁰¹²³⁴⁵⁶⁷⁸⁹"
LOW = "₀₁₂₃₄₅₆₇₈₉"
SIGNS |= {letter: f"$^{k}$" for k, letter in enumerate(HIGH)}
SIGNS |= {letter: f"$_{k}$" for k, letter in enumerate(LOW)}
LATIN = re.compile("[\u00a1-\u00ac\u00ae-\u017f]")
LACKED = re.compile("[ĦħĸĿŀŉŦŧſ]")  # of those letters, what no font holds
ONLY_T1 = re.compile("[«»ÐÞðþĄąĐđĘęĮįŊŋŲų]")  # what fonts hold in the encoding T1 only
QUOTE = re.compile(r'(?P<opening>(?<![^\s(\[{])"(?=\S))|"')


def in_ascii(formula: str) -> str:
    r"""A formula without letters that LaTeX may lack.

    >>> in_ascii("ĉ_2"), in_ascii("W_ĉ"), in_ascii(r"\mathit{Γ\_u}"), in_ascii("я")
    ('\\hat{c}_2', 'W_{\\hat{c}}', '\\mathit{{\\Gamma}\\_u}', '\\mathit{ya}')
    """
    if formula.isascii():
        return formula
    formula = unicodedata.normalize("NFC", formula)
    return re.sub("([_^]?)([^\x00-\x7f])", lambda found: found[1] + _held(*found.groups()), formula)


def _held(sign: str, letter: str) -> str:
    """A letter; as an index it has braces around its accent."""
    written = _letter(letter)
    return f"{{{written}}}" if sign and written[0] != "{" else written


@functools.cache
def _letter(letter: str) -> str:
    if letter in LETTERS:
        return f"{{{LETTERS[letter]}}}"
    base, *marks = tuple(unicodedata.normalize("NFD", letter))
    if marks and all(mark in ACCENTS for mark in marks):
        base = base if base.isascii() else _letter(base)
        for mark in marks:
            base = rf"\{ACCENTS[mark]}{{{base}}}"
        return base
    if LATIN.fullmatch(letter) and not LACKED.match(letter) and not ONLY_T1.match(letter):
        return rf"\text{{{letter}}}"
    word = unicodedata.name(letter, f"U{ord(letter):X}").split()[-1].lower()
    return rf"\mathit{{{word.replace('-', '')}}}"


def in_text(text: str) -> str:
    r"""A sentence as LaTeX prints it; signs that its fonts lack stand by their numbers.

    >>> in_text("50% of h_t: α → 1"), in_text("心"), in_text('the word "love"')
    ('50\\% of h\\_t: $\\alpha$ $\\to$ 1', '[U+5FC3]', "the word ``love''")
    """
    text = unicodedata.normalize("NFC", re.sub(r"\s+", " ", text))
    text = QUOTE.sub(lambda found: "“" if found["opening"] else "”", text)
    return "".join(map(_in_text, text))


@functools.cache
def _in_text(letter: str) -> str:
    if letter in SPECIAL:
        return SPECIAL[letter]
    if letter.isascii():
        return letter if letter.isprintable() else " "
    if letter in SIGNS:
        return SIGNS[letter]
    if letter in LETTERS:
        return f"${LETTERS[letter]}$"
    if ONLY_T1.match(letter):
        return rf"{{\fontencoding{{T1}}\selectfont {letter}}}"
    is_held = LATIN.fullmatch(letter) and not LACKED.match(letter)
    return letter if is_held else f"[U+{ord(letter):04X}]"
