"""What is said beside an equation: words, with names at their steps among them."""

from __future__ import annotations

import re
from collections.abc import Callable

from elman.trace.leaves import Dated

NAME = re.compile(r"\b([^\W\d]\w*)\[(-?\d+)\]")
SIGNS = (("**2", "\u00b2"), ("**3", "\u00b3"), (" * ", " \u00b7 "), (" - ", " \u2212 "))


def typeset(text: str, words: Callable[[str], str], name: Callable[[Dated], str]) -> str:
    """A gloss on one line, `words` and names written by those who know how.

    >>> typeset("through h[2]: 1 - a**2", str.upper, lambda left: f"<{left.name} {left.step}>")
    'THROUGH <h 2>: 1 − A²'
    """
    text = " ".join(text.split())
    done, start = [], 0
    for found in NAME.finditer(text):
        done += [words(_pretty(text[start : found.start()])), name(Dated(found[1], int(found[2])))]
        start = found.end()
    return "".join([*done, words(_pretty(text[start:]))])


def _pretty(words: str) -> str:
    for plain, sign in SIGNS:
        words = words.replace(plain, sign)
    return words
