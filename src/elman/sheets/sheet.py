"""A sheet: a worked example in a file, with the cell, its numbers, and what the page claims."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import elman
from elman.cell import Cell
from elman.cell.given_files import check_finite, read_arrays, read_names
from elman.errors import ElmanError, FileProblem, nearest
from elman.sheets.check import check
from elman.sheets.claims import Claim, read_claims
from elman.sheets.content import Content, content_of
from elman.sheets.given import Words, arrays
from elman.sheets.page import Page, page_of
from elman.sheets.places import Tree, read_tree
from elman.sheets.report import Report
from elman.trace import Trace

PAGES = (".cell", ".tex", ".md", ".rst")  # the endings of files that hold a cell
SECTIONS = ("weights", "inputs", "state", "sizes", "loss")
Result = TypeVar("Result")


def load(path: str | Path) -> Sheet:
    """The sheet in a file.

    >>> _ = Path("rnn.sheet.yaml").write_text(
    ...     "equations: h[t] = tanh(w * x[t])\\n"
    ...     "weights: {w: .5}\\ninputs: {x: [1]}\\nclaims: {'h[1]': .4621}"
    ... )
    >>> print(load("rnn.sheet.yaml").check())
    rnn.sheet.yaml
      h[1] = .4621  rounded
      1 claim: 1 rounded

    Errors: FileProblem E601 to E605 where the file cannot be read, E620 to E635 where it is no
    sheet; and those of its cell and its numbers, with the line of the file.
    """
    tree = read_tree(Path(path))
    sheet = Sheet(tree, content_of(tree))
    assert sheet.claims is not None  # so that a claim that cannot be meant is told of at once
    return sheet


@dataclass(frozen=True, eq=False)
class Sheet:
    """What a file holds; the cell and the trace are made when they are asked for."""

    tree: Tree
    content: Content

    @property
    def path(self) -> Path:
        """The file."""
        return self.tree.path

    @property
    def title(self) -> str:
        """The title, or the file's name."""
        return self.content.title or self.path.name

    @property
    def digits(self) -> int:
        """The decimals to print."""
        return self.content.digits

    @property
    def questions(self) -> tuple[str, ...]:
        """What is asked about the example."""
        return tuple(self.content.questions)

    @property
    def answers(self) -> tuple[str, ...]:
        """The answers, shown with the solution."""
        return tuple(self.content.answers)

    @functools.cached_property
    def cell(self) -> Cell | None:
        """The cell; None where the sheet is arithmetic alone."""
        content = self.content
        if content.equations is not None:
            text = content.equations
            return self.placed(lambda: Cell(text, self.path.name.split(".")[0]), "equations")
        if content.latex is not None:
            page = content.latex
            name = self.path.name.split(".")[0]
            return self.placed(lambda: Cell.from_latex(page, name=name), "latex")
        return None if content.cell is None else self._named_cell(content.cell)

    def _named_cell(self, name: str) -> Cell:
        if name in elman.cells:
            return elman.cells[name]
        if name.endswith(PAGES):
            return self.placed(lambda: Cell.load(self.path.parent / name), "cell")
        raise FileProblem(
            "E622",
            f"{self.path}: there is no cell {name!r}",
            where=self.tree.where("cell", value=True),
            rule="A cell is a name of the library, or a file with its ending, as my.cell.",
            fix=nearest(name, elman.cells) or None,
        )

    @functools.cached_property
    def words(self) -> Words:
        """The names of entries as they are given: one list for all, or one for each stream."""
        given = self.content.names
        if isinstance(given, str):
            return Words(self._words_of_file(given))
        return Words(given)

    def _words_of_file(self, name: str) -> list[str]:
        return self.placed(lambda: read_names(self.path.parent / name), "names")

    @property
    def names(self) -> Mapping[str, tuple[str, ...]]:
        """The names of the entries of each stream that has some."""
        return self.trace().names if self.cell is not None else {}

    def trace(self) -> Trace:
        """Every line of the example with its numbers, as `Cell.trace` gives it."""
        if self._trace is None:
            raise FileProblem(
                "E624",
                f"{self.path} has no cell to trace",
                rule="Its claims are arithmetic alone.",
                fix="As in:  cell: lstm",
            )
        return self._trace

    @functools.cached_property
    def _trace(self) -> Trace | None:
        cell = self.cell
        if cell is None:
            return None
        given = self.arguments()
        found = self.placed(lambda: cell.trace(**given))
        words = self.words.given
        return self.placed(lambda: found.named(words), "names") if words else found

    def arguments(self) -> dict[str, Any]:
        """What `cell.trace` is called with."""
        content = self.content
        weights = content.weights
        if isinstance(weights, str):
            values = self._weights_of_file(weights)
        else:
            values = arrays(self.tree, "weights", weights)
        found: dict[str, Any] = {
            "inputs": arrays(self.tree, "inputs", content.inputs, self.words),
            "weights": values,
            "state": arrays(self.tree, "state", content.state) or None,
            "sizes": content.sizes or None,
            "steps": content.steps,
        }
        return found | self._loss()

    def _weights_of_file(self, file: str) -> dict[str, Any]:
        def read() -> dict[str, Any]:
            found = read_arrays(self.path.parent / file)
            for name, value in found.items():
                check_finite(f"{name} in {file}", value)
            return found

        return self.placed(read, "weights")

    def _loss(self) -> dict[str, Any]:
        loss = self.content.loss
        if loss is None:
            return {}
        target = arrays(self.tree, "loss", loss.target, self.words, "target", is_class=True)
        return {"loss": loss.kind, "target": target, "lr": loss.lr}

    @functools.cached_property
    def page(self) -> Page:
        """Its lines, as they can be worked again."""
        return page_of(self._trace)

    @functools.cached_property
    def claims(self) -> tuple[Claim, ...]:
        """What the page claims, in its order."""
        return read_claims(self.tree, self.page, self.names)

    def check(self, digits: int | None = None) -> Report:
        """A verdict for every claim, and of what is wrong the likeliest cause.

        `digits` are the decimals of correct values; without it, as many as are claimed.
        """
        return check(self.title, self.page, self.claims, self.names, digits)

    def placed(self, work: Callable[[], Result], *keys: str) -> Result:
        """Do `work`; an error gets the file's name, and its line where it has no place."""
        try:
            return work()
        except ElmanError as error:
            if str(self.path) not in error.headline:
                error.headline = f"{self.path}: {error.headline}"
            if error.code == "E601":
                error.rule = "Files are looked for beside the sheet."
            if error.where is None:
                error.where = self.tree.where(*(keys or self._blamed(error)))
            raise

    def _blamed(self, error: ElmanError) -> tuple[str, ...]:
        """The key that an error names."""
        said = " ".join([error.headline, *(f"{f.name} {f.origin}" for f in error.facts)])
        words = set(re.findall(r"\w+", said))
        for section in SECTIONS:
            inside = self.tree.value.get(section)
            for key in inside if isinstance(inside, dict) else ():
                if key in words:
                    return section, key
        return next(((word,) for word in SECTIONS if word[:5] in said), ("cell",))
