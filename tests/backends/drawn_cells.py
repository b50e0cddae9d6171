"""Random small cells for hypothesis: vectors of one size, with values of the order of 1."""

from __future__ import annotations

from hypothesis import strategies as st

MATRICES, VECTORS, SCALARS = ("W", "U", "V"), ("b", "p", "d_h"), ("k",)
NAMES = ("z", "c", "h")


# of what is drawn below: each form keeps a vector of the size of the state
ONE = """
tanh({}) | sigmoid({}) | -{} | ({}) ** 2 | abs({}) | relu({}) | softplus({}) | silu({})
softmax({}) | sqrt(0.5 + ({}) ** 2) | log(1.5 + ({}) ** 2) | exp(-abs({})) | k * ({}) | ({}) / 3
mean({}) * b | max({}) * p | norm({}) * p | layer_norm({}, b)
W @ ({}) | U @ ({}) | V.T @ ({}) | A @ ({}) | Q @ [{}, x[t]]
sin({}) | cos({}) | cumsum({}) / 2 | einsum("ij,i->j", U, {}) | einsum("hij,j->i", R, {}) / 2
"""
TWO = """
({}) + ({}) | ({}) - ({}) | ({}) * ({}) | ({}) / (1.5 + ({}) ** 2) | max({}, {}) | min({}, {})
where({} < b, {}, p) | dot({}, {}) * b | (1 - sigmoid({})) * ({}) | (0.5 + abs({})) ** tanh({})
tanh(W @ ({}) + U @ ({}) + b) | sum({}) * ({}) / 4
(V + outer({}, {})) @ b / 2 | einsum("hij,ij->j", R, outer({}, {})) | (outer({}, b).T * W) @ ({})
einsum("ij,ij->i", W, outer({}, {})) | einsum("i,j->i", {}, {}) / 4 | einsum("ji->i", outer({}, {}))
"""


def _forms(table: str) -> st.SearchStrategy[str]:
    lines = table.strip().splitlines()
    return st.sampled_from([form.strip() for line in lines for form in line.split("|")])


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds(lambda form, a: form.format(a), _forms(ONE), inner),
        st.builds(lambda form, a, b: form.format(a, b), _forms(TWO), inner, inner),
    )


@st.composite
def cell_texts(draw: st.DrawFn) -> str:
    """Two or three equations that read inputs, weights, states some steps back, and one another."""
    names = NAMES[-draw(st.integers(1, 3)) :]
    leaves = ["x[t]", "x[t]", "b", "p", "v", "x[t-1]", "s[t] * b"]
    leaves += [f"{name}[t-{lag}]" for name in names for lag in (1, 1, 2)]
    lines = ["v: per sequence", "s: scalar, per step", "k: scalar", "A = V - V.T"]
    lines += ["Q: hidden, hidden + hidden", "R: 2, hidden, hidden", "k2 = 0.5"]
    for name in names:
        value = draw(st.recursive(st.sampled_from(leaves), _grown, max_leaves=6))
        rest = "0.1 * tanh(W @ x[t] + U @ h[t-1] + A @ v + k * k2 * d_h)"
        lines.append(f"{name}[t] = tanh({value}) + {rest}")
        leaves.append(f"{name}[t]")
    lines[-1] += " + 0.1 * (Q @ [x[t-1], b] + p * s[t] + einsum('hij,j->i', R, b))"
    return "\n".join([*lines, f"return {', '.join(names)}"])
