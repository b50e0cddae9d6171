"""A cell as the loop that a good researcher would write for it, in torch or in JAX.

The text has four functions. `before` computes all that needs no state, for all steps at once;
`step` is one step; `after` what can wait; `run` puts them together. Stacked weights are given
stacked, as a layer would hold them.
"""

from __future__ import annotations

import itertools
import keyword
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from elman.backends.c_names import ascii_name
from elman.bench.dialects import SIGNS, Dialect
from elman.bench.loop_graph import AFTER, BEFORE, STEP, Loop
from elman.bench.stacks import Row, Stack, find_stacks, is_product, order_of
from elman.errors import BackendProblem
from elman.ir import Node
from elman.ir.ops import POINTWISE
from elman.ir.sizes import number

WORDS = "torch F jax jnp lax DTYPE STEPS before step after run given fixed carry streams kept found"
RESERVED = {*keyword.kwlist, *keyword.softkwlist, *WORDS.split(), "now", "rows", "column", "body"}
SHORT = 60  # characters of an expression that stands inside another


@dataclass(frozen=True)
class Given:
    """An argument of the loop: an array of the cell, or several weights one below the other."""

    name: str
    parts: tuple[str, ...]
    learned: bool


@dataclass(frozen=True)
class LoopText:
    """The text of a module, what `run` is given, and what it gives back: outputs, last states."""

    text: str
    given: tuple[Given, ...]
    outputs: tuple[str, ...]
    states: tuple[str, ...]


@dataclass(frozen=True)
class Extent:
    """The numbers that a loop is written for."""

    steps: int
    batch: int
    sizes: Mapping[str, int]
    dtype: str = "float32"

    def of(self, n: Node) -> tuple[int, ...]:
        """The shape of a node without its leading axes."""
        return tuple(number(size, self.sizes) for size in n.shape or ())

    def lead(self, n: Node, phase: str) -> tuple[int, ...]:
        """Its leading axes: none, the batch, or time and batch."""
        if not n.over:
            return ()
        rows = self.batch if "b" in n.over else 1
        return (self.steps, rows) if "t" in n.over and phase != STEP else (rows,)


def write_loop(
    loop: Loop, extent: Extent, dialect: Dialect, constants: Mapping[str, float] | None = None
) -> LoopText:
    """The loop of a cell; `constants` are numbers that stand in the text.

    Errors: BackendProblem E822 for an op that neither torch nor JAX is told.
    """
    writer = _Writer(loop, extent, dialect, constants or {})
    return writer.write()


@dataclass
class _Body:
    """The lines of one function, and what it reads that an earlier one has computed."""

    lines: list[str] = field(default_factory=list)
    reads: dict[str, Node] = field(default_factory=dict)


class _Writer:
    def __init__(
        self, loop: Loop, extent: Extent, dialect: Dialect, constants: Mapping[str, float]
    ) -> None:
        self.loop, self.extent, self.dialect, self.constants = loop, extent, dialect, constants
        self.stacks = find_stacks(loop)
        self.home = {n: stack for stack in self.stacks for n in stack.members}
        self.taken = set(RESERVED)
        self.names: dict[Row, str] = {}  # variables, and expressions that stand inside another
        self.given: list[Given] = []
        self.bodies = {phase: _Body() for phase in (BEFORE, STEP, AFTER)}
        self.wanted: dict[Stack, dict[tuple[int, int], list[Stack | Node | None]]] = {
            stack: {} for stack in self.stacks
        }
        needed = self._needed()
        self.order = [
            unit
            for unit in order_of(loop, self.stacks)
            if isinstance(unit, Stack) or unit in needed
        ]
        self._find_wanted()
        self.fused = {s: self._adder(s) for s in self.stacks if self._adder(s)}

    # ---- what is read, and of every stack which parts ----

    def _needed(self) -> set[Node]:
        """What somebody reads: means and variances spare the sums that they are made of."""
        found: set[Node] = set()
        waiting = list(self.loop.roots)
        while waiting:
            n = waiting.pop()
            if n not in found:
                found.add(n)
                waiting += self._reads(n)
        return found

    def _reads(self, n: Node) -> Row:
        _, vector = self._moment_of(n)
        return n.args if vector is None else (vector,)

    def _moment_of(self, n: Node) -> tuple[str, Node | None]:
        """`mean` or `variance` and the vector of which a node is that, else nothing."""
        vector = mean_of(n, self.extent.sizes)
        if vector is None:
            return "", None
        whole = variance_of(vector, self.extent.sizes)
        return ("mean", vector) if whole is None else ("variance", whole)

    def _find_wanted(self) -> None:
        for unit in self.order:
            if isinstance(unit, Stack):
                for k in range(len(unit.members[0].args)):
                    self._want(unit.operands(k), unit)
            elif unit.op == "concat":
                self._want(unit.args, unit)
            else:
                for arg in self._reads(unit):
                    self._want((arg,), unit)
        for n in self.loop.roots:
            self._want((n,), None)

    def _want(self, row: Row, reader: Stack | Node | None) -> None:
        place = self._place(row)
        for piece in [row] if place else [(n,) for n in row]:
            found = self._place(piece)
            if found:
                stack, span = found
                self.wanted[stack].setdefault(span, []).append(reader)

    def _place(self, row: Row) -> tuple[Stack, tuple[int, int]] | None:
        """The stack in which a row stands as it is, and from where to where."""
        stack = self.home.get(row[0])
        if stack is None:
            return None
        start = stack.members.index(row[0])
        span = start, start + len(row)
        return (stack, span) if stack.members[slice(*span)] == row else None

    def _adder(self, stack: Stack) -> Stack | None:
        """What adds something to the whole of a product that nobody else reads."""
        readers = [reader for found in self.wanted[stack].values() for reader in found]
        if stack.op != "contract" or len(readers) != 1 or not isinstance(readers[0], Stack):
            return None
        adder = readers[0]
        whole = adder.op == "add" and adder.operands(adder.at) == stack.members
        return adder if whole else None

    # ---- names ----

    def name(self, wish: str) -> str:
        base = ascii_name(wish)
        tries = (base if k < 2 else f"{base}_{k}" for k in range(1, len(self.taken) + 3))
        found = next(name for name in tries if name not in self.taken)
        self.taken.add(found)
        return found

    def wish(self, n: Node) -> str:
        label = self.loop.labels.get(n)
        return label if label is not None else n.attr.name if n.op == "leaf" else "v"

    # ---- reading ----

    def read(self, row: Row, phase: str) -> str:
        """The text that stands for vectors side by side, or for one node, in a phase."""
        if len(row) == 1 and row[0].op in ("const", "size"):
            return self._literal(row[0])
        first = self.loop.phase[row[0]]
        if row not in self.names:
            if len(row) == 1 and row[0].op == "leaf":
                self._leaf(row[0])
            else:
                self._join(row, first)
        name = self.names[row]
        if first != phase and not (len(row) == 1 and self._is_number(row[0])):
            self.bodies[phase].reads[name] = row[0]
        return name

    def _is_number(self, n: Node) -> bool:
        """Whether a node's text is a number of Python, not an array."""
        if n.op == "leaf":
            return n.attr.name in self.constants
        return n.op in ("const", "size") or (n.op in SIGNS and all(map(self._is_number, n.args)))

    def _literal(self, n: Node) -> str:
        value = n.attr if n.op == "const" else float(number(n.attr, self.extent.sizes))
        return repr(value) if value == value and abs(value) != float("inf") else f"float('{value}')"

    def _leaf(self, n: Node) -> None:
        """A leaf that is read for the first time: an argument of the loop."""
        name = n.attr.name
        if name in self.constants:
            self.names[(n,)] = repr(self.constants[name])
            return
        role = n.attr.role
        if role == "state":
            return
        made = Given(self.name(name), (name,), role in ("input", "parameter"))
        self.given.append(made)
        self.names[(n,)] = made.name

    def _join(self, row: Row, phase: str) -> None:
        """Put together what does not stand together."""
        weights = row[0].shape is not None and len(row[0].shape) == 2
        assert phase == BEFORE or weights, "only what no state reaches is put together"
        if weights and all(self._is_own(n) for n in row):
            made = Given(self.name("W"), tuple(n.attr.name for n in row), learned=True)
            self.given.append(made)
            self.names[row] = made.name
            return
        parts = [self._wide(n, row) for n in row]
        name = self.name(f"{self.wish(row[0])}_all")
        text = self.dialect.concat.format(", ".join(parts), 0 if weights else -1)
        self.bodies[phase].lines.append(f"{name} = {text}")
        self.names[row] = name

    def _wide(self, n: Node, row: Row) -> str:
        """A vector with the leading axes that all of a row have."""
        text, phase = self.read((n,), BEFORE), BEFORE
        leads = [self.extent.lead(other, phase) for other in row]
        most = max(leads, key=lambda lead: (len(lead), lead))
        if self.extent.lead(n, phase) == most:
            return text
        shape = ", ".join(map(str, (*most, *self.extent.of(n))))
        return self.dialect.expand.format(text, shape)

    def _is_own(self, n: Node) -> bool:
        """A weight that nothing else reads: a layer would hold it stacked."""
        users = self.loop.users[n]
        return n.op == "leaf" and n.attr.role == "parameter" and len(users) == 1

    # ---- writing ----

    def write(self) -> LoopText:
        self._states()
        for unit in self.order:
            if isinstance(unit, Stack):
                if unit not in self.fused:
                    self._write_stack(unit)
            elif unit.op not in ("leaf", "const", "size"):
                self._write_node(unit)
        return self._module()

    def _states(self) -> None:
        for carry in self.loop.carries:
            key = carry.key
            self.names[(carry.previous,)] = self.name(f"{key.partition('[')[0]}_prev")
        for n in self.loop.found:
            self.names[(n,)] = self.name(f"all_{n.attr.name}")

    def _write_node(self, n: Node) -> None:
        phase = self.loop.phase[n]
        text = self.expression(n, phase)
        users = {self.home.get(user, user) for user in self.loop.users[n]}
        local = all(self.loop.phase[user] == phase for user in self.loop.users[n])
        kept = n in self.loop.roots or n in self.loop.labels
        short = len(users) == 1 and local and not kept and len(text) < SHORT
        if short or self._is_number(n):
            self.names[(n,)] = f"({text})" if " " in text else text
            return
        name = self.name(self.wish(n))
        self.bodies[phase].lines.append(f"{name} = {text}")
        self.names[(n,)] = name

    def expression(self, n: Node, phase: str) -> str:
        """One node's text, its arguments read."""
        moment, vector = self._moment_of(n)
        if vector is not None:
            form = self.dialect.mean if moment == "mean" else self.dialect.variance
            return form.format(self.read((vector,), phase))
        if n.op in POINTWISE:
            return self._pointwise(n.op, [(a, self._spread(a, n, phase)) for a in n.args])
        if is_product(n):
            W, v = (self.read((arg,), phase) for arg in n.args)
            return self.dialect.linear.format(W=W, v=v)
        args = [self.read((arg,), phase) for arg in n.args] if n.op != "concat" else []
        writers = {
            "contract": self._contract,
            "amax": lambda n, args, phase: self.dialect.largest.format(args[0], self._axes(n)),
            "cumsum": self._cumsum,
            "fill": self._fill,
            "concat": self._concat,
            "slice": self._slice,
        }
        if n.op not in writers:
            raise BackendProblem("E822", f"a loop by hand has no {n.op}")
        return writers[n.op](n, args, phase)

    def _pointwise(self, op: str, args: list[tuple[Node, str]]) -> str:
        """Torch's functions take arrays, its signs also numbers."""
        texts = [text if op in SIGNS else self._as_array(n, text) for n, text in args]
        return self.dialect.pointwise[op].format(*texts)

    def _as_array(self, n: Node, text: str) -> str:
        return self.dialect.number.format(text) if self._is_number(n) else text

    def _spread(self, arg: Node, result: Node, phase: str) -> str:
        """A scalar of every row gets the axes of a vector beside it."""
        text = self.read((arg,), phase)
        missing = len(result.shape or ()) - len(arg.shape or ())
        if not missing or not arg.over:
            return text
        return f"{text}[..., {', '.join(['None'] * missing)}]"

    def _contract(self, n: Node, args: list[str], phase: str) -> str:
        inputs, output = n.attr.split("->")
        first = n.args[0]
        if n.attr == "ij,i->j" and not first.over:
            return f"{args[1]} @ {args[0]}"
        if n.attr == "i,j->ij":
            return f"{args[0]}[..., :, None] * {args[1]}[..., None, :]"
        summed = [c for c in inputs if c not in output]
        if len(args) == 1 and summed and "".join(c for c in inputs if c in output) == output:
            axes = tuple(inputs.index(c) - len(inputs) for c in summed)
            return self.dialect.total.format(args[0], axes if len(axes) > 1 else axes[0])
        spec = ",".join("..." + letters for letters in inputs.split(",")) + "->..." + output
        return self.dialect.einsum.format(spec, ", ".join(args))

    def _axes(self, n: Node) -> str:
        return repr(tuple(range(-len(n.args[0].shape or ()), 0)))

    def _cumsum(self, n: Node, args: list[str], phase: str) -> str:
        form = self.dialect.cumsum_back if n.attr else self.dialect.cumsum
        return form.format(args[0])

    def _fill(self, n: Node, args: list[str], phase: str) -> str:
        axes = self.extent.of(n)
        text = self._as_array(n.args[0], args[0])
        inner = f"{text}[..., {', '.join(['None'] * len(axes))}]" if n.args[0].over else text
        shape = (*self.extent.lead(n, phase), *axes)
        return self.dialect.expand.format(inner, ", ".join(map(str, shape)))

    def _concat(self, n: Node, args: list[str], phase: str) -> str:
        if self._place(n.args):
            return self.read(n.args, phase)
        lead = self.extent.lead(n, phase)
        parts = []
        for arg in n.args:
            text = self.read((arg,), phase)
            if self.extent.lead(arg, phase) != lead:
                shape = ", ".join(map(str, (*lead, *self.extent.of(arg))))
                text = self.dialect.expand.format(text, shape)
            parts.append(text)
        return self.dialect.concat.format(", ".join(parts), -1)

    def _slice(self, n: Node, args: list[str], phase: str) -> str:
        axis, start, length = n.attr
        first = number(start, self.extent.sizes)
        rest = ", :" * (len(n.shape or ()) - axis - 1)
        return f"{args[0]}[..., {first}:{first + number(length, self.extent.sizes)}{rest}]"

    # ---- stacks ----

    def _write_stack(self, stack: Stack) -> None:
        phase = self.loop.phase[stack.members[0]]
        text = self._stack_text(stack, phase)
        spans = sorted(self.wanted[stack])
        whole = (0, len(stack.members))
        wish = self.wish(stack.members[0]) if whole[1] == 1 else self._shared_wish(stack)
        name = self.name(wish)
        lines = self.bodies[phase].lines
        if whole in spans:
            self.names[stack.members] = name
        rest = [span for span in spans if span != whole]
        lines.append(f"{name} = {text}")
        if not rest:
            return
        widths = [self.extent.of(n)[0] for n in stack.members]
        pieces = [self._piece(stack, span) for span in rest]
        ends = [0, *(stop for _, stop in rest)]
        if list(itertools.pairwise(ends)) == rest and ends[-1] == whole[1]:
            sums = [sum(widths[a:b]) for a, b in rest]
            lines.append(f"{', '.join(pieces)} = {self.dialect.split_of(name, sums)}")
        else:
            for piece, (a, b) in zip(pieces, rest, strict=True):
                start = sum(widths[:a])
                lines.append(f"{piece} = {name}[..., {start}:{start + sum(widths[a:b])}]")

    def _shared_wish(self, stack: Stack) -> str:
        words = [ascii_name(self.wish(n)) for n in stack.members]
        return "_".join(dict.fromkeys(words)) if len("".join(words)) < 24 else "gates"

    def _piece(self, stack: Stack, span: tuple[int, int]) -> str:
        row = stack.members[slice(*span)]
        wish = (
            self.wish(row[0])
            if len(row) == 1
            else "_".join(dict.fromkeys(ascii_name(self.wish(n)) for n in row))
        )
        name = self.name(wish)
        self.names[row] = name
        return name

    def _stack_text(self, stack: Stack, phase: str) -> str:
        if stack.op == "contract":
            return self.dialect.linear.format(**self._product(stack, phase))
        inner = self.home.get(stack.operands(stack.at)[0])
        if inner is not None and self.fused.get(inner) is stack:
            other = stack.operands(1 - stack.at)
            form = self.dialect.linear + " + {a}"
            if all(not n.over for n in other):
                form = self.dialect.affine
            elif phase == STEP:
                form = self.dialect.added
            return form.format(**self._product(inner, phase), a=self.read(other, phase))
        args = []
        for k in range(len(stack.members[0].args)):
            row = stack.operands(k)
            one = row[0] if len(row) == 1 else None
            text = self._spread(one, stack.members[0], phase) if one else self.read(row, phase)
            args.append((row[0], text))
        return self._pointwise(stack.op, args)

    def _product(self, stack: Stack, phase: str) -> dict[str, str]:
        return {
            "W": self.read(stack.operands(0), phase),
            "v": self.read(stack.operands(1), phase),
        }

    # ---- the module ----

    def _module(self) -> LoopText:
        nexts = [self._carried(carry.next, carry.previous, STEP) for carry in self.loop.carries]
        starts = [self._start(carry.key, carry.previous) for carry in self.loop.carries]
        found = [self.read((n,), STEP) for n in self.loop.found.values()]
        ends = [self.read((v.node,), AFTER) for v in self.loop.outputs]
        body = self.bodies
        step = body[STEP].reads
        fixed = [name for name, n in step.items() if "t" not in n.over]
        streams = [name for name, n in step.items() if "t" in n.over]
        kept = list(body[AFTER].reads)
        previous = [self.names[(c.previous,)] for c in self.loop.carries]
        gone = [self.names[(n,)] for n in self.loop.found]
        head = self.dialect.head.format(dtype=self.extent.dtype)
        text = [head, f"STEPS = {self.extent.steps}", ""]
        returns = ", ".join(_tuple(part) for part in (fixed, starts, streams, kept))
        given = [g.name for g in self.given]
        text += _function("before(given)", {"given": given}, body[BEFORE].lines, returns)
        parts = {"fixed": fixed, "carry": previous, "now": streams}
        returns = f"{_tuple(nexts)}, {_tuple(found)}"
        text += _function("step(fixed, carry, now)", parts, body[STEP].lines, returns)
        parts = {"kept": kept, "found": gone}
        text += _function("after(kept, found)", parts, body[AFTER].lines, _tuple(ends))
        each = "zip(*(s.unbind(0) for s in streams))" if streams else "((),) * STEPS"
        text.append(self.dialect.run.replace("{each}", each).strip("\n"))
        names = tuple(v.name for v in self.loop.outputs)
        keys = tuple(c.key for c in self.loop.carries)
        return LoopText("\n".join(text) + "\n", tuple(self.given), names, keys)

    def _carried(self, new: Node, old: Node, phase: str) -> str:
        text = self.read((new,), phase)
        extent = self.extent
        if extent.lead(new, phase) == extent.lead(old, phase) and new.shape == old.shape:
            return text
        return self._full(self._as_array(new, text), old)

    def _full(self, text: str, old: Node) -> str:
        shape = (*self.extent.lead(old, STEP), *self.extent.of(old))
        return self.dialect.expand.format(text, ", ".join(map(str, shape)))

    def _start(self, key: str, old: Node) -> str:
        if key in self.loop.start:
            first = self.loop.start[key]
            return self._full(self._as_array(first, self.read((first,), BEFORE)), old)
        shape = (*self.extent.lead(old, STEP), *self.extent.of(old))
        return self.dialect.zeros.format(", ".join(map(str, shape)))


def mean_of(n: Node, sizes: Mapping[str, int]) -> Node | None:
    """The vector whose mean a node is: its sum, divided by its size."""
    if n.op != "div" or n.args[0].op != "contract" or n.args[0].attr != "i->":
        return None
    vector, divisor = n.args[0].args[0], n.args[1]
    length = number((vector.shape or ("0",))[0], sizes)
    by = divisor.attr if divisor.op == "const" else None
    by = number(divisor.attr, sizes) if divisor.op == "size" else by
    return vector if by == length and vector.over else None


def variance_of(squares: Node, sizes: Mapping[str, int]) -> Node | None:
    """The vector whose squared distances from its own mean these are."""
    if squares.op != "mul" or squares.args[0] is not squares.args[1]:
        return None
    apart = squares.args[0]
    if apart.op == "sub" and mean_of(apart.args[1], sizes) is apart.args[0]:
        return apart.args[0]
    return None


def _tuple(parts: Iterable[str]) -> str:
    return "(" + "".join(f"{part}, " for part in parts).rstrip(" ") + ")"


def _function(
    head: str, parts: Mapping[str, list[str]], lines: list[str], returns: str
) -> list[str]:
    unpacked = [f"{_tuple(names)} = {source}" for source, names in parts.items() if names]
    return [
        "",
        f"def {head}:",
        *(f"    {line}" for line in (*unpacked, *lines, f"return {returns}")),
        "",
    ]
