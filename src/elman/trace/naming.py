"""Names of the entries of a vector: the word that a one-hot input is, and the one chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.errors import Fact, NameProblem, ShapeProblem, nearest
from elman.language.syntax import Call
from elman.trace.leaves import VALUE, Dated
from elman.trace.numbers import Digits
from elman.trace.worked import Step

Array = np.ndarray[Any, Any]
NamesOf = Mapping[str, tuple[str, ...]]  # by stream
CHOICES = ("softmax", "log_softmax")  # what gives every name its chance
EQUAL = 1e-12  # entries that differ by less were equal before float64 added them up


@dataclass(frozen=True)
class Streams:
    """The vectors of a run by name, with their sizes, and which of them are what."""

    sizes: Mapping[str, int]
    inputs: tuple[str, ...]
    choices: tuple[str, ...]  # a softmax
    returned: tuple[str, ...]

    @classmethod
    def of(cls, steps: Sequence[Step], returned: tuple[str, ...]) -> Streams:
        lines = {line.name: line for step in steps for line in step.lines}
        reads = {read.left.name: read for step in steps for read in step.reads}
        values = {name: each.value for name, each in (reads | lines).items()}
        sizes = {name: v.size for name, v in values.items() if v.ndim == 1 and v.size > 1}
        choices = tuple(
            name
            for name, line in lines.items()
            if isinstance(line.expr, Call) and line.expr.function in CHOICES
        )
        return cls(sizes, tuple(n for n in reads if n not in lines), choices, returned)

    def fitting(self, count: int) -> tuple[str, ...]:
        """The inputs and outputs that so many names fit; of outputs a softmax before others."""
        chosen = [name for name in self.choices if self.sizes.get(name) == count]
        outputs = chosen or self.returned
        return tuple(n for n in (*self.inputs, *outputs) if self.sizes.get(n) == count)


def named(names: object, streams: Streams) -> dict[str, tuple[str, ...]]:
    """The names of every stream that has some, from names for all or for each by its own.

    Errors: NameProblem E443 for what are no names, E407 for an unknown stream; ShapeProblem E442
    for a wrong number of names.
    """
    if isinstance(names, Mapping):
        return {name: _fitted(name, each, streams) for name, each in names.items()}
    checked = check_names(names)
    found = streams.fitting(len(checked))
    if not found:
        seen = (*streams.inputs, *(streams.choices or streams.returned))
        facts = [
            Fact(name, f"a vector of {streams.sizes[name]}")
            for name in seen
            if name in streams.sizes
        ]
        raise ShapeProblem(
            "E442",
            f"{len(checked)} names are given, and no input or output has {len(checked)} values",
            facts=facts,
            rule="Each entry of a vector has one name.",
            fix='Names of one stream alone are given as {"x": [...], "y": [...]}.',
        )
    return dict.fromkeys(found, checked)


def _fitted(name: object, names: object, streams: Streams) -> tuple[str, ...]:
    known = tuple(streams.sizes)
    if name not in known:
        raise NameProblem(
            "E407",
            f"names are given for {name!r}, which is no vector of this run",
            rule=f"Its vectors are {', '.join(known) or 'none'}.",
            fix=nearest(str(name), known) or None,
        )
    checked, size = check_names(names), streams.sizes[str(name)]
    if len(checked) != size:
        raise ShapeProblem(
            "E442",
            f"{len(checked)} names are given for {name}, which has {size} values",
            rule="Each entry of a vector has one name.",
        )
    return checked


def check_names(names: object) -> tuple[str, ...]:
    """The names, if they are some; NameProblem E443 where they are not, or one is there twice."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise NameProblem(
            "E443", f"names={names!r} is no list of names", fix='As in names=["I", "love"].'
        )
    found = tuple(names)
    for name in found:
        if not isinstance(name, str) or not name.strip():
            raise NameProblem(
                "E443", f"{name!r} is no name", rule="A name is a text with a letter or more."
            )
    twice = [name for name, count in Counter(found).items() if count > 1]
    if twice:
        raise NameProblem(
            "E443",
            f"{twice[0]!r} is named {found.count(twice[0])} times",
            rule="Each entry of a vector has a name of its own.",
        )
    return found


def one_hot(value: Array) -> int | None:
    """The place of the only 1 among zeros; None where the vector is no such one."""
    places = np.flatnonzero(value)
    is_one = value.ndim == 1 and len(places) == 1 and value[places[0]] == 1
    return int(places[0]) if is_one else None


def read_labels(steps: Iterable[Step], names: NamesOf) -> dict[Dated, str]:
    """The name of each one-hot vector that is read: `"I"`."""
    reads = [r for step in steps for r in step.reads if r.left.name in names]
    return {read.left: _given(read.value, names[read.left.name]) for read in reads}


def line_labels(steps: Iterable[Step], names: NamesOf, digits: Digits) -> dict[Dated, str]:
    """What is chosen by each vector that is computed: `largest: 0.2356, "deep"`."""
    lines = [e for step in steps for e in step.lines if e.name in names and e.kind == VALUE]
    return {line.left: _chosen(line.value, names[line.name], digits) for line in lines}


def _given(value: Array, names: Sequence[str]) -> str:
    place = one_hot(value)
    return "" if place is None else f'"{names[place]}"'


def _chosen(value: Array, names: Sequence[str], digits: Digits) -> str:
    """The name of the largest entry; of several that are equal, all of them."""
    if one_hot(value) is not None or not np.isfinite(value).all():
        return _given(value, names)
    largest = float(value.max())
    alike = np.isclose(value, largest, rtol=EQUAL, atol=0)
    words = [f'"{name}"' for name, is_largest in zip(names, alike, strict=True) if is_largest]
    tie = f", {len(words)} alike" if len(words) > 1 else ""
    return f"largest: {digits.number(largest)}, {' and '.join(words)}{tie}"
