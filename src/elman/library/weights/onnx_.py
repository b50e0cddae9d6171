"""The layout of ONNX' operators: gates in rows, directions on the first axis, both biases in one.

Source: the operators RNN, LSTM and GRU of ONNX (inputs W, R, B and P).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from elman.library.weights import maps
from elman.library.weights.parts import (
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

NAME = re.compile(r"(?P<prefix>|.*[/._:])(?P<role>[WRBP])(:[0-9]+)?")
AXES = {"W": 3, "R": 3, "B": 2, "P": 2}
ORDER = {"rnn": ("h",), "gru": ("z", "r", "n"), "lstm": ("i", "o", "f", "g")}
PEEPHOLES = ("i", "o", "f")
LAYOUT = {False: "onnx", True: "onnx-reset-after"}
INSTEAD = {
    False: "Convert to onnx-reset-after instead: a GRU with linear_before_reset=1.",
    True: "Convert to onnx instead: a GRU with linear_before_reset=0, the default.",
}


def split(name: str) -> tuple[str, Place, str] | None:
    """'lstm.W' as prefix and role; both directions are in one array."""
    match = NAME.fullmatch(name)
    return None if match is None else (match["prefix"], (0, 0), match["role"])


def read(arrays: Mapping[str, Array], cell: str | None, *, reset_after: bool) -> Network:
    """The network that the inputs W, R, B and P of an operator hold."""
    layout = LAYOUT[reset_after]
    ((_, names),) = by_place(arrays, split, layout, "W, R and B").items()
    need(names, {"W": "W", "R": "R"}, layout)
    check_axes(arrays, names, AXES)
    directions, rows, hidden = arrays[names["R"]].shape
    kind = kind_of(names["R"], rows, hidden, cell or ("lstm" if "P" in names else None))
    _check(arrays, names, kind, min(max(directions, 1), 2))
    given = {role: arrays[name] for role, name in names.items()}
    if not np.any(given.get("P", 0)):
        given.pop("P", None)  # peepholes of zero are none
    layers = {
        (0, k): _layer({role: array[k] for role, array in given.items()}, ORDER[kind])
        for k in range(directions)
    }
    check_layers(layers, [kind])
    return Network(kind, layers, reset_after=reset_after and kind == "gru")


def _check(arrays: Mapping[str, Array], names: Names, kind: str, directions: int) -> None:
    hidden = arrays[names["R"]].shape[2]
    rows = hidden * len(GATES[kind])
    width = beside(arrays[names["W"]].shape, rows)
    wanted: dict[str, tuple[int, ...]] = {
        "W": (directions, rows, width),
        "R": (directions, rows, hidden),
        "B": (directions, 2 * rows),
        "P": (directions, 3 * hidden),
    }
    check_shapes(arrays, names, wanted, f"ONNX' {SPELT[kind]} of input {width}, hidden {hidden}")


def _layer(given: Mapping[str, Array], order: tuple[str, ...]) -> Layer:
    b: Gates | None = None
    d: Gates | None = None
    if "B" in given:
        b, d = (split_rows(bias, order) for bias in np.split(given["B"], 2))
    p = split_rows(given["P"], PEEPHOLES) if "P" in given else None
    return Layer(split_rows(given["W"], order), split_rows(given["R"], order), b, d, p=p)


def write(network: Network, *, reset_after: bool) -> dict[str, Array]:
    """The inputs W, R, B and P of an operator, as far as there are such weights."""
    layout = LAYOUT[reset_after]
    maps.refuse_layers(network, layout)
    maps.refuse_projection(network, layout)
    network = maps.with_reset(network, reset_after, layout, INSTEAD[reset_after])
    order = ORDER[network.kind]
    layers = list(network.layers.values())
    found = {
        "W": np.stack([stack_rows(layer.W, order) for layer in layers]),
        "R": np.stack([stack_rows(layer.U, order) for layer in layers]),
    }
    biases = [pair for pair in map(maps.two_biases, layers) if pair is not None]
    if biases:
        found["B"] = np.stack(
            [np.concatenate([stack_rows(b, order) for b in pair]) for pair in biases]
        )
    peepholes = [layer.p for layer in layers if layer.p is not None]
    if peepholes:
        found["P"] = np.stack([stack_rows(p, PEEPHOLES) for p in peepholes])
    return found
