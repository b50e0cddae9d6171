"""Dropout of four kinds as equations: masks that are drawn, put into a cell that has none.

Each pass takes a cell as it was read, before its shapes are known, and gives back the same object
where it finds nothing to act on. A new name never meets one of the user's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from elman.ir import Cell, Equation, Node, Shape, const, leaf, node, rebuild, topological
from elman.ir.node import substitute
from elman.passes.randomness import exchange
from elman.passes.ranks import partners
from elman.passes.reads import LINEAR, Reads, linear_args
from elman.passes.shapes import infer_shapes, lowered


@dataclass(frozen=True)
class Factor:
    """`m / keep`: a mask of 1 with probability `keep`, else 0; in evaluation it is 1."""

    mask: str
    keep: str
    over: str  # "tb" drawn at each step, "b" once for a sequence, "" once for all
    shape: Shape

    @property
    def node(self) -> Node:
        mask = drawn(self.mask, self.keep, self.over, self.shape)
        return node("div", (mask, _constant(self.keep)))


def drawn(mask: str, chance: str, over: str, shape: Shape) -> Node:
    """A mask that is 1 with the probability that a constant names."""
    declared = None if len(shape) == 1 else shape
    return node("less", (leaf(mask, "random", over, 0, declared), _constant(chance)))


def _constant(name: str) -> Node:
    return leaf(name, "constant", "", 0, ())


def free_name(cell: Cell, wanted: str, *others: str) -> str:
    """The name, or the first of name_2, name_3, ... that the cell does not have.

    >>> free_name(Cell((Equation("m_h", leaf("x", "input")),), ("m_h",)), "m_h")
    'm_h_2'
    """
    taken = {n.attr.name for n in cell.leaves} | {e.name for e in cell.equations} | set(others)
    taken |= {name for name, _ in (*cell.constants, *cell.declared)}
    count = 1
    name = wanted
    while name in taken:
        count += 1
        name = f"{wanted}_{count}"
    return name


def with_constant(cell: Cell, name: str, value: float) -> tuple[Cell, str]:
    """The cell with a further constant, and what that is called."""
    name = free_name(cell, name)
    return replace(cell, constants=(*cell.constants, (name, value))), name


def states_of(cell: Cell) -> tuple[str, ...]:
    """The names with an equation whose past is read, but for the step's number."""
    computed = {e.name for e in cell.steps}
    found = (n.attr.name for n in cell.leaves if n.attr.role == "state")
    return tuple(dict.fromkeys(name for name in found if name in computed and name != "t"))


def _inputs(cell: Cell) -> tuple[str, ...]:
    """The inputs of every sequence for itself."""
    found = (n.attr.name for n in cell.leaves if n.attr.role == "input" and "b" in n.over)
    return tuple(dict.fromkeys(found))


def _rebuilt(cell: Cell, change: Callable[[Node, dict[Node, Node]], Node | None]) -> Cell:
    """The cell with `change(old, new)` in the place of each node where it gives one."""
    new: dict[Node, Node] = {}
    for old in topological(cell.roots):
        found = change(old, new)
        args = [new[arg] for arg in old.args]
        new[old] = node(old.op, args, old.attr) if found is None else found
    return exchange(cell, new)


def _declared(cell: Cell, names: Iterable[tuple[str, Shape]]) -> Cell:
    """The cell with shapes for masks that are no vectors, which nothing else would tell."""
    known = tuple((name, shape) for name, shape in names if len(shape) != 1)
    return replace(cell, declared=(*cell.declared, *known))


def _behind(cell: Cell, equations: Iterable[Equation]) -> Cell:
    """The cell with further lines: at its end, so that all names keep their order."""
    return replace(cell, equations=(*cell.equations, *equations))


# ---- masks on what products read ----


def read_states(cell: Cell) -> tuple[str, ...]:
    """The states that a product with a fixed matrix reads."""
    return Reads.of(cell, states_of(cell)).in_products(cell)


def read_inputs(cell: Cell) -> tuple[str, ...]:
    """The inputs that a product with a fixed matrix reads."""
    return Reads.of(cell, _inputs(cell)).in_products(cell)


def masked_reads(cell: Cell, drops: Iterable[tuple[str, Mapping[str, str]]]) -> Cell:
    """Each stream by name behind its masks wherever a product reads it.

    Every drop says over what its masks are drawn, "b" or "tb", and names a constant for each
    stream: the probability to be kept. All products share a mask; over "b" all steps do.
    """
    shapes = infer_shapes(cell).shapes
    factors: list[Factor] = []
    masks: dict[str, Node] = {}
    for over, keep in drops:
        for name, constant in keep.items():
            mask = free_name(cell, f"m_{name}", *(factor.mask for factor in factors))
            factors.append(Factor(mask, constant, over, shapes[name]))
            own, others = factors[-1].node, masks.get(name)
            masks[name] = own if others is None else node("mul", (others, own))
    reads = Reads.of(cell, tuple(masks))

    def change(old: Node, new: dict[Node, Node]) -> Node | None:
        k = reads.operand(old)
        if k is None:
            return None
        args = [new[arg] for arg in old.args]
        args[k] = reads.masked(old.args[k], new, masks)
        return node(old.op, args, old.attr)

    made = _declared(_rebuilt(cell, change), ((f.mask, f.shape) for f in factors))
    return _behind(made, _named(made, masks))


def _named(cell: Cell, masks: Mapping[str, Node]) -> Iterator[Equation]:
    """`h_left[t] = m_h / keep_h * h[t-1]`, for what several products read."""
    factors = set(masks.values())
    for n in topological(cell.roots):
        if n.op == "mul" and n.args[0] in factors and n.args[1].op == "leaf":
            name = free_name(cell, f"{n.args[1].attr.name}_left")
            cell = _behind(cell, [Equation(name, n)])
            yield cell.equations[-1]


# ---- masks on matrices ----


def dropped_weights(cell: Cell, keep: str) -> Cell:
    """Every matrix that multiplies a state behind a mask of its own, drawn once.

    Of `W @ [h[t-1], x[t]]` the columns of h alone.
    """
    reads = Reads.of(cell, states_of(cell))
    kept: dict[Node, Node] = {}
    equations: list[Equation] = []
    masks: list[tuple[str, Shape]] = []
    for matrix, shape in _recurrent_matrices(cell, reads).items():
        others = [name for name, _ in masks] + [e.name for e in equations]
        base = _name(cell, matrix)
        factor = Factor(free_name(cell, f"m_{base}", *others), keep, "", shape)
        kept[matrix] = node("mul", (factor.node, matrix))
        masks.append((factor.mask, shape))
        name = free_name(cell, f"{base}_left", factor.mask, *others)
        equations.append(Equation(name, kept[matrix], per_step=False))
    if not kept:
        return cell

    def change(old: Node, new: dict[Node, Node]) -> Node | None:
        k = reads.operand(old)
        matrix = None if k is None else old.args[1 - k]
        if k is None or matrix not in kept or not reads.names(old.args[k]):
            return None
        if k == 1 and old.op == "matmul" and old.args[1].op == "concat":
            return _by_columns(old.args[1], (kept[matrix], matrix), reads, new)
        args = [new[arg] for arg in old.args]
        args[1 - k] = kept[matrix]
        return node(old.op, args, old.attr)

    return _behind(_declared(_rebuilt(cell, change), masks), equations)


def _recurrent_matrices(cell: Cell, reads: Reads) -> dict[Node, Shape]:
    """What multiplies a state in a product, and its shape: a matrix, or a stack of them."""
    products = ((n, reads.operand(n)) for n in topological(cell.roots))
    found = dict.fromkeys(
        n.args[1 - k] for n, k in products if k is not None and reads.names(n.args[k])
    )
    known = infer_shapes(cell).shapes

    def typed(old: Node, args: tuple[Node, ...]) -> Node:
        if old.op == "leaf":
            return leaf(old.attr.name, old.attr.role, old.over, 0, known[old.attr.name])
        return lowered(old, args)

    shapes = {n: new.shape or () for n, new in rebuild(found, typed).items() if n in found}
    return {matrix: shapes[matrix] for matrix in found if len(shapes[matrix]) > 1}


def _name(cell: Cell, matrix: Node) -> str:
    """That of its equation, else of the first weight in it."""
    called = [e.name for e in cell.equations if e.value is matrix and not e.per_step]
    weights = [n.attr.name for n in topological([matrix]) if n.op == "leaf"]
    return str((*called, *weights, "matrix")[0])


def _by_columns(
    joined: Node, matrices: tuple[Node, Node], reads: Reads, new: Mapping[Node, Node]
) -> Node:
    """The first matrix on what reads a state, the second on the rest: zeros stand in between.

    What is summed is summed in the order of the list, so that nothing is rounded otherwise.
    """
    is_state = [bool(reads.names(part)) for part in joined.args]
    first = next((k for k, held in enumerate(is_state) if held is not is_state[0]), len(is_state))
    groups = [range(first), *(range(k, k + 1) for k in range(first, len(is_state)))]
    total = None
    for group in groups:
        parts = [new[a] if k in group else _nothing(new[a]) for k, a in enumerate(joined.args)]
        matrix = matrices[0] if is_state[group[0]] else matrices[1]
        product = node("matmul", (matrix, node("concat", parts)))
        total = product if total is None else node("add", (total, product))
    assert total is not None
    return total


def _nothing(part: Node) -> Node:
    if part.op == "fill":
        return node("fill", (const(0),), part.attr)
    return node("mul", (const(0), part))


# ---- masks on what is new ----


def memories(cell: Cell) -> tuple[str, ...]:
    """The states that are a sum of something times their own past and of something new."""
    return tuple(name for name in states_of(cell) if _news(cell, name))


def dropped_news(cell: Cell, keep: str) -> Cell:
    """What is newly added to each memory behind a mask, drawn at each step."""
    shapes = infer_shapes(cell).shapes
    for name in memories(cell):
        factor = Factor(free_name(cell, f"m_{name}_new"), keep, "tb", shapes[name])
        cell = _declared(_with_news(cell, name, factor.node), [(factor.mask, factor.shape)])
    return cell


def _with_news(cell: Cell, name: str, factor: Node) -> Cell:
    news = _news(cell, name)

    def change(old: Node, args: tuple[Node, ...]) -> Node:
        masked = news.get(old, ())
        new = (node("mul", (factor, a)) if k in masked else a for k, a in enumerate(args))
        return node(old.op, new, old.attr)

    return exchange(cell, rebuild(cell.roots, change))


def _news(cell: Cell, name: str) -> dict[Node, list[int]]:
    """The sums that make a state of its past, and which of their arguments are without it."""
    value = cell.value(name)
    ends = Reads.of(cell, ()).ends - {value}  # another state's new value is new here
    holds: dict[Node, bool] = {}
    for n in Reads((name,), ends, frozenset()).linear(value):
        is_past = n.op == "leaf" and n.attr.role == "state" and n.attr.name == name
        count = 0 if n in ends else sum(holds[arg] for arg in linear_args(n))
        holds[n] = is_past or (count == 1 if n.op == "mul" else count > 0)
    found: dict[Node, list[int]] = {}
    stack = [value] if holds[value] else []
    while stack:
        n = stack.pop()
        if n not in found:
            found[n] = []
            for k in LINEAR.get(n.op, ()):
                if holds[n.args[k]]:
                    stack.append(n.args[k])
                elif n.op != "mul":
                    found[n].append(k)
    return {n: places for n, places in found.items() if places}


# ---- states that stay ----


def zoned(cell: Cell, chances: Mapping[str, str]) -> Cell:
    """States that stay what they were where a mask, drawn at each step, is 1.

    What makes the states of this step reads the new value; all that is only output reads what is
    carried on. `chances` names a constant for each state.
    """
    shapes = infer_shapes(cell).shapes
    made = set(topological(n for n in partners(cell).values()))
    carried: dict[str, Node] = {}
    values = {name: cell.value(name) for name in chances}
    for name, chance in chances.items():
        mask = free_name(cell, f"stay_{name}")
        cell = _declared(cell, [(mask, shapes[name])])
        stays = drawn(mask, chance, "tb", shapes[name])
        past = cell.past(name).attr
        old = node("mul", (stays, leaf(name, "state", past.over, 1, past.shape)))
        new = node("mul", (node("sub", (const(1), stays)), values[name]))
        carried[name] = node("add", (old, new))
    carried_on = set(values.values())
    behind = substitute(cell.roots, {values[name]: carried[name] for name in chances})
    equations = []
    for e in cell.equations:
        if e.name in chances:
            equations.append(Equation(free_name(cell, f"{e.name}_new"), e.value))
            equations.append(Equation(e.name, carried[e.name]))
        else:
            is_behind = e.value not in made or e.value in carried_on
            equations.append(replace(e, value=behind[e.value]) if is_behind else e)
    return replace(cell, equations=tuple(equations))
