"""The directions of the layers of a stack: what each is made of, and how it is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from elman.cell import Cell
from elman.cell.public import published
from elman.errors import NameProblem, ShapeProblem, nearest
from elman.ir.sizes import number
from elman.nn import drawn
from elman.nn.fused import Found, with_states
from elman.nn.layers import Layer, Lead, Stack, Tensor, Tensors
from elman.nn.masked import Masks
from elman.nn.passage import Outputs, Turn
from elman.nn.stack import Sizes, main_input
from elman.passes.randomness import WORDS, evaluation, training

State: TypeAlias = Mapping[str, Tensor]
Kernels: TypeAlias = Callable[[Stack, Lead, Tensors, "Masks | None"], Found]


@dataclass(frozen=True, eq=False)
class Rung:
    """One direction of one layer."""

    number: int  # of the layer
    is_reverse: bool
    cell: Cell
    main: str | None
    sizes: Sizes
    average: Layer  # in evaluation
    chance: Layer | None  # while training, where something is random
    weights: Mapping[str, str]  # the layer's names of parameters and constants

    @property
    def suffix(self) -> str:
        """What the names of the weights end with."""
        return f"_l{self.number}{'_reverse' if self.is_reverse else ''}"

    def on(self, merged: Mapping[str, tuple[str, ...]]) -> Rung:
        """The same on tensors of which each holds several weights, row upon row."""
        average = replace(self.average, merged=merged)
        chance = None if self.chance is None else replace(self.chance, merged=merged)
        weights = {
            name: self.weights.get(name, name + self.suffix)
            for name in average.tensors[len(self.cell.inputs) :]
        }
        return replace(self, average=average, chance=chance, weights=weights)

    def tail(self, state: str) -> tuple[int, ...] | None:
        """What stands behind the batch in a state's shape; None where it has none."""
        if state not in self.cell.states:
            return None
        return tuple(number(size, self.sizes) for size in self.cell.typed.shape(state))

    def __deepcopy__(self, memo: Any) -> Rung:
        return self


def rung_of(
    cell: Cell,
    sizes: Sizes,
    place: tuple[int, bool],
    *,
    seen: Sequence[str],
    remat: int | None,
    own_constants: bool,
) -> Rung:
    """A direction of a layer whose cell gives what it returns, and then what else is to be seen."""
    number, is_reverse = place
    names = (*cell.inputs, *cell.parameters, *cell.constants)
    core = cell.typed.cell
    more = tuple(name for name in seen if name not in core.returns)
    core = replace(core, returns=(*core.returns, *more))
    average = Layer(evaluation(core), sizes, names, cell.states, remat)
    chance = None
    if cell.random:
        chance = Layer(training(core), sizes, (*names, *WORDS), cell.states, remat)
    suffix = f"_l{number}{'_reverse' if is_reverse else ''}"
    weights = {name: name + suffix for name in cell.parameters}
    weights |= {
        name: f"constant_{name}{suffix if own_constants else ''}" for name in cell.constants
    }
    return Rung(number, is_reverse, cell, main_input(cell), sizes, average, chance, weights)


def with_learned_starts(cells: Sequence[Cell]) -> list[Cell]:
    """Cells whose states begin where a weight says."""
    known = {cell: _with_learned_start(cell) for cell in dict.fromkeys(cells)}
    return [known[cell] for cell in cells]


def _with_learned_start(cell: Cell) -> Cell:
    """The cell whose states begin where a weight says, as its text has it: `h[0] = h_0`."""
    known = {key for key, _ in cell.typed.cell.initial}
    taken = {*cell.inputs, *cell.parameters, *cell.constants, *cell.outputs}
    lines = []
    for key in cell.states:
        name, _, delay = key.partition("[t-")
        steps = 1 - int(delay.rstrip("]") or 1) if delay else 0
        weight = f"{name}_{abs(steps)}"
        while weight in taken:
            weight += "_"
        taken.add(weight)
        if key in known or name == "t":  # the number of the step begins at 0
            continue
        lines.append(f"{name}[{steps}] = {weight}")
        shape = cell.typed.shape(key)
        if len(shape) != 1:
            lines.append(f"{weight}: {', '.join(shape) or 'scalar'}")
    return published("\n".join([str(cell).rstrip(), *lines, ""]), cell.name) if lines else cell


def check_seen(cells: Sequence[Cell], names: object) -> tuple[str, ...]:
    """What is to be seen of every step; NameProblem E407 for what no cell computes."""
    if isinstance(names, str):
        names = (names,)
    if not isinstance(names, Sequence) or not all(isinstance(n, str) for n in names):
        raise NameProblem(
            "E407", f"return_states={names!r}", fix='Pass names, as in return_states=("c", "f").'
        )
    for name in names:
        for cell in cells:
            if name not in cell.outputs:
                raise NameProblem(
                    "E407",
                    f"the cell {cell.name} computes no {name}",
                    rule=f"At each step it computes {', '.join(cell.outputs)}.",
                    fix=nearest(name, cell.outputs) or None,
                )
    return tuple(dict.fromkeys(names))


@dataclass(eq=False)
class Climb:
    """One call: what all layers are given, and their final states and what is seen, as they come.

    `before` has the states before each rung; `array` finds a weight by the layer's name of it.
    """

    lead: Lead
    inputs: State
    before: Sequence[State]
    masks: Masks | None
    array: Callable[[str], Tensor]
    kernels: Kernels
    turn: Turn | None  # where there are two directions
    seeds: Tensor | None
    remembered: Sequence[str]
    is_seen: bool
    finals: list[State] = field(default_factory=list)
    seen: list[Outputs] = field(default_factory=list)

    def __post_init__(self) -> None:
        """What the second direction of every layer is told of ends and beginnings."""
        self.turned = self.masks
        if self.turn is not None and self.masks is not None:
            self.turned = self.turn.masks(self.masks)

    def run(self, rung: Rung, below: Tensor | None) -> Outputs:
        """What a direction gives; its final states and all that is seen are kept."""
        turn = self.turn if rung.is_reverse else None
        inputs, masks = dict(self.inputs), self.masks if turn is None else self.turned
        if below is not None:
            inputs[rung.main or ""] = below
        if turn is not None:
            over = rung.cell.typed.over
            inputs = {n: turned_input(n, over.get(n, ""), v, turn) for n, v in inputs.items()}
        number, layer = len(self.finals), rung.average
        before = self.before[number]
        if self.seeds is not None and rung.chance is not None:
            layer, like = rung.chance, self._like(rung, inputs)
            inputs |= drawn.words(before, self.seeds[number], self.lead, like)
        weights = rung.weights
        arrays = [inputs[n] if n in inputs else self.array(weights[n]) for n in layer.tensors]
        own: State = {name: before[name] for name in layer.states if name in before}
        if masks is not None:
            own = masks.begun(layer.stack, self.lead, arrays, own)
        given = with_states(layer.stack, self.lead, arrays, own)
        outputs, finals = self.kernels(layer.stack, self.lead, given, masks)
        after = dict(zip(layer.states, finals, strict=True))
        if self.seeds is not None:
            seed, like = self.seeds[number], self._like(rung, inputs)
            after |= drawn.after(self.remembered, before, seed, self.lead, like)
        self.finals.append(after)
        if turn is not None:
            outputs = tuple(turn(each) for each in outputs)
        if self.is_seen:
            self.seen.append(outputs)
        return outputs[: len(rung.cell.returns)]

    def _like(self, rung: Rung, inputs: State) -> Tensor:
        """A tensor of the layer's dtype and device."""
        given = next(iter(inputs.values()), None)
        return self.array(next(iter(rung.weights.values()))) if given is None else given


def check_two_ways(cells: Sequence[Cell]) -> None:
    """E219 for what cannot stand beside the same of the other direction."""
    for cell in cells:
        for name in cell.returns:
            if not cell.typed.shape(name) or cell.typed.over.get(name, "tb") != "tb":
                raise ShapeProblem(
                    "E219",
                    f"{name} of the cell {cell.name} is no vector at each step",
                    rule="With bidirectional=True what both directions give stands side by side.",
                    fix="Leave bidirectional out, or return a vector of every step.",
                )


def turned_input(name: str, over: str, value: Tensor, turn: Turn) -> Tensor:
    """An input as a layer has it that reads from the end; E219 where sequences end apart."""
    if over == "t" and turn.order is not None:
        raise ShapeProblem(
            "E219",
            f"{name} is one stream for all sequences, which end at steps of their own",
            rule="Read from their ends, each would need its own.",
            fix=f"Declare {name} without `per step`, and pass it for every sequence.",
        )
    return turn(value) if "t" in over else value
