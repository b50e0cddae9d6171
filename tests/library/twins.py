"""Loops written from the papers, for the cells whose equations are easiest to get wrong.

A twin computes one sequence from a state of zeros, in the form that is most unlike the cell's own
text: complex numbers for pairs, exponentials without a stabiliser, sums over the whole past for a
running state, loops over units for a product. `w` has the inputs and the weights by their names.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace as Given
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Values = dict[str, Array]
TWINS: dict[str, Callable[[Given], Values]] = {}


def twin(make: Callable[[Given], Values]) -> Callable[[Given], Values]:
    """The twin of the cell that bears the function's name."""
    TWINS[make.__name__] = make
    return make


def sigmoid(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


def softplus(a: Array) -> Array:
    return np.log(1 + np.exp(a))


def stacked(rows: list[Any]) -> Array:
    return np.array([np.asarray(row) for row in rows])


@twin
def lru(w: Given) -> Values:
    lam = np.exp(-np.exp(w.nu) + 1j * np.exp(w.theta))
    B, C = w.B_re + 1j * w.B_im, w.C_re + 1j * w.C_im
    state, y = np.zeros(len(lam), complex), []
    for x in w.x:
        state = lam * state + np.exp(w.gamma) * (B @ x)
        y.append((C @ state).real + w.d * x)
    return {"y": stacked(y)}


@twin
def lem(w: Given) -> Values:
    y = z = np.zeros_like(w.b_h)
    found = []
    for u in w.x:
        dt = sigmoid(w.U_1 @ y + w.W_1 @ u + w.b_1)
        dt_bar = sigmoid(w.U_2 @ y + w.W_2 @ u + w.b_2)
        z = z + dt * (np.tanh(w.U_z @ y + w.W_z @ u + w.b_z) - z)
        y = y + dt_bar * (np.tanh(w.U_h @ z + w.W_h @ u + w.b_h) - y)
        found.append(y)
    return {"h": stacked(found)}


@twin
def slstm(w: Given) -> Values:
    """The equations as they stand before the stabiliser."""
    c = n = h = np.zeros_like(w.b_z)
    found = []
    for x in w.x:
        z = np.tanh(w.W_z @ x + w.R_z @ h + w.b_z)
        i = np.exp(w.W_i @ x + w.R_i @ h + w.b_i)
        f = sigmoid(w.W_f @ x + w.R_f @ h + w.b_f)
        o = sigmoid(w.W_o @ x + w.R_o @ h + w.b_o)
        c, n = f * c + i * z, f * n + i
        h = o * c / n
        found.append(h)
    return {"h": stacked(found)}


@twin
def slstm_heads(w: Given) -> Values:
    """One network for each head: they never meet."""
    heads = []
    for k in range(len(w.b_z)):
        names = [f"{letter}_{gate}" for letter in "WRb" for gate in "zifo"]
        one = Given(x=w.x, **{name: getattr(w, name)[k] for name in names})
        heads.append(slstm(one)["h"])
    return {"h": np.stack(heads, axis=1)}


@twin
def mlstm(w: Given) -> Values:
    """Attention over the whole past, its weights the products of all forget gates since."""
    q = w.x @ w.W_q.T + w.b_q
    k = w.x @ w.W_k.T / np.sqrt(len(w.b_k)) + w.b_k
    v = w.x @ w.W_v.T + w.b_v
    i, f = np.exp(w.x @ w.w_i + w.b_i), sigmoid(w.x @ w.w_f + w.b_f)
    found = []
    for t in range(len(w.x)):
        decay = np.array([np.prod(f[s + 1 : t + 1]) * i[s] for s in range(t + 1)])
        score = decay * (k[: t + 1] @ q[t])
        found.append(score @ v[: t + 1] / max(abs(score.sum()), 1))
    return {"h": sigmoid(w.x @ w.W_o.T + w.b_o) * stacked(found)}


@twin
def mamba_s6(w: Given) -> Values:
    """Channel by channel, each with a state space of its own."""
    channels, order = w.A_log.shape
    delta = softplus(w.x @ w.V_d.T @ w.W_d.T + w.b_d)
    B, C = w.x @ w.W_B.T, w.x @ w.W_C.T
    y = np.zeros_like(w.x)
    for d in range(channels):
        for n in range(order):
            state = 0.0
            for t in range(len(w.x)):
                a = np.exp(-delta[t, d] * np.exp(w.A_log[d, n]))
                state = a * state + delta[t, d] * B[t, n] * w.x[t, d]
                y[t, d] += C[t, n] * state
    return {"y": y + w.D * w.x}


@twin
def rwkv4(w: Given) -> Values:
    """The paper's weighted sum over the whole past."""
    before = np.vstack([np.zeros_like(w.x[:1]), w.x[:-1]])

    def mixed(name: str) -> Array:
        mu = getattr(w, f"mu_{name}")
        return (mu * w.x + (1 - mu) * before) @ getattr(w, f"W_{name}").T

    r, k, v = mixed("r"), mixed("k"), mixed("v")
    found = []
    for t in range(len(w.x)):
        weight = [np.exp(-(t - 1 - i) * np.exp(w.w) + k[i]) for i in range(t)]
        weight.append(np.exp(w.u + k[t]))
        found.append(sum(e * v[i] for i, e in enumerate(weight)) / sum(weight))
    return {"wkv": stacked(found), "y": (sigmoid(r) * stacked(found)) @ w.W_o.T}


@twin
def phased_lstm(w: Given) -> Values:
    """The openness k is written as a triangle over the phase and a leak beside it."""
    c = h = np.zeros_like(w.b_f)
    found = []
    tau, r_on, leak = np.exp(w.tau_log), 0.05, 0.001
    for x, time in zip(w.x, w.time, strict=True):
        turns = (time - w.s) / tau
        phase = turns - np.floor(turns)
        triangle = 1 - np.abs(2 * phase / r_on - 1)
        k = np.where(phase < r_on, triangle, leak * phase)
        f = sigmoid(w.W_f @ x + w.U_f @ h + w.p_f * c + w.b_f)
        i = sigmoid(w.W_i @ x + w.U_i @ h + w.p_i * c + w.b_i)
        new = f * c + i * np.tanh(w.W_c @ x + w.U_c @ h + w.b_c)
        o = sigmoid(w.W_o @ x + w.U_o @ h + w.p_o * new + w.b_o)
        c, h = k * new + (1 - k) * c, k * o * np.tanh(new) + (1 - k) * h
        found.append(h)
    return {"h": stacked(found)}


@twin
def gru_d(w: Given) -> Values:
    """Value by value, looking back for the last one that was seen."""
    h, found = np.zeros_like(w.b_z), []
    seen = w.m > 0
    for t, (x, m, delta) in enumerate(zip(w.x, w.m, w.delta, strict=True)):
        x_hat = np.empty_like(x)
        for d in range(len(x)):
            times = np.flatnonzero(seen[: t + 1, d])
            last = w.x[times[-1], d] if len(times) else 0.0
            gamma = np.exp(-max(0, w.w_x[d] * delta[d] + w.b_gx[d]))
            x_hat[d] = m[d] * x[d] + (1 - m[d]) * (gamma * last + (1 - gamma) * w.x_mean[d])
        h = np.exp(-np.maximum(0, w.W_g @ delta + w.b_gh)) * h
        z = sigmoid(w.W_z @ x_hat + w.U_z @ h + w.V_z @ m + w.b_z)
        r = sigmoid(w.W_r @ x_hat + w.U_r @ h + w.V_r @ m + w.b_r)
        h_tilde = np.tanh(w.W_n @ x_hat + w.U_n @ (r * h) + w.V_n @ m + w.b_n)
        h = (1 - z) * h + z * h_tilde
        found.append(h)
    return {"h": stacked(found)}


def silu(a: Array) -> Array:
    return a * sigmoid(a)


def of_length_one(x: Array, W: Array) -> Array:
    """Queries or keys of the delta rule: after a SiLU, divided by their length."""
    a = silu(x @ W.T)
    return a / np.sqrt((a * a).sum(axis=1, keepdims=True) + 1e-6)


@twin
def delta_net(w: Given) -> Values:
    """S (I - b k k.T) + b v k.T, as printed."""
    q, k = of_length_one(w.x, w.W_q), of_length_one(w.x, w.W_k)
    S, found = np.zeros((len(w.W_v), k.shape[1])), []
    for t, x in enumerate(w.x):
        b = sigmoid(w.w_b @ x)
        S = S @ (np.eye(k.shape[1]) - b * np.outer(k[t], k[t])) + b * np.outer(w.W_v @ x, k[t])
        found.append(S @ q[t])
    return {"h": stacked(found)}


@twin
def gated_delta_net(w: Given) -> Values:
    """S a (I - b k k.T) + b v k.T, as printed."""
    q, k, v = of_length_one(w.x, w.W_q), of_length_one(w.x, w.W_k), silu(w.x @ w.W_v.T)
    S, found = np.zeros((v.shape[1], k.shape[1])), []
    for t, x in enumerate(w.x):
        a = np.exp(-np.exp(w.a_log) * softplus(w.w_g @ x + w.b_g))
        b = sigmoid(w.w_b @ x)
        S = S @ (a * (np.eye(k.shape[1]) - b * np.outer(k[t], k[t]))) + b * np.outer(v[t], k[t])
        found.append(S @ q[t])
    return {"h": stacked(found)}


@twin
def mc_lstm(w: Given) -> Values:
    """Mass by mass: what unit j holds is shared out by a softmax over the units i."""
    c, found = np.zeros_like(w.b_i), []
    units = range(len(c))
    for mass, x in zip(w.x_m, w.x, strict=True):
        spread = c / (np.abs(c).sum() + 1e-5)
        moved = np.zeros_like(c)
        for j in units:
            share = np.exp([w.W_r[i, j] @ x + w.U_r[i, j] @ spread + w.B_r[i, j] for i in units])
            moved += share / share.sum() * c[j]
        into = np.exp(w.W_i @ x + w.U_i @ spread + w.b_i)
        moved += into / into.sum() * mass
        o = sigmoid(w.W_o @ x + w.U_o @ spread + w.b_o)
        c = moved - o * moved
        found.append(o * moved)
    return {"h": stacked(found)}


@twin
def fast_weights(w: Given) -> Values:
    """A h as the paper's sum over past states, each weighted by its likeness to h."""
    past: list[Array] = []
    lam, eta = 0.95, 0.5
    for x in w.x:
        slow = w.W @ x + (w.U @ past[-1] if past else 0)
        s = np.maximum(slow, 0)
        for _ in range(2):
            ages = range(len(past) - 1, -1, -1)
            recalled = sum(
                (eta * lam**age * h * (h @ s) for age, h in zip(ages, past, strict=True)), 0 * s
            )
            a = slow + recalled
            s = np.maximum((a - a.mean()) / np.sqrt(a.var() + 1e-5) * w.gain + w.shift, 0)
        past.append(s)
    return {"h": stacked(past)}


@twin
def ltc(w: Given) -> Values:
    """Each of the six steps solves h = s + d (-(1/tau + f) h + f A) for h as a linear system."""
    h, found = np.zeros_like(w.b), []
    for x, dt in zip(w.x, w.dt, strict=True):
        for _ in range(6):
            f = sigmoid(w.W @ x + w.U @ h + w.b)
            rate = np.diag(np.exp(-w.tau_log) + f)
            h = np.linalg.solve(np.eye(len(h)) + dt / 6 * rate, h + dt / 6 * f * w.A)
        found.append(h)
    return {"h": stacked(found)}


@twin
def ct_lstm(w: Given) -> Values:
    """The paper's c(t) between two events, and its 2 sigmoid(2 c) - 1 in place of tanh."""
    size = len(w.b_i)
    start = limit = delta = o = np.zeros(size)
    found = []
    for x, dt in zip(w.x, w.dt, strict=True):
        c = limit + (start - limit) * np.exp(-delta * dt)
        h = o * (2 * sigmoid(2 * c) - 1)
        i = sigmoid(w.W_i @ x + w.U_i @ h + w.b_i)
        f = sigmoid(w.W_f @ x + w.U_f @ h + w.b_f)
        o = sigmoid(w.W_o @ x + w.U_o @ h + w.b_o)
        z = np.tanh((w.W_z @ x + w.U_z @ h + w.b_z) / 2)
        i_bar = sigmoid(w.V_i @ x + w.R_i @ h + w.a_i)
        f_bar = sigmoid(w.V_f @ x + w.R_f @ h + w.a_f)
        start, limit = f * c + i * z, f_bar * limit + i_bar * z
        delta = softplus(w.W_d @ x + w.U_d @ h + w.b_d)
        found.append(h)
    return {"h": stacked(found)}
