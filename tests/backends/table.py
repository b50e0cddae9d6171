"""CELLS x BACKENDS x CHECKS: a new cell or a new backend is one row, and gets every check.

The float64 NumPy reference is computed once for a cell and a shape, on numbers that float32
holds exactly, so that every backend and dtype is compared with the same truth.
"""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

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
    return f"{body}\nreturn {', '.join(Cell(body).outputs)}\n"


@functools.cache
def cell(name: str) -> Cell:
    """A cell of the table by its name."""
    text = texts.text(name) if name in texts else LANGUAGE[name]
    return Cell(with_all_returned(text), name)


LIBRARY = tuple(texts)
CELLS = (*LIBRARY, *LANGUAGE)


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
        scale = np.float32(1 / np.sqrt(shapes[name][-1] if len(shapes[name]) == 2 else 1))
        weights[name] = (numbers(*shapes[name]) * scale).astype(np.float32).astype(np.float64)
    tail = {key: shapes[key.partition("[")[0]] for key in made.states}
    return Data(
        inputs={name: numbers(*lead(over[name]), *shapes[name]) for name in made.inputs},
        weights=weights,
        state={key: numbers(*lead("b"), *tail[key]) for key in made.states},
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
    way = {
        group: {n: random.uniform(-1, 1, a.shape) for n, a in arrays.items()}
        for group, arrays in given.parts().items()
    }

    def moved(step: float) -> float:
        parts = given.parts().items()
        change = {g: {n: a + step * way[g][n] for n, a in arrays.items()} for g, arrays in parts}
        return loss(name, given, backend, change)

    along = (moved(STEP) - moved(-STEP)) / (2 * STEP)
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


def rows() -> list[tuple[str, str, str, str, tuple[Shape, ...]]]:
    """Every (cell, backend, check, dtype, shapes) of the table."""
    found = []
    for name in CELLS:
        for backend in BACKENDS:
            for check in CHECKS:
                for dtype in DTYPES:
                    shapes = shapes_of(name, backend, check, dtype)
                    if shapes:
                        found.append((name, backend, check, dtype, shapes))
    return found


def shapes_of(name: str, backend: str, check: str, dtype: str) -> tuple[Shape, ...]:
    """The loops in Python are slow: they get fewer shapes, the cells of the language one dtype."""
    if check == "dot product":
        return (Shape(2, 5, 3),) if dtype == "float64" else ()
    if backend == "numpy" or (name in LANGUAGE and dtype == "float32"):
        return ()
    if backend == "c" and name in LIBRARY:
        return (*ODD, FEW[2], *BLOCKS)
    return FEW if name in LANGUAGE or dtype == "float64" else FEW[:3]


__all__ = ["BACKENDS", "CELLS", "CHECKS", "DTYPES", "Shape", "cell", "data", "draw", "elman"]
