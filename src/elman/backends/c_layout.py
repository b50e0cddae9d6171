"""What lies where in the C of a plan: the fields of its struct, given or in scratch memory."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from elman.backends.c_names import Namer
from elman.backends.groups import is_product, matrix_of
from elman.backends.interpret import USER
from elman.ir import Node, Plan, Shape, Value, topological
from elman.ir.sizes import names as size_names
from elman.passes.randomness import WORDS

LONGS = ("T", "B", "block", "frozen", "direct", "settled")  # of a plan's struct


def size_text(size: str) -> str:
    """A size as C: my->n_hidden."""
    parts = [part if part.isdigit() else f"my->n_{part}" for part in size.split("+")]
    return parts[0] if len(parts) == 1 else f"({' + '.join(parts)})"


def shape_text(shape: Shape) -> str:
    """The number of values of a shape as C."""
    return " * ".join(map(size_text, shape)) or "1"


@dataclass(frozen=True)
class Buffer:
    """An array that the caller passes by pointer.

    `role` is that of a leaf, or: "output" (may be null), and for a state "init" (null for zeros),
    "states" (a slot before each step and one behind the last, may be null) and "final" (may be
    null). One that is `half` holds bfloat16: the kernel computes with a copy in scratch memory.
    """

    role: str
    key: str
    shape: Shape
    over: str
    half: bool = False


@dataclass(frozen=True)
class Memory:
    """A field that lies in scratch memory where the caller gives no array.

    It has `slots` of time more than there are steps in a block; or it holds all steps.
    """

    shape: Shape
    over: str
    slots: int = 0
    whole: bool = False

    @property
    def in_blocks(self) -> bool:
        """Whether it holds one block of time, so that its pointer moves with the block."""
        return "t" in self.over and not self.whole

    @property
    def size(self) -> str:
        """The number of its values as C."""
        length = "my->T" if self.whole else "my->block"
        steps = f"({length} + {self.slots})" if self.slots else length
        rows = {"": "", "b": "my->B * ", "t": f"{steps} * ", "tb": f"{steps} * my->B * "}
        return f"{rows[self.over]}({shape_text(self.shape)})"

    @property
    def step(self) -> str:
        """Values in one step of time."""
        return f"{'my->B * ' if 'b' in self.over else ''}({shape_text(self.shape)})"


@dataclass(frozen=True)
class Home:
    """Where a value lies: a field of the struct; `shift` 1 is one slot of time behind its row."""

    field: str
    shape: Shape
    over: str
    shift: int = 0

    def address(self, row: str = "row") -> str:
        """C for the first value of a row; a row counts steps and batch together."""
        if self.over == "":
            return f"my->{self.field}"
        index = {"tb": row, "b": f"({row} % my->B)", "t": f"({row} / my->B)"}[self.over]
        if self.shift:
            index = f"({row} + my->B)"
        size = shape_text(self.shape)
        return f"my->{self.field} + {index}" + (f" * ({size})" if size != "1" else "")

    def pairs(self, field: str, row: str = "row") -> str:
        """C for the first value of a row among those that products multiply in bfloat16."""
        index = f"({row} + my->B)" if self.shift else row
        return f"my->{field} + {index} * 2 * depth({shape_text(self.shape)})"


class Store(NamedTuple):
    """Where a value is written to, and whether the caller may have left that array out."""

    home: Home
    optional: bool


class Packed(NamedTuple):
    """A weight as products read it: its first `split` axes are the rows of a matrix."""

    matrix: Node
    split: int
    transposed: bool

    @property
    def rows(self) -> str:
        return shape_text((self.matrix.shape or ())[: self.split])

    @property
    def columns(self) -> str:
        return shape_text((self.matrix.shape or ())[self.split :])

    @property
    def sizes(self) -> tuple[str, str]:
        """(outputs, inputs) of a product as C."""
        return (self.columns, self.rows) if self.transposed else (self.rows, self.columns)


class Layout:
    """The fields of one plan's struct; leaves and states at once, values as stages place them."""

    def __init__(self, plan: Plan, prefix: str, is_half: bool = False) -> None:
        self.plan, self.prefix, self.is_half = plan, prefix, is_half
        self.buffers: list[Buffer] = []
        self.pointers: list[str] = []  # the field of each buffer
        self.memory: dict[str, Memory] = {}  # what lies in scratch where the caller gives no array
        self.packs: dict[tuple[Packed, ...], str] = {}  # matrices side by side -> field
        self.homes: dict[Node, Home] = {}
        self.outputs: dict[str, tuple[str, str]] = {}  # public name -> role and key of its buffer
        self.sizes = _sizes(plan)
        self.pairs: dict[str, str] = {}  # what products multiply -> its rows in bfloat16
        self.multiplied: set[Node] = set()
        self.shapes: dict[str, Shape] = {}  # of what has such rows
        if is_half:
            products = [n for n in _nodes(plan) if is_product(n)]
            self.multiplied = {n.args[1] for n in products if n.args[1].over == "tb"}
        self.fields = Namer(*LONGS, "panel", *(f"n_{size}" for size in self.sizes))
        self.absent: set[str] = set()  # what has memory only where the caller gives an array
        self.halves: dict[str, str] = {}  # what is given in bfloat16 -> the field that says where
        self.public: dict[str, list[str]] = {}
        for public, name in plan.outputs:
            self.public.setdefault(name, []).append(public)
        self._place_leaves()
        self._place_states()

    def _buffer(self, role: str, key: str, shape: Shape, over: str, wish: str) -> str:
        name = self.fields((role, key), wish)
        self.buffers.append(Buffer(role, key, shape, over))
        self.pointers.append(name)
        return name

    def _place_leaves(self) -> None:
        for n in _nodes(self.plan):
            if n.op == "leaf" and n.attr.role not in ("state", "value"):
                shape = n.shape or ()
                name = self._buffer(n.attr.role, n.attr.name, shape, n.over, n.attr.name)
                self.homes[n] = Home(name, shape, n.over)
                if self.is_half and n.attr.role in USER and n.attr.name not in WORDS:
                    self._halve(name)

    def _halve(self, name: str) -> None:
        self.halves[name] = self.fields(("half", name), f"{name}_half")

    def _place_states(self) -> None:
        before, self.after = (1, 0) if self.plan.reverse else (0, 1)
        for carry in self.plan.carries:
            shape = carry.previous.shape or ()
            name = self._buffer("states", carry.key, shape, "tb", carry.key)
            self._buffer("init", carry.key, shape, "b", f"{carry.key}_init")
            self._buffer("final", carry.key, shape, "b", f"{carry.key}_final")
            self.memory[name] = Memory(shape, "tb", slots=1)
            self.homes[carry.previous] = Home(name, shape, "tb", before)
            self._pair(name, carry.previous)

    def next_slot(self, previous: Node) -> Home:
        """Where the next value of a state is written to: the slot behind that of `previous`."""
        home = self.homes[previous]
        return Home(home.field, home.shape, "tb", self.after)

    def place(self, value: Value, needed: bool) -> Store:
        """The memory of a value that a stage keeps; it may be absent unless it is needed."""
        found = self._on_slots(value) or self._apart(value, needed)
        self.homes[value.leaf] = found.home
        self._pair(found.home.field, value.leaf, value.node)
        return found

    def _pair(self, name: str, *nodes: Node) -> None:
        """Keep what a field has in bfloat16 too, where one of these nodes is multiplied."""
        if self.multiplied.intersection(nodes):
            self.pairs[name] = self.fields(("pairs", name), f"{name}_pairs")
            self.shapes[name] = nodes[0].shape or ()

    def _on_slots(self, value: Value) -> Store | None:
        """A state's own slots where the value is what the state becomes."""
        if self.plan.reverse and value.name in self.public:
            return None  # backward, the slots of a state are scratch, never the caller's
        n = value.node
        for carry in self.plan.carries:
            if carry.next is n and n.op != "leaf" and n.over == "tb":
                for public in self.public.get(value.name, ()):
                    self.outputs[public] = ("states", carry.key)
                return Store(self.next_slot(carry.previous), False)
        return None

    def _apart(self, value: Value, needed: bool) -> Store:
        n, shape = value.node, value.node.shape or ()
        names = self.public.get(value.name, ())
        if names:
            name = self._buffer("output", names[0], shape, n.over, value.name)
            self.outputs |= dict.fromkeys(names, ("output", names[0]))
        else:
            name = self.fields(("value", value.name), value.name)
        optional = bool(names) and not needed
        if not optional:
            self.memory[name] = Memory(shape, n.over)
        return Store(Home(name, shape, n.over), optional)

    def scratch(self, key: object, n: Node, wish: str, over: str) -> Store:
        """Scratch memory for a value without a name."""
        name = self.fields(("scratch", key, n), wish)
        self.memory[name] = Memory(n.shape or (), over)
        self._pair(name, n)
        return Store(Home(name, n.shape or (), over), False)

    def block(self, name: str) -> str:
        """The field that points to a field's memory for one block of time."""
        return self.fields(("block", name), f"{name}_block")

    def pack(self, packed: tuple[Packed, ...]) -> str:
        """The field of these matrices, packed side by side."""
        if packed not in self.packs:
            leaves = [p.matrix if p.matrix.op == "leaf" else p.matrix.args[0] for p in packed]
            words = [leaf.attr.name for leaf in leaves][:4]
            wish = f"packed_{'_'.join(words)}" + ("_T" if packed[0].transposed else "")
            self.packs[packed] = self.fields(("pack", packed), wish)
        return self.packs[packed]

    def halve(self, names: Collection[str], code: Iterable[str]) -> None:
        """Let the caller have in bfloat16 what `names` has, his leaves, and the states at the ends.

        What this code reads or writes of it gets memory in which it is float.
        """
        shared = {self.outputs[name] for name in names if name in self.outputs}
        read = {*re.findall(r"my->(\w+)", "".join(code))}
        for k, (buffer, name) in enumerate(zip(self.buffers, self.pointers, strict=True)):
            is_end = buffer.role in ("init", "final")
            is_named = buffer.role == "given" and buffer.key in names
            is_shared = (buffer.role, buffer.key) in shared
            if not (is_end or is_named or is_shared or name in self.halves):
                continue
            self.buffers[k] = replace(buffer, half=True)
            self._halve(name)
            if not is_end and name in read:
                memory = self.memory.get(name, Memory(buffer.shape, buffer.over))
                if buffer.over == "t":
                    memory = replace(memory, whole=True)
                self.absent |= {name} - self.memory.keys()
                self.memory[name] = memory

    def given(self, name: str) -> str:
        """The field that says where the caller's array is."""
        return self.halves.get(name, name)

    def struct(self) -> str:
        """The struct of a plan, once everything is placed."""
        extra = [name for name in self.memory if name not in self.pointers]
        longs = ", ".join([*LONGS, *(f"n_{size}" for size in self.sizes)])
        reals = [*self.pointers, *extra, *self.packs.values(), "panel"]
        reals += [self.block(name) for name, memory in self.memory.items() if memory.in_blocks]
        body = "".join(f"  real *{name};\n" for name in reals)
        halves = [*self.halves.values(), *self.pairs.values()]
        halves += [self.block(name) for name in self.pairs.values()]
        body += "".join(f"  half *{name};\n" for name in halves)
        return f"struct {self.prefix} {{\n  long {longs};\n{body}}};\n"


def packed_of(product: Node) -> Packed:
    """The matrix of a product."""
    read = matrix_of(product.attr)
    assert read is not None
    return Packed(product.args[0], *read)


def _nodes(plan: Plan, more: Iterable[Node] = ()) -> list[Node]:
    roots = [v.node for _, values in plan.stages() for v in values]
    return topological([*roots, *(c.next for c in plan.carries), *more])


def _sizes(plan: Plan) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for n in _nodes(plan, (c.previous for c in plan.carries)):
        for size in (*(n.shape or ()), *((n.attr,) if n.op == "size" else ())):
            found |= dict.fromkeys(size_names(size))
    return tuple(found)
