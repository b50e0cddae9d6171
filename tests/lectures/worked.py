"""Worked examples 1 to 5 of the lecture notes, exercises included, recomputed to six digits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

RNN = "h[t] = tanh(W @ x[t] + U @ h[t-1] + b)"
READ_OUT = "h[t] = tanh(W_x @ x[t] + W_h @ h[t-1] + b)\ny[t] = W_hy @ h[t] + b_y"
LSTM = """
f[t] = σ(W_f @ x[t] + U_f @ h[t-1] + b_f)
i[t] = σ(W_i @ x[t] + U_i @ h[t-1] + b_i)
o[t] = σ(W_o @ x[t] + U_o @ h[t-1] + b_o)
ĉ[t] = tanh(W_c @ x[t] + U_c @ h[t-1] + b_c)
c[t] = f[t] ⊙ c[t-1] + i[t] ⊙ ĉ[t]
h[t] = o[t] ⊙ tanh(c[t])
"""
CONCATENATED = """
Γ_f[t] = σ(W_f @ [a[t-1], x[t]] + b_f)
Γ_u[t] = σ(W_i @ [a[t-1], x[t]] + b_i)
Γ_o[t] = σ(W_o @ [a[t-1], x[t]] + b_o)
c̃[t] = tanh(W_c @ [a[t-1], x[t]] + b_c)
c[t] = Γ_u[t] * c̃[t] + Γ_f[t] * c[t-1]
a[t] = Γ_o[t] * tanh(c[t])
"""
GRU = """
r[t] = σ(W_r @ x[t] + U_r @ h[t-1] + b_r)
z[t] = σ(W_z @ x[t] + U_z @ h[t-1] + b_z)
ĥ[t] = tanh(W_h @ x[t] + U_h @ (r[t] ⊙ h[t-1]) + b_h)
h[t] = {}
"""
KEEPING = GRU.format("z[t] ⊙ h[t-1] + (1 - z[t]) ⊙ ĥ[t]")
REPLACING = GRU.format("(1 - z[t]) ⊙ h[t-1] + z[t] ⊙ ĥ[t]")
GAMMA_GRU = """
Γ_r[t] = σ(W_r @ [c[t-1], x[t]] + b_r)
Γ_u[t] = σ(W_z @ [c[t-1], x[t]] + b_z)
c̃[t] = tanh(W_h @ [Γ_r[t] * c[t-1], x[t]] + b_h)
c[t] = Γ_u[t] * c̃[t] + (1 - Γ_u[t]) * c[t-1]
"""
NEXT_WORD = (
    "h[t] = tanh(W_h @ x[t] + U_h @ h[t-1] + b_h)\ns[t] = W_y @ h[t]\ny[t] = softmax(s[t] + b_y)"
)

VOCABULARY = ("I", "love", "deep", "learning", "_")


def one_hot(*words: str) -> list[list[float]]:
    return [[float(word == known) for known in VOCABULARY] for word in words]


def joined(weights: dict[str, Any], gates: str) -> dict[str, Any]:
    """[U, W] as one matrix of one row: the columns for the state come first."""
    both = {f"W_{g}": [[weights[f"U_{g}"], *weights[f"W_{g}"]]] for g in gates}
    return both | {f"b_{g}": weights[f"b_{g}"] for g in gates}


@dataclass(frozen=True)
class Example:
    """A cell in the notes' own form, weights, inputs, and what is printed at each step."""

    name: str
    text: str
    weights: dict[str, Any]
    x: Any
    printed: dict[str, Any] = field(hash=False)

    def __str__(self) -> str:
        return self.name


RNN_WEIGHTS = {"W": [0.4, 0.3], "U": 0.5, "b": 0.1}
LSTM_WEIGHTS = {
    "W_f": [0.2, 0.4],
    "U_f": 0.5,
    "b_f": 0.1,
    "W_i": [0.3, 0.7],
    "U_i": 0.6,
    "b_i": 0.2,
    "W_o": [0.6, 0.9],
    "U_o": 0.4,
    "b_o": 0.3,
    "W_c": [0.5, 0.8],
    "U_c": 0.3,
    "b_c": 0,
}
GRU_WEIGHTS = {
    "W_r": [0.2, 0.4],
    "U_r": 0.5,
    "b_r": 0.1,
    "W_z": [0.3, 0.7],
    "U_z": 0.6,
    "b_z": 0.2,
    "W_h": [0.6, 0.9],
    "U_h": 0.4,
    "b_h": 0.3,
}
WORD_WEIGHTS = {
    "W_h": [[0.2, -0.3, 0.1, 0.4, 0.1], [0.5, 0.1, -0.2, 0.2, -0.4], [-0.1, 0.3, 0.2, -0.1, 0.2]],
    "U_h": [[0.1, 0.3, -0.2], [0.4, -0.1, 0.5], [-0.3, 0.2, 0.1]],
    "b_h": [0.1, 0.1, -0.1],
    "W_y": [
        [-0.2, 0.1, 0.2],
        [0.3, -0.4, 0.5],
        [0.1, 0.2, -0.3],
        [-0.5, 0.4, 0.1],
        [0.2, -0.1, 0.3],
    ],
    "b_y": [0, 0.1, 0, 0.1, 0],
}
ONE, EXERCISE = [[0.1, 0.2]], [[-1, 1], [1, -1]]
LSTM_ONE = {
    "f": [0.549834],
    "i": [0.591459],
    "o": [0.631812],
    "ĉ": [0.206966],
    "c": [0.122412],
    "h": [0.076958],
}
LSTM_TWO = {
    "f": [0.574443, 0.490005],
    "i": [0.645656, 0.468048],
    "o": [0.645656, 0.512000],
    "ĉ": [0.291313, -0.258025],
    "c": [0.188088, -0.028604],
    "h": [0.120028, -0.014641],
}
IN_GAMMAS = {"f": "Γ_f", "i": "Γ_u", "o": "Γ_o", "ĉ": "c̃", "c": "c", "h": "a"}
KEPT = {"ĥ": [0.537050, 0.037949], "h": [0.190300, 0.110858]}
REPLACED = {"h": [0.346749, 0.208706], "ĥ": [0.537050, 0.071769]}

EXAMPLES = (
    Example("1 rnn", RNN, RNN_WEIGHTS, [[1, 2], [1.5, 2.5]], {"h": [0.800499, 0.951769]}),
    Example(
        "1 exercise", RNN, RNN_WEIGHTS, [[-1, 1], [1, -1], [1, 1]], {"h": [0, 0.197375, 0.715658]}
    ),
    Example(
        "2 read-out",
        READ_OUT,
        {
            "W_x": [0.5, 0.1],
            "W_h": [[0.4, 0.2], [0.3, 0.7]],
            "b": [0, 0],
            "W_hy": [1, -1],
            "b_y": 0,
        },
        [[1]],
        {"h": [(0.462117, 0.099668)], "y": [0.362449]},
    ),
    Example("3 lstm", LSTM, LSTM_WEIGHTS, ONE, LSTM_ONE),
    Example("3 exercise", LSTM, LSTM_WEIGHTS, EXERCISE, LSTM_TWO),
    Example(
        "3 with gammas",
        CONCATENATED,
        joined(LSTM_WEIGHTS, "fioc"),
        EXERCISE,
        {IN_GAMMAS[name]: values for name, values in LSTM_TWO.items()},
    ),
    Example(
        "4 gru",
        KEEPING,
        GRU_WEIGHTS,
        ONE,
        {"r": [0.549834], "z": [0.591459], "ĥ": [0.492988], "h": [0.201406]},
    ),
    Example("4 gru, z takes", REPLACING, GRU_WEIGHTS, ONE, {"h": [0.291582]}),
    Example(
        "4 exercise",
        KEEPING,
        GRU_WEIGHTS,
        EXERCISE,
        {**KEPT, "r": [0.574443, 0.498788], "z": [0.645656, 0.478558]},
    ),
    Example(
        "4 exercise, z takes",
        REPLACING,
        GRU_WEIGHTS,
        EXERCISE,
        {**REPLACED, "r": [0.574443, 0.518335], "z": [0.645656, 0.502012]},
    ),
    Example(
        "4 with gammas",
        GAMMA_GRU,
        joined(GRU_WEIGHTS, "rzh"),
        EXERCISE,
        {
            "c": REPLACED["h"],
            "c̃": REPLACED["ĥ"],
            "Γ_r": [0.574443, 0.518335],
            "Γ_u": [0.645656, 0.502012],
        },
    ),
    Example(
        "5 next word",
        NEXT_WORD,
        WORD_WEIGHTS,
        one_hot("I"),
        {
            "h": [(0.291313, 0.537050, -0.197375)],
            "s": [(-0.044033, -0.226114, 0.195754, 0.049426, -0.054655)],
            "y": [(0.185355, 0.170749, 0.235582, 0.224917, 0.183397)],
        },
    ),
)
