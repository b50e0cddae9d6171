"""Keras' layout: gates in columns, one bias, or two rows of it in a GRU that resets after.

Source: SimpleRNNCell, LSTMCell and GRUCell of Keras 3 (build and call).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from elman.errors import WeightProblem
from elman.library.weights import maps
from elman.library.weights.parts import (
    BACKWARD,
    FORWARD,
    GATES,
    SPELT,
    Array,
    Gates,
    Layer,
    Names,
    Network,
    Place,
    beside,
    by_place,
    check_axes,
    check_layers,
    check_shapes,
    kind_of,
    need,
    split_rows,
    stack_rows,
)

NAME = re.compile(r"(?P<prefix>|.*?[/._])(?P<role>recurrent_kernel|kernel|bias)(:[0-9]+)?")
SIDE = re.compile(r"(?:(?<=[/._])|^)(forward|backward)")
ORDER = {"rnn": ("h",), "gru": ("z", "r", "n"), "lstm": ("i", "f", "g", "o")}
LAYER = {"rnn": "simple_rnn", "gru": "gru", "lstm": "lstm"}
USUAL = "kernel, recurrent_kernel and bias"
OTHER = {False: "keras-reset-after", True: "keras"}
INSTEAD = {
    False: "Convert to keras-reset-after instead: GRU(units, reset_after=True), Keras' default.",
    True: "Convert to keras instead: GRU(units, reset_after=False).",
}


def split(name: str) -> tuple[str, Place, str] | None:
    """'forward_lstm/lstm_cell/kernel:0' as prefix, direction and role."""
    match = NAME.fullmatch(name)
    if match is None:
        return None
    side = SIDE.search(match["prefix"])
    direction = BACKWARD if side and side[1] == "backward" else FORWARD
    return SIDE.sub("*", match["prefix"]), (0, direction), match["role"]


def read(arrays: Mapping[str, Array], cell: str | None, *, reset_after: bool) -> Network:
    """The layer, or the two of a Bidirectional one, that Keras' arrays hold."""
    layout = OTHER[not reset_after]
    layers, kinds = {}, []
    for place, names in by_place(arrays, split, layout, USUAL).items():
        need(names, {role: role for role in ("kernel", "recurrent_kernel")}, layout)
        bias_axes = arrays[names["bias"]].ndim if "bias" in names else 1
        axes = {"kernel": 2, "recurrent_kernel": 2, "bias": bias_axes}
        check_axes(arrays, names, axes)
        hidden, columns = arrays[names["recurrent_kernel"]].shape
        kind = kind_of(names["recurrent_kernel"], columns, hidden, cell)
        if kind == "gru":
            _check_bias(arrays, names, reset_after)
        layers[place] = _layer(arrays, names, kind, reset_after=reset_after)
        kinds.append(kind)
    check_layers(layers, kinds)
    return Network(kinds[0], layers, reset_after=reset_after and kinds[0] == "gru")


def _check_bias(arrays: Mapping[str, Array], names: Names, reset_after: bool) -> None:
    """E533 where a GRU's bias is that of the other layout."""
    bias = names.get("bias")
    if bias is not None and (arrays[bias].ndim == 2) != reset_after:
        kept = "two rows, (2, 3 * hidden)," if reset_after else "one row, (3 * hidden),"
        raise WeightProblem(
            "E533",
            f"{bias} is {arrays[bias].shape}",
            rule=f"A GRU of the layout {OTHER[not reset_after]} has {kept} for its biases.",
            fix=f"Read them as {OTHER[reset_after]}: that is how a GRU with "
            f"reset_after={not reset_after} keeps its bias.",
        )


def _layer(arrays: Mapping[str, Array], names: Names, kind: str, *, reset_after: bool) -> Layer:
    given = {role: arrays[name] for role, name in names.items()}
    hidden = given["recurrent_kernel"].shape[0]
    columns = hidden * len(GATES[kind])
    width = beside(given["kernel"].shape[::-1], columns)
    two = kind == "gru" and reset_after
    wanted = {
        "kernel": (width, columns),
        "recurrent_kernel": (hidden, columns),
        "bias": (2, columns) if two else (columns,),
    }
    check_shapes(arrays, names, wanted, f"Keras' {SPELT[kind]} of input {width}, hidden {hidden}")
    order = ORDER[kind]
    rows = (
        [split_rows(row, order) for row in np.atleast_2d(given["bias"])] if "bias" in given else []
    )
    b, d = (*rows, None, None)[:2]
    W, U = split_rows(given["kernel"].T, order), split_rows(given["recurrent_kernel"].T, order)
    return Layer(W, U, b, d)


def write(network: Network, *, reset_after: bool) -> dict[str, Array]:
    """What Keras' layer holds, under the names that it gives its weights."""
    layout = OTHER[not reset_after]
    maps.refuse_layers(network, layout)
    maps.refuse_projection(network, layout)
    maps.refuse_peepholes(network, layout)
    network = maps.with_reset(network, reset_after, layout, INSTEAD[reset_after])
    order = ORDER[network.kind]
    found = {}
    for (_, direction), layer in network.layers.items():
        prefix = _prefix(network.kind, direction) if len(network.layers) > 1 else ""
        found[f"{prefix}kernel"] = stack_rows(layer.W, order).T
        found[f"{prefix}recurrent_kernel"] = stack_rows(layer.U, order).T
        bias = _bias(layer, order, two=network.reset_after)
        if bias is not None:
            found[f"{prefix}bias"] = bias
    return found


def _bias(layer: Layer, order: tuple[str, ...], *, two: bool) -> Array | None:
    biases: tuple[Gates, ...] | None = maps.two_biases(layer)
    if biases is None:
        return None
    if two:
        return np.stack([stack_rows(bias, order) for bias in biases])
    total = maps.total_bias(layer)
    return None if total is None else stack_rows(total, order)


def _prefix(kind: str, direction: int) -> str:
    side = "backward" if direction == BACKWARD else "forward"
    return f"{side}_{LAYER[kind]}/{LAYER[kind]}_cell/"
