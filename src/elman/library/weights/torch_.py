"""torch's layout: gates in rows, two biases, layers and directions in the names.

Source: the attributes that the documentation of torch.nn.RNN, LSTM and GRU lists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from elman.library.weights import maps
from elman.library.weights.parts import (
    BACKWARD,
    GATES,
    SPELT,
    Array,
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

NAME = re.compile(
    r"(?P<prefix>|.*[./])(?P<role>(weight|bias)_(ih|hh)|weight_hr)"
    r"(_l(?P<number>[0-9]+)(?P<reverse>_reverse)?)?"  # nn.LSTMCell has none of this
)
AXES = {"weight_ih": 2, "weight_hh": 2, "bias_ih": 1, "bias_hh": 1, "weight_hr": 2}
USUAL = "weight_ih_l0, weight_hh_l0, bias_ih_l0 and bias_hh_l0"
INSTEAD = (
    "torch.nn.GRU resets after the product only. Convert to elman, and run the cell gru in torch: "
    "elman.nn.Recurrent(elman.cells['gru'], ...)."
)


def split(name: str) -> tuple[str, Place, str] | None:
    """'encoder.weight_ih_l1_reverse' as prefix, layer and direction, and role."""
    match = NAME.fullmatch(name)
    if match is None:
        return None
    return match["prefix"], (int(match["number"] or 0), int(bool(match["reverse"]))), match["role"]


def read(arrays: Mapping[str, Array], cell: str | None) -> Network:
    """The network that a state_dict of torch holds."""
    layers, kinds = {}, []
    for place, names in by_place(arrays, split, "torch", USUAL).items():
        biased = any(role.startswith("bias") for role in names)
        needed = [role for role in AXES if role != "weight_hr" and (biased or "bias" not in role)]
        need(names, {role: role + _ending(place) for role in needed}, "torch")
        check_axes(arrays, names, AXES)
        kind, layers[place] = _layer(arrays, names, cell)
        kinds.append(kind)
    check_layers(layers, kinds)
    return Network(kinds[0], layers, reset_after=kinds[0] == "gru")


def _layer(arrays: Mapping[str, Array], names: Names, cell: str | None) -> tuple[str, Layer]:
    given = {role: arrays[name] for role, name in names.items()}
    gates, state = given["weight_hh"].shape
    hidden = given["weight_hr"].shape[1] if "weight_hr" in given else state
    projected = "lstm" if "weight_hr" in given else None  # of torch's cells the LSTM alone has it
    kind = kind_of(names["weight_hh"], gates, hidden, cell or projected)
    rows = hidden * len(GATES[kind])
    width = beside(given["weight_ih"].shape, rows)
    wanted: dict[str, tuple[int, ...]] = {"weight_ih": (rows, width), "weight_hh": (rows, state)}
    wanted |= {"bias_ih": (rows,), "bias_hh": (rows,), "weight_hr": (state, hidden)}
    check_shapes(arrays, names, wanted, f"torch's {SPELT[kind]} of input {width}, hidden {hidden}")
    order = GATES[kind]
    W, U, b, d = (
        split_rows(given[role], order) if role in given else None for role in list(AXES)[:4]
    )
    assert W is not None and U is not None  # `need` has seen to it
    return kind, Layer(W, U, b, d, P=given.get("weight_hr"))


def write(network: Network) -> dict[str, Array]:
    """What torch's load_state_dict takes."""
    maps.refuse_peepholes(network, "torch")
    network = maps.with_reset(network, True, "torch", INSTEAD)
    order = GATES[network.kind]
    found = {}
    for place, layer in network.layers.items():
        ending = _ending(place)
        found["weight_ih" + ending] = stack_rows(layer.W, order)
        found["weight_hh" + ending] = stack_rows(layer.U, order)
        for role, bias in zip(("bias_ih", "bias_hh"), maps.two_biases(layer) or (), strict=False):
            found[role + ending] = stack_rows(bias, order)
        if layer.P is not None:
            found["weight_hr" + ending] = layer.P
    return found


def _ending(place: Place) -> str:
    number, direction = place
    return f"_l{number}" + "_reverse" * (direction == BACKWARD)
