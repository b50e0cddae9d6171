"""The library is data: well-formed texts with titles and citations."""

from __future__ import annotations

import re

import pytest

from elman.errors import ElmanError
from elman.library import FIELDS, Library, UnknownCell, cells

NAME = r"[A-Za-z]\w*"
LINE = re.compile(
    rf"{NAME}(?:\[(?:t|0|t,\w+)\])? = .+"  # an equation, a constant, how a state begins
    rf"|{NAME} = \d+\.\.\w+"  # rounds
    rf"|{NAME}: .+"  # a declaration, a cell put in
    rf"|return {NAME}(?:, {NAME})*"
)
# an identifier where there is one, else where to find it
SOURCE = re.compile(
    r"arXiv:\d{4}\.\d{4,5}|doi:10\.\d{4,}/\S+|\b(?:JMLR|PMLR) \d+:\d|, pages \d+-\d+|report \d+"
    r"|\((?:[\w.]+, )?(?:lecture notes|video lecture|article)\)"
)


@pytest.mark.parametrize("name", cells)
def test_a_cell_is_a_header_and_equations(name):
    header = cells.header(name)
    assert [field for field in FIELDS if field in header] == list(header)
    assert {"title", "citation", "notes"} <= set(header)
    assert all(header.values())
    assert re.search(r"\b(?:19|20)\d\d\b", header["citation"]), "a citation has a year"
    assert SOURCE.search(header["citation"])
    assert name.isidentifier()
    assert name == name.lower()
    assert 1 <= int(header.get("number", 1)) <= 84
    body = [line for line in cells.text(name).splitlines() if not line.startswith("#") and line]
    for line in body:
        assert LINE.fullmatch(line.partition("#")[0].rstrip()), line
        assert len(line) <= 100, line


def test_an_alias_is_a_second_name():
    aliases = [a for name in cells for a in cells.header(name).get("aliases", "").split(", ") if a]
    assert len(set(aliases)) == len(aliases)
    assert not set(aliases) & set(cells)
    assert all(alias.isidentifier() and alias in cells for alias in aliases)
    assert cells["irnn"] == cells["rnn_relu"]
    assert cells.own_name("awd_lstm") == "weight_drop_lstm"


def test_the_issue_is_answered():
    assert {"rnn", "rnn_relu", "lstm", "lstm_concatenated", "lstmp", "lstm_peephole"} <= set(cells)
    assert {"gru", "gru_take_new", "gru_reset_after", "indrnn", "mgu", "rhn"} <= set(cells)
    assert {"rnn_torch", "lstm_torch", "antisymmetric_rnn"} <= set(cells)


def test_of_84_published_cells_at_least_80_are_here():
    covered = {
        int(cells.header(name)["number"]) for name in cells if "number" in cells.header(name)
    }
    assert len(covered) >= 80, sorted(set(range(1, 85)) - covered)
    assert len(cells) >= 139


def test_a_wrong_name_is_told_the_nearest():
    with pytest.raises(ElmanError) as caught:
        cells["gruu"]
    assert str(caught.value).startswith("UnknownCell [E410]: the library has no cell 'gruu'\n")
    assert str(caught.value).endswith("Did you mean 'gru'?")


def test_it_is_a_mapping():
    assert cells.get("no such cell") is None
    assert "lstm" in cells
    assert 3 not in cells
    assert len(cells) == len(list(cells)) == len(dict(cells))
    with pytest.raises(UnknownCell):
        cells["../library/gru"]
    assert repr(cells).startswith(f"<Library of {len(cells)} cells: antisymmetric_rnn, ")


def test_what_is_read_is_read_once():
    read = []
    library = Library(lambda text, name: read.append(name) or len(text))
    assert library["gru"] == library["gru"] == len(cells["gru"])
    assert read == ["gru"]
