"""What is said where sizes do not meet: both values, their sizes, and who set them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from elman.errors import Fact, ShapeProblem
from elman.ir import Node
from elman.passes.axes import MOST_PARTS, Axes, Clash

Spell = Callable[[Node], str]
AxesOf = Mapping[Node, tuple[int, ...]]
MEETING = {  # how two values come to have one size -> (headline, rule, fix where both are numbers)
    "product": (
        "{node} joins an axis of {one} with an axis of {other}",
        "The {which} axis of {left} must equal the size of {right}.",
        "Give {left} {other} columns, or {right} the size {one}.",
    ),
    "einsum": (
        "{node} joins an axis of {one} with an axis of {other}",
        "Axes with the same letter have one size.",
        "Make both {one} or both {other}, or give one of them another letter.",
    ),
    "pointwise": (
        "{node} puts together {one} and {other}",
        "Values that are added or multiplied elementwise have one size.",
        "Make both {one} or both {other}, or bring one to the other's size with a matrix.",
    ),
    "state": (
        "{left} has the size {one}, and {right} has {other}",
        "A state keeps its size from step to step.",
        "Make both {one} or both {other}.",
    ),
    "input": (
        "{left} has the size {one}, and {right} is {other}",
        "The size of an input is one number wherever it is named.",
        "Make both {one} or both {other}.",
    ),
    "declared": (
        "{left} is declared {other}, and its equation gives {one}",
        "A declaration and its equation must agree.",
        "Declare it {one}, or change the equation.",
    ),
}


@dataclass(frozen=True)
class Side:
    """One of two values that meet: its name or node, the axes that meet, and all it has."""

    value: Node | str
    axes: tuple[int, ...]
    whole: tuple[int, ...] = ()

    def name(self, spell: Spell) -> str:
        """What the user calls it."""
        return self.value if isinstance(self.value, str) else spell(self.value)


class Mismatch(Exception):
    """Two values at `node` whose sizes cannot be equal; `problem` says so once axes have names."""

    def __init__(self, kind: str, node: Node, left: Side, right: Side, clash: Clash) -> None:
        super().__init__(kind)
        self.kind, self.node, self.sides, self.clash = kind, node, (left, right), clash

    def problem(self, axes: Axes, spell: Spell) -> ShapeProblem:
        """The error: E203 for two numbers, E205 for concatenations of different parts."""
        headline, rule, fix = MEETING[self.kind]
        left, right = (side.name(spell) for side in self.sides)
        one, other = (_plain(axes.show(axis)) for axis in self.clash.axes)
        words = {"node": spell(self.node), "left": left, "right": right, "one": one, "other": other}
        words["which"] = "second" if len(self.sides[0].whole) == 2 else "last"
        return ShapeProblem(
            "E203" if self.clash.numbers else "E205",
            headline.format(**words),
            facts=[
                Fact(side.name(spell), _shape(side, axis, axes), _origin(axis, axes))
                for side, axis in zip(self.sides, self.clash.axes, strict=True)
            ],
            rule=rule.format(**words),
            fix=fix.format(**words) if self.clash.numbers else None,
            subject=self.node,
        )


def _plain(size: str) -> str:
    return size.replace("+", " + ")


def _shape(side: Side, clashing: int, axes: Axes) -> str:
    sizes = [_plain(axes.show(axis)) for axis in side.whole or side.axes]
    clash = _plain(axes.show(clashing))
    return f"({', '.join(sizes)})" if clash in sizes else f"({clash})"


def _origin(axis: int, axes: Axes) -> str:
    origin = axes.origin.get(axes.root(axis))
    return f"from {origin}" if origin else ""


def inside_itself(n: Node, of: AxesOf, axes: Axes, spell: Spell) -> ShapeProblem:
    """A concatenation that is a part of itself."""
    part = next((a for a in n.args if axes.root(of[a][0]) == axes.root(of[n][0])), n.args[0])
    return ShapeProblem(
        "E205",
        f"{spell(n)} would contain itself",
        facts=[Fact(spell(part), f"as long as {spell(n)}", "and is a part of it")],
        rule="A concatenation is longer than each of its parts.",
        fix=f"Bring it to the size of {spell(part)} with a matrix: W @ {spell(n)}.",
        subject=n,
    )


def unlike_its_parts(n: Node, of: AxesOf, axes: Axes, spell: Spell) -> ShapeProblem:
    """A concatenation whose size is a number that its parts cannot have, or do not share out."""
    whole = axes.root(of[n][0])
    roots = [axes.root(of[arg][0]) for arg in n.args]
    unknown = [arg for arg, root in zip(n.args, roots, strict=True) if root not in axes.number]
    facts = [
        Fact(spell(arg), f"({axes.number[root]})", _origin(root, axes))
        for arg, root in zip(n.args, roots, strict=True)
        if root in axes.number
    ]
    parts = " + ".join(_plain(axes.show(root)) for root in roots)
    open_size = spell(unknown[0]).partition("[")[0] if unknown else ""
    return ShapeProblem(
        "E205",
        f"{spell(n)} has {parts} values and must have {axes.number[whole]}",
        facts=[*facts, Fact(spell(n), f"({axes.number[whole]})", _origin(whole, axes))],
        rule="A concatenation has as many values as its parts together.",
        fix=f"Declare the size of a part, as in '{open_size}: 1'." if unknown else None,
        subject=n,
    )


def of_many_parts(n: Node, spell: Spell) -> ShapeProblem:
    """A concatenation of concatenations that doubles on and on."""
    return ShapeProblem(
        "E217",
        f"{spell(n)} is joined from more than {MOST_PARTS} parts",
        rule=f"Joined values may be joined again, up to {MOST_PARTS} parts together.",
        fix=f"Bring a part to a size of its own with a matrix: W @ {spell(n)}.",
        subject=n,
    )
