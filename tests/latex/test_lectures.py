"""The networks of lecture notes in the notes' own letters: each is a cell of the library."""

# ruff: noqa: E501 (a page prints long lines)
from __future__ import annotations

import numpy as np
import pytest

import elman
from elman import Cell, same

pytestmark = pytest.mark.filterwarnings("ignore::elman.errors.CellWarning")

# the library's cell, the page, what the notes say of their letters, or None
NETWORKS = {
    "simple": ("rnn", r"h_t = \tanh(U h_{t-1} + W x_t + b)", None),
    "simple in bold, time in brackets": (
        "rnn",
        r"\mathbf{h}(t) = \tanh(\mathbf{U}\,\mathbf{h}(t-1) + \mathbf{W}\,\mathbf{x}(t) + \mathbf{b})",
        None,
    ),
    "previous state as a prime": (
        "rnn",
        r"h = \tanh(U h' + W x + b)",
        {"h'": "h[t-1]", "x": "x[t]"},
    ),
    "read-out": (
        "rnn_read_out",
        r"h_t = \tanh(U h_{t-1} + W x_t + b), \qquad y_t = W_{hy} h_t + b_y",
        None,
    ),
    "softmax read-out": (
        "rnn_softmax",
        r"h_t = \tanh(U h_{t-1} + W x_t + b) \\ y_t = \text{softmax}(W_{hy} h_t + b_y)",
        None,
    ),
    "sigma is tanh": ("rnn", r"h_t = \sigma(W x_t + U h_{t-1} + b)", {r"\sigma": "tanh"}),
    "sigma is ReLU": ("rnn_relu", r"h_t = \sigma(W x_t + U h_{t-1} + b)", {r"\sigma": "ReLU"}),
    "sigma is logistic": ("rnn_logistic", r"h_t = \sigma(W x_t + U h_{t-1} + b)", None),
    "letters s, U, W": (
        "rnn_suw",
        r"s_t = \sigma(U x_t + W s_{t-1} + b) \\ y_t = g(V s_t + c)",
        {"g": "softmax"},
    ),
    "linear": (
        "rnn_linear",
        r"h_t = u x_t + w h_{t-1}, \quad u \in \mathbb{R}, w \in \mathbb{R}, "
        r"x_t \in \mathbb{R}, h_t \in \mathbb{R}",
        None,
    ),
    "LSTM, split": (
        "lstm",
        r"""
        \begin{align*}
        f_t &= \sigma(W_f x_t + U_f h_{t-1} + b_f) \\
        i_t &= \sigma(W_i x_t + U_i h_{t-1} + b_i) \\
        o_t &= \sigma(W_o x_t + U_o h_{t-1} + b_o) \\
        \hat{c}_t &= \tanh(W_c x_t + U_c h_{t-1} + b_c) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot \hat{c}_t \\
        h_t &= o_t \odot \tanh(c_t)
        \end{align*}
        """,
        None,
    ),
    "LSTM, concatenated": (
        "lstm_concatenated",
        r"""
        f_t = \sigma(W_f \cdot [h_{t-1}, x_t] + b_f) \\
        i_t = \sigma(W_i \cdot [h_{t-1}, x_t] + b_i) \\
        o_t = \sigma(W_o \cdot [h_{t-1}, x_t] + b_o) \\
        \hat{c}_t = \tanh(W_c \cdot [h_{t-1}, x_t] + b_c) \\
        c_t = f_t \odot c_{t-1} + i_t \odot \hat{c}_t \\
        h_t = o_t \odot \tanh(c_t)
        """,
        None,
    ),
    "LSTM, Gamma": (
        "lstm_gamma",
        r"""
        \tilde{c}^{\langle t \rangle} = \tanh(W_c [a^{\langle t-1 \rangle}, x^{\langle t \rangle}] + b_c)
        \Gamma_u = \sigma(W_u [a^{\langle t-1 \rangle}, x^{\langle t \rangle}] + b_u)
        \Gamma_f = \sigma(W_f [a^{\langle t-1 \rangle}, x^{\langle t \rangle}] + b_f)
        \Gamma_o = \sigma(W_o [a^{\langle t-1 \rangle}, x^{\langle t \rangle}] + b_o)
        c^{\langle t \rangle} = \Gamma_u * \tilde{c}^{\langle t \rangle} + \Gamma_f * c^{\langle t-1 \rangle}
        a^{\langle t \rangle} = \Gamma_o * \tanh(c^{\langle t \rangle})
        """,
        None,
    ),
    "selective write": (
        "lstm_selective_write",
        r"""
        o_{t-1} = \sigma(W_o h_{t-2} + U_o x_{t-1} + b_o) \\
        s_{t-1} = \sigma(W h_{t-2} + U x_{t-1} + b) \\
        h_{t-1} = o_{t-1} \odot \sigma(s_{t-1})
        """,
        None,
    ),
    "selective write and read": (
        "lstm_write_read",
        r"""
        s_t = s_{t-1} + i_t \odot \tilde{s}_t, \quad h_t = o_t \odot \sigma(s_t) \\
        \tilde{s}_t = \sigma(W h_{t-1} + U x_t + b) \\
        i_t = \sigma(W_i h_{t-1} + U_i x_t + b_i), \quad o_t = \sigma(W_o h_{t-1} + U_o x_t + b_o)
        """,
        None,
    ),
    "selective write, read and forget": (
        "lstm_selective",
        r"""
        \begin{aligned}
        o_t &= \sigma(W_o h_{t-1} + U_o x_t + b_o) \\
        i_t &= \sigma(W_i h_{t-1} + U_i x_t + b_i) \\
        f_t &= \sigma(W_f h_{t-1} + U_f x_t + b_f) \\
        \tilde{s}_t &= \sigma(W h_{t-1} + U x_t + b) \\
        s_t &= f_t \odot s_{t-1} + i_t \odot \tilde{s}_t \\
        h_t &= o_t \odot \sigma(s_t) \\
        y_t &= g(V s_t + c)
        \end{aligned}
        where $g$ is the softmax function.
        """,
        {"g": "softmax"},
    ),
    "GRU, z keeps": (
        "gru",
        r"""
        h_t = z_t \odot h_{t-1} + (1 - z_t) \odot \hat{h}_t \\
        \hat{h}_t = \tanh(W_h x_t + U_h (r_t \odot h_{t-1}) + b_h) \\
        z_t = \sigma(W_z x_t + U_z h_{t-1} + b_z) \\
        r_t = \sigma(W_r x_t + U_r h_{t-1} + b_r)
        """,
        None,
    ),
    "GRU, z takes the new": (
        "gru_take_new",
        "rₜ = σ(W_r xₜ + U_r hₜ₋₁ + b_r)\nzₜ = σ(W_z xₜ + U_z hₜ₋₁ + b_z)\n"
        "ĥₜ = tanh(W_h xₜ + U_h (rₜ ⊙ hₜ₋₁) + b_h)\nhₜ = (1 − zₜ) ⊙ hₜ₋₁ + zₜ ⊙ ĥₜ\n",
        None,
    ),
    "GRU, Gamma": (
        "gru_gamma",
        r"""
        $$ \tilde{c}^{<t>} = \tanh(W_c [\Gamma_r * c^{<t-1>}, x^{<t>}] + b_c) $$
        $$ \Gamma_u = \sigma(W_u [c^{<t-1>}, x^{<t>}] + b_u) $$
        $$ \Gamma_r = \sigma(W_r [c^{<t-1>}, x^{<t>}] + b_r) $$
        $$ c^{<t>} = \Gamma_u * \tilde{c}^{<t>} + (1 - \Gamma_u) * c^{<t-1>} $$
        """,
        None,
    ),
    "bidirectional read-out": (
        "bidirectional_read_out",
        r"\hat{y}^{\langle t \rangle} = g(W_y [\overrightarrow{a}^{\langle t \rangle}, "
        r"\overleftarrow{a}^{\langle t \rangle}, x^{\langle t \rangle}] + b_y)",
        {"g": "softmax"},
    ),
    "dinner from the weather": (
        "dinner_weather",
        r"W = \begin{bmatrix} 1 & 0 \\ 0 & 1 \end{bmatrix}, \quad food_t = W weather_t",
        None,
    ),
    "repeated map": ("repeated_map", r"h_t = A h_{t-1} + x_t", None),
    "repeated map with tanh": ("repeated_map_tanh", r"h_t = \tanh(A h_{t-1} + x_t)", None),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_notes_print_the_cell_of_the_library(name):
    library, page, symbols = NETWORKS[name]
    found = same(elman.cells[library], Cell.from_latex(page, symbols))
    assert found, str(found)


def test_the_worked_numbers_hold_for_the_printed_network():
    cell = Cell.from_latex(r"h_t = \tanh(W x_t + U h_{t-1} + b)")
    run = cell.run({"x": [[1, 2], [1.5, 2.5]]}, {"W": [0.4, 0.3], "U": 0.5, "b": 0.1})
    np.testing.assert_allclose(run["h"][:, 0], [0.800499, 0.951769], atol=5e-7)


@pytest.mark.parametrize(
    ("update", "state"),
    [
        (r"h_t = z_t \odot h_{t-1} + (1 - z_t) \odot \hat{h}_t", 0.201406),
        (r"h_t = (1 - z_t) \odot h_{t-1} + z_t \odot \hat{h}_t", 0.291582),
    ],
)
def test_both_conventions_of_the_gate_are_built_as_printed(update, state):
    page = (
        r"r_t = \sigma(W_r x_t + U_r h_{t-1} + b_r), \quad z_t = \sigma(W_z x_t + U_z h_{t-1} + b_z) \\"
        r"\hat{h}_t = \tanh(W_h x_t + U_h (r_t \odot h_{t-1}) + b_h) \\" + update
    )
    weights = {"W_r": [0.2, 0.4], "U_r": 0.5, "b_r": 0.1, "W_z": [0.3, 0.7], "U_z": 0.6, "b_z": 0.2}
    weights |= {"W_h": [0.6, 0.9], "U_h": 0.4, "b_h": 0.3}
    run = Cell.from_latex(page).run({"x": [[0.1, 0.2]]}, weights)
    np.testing.assert_allclose(run["h"], [[state]], atol=5e-7)
    np.testing.assert_allclose(run["h_hat"], [[0.492988]], atol=5e-7)


def test_dinner_as_a_page_prints_it():
    page = r"""
    F = \begin{bmatrix} 1 & 0 & 0 \\ 0 & 1 & 0 \\ 0 & 0 & 1 \\ 0 & 0 & 1 \\ 1 & 0 & 0 \\ 0 & 1 & 0 \end{bmatrix} \\
    W = \begin{bmatrix} 0 & 1 \\ 0 & 1 \\ 0 & 1 \\ 1 & 0 \\ 1 & 0 \\ 1 & 0 \end{bmatrix} \\
    M = \begin{bmatrix} 1 & 0 & 0 & 1 & 0 & 0 \\ 0 & 1 & 0 & 0 & 1 & 0 \\ 0 & 0 & 1 & 0 & 0 & 1 \end{bmatrix} \\
    a_t = F h_{t-1} + W x_t \\
    v_t = \begin{cases} 1 & \text{if } a_t \ge 2 \\ 0 & \text{otherwise} \end{cases} \\
    h_t = M v_t
    """
    found = same(elman.cells["dinner"], Cell.from_latex(page))
    assert found, str(found)
