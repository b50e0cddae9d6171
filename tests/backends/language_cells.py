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
    # in evaluation here; tests/random draws
    "masks_starts_and_steps": """
        keep = 0.75
        m: bernoulli(keep), per sequence
        k: bernoulli(0.5)
        D: bernoulli(0.8)
        V: frozen
        h[0] = tanh(V @ h0)
        c[0] = 0.5
        c[t] = k[t] * c[t-1] + (1 - k[t]) * tanh(W @ x[t])
        s[t] = exp(-t / 8) * b + V @ c[t]
        h[t] = tanh((D * U) @ (m * h[t-1]) + s[t]) + where(t % 3 == 0, c[t], 0)
        return c, h
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
    "waves": """
        phase: scalar
        phase[t] = (phase[t-1] + 0.37 + 0.1 * x[t] @ w) % 1.0
        a[t] = W @ x[t] + U @ h[t-1] + b
        m[t] = a[t] % (1 + c * c)
        h[t] = sin(a[t]) * cos(phase[t]) + cos(2 * a[t]) * sin(h[t-1]) / 2 + m[t] / 4
        return h
    """,
    "stairs": """
        a[t] = W @ x[t] + U @ h[t-1]
        n[t] = floor(3 * a[t] + b) / 3
        h[t] = tanh(n[t] * a[t] + floor(dot(x[t], u)) + b * u) - 0.1 * floor(h[t-1])
    """,
    "master_gates": """
        f[t] = cumsum(softmax(W_f @ x[t] + U_f @ h[t-1] + b_f))
        i[t] = 1 - cumsum(softmax(W_i @ x[t] + U_i @ h[t-1] + cumsum(b_i)))
        w[t] = f[t] * i[t]
        c[t] = (f[t] - w[t]) * c[t-1] + i[t] * tanh(W_c @ x[t] + cumsum(h[t-1]) / 4)
        h[t] = tanh(c[t] + cumsum(W_y @ x[t]))
    """,
    # the value of one thing, the derivative of another: see STRAIGHT
    "thresholds": """
        v: scalar
        v[t] = 0.7 * v[t-1] + w @ x[t] - s[t-1]
        s: scalar
        s[t] = straight_through(step(v[t] - 0.1), sigmoid(4 * v[t]))
        u[t] = round(2 * tanh(W @ x[t] + U @ h[t-1] + b)) / 2
        h[t] = s[t] * u[t] * h[t-1] + (1 - s[t]) * tanh(step(V @ h[t-1]) + u[t] * g)
    """,
    "heads": """
        R: 2, head, head
        W: 2, head, input
        b: 2, head
        V: output, 2, head
        a[t] = W @ x[t] + einsum("hij,hj->hi", R, h[t-1]) + b
        h[t] = tanh(a[t]) + 0.1 * sum(R) * mean(W) * h[t-1]
        y[t] = einsum("ohd,hd->o", V, h[t]) / 4 + q * max(h[t])
        return h
    """,
    "outer_memory": """
        C: hidden, key
        f: scalar
        i: scalar
        q[t] = W_q @ x[t]
        k[t] = W_k @ x[t] / 2
        v[t] = W_v @ x[t] + U @ h[t-1]
        f[t] = sigmoid(w_f @ x[t] + u_f @ h[t-1])
        i[t] = exp(-abs(w_i @ x[t]))
        C[t] = f[t] * C[t-1] + i[t] * outer(v[t], k[t])
        n[t] = f[t] * n[t-1] + i[t] * k[t]
        h[t] = tanh(W_o @ x[t]) * (C[t] @ q[t]) / max(abs(n[t] @ q[t]), 1)
    """,
    "associations": """
        A[t] = 0.9 * A[t-1] + 0.3 * outer(h[t-1], h[t-1])
        a[t] = W @ x[t] + U @ h[t-1]
        s[t] = tanh(a[t])
        h[t] = tanh(layer_norm(a[t] + A[t] @ s[t], gain, shift))
        return h
    """,
    "delta_rule": """
        k[t] = W_k @ x[t] / (1 + norm(W_k @ x[t]))
        v[t] = W_v @ x[t]
        b: scalar
        b[t] = sigmoid(w @ x[t])
        S[t] = S[t-1] @ (I - b[t] * outer(k[t], k[t])) + b[t] * outer(v[t], k[t])
        h[t] = S[t] @ (W_q @ x[t]) + E @ k[t]
        I: key, key
        return S, h
    """,
    "matrix_from_gates": """
        P: hidden, hidden, input
        Q: hidden, hidden, hidden
        r[t] = relu(P @ x[t] + Q @ c[t-1]) + 0.5
        s[t] = einsum("ij->j", r[t])
        m[t] = einsum("ij,j->ij", r[t], 1 / s[t])
        c[t] = m[t] @ c[t-1] + 0.1 * einsum("ij->i", r[t]) * tanh(b)
    """,
    "three_axes": """
        M: 2, head, key
        i: 2, head
        d: 2
        W_v: 2, head, input
        W_k: 2, key, input
        d[t] = sigmoid(D @ x[t])
        k[t] = W_k @ x[t]
        i[t] = W_v @ x[t]
        M[t] = einsum("h,hij->hij", d[t], M[t-1]) + einsum("hi,hj->hij", i[t], k[t])
        y[t] = einsum("hij,hj->ih", M[t], k[t])
        z[t] = einsum("kji->jik", M[t]) * G + 0.1 * mean(M[t-1]) * max(M[t-1])
        h[t] = tanh(einsum("ijk,j->i", z[t], W @ x[t])) + einsum("ih->i", y[t])
        return M, h
    """,
    "scaled_rows": """
        A: channel, place
        S: channel, place
        e[t] = softplus(W_e @ x[t])
        d[t] = exp(-0.2 * einsum("c,cn->cn", e[t], exp(A)))
        S[t] = d[t] * S[t-1] + outer(e[t] * u[t], B @ x[t])
        u[t] = W_u @ x[t]
        y[t] = einsum("cn,n->c", S[t], C @ x[t]) + einsum("c,cn->c", D, S[t])
    """,
    "letters_of_einsum": """
        T: hidden, place, other
        C: hidden, other
        J: place, other
        k: scalar
        s: scalar
        o: hidden
        a[t] = tanh(einsum("ji,i->j", W, x[t]) + U @ h[t-1])
        p[t] = tanh(einsum("ijk,ik->ij", T, C[t-1]))
        q[t] = tanh(einsum("ij->j", p[t]) + einsum("ijk->j", T) / 9)
        r[t] = tanh(einsum("ijk,jk->i", T, outer(q[t], g)) + einsum("ijk,ikl->jl", T, K) @ g @ J)
        G[t] = einsum("i,j->ji", a[t], h[t-1])
        e[t] = einsum("ij->i", U) * tanh(einsum("ij,ji->", G[t], U)) + einsum("ij->", p[t]) * k / 9
        A[t] = einsum("i,ij->ij", a[t], C[t-1]) + einsum("ijk,j->ik", T, q[t]) / 9
        C[t] = 0.3 * outer(r[t], g) + 0.5 * A[t]
        s[t] = tanh(einsum("ij,ij->", p[t], B) + einsum("ij,kj->", p[t], B)) / 9
        m[t] = einsum("ij,ij->i", C[t], einsum("ji->ij", D)) / 9 + einsum(",i->i", k, a[t])
        o[t] = einsum("i,i->i", a[t], b) * (s[t] + einsum("i,i->", h[t-1], a[t]) / 9)
        z[t] = einsum("i,j->i", r[t], q[t]) + o[t] + einsum("ij,kj->ik", p[t], B) @ h[t-1]
        h[t] = tanh(m[t] + z[t] / 9 + e[t] / 9)
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
