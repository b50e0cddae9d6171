"""The numbers that a sheet gives: arrays by name, words that stand for one-hot vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from elman.errors import FileProblem, nearest
from elman.sheets.places import Path_, Tree


@dataclass(frozen=True)
class Words:
    """Names of entries: a list for all streams, or one for each."""

    given: Sequence[str] | Mapping[str, Sequence[str]] = field(default_factory=list)

    def of(self, name: str) -> Sequence[str]:
        """The names of one stream's entries; none where it has no names."""
        return self.given.get(name, ()) if isinstance(self.given, Mapping) else self.given


def arrays(
    tree: Tree,
    section: str,
    given: Mapping[str, Any],
    words: Words | None = None,
    *below: str,
    is_class: bool = False,
) -> dict[str, Any]:
    """Nested lists of numbers by name; FileProblem E626 or E627 names what is no number."""
    reader = _Reader(tree, words, is_class)
    above = (section, *below)
    return {name: reader.read(value, (*above, name), name) for name, value in given.items()}


@dataclass(frozen=True)
class _Reader:
    tree: Tree
    words: Words | None
    is_class: bool  # a word is its number, not a vector

    def read(self, value: Any, path: Path_, name: str) -> Any:
        if value == [] and len(path) == 2:
            rule, fix = "Inputs have an entry for each step.", "As in:  x: [[1, 2], [1.5, 2.5]]"
            raise self.problem("E626", path, f"{name} is an empty list", rule, fix)
        if isinstance(value, list):
            return [self.read(each, (*path, k), name) for k, each in enumerate(value)]
        if value is None and self.is_class:
            return None  # a step without a target
        if isinstance(value, str) and self.words is not None:
            return self.word(value, path, name)
        if not isinstance(value, int | float) or not math.isfinite(value):
            rule, fix = "Numbers are finite, their decimals after a point.", "As in:  0.5"
            raise self.problem("E626", path, f"{name} holds {_said(value)}", rule, fix)
        return value

    def word(self, word: str, path: Path_, name: str) -> Any:
        """A one-hot vector, or the number of a class."""
        assert self.words is not None
        names = list(self.words.of(name))
        if word not in names:
            rule = f"The names are {', '.join(names)}." if names else "The sheet gives no names."
            fix = (nearest(word, names) or None) if names else "As in:  names: [I, love, deep]"
            raise self.problem("E627", path, f"{word!r} is no name of {name}", rule, fix)
        place = names.index(word)
        return place if self.is_class else np.eye(len(names))[place].tolist()

    def problem(
        self, code: str, path: Path_, headline: str, rule: str, fix: str | None
    ) -> FileProblem:
        return FileProblem(
            code,
            f"{self.tree.path}: {headline}",
            where=self.tree.where(*path, value=True),
            rule=rule,
            fix=fix,
        )


def _said(value: object) -> str:
    if value is None:
        return "nothing"
    return f"{value!r}" if isinstance(value, str) else f"the value {value}"
