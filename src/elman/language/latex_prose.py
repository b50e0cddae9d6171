r"""What the sentences around formulas say of a letter: `where $\phi$ is the hyperbolic tangent`.

Only a sentence that names the function is heard; "$\phi$ is a nonlinearity" says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

WINDOW = 160  # characters after a letter in which its function must be named
_LETTER = re.compile(r"(?::math:`|\\\(|\$)\s*(?P<tex>[^`$()=\n]{1,24}?)\s*(?:`|\\\)|\$)")
_DISPLAYED = re.compile(r"\$\$[^$]*\$\$")
_FUNCTION = re.compile(
    r"(?P<tanh>hyperbolic[\s-]+tangent|\\?tanh\b)"
    r"|(?P<relu>rectified[\s-]+linear(?:[\s-]+unit)?s?|\\?relu\b)"
    r"|(?P<softplus>\\?softplus\b)"
    r"|(?P<softmax>\\?softmax\b)"
    r"|(?P<sigmoid>logistic(?:[\s-]+(?:sigmoid|function))?|\\?sigmoid\b)",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[A-Za-z]+|[.;]")
_LINKING = frozenset(
    [
        "is",
        "are",
        "be",
        "being",
        "denotes",
        "denote",
        "represents",
        "represent",
        "stands",
        "means",
        "the",
        "a",
        "an",
        "usual",
        "usually",
        "typically",
        "normally",
        "often",
        "element",
        "wise",
        "elementwise",
        "pointwise",
        "nonlinear",
        "nonlinearity",
        "non",
        "linearity",
        "linear",
        "activation",
        "function",
        "functions",
        "squashing",
        "such",
        "as",
        "e",
        "g",
        "i",
        "eg",
        "math",
        "func",
        "class",
        "torch",
        "nn",
        "functional",
        "default",
        "text",
        "mathrm",
        "operatorname",
        "element",
        "applied",
        "componentwise",
        "component",
    ]
)
_SKIPPING = ("for", "to", "of")  # `for the candidate. Default: torch.tanh`


def said_functions(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each letter as printed, with the function that a sentence says it is."""
    text = _DISPLAYED.sub(lambda m: " " * len(m[0]), "\n".join(lines))
    for match in _LETTER.finditer(text):
        window = text[match.end() : match.end() + WINDOW].split("\n\n")[0]
        found = _FUNCTION.search(window)
        if found and _links(window[: found.start()]):
            yield match["tex"], str(found.lastgroup)


def _links(between: str) -> bool:
    """May these words stand between a letter and the name of its function?"""
    skips = False
    words = _WORDS.findall(between)
    if not words:
        return False
    for word in words:
        word = word.lower()
        if word == "default":
            skips = False
        elif word in _SKIPPING:
            skips = True
        elif word == ";" or not (skips or word == "." or word in _LINKING):
            return False
    return not skips
