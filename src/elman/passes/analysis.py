"""What can be said of a cell without running it: its weights, its work, how its states move.

States that wait for each other form a loop: h and c of an LSTM. A state is linear if what its loop
becomes is affine in the loop's past, with coefficients that the loop does not reach (then a
parallel scan computes it); diagonal if each entry hears only its own place in the past.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from elman.ir import Carry, Cell, Node, topological
from elman.ir.ops import POINTWISE
from elman.passes.canonical import Canonical, canonical
from elman.passes.counts import Count, total
from elman.passes.dependence import Degrees, Places
from elman.passes.forms import Atoms, Key
from elman.passes.randomness import STEPS_TAKEN, streams
from elman.passes.simplify import simplify
from elman.passes.system import system_of


@dataclass(frozen=True)
class Analysis:
    """What is known of a cell before it runs; `loops` are the states that wait for each other.

    `flops` counts one step of one sequence: 2 for every multiply-add of a product, 1 for every
    entry of anything elementwise; what no step changes is not counted. `phases` is 1, and one more
    for each product of a step that waits for another; those of inputs alone wait for nothing.
    """

    parameters: Count
    frozen: Count  # weights among them that are never learned
    flops: Count
    phases: int
    linear: bool  # in all states together
    diagonal: bool
    linear_states: tuple[str, ...]  # each within its loop
    diagonal_states: tuple[str, ...]
    loops: tuple[tuple[str, ...], ...]
    random: tuple[str, ...]  # drawn in training, their mean in evaluation
    side_inputs: tuple[str, ...]
    delays: Mapping[str, int]  # of inputs, and of states beyond [t-1]

    def __str__(self) -> str:
        said = {
            "parameters": str(self.parameters),
            "FLOPs a step": str(self.flops),
            "phases": str(self.phases),
            "linear": _which(self.linear, self.linear_states),
            "diagonal": _which(self.diagonal, self.diagonal_states),
            "random": ", ".join(self.random),
            "side inputs": ", ".join(self.side_inputs),
            "delays": ", ".join(f"{name} {lag}" for name, lag in self.delays.items()),
        }
        return "\n".join(f"{name:<12}  {text}" for name, text in said.items() if text)


def _which(whole: bool, states: tuple[str, ...]) -> str:
    return "yes" if whole else ", ".join(states) or "no"


@functools.lru_cache(maxsize=256)
def analyse(cell: Cell) -> Analysis:
    """The analysis of a cell with shapes."""
    weights = {n.attr.name: n for n in cell.leaves if n.attr.role == "parameter"}
    system = system_of(cell)
    roots = [*(c.next for c in system.carries), *(v.node for v in system.outputs)]
    nodes = topological(map(simplify(roots).__getitem__, roots))
    states = _States(cell)
    every = tuple(states.next)
    return Analysis(
        parameters=total(Count.of(n.shape or ()) for n in weights.values()),
        frozen=total(Count.of(weights[name].shape or ()) for name in cell.frozen),
        flops=total(_work(n) for n in nodes if "t" in n.over),
        phases=_phases(system.carries, states.recurrent),
        linear=states.is_linear(every),
        diagonal=states.is_diagonal(every),
        linear_states=states.whose_loop(states.is_linear),
        diagonal_states=states.whose_loop(states.is_diagonal),
        loops=tuple(tuple(states.names[n] for n in loop) for loop in states.loops),
        random=streams(cell),
        side_inputs=_side_inputs(cell),
        delays=_delays(cell),
    )


def _work(n: Node) -> Count:
    """The arithmetic of one node."""
    if n.op in POINTWISE:
        return Count.of(n.shape or ())
    if n.op in ("amax", "cumsum"):
        return Count.of(n.args[0].shape or ())
    if n.op != "contract":
        return Count()
    sizes = _letters(n)
    is_sum = len(sizes) > len(n.attr.split("->")[1])
    if len(n.args) == 1 and not is_sum:
        return Count()  # a transpose, or another view
    return Count.of(sizes.values(), 2 if is_sum and len(n.args) == 2 else 1)


def _letters(n: Node) -> dict[str, str]:
    """The size of every letter of a contraction."""
    words = n.attr.split("->")[0].split(",")
    pairs = zip(words, n.args, strict=True)
    return {c: size for word, arg in pairs for c, size in zip(word, arg.shape or (), strict=True)}


def _phases(carries: Iterable[Carry], recurrent: Collection[str]) -> int:
    """1, and one more for each product that waits for another of the same step."""
    carries = list(carries)
    level: dict[Node, int] = {c.previous: 0 for c in carries if c.key in recurrent}
    for n in topological(c.next for c in carries):
        waits = [level[arg] for arg in n.args if arg in level]
        if waits:
            level[n] = max(waits) + _is_product(n)
    return max([1, *level.values()])


def _is_product(n: Node) -> bool:
    """A product that sums: of two arrays, or `dot(w, h)`, the sum of a product with a weight."""
    if n.op != "contract" or len(_letters(n)) == len(n.attr.split("->")[1]):
        return False
    inner = n.args[0]
    return len(n.args) == 2 or (inner.op == "mul" and any(a.over == "" for a in inner.args))


def _side_inputs(cell: Cell) -> tuple[str, ...]:
    """Every input but the main one: x, else the first vector at every step of every sequence."""
    inputs = {n.attr.name: n for n in cell.leaves if n.attr.role == "input"}
    wide = [name for name, n in inputs.items() if n.over == "tb" and n.shape]
    main = (["x"] if "x" in inputs else wide or list(inputs))[:1]
    return tuple(name for name in inputs if name not in main)


def _delays(cell: Cell) -> dict[str, int]:
    inputs = cell.names("input")
    found: dict[str, int] = {}
    for n in cell.leaves:
        if n.attr.role == "state" and (n.attr.lag > 1 or n.attr.name in inputs):
            found[n.attr.name] = max(n.attr.lag, found.get(n.attr.name, 0))
    return found


class _States:
    """How the states of a cell depend on their past, read off its canonical form."""

    names: dict[int, str]
    next: dict[int, Key]  # what each becomes
    loops: tuple[tuple[int, ...], ...]  # those that wait for each other
    recurrent: set[str]  # those that wait for themselves

    def __init__(self, cell: Cell) -> None:
        self.atoms = Atoms()
        found: Canonical = canonical(cell, self.atoms, joins=True)
        self.names = {n: str(self.atoms[n].attr) for n in found.carries}
        following = {n: key for n, (key, _) in found.carries.items()}
        needs = {n: self.atoms.reached([key]) & following.keys() for n, key in following.items()}
        reach = {n: _closure(n, needs) for n in following}
        clock = {n for n in following if self.names[n] == STEPS_TAKEN}
        turning = {n for n in following if n in reach[n]} - clock
        self.recurrent = {self.names[n] for n in turning}
        # what only hands inputs on, a step late, is an input
        self.next = {n: key for n, key in following.items() if turning & {n, *reach[n]}}
        self.loops = tuple(
            dict.fromkeys(
                tuple(m for m in self.next if m == n or (m in reach[n] and n in reach[m]))
                for n in self.next
            )
        )

    def whose_loop(self, test: Callable[[Collection[int]], bool]) -> tuple[str, ...]:
        kept = {n for loop in self.loops if test(loop) for n in loop}
        return tuple(self.names[n] for n in self.next if n in kept)

    def is_linear(self, group: Collection[int]) -> bool:
        """Whether all of them become what is affine in all of them."""
        degrees = Degrees(self.atoms, group)
        return all(degrees.of_form(self.next[n]) <= 1 for n in group)

    def is_diagonal(self, group: Collection[int]) -> bool:
        """Whether each entry of them becomes what hears only the entries of its own place."""
        places = Places(self.atoms, group)
        return all(places.are_own(self.next[n], len(self.atoms[n].parts)) for n in group)


def _closure(start: int, needs: Mapping[int, Collection[int]]) -> set[int]:
    found: set[int] = set()
    waiting = list(needs[start])
    while waiting:
        n = waiting.pop()
        if n not in found:
            found.add(n)
            waiting += needs[n]
    return found
