"""What is legal and is read otherwise than it looks: warnings, each found by one function."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import replace

from elman.errors import CellWarning, ShapeProblem
from elman.ir import Cell, Shape
from elman.language import Reading
from elman.language.lower import lower
from elman.language.source import Span
from elman.language.syntax import Binary, Declaration, Name, Text, walk
from elman.passes.randomness import open_choices
from elman.passes.shapes import infer_shapes

Warnings = Iterator[CellWarning]
WORDS = ("scalar", "frozen", "hidden", "input")  # of declarations
NEAR = 0.8  # scaler and scalar, hiden and hidden


def misreadings(reading: Reading, typed: Cell) -> Warnings:
    """What a reader takes for something else than it is; nothing in most cells."""
    shapes = {n.attr.name: n.shape or () for n in typed.leaves}
    yield from _turned_sizes(reading, shapes)
    yield from _odd_words(reading)
    yield from _products_from_the_left(reading, shapes)
    yield from _means_as_conditions(reading)


def _turned_sizes(reading: Reading, shapes: dict[str, Shape]) -> Warnings:
    """`W: input, hidden`, which makes both one size, where `W: hidden, input` does not."""
    for line in reading.expanded.lines:
        if not isinstance(line, Declaration) or line.shape is None or len(line.shape) != 2:
            continue
        first, second = line.shape
        if first == second or len({*shapes.get(line.name, (first, second))}) == 2:
            continue
        other = replace(line, shape=(second, first))
        lines = [other if each is line else each for each in reading.expanded.lines]
        try:
            turned = infer_shapes(lower(Text(tuple(lines)))[0])
        except ShapeProblem:
            continue
        if len({*turned.shape(line.name)}) == 2:
            yield CellWarning(
                "W106",
                f"{line.name}: {first}, {second} makes {first} and {second} one size",
                where=reading.text.source.where(line.span),
                rule="A matrix has the size of its result first, then that of what it multiplies.",
                fix=f"Is {line.name}: {second}, {first} meant?",
            )


def _odd_words(reading: Reading) -> Warnings:
    """`alpha: scaler`: a size that only one line names, and that is nearly a word."""
    lines = [line for line in reading.text.lines if isinstance(line, Declaration)]
    sizes = [(size, line) for line in lines for size in line.shape or ()]
    names = [size for size, _ in sizes]
    for size, line in sizes:
        near = difflib.get_close_matches(size, WORDS, n=1, cutoff=NEAR)
        if near and size not in WORDS and names.count(size) == 1:
            words = [near[0] if each == size else each for each in line.shape or ()]
            yield CellWarning(
                "W105",
                f"{size} is named once, and is nearly {near[0]}",
                where=reading.text.source.where(_place(size, line, reading)),
                rule="Any other word in a declaration is a size of its own.",
                fix=f"Is {line.name}: {', '.join(words)} meant?",
            )


def _place(size: str, line: Declaration, reading: Reading) -> Span:
    """Where a size stands in its line."""
    text = reading.text.source.lines[line.span.line - 1] if line.span.line else ""
    found = re.compile(rf"\b{re.escape(size)}\b").search(text, line.span.end)
    return Span(line.span.line, *found.span()) if found else line.span


def _products_from_the_left(reading: Reading, shapes: dict[str, Shape]) -> Warnings:
    """`z[t] * U @ h[t-1]` is (z[t] * U) @ h[t-1], so that U is a vector and the result a number."""
    source = reading.text.source
    for line in reading.text.equations:
        for part in walk(line.value):
            if not (isinstance(part, Binary) and part.op == "@"):
                continue
            left = part.left
            if not (isinstance(left, Binary) and left.op == "*" and isinstance(left.right, Name)):
                continue
            name, first = left.right.name, left.left
            is_bare = (left.span.line, left.span.start) == (first.span.line, first.span.start)
            if is_bare and len(shapes.get(name, ())) == 1:
                a, b, c = (source.quote(each.span) for each in (first, left.right, part.right))
                yield CellWarning(
                    "W107",
                    f"{a} * {b} @ {c} is ({a} * {b}) @ {c}, a number",
                    where=source.where(part.span),
                    rule=f"* and @ are taken from the left, so that {name} is a vector here.",
                    fix=f"Is {a} * ({b} @ {c}) meant?",
                )


def _means_as_conditions(reading: Reading) -> Warnings:
    """`where(m[t] * n[t], a, b)`: a choice that evaluation cannot average."""
    for n in open_choices(reading.cell)[:1]:
        yield CellWarning(
            "W109",
            "in evaluation this choice always takes the same side",
            where=reading.where(n),
            rule="Outside of training a mask is its mean, and a condition made of several masks, "
            "or of one of another step, is never 0.",
            fix="Choose by one mask, where(m[t], a, b), or mix by hand: m[t] * a + (1 - m[t]) * b.",
        )
