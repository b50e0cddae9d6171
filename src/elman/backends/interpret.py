"""What a plan means, in loops: the one interpreter behind the numpy and the torch backend.

Every array has two leading axes, time and batch, of length 1 where the value does not vary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from elman.ir import Cell, Node, Plan, topological
from elman.ir.ops import POINTWISE
from elman.ir.sizes import number
from elman.passes.derive import derive, forward_plan
from elman.passes.schedule import operands
from elman.passes.transpose import past_name

Array = Any  # numpy.ndarray or torch.Tensor
Env = dict[Node, Array]


@dataclass(frozen=True)
class Ops:
    """How one array library computes each op: `apply[op](node, arguments, sizes)`."""

    apply: Mapping[str, Callable[[Node, list[Array], Mapping[str, int]], Array]]
    join: Callable[[list[Array]], Array]  # concatenates over time
    outer_sum: Callable[[str, Array, Array], Array]  # a contraction, summed over T and B
    sum_over: Callable[[Array, tuple[int, ...]], Array]  # keeps the axes


@dataclass(frozen=True)
class Result:
    """By name: the outputs of a plan, the states after its last step and before each step."""

    outputs: dict[str, Array]
    final: dict[str, Array]
    past: dict[str, Array]


def forward(
    cell: Cell,
    arrays: Mapping[str, Array],
    state: Mapping[str, Array],
    ops: Ops,
    sizes: Mapping[str, int],
    steps: int,
    outputs: tuple[str, ...],
    block: int = 64,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The outputs named, (T, B, ...), and the final states of `cell`."""
    plan = forward_plan(cell, outputs)
    leaves = {n: arrays[n.attr.name] for n in plan_leaves(plan) if n.attr.role in USER}
    result = run_plan(plan, leaves, state, ops, sizes, steps, block)
    return result.outputs, result.final


def gradients(
    cell: Cell,
    arrays: Mapping[str, Array],
    state: Mapping[str, Array],
    cotangents: Mapping[str, Array],
    final: Mapping[str, Array],
    ops: Ops,
    sizes: Mapping[str, int],
    steps: int,
    block: int = 64,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """`d_x`, `d_W`, ... and the cotangents of the initial states."""
    derived = derive(cell, tuple(cotangents))
    leaves = {n: arrays[n.attr.name] for n in plan_leaves(derived.forward) if n.attr.role in USER}
    result = run_plan(derived.forward, leaves, state, ops, sizes, steps, block)
    given = {name: result.outputs[name] for name in derived.saved}
    given |= {past_name(key): stream for key, stream in result.past.items()}
    given |= {f"d_{name}": array for name, array in cotangents.items()}
    found = {
        n: (arrays if n.attr.role in USER else given)[n.attr.name]
        for n in plan_leaves(derived.backward)
        if n.attr.role not in ("state", "value")
    }
    back = run_plan(derived.backward, found, final, ops, sizes, steps, block)
    return back.outputs, back.final


USER = ("input", "parameter", "constant")


def plan_leaves(plan: Plan) -> list[Node]:
    """Every leaf that a plan reads."""
    roots = [v.node for _, values in plan.stages() for v in values]
    roots += [carry.next for carry in plan.carries]
    return [n for n in topological(roots) if n.op == "leaf"]


def run_plan(
    plan: Plan,
    leaves: Env,
    state: Mapping[str, Array],
    ops: Ops,
    sizes: Mapping[str, int],
    steps: int,
    block: int = 64,
) -> Result:
    """Run `plan` over `steps` steps, `block` of them at a time."""
    run = _Run(plan, ops, sizes)
    env = dict(leaves)
    run.evaluate(plan.invariant, env)
    carried = dict(state)
    kept: dict[str, list[Array]] = {}
    for start, stop in blocks(steps, block, plan.reverse):
        local = {n: a[start:stop] if "t" in n.over else a for n, a in env.items()}
        run.block(local, carried, stop - start, kept)
    whole = run.gather(kept, env)
    run.evaluate(plan.final, whole)
    outputs = {public: whole[run.leaf_of(name)] for public, name in plan.outputs}
    past = {c.key: run.ops.join(kept[f"{c.key}[t-1]"]) for c in plan.carries}
    return Result(outputs, carried, past)


def blocks(steps: int, block: int, reverse: bool) -> Iterator[tuple[int, int]]:
    """The blocks of time as (start, stop), last first where the plan runs in reverse."""
    bounds = [(start, min(start + block, steps)) for start in range(0, steps, block)]
    return reversed(bounds) if reverse else iter(bounds)


class _Run:
    def __init__(self, plan: Plan, ops: Ops, sizes: Mapping[str, int]) -> None:
        self.plan, self.ops, self.sizes = plan, ops, sizes
        self.leaves = {v.name: v.leaf for _, values in plan.stages() for v in values}
        nexts = [carry.next for carry in plan.carries]
        self.step_order = topological([*nexts, *(v.node for v in plan.scan)])

    def leaf_of(self, name: str) -> Node:
        return self.leaves[name]

    def evaluate(self, values: Iterable[Any], env: Env) -> None:
        values = list(values)
        self._compute(topological(v.node for v in values), env)
        for value in values:
            env[value.leaf] = env[value.node]

    def _compute(self, order: Iterable[Node], env: Env) -> None:
        for n in order:
            if n not in env:
                assert n.op != "leaf", f"{n} ({n.attr.role}) has no array"
                env[n] = self.ops.apply[n.op](n, [env[arg] for arg in n.args], self.sizes)

    def block(self, env: Env, carried: dict[str, Array], steps: int, kept: dict[str, Any]) -> None:
        """Run one block of time; `env` holds its slices, `kept` gathers what leaves it."""
        plan = self.plan
        self.evaluate(plan.prologue, env)
        self.scan(env, carried, steps)
        self.evaluate(plan.epilogue, env)
        for value in (*plan.prologue, *plan.scan, *plan.epilogue):
            parts = kept.setdefault(value.name, [])
            parts.insert(0, env[value.leaf]) if plan.reverse else parts.append(env[value.leaf])
        for carry in plan.carries:
            parts = kept.setdefault(f"{carry.key}[t-1]", [])
            stream = env[carry.previous]
            parts.insert(0, stream) if plan.reverse else parts.append(stream)
        for value in plan.totals:
            found = self.total(value.node, env)
            parts = kept.setdefault(value.name, [])
            if "t" in value.node.over:  # summed over the batch alone: a stream
                parts.insert(0, found) if plan.reverse else parts.append(found)
            else:
                parts[:] = [parts[0] + found] if parts else [found]

    def scan(self, env: Env, carried: dict[str, Array], steps: int) -> None:
        plan = self.plan
        streams = [n for n in self.step_order if n.op == "leaf" and n in env]
        values: dict[Node, list[Array]] = {v.leaf: [] for v in plan.scan}
        pasts: dict[Node, list[Array]] = {c.previous: [] for c in plan.carries}
        for t in reversed(range(steps)) if plan.reverse else range(steps):
            local = {n: env[n][t : t + 1] if "t" in n.over else env[n] for n in streams}
            local |= {carry.previous: carried[carry.key] for carry in plan.carries}
            for carry in plan.carries:
                pasts[carry.previous].append(carried[carry.key])
            self._compute(self.step_order, local)
            for value in plan.scan:
                values[value.leaf].append(local[value.node])
            carried |= {carry.key: local[carry.next] for carry in plan.carries}
        for n, parts in (values | pasts).items():
            env[n] = self.ops.join(parts[::-1] if plan.reverse else parts)

    def total(self, n: Node, env: Env) -> Array:
        """The sum over a block's steps and rows; an outer product is never formed."""
        inner = n.args[0]
        if operands(n) == inner.args:
            self._compute(topological(inner.args), env)
            return self.ops.outer_sum(inner.attr, *(env[arg] for arg in inner.args))
        self._compute(topological([inner]), env)
        return self.ops.sum_over(env[inner], tuple("tb".index(axis) for axis in n.attr))

    def gather(self, kept: Mapping[str, list[Array]], env: Env) -> Env:
        whole = dict(env)
        for name, n in self.leaves.items():
            if name not in kept:
                continue
            parts = kept[name]
            whole[n] = self.ops.join(parts) if "t" in n.over else parts[0]
        return whole


def expand(over: str, array: Array) -> Array:
    """What varies over `over` alone, with both leading axes: (T, B, ...), 1 where it does not."""
    if "t" not in over:
        array = array[None]
    return array if "b" in over else array[:, None]


def spread(n: Node, arrays: list[Array]) -> list[Array]:
    """The arguments of a pointwise op, scalars given the axes of the result."""
    assert n.shape is not None
    found = []
    for arg, array in zip(n.args, arrays, strict=True):
        assert arg.shape is not None
        missing = len(n.shape) - len(arg.shape)
        found.append(array[(..., *(None,) * missing)] if missing else array)
    return found


def pointwise(table: Mapping[str, Callable[..., Array]]) -> dict[str, Callable[..., Array]]:
    """Lift a table of elementwise functions to nodes."""

    def lift(function: Callable[..., Array]) -> Callable[..., Array]:
        return lambda n, arrays, sizes: function(*spread(n, arrays))

    assert set(table) == set(POINTWISE)
    return {op: lift(function) for op, function in table.items()}


def slice_of(n: Node, sizes: Mapping[str, int]) -> tuple[Any, ...]:
    """The index that a `slice` reads, or an `embed` fills, behind the two leading axes."""
    axis, start, _length = n.attr
    inner = n if n.op == "slice" else n.args[0]
    assert inner.shape is not None
    first = number(start, sizes)
    span = slice(first, first + number(inner.shape[axis], sizes))
    return (..., span, *(slice(None),) * (len(inner.shape) - axis - 1))
