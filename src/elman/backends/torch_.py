"""Plans through torch operations: any device, any order of derivative."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import torch

from elman.backends import interpret
from elman.backends.draws import BITS, draw, stream_number
from elman.backends.interpret import Ops, expand, pointwise, slice_of
from elman.ir import Cell, Node
from elman.ir.sizes import number

Tensor: TypeAlias = torch.Tensor
Sizes = Mapping[str, int]


def _where(c: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return torch.where(c != 0, a, b)


def _straight(a: Tensor, b: Tensor) -> Tensor:
    """Exactly the value of a; any derivative, of any order, is that of b."""
    nothing = b - b.detach()  # 0, or no number where b is infinite
    return a.detach() + torch.where(nothing == 0, nothing, torch.zeros_like(nothing))


POINTWISE = {
    "neg": torch.neg,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "abs": torch.abs,
    "sign": torch.sign,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "softplus": lambda a: -torch.nn.functional.logsigmoid(-a),  # its slope at 0 is 1/2
    "floor": torch.floor,
    "round": torch.round,
    "sin": torch.sin,
    "cos": torch.cos,
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "pow": torch.pow,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "less": lambda a, b: (a < b).to(torch.promote_types(a.dtype, b.dtype)),
    "equal": lambda a, b: (a == b).to(torch.promote_types(a.dtype, b.dtype)),
    "straight": _straight,
    "where": _where,
}


def _contract(n: Node, args: list[Tensor], sizes: Sizes) -> Tensor:
    if n.attr in ("ij,j->i", "ij,i->j") and args[0].shape[:2] == (1, 1):
        matrix = args[0][0, 0]
        return args[1] @ (matrix.T if n.attr == "ij,j->i" else matrix)
    inputs, output = n.attr.split("->")
    spec = ",".join("..." + letters for letters in inputs.split(",")) + "->..." + output
    return torch.einsum(spec, *args)


def _fill(n: Node, args: list[Tensor], sizes: Sizes) -> Tensor:
    shape = tuple(number(size, sizes) for size in n.attr)
    a = args[0]
    return a.reshape(a.shape + (1,) * len(shape)).expand(a.shape + shape)


def _cumsum(n: Node, args: list[Tensor], sizes: Sizes) -> Tensor:
    if n.attr:
        return args[0].flip(-1).cumsum(-1).flip(-1)
    return args[0].cumsum(-1)


def _embed(n: Node, args: list[Tensor], sizes: Sizes) -> Tensor:
    assert n.shape is not None
    a = args[0]
    out = a.new_zeros(tuple(a.shape[:2]) + tuple(number(size, sizes) for size in n.shape))
    index = slice_of(n, sizes)
    out[index] = a
    return out


def _random(n: Node, args: list[Tensor], sizes: Sizes) -> Tensor:
    name, axes = n.attr
    shape = tuple(number(size, sizes) for size in axes)
    entry = torch.arange(math.prod(shape), device=args[0].device).reshape(shape)
    seed, row, step = (a.to(torch.int64).reshape(a.shape + (1,) * len(shape)) for a in args)
    found = draw(stream_number(name), seed, row, step, entry)
    return found.to(torch.promote_types(args[0].dtype, torch.float32)) / 2**BITS


def _concat(n: Node, args: list[Tensor], sizes: Sizes) -> Tensor:
    steps, batch = (max(a.shape[k] for a in args) for k in (0, 1))
    return torch.cat([a.expand(steps, batch, a.shape[2]) for a in args], dim=2)


def _outer_sum(spec: str, a: Tensor, b: Tensor) -> Tensor:
    lead = torch.broadcast_shapes(a.shape[:2], b.shape[:2])
    rows = [v.expand(lead + v.shape[2:]) for v in (a, b)]
    return torch.einsum("TB" + spec.replace(",", ",TB"), *rows)[None, None]


def _join(parts: list[Tensor]) -> Tensor:
    """One after the other in time; a part that does not vary over the batch is spread over it."""
    batch = max(part.shape[1] for part in parts)
    return torch.cat([p.expand(p.shape[0], batch, *p.shape[2:]) for p in parts], dim=0)


def table(like: Tensor) -> Ops:
    """The ops for tensors of one dtype and device."""

    def constant(value: float) -> Tensor:
        return like.new_full((1, 1), value)

    structural = {
        "const": lambda n, args, sizes: constant(n.attr),
        "size": lambda n, args, sizes: constant(float(number(n.attr, sizes))),
        "contract": _contract,
        "amax": lambda n, args, sizes: args[0].amax(dim=tuple(range(2, args[0].ndim))),
        "cumsum": _cumsum,
        "fill": _fill,
        "random": _random,
        # beside half precision a draw is of float32, until it is compared
        "less": lambda n, args, sizes: LIFTED["less"](n, args, sizes).to(like.dtype),
        "concat": _concat,
        "slice": lambda n, args, sizes: args[0][slice_of(n, sizes)],
        "embed": _embed,
        # a leaf is looked up and a total summed by the interpreter itself
        "leaf": lambda n, args, sizes: args[0],
        "total": lambda n, args, sizes: args[0],
    }
    return Ops(
        apply=LIFTED | structural,
        join=_join,
        outer_sum=_outer_sum,
        sum_over=lambda a, axes: a.sum(dim=axes, keepdim=True),
    )


LIFTED = pointwise(POINTWISE)


def forward(
    cell: Cell,
    arrays: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    sizes: Sizes,
    lead: tuple[int, int],
    outputs: tuple[str, ...],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The outputs named, (T, B, ...), and the final states; autograd sees every operation."""
    like = next(iter({**arrays, **state}.values()))
    leaves = {n.attr.name: n for n in cell.leaves if n.attr.role in interpret.USER}
    spread = {name: expand(leaves[name].over, a) for name, a in arrays.items() if name in leaves}
    before = {key: a[None] for key, a in state.items()}
    found, final = interpret.forward(cell, spread, before, table(like), sizes, lead[0], outputs)
    shaped = {name: a.expand(lead + a.shape[2:]) for name, a in found.items()}
    return shaped, {key: a[0].expand(lead[1:] + a.shape[2:]) for key, a in final.items()}


def gradients(
    cell: Cell,
    arrays: Mapping[str, Any],
    state: Mapping[str, Any],
    cotangents: Mapping[str, Any],
    final: Mapping[str, Any],
    sizes: Sizes,
    lead: tuple[int, int],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """`d_x`, `d_W`, ... and the cotangents of the initial states, by torch's own autograd."""
    inner = {name: torch.as_tensor(a).detach().requires_grad_() for name, a in arrays.items()}
    before = {key: torch.as_tensor(a).detach().requires_grad_() for key, a in state.items()}
    outputs, last = forward(cell, inner, before, sizes, lead, tuple(cotangents))
    roots = [*outputs.values(), *last.values()]
    given = [torch.as_tensor(a) for a in (*cotangents.values(), *(final[key] for key in last))]
    wrt = [*inner.values(), *before.values()]
    live = [(root, g) for root, g in zip(roots, given, strict=True) if root.requires_grad]
    found = torch.autograd.grad(
        [r for r, _ in live], wrt, [g for _, g in live], allow_unused=True, materialize_grads=True
    )
    names = [f"d_{name}" for name in inner]
    return (
        dict(zip(names, found, strict=False)),
        dict(zip(before, found[len(names) :], strict=True)),
    )


def tensors(*groups: Mapping[str, Any]) -> list[dict[str, Tensor]]:
    """NumPy arrays by name as tensors."""
    return [{name: torch.as_tensor(a) for name, a in group.items()} for group in groups]


def arrays(group: Mapping[str, Tensor]) -> dict[str, Any]:
    """Tensors by name as NumPy arrays."""
    return {name: tensor.detach().numpy() for name, tensor in group.items()}
