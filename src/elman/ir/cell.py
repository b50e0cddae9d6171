"""A cell as pure data: a system of equations over nodes, with what was declared about its names."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from elman.ir.node import Node, Shape, leaves

# what a text may say that a parameter is for
ROLES = (
    *("input", "recurrent", "read out", "bias", "forget bias", "input bias"),
    *("initial state", "peephole", "gain", "scale", "other"),
)
Number = float | tuple["Number", ...]  # 0.9, a vector or a matrix as nested tuples


@dataclass(frozen=True, slots=True)
class Equation:
    """`name[t] = value`, or `name = value` where `per_step` is false (once per sequence).

    Other equations' values are not named inside `value`: their nodes stand there, shared.
    """

    name: str
    value: Node
    per_step: bool = True


@dataclass(frozen=True)
class Cell:
    """Equations in the order of the text; equal when the equations are (names do not count)."""

    equations: tuple[Equation, ...]
    returns: tuple[str, ...]
    constants: tuple[tuple[str, Number], ...] = ()  # defaults that the caller may override
    declared: tuple[tuple[str, Shape], ...] = ()  # sizes that the text declares: U: hidden, hidden
    initial: tuple[tuple[str, Node], ...] = ()  # a state's key and what it is before the first step
    frozen: tuple[str, ...] = ()  # parameters that have no gradient
    roles: tuple[tuple[str, str], ...] = ()  # what the text says that parameters are for
    name: str = field(default="cell", compare=False)

    @property
    def steps(self) -> tuple[Equation, ...]:
        """The equations at [t]."""
        return tuple(equation for equation in self.equations if equation.per_step)

    @property
    def roots(self) -> tuple[Node, ...]:
        """What every equation computes, then the states before the first step."""
        return (*(e.value for e in self.equations), *(value for _, value in self.initial))

    @cached_property  # a run asks for them a dozen times
    def leaves(self) -> tuple[Node, ...]:
        """Every leaf of every equation, in order of first use."""
        return tuple(leaves(self.roots))

    def names(self, role: str) -> tuple[str, ...]:
        """The names in one role (of a state its key: `h`, or `h[t-2]` for the second delay)."""
        keys = (leaf.attr.key for leaf in self.leaves if leaf.attr.role == role)
        return tuple(dict.fromkeys(keys))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Every name with an equation at [t]."""
        return tuple(equation.name for equation in self.steps)

    def value(self, name: str) -> Node:
        """The node that the equation of `name` computes."""
        return next(equation.value for equation in self.equations if equation.name == name)

    def past(self, key: str) -> Node:
        """A leaf that reads the past of what a state's key names."""
        name = key.partition("[")[0]
        return next(n for n in self.leaves if n.attr.role == "state" and n.attr.name == name)

    def state_shape(self, key: str) -> Shape:
        """The shape of a state by its key, once the cell has shapes."""
        return self.past(key).shape or ()
