"""What a plan means, in loops: the one interpreter behind the numpy and the torch backend.

Every array has two leading axes, time and batch, of length 1 where the value does not vary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from elman.ir import Node, Plan, topological
from elman.ir.ops import POINTWISE
from elman.ir.sizes import number

Array = Any  # numpy.ndarray or torch.Tensor
Env = dict[Node, Array]


@dataclass(frozen=True)
class Ops:
    """How one array library computes each op: `apply[op](node, arguments, sizes)`."""

    apply: Mapping[str, Callable[[Node, list[Array], Mapping[str, int]], Array]]
    join: Callable[[list[Array]], Array]  # concatenates over time
    outer_sum: Callable[[Array, Array], Array]  # (T, B, i), (T, B, j) -> (1, 1, i, j)
    sum_over: Callable[[Array, tuple[int, ...]], Array]  # keeps the axes


@dataclass(frozen=True)
class Result:
    """The outputs of a plan by public name, and the states after its last step by key."""

    outputs: dict[str, Array]
    final: dict[str, Array]


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
    return Result(outputs, carried)


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
        for value in plan.totals:
            found = self.total(value.node, env)
            kept[value.name] = [kept[value.name][0] + found] if value.name in kept else [found]

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
        """The sum over the block's steps and rows; an outer product is summed without being formed."""
        inner = n.args[0]
        if inner.op == "contract" and inner.attr == "i,j->ij" and n.attr == "tb":
            self._compute(topological(inner.args), env)
            return self.ops.outer_sum(*(env[arg] for arg in inner.args))
        self._compute(topological([inner]), env)
        return self.ops.sum_over(env[inner], tuple("tb".index(axis) for axis in n.attr))

    def gather(self, kept: Mapping[str, list[Array]], env: Env) -> Env:
        whole = dict(env)
        for name, parts in kept.items():
            n = self.leaves[name]
            whole[n] = self.ops.join(parts) if "t" in n.over else parts[0]
        return whole


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
    axis, start, length = n.attr
    inner = n if n.op == "slice" else n.args[0]
    assert inner.shape is not None
    first = number(start, sizes)
    span = slice(first, first + number(inner.shape[axis], sizes))
    return (..., span, *(slice(None),) * (len(inner.shape) - axis - 1))
