"""How torch and JAX spell each op: the two dialects in which a peer's loop is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SIGNS = {
    "neg": "-{0}",
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "pow": "{0} ** {1}",
}
TORCH = SIGNS | {
    "exp": "torch.exp({0})",
    "log": "torch.log({0})",
    "sqrt": "torch.sqrt({0})",
    "abs": "torch.abs({0})",
    "sign": "torch.sign({0})",
    "tanh": "torch.tanh({0})",
    "sigmoid": "torch.sigmoid({0})",
    "relu": "torch.relu({0})",
    "softplus": "F.softplus({0})",
    "floor": "torch.floor({0})",
    "round": "torch.round({0})",
    "sin": "torch.sin({0})",
    "cos": "torch.cos({0})",
    "maximum": "torch.maximum({0}, {1})",
    "minimum": "torch.minimum({0}, {1})",
    "less": "torch.lt({0}, {1}).to(DTYPE)",
    "equal": "torch.eq({0}, {1}).to(DTYPE)",
    "straight": "torch.add({1}, ({0} - {1}).detach())",
    "where": "torch.where({0} != 0, {1}, {2})",
}
JAX = SIGNS | {
    "exp": "jnp.exp({0})",
    "log": "jnp.log({0})",
    "sqrt": "jnp.sqrt({0})",
    "abs": "jnp.abs({0})",
    "sign": "jnp.sign({0})",
    "tanh": "jnp.tanh({0})",
    "sigmoid": "jax.nn.sigmoid({0})",
    "relu": "jax.nn.relu({0})",
    "softplus": "jax.nn.softplus({0})",
    "floor": "jnp.floor({0})",
    "round": "jnp.round({0})",
    "sin": "jnp.sin({0})",
    "cos": "jnp.cos({0})",
    "maximum": "jnp.maximum({0}, {1})",
    "minimum": "jnp.minimum({0}, {1})",
    "less": "jnp.less({0}, {1}).astype(DTYPE)",
    "equal": "jnp.equal({0}, {1}).astype(DTYPE)",
    "straight": "jnp.add({1}, lax.stop_gradient({0} - {1}))",
    "where": "jnp.where({0} != 0, {1}, {2})",
}


@dataclass(frozen=True)
class Dialect:
    """One library's spelling; everything works on the last axes, so that T and B may stand before.

    `run` are the lines that run `before`, `step` and `after` over T steps.
    """

    name: str
    head: str  # the imports; {dtype} and {steps} are put in
    pointwise: Mapping[str, str]
    linear: str  # v @ W.T
    affine: str  # v @ W.T + b, for a vector b
    added: str  # v @ W.T + a, in a step
    total: str  # over the last axes
    mean: str
    variance: str
    largest: str
    split: str
    concat: str
    expand: str
    zeros: str
    einsum: str
    cumsum: str
    cumsum_back: str
    number: str  # a number where an array is needed
    run: str

    def split_of(self, name: str, widths: Sequence[int]) -> str:
        """The parts of an array along its last axis."""
        if self.name == "torch":
            return self.split.format(name, list(widths))
        ends = [sum(widths[: k + 1]) for k in range(len(widths) - 1)]
        return self.split.format(name, ends)


RUN_TORCH = """
def run(given):
    fixed, carry, streams, kept = before(given)
    rows = []
    for now in {each}:
        carry, found = step(fixed, carry, now)
        rows.append(found)
    found = tuple(torch.stack(column) for column in zip(*rows))
    return after(kept, found), carry
"""
RUN_JAX = """
def run(given, unroll=1):
    fixed, carry, streams, kept = before(given)

    def body(carry, now):
        return step(fixed, carry, now)

    carry, found = lax.scan(body, carry, streams, length=STEPS, unroll=unroll)
    return after(kept, found), carry
"""
TORCH_LOOP = Dialect(
    name="torch",
    head="import torch\nfrom torch.nn import functional as F\n\nDTYPE = torch.{dtype}",
    pointwise=TORCH,
    linear="F.linear({v}, {W})",
    affine="F.linear({v}, {W}, {a})",
    added="torch.addmm({a}, {v}, {W}.T)",
    total="{0}.sum({1})",
    mean="{0}.mean(-1)",
    variance="{0}.var(-1, correction=0)",
    largest="{0}.amax({1})",
    split="{0}.split({1}, -1)",
    concat="torch.cat([{0}], {1})",
    expand="{0}.expand({1})",
    zeros="torch.zeros({0}, dtype=DTYPE)",
    einsum="torch.einsum({0!r}, {1})",
    cumsum="torch.cumsum({0}, -1)",
    cumsum_back="torch.cumsum({0}.flip(-1), -1).flip(-1)",
    number="torch.tensor({0}, dtype=DTYPE)",
    run=RUN_TORCH,
)
JAX_LOOP = Dialect(
    name="jax",
    head="import jax\nimport jax.numpy as jnp\nfrom jax import lax\n\nDTYPE = jnp.{dtype}",
    pointwise=JAX,
    linear="{v} @ {W}.T",
    affine="{v} @ {W}.T + {a}",
    added="{v} @ {W}.T + {a}",
    total="jnp.sum({0}, {1})",
    mean="jnp.mean({0}, -1)",
    variance="jnp.var({0}, -1)",
    largest="jnp.max({0}, {1})",
    split="jnp.split({0}, {1}, -1)",
    concat="jnp.concatenate([{0}], {1})",
    expand="jnp.broadcast_to({0}, ({1},))",
    zeros="jnp.zeros(({0},), DTYPE)",
    einsum="jnp.einsum({0!r}, {1})",
    cumsum="jnp.cumsum({0}, -1)",
    cumsum_back="jnp.cumsum({0}[..., ::-1], -1)[..., ::-1]",
    number="jnp.asarray({0}, DTYPE)",
    run=RUN_JAX,
)
