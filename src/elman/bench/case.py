"""What is run: a cell on a shape, forward alone or with the gradients of everything."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from elman.bench.loop_graph import STEP, loop_of
from elman.bench.stacks import is_product
from elman.cell import Cell
from elman.errors import CellWarning
from elman.ir.sizes import number
from elman.passes.randomness import evaluation

Array: TypeAlias = npt.NDArray[Any]
Arrays: TypeAlias = dict[str, Array]
TASKS = ("inference", "training")
DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Case:
    """A cell, its sizes, and what is asked of it; `sizes` has the number of every size name.

    >>> case = Case("rnn", "h[t] = tanh(W @ x[t] + U @ h[t-1])", 100, 1, 16, 32, "inference")
    >>> case.key
    'rnn inference T=100 B=1 I=16 H=32 float32 threads=2'
    """

    cell: str
    text: str
    steps: int
    batch: int
    input_size: int
    hidden_size: int
    task: str
    dtype: str = "float32"
    threads: int = 2
    sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def key(self) -> str:
        more = {
            n: k for n, k in self.sizes.items() if n not in ("input", "hidden") and not n.isdigit()
        }
        own = "".join(f" {name}={k}" for name, k in more.items() if name.isidentifier())
        return (
            f"{self.cell} {self.task} T={self.steps} B={self.batch} I={self.input_size} "
            f"H={self.hidden_size}{own} {self.dtype} threads={self.threads}"
        )

    @property
    def is_training(self) -> bool:
        return self.task == "training"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Case:
        return cls(**found)

    def made(self) -> Cell:
        """The cell, read from its text; what is odd in it has been said before."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CellWarning)
            return Cell(self.text, self.cell)


@dataclass(frozen=True)
class Given:
    """The numbers of a case, by the cell's names; what the cotangents are is dE/dy of each output.

    Inputs are (T, B, ...), without the axes over which they do not vary.
    """

    inputs: Arrays
    weights: Arrays
    constants: Arrays
    cotangents: Arrays

    def flat(self) -> Arrays:
        """All of them, `weights W` and so on, for one file."""
        groups = vars(self).items()
        return {f"{group} {name}": a for group, found in groups for name, a in found.items()}

    @classmethod
    def from_flat(cls, arrays: Mapping[str, Array], dtype: str) -> Given:
        groups: dict[str, Arrays] = {name: {} for name in cls.__dataclass_fields__}
        for key, array in arrays.items():
            group, _, name = key.partition(" ")
            groups[group][name] = np.asarray(array, dtype)
        return cls(**groups)


def draw(case: Case, cell: Cell, positive: bool = False, attempt: int = 0) -> Given:
    """Numbers for a case, the same whenever asked; weights uniform within 1/sqrt(fan-in).

    `positive` draws vectors between 1/4 and 3/4: some cells divide by them or take their root.
    Every further `attempt` draws others.
    """
    random = np.random.default_rng((zlib.crc32(case.key.encode()), attempt))
    typed = cell.typed
    shapes = {
        name: tuple(number(size, case.sizes) for size in typed.shape(name))
        for name in (*cell.inputs, *cell.parameters, *cell.returns)
    }

    def drawn(*shape: int) -> Array:
        return random.uniform(-1, 1, shape).astype(np.float32)

    weights = {}
    for name in cell.parameters:
        shape = shapes[name]
        if positive and len(shape) < 2:
            weights[name] = 0.5 + drawn(*shape) / 4
        else:
            fan = shape[-1] if len(shape) > 1 else case.hidden_size
            weights[name] = drawn(*shape) * np.float32(fan**-0.5)
    axes = {"t": case.steps, "b": case.batch}
    inputs = {
        name: drawn(*(axes[axis] for axis in typed.over[name]), *shapes[name])
        for name in cell.inputs
    }
    inputs = {name: 0.5 + a / 4 if positive else a for name, a in inputs.items()}
    cotangents = {name: drawn(case.steps, case.batch, *shapes[name]) for name in cell.returns}
    constants = {name: np.asarray(value) for name, value in cell.constants.items()}
    return Given(inputs, weights, constants, cotangents)


def save(path: Path, arrays: Mapping[str, Array]) -> None:
    """Arrays by name in an .npz file."""
    named: dict[str, Any] = {name: np.asarray(a) for name, a in arrays.items()}
    np.savez(path, **named)


def load(path: Path) -> Arrays:
    """What `save` has written."""
    with np.load(path) as found:
        return dict(found)


def flops(case: Case, cell: Cell) -> int:
    """Of one call: products count two for each multiply-add; backward is twice the forward."""
    per_step = cell.analyse().flops(**{n: case.sizes[n] for n in cell.analyse().flops.sizes})
    return per_step * case.steps * case.batch * (3 if case.is_training else 1)


def step_bytes(case: Case, cell: Cell) -> int:
    """Of the weights that every step must read anew: those that multiply what a state reaches."""
    loop = loop_of(evaluation(cell.typed.cell))
    read = {n.args[0] for n, phase in loop.phase.items() if phase == STEP and is_product(n)}
    sizes = [tuple(number(s, case.sizes) for s in n.shape or ()) for n in read]
    return int(sum(np.prod(shape) for shape in sizes)) * np.dtype(case.dtype).itemsize
