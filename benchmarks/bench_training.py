"""Training steps (forward and backward) of Elman beside torch.nn, torch.compile and JAX.

Every peer is first checked to compute the same gradients; then all are timed in turn, in one
run, and the medians compared. Run it with `make bench`, or see
`python benchmarks/bench_training.py --help`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TORCHINDUCTOR_FORCE_DISABLE_CACHES", "1")  # its compile time is measured

import torch

import elman

SHAPES = [(32, 64, 128), (1, 16, 16), (32, 128, 256)]
STEPS = 100
Step = Callable[[], Any]  # one training step: the gradients by weight name


@dataclass
class Row:
    """One cell on one shape: medians in milliseconds by peer, seconds of compiling if any."""

    cell: str
    batch: int
    input_size: int
    hidden_size: int
    milliseconds: dict[str, float]
    compile_seconds: dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=41, help="timed steps of each peer")
    parser.add_argument("--without", nargs="*", default=[], choices=["torch.compile", "jax"])
    parser.add_argument("--output", type=Path, help="a JSON file for the rows")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for shape in SHAPES:
        for cell in ("gru_reset_after", "lstm_torch", "gru"):
            rows.append(bench(cell, shape, options.repeats, options.without))
            print(markdown([rows[-1]], header=len(rows) == 1), flush=True)
    print(f"\n{machine()}; {options.threads} threads, float32, T={STEPS}, forward + backward.")
    if options.output:
        text = json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}, indent=2)
        options.output.write_text(text + "\n", encoding="utf-8")


def bench(cell: str, shape: tuple[int, int, int], repeats: int, without: list[str]) -> Row:
    """Check the peers of one cell against each other, then time them in turn."""
    batch, input_size, hidden_size = shape
    torch.manual_seed(0)
    x = torch.randn(STEPS, batch, input_size)
    target = torch.randn(STEPS, batch, hidden_size)
    peers: dict[str, Step] = {}
    seconds: dict[str, float] = {}
    for name, make in makers(cell, without).items():
        step = make(cell, x, target)
        start = time.perf_counter()
        step()
        seconds[name] = time.perf_counter() - start
        peers[name] = step
    check(peers)
    times = in_turn(peers, repeats)
    return Row(
        cell,
        *shape,
        {name: 1e3 * statistics.median(found) for name, found in times.items()},
        {name: s for name, s in seconds.items() if name in ("elman", "torch.compile", "jax")},
    )


def in_turn(peers: dict[str, Step], repeats: int) -> dict[str, list[float]]:
    """Seconds of every step of every peer, the peers taking turns."""
    times: dict[str, list[float]] = {name: [] for name in peers}
    for name in list(peers) * 3:
        peers[name]()
    for _ in range(repeats):
        for name, step in peers.items():
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    return times


def check(peers: dict[str, Step]) -> None:
    """The gradient of the input agrees between every two peers that report one."""
    found = {name: step() for name, step in peers.items()}
    reference = found["elman"]
    for name, gradient in found.items():
        error = float((gradient - reference).abs().max() / reference.abs().max())
        if not error < 1e-3:
            raise SystemExit(
                f"{name} disagrees with elman by {error:.1e}: no figures from a wrong result"
            )


def makers(cell: str, without: list[str]) -> dict[str, Callable[..., Step]]:
    """The peers that can run a cell."""
    found: dict[str, Callable[..., Step]] = {"elman": elman_step}
    if cell != "gru":
        return {**found, "torch.nn": torch_step}
    if "torch.compile" not in without:
        found["torch.compile"] = compiled_step
    if "jax" not in without and importlib.util.find_spec("jax"):
        found["jax"] = jax_step
    return found


def weights(cell: str, input_size: int, hidden_size: int) -> dict[str, torch.Tensor]:
    """The same weights for every peer."""
    generator = torch.Generator().manual_seed(1)
    shapes = elman.cells[cell].shapes(input=input_size, hidden=hidden_size)
    bound = hidden_size**-0.5
    return {
        name: (torch.rand(shapes[name], generator=generator) * 2 - 1) * bound
        for name in elman.cells[cell].parameters
    }


def differentiable(module: torch.nn.Module, x: torch.Tensor, target: torch.Tensor) -> Step:
    """A step of a torch module whose first output is (T, B, hidden)."""
    inputs = x.clone().requires_grad_()
    parameters = [inputs, *module.parameters()]

    def step() -> torch.Tensor:
        loss = (module(inputs)[0] * target).sum()
        return torch.autograd.grad(loss, parameters)[0]

    return step


def elman_step(cell: str, x: torch.Tensor, target: torch.Tensor) -> Step:
    layer = elman.nn.Recurrent(elman.cells[cell], x.shape[2], target.shape[2])
    with torch.no_grad():
        for name, value in weights(cell, x.shape[2], target.shape[2]).items():
            getattr(layer, f"{name}_l0").copy_(value)
    return differentiable(layer, x, target)


def torch_step(cell: str, x: torch.Tensor, target: torch.Tensor) -> Step:
    kind, gates = {
        "gru_reset_after": (torch.nn.GRU, "rzn"),
        "lstm_torch": (torch.nn.LSTM, "ifgo"),
    }[cell]
    layer = kind(x.shape[2], target.shape[2])
    own = weights(cell, x.shape[2], target.shape[2])
    with torch.no_grad():
        for side in ("i", "h"):
            for kept, letter in (("weight", "W"), ("bias", "b")):
                stacked = torch.cat([own[f"{letter}_{side}{gate}"] for gate in gates])
                getattr(layer, f"{kept}_{side}h_l0").copy_(stacked)
    return differentiable(layer, x, target)


class LoopGRU(torch.nn.Module):
    """The reset-before GRU as a researcher would write it for torch.compile."""

    def __init__(self, own: dict[str, torch.Tensor], hidden_size: int) -> None:
        super().__init__()
        self.own = torch.nn.ParameterDict(own)
        self.hidden_size = hidden_size

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        w = self.own
        h = x.new_zeros(x.shape[1], self.hidden_size)
        # one product for all steps and gates, as well as one can write it
        joined = torch.cat([w["W_z"], w["W_r"], w["W_n"]])
        inputs = torch.nn.functional.linear(x, joined, torch.cat([w["b_z"], w["b_r"], w["b_n"]]))
        U_zr, outputs = torch.cat([w["U_z"], w["U_r"]]), []
        for xz, xr, xn in (step.chunk(3, dim=1) for step in inputs):
            hz, hr = (h @ U_zr.T).chunk(2, dim=1)
            z, r = torch.sigmoid(xz + hz), torch.sigmoid(xr + hr)
            n = torch.tanh(xn + (r * h) @ w["U_n"].T)
            h = z * h + (1 - z) * n
            outputs.append(h)
        return (torch.stack(outputs),)


def compiled_step(cell: str, x: torch.Tensor, target: torch.Tensor) -> Step:
    module = LoopGRU(weights(cell, x.shape[2], target.shape[2]), target.shape[2])
    return differentiable(torch.compile(module), x, target)


def jax_step(cell: str, x: torch.Tensor, target: torch.Tensor) -> Step:
    import jax
    import jax.numpy as jnp

    own = {
        name: jnp.asarray(value.numpy())
        for name, value in weights(cell, x.shape[2], target.shape[2]).items()
    }
    stream, wanted = jnp.asarray(x.numpy()), jnp.asarray(target.numpy())

    def loss(w: Any, x: Any) -> Any:
        joined = jnp.concatenate([w["W_z"], w["W_r"], w["W_n"]])
        inputs = x @ joined.T + jnp.concatenate([w["b_z"], w["b_r"], w["b_n"]])
        U_zr = jnp.concatenate([w["U_z"], w["U_r"]])

        def step(h: Any, given: Any) -> Any:
            xz, xr, xn = jnp.split(given, 3, axis=1)
            hz, hr = jnp.split(h @ U_zr.T, 2, axis=1)
            z, r = jax.nn.sigmoid(xz + hz), jax.nn.sigmoid(xr + hr)
            n = jnp.tanh(xn + (r * h) @ w["U_n"].T)
            h = z * h + (1 - z) * n
            return h, h

        _, outputs = jax.lax.scan(step, jnp.zeros((x.shape[1], w["U_n"].shape[0])), inputs)
        return (outputs * wanted).sum()

    gradient = jax.jit(jax.grad(loss, argnums=(0, 1)))

    def run() -> torch.Tensor:
        found = jax.block_until_ready(gradient(own, stream))
        return torch.from_numpy(found[1].__array__().copy())

    return run


def markdown(rows: list[Row], header: bool) -> str:
    """Rows as a Markdown table; a ratio below 1 means that the peer is faster than Elman."""
    lines = []
    if header:
        lines += ["| cell | B, I, H | peer | ms | Elman ms | ratio | compile s (Elman) |"]
        lines += ["|---|---|---|---:|---:|---:|---:|"]
    for row in rows:
        own = row.milliseconds["elman"]
        for peer, found in row.milliseconds.items():
            if peer != "elman":
                built = f"{row.compile_seconds[peer]:.1f}" if peer in row.compile_seconds else "-"
                lines.append(
                    f"| {row.cell} | {row.batch}, {row.input_size}, {row.hidden_size} | {peer} "
                    f"| {found:.2f} | {own:.2f} | {found / own:.2f} "
                    f"| {built} ({row.compile_seconds['elman']:.1f}) |"
                )
    return "\n".join(lines)


def machine() -> str:
    """What the figures were measured on."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [
            line.partition(":")[2].strip()
            for line in info.read_text().splitlines()
            if line.startswith("model name")
        ]
        name = f"{models[0]}, {len(models)} cores" if models else name
    return f"{name}; torch {torch.__version__}; Python {platform.python_version()}"


if __name__ == "__main__":
    main()
