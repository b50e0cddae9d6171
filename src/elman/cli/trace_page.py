"""Where and how a worked example is written: a format, a file, a terminal; blank and solved."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import typer

from elman.cell.files import check_is_file, write_text
from elman.cli.trace_options import Format
from elman.errors import NameProblem, nearest
from elman.trace import Trace
from elman.trace.document import blanked
from elman.trace.numbers import Digits

ENDINGS = {
    ".txt": Format.text,
    ".md": Format.markdown,
    ".tex": Format.latex,
    ".html": Format.html,
    ".csv": Format.csv,
    ".json": Format.json,
}
VALUES = (Format.csv, Format.json)  # they hold every value as it is
WIDTH = 80


@dataclass(frozen=True)
class Page:
    """How a trace is written; a format of None is said by the file's ending."""

    digits: Digits
    format: Format | None = None
    output: Path | None = None
    width: int | None = None
    color: bool | None = None
    blank: bool = False

    def check(self) -> None:
        """Refuse, before any work, what cannot be written."""
        kind = self.kind()
        if self.blank and kind in VALUES:
            message = f"{kind} holds values, and a blank page has none"
            raise typer.BadParameter(message, param_hint="--blank")
        if self.blank and self.output is None and kind is not Format.text:
            message = f"exercise and solution are two pages of {kind}: -o sheet{_ending(kind)}"
            raise typer.BadParameter(message, param_hint="--blank")

    def print(self, trace: Trace) -> None:
        """Write a trace to its file, or to standard output; a blank one with its solution."""
        kind = self.kind()
        if self.output is not None:
            self._save(trace, kind, self.output)
            return
        self._show(trace, kind, blank=self.blank)
        if self.blank:
            print("\n\nsolution\n")
            self._show(trace, kind, blank=False)

    def kind(self) -> Format:
        """The format; E446 where the ending of the file is of none."""
        if self.format is not None or self.output is None:
            return self.format or Format.text
        ending = self.output.suffix.lower()
        if ending not in ENDINGS:
            raise NameProblem(
                "E446",
                f"{self.output} ends with {ending}, which is no format of a page"
                if ending
                else f"{self.output} has no ending that says its format",
                rule=f"A page is a {', '.join(ENDINGS)} file.",
                fix=nearest(ending, ENDINGS) or "Or say it: --format text.",
            )
        return ENDINGS[ending]

    def _save(self, trace: Trace, kind: Format, path: Path) -> None:
        pages = {path: self.blank}
        if self.blank:
            pages[path.with_name(f"{path.stem}.solution{path.suffix}")] = False
        for name in pages:  # both can be written, or none is
            check_is_file(name)
        texts = {name: self.written(trace, kind, blank=each) for name, each in pages.items()}
        for name, text in texts.items():
            write_text(name, text.rstrip("\n") + "\n")

    def _show(self, trace: Trace, kind: Format, *, blank: bool) -> None:
        if kind is Format.text and self.has_colors():
            from elman.trace.formats import terminal  # spares rich

            document = trace.document(self.digits)
            shown = blanked(document) if blank else document
            console = terminal.Console(force_terminal=True if self.color else None, highlight=False)
            terminal.print_document(shown, self.digits, console=console, width=self.width)
        else:
            print(self.written(trace, kind, blank=blank).rstrip("\n"))

    def has_colors(self) -> bool:
        """Whether text is coloured: as asked for, else on a terminal that likes colours."""
        if self.color is not None:
            return self.color
        return sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def written(self, trace: Trace, kind: Format, *, blank: bool) -> str:
        """The page as a text."""
        count, significant, limit = self.digits.count, self.digits.significant, self.digits.limit
        if kind is Format.csv:
            return trace.to_csv()
        if kind is Format.json:
            return trace.to_json()
        if kind is Format.text:
            width = self.width or WIDTH
            return trace.to_text(
                count, significant=significant, limit=limit, width=width, blank=blank
            )
        write = {
            Format.markdown: trace.to_markdown,
            Format.latex: trace.to_latex,
            Format.html: trace.to_html,
        }[kind]
        return write(count, significant=significant, limit=limit, blank=blank)


def _ending(kind: Format) -> str:
    return next(ending for ending, other in ENDINGS.items() if other is kind)
