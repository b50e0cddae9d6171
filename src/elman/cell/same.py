"""Whether two cells are the same function up to names, and where they part if they are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from elman.cell.parting import Line, line_of, measure, sizes_of, suspects
from elman.cell.public import Cell, published
from elman.library import cells
from elman.passes.canonical import Base
from elman.passes.forms import Atoms
from elman.passes.isomorphism import Both, Renaming, isomorphism, sizes_agree
from elman.passes.likeness import likenesses, merged, turned

ROLES = {"input": "inputs", "state": "states", "parameter": "parameters", "random": "random masks"}


@dataclass(frozen=True)
class Sameness:
    """What `elman.same` found; true where the cells are the same function.

    `how` is "structural" (from the equations) or "numeric" (from runs on random numbers); `names`
    says what stands in the second cell for a name of the first; `reason` is one line; `equations`
    are those where the cells part.
    """

    same: bool
    how: str
    cells: tuple[str, str]
    reason: str
    names: Mapping[str, str] = field(default_factory=dict)
    equations: tuple[Line, ...] = ()

    def __bool__(self) -> bool:
        return self.same

    def __str__(self) -> str:
        verdict = "are" if self.same else "are not"
        lines = [f"{' and '.join(self.cells)} {verdict} the same function: {self.reason}"]
        width = max((len(line.place) for line in self.equations), default=0)
        lines += [f"  {line.place:<{width}}  {line.text}" for line in self.equations]
        if self.same:
            other = {a: b for a, b in self.names.items() if a != b}
            width = max(map(len, other), default=0)
            lines += [f"  {a:<{width}} is {b}" for a, b in other.items()]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain data, for JSON."""
        equations = [{"place": line.place, "text": line.text} for line in self.equations]
        return {
            "same": self.same,
            "how": self.how,
            "cells": list(self.cells),
            "reason": self.reason,
            "names": dict(self.names),
            "equations": equations,
        }


def same(a: Cell | str, b: Cell | str) -> Sameness:
    """Whether two cells (or names of the library, or texts) are the same function up to names.

    What counts is what they return, in order, as a function of inputs, parameters and the states
    before the first step. Proven from the equations where possible: names, intermediate values,
    order, brackets and concatenated weights make no difference. Otherwise measured: random numbers
    under the best matching of names, in float64, and the first value that parts.

    >>> same("lstm", "lstm_concatenated").names["U_f"]
    'W_f[:, :hidden]'
    >>> leaky = "h[t] = a * h[t-1] + (1 - a) * x[t]"
    >>> print(same(leaky, "y[t] = x[t] - k * (x[t] - y[t-1])"))
    the first and the second are the same function: proven from the equations
      a is k
      h is y
    """
    pair = _Pair(_cell(a), _cell(b))
    for answer in (pair.proven, pair.reparametrised, pair.counted):
        found = answer()
        if found is not None:
            return found
    return pair.measured()


def counterparts(a: Cell, b: Cell) -> dict[str, str]:
    """What most likely stands in the second cell for a name of the first; some may have none."""
    pair = _Pair(a, b)
    return _names(pair.both, likenesses(pair.both)[0])


def _cell(given: Cell | str) -> Cell:
    if isinstance(given, str) and (given in cells or given.strip().isidentifier()):
        return published(cells.text(given), given)
    return given if isinstance(given, Cell) else Cell(given)


class _Pair:
    """Two cells, and their canonical forms; each method is one way to an answer."""

    def __init__(self, first: Cell, second: Cell) -> None:
        self.cells = (first, second)
        self.labels = (first.name, second.name)
        if first.name == second.name:
            self.labels = ("the first", "the second")
        self.both = Both.of((first.typed.cell, second.typed.cell), Atoms())
        self.merging = ""

    def proven(self) -> Sameness | None:
        renaming = isomorphism(self.both)
        if renaming is None:
            return None
        names = _names(self.both, renaming)
        return Sameness(True, "structural", self.labels, "proven from the equations", names)

    def reparametrised(self) -> Sameness | None:
        """The same family of functions with other weights: not the same, and it is said."""
        self.both, words = merged(self.both)
        self.merging = words.format(*self.labels)
        if self.merging and isomorphism(self.both):
            return self.other_weights()
        signs = turned(self.both)
        return self.other_weights(signs) if signs else None

    def other_weights(self, signs: tuple[str, ...] = ()) -> Sameness:
        """The answer where one cell's weights can be made from the other's."""
        steps = [f"merging {self.merging}, which only ever add"] if self.merging else []
        if signs:
            names = f"{', '.join(signs)} of {self.labels[1]}"
            steps.append(f"negating {names}, for sigmoid(-a) is 1 - sigmoid(a)")
        return Sameness(False, "structural", self.labels, f"only after {'; '.join(steps)}")

    def counted(self) -> Sameness | None:
        """What one of the cells has and the other does not."""
        counts = [len(cell.returns) for cell in self.cells]
        self.renamings = likenesses(self.both)
        best = self.renamings[0]
        reason = ""
        if counts[0] != counts[1]:
            words = [f"{n} value{'s' * (n != 1)}" for n in counts]
            reason = f"{self.labels[0]} returns {words[0]}, {self.labels[1]} {words[1]}"
        else:
            alone = [self.unmatched(0, set(best)), self.unmatched(1, set(best.values()))]
            reason = "; ".join(filter(None, alone))
        if not reason:
            return None
        return Sameness(False, "structural", self.labels, reason, equations=self.lines())

    def unmatched(self, side: int, matched: set[int]) -> str:
        """`lstm_peephole has 3 parameters more: p_f, p_i, p_o`."""
        atoms = self.both.atoms
        bases = [atoms[n].attr for n in self.both.forms[side].bases if n not in matched]
        words = []
        for role, many in ROLES.items():
            names = [str(b) for b in bases if isinstance(b, Base) and b.role == role]
            if names:
                word = many if len(names) > 1 else many[:-1]
                words.append(f"the {word} {', '.join(names)}")
        other = self.labels[1 - side]
        return (
            f"{other} has nothing like {', '.join(words)} of {self.labels[side]}" if words else ""
        )

    def measured(self) -> Sameness:
        """Run under the likeliest renamings; the first of them says where the cells part."""
        first = None
        whole = [r for r in self.renamings if len(r) == len(self.renamings[0])]
        for renaming in whole:
            found = measure(self.cells, self.both, renaming)
            first = first or found
            if found.parting is None and found.seen and sizes_agree(renaming, self.both.atoms):
                if self.cells[0].random:
                    reason = "equal in evaluation; in training the masks act in other places"
                    return Sameness(False, "numeric", self.labels, reason, equations=self.lines())
                if self.merging:
                    return self.other_weights()
                names = _names(self.both, renaming)
                reason = "no difference was found on random numbers, step by step"
                return Sameness(True, "numeric", self.labels, reason, names)
        assert first is not None
        if first.parting is None:
            reason = self.unlike_sizes() or "what they return differs in size, or is not finite"
            return Sameness(False, "numeric", self.labels, reason, equations=self.lines())
        pair = first.parting.names
        one, other = _apart(*first.parting.numbers)
        called = pair[0] if pair[0] == pair[1] else f"{pair[0]} ({pair[1]})"
        reason = f"{called} parts at step {first.parting.step}: {one} and {other}"
        return Sameness(False, "numeric", self.labels, reason, equations=self.lines(pair))

    def unlike_sizes(self) -> str:
        """`W is (input, input), V is (h, input)`: the first leaves that cannot be one another."""
        atoms, best = self.both.atoms, self.renamings[0]
        sizes = {a: b for a, b in best.items() if atoms[a].op == "size"}
        for pair in best.items():
            if not sizes_agree(sizes | dict([pair]), atoms):
                words = [f"{atoms[n].attr} is ({', '.join(sizes_of(atoms, n))})" for n in pair]
                return f"{words[0]} in {self.labels[0]}, {words[1]} in {self.labels[1]}"
        return ""

    def lines(self, names: tuple[str, str] | None = None) -> tuple[Line, ...]:
        """The equations of two names, else of the first that are not equal as formulas."""
        last = (self.cells[0].returns[0], self.cells[1].returns[0])
        names = names or next(iter(suspects(self.both, self.renamings[0])), last)
        both = zip(self.cells, self.labels, names, strict=True)
        return tuple(line_of(cell, label, name) for cell, label, name in both)


def _apart(a: float, b: float) -> tuple[str, str]:
    """Both numbers with as many digits as tell them apart."""
    for digits in range(4, 17):
        if f"{a:.{digits}g}" != f"{b:.{digits}g}":
            return f"{a:.{digits}g}", f"{b:.{digits}g}"
    return repr(a), repr(b)


def _names(both: Both, renaming: Renaming) -> dict[str, str]:
    """What stands in the second cell for every name of the first; pieces in brackets."""
    atoms = both.atoms
    pieces: dict[str, list[tuple[int, str, str]]] = {}
    for a, b in renaming.items():
        one = atoms[a].attr
        if isinstance(one, Base):
            place = len(one.piece.start.split("+")) if one.piece and one.piece.start != "0" else 0
            pieces.setdefault(one.name, []).append((place, str(one), str(atoms[b].attr)))
    found = {}
    for name, parts in pieces.items():
        words = [other for _, _, other in sorted(parts)]
        whole = words[0].partition("[")[0]
        is_same = [str(p) for _, p, _ in parts] == [w.replace(whole, name, 1) for _, _, w in parts]
        found[name] = whole if is_same and len(words) > 1 else _joined(words)
    firsts, seconds = both.renamed(renaming).values, both.forms[1].values
    named = {key: name for name, key in reversed(list(seconds.items()))}
    pairs = zip(both.cells[0].returns, both.cells[1].returns, strict=True)
    known = {name: named[key] for name, key in firsts.items() if key in named}
    return found | {name: known[name] for name in known if name not in found} | dict(pairs)


def _joined(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"[{', '.join(words)}]"
