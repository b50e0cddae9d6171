"""Families: with some weights at 0 or 1, a richer cell of the library is a simpler one.

What one cell adds to another is what the literature says of it, so each row holds a cell's text to
the sentence that introduces it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import elman

HIDDEN, INPUT, STEPS, BATCH = 4, 3, 6, 2
ZERO, ONE = np.zeros(HIDDEN), np.ones(HIDDEN)
NONE, IDENTITY = np.zeros((HIDDEN, HIDDEN)), np.eye(HIDDEN)
NO_INPUT = np.zeros((HIDDEN, INPUT))
Weights = dict[str, Any]
Change = Callable[[Weights], Weights]


def renamed(*pairs: tuple[str, str]) -> Change:
    """The same weights, each pattern in their names replaced."""

    def change(weights: Weights) -> Weights:
        found = {}
        for name, weight in weights.items():
            fits = (re.sub(old, new, name) for old, new in pairs if re.search(old, name))
            found[next(fits, name)] = weight
        return found

    return change


def gate(old: str, new: str) -> Change:
    """The weights of one gate under the name of another."""
    return renamed((f"_{old}$", f"_{new}"))


def joined(weights: Weights) -> Weights:
    """[U, W] side by side: the columns for the state come first."""
    whole = {n: w for n, w in weights.items() if n[0] not in "UW"}
    pairs = {n: (weights["U" + n[1:]], w) for n, w in weights.items() if n[0] == "W"}
    return whole | {n: np.hstack(pair) for n, pair in pairs.items()}


def swapped(weights: Weights) -> Weights:
    """z for 1 - z: what its logistic function is given changes its sign."""
    return {n: -w if n.endswith("z") else w for n, w in weights.items()}


@dataclass(frozen=True)
class Family:
    """`richer`, with `extra` weights beside those of `simpler`, computes the same."""

    richer: str
    simpler: str
    extra: Weights
    changes: tuple[Change, ...] = ()
    output: str = "h"

    def __str__(self) -> str:
        return f"{self.richer} is {self.simpler}"


READ_OUT = {"V": np.ones((2, HIDDEN)), "c": np.ones(2)}
NO_PEEPHOLES = {"p_f": ZERO, "p_i": ZERO, "p_o": ZERO}
FAMILIES = [
    Family(
        "rnn_torch", "rnn", {"b_hh": ZERO}, (renamed(("W", "W_ih"), ("U", "W_hh"), ("b", "b_ih")),)
    ),
    Family("rnn_read_out", "rnn", {"W_hy": READ_OUT["V"], "b_y": READ_OUT["c"]}),
    Family("rnn_softmax", "rnn", {"W_hy": READ_OUT["V"], "b_y": READ_OUT["c"]}),
    Family("elman", "rnn_logistic", READ_OUT),
    Family("rnn_suw", "elman", {}, (renamed(("W", "U"), ("U", "W")),), "s"),
    Family("leaky_rnn", "rnn", {"alpha": 1}),
    Family("mi_rnn", "rnn", {"alpha": ZERO, "beta_1": ONE, "beta_2": ONE}),
    Family("rnn_relu", "indrnn", {}, (lambda w: {"W": w["W"], "U": np.diag(w["u"]), "b": w["b"]},)),
    Family(
        "intersection_rnn",
        "ugrnn",
        dict.fromkeys(["W_y", "W_gy"], np.ones((INPUT, INPUT)))
        | dict.fromkeys(["U_y", "U_gy"], np.ones((INPUT, HIDDEN)))
        | dict.fromkeys(["b_y", "b_gy"], np.ones(INPUT)),
        (gate("g", "gh"), gate("c", "h")),
    ),
    Family("janet", "ugrnn", {"beta": 0}, (gate("g", "f"),)),
    Family("gru_take_new", "gru", {}, (swapped,)),
    Family("gru_reset_after_take_new", "gru_reset_after", {}, (swapped,)),
    Family("gru_gamma", "gru_take_new", {}, (joined, gate("z", "u"), gate("n", "c")), "c"),
    Family("lstm_concatenated", "lstm", {}, (joined,)),
    Family("lstm_gamma", "lstm_concatenated", {}, (gate("i", "u"),), "a"),
    Family(
        "lstm_torch",
        "lstm",
        {f"b_h{g}": ZERO for g in "ifgo"},
        (gate("c", "g"), renamed(("W_", "W_i"), ("U_", "W_h"), ("b_", "b_i"))),
    ),
    Family("lstm_peephole", "lstm", NO_PEEPHOLES),
    Family("cifg", "cifg_no_peepholes", {"p_i": ZERO, "p_o": ZERO}),
    Family("lstm_fgr", "lstm_peephole", {f"R_{a}{b}": NONE for a in "ifo" for b in "ifo"}),
    Family("residual_lstm", "lstm_peephole", {"W_p": IDENTITY, "W_r": NO_INPUT}),
    Family("lstmp", "lstm", {"P": IDENTITY}),
    Family(
        "lstmp_peephole",
        "lstmp",
        NO_PEEPHOLES
        | {"W_p": np.ones((2, HIDDEN)), "W_yp": np.ones((2, 2))}
        | {"W_yr": np.ones((2, HIDDEN)), "b_y": np.ones(2)},
        (renamed(("^P$", "W_r")),),
        "r",
    ),
    Family("clockwork", "rnn", {"modules": 1}),
    Family("zoneout_lstm", "lstm", {"z_c": 0, "z_h": 0}, (gate("c", "g"),)),
    Family("variational_dropout_lstm", "lstm", {"keep": 1}),
    Family("recurrent_dropout_lstm", "lstm", {"keep": 1}, (gate("c", "g"),)),
    Family("weight_drop_lstm", "lstm", {"keep": 0.5}),  # in evaluation
    Family(
        "mogrifier_lstm",
        "lstm",
        {"Q_1": NO_INPUT.T, "Q_2": NO_INPUT.T, "Q_3": NO_INPUT.T, "R_1": NO_INPUT, "R_2": NO_INPUT},
        (renamed(("^", "core_")),),
    ),
    Family("qrnn_ifo", "qrnn", {}, (lambda w: w | {"W_i": -w["W_f"], "V_i": -w["V_f"]},)),
    Family(
        "fast_grnn_low_rank",
        "fast_grnn",
        {"W_2": np.eye(INPUT), "U_2": IDENTITY},
        (renamed(("W", "W_1"), ("U", "U_1")),),
    ),
]


def numbers(cell: elman.Cell, random: np.random.Generator) -> Weights:
    sizes = {"hidden": HIDDEN, "input": INPUT, "cell": HIDDEN, "y": 2, "p": 2}
    shapes = cell.shapes(**{n: s for n, s in sizes.items() if n in cell.typed.aliases})
    return {name: random.normal(size=shapes[name]) for name in cell.parameters}


@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_a_richer_cell_holds_the_simpler_one(family):
    random = np.random.default_rng(3)
    x = random.normal(size=(STEPS, BATCH, INPUT))
    weights = numbers(elman.cells[family.simpler], random)
    expected = elman.cells[family.simpler].run({"x": x}, weights, backend="numpy")
    for change in family.changes:
        weights = change(weights)
    found = elman.cells[family.richer].run({"x": x}, weights | family.extra, backend="numpy")
    name = next(n for n in ("h", "r") if n in expected.values)
    np.testing.assert_allclose(found[family.output], expected[name], rtol=0, atol=1e-12)
