"""The names of a text by what they are, and the nodes that they stand for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from elman.ir.cell import Number as Literal
from elman.ir.node import Node, Shape, const, leaf, node
from elman.language.source import Span
from elman.language.syntax import At, Constant, Declaration, Equation, Initial, Name, walk

CLOCK = node("add", (leaf("t", "state", "tb", 1, ()), const(1)))  # t: 1 at the first step


@dataclass(frozen=True)
class Names:
    """Every name of a text by what it is."""

    equations: dict[str, Equation]
    constants: dict[str, Constant]
    declared: dict[str, Declaration]
    initial: tuple[Initial, ...]
    inputs: dict[str, Span]  # read at [t] (or per sequence), without an equation
    bare: dict[str, Span]  # read without [t]
    masks: dict[str, Span]  # declared bernoulli, and read
    clock: Span | None = None  # where the step's number t is read

    @property
    def lines(self) -> tuple[Equation | Initial, ...]:
        """The lines with a right side."""
        return (*self.equations.values(), *self.initial)

    def computed(self, name: str) -> bool:
        """Does a line compute this name at [t]?"""
        return name in self.equations and self.equations[name].per_step

    def over(self, name: str) -> str | None:
        return self.declared[name].over if name in self.declared else None

    def shape(self, name: str) -> Shape | None:
        declared = self.declared[name].shape if name in self.declared else None
        if declared is None and name in self.constants:
            return literal_shape(self.constants[name].value)
        return declared

    def leaf(self, ref: At | Name) -> Node:
        """What a reference without an equation at its step stands for: a leaf, or t, or a mask."""
        name, shape = ref.name, self.shape(ref.name)
        if name == "t":
            return CLOCK
        if name in self.masks:
            return self.mask(ref)
        if isinstance(ref, At) and ref.lag:
            return leaf(name, "state", "tb", ref.lag, shape)
        if isinstance(ref, At) or name in self.inputs:
            return leaf(name, "input", self.over(name) or "tb", 0, shape)
        role = "constant" if name in self.constants else "parameter"
        return leaf(name, role, "", 0, shape)

    def mask(self, ref: At | Name) -> Node:
        """1 where a number that is drawn between 0 and 1 is less than the probability."""
        over = self.over(ref.name) or ("tb" if isinstance(ref, At) else "")
        drawn = leaf(ref.name, "random", over, 0, self.shape(ref.name))
        chance = self.declared[ref.name].bernoulli
        if isinstance(chance, str):
            return node("less", (drawn, leaf(chance, "constant", "", 0, self.shape(chance))))
        assert chance is not None
        return node("less", (drawn, const(chance)))


def literal_shape(value: Literal) -> Shape:
    """The shape of a number, vector or matrix.

    >>> literal_shape(((0, 1, 2), (3, 4, 5)))
    ('2', '3')
    """
    sizes: list[str] = []
    while isinstance(value, tuple):
        sizes.append(str(len(value)))
        value = value[0]
    return tuple(sizes)


def references(line: Equation | Initial) -> Iterator[At | Name]:
    """Every name that a line reads, from left to right."""
    return (part for part in walk(line.value) if isinstance(part, At | Name))


def left_side(line: Equation | Initial) -> str:
    """`h[t]`, `A`, `h[0]`: what a line gives a value to."""
    if isinstance(line, Initial):
        return f"{line.name}[{line.step}]"
    return f"{line.name}[t]" if line.per_step else line.name


def written(ref: At | Name) -> str:
    """`h[t-1]`, `h[t]`, `W`."""
    if isinstance(ref, Name):
        return ref.name
    return f"{ref.name}[t-{ref.lag}]" if ref.lag else f"{ref.name}[t]"


def declared_as(line: Declaration) -> str:
    """What stands behind the colon.

    >>> declared_as(Declaration("m", ("hidden",), "b", bernoulli=0.9))
    'hidden, bernoulli(0.9), per sequence'
    """
    said = [] if line.shape is None else [size.replace("+", " + ") for size in line.shape]
    said += ["scalar"] if line.shape == () else []
    if isinstance(line.bernoulli, float):
        said.append(f"bernoulli({shortest(line.bernoulli)})")
    elif line.bernoulli is not None:
        said.append(f"bernoulli({line.bernoulli})")
    said += {"b": ["per sequence"], "t": ["per step"], None: []}[line.over]
    said += ["frozen"] if line.frozen else []
    return ", ".join([*said, f"role {line.role}"] if line.role else said)


def shortest(value: float) -> str:
    """The shortest text that reads back to the same number.

    >>> shortest(2.0), shortest(0.9), shortest(1e-05)
    ('2', '0.9', '1e-5')
    """
    text = repr(float(value)).removesuffix(".0")
    return text.replace("e+", "e").replace("e-0", "e-")
