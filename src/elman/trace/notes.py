"""What a page says besides its steps: notes beside values, what is given, how far rounding went."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np

from elman.language.names import collect, returned
from elman.language.syntax import Constant, Declaration, Text
from elman.trace.document import Chain, Document, Given, Item, Remark, Section
from elman.trace.leaves import VALUE, Dated, spelled
from elman.trace.numbers import Digits
from elman.trace.rounding import Rounding
from elman.trace.worked import Line, Step

Array = np.ndarray[Any, Any]
Notes = Mapping[Dated, str]
GIVEN = "given"  # the title of the list at the top
MOST = 17  # digits of a float64
TINY = 1e-7  # smaller distances are written with an exponent
DECLARED = (Constant, Declaration)
NOISE = 1e-14
FURTHER = 2  # digits that an exact value shows beyond those it was rounded to


def outputs_of(text: Text) -> tuple[str, ...]:
    """What a layer of these equations gives back."""
    return returned(text, collect(text)) if text.equations else ()


def annotated(document: Document, reads: Notes, *lines: Notes) -> Document:
    """The document with notes beside what is read and what is worked; of several for one, all."""

    def noted(item: Item) -> Item:
        if not isinstance(item, Given | Chain) or not isinstance(item.left, Dated):
            return item
        groups = (reads,) if isinstance(item, Given) else lines
        found = [item.note, *(notes.get(item.left, "") for notes in groups)]
        return replace(item, note="; ".join(filter(None, found)))

    sections = (replace(s, items=tuple(map(noted, s.items))) for s in document.sections)
    return replace(document, sections=tuple(sections))


def listed(
    document: Document,
    known: Mapping[Dated, Array],
    steps: Sequence[Step],
    results: Container[Dated] = (),
) -> Document:
    """The document after a list of what a person needs: weights, inputs, what was before step 1.

    `steps` begin with number 0, whose constants need not be said again; `results` are known, but
    not given.
    """
    once, *rest = steps
    computed = {line.left for step in steps for line in step.lines}
    constants = {read.left for read in once.reads}
    weights = [left for left in known if _is_weight(left) and left not in results]
    names = {left.name for left in computed}
    reads = [r.left for step in rest for r in step.reads if r.left.step is not None]
    reads.sort(key=lambda left: left.name in names)  # inputs, and then what was before step 1
    lefts = dict.fromkeys([*sorted(weights, key=constants.__contains__), *reads])
    lines = document.text.lines
    comments = {line.name: line.comment for line in lines if isinstance(line, DECLARED)}
    items = tuple(
        Given(left, known[left], comments.get(left.name, ""), is_given=True)
        for left in lefts
        if left not in computed
    )
    sections = [replace(s, items=_without(s.items, constants)) for s in document.sections]
    return replace(document, sections=(Section(GIVEN, items), *sections))


def _without(items: Iterable[Item], lefts: Container[Dated]) -> tuple[Item, ...]:
    return tuple(i for i in items if not (isinstance(i, Given) and i.left in lefts))


def _is_weight(left: Dated) -> bool:
    return left.step is None and left.kind == VALUE and left.name != "t"


def distances(lines: Iterable[Line], exact: Iterable[Line], rounding: Rounding) -> dict[Dated, str]:
    """`unrounded 0.951769, 0.0002 off` beside each value that rounding on the way has changed."""
    digits = Digits(_further(rounding), rounding.significant)
    truths = {line.left: line.value for line in exact}
    found = {}
    for line in lines:
        truth = truths[line.left]
        if not _same(rounding.nearest.array(truth), line.value):
            found[line.left] = f"unrounded {digits.array(truth)}, {_off(line.value, truth)} off"
    return found


def _further(rounding: Rounding) -> int:
    return min(rounding.digits + FURTHER, MOST)


def _same(value: Array, truth: Array) -> bool:
    """Equal but for the last bits of float64."""
    return np.allclose(value, truth, rtol=NOISE, atol=NOISE, equal_nan=True)


def _off(value: Array, truth: Array) -> str:
    """The distance, of a vector the largest: one digit says enough."""
    worst = float(np.abs(value - truth).max())
    most = "at most " if np.size(value) > 1 else ""
    return most + (f"{Decimal(f'{worst:.0e}'):f}" if worst > TINY else f"{worst:.0e}")


def how_far(lines: Iterable[Line], exact: Iterable[Line], rounding: Rounding) -> Section:
    """How far what comes out at the end is from the truth."""
    digits = Digits(_further(rounding), rounding.significant)
    truths = {line.left: line.value for line in exact}
    remarks = []
    for line in lines:
        truth = truths[line.left]
        said = "" if _same(line.value, truth) else f": {_off(line.value, truth)} off"
        value = f"{spelled(line.left)} = {digits.array(line.value)}"
        remarks.append(Remark(f"{value}, unrounded {digits.array(truth)}{said}"))
    return Section(f"every value {rounding.words}", tuple(remarks))


def asking(
    document: Document, title: str, questions: Sequence[str], answers: Sequence[str]
) -> Document:
    """The document under its title, with questions before the work and answers after it."""
    asked = tuple(Remark(f"{k}. {text}", True) for k, text in enumerate(questions, 1))
    answered = tuple(Remark(f"{k}. {text}") for k, text in enumerate(answers, 1))
    sections = list(document.sections)
    sections.insert(bool(sections) and sections[0].title == GIVEN, Section("questions", asked))
    sections.append(Section("answers", answered))
    return replace(document, title=title, sections=tuple(s for s in sections if s.items))
