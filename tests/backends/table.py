"""CELLS x BACKENDS x CHECKS: a new cell or a new backend is one row, and gets every check.

The float64 NumPy reference is computed once for a cell and a shape, on numbers that float32
holds exactly, so that every backend and dtype is compared with the same truth.
"""

from __future__ import annotations

import functools
import itertools
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import elman
from elman.cell import Cell
from elman.library import cells as texts
from tests.backends.language_cells import CELLS as LANGUAGE

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]
BACKENDS = ("numpy", "torch", "c")
DTYPES = ("float64", "float32")


def with_all_returned(text: str) -> str:
    """The text with every name returned: one compilation then serves every cotangent."""
    body = "\n".join(line for line in text.splitlines() if not re.match(r"\s*return\b", line))
    names = [name for name in Cell(body).outputs if name != "t"]  # the step's number, if it is read
    return f"{body}\nreturn {', '.join(names)}\n"


@functools.cache
def cell(name: str) -> Cell:
    """A cell of the table by its name."""
    text = texts.text(name) if name in texts else LANGUAGE[name]
    return Cell(with_all_returned(text), name)


# Cells of which no finite difference shows the derivative, and why: they have the value of one
# thing and the derivative of another. They have a twin in torch instead (test_straight.py).
STRAIGHT = {
    "thresholds": "round, step and a surrogate of step",
    "lif": "the surrogate of a spike",
    "skip_rnn": "a rounded probability",
}
# Inputs and states that are above zero by their meaning; elsewhere a cell of them divides by zero.
POSITIVE = {
    "slstm": ("n",),  # a sum of weights, which the memory is divided by
    "slstm_heads": ("n",),
    "rwkv4": ("b",),
    "hidden_markov_model": ("x", "p"),  # probabilities
    "ltc": ("dt",),  # elapsed time; backwards in time 1 + dt * (1/tau + f) meets zero
    "gru_ode": ("dt",),  # and a stable equation is unstable
    "ode_rnn": ("dt",),
    "skip_rnn": ("p",),  # a probability: below zero, it runs away
}
# Cells that normalise over their units: of three numbers that happen to be near each other a norm
# makes roundings up to 1/sqrt(1e-5) times larger, of seventeen it does not.
NORMED = ("fast_weights", "layer_norm_lstm", "layer_norm_lstm_per_gate", "layer_norm_lstm_torch")
LIBRARY = tuple(texts)
# Cells that get every odd shape each time: together they have what the others are made of. The
# others get some shapes each time, and every odd one from `make test-slow`.
PILOTS = (
    *("gru", "gru_reset_after", "lstm", "lstm_concatenated", "lstm_peephole", "lstmp"),
    *("antisymmetric_rnn", "indrnn", "mgu", "rnn_torch", "slstm_heads", "lru", "zoneout_lstm"),
)
CELLS = (*LIBRARY, *LANGUAGE)
# Whatever a cell is made of, one of these is: test_table.py compares their plans with all others'.
TYPICAL = (
    *(*PILOTS, *LANGUAGE),
    *("bidirectional_read_out", "clockwork", "gated_delta_net", "gru_d", "gru_ode"),
    *("hidden_markov_model", "intersection_rnn", "layer_norm_lstm", "ltc", "mamba_s6", "mlstm"),
    *("ode_rnn", "phased_lstm", "plrnn", "radial_basis", "rg_lru", "skip_rnn"),
)


def typical_first(names: Iterable[str]) -> list[Any]:
    """Names as parameters: the typical cells each time, the others by `make test-slow`."""
    return [n if n in TYPICAL else pytest.param(n, marks=pytest.mark.slow) for n in names]


@dataclass(frozen=True)
class Shape:
    """Steps, sequences and the size of the state; `batch=0`: inputs without a batch axis."""

    steps: int
    batch: int
    hidden: int

    def __str__(self) -> str:
        return f"T={self.steps} B={self.batch} H={self.hidden}"


# every pair of T in 1, 2, 63; B in 1, 5; H in 1, 3, 17, 64
ODD = tuple(
    Shape(*each)
    for each in [
        *[(1, 1, 1), (1, 5, 3), (1, 1, 17), (1, 5, 64)],
        *[(2, 5, 1), (2, 1, 3), (2, 5, 17), (2, 1, 64)],
        *[(63, 1, 1), (63, 5, 3), (63, 1, 17), (63, 5, 64)],
    ]
)
FEW = tuple(Shape(*each) for each in [(1, 1, 1), (2, 5, 3), (7, 0, 3), (63, 5, 17)])
# several blocks of time (384 rows each), the last one shorter; threads over batch, and over units
BLOCKS = (Shape(40, 32, 17), Shape(400, 1, 3))
# each T, H and B of the odd ones once, and two blocks
SOME = (FEW[0], FEW[1], FEW[2], Shape(63, 5, 17), Shape(2, 1, 64), BLOCKS[0])
THREADS = (Shape(63, 5, 64), Shape(40, 32, 17), Shape(400, 1, 17))


def tolerance(dtype: str, steps: int, hidden: int) -> float:
    """How far two orders of summation may part: a few roundings for every term and every step.

    Relative to the largest value of an array, for weights scaled by 1/sqrt(fan-in).
    """
    return float(4 * np.finfo(dtype).eps * (steps + hidden + 16))


@dataclass(frozen=True)
class Data:
    """What one run of a cell is given, and cotangents of every output and final state."""

    inputs: Arrays
    weights: Arrays
    state: Arrays
    cotangents: Arrays
    final: Arrays
    sizes: Mapping[str, int]

    def run(self, name: str, backend: str, dtype: str = "float64", **change: Any) -> Any:
        given = {"inputs": self.inputs, "weights": self.weights, "state": self.state} | change
        return cell(name).run(**given, sizes=self.sizes, backend=backend, dtype=dtype)

    def gradients(self, name: str, backend: str, dtype: str = "float64", **change: Any) -> Arrays:
        given: dict[str, Any] = {
            "inputs": self.inputs,
            "weights": self.weights,
            "state": self.state,
        }
        given |= {"cotangents": self.cotangents, "final": self.final} | change
        return cell(name).gradients(**given, sizes=self.sizes, backend=backend, dtype=dtype)

    def parts(self) -> dict[str, Arrays]:
        return {"inputs": self.inputs, "weights": self.weights, "state": self.state}


def draw(made: Cell, shape: Shape, seed: int = 0) -> Data:
    """Numbers for a cell: weights uniform within 1/sqrt(fan-in), all of them exact in float32."""
    random = np.random.default_rng(zlib.crc32(f"{made.name} {shape} {seed}".encode()))
    names = sorted(n for n in set(made.typed.aliases.values()) if n.isidentifier())
    names.sort(key=lambda n: (n != "hidden", n))
    sizes = {n: shape.hidden + 2 * k for k, n in enumerate(names)}
    shapes = made.shapes(**sizes)
    over = {n.attr.name: n.over for n in made.typed.cell.leaves if n.attr.role == "input"}
    axes = {"t": shape.steps, "b": shape.batch}

    def numbers(*dims: int) -> Array:
        return random.uniform(-1, 1, dims).astype(np.float32).astype(np.float64)

    def lead(varies: str) -> tuple[int, ...]:
        return tuple(axes[axis] for axis in varies if axes[axis])

    weights = {}
    for name in made.parameters:
        scale = np.float32(1 / np.sqrt(shapes[name][-1] if len(shapes[name]) > 1 else 1))
        weights[name] = (numbers(*shapes[name]) * scale).astype(np.float32).astype(np.float64)
    tail = {key: shapes[key.partition("[")[0]] for key in made.states}

    def legal(name: str, drawn: Array) -> Array:
        if name == "t":  # steps are counted from the beginning
            return 0 * drawn
        return 0.5 + drawn / 4 if name in POSITIVE.get(made.name, ()) else drawn

    return Data(
        inputs={n: legal(n, numbers(*lead(over[n]), *shapes[n])) for n in made.inputs},
        weights=weights,
        state={key: legal(key, numbers(*lead("b"), *tail[key])) for key in made.states},
        cotangents={name: numbers(*lead("tb"), *shapes[name]) for name in made.outputs},
        final={key: numbers(*lead("b"), *tail[key]) for key in made.states},
        sizes=sizes,
    )


@functools.cache
def data(name: str, shape: Shape) -> Data:
    return draw(cell(name), shape)


@functools.cache
def reference(name: str, shape: Shape) -> tuple[Arrays, Arrays, Arrays]:
    """(values, final states, gradients) of the float64 NumPy backend."""
    given = data(name, shape)
    run = given.run(name, "numpy")
    return dict(run.values), dict(run.final), given.gradients(name, "numpy")


def difference(found: Mapping[str, Array], expected: Mapping[str, Array]) -> dict[str, float]:
    """By name, the largest difference relative to the largest value; NaN counts as infinite."""
    assert set(found) == set(expected)
    parted = {}
    for name, array in expected.items():
        assert found[name].shape == array.shape, name
        most = np.max(np.abs(found[name] - array), initial=0.0)
        scale = np.max(np.abs(array), initial=0.0)
        if (
            array.size < 8 or not scale
        ):  # few numbers may cancel: what was summed was of the order of 1
            scale = max(scale, 1.0)
        parted[name] = float(most / scale) if np.isfinite(most) else np.inf
    return parted


def assert_near(
    found: Mapping[str, Array], expected: Mapping[str, Array], most: float, what: object
) -> None:
    worst = {name: d for name, d in difference(found, expected).items() if not d <= most}
    assert not worst, f"{what}: parted by {worst}, allowed are {most:.1e}"


def check_forward(name: str, backend: str, dtype: str, shape: Shape) -> None:
    """Every named value and every final state equal the reference's."""
    values, final, _ = reference(name, shape)
    run = data(name, shape).run(name, backend, dtype)
    most = tolerance(dtype, shape.steps, shape.hidden)
    assert {a.dtype for a in run.values.values()} == {np.dtype(dtype)}
    assert_near(run.values, values, most, f"values, {shape}")
    assert_near(run.final, final, most, f"final states, {shape}")


def check_gradients(name: str, backend: str, dtype: str, shape: Shape) -> None:
    """Gradients of everything given, from cotangents of every value and final state."""
    *_, expected = reference(name, shape)
    found = data(name, shape).gradients(name, backend, dtype)
    most = tolerance(dtype, shape.steps, shape.hidden)
    assert {a.dtype for a in found.values()} == {np.dtype(dtype)}
    assert_near(found, expected, most, f"gradients, {shape}")


def loss(name: str, given: Data, backend: str, change: dict[str, Arrays]) -> float:
    """What the cotangents are the gradient of: values and final states, times cotangents."""
    run = given.run(name, backend, **change)
    total = sum(np.sum(run.values[n] * w) for n, w in given.cotangents.items())
    return float(total + sum(np.sum(run.final[n] * w) for n, w in given.final.items()))


STEP = float(
    np.finfo("float64").eps ** (1 / 3)
)  # where truncation and rounding of a difference meet


def check_dot_product(name: str, backend: str, dtype: str, shape: Shape) -> None:
    """<Jv, w> = <v, J^T w>: a central difference along one way, and the gradient along it."""
    given = data(name, shape)
    random = np.random.default_rng(shape.steps)
    held = {*cell(name).frozen, "t"}  # without a gradient
    way = {
        group: {n: random.uniform(-1, 1, a.shape) for n, a in arrays.items() if n not in held}
        for group, arrays in given.parts().items()
    }

    def moved(step: float) -> float:
        parts = given.parts().items()
        change = {
            g: {n: a + step * way[g].get(n, 0) for n, a in group.items()} for g, group in parts
        }
        return loss(name, given, backend, change)

    def slope(step: float) -> float:
        return (moved(step) - moved(-step)) / (2 * step)

    # Richardson: where a function bends much (a norm of three numbers), the error in STEP**2 goes
    along = (4 * slope(STEP / 2) - slope(STEP)) / 3
    found = given.gradients(name, backend)
    way["state"] = {f"{n}[t-1]" if n in given.inputs else n: v for n, v in way["state"].items()}
    terms = [np.sum(found[n] * v) for arrays in way.values() for n, v in arrays.items()]
    scale = max(abs(along), float(np.sum(np.abs(terms))), 1.0)
    most = 10 * STEP**2 * (shape.steps + shape.hidden + 16)
    assert abs(along - sum(terms)) / scale <= most, f"{shape}: {along} and {sum(terms)}"


CHECKS = {
    "forward": check_forward,
    "gradients": check_gradients,
    "dot product": check_dot_product,
}


Row = tuple[str, str, str, str, tuple[Shape, ...]]


def rows(slow: bool = False) -> list[Row]:
    """Every (cell, backend, check, dtype, shapes) of the table; `slow`: those left for later."""
    found = []
    for name, backend, check, dtype in itertools.product(CELLS, BACKENDS, CHECKS, DTYPES):
        shapes = shapes_of(name, backend, check, dtype)
        if slow:
            every = shapes_of(name, backend, check, dtype, PILOTS[0])
            shapes = tuple(shape for shape in every if shape not in shapes)
        if name in NORMED:
            shapes = tuple(replace(s, hidden=max(s.hidden, 17)) for s in shapes)
        if shapes:
            found.append((name, backend, check, dtype, shapes))
    return found


def shapes_of(name: str, backend: str, check: str, dtype: str, like: str = "") -> tuple[Shape, ...]:
    """The loops in Python are slow: they get fewer shapes, the cells of the language one dtype."""
    if check == "dot product":
        exempt = name in STRAIGHT or dtype == "float32"
        return () if exempt else (Shape(2, 5, 3),)
    if backend == "numpy" or (name in LANGUAGE and dtype == "float32"):
        return ()
    if name in LANGUAGE:
        return FEW
    pilot = (like or name) in PILOTS
    if backend == "c":
        some = SOME if dtype == "float64" else ()  # a second compilation
        return (*ODD, FEW[2], *BLOCKS) if pilot else some
    return (FEW if pilot else FEW[:3]) if dtype == "float64" else FEW[1:3]


__all__ = ["BACKENDS", "CELLS", "CHECKS", "DTYPES", "Shape", "cell", "data", "draw", "elman"]
