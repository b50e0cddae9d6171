"""More twins: gated networks, clockworks, reservoirs; they join those of `twins`.

Stacked matrices stand for gates of their own, sums over the whole past for a running state, loops
over units for a mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace as Given

import numpy as np

from tests.library.twins import TWINS, Array, Values, sigmoid, stacked, twin

__all__ = ["TWINS"]


def _whole(w: Given, letter: str, parts: Sequence[str]) -> Array:
    """`W_f`, `W_i`, ... one above the other."""
    return np.concatenate([getattr(w, f"{letter}_{part}") for part in parts])


def _before(values: Array) -> Array:
    """The values of the step before, zeros at first."""
    return np.concatenate([np.zeros_like(values[:1]), values[:-1]])


def _normed(a: Array) -> Array:
    return (a - a.mean()) / np.sqrt(a.var() + 1e-5)


def _layer_norm_lstm(w: Given, keeps_normed: bool) -> Values:
    W, U, alpha, beta, b = (
        _whole(w, letter, "fiog") for letter in ("W", "U", "alpha", "beta", "b")
    )
    c = h = np.zeros_like(w.b_f)
    found = []
    for x in w.x:
        f, i, o, g = np.split(alpha * _normed(W @ x) + beta * _normed(U @ h) + b, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        seen = w.gain_c * _normed(c) + w.shift_c
        h = sigmoid(o) * np.tanh(seen)
        c = seen if keeps_normed else c
        found.append(h)
    return {"h": stacked(found)}


@twin
def layer_norm_lstm(w: Given) -> Values:
    return _layer_norm_lstm(w, keeps_normed=False)


@twin
def layer_norm_lstm_torch(w: Given) -> Values:
    return _layer_norm_lstm(w, keeps_normed=True)


@twin
def clockwork(w: Given) -> Values:
    size = len(w.b)
    period = [2 ** (4 * unit // size) for unit in range(size)]
    h = [0.0] * size
    found = []
    for t, x in enumerate(w.x, start=1):
        old = h.copy()
        for i in range(size):
            if t % period[i] == 0:
                heard = [w.U[i, j] * old[j] for j in range(size) if period[j] >= period[i]]
                h[i] = np.tanh(w.W[i] @ x + sum(heard) + w.b[i])
        found.append(h.copy())
    return {"h": stacked(found)}


@twin
def on_lstm(w: Given) -> Values:
    c = h = np.zeros_like(w.b_f)
    size, found = len(c), []

    def below(scores: Array) -> list[float]:
        """The chance that a split point drawn by a softmax lies at or below each unit."""
        return [np.exp(scores[: k + 1]).sum() / np.exp(scores).sum() for k in range(size)]

    for x in w.x:
        gates = _whole(w, "W", "fioc") @ x + _whole(w, "U", "fioc") @ h + _whole(w, "b", "fioc")
        f, i, o, a = np.split(gates, 4)
        rising = np.array(below(w.W_mf @ x + w.U_mf @ h + w.b_mf))
        falling = 1 - np.array(below(w.W_mi @ x + w.U_mi @ h + w.b_mi))
        keep = rising * (falling * sigmoid(f) + 1 - falling)
        write = falling * (rising * sigmoid(i) + 1 - rising)
        c = keep * c + write * np.tanh(a)
        h = sigmoid(o) * np.tanh(c)
        found.append(h)
    return {"h": stacked(found)}


@twin
def nested_lstm(w: Given) -> Values:
    inner = Given(**{k.removeprefix("inner_"): a for k, a in vars(w).items() if k[:6] == "inner_"})
    h = c = d = np.zeros_like(w.b_f)
    found = []
    for x in w.x:
        f, i, o, g = np.split(
            _whole(w, "W", "fiog") @ x + _whole(w, "U", "fiog") @ h + _whole(w, "b", "fiog"), 4
        )
        into, past = sigmoid(i) * np.tanh(g), sigmoid(f) * c
        W, U, b = (_whole(inner, letter, "fioc") for letter in "WUb")
        f, i, p, g = np.split(W @ into + U @ past + b, 4)
        d = sigmoid(f) * d + sigmoid(i) * np.tanh(g)
        c = sigmoid(p) * np.tanh(d)
        h = sigmoid(o) * np.tanh(c)
        found.append(h)
    return {"h": stacked(found)}


@twin
def mogrifier_lstm(w: Given) -> Values:
    core = Given(**{k.removeprefix("core_"): a for k, a in vars(w).items() if k[:5] == "core_"})
    Q, R = iter([w.Q_1, w.Q_2, w.Q_3] * len(w.x)), iter([w.R_1, w.R_2] * len(w.x))
    W, U, b = (_whole(core, letter, "fioc") for letter in "WUb")
    h = c = np.zeros_like(core.b_f)
    found = []
    for x in w.x:
        for number in range(1, 6):
            if number % 2:
                x = 2 * sigmoid(next(Q) @ h) * x
            else:
                h = 2 * sigmoid(next(R) @ x) * h
        f, i, o, g = np.split(W @ x + U @ h + b, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        found.append(h)
    return {"h": stacked(found)}


@twin
def esn(w: Given) -> Values:
    h, y = np.zeros(len(w.W)), np.zeros(len(w.W_out))
    found = []
    for x in w.x:
        h = np.tanh(np.hstack([w.W_in, w.W, w.W_back]) @ np.concatenate([x, h, y]))
        y = w.W_out @ np.concatenate([x, h, y])
        found.append(y)
    return {"y": stacked(found)}


@twin
def leaky_esn(w: Given) -> Values:
    h, y = np.zeros(len(w.W)), np.zeros(len(w.W_out))
    found = []
    for x in w.x:
        pull = np.tanh(np.hstack([w.W_in, w.W, w.W_fb]) @ np.concatenate([x, h, y]))
        h = h + 0.3 * (pull - h)
        y = w.W_out @ np.concatenate([h, x])
        found.append(y)
    return {"y": stacked(found)}


@twin
def qrnn(w: Given) -> Values:
    """Convolutions over the whole sequence, then each memory as a sum over the past."""
    both = np.hstack([_before(w.x), w.x])
    z, f, o = (both @ np.hstack([getattr(w, f"V_{g}"), getattr(w, f"W_{g}")]).T for g in "zfo")
    z, f, o = np.tanh(z), sigmoid(f), sigmoid(o)
    steps = range(len(z))
    c = [
        sum((1 - f[k]) * z[k] * np.prod(f[k + 1 : t + 1], axis=0) for k in steps[: t + 1])
        for t in steps
    ]
    return {"h": o * stacked(c)}


@twin
def scrn(w: Given) -> Values:
    past = np.array(
        [[0.95 ** (t - k) if k <= t else 0 for k in range(len(w.x))] for t in range(len(w.x))]
    )
    context = 0.05 * past @ w.x @ w.B.T
    h, found = np.zeros(len(w.R)), []
    for x, s in zip(w.x, context, strict=True):
        h = sigmoid(np.hstack([w.P, w.A, w.R]) @ np.concatenate([s, x, h]))
        likely = np.exp(w.U @ h + w.V @ s)
        found.append(likely / likely.sum())
    return {"s": context, "y": stacked(found)}


@twin
def jordan_memory(w: Given) -> Values:
    said: list[Array] = []
    for x in w.x:
        s = sum((0.5**k * y for k, y in enumerate(reversed(said))), np.zeros(len(w.V)))
        said.append(sigmoid(w.V @ sigmoid(w.W @ x + w.U @ s + w.b) + w.c))
    return {"y": stacked(said)}


@twin
def multiplicative_rnn(w: Given) -> Values:
    """Each input has a matrix of its own."""
    h, found = np.zeros(len(w.W_hm)), []
    for x in w.x:
        h = np.tanh(w.W_hm @ np.diag(w.W_mx @ x) @ w.W_mh @ h + w.W_hx @ x)
        found.append(w.W_oh @ h + w.b_o)
    return {"y": stacked(found)}


@twin
def nas_cell(w: Given) -> Values:
    W, U = (_whole(w, letter, "12345678") for letter in "WU")
    h = c = np.zeros(len(w.W_1))
    found = []
    for x in w.x:
        a, m = np.split(W @ x, 8), np.split(U @ h, 8)
        left = np.tanh(sigmoid(a[0] + m[0]) * np.maximum(a[1] + m[1], 0))
        middle = np.tanh(sigmoid(a[2] + m[2]) + np.maximum(a[3] * m[3], 0))
        right = np.tanh(np.tanh(a[4] + m[4]) * sigmoid(a[5] + m[5]))
        last = sigmoid(np.tanh(a[6] + m[6]) + sigmoid(a[7] + m[7]))
        c = np.tanh(left + c) * middle
        h = np.tanh(c * np.tanh(right + last))
        found.append(h)
    return {"h": stacked(found)}


@twin
def lstm_1997(w: Given) -> Values:
    """Nothing is forgotten: the memory is the sum of all that was written."""
    h, written, found = np.zeros(len(w.b_i)), [], []
    for x in w.x:
        i, o, g = np.split(
            _whole(w, "W", "ioc") @ x + _whole(w, "U", "ioc") @ h + _whole(w, "b", "ioc"), 3
        )
        written.append(sigmoid(i) * 2 * np.tanh(g / 2))  # 4 sigmoid(g) - 2
        h = sigmoid(o) * np.tanh(sum(written) / 2)  # 2 sigmoid(c) - 1
        found.append(h)
    return {"h": stacked(found)}
