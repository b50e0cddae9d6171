"""What can be wrong with what the user gave, and the one formatter that says it.

An error has six parts, printed in this order: what is wrong, in the user's names; the equation with
a caret under the span; the values that clash, each with where it came from; the rule; the fix; a
stable code.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

LONGEST_LINE = 1000  # of a message
LONGEST = 80  # of a line, so many characters are shown before, under and after the caret


@dataclass(frozen=True)
class Where:
    """A place in the user's text: `line` is shown, the caret runs under [start, end)."""

    label: str  # "equation 1 of cell 'elman'", "line 3 of gru.cell"
    line: str
    start: int
    end: int

    def show(self) -> list[str]:
        before = self.line[: self.start].lstrip().replace("\t", " ")
        under = self.line[self.start : self.end].replace("\t", " ")
        after = self.line[self.end :].rstrip().replace("\t", " ")
        if len(before) > LONGEST:
            before = "..." + before[3 - LONGEST :]
        if len(under) > LONGEST:
            under = under[: LONGEST - 3] + "..."
        if len(after) > LONGEST:
            after = after[: LONGEST - 3] + "..."
        caret = " " * columns_of(before) + "^" * max(1, columns_of(under))
        return [f"  {self.label}", f"    {before}{under}{after}", f"    {caret}"]


def columns_of(text: str) -> int:
    """The columns a text fills: a hat over a letter takes no room, wide letters take two."""
    widths = (unicodedata.east_asian_width(c) for c in text if not unicodedata.combining(c))
    return sum(2 if width in "WF" else 1 for width in widths)


@dataclass(frozen=True)
class Fact:
    """One of the values that clash: `U  is (64, 64)  from the array given as weights["U"]`."""

    name: str
    value: str
    origin: str = ""


class _Said(Exception):
    """What errors and warnings have in common: six parts, and how they are printed."""

    def __init__(
        self,
        code: str,
        headline: str,
        *,
        where: Where | None = None,
        facts: Iterable[Fact] = (),
        rule: str | None = None,
        fix: str | None = None,
        subject: object = None,
    ) -> None:
        self.subject = subject  # the IR node that is wrong: whoever knows the text finds its place
        self.code = code
        self.headline = headline
        self.where = where
        self.facts = tuple(facts)
        self.rule = rule
        self.fix = fix  # no super().__init__: torch.compile could not tell what was raised

    def __str__(self) -> str:
        lines = [f"{type(self).__name__} [{self.code}]: {self.headline}"]
        if self.where is not None:
            lines += self.where.show()
        lines += _columns(self.facts)
        if self.rule or self.fix:
            lines.append("  " + " ".join(part for part in (self.rule, self.fix) if part))
        return "\n".join(map(_cut, lines))

    def __reduce__(self) -> tuple[Any, ...]:
        """From one process to another; the IR node stays behind."""
        return again, (type(self), self.headline, {**self.__dict__, "subject": None})


def again(kind: type[_Said], headline: str, parts: Mapping[str, object]) -> _Said:
    """An error or a warning with all that another one says."""
    found = kind.__new__(kind, parts["code"], headline)
    found.__dict__.update(parts)
    return found


def _cut(line: str) -> str:
    """A line that one can read: a name may have a million letters."""
    half = LONGEST_LINE // 2
    return line if len(line) <= LONGEST_LINE else f"{line[: half - 5]} ... {line[-half:]}"


class ElmanError(_Said, ValueError):
    """Anything that is wrong with what the user gave.

    >>> print(ElmanError("E999", "the cell has no name", rule="A cell is asked for by name."))
    ElmanError [E999]: the cell has no name
      A cell is asked for by name.
    """

    def at(self, where: Where | None) -> ElmanError:
        """The same error with its place in the user's text, unless it has one already."""
        if self.where is None:
            self.where = where
        return self


class CellWarning(_Said, UserWarning):
    """W1xx: equations that are legal, but hardly mean what they say."""


def _columns(facts: tuple[Fact, ...]) -> list[str]:
    names = max((len(fact.name) for fact in facts), default=0)
    values = max((len(fact.value) for fact in facts), default=0)
    return [
        f"  {fact.name:<{names}} is {fact.value:<{values}}   {fact.origin}".rstrip()
        for fact in facts
    ]


class SyntaxProblem(ElmanError):
    """E1xx: the text is not in the equation language."""


class ShapeProblem(ElmanError):
    """E2xx: sizes that clash, or that nothing sets."""


class TimeProblem(ElmanError):
    """E3xx: time indices that cannot be right."""


class NameProblem(ElmanError):
    """E4xx: a name that is unknown, missing or used twice."""


class WeightProblem(ElmanError):
    """E5xx: arrays (weights, inputs, states) that do not fit the cell."""


class FileProblem(ElmanError):
    """E6xx: a file or folder that cannot be read or written."""


class DataProblem(ElmanError):
    """E7xx: data that cannot be learned from."""


class BackendProblem(ElmanError):
    """E8xx: a backend that cannot do what was asked."""


def nearest(name: str, known: Iterable[str]) -> str:
    """`Did you mean 'tanh'?`, or nothing where no known name is near.

    >>> nearest("tanhh", ["tanh", "exp"])
    "Did you mean 'tanh'?"
    """
    names = list(known)
    found = [other for other in names if other.lower() == str(name).lower()]
    found = found or difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    return f"Did you mean '{found[0]}'?" if found else ""
