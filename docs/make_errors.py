"""Write docs/errors.md: every code with its meaning, and a text that gets it, from the tests.

python docs/make_errors.py           writes the page
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elman import errors

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "errors.md"
GOLDEN = ROOT / "tests" / "errors"
HEAD = """# Errors and warnings

Every message of Elman has a code, which stays the same from version to version. It says what is
wrong in your names, shows the line with a caret under the place, lists the values that clash with
where each came from, gives the rule, and ends with a way out. All errors are `elman.ElmanError`, a
`ValueError`; warnings are `elman.errors.CellWarning`, and `cell.warnings` holds those of a cell.

This page is written by `make docs` from the codes and from the messages that the tests hold.
"""


def codes() -> list[str]:
    """Every code that the package can say."""
    text = "\n".join(p.read_text("utf-8") for p in (ROOT / "src" / "elman").rglob("*.py"))
    return sorted(set(re.findall(r'"([EW]\d{3})"', text)) - {"E999"})


def families() -> dict[str, tuple[str, str]]:
    """What the codes beginning with E1, E2, ... are called: (class, its sentence)."""
    found = {}
    for kind in (*errors.ElmanError.__subclasses__(), errors.CellWarning):
        code, _, sentence = str(kind.__doc__).partition(": ")
        found[code.removesuffix("xx")] = (kind.__name__, sentence.strip())
    return found


@dataclass(frozen=True)
class Example:
    """What a test gives, and the message that it gets."""

    text: str
    message: str
    is_page: bool

    @property
    def shown(self) -> str:
        """The text, and its message where another one begins."""
        given = ("The page" if self.is_page else "The text") if self.text else ""
        blocks = [f"{given}\n\n{_fenced(self.text)}\n\ngets"] if given else ["For instance"]
        return "\n\n".join([*blocks, _fenced(self.message)])


def _fenced(text: str) -> str:
    fence = "````" if "```" in text else "```"
    return f"{fence}text\n{text}\n{fence}"


def examples(code: str) -> Iterator[Example]:
    """The texts of the tests that get this code."""
    for path in sorted(GOLDEN.glob(f"*/{code}_*.txt")):
        text, rule, message = path.read_text("utf-8").rpartition("----\n")
        given = text.rstrip("\n") if rule else ""
        yield Example(given, message.rstrip("\n"), "\\" in given)


def _clearness(example: Example) -> tuple[bool, int]:
    """Python's notation before LaTeX, and of those the shortest that is not empty."""
    return example.is_page, len(example.text + example.message)


def meanings() -> dict[str, str]:
    """What docs/codes.txt says of every code."""
    lines = (ROOT / "docs" / "codes.txt").read_text("utf-8").splitlines()
    return dict(line.split(": ", 1) for line in lines if not line.startswith("#"))


def entry(code: str, meaning: str) -> str:
    """One code: its meaning, and an example where a test has one."""
    parts = [f"### {code}\n\n{meaning}"]
    found = sorted(examples(code), key=_clearness)
    parts += [found[0].shown] if found else []
    return "\n\n".join(parts)


def page() -> str:
    """The whole page."""
    said = meanings()
    parts = [HEAD]
    for prefix, (name, sentence) in sorted(families().items()):
        own = [code for code in codes() if code.startswith(prefix)]
        parts.append(f"## {name} ({prefix}xx)\n\n{sentence[0].upper()}{sentence[1:]}")
        parts += [entry(code, said[code]) for code in own]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
