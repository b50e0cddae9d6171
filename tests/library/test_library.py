"""The library is data: well-formed texts with titles and citations."""

from __future__ import annotations

import re

import pytest

from elman.errors import ElmanError
from elman.library import Library, UnknownCell, cells

EQUATION = re.compile(r"(?:[a-z]\w*\[t\]|[A-Z]\w*|[a-z]\w*) = .+|[a-z]\w*: [\w, ]+|return [a-z]\w*")


@pytest.mark.parametrize("name", cells)
def test_a_cell_is_a_header_and_equations(name):
    header = cells.header(name)
    assert list(header) == ["title", "citation", "notes"]
    assert re.search(r"\b(?:19|20)\d\d\b", header["citation"]), "a citation has a year"
    assert re.search(r"arXiv:\d{4}\.\d{4,5}|doi:10\.|JMLR \d", header["citation"])
    body = [line for line in cells.text(name).splitlines() if not line.startswith("#") and line]
    for line in body:
        assert EQUATION.fullmatch(line.partition("#")[0].rstrip()), line
        assert len(line) <= 100, line


def test_the_issue_is_answered():
    assert {"rnn", "rnn_relu", "lstm", "lstm_concatenated", "lstmp", "lstm_peephole"} <= set(cells)
    assert {"gru", "gru_take_new", "gru_reset_after", "indrnn", "mgu", "rhn"} <= set(cells)
    assert {"rnn_torch", "lstm_torch", "antisymmetric_rnn"} <= set(cells)


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
    assert repr(cells).startswith(f"<Library of {len(cells)} cells: antisymmetric_rnn, gru, ")


def test_what_is_read_is_read_once():
    read = []
    library = Library(lambda text, name: read.append(name) or len(text))
    assert library["gru"] == library["gru"] == len(cells["gru"])
    assert read == ["gru"]
