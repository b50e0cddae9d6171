"""A plan as C: one struct of pointers, one function a group, and the loop over blocks of time around them.

Sizes are run-time values. An output that the caller does not want is a null pointer: it then lives in scratch
memory for one block of time where other values need it, and is not computed at all where none does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from elman.backends.c_groups_write import (
    Home,
    Scope,
    shape_text,
    size_text,
    write_group,
)
from elman.backends.c_loop_write import Memory, Stage, write_loop
from elman.backends.c_names import Namer
from elman.backends.groups import Group, arrange, stored
from elman.ir import Node, Plan, Shape, Value, topological
from elman.ir.sizes import names as size_names
from elman.passes.schedule import operands

STAGES = ("invariant", "prologue", "scan", "epilogue", "final")


@dataclass(frozen=True)
class Buffer:
    """An array that the caller passes by pointer.

    `role` is that of a leaf, or: "output" (may be null), and for a state "init" (null for zeros), "states" (a slot
    before each step and one behind the last, may be null) and "final" (may be null).
    """

    role: str
    key: str
    shape: Shape
    over: str


@dataclass(frozen=True)
class Program:
    """The C of one plan: its functions are `{prefix}_scratch` and `{prefix}`; arrays go in the order of `buffers`."""

    prefix: str
    text: str
    buffers: tuple[Buffer, ...]
    sizes: tuple[str, ...]
    outputs: Mapping[
        str, tuple[str, str]
    ]  # public name -> role and key of the buffer that holds it


def write_file(programs: list[Program], real: str) -> str:
    """A whole C file for `real` ("float" or "double")."""
    kernels = files("elman.backends").joinpath("c_kernels.h").read_text(encoding="utf-8")
    return f"#define REAL {real}\n{kernels}\n" + "\n".join(p.text for p in programs)


def write_program(plan: Plan, prefix: str, comments: Mapping[str, str] | None = None) -> Program:
    """The C of `plan`; `comments` are the user's equations by name, printed above their code."""
    writer = _Writer(plan, prefix, comments or {})
    return writer.program()


class _Writer:
    def __init__(self, plan: Plan, prefix: str, comments: Mapping[str, str]) -> None:
        self.plan, self.prefix, self.comments = plan, prefix, comments
        self.buffers: list[Buffer] = []
        self.pointers: list[str] = []  # the field of each buffer
        self.memory: dict[str, Memory] = {}  # what lives in scratch where the caller gives no array
        self.packs: dict[tuple[Node, bool], str] = {}
        self.pack_of: dict[Node, str] = {}
        self.homes: dict[Node, Home] = {}
        self.outputs: dict[str, tuple[str, str]] = {}
        self.labels = {v.node: v.name for v in reversed(plan.labels)}
        self.sizes = _sizes(plan)
        self.fields = Namer("T", "B", "block", "panel", *(f"n_{size}" for size in self.sizes))
        fixed = ("run", "layout", "start", "scratch", "pack_", "step_", "totals_")
        self.functions = Namer(*(f"{prefix}_{word}" for word in fixed))
        self.public: dict[str, list[str]] = {}
        for public, name in plan.outputs:
            self.public.setdefault(name, []).append(public)

    def program(self) -> Program:
        self._leaves()
        self._states()
        stages = [self._stage(name) for name in STAGES[:-1]]
        totals = self._totals()
        stages.append(self._stage(STAGES[-1]))
        functions = [text for stage in stages for text in stage.functions]
        loop = write_loop(self, stages, totals)
        text = "\n".join([self._struct(), *functions, loop])
        return Program(self.prefix, text, tuple(self.buffers), self.sizes, self.outputs)

    # ---- memory ----

    def _buffer(self, role: str, key: str, shape: Shape, over: str, wish: str) -> str:
        name = self.fields((role, key), wish)
        self.buffers.append(Buffer(role, key, shape, over))
        self.pointers.append(name)
        return name

    def block(self, name: str) -> str:
        """The field that points to a field's memory for one block of time."""
        return self.fields(("block", name), f"{name}_block")

    def _leaves(self) -> None:
        for n in _leaves(self.plan):
            if n.attr.role not in ("state", "value"):
                shape = n.shape or ()
                name = self._buffer(n.attr.role, n.attr.name, shape, n.over, n.attr.name)
                self.homes[n] = Home(name, shape, n.over)

    def _states(self) -> None:
        before, after = (1, 0) if self.plan.reverse else (0, 1)
        for carry in self.plan.carries:
            shape = carry.previous.shape or ()
            name = self._buffer("states", carry.key, shape, "tb", carry.key)
            self._buffer("init", carry.key, shape, "b", f"{carry.key}_init")
            self._buffer("final", carry.key, shape, "b", f"{carry.key}_final")
            self.memory[name] = Memory(shape, "tb", slots=1)
            self.homes[carry.previous] = Home(name, shape, "tb", before)
            self.fields(("next", carry.key), name)
        self.after = after

    def _value_home(self, value: Value, needed: bool) -> tuple[Home, bool]:
        """The memory of a value that a stage keeps, and whether it may be absent."""
        n, shape = value.node, value.node.shape or ()
        for carry in self.plan.carries:
            # backward, the slots of a state are scratch: what the caller wants gets an array of its own
            apart = self.plan.reverse and value.name in self.public
            if carry.next is n and n.op != "leaf" and n.over == "tb" and not apart:
                state = self.homes[carry.previous]
                home = Home(state.field, shape, "tb", self.after)
                for public in self.public.get(value.name, ()):
                    self.outputs[public] = ("states", carry.key)
                self.homes[value.leaf] = home
                return home, False
        if value.name in self.public:
            name = self._buffer("output", self.public[value.name][0], shape, n.over, value.name)
            for public in self.public[value.name]:
                self.outputs[public] = ("output", self.public[value.name][0])
        else:
            name = self.fields(("value", value.name), value.name)
        optional = value.name in self.public and not needed
        if not optional:
            self.memory[name] = Memory(shape, n.over)
        home = Home(name, shape, n.over)
        self.homes[value.leaf] = home
        return home, optional

    # ---- stages ----

    def _stage(self, name: str) -> Stage:
        values: tuple[Value, ...] = getattr(self.plan, name)
        carries = self.plan.carries if name == "scan" else ()
        roots = [v.node for v in values] + [c.next for c in carries]
        groups = arrange(roots)
        kept = stored(groups, roots)
        stores: dict[Node, list[tuple[Home, bool]]] = {n: [] for n in kept}
        for carry in carries:
            state = self.homes[carry.previous]
            stores[carry.next].append((Home(state.field, state.shape, "tb", self.after), False))
        for value in values:
            inside = value.node in set(stored(groups, ())) and value.node.op != "leaf"
            home, optional = self._value_home(value, inside or self._read_later(value, name))
            if all(home != known for known, _ in stores[value.node]):
                stores[value.node].append((home, optional))
        scope_homes = dict(self.homes)
        for n in kept:
            if not stores[n]:
                kept_in = self.fields(("scratch", name, n), self.labels.get(n, "kept"))
                self.memory[kept_in] = Memory(n.shape or (), n.over)
                stores[n].append((Home(kept_in, n.shape or (), n.over), False))
            if n.op != "leaf":
                scope_homes[n] = min(stores[n], key=lambda store: store[1])[0]
        return self._write_stage(name, groups, scope_homes, stores)

    def _read_later(self, value: Value, stage: str) -> bool:
        for name, values in self.plan.stages():
            roots = [v.node for v in values]
            if name == "scan":
                roots += [c.next for c in self.plan.carries]
            if name != stage and value.leaf in topological(roots):
                return True
        return False

    def _write_stage(
        self,
        name: str,
        groups: tuple[Group, ...],
        homes: dict[Node, Home],
        stores: dict[Node, list[tuple[Home, bool]]],
    ) -> Stage:
        for group in groups:
            for n in group.products:
                self.pack_of[n] = self._pack(n)
        frozen = {n: tuple(found) for n, found in stores.items()}
        scope = Scope(self.prefix, homes, frozen, self.pack_of, self.labels, self.comments)
        stage = Stage(name)
        for group in groups:
            words = [self.labels[n] for n in group.nodes if n in self.labels and n in frozen]
            wish = "_".join([self.prefix, *(words or [name])][:4])
            function = self.functions((name, group), wish)
            stage.calls.append((function, group))
            stage.functions.append(write_group(group, function, scope))
        return stage

    def _pack(self, product: Node) -> str:
        matrix, transposed = product.args[0], product.attr == "ij,i->j"
        if (matrix, transposed) not in self.packs:
            leaf = matrix if matrix.op == "leaf" else matrix.args[0]
            wish = f"packed_{leaf.attr.name}" + ("_T" if transposed else "")
            self.packs[matrix, transposed] = self.fields(("pack", matrix, transposed), wish)
        return self.packs[matrix, transposed]

    # ---- totals ----

    def _totals(self) -> list[str]:
        """C statements that add one block's steps to the totals; `task` deals them out to the threads."""
        lines: list[str] = []
        for value in self.plan.totals:
            home, optional = self._value_home(value, self._read_later(value, "totals"))
            guard = f"if (my->{home.field}) " if optional else ""
            lines.append(f"{guard}{self._total(value.node, home)}")
        return lines

    def _total(self, n: Node, home: Home) -> str:
        sides = [self.homes[arg] for arg in operands(n)]
        plain = all(side.over == "tb" for side in sides) and n.attr == "tb"
        if len(sides) == 2 and plain:
            (m, k), a, b = n.shape or (), *sides
            return (
                f"for (long i = 0; i < ({size_text(m)} + CHUNK - 1) / CHUNK; i++) "
                f"for (long p = 0; p < panels({size_text(k)}); p++) if (task++ % threads == id) "
                f"add_outer(my->{home.field}, {a.address('r0')}, {size_text(m)}, {b.address('r0')}, "
                f"{size_text(k)}, r1 - r0, i, p, my->panel + id * my->block * my->B * PANEL);"
            )
        if len(sides) == 1 and plain:
            return (
                f"if (task++ % threads == id) add_rows(my->{home.field}, {sides[0].address('r0')}, "
                f"{shape_text(home.shape)}, r1 - r0);"
            )
        size = shape_text(home.shape)
        into = Home(home.field, home.shape, home.over).address()
        if len(sides) == 2:
            (m, k) = n.shape or ()
            a, b = (side.address() for side in sides)
            work = (
                f"for (long i = 0; i < {size_text(m)}; i++) for (long j = 0; j < {size_text(k)}; j++) "
                f"({into})[i * {size_text(k)} + j] += ({a})[i] * ({b})[j];"
            )
        else:
            work = f"for (long i = 0; i < {size}; i++) ({into})[i] += ({sides[0].address()})[i];"
        return f"if (task++ % threads == id) for (long row = r0; row < r1; row++) {work}"

    # ---- struct ----

    def _struct(self) -> str:
        extra = [name for name in self.memory if name not in self.pointers]
        longs = ", ".join(["T", "B", "block", *(f"n_{size}" for size in self.sizes)])
        reals = [*self.pointers, *extra, *self.packs.values(), "panel"]
        reals += [self.block(name) for name, memory in self.memory.items() if memory.in_blocks]
        body = "".join(f"  real *{name};\n" for name in reals)
        return f"struct {self.prefix} {{\n  long {longs};\n{body}}};\n"


def _leaves(plan: Plan) -> list[Node]:
    roots = [v.node for _, values in plan.stages() for v in values]
    roots += [c.next for c in plan.carries]
    return [n for n in topological(roots) if n.op == "leaf"]


def _sizes(plan: Plan) -> tuple[str, ...]:
    roots = [v.node for _, values in plan.stages() for v in values]
    roots += [n for c in plan.carries for n in (c.next, c.previous)]
    found: dict[str, None] = {}
    for n in topological(roots):
        for size in (*(n.shape or ()), *((n.attr,) if n.op == "size" else ())):
            found |= dict.fromkeys(size_names(size))
    return tuple(found)
