"""A YAML file as values that know their place, so that an error shows the line it is about.

The texts of `claims` stay as they were typed: `.80` is two digits, and not the number 0.8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from elman.cell.files import read_text
from elman.cell.given_files import no_yaml, scalar
from elman.errors import FileProblem, Where, nearest

MOST_VALUES, DEEPEST = 100_000, 20
TYPED = ("claims", "names", "title")  # the keys under which scalars stay texts
MENDED = {  # by what the reader of YAML says
    "got '['": 'Within {} a key with brackets is put in quotes:  {"h[1]": .5}.',
    "'\\t'": "Indent with spaces, not with a tab.",
    "another document": "A file is one sheet; remove the line with ---.",
    "mapping values are not allowed": "Put a text with a colon in quotes.",
    "but got '}'": "Close the bracket before it.",
    "but got ']'": "Close the bracket before it.",
    "#x0000": "Write it as text, in UTF-8.",
}
Path_ = tuple[str | int, ...]  # the keys that lead to a value


@dataclass(frozen=True)
class Tree:
    """What a file holds, and where in it each value stands."""

    path: Path
    value: Any
    lines: tuple[str, ...] = ()
    keys: Mapping[Path_, tuple[int, int, int]] = field(default_factory=dict)  # line, start, end
    values: Mapping[Path_, tuple[int, int, int]] = field(default_factory=dict)

    def where(self, *keys: str | int, value: bool = False) -> Where | None:
        """The place of a key (of its `value`, if asked), or of the nearest one around it."""
        places = self.values if value else self.keys
        for end in range(len(keys), 0, -1):
            if keys[:end] in places:
                line, start, stop = places[keys[:end]]
                label = f"line {line + 1} of {self.path.name}"
                return Where(label, self.lines[line], start, stop)
        return None


def read_tree(path: Path) -> Tree:
    """The values of a file; FileProblem E605, E620, E621 or E635 where it cannot be one.

    >>> import pathlib
    >>> _ = pathlib.Path("a.yaml").write_text("title: RNN\\nclaims: {h: .80}")
    >>> read_tree(pathlib.Path("a.yaml")).value
    {'title': 'RNN', 'claims': {'h': '.80'}}
    """
    if path.is_dir():
        raise FileProblem("E602", f"{path} is a folder, not a file", fix="Name a file in it.")
    text = read_text(path).removeprefix("\ufeff")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        return _Reader(path, tuple(text.splitlines())).tree(root)
    except RecursionError:
        raise too_large(path) from None
    except yaml.YAMLError as error:
        raise _no_yaml(path, text.splitlines(), error) from error


def _no_yaml(path: Path, lines: list[str], error: yaml.YAMLError) -> FileProblem:
    """E605 with the line that cannot be read, and how such a line is mended."""
    found, mark = no_yaml(path, error), getattr(error, "problem_mark", None)
    if mark and mark.line < len(lines):
        label = f"line {mark.line + 1} of {path.name}"
        found.where = Where(label, lines[mark.line], mark.column, mark.column + 1)
    found.fix = next((fix for sign, fix in MENDED.items() if sign in found.headline), None)
    return found


class _Reader:
    def __init__(self, path: Path, lines: tuple[str, ...]) -> None:
        self.path, self.lines = path, lines
        self.keys: dict[Path_, tuple[int, int, int]] = {}
        self.values: dict[Path_, tuple[int, int, int]] = {}
        self.count = 0

    def tree(self, root: yaml.Node | None) -> Tree:
        if root is None:
            raise FileProblem(
                "E620", f"{self.path} is empty", rule="A sheet names its parts.", fix=EXAMPLE
            )
        if not isinstance(root, yaml.MappingNode):
            kind = "list" if isinstance(root, yaml.SequenceNode) else "single value"
            raise FileProblem(
                "E620", f"{self.path} holds a {kind}, no named parts", rule=RULE, fix=EXAMPLE
            )
        value = self.read(root, ())
        return Tree(self.path, value, self.lines, self.keys, self.values)

    def read(self, node: yaml.Node, path: Path_) -> Any:
        self.count += 1
        if self.count > MOST_VALUES or len(path) > DEEPEST:
            raise too_large(self.path)
        self.values[path] = self.place(node)
        if isinstance(node, yaml.MappingNode):
            return {self.key(key, path): self.entry(key, value, path) for key, value in node.value}
        if isinstance(node, yaml.SequenceNode):
            return [self.read(each, (*path, k)) for k, each in enumerate(node.value)]
        return node.value if path[0] in TYPED else scalar(node)

    def entry(self, key: yaml.Node, value: yaml.Node, path: Path_) -> Any:
        return self.read(value, (*path, key.value))

    def key(self, node: yaml.Node, path: Path_) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise FileProblem(
                "E620",
                f"{self.path} has a key that is no text",
                where=self.at(node),
                rule="A key is a name, or in claims an expression.",
                fix='Put it in quotes: "[h[1], x[1]]": ...',
            )
        found = (*path, node.value)
        if found in self.keys:
            raise FileProblem(
                "E625",
                f"{self.path}: {node.value} is there twice",
                where=self.at(node),
                rule=f"It stands on line {self.keys[found][0] + 1} too; each key has one value.",
                fix="Remove one of them.",
            )
        self.keys[found] = self.place(node)
        return str(node.value)

    def place(self, node: yaml.Node) -> tuple[int, int, int]:
        start, end = node.start_mark, node.end_mark
        line = min(start.line, len(self.lines) - 1)
        last = end.column if end.line == start.line else len(self.lines[line])
        return line, start.column, max(last, start.column + 1)

    def at(self, node: yaml.Node) -> Where:
        line, start, end = self.place(node)
        return Where(f"line {line + 1} of {self.path.name}", self.lines[line], start, end)


RULE = "A sheet is a list of keys with values."
EXAMPLE = 'As in:  cell: lstm  on one line and  claims: {"h[1]": .12}  on another.'


def too_large(path: Path) -> FileProblem:
    """E635: more values, or deeper ones, than a sheet has."""
    rule = f"A sheet has at most {MOST_VALUES} values, at most {DEEPEST} deep."
    return FileProblem("E635", f"{path} is too large for a sheet", rule=rule)


def unknown_key(tree: Tree, path: Path_, known: tuple[str, ...]) -> FileProblem:
    """E621: a key that no sheet has."""
    key, *above = str(path[-1]), *map(str, path[:-1])
    inside = f" in {'.'.join(above)}" if above else ""
    return FileProblem(
        "E621",
        f"{tree.path}: there is no key {key!r}{inside}",
        where=tree.where(*path),
        rule=f"The keys{inside} are {', '.join(known)}.",
        fix=nearest(key, known) or None,
    )
