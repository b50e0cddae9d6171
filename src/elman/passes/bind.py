"""The numbers of sizes, from the arrays and sizes given; every number remembers who set it."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from elman.errors import Fact, ShapeProblem, WeightProblem, nearest
from elman.ir import Cell, Node, topological
from elman.ir.ops import POINTWISE
from elman.ir.sizes import number
from elman.passes.shapes import Typed

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Given:
    """One array of the user's: its shape behind time and batch, and how one points at it."""

    shape: Shape
    origin: str  # the array given as weights["U"]


def bind_sizes(
    typed: Typed,
    given: Mapping[str, Given],
    sizes: Mapping[str, int],
    surface: Cell,
    spell: Callable[[Node], str],
) -> tuple[dict[str, int], dict[str, Shape]]:
    """(numbers by size name, full shapes by array name); axes of size 1 may have been left out.

    Errors: ShapeProblem E203 (two numbers for one size), E206 (a size that nothing sets), E207 (no
    such size); WeightProblem E503 (too many axes, or a shape that cannot be).
    """
    binding = _Binding(typed, given)
    for name, value in sizes.items():
        binding.size_given(name, value)
    binding.solve()
    if binding.clash is not None:
        raise _explain(binding, surface, spell)
    missing = binding.missing()
    if missing:
        raise ShapeProblem(
            "E206",
            f"nothing sets the size of {missing[0]!r}",
            rule="A size comes from the arrays given, or is named.",
            fix=f'Pass sizes={{"{missing[0]}": ...}}.',
        )
    return binding.numbers, binding.shapes


def known_sizes(
    typed: Typed, given: Mapping[str, Given], sizes: Mapping[str, int]
) -> tuple[dict[str, int], tuple[str, ...]]:
    """The numbers that these arrays and sizes set, perhaps not all; and the names left open."""
    binding = _Binding(typed, given)
    for name, value in sizes.items():
        binding.size_given(name, value)
    binding.solve()
    return binding.numbers, binding.missing()


def _names(typed: Typed) -> list[str]:
    shapes = [n.shape or () for n in typed.cell.leaves]
    shapes += [n.shape or () for n in topological(typed.cell.roots)]
    return [
        part for shape in shapes for size in shape for part in size.split("+") if not part.isdigit()
    ]


class _Binding:
    def __init__(self, typed: Typed, given: Mapping[str, Given]) -> None:
        self.typed, self.given = typed, given
        self.numbers: dict[str, int] = {}
        self.origins: dict[str, str] = {}
        self.shapes: dict[str, Shape] = {}
        self.clash: tuple[str, int, str] | None = None  # size, the second number, its origin

    def size_given(self, name: str, value: int) -> None:
        if name not in self.typed.aliases:
            known = ", ".join(self.typed.aliases)
            raise ShapeProblem(
                "E207",
                f"the cell has no size {name!r}",
                rule=f"Its sizes are {known}." if known else "It has none.",
                fix=nearest(name, self.typed.aliases) or None,
            )
        try:
            whole = 0 if isinstance(value, bool) else operator.index(value)
        except TypeError:
            whole = 0
        if whole < 1:
            rule = "A size is a whole number, 1 or more."
            raise ShapeProblem("E208", f"{name}={value!r} is no size", rule=rule)
        self.claim(self.typed.aliases[name], whole, f"{name}={whole}")

    def agrees(self, name: str, rows: int) -> bool:
        """Does another array say too that the first size of this one is `rows`?"""
        size = self._shape(name)[0]
        return any(
            (size, rows) in zip(self._shape(other), shape, strict=False)
            for other, shape in self.shapes.items()
            if other != name
        )

    def missing(self) -> tuple[str, ...]:
        names = dict.fromkeys(_names(self.typed))
        return tuple(name for name in names if name not in self.numbers)

    def claim(self, size: str, value: int, origin: str) -> None:
        """Note that `size` is `value`; a sum is solved where one part is left."""
        parts = size.split("+")
        known = [int(p) if p.isdigit() else self.numbers.get(p) for p in parts]
        open_parts = [p for p, k in zip(parts, known, strict=True) if k is None]
        total = sum(k for k in known if k is not None)
        if not open_parts:
            if total != value and self.clash is None:
                self.clash = (size, value, origin)
        elif len(open_parts) == 1 and value - total >= 1:
            self.numbers[open_parts[0]] = value - total
            self.origins[open_parts[0]] = origin
        elif self.clash is None and value - total < len(open_parts):
            self.clash = (size, value, origin)

    def solve(self) -> None:
        """Whole shapes first; then those with axes left out, when what is known decides where."""
        waiting = dict(self.given)
        while waiting:
            for name in [n for n in waiting if len(waiting[n].shape) == len(self._shape(n))]:
                self._take(name, waiting.pop(name), waiting_for_sum=True)
            chosen = self._decide(waiting)
            if chosen is None:
                break
            name, shape = chosen
            self._take(name, Given(shape, waiting.pop(name).origin))
        for name, array in self.given.items():  # sums that could not be solved the first time
            for size, value in zip(self._shape(name), self.shapes.get(name, ()), strict=False):
                self.claim(size, value, array.origin)

    def _shape(self, name: str) -> tuple[str, ...]:
        return self.typed.shape(name)

    def _take(self, name: str, array: Given, waiting_for_sum: bool = False) -> None:
        self.shapes[name] = array.shape
        for size, value in zip(self._shape(name), array.shape, strict=True):
            many = [p for p in size.split("+") if not p.isdigit() and p not in self.numbers]
            if not (waiting_for_sum and len(many) > 1):
                self.claim(size, value, array.origin)

    def _decide(self, waiting: Mapping[str, Given]) -> tuple[str, Shape] | None:
        """The next array with axes left out, and its full shape; the most certain first."""
        options = {name: self._options(name, array.shape) for name, array in waiting.items()}
        for name, array in waiting.items():
            if not options[name]:
                raise self._no_option(name, array)
        order = sorted(waiting, key=lambda name: len(options[name]))
        return (order[0], options[order[0]][0]) if order else None

    def _no_option(self, name: str, array: Given) -> WeightProblem:
        wanted = self._shape(name)
        words = f"({', '.join(wanted)})" if wanted else "a number"
        known = [str(number(s, self.numbers)) if _known(s, self) else s for s in wanted]
        numbers = f"({', '.join(known)})" if wanted else words
        named = {size: self.origins[size] for size in wanted if size in self.origins}
        facts = [Fact(size, str(self.numbers[size]), f"from {o}") for size, o in named.items()]
        return WeightProblem(
            "E503",
            f"{name} is {show(array.shape)}, and the cell needs {numbers}",
            facts=[Fact(name, show(array.shape), f"from {array.origin}"), *facts],
            rule=f"{name} is {words} in the equations; only axes of size 1 may be left out.",
            fix=f"A product of the matrix {name} and a vector is written {name} @ x[t]."
            if (len(array.shape), len(wanted)) == (2, 1) and name[0].isupper()
            else None,
        )

    def _options(self, name: str, shape: Shape) -> list[Shape]:
        wanted = self._shape(name)
        missing = len(wanted) - len(shape)
        found: list[Shape] = []
        if missing < 0:  # axes of size 1 too many
            squeezed = list(shape)
            while len(squeezed) > len(wanted) and 1 in squeezed:
                squeezed.remove(1)
            return [tuple(squeezed)] if len(squeezed) == len(wanted) else []
        for ones in itertools.combinations(range(len(wanted)), missing):
            rest = iter(shape)
            full = tuple(1 if k in ones else next(rest) for k in range(len(wanted)))
            if all(self._fits(s, v) for s, v in zip(wanted, full, strict=True)):
                found.append(full)
        return list(dict.fromkeys(found))

    def _fits(self, size: str, value: int) -> bool:
        try:
            return number(size, self.numbers) == value
        except KeyError:
            return True


def _explain(binding: _Binding, surface: Cell, spell: Callable[[Node], str]) -> ShapeProblem:
    """The error of the first operation in the equations where two shapes do not meet."""
    assert binding.clash is not None
    size, value, origin = binding.clash
    shapes: dict[Node, Shape] = {}
    origins: dict[Node, str] = {}
    for n in topological(surface.roots):
        if n.op == "leaf":
            shapes[n], origins[n] = _leaf_shape(n, binding)
            continue
        problem = _meet(n, shapes, origins, spell, binding)
        if problem is not None:
            return problem
        shapes[n] = _result(n, shapes)
        sources = [origins[arg] for arg in n.args if shapes[arg] and origins.get(arg)]
        if sources and n.op == "matmul":
            origins[n] = sources[0]
        elif sources and n.op in POINTWISE:  # a size that was named says more than an array
            origins[n] = min(sources, key=lambda source: source.startswith("from the array"))
    first = binding.origins.get(size, "the cell's own numbers")
    known = _say_number(size, binding)
    return ShapeProblem(
        "E203",
        f"the size {size} is {known} and {value} at once",
        facts=[Fact(size, str(known), f"from {first}"), Fact(size, str(value), f"from {origin}")],
        rule="A size is one number everywhere in a cell.",
    )


def _say_number(size: str, binding: _Binding) -> int | str:
    try:
        return number(size, binding.numbers)
    except KeyError:
        return "less"


def _leaf_shape(n: Node, binding: _Binding) -> tuple[Shape, str]:
    name = n.attr.key if n.attr.role == "state" else n.attr.name
    wanted = binding.typed.shape(name)
    if name in binding.shapes:
        return binding.shapes[name], f"from {binding.given[name].origin}"
    found = tuple(number(s, binding.numbers) if _known(s, binding) else 0 for s in wanted)
    origin = next((binding.origins[s] for s in wanted if s in binding.origins), "")
    return found, f"from {origin}" if origin else ""


def _known(size: str, binding: _Binding) -> bool:
    return all(part.isdigit() or part in binding.numbers for part in size.split("+"))


def _result(n: Node, shapes: Mapping[Node, Shape]) -> Shape:
    args = [shapes[arg] for arg in n.args]
    match n.op:
        case "matmul":
            return args[0][:-1] + args[1][1:]
        case "transpose":
            return args[0][::-1]
        case "einsum":
            found = {c: size for sizes in _of_letters(n, args) for c, size in sizes.items()}
            return tuple(found.get(c, 0) for c in n.attr.split("->")[1])
        case "cumsum":
            return args[0]
        case "fill":  # a number among the parts of a list
            return tuple(map(int, n.attr))
        case "concat":
            return (sum(arg[0] for arg in args),)
        case op if op in POINTWISE:
            return max(args, key=len, default=())
    return ()


def _of_letters(n: Node, shapes: Iterable[Shape]) -> list[dict[str, int]]:
    """What each letter of an einsum counts to, value by value; 0 where that is not known."""
    words = n.attr.split("->")[0].split(",")
    return [dict(zip(word, shape, strict=False)) for word, shape in zip(words, shapes, strict=True)]


def _clash(n: Node, args: list[Shape], names: list[str]) -> tuple[str, str] | None:
    """Where the shapes of an operation's arguments do not fit: (what it does, the rule)."""
    if n.op == "matmul" and len(args) == 2:
        which = "second" if len(args[0]) == 2 else "last"
        rule = f"The {which} axis of {names[0]} must equal the size of {names[1]}."
        pairs, verb = [(args[0][-1], args[1][0])], "joins an axis of {} with an axis of {}"
    elif n.op == "einsum" and len(args) == 2:
        ones, others = _of_letters(n, args)
        pairs = [(ones[c], others[c]) for c in ones if c in others]
        rule = "Axes with the same letter have one size."
        verb = "joins an axis of {} with an axis of {}"
    elif n.op in POINTWISE and len(args) > 1:
        whole = show(args[0]), show(args[1])
        bad = args[0] != args[1] and 0 not in (*args[0], *args[1])
        rule = "Values that are added or multiplied elementwise have one size."
        return ("puts together {} and {}".format(*whole), rule) if bad else None
    else:
        return None
    apart = [pair for pair in pairs if pair[0] != pair[1] and 0 not in pair]
    return (verb.format(*apart[0]), rule) if apart else None


def _meet(
    n: Node,
    shapes: Mapping[Node, Shape],
    origins: Mapping[Node, str],
    spell: Callable[[Node], str],
    binding: _Binding,
) -> ShapeProblem | None:
    """The error of one operation whose arguments do not fit each other."""
    args = [arg for arg in n.args if shapes[arg]]
    found = _clash(n, [shapes[arg] for arg in args], [spell(arg) for arg in args])
    if found is None:
        return None
    does, rule = found
    facts = [Fact(spell(a), show(shapes[a]), origins.get(a, "")) for a in args[:2]]
    return ShapeProblem(
        "E203",
        f"{spell(n)} {does}",
        facts=facts,
        rule=rule,
        fix=_fix(args, shapes, origins, binding, spell)
        if n.op == "matmul"
        else _other(args, shapes),
        subject=n,
    )


def _other(args: list[Node], shapes: Mapping[Node, Shape]) -> str | None:
    """How a weight gets the size of what it is added to."""
    for arg, other in (args[1::-1], args[:2]):
        if arg.op == "leaf" and arg.attr.role == "parameter" and shapes[arg]:
            return f"Pass {arg.attr.name} as {show(shapes[other])}."
    return None


def _fix(
    args: list[Node],
    shapes: Mapping[Node, Shape],
    origins: Mapping[Node, str],
    binding: _Binding,
    spell: Callable[[Node], str],
) -> str | None:
    if args[0].op != "leaf" or args[0].attr.role != "parameter":
        return None
    shape = (*shapes[args[0]][:-1], shapes[args[1]][0])
    name = args[0].attr.name
    sizes = binding.typed.shape(name)
    rows = shapes[args[0]][0]
    is_square = len(shape) == 2 and sizes[0] == sizes[1]
    if len(shape) == 2 and not is_square and rows == shape[1] and not binding.agrees(name, rows):
        turned = show(shapes[args[0]][::-1])
        return f"{name} is the other way round: pass it transposed, as {turned}."
    typed = binding.typed.shape(args[0].attr.name)
    if typed[0] == typed[-1]:
        shape = (shape[-1],) * len(shape)
    wanted = shapes[args[0]][-1]
    culprit = origins.get(args[1], "").removeprefix("from ").removeprefix("the array given as ")
    other = ""
    if culprit.startswith(f"{typed[-1]}="):
        other = f", or {typed[-1]}={wanted}"
    elif culprit and "+" not in typed[-1]:
        other = f", or {culprit} so that {typed[-1]} is {wanted}"
    return f"Pass {spell(args[0])} as {show(shape)}{other}."


def show(shape: Shape) -> str:
    """(64, 64), (32), or `a number`."""
    return f"({', '.join(map(str, shape))})" if shape else "a number"
