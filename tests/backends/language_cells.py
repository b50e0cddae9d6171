"""Cells of no library: together they say all that the language can, with every primitive."""

from __future__ import annotations

CELLS: dict[str, str] = {
    "choice": """
        m: scalar, per step
        g[t] = where(W @ x[t] < u, tanh(U @ h[t-1]), 0.5 * h[t-1])
        e[t] = where(x[t] == 0.25, 1, 2) * mean(x[t])
        h[t] = where(m[t] > 0, g[t], h[t-1]) + 0.1 * e[t]
    """,
    "largest": """
        a[t] = W @ x[t] + U @ h[t-1]
        h[t] = 0.5 * max(a[t], b, h[t-1]) + 0.25 * min(a[t], c) + 0.1 * max(a[t]) * min(a[t])
    """,
    "signs": """
        a[t] = W @ x[t] - U @ h[t-1]
        h[t] = relu(a[t]) - 0.5 * abs(b - a[t]) + 0.1 * sign(a[t]) * h[t-1]
    """,
    "powers": """
        k: scalar
        p[t] = exp(-0.1 * (W @ x[t])) ** (1 + 0.5 * b)
        q[t] = (1.5 + h[t-1] ** 2) ** 0.5 + (2 + b) ** (0.3 * k)
        h[t] = tanh(p[t] / q[t] + (-k) ** 3 - h[t-1])
    """,
    "logarithms": """
        a[t] = W @ x[t] + U @ h[t-1] + b
        h[t] = 0.3 * softplus(a[t]) - log(1.5 + a[t] ** 2) + sqrt(2 + tanh(a[t])) - exp(-abs(b))
    """,
    "softmax_read_out": """
        h[t] = tanh(W @ x[t] + U @ h[t-1] + b)
        y[t] = softmax(V @ h[t] + c)
        l[t] = log_softmax(V @ h[t] + c)
        return y
    """,
    "fed_back_softmax": "h[t] = softmax(W @ x[t] + U @ h[t-1])",
    "normed": """
        a[t] = W @ x[t] + U @ h[t-1]
        h[t] = tanh(layer_norm(a[t], gain, shift)) / (1 + norm(h[t-1] + q)) + rms_norm(a[t])
    """,
    "joined": """
        j[t] = [h[t-1], x[t], b]
        k[t] = tanh(j[t] * v)
        h[t] = tanh(W @ [k[t], x[t]] + mean(j[t]) * c)
    """,
    "dots": """
        s[t] = dot(q, h[t-1]) / (1 + sum(abs(x[t])))
        r[t] = W @ x[t] + u @ h[t-1]
        h[t] = tanh(b * s[t] + r[t] + V.T @ h[t-1])
    """,
    "delays": """
        Q: x2, x2
        c[t] = 0.5 * c[t-3] + 0.5 * tanh(W @ x[t] + V @ x[t-2] + p * c[t-1])
        h[t] = sigmoid(U @ h[t-2] + c[t]) * c[t-1] + 0.1 * x2[t-1] @ Q @ x2[t]
    """,
    "sizes_shared": "h[t] = tanh(W @ x[t]) * x[t] + (1 - g * x[t-1]) * h[t-1] + [b, c]\nb: 1",
    "streams": """
        v: per sequence
        s: per step
        dt: scalar, per step
        k: scalar, per sequence
        a[t] = W @ x[t] + V @ v + S @ s[t] + b
        h[t] = h[t-1] + 0.5 * dt[t] * (tanh(a[t] + U @ h[t-1]) - k * h[t-1])
    """,
    "values_that_vary_over_less": """
        v: per sequence
        s: per step
        m: scalar, per step
        p[t] = tanh(S @ s[t]) * m[t]
        q[t] = tanh(V @ v)
        n[t] = softmax(b)
        r[t] = s[t-1] * g
        h[t] = tanh(W @ x[t] + U @ h[t-1]) * p[t] + q[t] * n[t] + R @ r[t]
    """,
    "reached_by_no_gradient": """
        m: scalar, per step
        h[t] = where(m[t] < 0.25, where(c[t-1] > x[t], b, x[t]), where(a < 0.1, 0.5, b))
        c[t] = tanh(x[t])
        y[t] = where(U @ h[t] < 0, 1, b)
    """,
    "invariant": """
        gamma = 0.1
        k = [0.5, -0.25, 0.125]
        P = [[0, 0.5, 0], [0, 0, 0.5], [0.5, 0, 0]]
        A = U - U.T
        B = A @ A.T / 3
        n = softmax(b) * gamma
        s[t] = k * (P @ y[t-1]) + Q @ h[t-1]
        y[t] = tanh(s[t])
        h[t] = tanh(A @ h[t-1] + B @ h[t-1] + W @ x[t] + n) + E @ y[t-1]
        return h
    """,
    "scalars": """
        x: scalar
        w: scalar
        u: scalar
        h: scalar
        c[t] = u * x[t] + w * h[t-1]
        h[t] = tanh(c[t]) + 0.5 * c[t-1] * x[t-1]
    """,
    "scalar_gate": """
        z: scalar
        z[t] = sigmoid(dot(w, x[t]) + dot(u, h[t-1]))
        h[t] = z[t] * h[t-1] + (1 - z[t]) * tanh(W @ x[t])
    """,
    "no_state": "y[t] = tanh(W @ x[t] + b) * V @ x[t]",
    "no_weights": "h[t] = 0.5 * h[t-1] + 0.5 * x[t]",
    "gates_as_state": """
        z[t] = sigmoid(W @ x[t] + U @ z[t-1] + R @ h[t-1])
        h[t] = z[t-1] * h[t-1] + (1 - z[t]) * tanh(z[t] * b)
    """,
    "matrix_memory": """
        C: hidden, key
        G: hidden, key
        f: scalar
        o[t] = sigmoid(f) * tanh(C[t-1]) * G
        C[t] = 0.5 * C[t-1] + 0.1 * o[t] - 0.1 * max(C[t-1]) * G
        h[t] = tanh(C[t] @ (W @ x[t]) + sum(C[t-1]) * b) + 0.1 * E @ ((W @ x[t]) @ C[t])
    """,
    "letters": """
        Γ_u[t] = σ(W_u @ [a[t-1], x[t]] + b_u)
        ĉ[t] = tanh(W_c @ [a[t-1], x[t]] + b_c)
        a[t] = Γ_u[t] * ĉ[t] + (1 - Γ_u[t]) * a[t-1]
    """,
    # names that the generated code or the derived plans use for themselves
    "names_of_derivatives": """
        d_h[t] = tanh(W @ x[t] + U @ h[t-1])
        saved_1[t] = 0.5 * tanh(d_h[t] * h_in)
        d_x[t] = exp(d_h[t] * saved_1[t]) * h[t-1]
        h[t] = sigmoid(d_h_in * d_x[t] + d_W + x_in @ x[t]) * (1 - saved_1[t])
    """,
    "names_of_c": """
        my[t] = tanh(T @ real[t] + B @ row[t-1])
        int[t] = my[t] * my_1 + vec * int[t-1] * a0
        row[t] = sigmoid(my[t] + tile0 * block * int[t]) * row[t-1] + 0.1 * int_init
    """,
}
