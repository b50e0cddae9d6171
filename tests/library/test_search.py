"""Cells are found by words, and a wrong name is answered with the likeliest one."""

from __future__ import annotations

import json
import sys

import pytest

import elman
from elman import library
from elman.cli import main
from elman.library import UnknownCell, search, suggestion

LIKELIEST = {
    "LSTM": "lstm",
    "lstn": "lstm",
    "GRU-D": "gru_d",
    "gruu": "gru",
    "peephole lstm": "lstm_peephole",
    "minGRU": "min_gru",
    "IndRNN": "indrnn",
    "echo state network": "esn",
    "Liquid time constant": "ltc",
    "layernorm lstm": "layer_norm_lstm",
    "mogrifyer lstm": "mogrifier_lstm",
}


@pytest.mark.parametrize("asked", LIKELIEST)
def test_a_wrong_name_is_answered_with_the_likeliest(asked):
    with pytest.raises(UnknownCell) as caught:
        elman.cells[asked]
    assert str(caught.value).endswith(f"Did you mean '{LIKELIEST[asked]}'?")


def test_xlstm_has_two_cells():
    assert suggestion("xLSTM") in ("Did you mean 'slstm'?", "Did you mean 'mlstm'?")


def test_nothing_near_is_not_answered_at_random():
    assert suggestion("zzzz") == ""
    assert search("zzzz") == []
    assert search("") == search("  ") == []


@pytest.mark.parametrize("name", library.cells)
def test_every_cell_is_found_by_its_name_and_its_title(name):
    assert search(name.replace("_", " "))[0] == name
    assert name in search(library.cells.header(name)["title"])


def test_every_word_must_stand():
    both = search("gru reset")
    assert both[0].startswith("gru")
    assert set(both) <= set(search("gru")) & set(search("reset"))
    assert {"lstm", "slstm"} <= set(search("Hochreiter"))
    assert "mamba_s6" in search("softplus")  # a function of its equations


def test_the_command(capsys, monkeypatch):
    def run(*words):
        monkeypatch.setattr(sys, "argv", ["elman", "cells", *words])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, capsys.readouterr().out

    code, out = run("--search", "peephole lstm")
    assert not code
    assert out.startswith("lstm_peephole ")
    code, out = run("--search", "peephole", "--json")
    assert "lstm_peephole" in json.loads(out)
    code, out = run("--search", "lstn")
    assert "no published cell has 'lstn'" in str(code)
    assert str(code).endswith("Did you mean 'lstm'?")
