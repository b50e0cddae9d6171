"""Weights from one framework's layout to another's, wherever an exact map exists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from elman.backends.call import number_array
from elman.errors import Fact, WeightProblem, nearest
from elman.library.weights import cells, keras_, onnx_, torch_
from elman.library.weights.parts import GATES, KIND_OF, SPELT, Array, Network

__all__ = ["LAYOUTS", "convert", "full_name", "read", "write"]

READERS: Mapping[str, Callable[[Mapping[str, Array], str | None], Network]] = {
    "torch": torch_.read,
    "keras": partial(keras_.read, reset_after=False),
    "keras-reset-after": partial(keras_.read, reset_after=True),
    "onnx": partial(onnx_.read, reset_after=False),
    "onnx-reset-after": partial(onnx_.read, reset_after=True),
}
WRITERS: Mapping[str, Callable[[Network], dict[str, Array]]] = {
    "torch": torch_.write,
    "keras": partial(keras_.write, reset_after=False),
    "keras-reset-after": partial(keras_.write, reset_after=True),
    "onnx": partial(onnx_.write, reset_after=False),
    "onnx-reset-after": partial(onnx_.write, reset_after=True),
}
LAYOUTS = (*READERS, "elman")


def convert(
    arrays: Mapping[str, Any], source: str, target: str, cell: str | None = None
) -> dict[str, Array]:
    """The same recurrent network (RNN, LSTM or GRU) with its weights in another layout.

    >>> import numpy as np
    >>> kernel, recurrent, bias = np.ones((3, 8)), np.zeros((2, 8)), np.arange(8.0)
    >>> lstm = {"kernel": kernel, "recurrent_kernel": recurrent, "bias": bias}
    >>> {name: array.shape for name, array in convert(lstm, "keras", "torch").items()}
    {'weight_ih_l0': (8, 3), 'weight_hh_l0': (8, 2), 'bias_ih_l0': (8,), 'bias_hh_l0': (8,)}
    >>> convert(lstm, "keras", "elman")["b_c"]
    array([4., 5.])

    Layouts are torch, keras, keras-reset-after, onnx, onnx-reset-after, elman (the library cell
    that fits) and elman:NAME (one cell of the library); docs/weights.md shows each. `cell` is rnn,
    lstm or gru, where the shapes leave that open. Arrays are anything array-like, tensors of torch
    too; the result is new NumPy arrays of the same floating type.

    Errors: WeightProblem E530 (no such layout), E531 to E533 (names and shapes that are not those
    of the layout), E534 (no exact map exists), E535 (NaN or infinity), E536 (several layers where
    the layout holds one), E504 and E505 (what holds no floating-point numbers).
    """
    for layout in (source, target):
        check_layout(layout)
    return write(read(arrays, source, cell), target)


def check_layout(layout: str) -> None:
    """E530 for a layout that does not exist, with the nearest name and the list."""
    if isinstance(layout, str) and layout.startswith("elman:"):
        cells.known(layout.removeprefix("elman:"))
    elif layout not in LAYOUTS:
        raise WeightProblem(
            "E530",
            f"there is no layout {layout!r}",
            rule=f"There are {', '.join(LAYOUTS)}, and elman:NAME for one cell of the library.",
            fix=nearest(str(layout), LAYOUTS) or None,
        )


def read(arrays: Mapping[str, Any], source: str, cell: str | None = None) -> Network:
    """The network that arrays of a layout hold; errors as those of `convert`.

    >>> import numpy as np
    >>> print(read({"W": np.ones((3, 2)), "U": np.ones((3, 3)), "b": np.ones(3)}, "elman"))
    RNN with 1 layer, input 2, hidden 3
    """
    check_layout(source)
    if cell is not None and cell not in GATES:
        raise WeightProblem(
            "E530",
            f"there is no kind of cell {cell!r}",
            rule=f"The kinds are {', '.join(KIND_OF.values())}.",
            fix=nearest(str(cell), GATES) or None,
        )
    given = _checked(arrays, source)
    if source in READERS:
        return READERS[source](given, cell)
    name = source.removeprefix("elman").removeprefix(":")
    network = cells.read(given, cells.known(name) if name else cells.likeliest(given, cell))
    if cell not in (None, network.kind):
        raise WeightProblem(
            "E530",
            f"the kind of these weights is {SPELT[network.kind]}, not {cell}",
            rule="The kind of a library cell is its own.",
            fix="Leave the kind out.",
        )
    return network


def write(network: Network, target: str) -> dict[str, Array]:
    """The arrays of a network in a layout; E534 and E536 where it has no place there.

    >>> import numpy as np
    >>> rnn = read({"W": np.ones((3, 2)), "U": np.ones((3, 3)), "b": np.ones(3)}, "elman")
    >>> list(write(rnn, "onnx"))
    ['W', 'R', 'B']
    """
    check_layout(target)
    if target in WRITERS:
        found = WRITERS[target](network)
    else:
        found = cells.write(network, full_name(network, target).removeprefix("elman:"))
    _check_finite(found, "A sum of two biases is beyond the largest number of its type.")
    return {name: np.array(array, order="C") for name, array in found.items()}


def full_name(network: Network, layout: str) -> str:
    """The layout in which `write` writes: elman:lstm, say, where it is only called elman."""
    if layout == "elman":
        return f"elman:{cells.natural(network)}"
    if layout.startswith("elman:"):
        return f"elman:{cells.known(layout.removeprefix('elman:'))}"
    return layout


def _checked(arrays: object, source: str) -> dict[str, Array]:
    """Arrays of floating-point numbers by name, none of them empty."""
    if not isinstance(arrays, Mapping) or not all(isinstance(name, str) for name in arrays):
        raise WeightProblem(
            "E501", "weights are given by name, as a dict", fix='As in {"weight_ih_l0": ...}.'
        )
    if not arrays:
        raise WeightProblem(
            "E531", "there are no arrays", rule="A network has weights.", fix="Give its weights."
        )
    found = {name: _floats(name, number_array("weights", name, a)) for name, a in arrays.items()}
    _refuse_other_layout(found, source)
    _check_finite(found, "Weights are finite numbers; a diverged training leaves such ones.")
    return found


def _floats(name: str, array: Array) -> Array:
    if array.size == 0:
        raise WeightProblem(
            "E533", f"{name} is empty: {array.shape}", rule="Every axis of a weight has a size."
        )
    if array.dtype.kind != "f":
        return array.astype(np.float64)
    if array.dtype.itemsize > 8:
        raise WeightProblem(
            "E505", f"{name} holds {array.dtype}", rule="Weights are float16, float32 or float64."
        )
    return array


def _refuse_other_layout(arrays: Mapping[str, Array], source: str) -> None:
    """E532 where all names are those of another framework."""
    frameworks = {"torch": torch_.split, "keras": keras_.split, "onnx": onnx_.split}
    fitting = [k for k, split in frameworks.items() if all(map(split, arrays))]
    if len(fitting) == 1 and not source.startswith(fitting[0]):
        raise WeightProblem(
            "E532",
            f"{', '.join(list(arrays)[:3])} are no names of the layout {source}",
            rule=f"They are names of {fitting[0]}.",
            fix=f"Read them as {fitting[0]} instead.",
        )


def _check_finite(arrays: Mapping[str, Array], rule: str) -> None:
    """E535 for NaN or infinity, with its place."""
    for name, array in arrays.items():
        wrong = np.argwhere(~np.isfinite(array))
        if len(wrong):
            place = tuple(int(k) for k in wrong[0])
            more = f", and {len(wrong) - 1} more" * (len(wrong) > 1)
            raise WeightProblem(
                "E535",
                f"{name} holds {array[place]}",
                facts=[Fact("its place", f"{list(place)}{more}")],
                rule=rule,
            )
