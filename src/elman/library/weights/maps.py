"""What can be changed about weights without changing what the network computes, and what cannot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from elman.errors import Fact, WeightProblem
from elman.library.weights.parts import SPELT, Array, Gates, Layer, Network

RESET = {
    True: "n[t] = tanh(W_n @ x[t] + b_in + r[t] * (U_n @ h[t-1] + b_hn))",
    False: "n[t] = tanh(W_n @ x[t] + U_n @ (r[t] * h[t-1]) + b_n)",
}


def total_bias(layer: Layer) -> Gates | None:
    """One bias a gate: the sum of the two, which is all that a gate without a reset sees."""
    if layer.b is None or layer.d is None:
        return layer.b
    with np.errstate(over="ignore"):  # whoever writes it refuses infinity by name
        return {gate: layer.b[gate] + layer.d[gate] for gate in layer.b}


def two_biases(layer: Layer) -> tuple[Gates, Gates] | None:
    """Two biases a gate: where there is one, the second is zero."""
    if layer.b is None:
        return None
    zeros = {gate: np.zeros_like(b) for gate, b in layer.b.items()}
    return layer.b, zeros if layer.d is None else layer.d


def zero_bias(layer: Layer) -> Gates:
    """A bias for a cell whose equations have one, of weights without."""
    return {gate: np.zeros(W.shape[0], W.dtype) for gate, W in layer.W.items()}


def exchanged(layer: Layer) -> Layer:
    """z for 1 - z: sigmoid(-a) is 1 - sigmoid(a), so that the weights of z change their sign."""
    b, d = (None if bias is None else _z_negated(bias) for bias in (layer.b, layer.d))
    return replace(layer, W=_z_negated(layer.W), U=_z_negated(layer.U), b=b, d=d)


def _z_negated(gates: Gates) -> Gates:
    return {**gates, "z": 0 - gates["z"]}  # 0 - x, as -x makes -0.0 of a zero


def with_reset(network: Network, after: bool, layout: str, instead: str) -> Network:
    """The same GRU with r before or after the product; E534 where that is another function.

    r * (U @ h) is U @ (r * h) where U is diagonal: with a single unit, for instance.
    """
    if network.kind != "gru" or network.reset_after == after:
        return network
    for layer in network.layers.values():
        if not _is_diagonal(layer.U["n"]) or (network.reset_after and _has_inner_bias(layer)):
            raise _no_reset(after, layout, instead)
    layers = {k: replace(v, b=total_bias(v), d=None) for k, v in network.layers.items()}
    return replace(network, layers=layers, reset_after=after)


def _is_diagonal(U: Array) -> bool:
    return np.array_equal(U, np.diag(np.diagonal(U)))


def _has_inner_bias(layer: Layer) -> bool:
    return layer.d is not None and bool(np.any(layer.d["n"]))


def _no_reset(after: bool, layout: str, instead: str) -> WeightProblem:
    where = "after" if after else "before"
    other = "before" if after else "after"
    return WeightProblem(
        "E534",
        f"this GRU resets {other} the product, and {layout} {where} it: they are two functions",
        facts=[Fact("given", RESET[not after]), Fact(layout, RESET[after])],
        rule="r * (U @ h) is U @ (r * h) only where U is diagonal; no weights make one the other.",
        fix=instead,
    )


def refuse_projection(network: Network, layout: str) -> None:
    """E534 for weights of a projection, where the layout has no place for them."""
    if any(layer.P is not None for layer in network.layers.values()):
        raise WeightProblem(
            "E534",
            f"these weights project the state, and {layout} has no projection",
            rule="The state of an LSTM with proj_size is P @ (o * tanh(c)).",
            fix="Convert to torch, or to elman:lstmp.",
        )


def refuse_peepholes(network: Network, layout: str) -> None:
    """E534 for weights of peepholes, where the layout has no place for them."""
    if any(layer.p is not None for layer in network.layers.values()):
        raise WeightProblem(
            "E534",
            f"these weights have peepholes that are not zero, and {layout} has none",
            rule="The gates of an LSTM with peepholes see its memory too.",
            fix="Convert to onnx, or to elman:lstm_peephole.",
        )


def refuse_layers(network: Network, layout: str) -> None:
    """E536 for several layers, where the layout holds one."""
    numbers = sorted({number for number, _ in network.layers})
    if len(numbers) > 1:
        raise WeightProblem(
            "E536",
            f"this {SPELT[network.kind]} has {len(numbers)} layers, and {layout} holds one",
            rule=f"In {layout} each layer is a thing of its own, under a name of its own.",
            fix=f"Convert one at a time: --only '*_l{numbers[0]}*' keeps the first.",
        )
