"""Renamed, reordered, with other values named: the same; and what is proven is also measured."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import elman
from elman.cell.parting import measure
from elman.ir import Cell, Equation, Node, leaf, node, rebuild
from elman.passes.forms import Atoms
from elman.passes.isomorphism import Both, isomorphism
from tests.backends.drawn_cells import cell_texts
from tests.backends.language_cells import CELLS

WORD = re.compile(r"\b(x|v|s|k|k2|b|p|d_h|W|U|V|A|Q|z|c|h)\b")


def renamed(cell: Cell, seed: int) -> Cell:
    """The typed cell with new names for leaves, values and sizes, its equations in disorder."""
    chance = random.Random(seed)
    names = {n.attr.name for n in cell.leaves} | {e.name for e in cell.equations}
    new = {name: f"n{k}" for k, name in enumerate(chance.sample(sorted(names), len(names)))}

    def size(text: str) -> str:
        return "+".join(p if p.isdigit() else f"s_{p}" for p in text.split("+"))

    def change(old: Node, args: tuple[Node, ...]) -> Node:
        attr = old.attr
        if old.op == "leaf":
            shape = tuple(map(size, old.shape))
            return leaf(new[attr.name], attr.role, attr.over, attr.lag, shape)
        if old.op == "size":
            attr = size(attr)
        if old.op == "fill":
            attr = tuple(map(size, attr))
        if old.op in ("slice", "embed"):
            attr = (attr[0], size(attr[1]), size(attr[2]))
        return node(old.op, args, attr)

    values = rebuild(cell.roots, change)
    equations = [Equation(new[e.name], values[e.value], e.per_step) for e in cell.equations]
    chance.shuffle(equations)

    def key(state: str) -> str:
        name, bracket, rest = state.partition("[")
        return new[name] + bracket + rest

    return replace(
        cell,
        equations=tuple(equations),
        returns=tuple(new[name] for name in cell.returns),
        constants=tuple((new[name], value) for name, value in cell.constants),
        initial=tuple((key(state), values[start]) for state, start in cell.initial),
        frozen=(),
    )


@pytest.mark.parametrize("name", elman.cells)
def test_every_published_cell_renamed_and_reordered(name):
    cell = elman.cells[name].typed.cell
    both = Both.of((cell, renamed(cell, seed=len(name))), Atoms())
    assert isomorphism(both) is not None


@pytest.mark.filterwarnings("ignore::elman.errors.CellWarning")
@pytest.mark.parametrize("name", CELLS)
def test_every_word_of_the_language_renamed(name):
    cell = elman.Cell(CELLS[name]).typed.cell
    both = Both.of((cell, renamed(cell, seed=len(name))), Atoms())
    assert isomorphism(both) is not None


@pytest.mark.parametrize("name", elman.cells)
def test_a_published_cell_that_is_the_same_computes_the_same(name):
    pair = elman.cells[name], elman.cells[name]
    both = Both.of((pair[0].typed.cell, pair[1].typed.cell), Atoms())
    found = isomorphism(both)
    assert found is not None
    assert measure(pair, both, found).parting is None


def rewritten(text: str, chance: random.Random) -> str:
    """The same cell: other names and order of lines, some values named, some written otherwise."""
    lines = []
    for line in text.splitlines():
        name, _, value = line.partition("[t] = tanh(")
        if value and chance.random() < 0.5:
            inner, rest = value.split(") + 0.1 * tanh(", 1)
            first, plus, last = rest.partition(") + 0.1 * (")
            end = f" + 0.1 * ({last}" if plus else ""
            lines.append(f"n_{name}[t] = tanh({inner})")
            lines.append(f"{name}[t] = tanh({first.removesuffix(')')}) / 10{end} + n_{name}[t]")
        else:
            lines.append(line)
    new = {name: f"q_{k}" for k, name in enumerate(chance.sample(WORDS, len(WORDS)))}
    chance.shuffle(lines)
    return "\n".join(WORD.sub(lambda m: new[m[1]], line) for line in lines)


WORDS = WORD.pattern.removeprefix(r"\b(").removesuffix(r")\b").split("|")


@pytest.mark.filterwarnings("ignore::elman.errors.CellWarning")
@given(cell_texts(), st.integers(0, 999))
@settings(max_examples=60)
def test_a_drawn_cell_written_otherwise_is_the_same(text, seed):
    other = rewritten(text, random.Random(seed))
    found = elman.same(text, other)
    assert found, f"{found}\n{text}\n\n{other}"
    assert found.how == "structural"


CHANGES = [
    ("+", "-"),
    ("tanh", "sigmoid"),
    ("[t-1]", "[t-2]"),
    ("W @", "U @"),
    ("b", "p"),
    ("0.1", "0.2"),
    ("relu", "abs"),
    ("h[t-1]", "x[t]"),
]


@pytest.mark.filterwarnings("ignore::elman.errors.CellWarning")
@given(cell_texts(), st.sampled_from(CHANGES), st.integers(0, 30))
@settings(max_examples=60)
def test_what_is_proven_is_also_measured(text, change, at):
    places = [m.start() for m in re.finditer(re.escape(change[0]), text)]
    if not places:
        return
    place = places[at % len(places)]
    other = text[:place] + change[1] + text[place + len(change[0]) :]
    try:
        pair = elman.Cell(text, "a"), elman.Cell(other, "b")
    except elman.ElmanError:
        return
    both = Both.of((pair[0].typed.cell, pair[1].typed.cell), Atoms())
    found = isomorphism(both)
    if found is not None:
        assert measure(pair, both, found).parting is None, f"{text}\n\n{other}"
