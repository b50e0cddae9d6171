"""The loop as lax.scan under jax.jit, the gradients by JAX."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from elman.bench.case import Arrays
from elman.bench.dialects import JAX_LOOP
from elman.bench.job import Job, Ready
from elman.bench.peers.loops import array_of, learned_of, loop_text, module_of, outputs_of, parted

UNROLLS = (1, 4)  # steps in one round of the loop: the faster one is kept


def prepare(job: Job) -> Ready:
    """The loop compiled; how many steps a round takes is tried."""
    if job.case.dtype == "float64":
        jax.config.update("jax_enable_x64", True)
    text = loop_text(job.case, job.cell, JAX_LOOP)
    module = module_of(text.text)
    learned = learned_of(job, text) if job.case.is_training else {}
    given = {g.name: jnp.asarray(array_of(job, g)) for g in text.given}
    own = {name: a for name, a in given.items() if name in learned}
    rest = {name: a for name, a in given.items() if name not in learned}
    above = tuple(jnp.asarray(job.given.cotangents[name]) for name in text.outputs)

    def program(unroll: int) -> Callable[..., Any]:
        def run(own: Any, rest: Any) -> Any:
            both = {**rest, **own}
            return module.run(tuple(both[g.name] for g in text.given), unroll)

        def step(own: Any, rest: Any, above: Any) -> Any:
            outputs, back = jax.vjp(lambda own: run(own, rest)[0], own)
            wide = tuple(jnp.broadcast_to(a, o.shape) for a, o in zip(above, outputs, strict=True))
            return outputs, back(wide)[0]

        return jax.jit(step) if job.case.is_training else jax.jit(run)

    args = (own, rest, above) if job.case.is_training else (own, rest)
    built = _quickest(program, args, job.case.steps)

    def arrays(found: Any) -> Arrays:
        outputs = outputs_of(job, found[0])
        if not job.case.is_training:
            return outputs
        named = {name: np.asarray(g) for name, g in found[1].items()}
        return outputs | {f"d_{n}": g for n, g in parted(job, learned, named).items()}

    note = f"unroll={built.unroll}"
    return Ready(
        built.call, arrays, note, first_seconds=built.first_seconds, peak_bytes=built.peak_bytes
    )


@dataclass(frozen=True)
class Built:
    """A compiled loop; `peak_bytes` is XLA's own word, as JAX keeps what a call has freed."""

    call: Callable[[], Any]
    unroll: int
    first_seconds: float
    peak_bytes: int


def _quickest(
    program: Callable[[int], Callable[..., Any]], args: tuple[Any, ...], steps: int
) -> Built:
    """The program with the number of steps a round that runs fastest."""
    tried = [_built(program(k), args, k) for k in UNROLLS if k <= max(steps, 1)]
    return min(tried, key=lambda built: _median_of_few(built.call))


def _built(jitted: Any, args: tuple[Any, ...], unroll: int) -> Built:
    def call() -> Any:
        return jax.block_until_ready(jitted(*args))

    start = time.perf_counter()
    memory = jitted.lower(*args).compile().memory_analysis()
    call()
    took = time.perf_counter() - start
    size = memory.temp_size_in_bytes + memory.output_size_in_bytes if memory else 0
    return Built(call, unroll, took, size)


def _median_of_few(call: Callable[[], Any]) -> float:
    times: list[float] = []
    while len(times) < 3 or (sum(times) < 0.05 and len(times) < 200):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
