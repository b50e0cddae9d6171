"""What Keras and ONNX document that their layers compute, in NumPy, for a sequence (T, B, input).

Written from the call methods of Keras' cells and from ONNX' operator texts, not from Elman.
"""

from __future__ import annotations

import numpy as np


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def keras_rnn(x, w):
    h, out = np.zeros((x.shape[1], w["recurrent_kernel"].shape[0])), []
    for x_t in x:
        h = np.tanh(x_t @ w["kernel"] + w["bias"] + h @ w["recurrent_kernel"])
        out.append(h)
    return np.stack(out)


def keras_lstm(x, w):
    h = c = np.zeros((x.shape[1], w["recurrent_kernel"].shape[0]))
    out = []
    for x_t in x:
        z = x_t @ w["kernel"] + h @ w["recurrent_kernel"] + w["bias"]
        z0, z1, z2, z3 = np.split(z, 4, axis=-1)
        c = sigmoid(z1) * c + sigmoid(z0) * np.tanh(z2)
        h = sigmoid(z3) * np.tanh(c)
        out.append(h)
    return np.stack(out)


def keras_gru(x, w, reset_after):
    units = w["recurrent_kernel"].shape[0]
    h, out = np.zeros((x.shape[1], units)), []
    input_bias, recurrent_bias = w["bias"] if reset_after else (w["bias"], np.zeros(3 * units))
    inner_kernel = w["recurrent_kernel"]
    for x_t in x:
        x_z, x_r, x_h = np.split(x_t @ w["kernel"] + input_bias, 3, axis=-1)
        inner_z, inner_r, inner_h = np.split(h @ inner_kernel + recurrent_bias, 3, axis=-1)
        z, r = sigmoid(x_z + inner_z), sigmoid(x_r + inner_r)
        inner_h = r * inner_h if reset_after else (r * h) @ inner_kernel[:, 2 * units :]
        h = z * h + (1 - z) * np.tanh(x_h + inner_h)
        out.append(h)
    return np.stack(out)


def onnx_rnn(x, w, direction=0):
    W, R = w["W"][direction], w["R"][direction]
    Wb, Rb = np.split(w["B"][direction], 2)
    H, out = np.zeros((x.shape[1], R.shape[1])), []
    for X in x:
        H = np.tanh(X @ W.T + H @ R.T + Wb + Rb)
        out.append(H)
    return np.stack(out)


def onnx_lstm(x, w, direction=0):
    W, R = w["W"][direction], w["R"][direction]
    Wi, Wo, Wf, Wc = np.split(W, 4)
    Ri, Ro, Rf, Rc = np.split(R, 4)
    Wbi, Wbo, Wbf, Wbc, Rbi, Rbo, Rbf, Rbc = np.split(w["B"][direction], 8)
    Pi, Po, Pf = np.split(w["P"][direction], 3) if "P" in w else (0, 0, 0)
    H = C = np.zeros((x.shape[1], R.shape[1]))
    out = []
    for X in x:
        i = sigmoid(X @ Wi.T + H @ Ri.T + Pi * C + Wbi + Rbi)
        f = sigmoid(X @ Wf.T + H @ Rf.T + Pf * C + Wbf + Rbf)
        c = np.tanh(X @ Wc.T + H @ Rc.T + Wbc + Rbc)
        C = f * C + i * c
        o = sigmoid(X @ Wo.T + H @ Ro.T + Po * C + Wbo + Rbo)
        H = o * np.tanh(C)
        out.append(H)
    return np.stack(out)


def onnx_gru(x, w, linear_before_reset, direction=0):
    W, R = w["W"][direction], w["R"][direction]
    Wz, Wr, Wh = np.split(W, 3)
    Rz, Rr, Rh = np.split(R, 3)
    Wbz, Wbr, Wbh, Rbz, Rbr, Rbh = np.split(w["B"][direction], 6)
    H, out = np.zeros((x.shape[1], R.shape[1])), []
    for X in x:
        z = sigmoid(X @ Wz.T + H @ Rz.T + Wbz + Rbz)
        r = sigmoid(X @ Wr.T + H @ Rr.T + Wbr + Rbr)
        if linear_before_reset:
            h = np.tanh(X @ Wh.T + r * (H @ Rh.T + Rbh) + Wbh)
        else:
            h = np.tanh(X @ Wh.T + (r * H) @ Rh.T + Rbh + Wbh)
        H = (1 - z) * h + z * H
        out.append(H)
    return np.stack(out)


RUN = {
    ("rnn", "keras"): keras_rnn,
    ("rnn", "keras-reset-after"): keras_rnn,
    ("rnn", "onnx"): onnx_rnn,
    ("rnn", "onnx-reset-after"): onnx_rnn,
    ("lstm", "keras"): keras_lstm,
    ("lstm", "keras-reset-after"): keras_lstm,
    ("lstm", "onnx"): onnx_lstm,
    ("lstm", "onnx-reset-after"): onnx_lstm,
    ("gru", "keras"): lambda x, w: keras_gru(x, w, False),
    ("gru", "keras-reset-after"): lambda x, w: keras_gru(x, w, True),
    ("gru", "onnx"): lambda x, w: onnx_gru(x, w, False),
    ("gru", "onnx-reset-after"): lambda x, w: onnx_gru(x, w, True),
}
