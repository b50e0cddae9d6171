"""What every layout holds, gate by gate: the form through which weights go from one to another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from elman.errors import Fact, WeightProblem

Array: TypeAlias = npt.NDArray[Any]
Gates: TypeAlias = Mapping[str, Array]  # an array for each gate
Place: TypeAlias = tuple[int, int]  # which layer; 0 forward, 1 backward
Names: TypeAlias = Mapping[str, str]  # what is kept in an array, and the array's name
Split: TypeAlias = Callable[[str], tuple[str, Place, str] | None]  # a name: prefix, place, role

FORWARD, BACKWARD = 0, 1
# The gates, and the candidate among them, under torch's letters.
GATES = {"rnn": ("h",), "gru": ("r", "z", "n"), "lstm": ("i", "f", "g", "o")}
KIND_OF = {len(gates): kind for kind, gates in GATES.items()}
SPELT = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}


@dataclass(frozen=True)
class Layer:
    """One layer in one direction."""

    W: Gates  # (hidden, input), times x[t]
    U: Gates  # (hidden, output), times h[t-1]
    b: Gates | None = None  # (hidden), beside W @ x[t]
    d: Gates | None = None  # (hidden), beside U @ h[t-1]; None stands for zeros
    P: Array | None = None  # (output, hidden): the state is a projection of what the memory shows
    p: Gates | None = None  # (hidden): peepholes of i, f and o

    @property
    def input_size(self) -> int:
        return int(next(iter(self.W.values())).shape[1])

    @property
    def hidden_size(self) -> int:
        return int(next(iter(self.W.values())).shape[0])

    @property
    def output_size(self) -> int:
        return int(next(iter(self.U.values())).shape[1])


@dataclass(frozen=True)
class Network:
    """The weights of a recurrent network; a GRU's z keeps the old state."""

    kind: str  # rnn, gru or lstm
    layers: Mapping[Place, Layer]
    reset_after: bool = False  # of a GRU: r multiplies the product, not the state

    def __str__(self) -> str:
        first = next(iter(self.layers.values()))
        numbers = {number for number, _ in self.layers}
        projected = f", projection {first.output_size}" if first.P is not None else ""
        return (
            f"{SPELT[self.kind]} with {len(numbers)} layer{'s' * (len(numbers) > 1)}"
            f"{', bidirectional' * (len(self.layers) > len(numbers))}"
            f", input {first.input_size}, hidden {first.hidden_size}{projected}"
        )


def split_rows(stacked: Array, order: Sequence[str]) -> Gates:
    """The gates of an array that has them one under another."""
    return dict(zip(order, np.split(stacked, len(order)), strict=True))


def stack_rows(gates: Gates, order: Sequence[str]) -> Array:
    return np.concatenate([gates[gate] for gate in order])


def by_place(
    arrays: Mapping[str, Array], split: Split, layout: str, usual: str
) -> dict[Place, Names]:
    """The names of the arrays, sorted by layer and direction and by what they hold.

    `usual` are the names that the layout has. Errors: E532 for a name that it does not have, E536
    for networks beside one another.
    """
    found: dict[Place, dict[str, str]] = {}
    known = {name: split(name) for name in arrays}
    parted = {name: parts for name, parts in known.items() if parts is not None}
    prefixes = list(dict.fromkeys(prefix for prefix, _, _ in parted.values()))
    if len(parted) < len(known):
        raise _unknown([name for name in known if name not in parted], prefixes, layout, usual)
    for name, (_, place, role) in parted.items():
        if len(prefixes) > 1:
            raise _several("prefixes", prefixes, layout)
        if role in found.setdefault(place, {}):
            raise _several("names", [found[place][role], name], layout)
        found[place][role] = name
    return {place: found[place] for place in sorted(found)}


def _unknown(
    names: Sequence[str], prefixes: Sequence[str], layout: str, usual: str
) -> WeightProblem:
    first = ", ".join(names[:4]) + ", ..." * (len(names) > 4)
    rule, fix = "Only the arrays of one recurrent network are converted.", _only(prefixes)
    return WeightProblem(
        "E532",
        f"the layout {layout} has no {first}",
        rule=rule if prefixes else f"Its names are {usual}.",
        fix=fix if prefixes else "Save the arrays under these names.",
    )


def _several(what: str, clash: Sequence[str], layout: str) -> WeightProblem:
    return WeightProblem(
        "E536",
        f"these are several networks: {what} {', '.join(map(repr, clash[:4]))}",
        rule=f"The layout {layout} does not say how they are joined.",
        fix=_only(clash) if what == "prefixes" else "Convert one at a time.",
    )


def _only(prefixes: Sequence[str]) -> str:
    """How to leave the other arrays of a file out."""
    prefix = next(filter(None, prefixes), "")
    if not prefix:
        return "Leave the others out: --only PATTERN keeps the names that are like it."
    return f"Leave the others out: --only '{prefix}*' keeps what begins so."


def need(names: Names, roles: Mapping[str, str], layout: str) -> None:
    """E531 where a layer lacks an array; `roles` has what each must hold, and its name."""
    missing = [name for role, name in roles.items() if role not in names]
    if missing:
        raise WeightProblem(
            "E531",
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing",
            facts=[Fact("given", ", ".join(names.values()))] if names else (),
            rule=f"The layout {layout} has {', '.join(roles.values())} for each layer.",
            fix="A layer has all of its biases or none."
            if any("b" in name.lower() for name in missing)
            else "Give the arrays of a whole layer.",
        )


def check_axes(arrays: Mapping[str, Array], names: Names, axes: Mapping[str, int]) -> None:
    """E533 where an array has more or fewer axes than its layout."""
    for role, name in names.items():
        if arrays[name].ndim != axes[role]:
            raise WeightProblem(
                "E533",
                f"{name} is {arrays[name].shape}",
                rule=f"It has {axes[role]} ax{'i' if axes[role] == 1 else 'e'}s in this layout.",
                fix="Look whether the arrays are of this layout.",
            )


def kind_of(name: str, gates: int, hidden: int, cell: str | None) -> str:
    """Which cell has an axis of so many rows for so many units; E533 where none has."""
    if cell is not None:
        return cell
    kind = KIND_OF.get(gates // hidden if hidden and gates % hidden == 0 else 0)
    if kind is None:
        raise WeightProblem(
            "E533",
            f"{name} has {gates} rows of gates for {hidden} hidden units",
            rule=f"That is {hidden} for an RNN, {3 * hidden} for a GRU, {4 * hidden} for an LSTM.",
            fix="Say which it should be, as --cell lstm, to see which array is wrong.",
        )
    return kind


def beside(shape: tuple[int, ...], rows: int) -> int:
    """The size of a matrix that is not `rows`: the right one even where it is transposed."""
    first, second = shape[-2:]
    return first if second == rows != first else second


def check_shapes(
    arrays: Mapping[str, Array], names: Names, wanted: Mapping[str, tuple[int, ...]], what: str
) -> None:
    """E533 where an array's shape is not that of its layout; `what` names cell and sizes."""
    for role, name in names.items():
        if arrays[name].shape != wanted[role]:
            raise WeightProblem(
                "E533",
                f"{name} is {arrays[name].shape}",
                facts=[Fact("needed", str(wanted[role]), f"in {what}")],
                rule="Weights of one layer share their sizes, and their axes stand in one order.",
                fix="Look whether the layout is the right one, and nothing is transposed.",
            )


def check_layers(layers: Mapping[Place, Layer], kinds: Iterable[str]) -> None:
    """E531 and E533 where the layers of a network do not follow one another."""
    numbers = sorted({number for number, _ in layers})
    directions = {direction for _, direction in layers}
    whole = [(n, d) for n in range(numbers[0], numbers[-1] + 1) for d in {FORWARD, *directions}]
    missing = [place for place in whole if place not in layers]
    if missing:
        number, direction = missing[0]
        side = "backward" if direction else "forward"
        raise WeightProblem(
            "E531",
            f"the {side} weights of layer {number} are missing",
            rule="Layers are numbered without a gap, and have all the same directions.",
            fix="Give the arrays of every layer.",
        )
    if len({layer.b is None for layer in layers.values()}) > 1:
        raise WeightProblem(
            "E531",
            "some layers have biases and others have none",
            rule="All layers and directions of a network have biases, or none has.",
            fix="Give the missing ones, as zeros if there are none.",
        )
    if len(set(kinds)) > 1:
        several = " and ".join(sorted(SPELT[kind] for kind in set(kinds)))
        raise WeightProblem(
            "E533", f"the layers are of several kinds: {several}", rule="A network has one kind."
        )
    _check_sizes(layers, numbers, len(directions))


def _check_sizes(layers: Mapping[Place, Layer], numbers: Sequence[int], directions: int) -> None:
    first = layers[numbers[0], FORWARD]
    given = first.output_size * directions
    for (number, direction), layer in layers.items():
        wanted = first.input_size if number == numbers[0] else given
        for axis, have, want in (
            ("input", layer.input_size, wanted),
            ("hidden", layer.hidden_size, first.hidden_size),
            ("output", layer.output_size, first.output_size),
        ):
            if have != want:
                side = ", backward," * direction
                raise WeightProblem(
                    "E533",
                    f"layer {number}{side} has {axis} size {have}, not {want}",
                    rule="All layers have one hidden size, and each reads what the one before "
                    "puts out, of both directions if there are two.",
                )
