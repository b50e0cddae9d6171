r"""Where a formula in LaTeX may be broken, so that it stays on its page."""

from __future__ import annotations

import functools
import re

COLUMN = r"(?:\{@\{\}[lr]@\{\}\})?"  # of an array
TOKEN = re.compile(
    r"(?P<cut> [+-] |, )|(?P<product> \\(?:odot|cdot|mathbin\{@\}|,/\\,) )"
    r"|\\(?P<side>left|right)\s*(?P<bracket>\\[A-Za-z]+|\\?.)"
    rf"|\\(?P<edge>begin|end)\{{\w+\*?\}}{COLUMN}"
    r"|\\(?:[A-Za-z]+|.)|[{}]|."
)
INNERMOST = re.compile(rf"\\begin\{{(\w+)\}}{COLUMN}((?:(?!\\begin).)*?)\\end\{{\1\}}")
FRACTION = re.compile(r"\\frac\{([^{}]*)\}\{([^{}]*)\}")
LOW = re.compile(r"[_^](?:\{([^{}]*)\}|(\\[A-Za-z]+|[^{}\\]))")
FONT = re.compile(r"\\(?:text|mathit|mathrm|operatorname|hat|tilde|bar|underline)\{([^{}]*)\}")
GAP = re.compile(r"\\rule\{0pt\}\{\d+mm\}\\hspace\{(\d+)mm\}")  # a line to write on
DIGIT = 2  # millimetres
ROOM = "0"  # a letter would be taken for the end of a command
SPACE = {r"\qquad": 4 * ROOM, r"\quad": 2 * ROOM}
TIMES = re.compile(r"\s*\\cdot\s")  # with the points of its numbers it is as wide as a digit
SIGN = re.compile(r"\s*(?:[=+<>-]|\\(?:odot|times|le|ge|neq|bmod|mathbin\{@\}))\s")
COMMAND = re.compile(r"\\[A-Za-z]+|\\.")
WORD = re.compile(r"\\(tanh|exp|log|sin|cos|max|min)\b")


@functools.lru_cache(maxsize=4096)
def breadth(latex: str) -> int:
    r"""About how many digits would be as wide.

    >>> breadth(r"\frac{1}{1 + x} + h_2"), breadth(r"\begin{pmatrix} 0.25 \\ 1 \end{pmatrix}")
    (11, 8)
    """
    before = None
    latex = GAP.sub(lambda m: ROOM * -(-int(m[1]) // DIGIT), latex)
    while latex != before:
        before = latex
        latex = INNERMOST.sub(_broadest, latex)
        latex = FRACTION.sub(lambda m: ROOM * (1 + max(map(_plain, m.groups()))), latex)
        latex = LOW.sub(lambda m: ROOM * -(-2 * _plain(m[1] or m[2]) // 3), latex)
        latex = FONT.sub(lambda m: ROOM * len(m[1]), latex)
    return _plain(latex)


def _broadest(block: re.Match[str]) -> str:
    rows = block[2].split(r"\\")
    cells = [sum(2 + _plain(cell) for cell in row.split("&")) for row in rows]
    return ROOM * (max(cells, default=0) + 2 * (block[1] != "array"))


def _plain(latex: str) -> int:
    """The breadth of what has no braces around several lines."""
    for space, wide in SPACE.items():
        latex = latex.replace(space, wide)
    latex = SIGN.sub(3 * ROOM, TIMES.sub(ROOM, latex))
    latex = WORD.sub(r"\1", latex)
    latex = re.sub(r"\\(?:left|right)\b\.?", ROOM, latex)
    return len(re.sub(r"[\s{}&]", "", COMMAND.sub(ROOM, latex)))


def broken(latex: str, room: int) -> list[str]:
    r"""Lines no broader than `room`, broken before a + or -, or after a comma; where
    a part is broader still, before a product sign.

    Brackets that are broken close at the end of the line, invisibly, and open again.

    >>> broken(r"\left(a + b\right) - c", 5)
    ['\\left(a\\right.', '\\left.+ b\\right)', '- c']
    """
    if breadth(latex) <= room:
        return [latex]
    lines, line, used = [], "", 0
    pieces = _pieces(latex)
    if any(breadth(piece) > room for piece, _ in pieces):
        pieces = _pieces(latex, at_products=True)
    for piece, depth in pieces:
        width = breadth(piece)
        if line and used + width > room:
            closed, opened = r"\right." * depth, r"\left." * depth
            lines.append(line.rstrip() + closed)
            line, used = opened + piece.lstrip(), width
        else:
            line, used = line + piece, used + width
    return [*lines, line]


def _pieces(latex: str, at_products: bool = False) -> list[tuple[str, int]]:
    """The parts between places to break at, and how many \\left are open before each."""
    pieces, start = [], 0
    braces = opened = before = 0
    for token in TOKEN.finditer(latex):
        if token["side"]:
            opened += 1 if token["side"] == "left" else -1
        elif token["edge"]:
            braces += 1 if token["edge"] == "begin" else -1
        elif token[0] in "{}":
            braces += 1 if token[0] == "{" else -1
        elif (token["cut"] or (at_products and token["product"])) and braces == 0 and token.start():
            place = token.end() if token[0] == ", " else token.start()
            pieces.append((latex[start:place], before))
            start, before = place, opened
    return [*pieces, (latex[start:], before)]
