"""The CRF beside pytorch-crf and torch-struct, in milliseconds: the median of interleaved calls.

pip install pytorch-crf torch-struct
python benchmarks/crf.py [--repeats 9] [--threads 2]
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch

from elman.nn import CRF

SHAPES = ((50, 32, 9), (100, 64, 20), (500, 8, 50))  # T, B, tags
STRUCT_LIMIT = 50  # steps: beyond it torch-struct takes seconds, then gigabytes


def calls(T: int, B: int, tags: int) -> dict[str, dict[str, Callable[[], Any]]]:
    """What is timed, by its name and whose it is; lengths lie between half of T and T."""
    torch.manual_seed(0)
    emissions = torch.randn(T, B, tags, requires_grad=True)
    path, lengths = torch.randint(tags, (T, B)), torch.randint(T // 2, T + 1, (B,))
    lengths[0] = T
    mask = torch.arange(T)[:, None] < lengths
    modules = {"elman": CRF(tags)}
    if importlib.util.find_spec("torchcrf"):
        import torchcrf  # spares torchcrf

        modules["pytorch-crf"] = torchcrf.CRF(tags)
    found: dict[str, dict[str, Callable[[], Any]]] = {"likelihood and gradient": {}, "decode": {}}
    for name, crf in modules.items():

        def step(crf: Any = crf) -> None:
            crf.zero_grad()
            (-crf(emissions, path, mask)).backward()

        found["likelihood and gradient"][name] = step
        found["decode"][name] = lambda crf=crf: crf.decode(emissions, mask)
    if importlib.util.find_spec("torch_struct") and T <= STRUCT_LIMIT:
        step, decode = struct_calls(modules["elman"], emissions, lengths)
        found["likelihood and gradient"]["torch-struct"] = step  # its path's score left out
        found["decode"]["torch-struct"] = decode
    return found


def struct_calls(crf: CRF, emissions: torch.Tensor, lengths: torch.Tensor) -> Any:
    """The same by torch-struct, which wants a matrix for each step (B, T - 1, now, before)."""
    import torch_struct  # spares torch_struct

    def chain() -> Any:
        edges = crf.transitions.T + emissions.transpose(0, 1)[:, 1:, :, None]
        first = (crf.start_transitions + emissions[0])[:, None, None]
        edges = torch.cat([edges[:, :1] + first, edges[:, 1:]], 1)
        return torch_struct.LinearChainCRF(edges, lengths=lengths)

    def step() -> None:
        crf.zero_grad()
        chain().partition.sum().backward()

    return step, lambda: chain().argmax


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--shape", type=int, choices=range(len(SHAPES)), help="only this one")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    warnings.simplefilter("ignore")
    for shape in SHAPES if given.shape is None else [SHAPES[given.shape]]:
        for what, each in calls(*shape).items():
            times: dict[str, list[float]] = {name: [] for name in each}
            for k in range(given.repeats + 2):
                for name, call in each.items():
                    begun = time.perf_counter()
                    call()
                    if k > 1:
                        times[name].append(time.perf_counter() - begun)
            words = (f"{name} {1e3 * statistics.median(t):.2f}" for name, t in times.items())
            print(f"T={shape[0]} B={shape[1]} tags={shape[2]}, {what}: {', '.join(words)}")


if __name__ == "__main__":
    main()
