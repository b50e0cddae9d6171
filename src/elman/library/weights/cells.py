"""The layouts of the library's own cells: an array for each letter of the equations.

A network of several layers or directions has the names of elman.nn.Recurrent: W_z_l0_reverse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import mode

import numpy as np

from elman.errors import Fact, WeightProblem, nearest
from elman.library import cells
from elman.library.weights import maps
from elman.library.weights.parts import (
    BACKWARD,
    GATES,
    SPELT,
    Array,
    Gates,
    Layer,
    Names,
    Network,
    Place,
    by_place,
    check_layers,
    need,
)

PLACE = re.compile(
    r"(?P<prefix>|.*[./])(?P<role>[^./]+?)(_l(?P<number>[0-9]+)(?P<back>_reverse)?)?"
)


@dataclass(frozen=True)
class Form:
    """How the weights of a library cell are called; `{}` stands for the gate."""

    kind: str
    letters: tuple[str, ...]  # the cell's own, in the order of GATES
    W: str = "W_{}"
    U: str = "U_{}"  # empty where W has the columns for the state before its own
    b: str = "b_{}"
    d: str = ""
    p: str = ""  # peepholes of i, f and o
    P: str = ""
    reset_after: bool = False
    takes_new: bool = False  # z multiplies the candidate, not the old state

    def names(self) -> dict[str, tuple[str, str]]:
        """Every parameter, with what it is and for which gate."""
        found = {}
        for part in ("W", "U", "b", "d", "p"):
            for gate, letter in zip(GATES[self.kind], self.letters, strict=True):
                name = str(getattr(self, part)).format(letter)
                if name and not (part == "p" and gate == "g"):
                    found[name] = (part, gate)
        return {**found, self.P: ("P", "")} if self.P else found


_RNN = Form("rnn", ("h",), W="W", U="U", b="b")
_LSTM = Form("lstm", ("i", "f", "c", "o"))
_LSTM_TORCH = Form("lstm", ("i", "f", "g", "o"), W="W_i{}", U="W_h{}", b="b_i{}", d="b_h{}")
_GRU = Form("gru", ("r", "z", "n"))
_GRU_AFTER = replace(_LSTM_TORCH, kind="gru", letters=("r", "z", "n"), reset_after=True)
FORMS = {
    "rnn": _RNN,
    "rnn_relu": _RNN,
    "rnn_torch": Form("rnn", ("h",), W="W_ih", U="W_hh", b="b_ih", d="b_hh"),
    "lstm": _LSTM,
    "lstm_torch": _LSTM_TORCH,
    "lstm_concatenated": replace(_LSTM, U=""),
    "lstm_peephole": replace(_LSTM, p="p_{}"),
    "lstmp": replace(_LSTM, P="P"),
    "gru": _GRU,
    "gru_take_new": replace(_GRU, takes_new=True),
    "gru_reset_after": _GRU_AFTER,
    "gru_reset_after_take_new": replace(_GRU_AFTER, takes_new=True),
}
# What `elman` alone may mean when weights are read: of two cells with the same names, the first.
PLAIN = tuple(name for name in FORMS if not FORMS[name].takes_new and name != "rnn_relu")


def known(name: str) -> str:
    """The library's own name of a cell whose weights can be converted; E530 for another."""
    own = cells.own_name(name) if name in cells else name
    if own not in FORMS:
        what = (
            "has weights that no framework lays out" if name in cells else "is not in the library"
        )
        raise WeightProblem(
            "E530",
            f"the cell {name!r} {what}",
            rule=f"Weights are converted for {', '.join(FORMS)}.",
            fix=None if name in cells else nearest(name, FORMS) or None,
        )
    return own


def natural(network: Network) -> str:
    """The library cell that these weights fit without a change."""
    layers = network.layers.values()
    if network.kind == "lstm" and any(layer.P is not None for layer in layers):
        return "lstmp"
    if network.kind == "lstm" and any(layer.p is not None for layer in layers):
        return "lstm_peephole"
    return "gru_reset_after" if network.reset_after else network.kind


def likeliest(arrays: Mapping[str, Array], kind: str | None) -> str:
    """The cell whose weights have these names; E531 and E532 come from it where none fits."""
    given = {match["role"] for name in arrays if (match := PLACE.fullmatch(name))}
    fitting = [name for name in PLAIN if kind in (None, FORMS[name].kind)]
    apart = {name: len(given ^ FORMS[name].names().keys()) for name in fitting}
    best = min(apart, key=lambda name: apart[name])
    if not given & FORMS[best].names().keys():
        raise WeightProblem(
            "E532",
            f"no cell that can be converted has the weights {', '.join(list(arrays)[:4])}",
            rule=f"Those of {best}, for instance, are {', '.join(FORMS[best].names())}.",
            fix=f"The cells are {', '.join(PLAIN)}.",
        )
    return best


def read(arrays: Mapping[str, Array], name: str) -> Network:
    """The network whose equations are those of a library cell."""
    form, layout = FORMS[name], f"elman:{name}"
    roles = form.names()

    def split(given: str) -> tuple[str, Place, str] | None:
        match = PLACE.fullmatch(given)
        if match is None or match["role"] not in roles:
            return None
        place = int(match["number"] or 0), int(bool(match["back"]))
        return match["prefix"], place, match["role"]

    layers = {}
    for place, names in by_place(arrays, split, layout, ", ".join(roles)).items():
        need(names, {role: role for role in roles}, layout)
        layers[place] = _layer(arrays, names, form)
    check_layers(layers, [form.kind])
    return Network(form.kind, layers, form.reset_after)


def _layer(arrays: Mapping[str, Array], names: Names, form: Form) -> Layer:
    parts: dict[str, dict[str, Array]] = {}
    hidden = _hidden_size(arrays, names, form)
    for name, (part, gate) in form.names().items():
        parts.setdefault(part, {})[gate] = _fitted(arrays[names[name]], part, hidden)
    if "U" not in parts:
        pairs = {g: np.split(W, [min(hidden, W.shape[1])], axis=1) for g, W in parts["W"].items()}
        parts["U"] = {gate: pair[0] for gate, pair in pairs.items()}
        parts["W"] = {gate: pair[1] for gate, pair in pairs.items()}
    _check(parts, names, form, hidden)
    projection = parts["P"][""] if "P" in parts else None
    layer = Layer(parts["W"], parts["U"], parts["b"], parts.get("d"), projection, parts.get("p"))
    return maps.exchanged(layer) if form.takes_new else layer


def _hidden_size(arrays: Mapping[str, Array], names: Names, form: Form) -> int:
    """The size that most weights have: one array may be wrong, and should be the one named."""
    sizes = []
    for name, (part, _) in form.names().items():
        array = arrays[names[name]]
        if part in ("b", "d", "p"):
            sizes.append(array.size)
        elif part != "P" and array.ndim == 2:
            sizes.append(array.shape[0])
    return mode(sizes)


def _fitted(array: Array, part: str, hidden: int) -> Array:
    """An array with its axes of one, which may be left out in the weights of a cell."""
    if part in ("b", "d", "p"):
        return np.atleast_1d(array)
    if array.ndim >= 2 or array.size % hidden:
        return np.atleast_2d(array)
    return array.reshape((-1, hidden) if part == "P" else (hidden, -1))


def _check(parts: Mapping[str, Gates], names: Names, form: Form, hidden: int) -> None:
    """E533 where the arrays of a layer do not share their sizes."""
    width = mode(W.shape[-1] for W in parts["W"].values())
    output = parts["P"][""].shape[0] if "P" in parts else hidden
    wanted = {"W": (hidden, width), "U": (hidden, output), "P": (output, hidden)}
    for name, (part, gate) in form.names().items():
        array = parts[part][gate]
        shape, want = array.shape, wanted.get(part, (hidden,))
        if part == "W" and not form.U:  # the state's columns are in W
            shape, want = (*shape[:-1], shape[-1] + output), (hidden, width + output)
        if shape != want:
            raise WeightProblem(
                "E533",
                f"{names[name]} is {shape}",
                facts=[Fact("needed", str(want), f"in a cell of input {width}, hidden {hidden}")],
                rule=f"These are the sizes of most weights of this {SPELT[form.kind]}.",
                fix="Look whether the layout is the right one, and nothing is transposed.",
            )


def write(network: Network, name: str) -> dict[str, Array]:
    """The weights of a library cell, under the letters of its equations."""
    form, layout = FORMS[name], f"elman:{name}"
    _refuse(network, form, layout)
    other = "gru" + "_reset_after" * (not form.reset_after) + "_take_new" * form.takes_new
    instead = f"Convert to elman:{other} instead."
    network = maps.with_reset(network, form.reset_after, layout, instead)
    plain = len(network.layers) == 1
    found = {}
    for place, layer in network.layers.items():
        written = _parts(maps.exchanged(layer) if form.takes_new else layer, form)
        for role, (part, gate) in form.names().items():
            found[role + ("" if plain else _ending(place))] = written[part][gate]
    return found


def _refuse(network: Network, form: Form, layout: str) -> None:
    """E534 where the cell is of another kind, or lacks a part or has one too many."""
    layer = next(iter(network.layers.values()))
    if network.kind != form.kind:
        raise WeightProblem(
            "E534",
            f"the kind of these weights is {SPELT[network.kind]}, and that of {layout} is "
            f"{SPELT[form.kind]}",
            rule="A cell of one kind cannot compute what another does.",
            fix=f"Convert to elman:{natural(network)}.",
        )
    if not form.P:
        maps.refuse_projection(network, layout)
    if not form.p:
        maps.refuse_peepholes(network, layout)
    if (form.P and layer.P is None) or (form.p and layer.p is None):
        raise WeightProblem(
            "E534",
            f"{layout} has {'a projection' if form.P else 'peepholes'}, and these weights do not",
            rule="Only weights that are there are converted.",
            fix=f"Convert to elman:{natural(network)}.",
        )


def _parts(layer: Layer, form: Form) -> dict[str, Gates]:
    two = maps.two_biases(layer) or (maps.zero_bias(layer), maps.zero_bias(layer))
    one = maps.total_bias(layer) or maps.zero_bias(layer)
    b, d = two if form.d else (one, one)
    W = layer.W if form.U else {g: np.hstack([layer.U[g], W]) for g, W in layer.W.items()}
    parts: dict[str, Gates] = {"W": W, "U": layer.U, "b": b, "d": d}
    if layer.P is not None:
        parts["P"] = {"": layer.P}
    return parts if layer.p is None else {**parts, "p": layer.p}


def _ending(place: Place) -> str:
    number, direction = place
    return f"_l{number}" + "_reverse" * (direction == BACKWARD)
