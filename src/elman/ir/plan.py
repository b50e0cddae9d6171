"""What a machine runs, block of time by block of time.

invariant   once per call: what no step changes (A = U - U.T)
for each block of steps, in the plan's direction:
    prologue    all steps of the block at once: what needs no state (W @ x[t])
    scan        step after step: the states, and what the epilogue needs of each step
    epilogue    all steps at once: what can wait (read-outs, gradients of the inputs)
    totals      sums over the block's steps, added to those of the blocks before
final       once: what follows from the totals (the gradient of U through A)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from elman.ir.node import Node, leaf


@dataclass(frozen=True, slots=True)
class Value:
    """A node whose result is kept under a name; later stages read it through `leaf`."""

    name: str
    node: Node

    @property
    def leaf(self) -> Node:
        return leaf(self.name, "value", self.node.over, 0, self.node.shape)


@dataclass(frozen=True, slots=True)
class Carry:
    """A state: `previous` is its leaf inside a step, `next` the node that replaces it."""

    key: str
    previous: Node
    next: Node


@dataclass(frozen=True, slots=True)
class System:
    """One step as equations, before anything is arranged: carries and named outputs.

    An output that is a `total` is summed over the sequence. `reverse` steps from the last to the
    first.
    """

    name: str
    carries: tuple[Carry, ...]
    outputs: tuple[Value, ...]
    reverse: bool = False
    labels: tuple[Value, ...] = ()  # the user's names of nodes, for code and traces


@dataclass(frozen=True, slots=True)
class Plan:
    """A system arranged in stages; `outputs` maps public names to the values that hold them."""

    name: str
    carries: tuple[Carry, ...]
    invariant: tuple[Value, ...]
    prologue: tuple[Value, ...]
    scan: tuple[Value, ...]
    epilogue: tuple[Value, ...]
    totals: tuple[Value, ...]
    final: tuple[Value, ...]
    outputs: tuple[tuple[str, str], ...]
    reverse: bool = False
    labels: tuple[Value, ...] = ()

    def stages(self) -> Iterator[tuple[str, tuple[Value, ...]]]:
        """The stages in the order in which they run."""
        for name in ("invariant", "prologue", "scan", "epilogue", "totals", "final"):
            yield name, getattr(self, name)
