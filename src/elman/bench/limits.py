"""What the machine can do at most: the best matrix product of any library, and reading memory."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

SIZES = (
    (256, 2048, 512),
    (512, 512, 512),
    (1024, 1024, 1024),
    (2048, 2048, 2048),
    (768, 4096, 1024),
)
LIBRARIES = ("numpy", "torch", "torch mkldnn", "onnxruntime")
SECONDS = 0.15  # of each size and library


def prepare(job: object) -> None:
    """No peer."""


def measure(what: str, **options: Any) -> dict[str, Any]:
    """`product`: GFLOP/s of a library by size. `read`: seconds to read so many bytes once."""
    return product(**options) if what == "product" else read(**options)


def libraries() -> list[str]:
    """Those that are installed."""
    homes = {name: name.partition(" ")[0] for name in LIBRARIES}
    return [name for name, home in homes.items() if importlib.util.find_spec(home)]


def product(library: str, dtype: str, threads: int) -> dict[str, Any]:
    """The best speed of a library's matrix product over all sizes."""
    makers = {
        "numpy": _numpy,
        "torch": _torch,
        "torch mkldnn": _mkldnn,
        "onnxruntime": _onnxruntime,
    }
    found: dict[str, float] = {}
    for m, n, k in SIZES:
        random = np.random.default_rng(m + n)
        a = random.standard_normal((m, k)).astype(dtype)
        b = random.standard_normal((k, n)).astype(dtype)
        try:
            call = makers[library](a, b, threads)
            found[f"{m}x{n}x{k}"] = 2 * m * n * k / _best(call) / 1e9
        except (RuntimeError, ImportError, AttributeError, NotImplementedError) as error:
            return {"gflops": 0.0, "why_not": str(error).partition("\n")[0], "by_size": found}
    return {"gflops": max(found.values()), "by_size": found}


def _best(call: Callable[[], Any]) -> float:
    """The shortest time of a call, after it has been warmed up."""
    call()
    best, end = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def _numpy(a: Any, b: Any, threads: int) -> Callable[[], Any]:
    out = np.empty((a.shape[0], b.shape[1]), a.dtype)
    return lambda: np.matmul(a, b, out=out)


def _torch(a: Any, b: Any, threads: int) -> Callable[[], Any]:
    import torch

    x, y = torch.from_numpy(a), torch.from_numpy(b)
    out = torch.empty(a.shape[0], b.shape[1], dtype=x.dtype)
    return lambda: torch.mm(x, y, out=out)


def _mkldnn(a: Any, b: Any, threads: int) -> Callable[[], Any]:
    import torch

    x, w = torch.from_numpy(a), torch.from_numpy(np.ascontiguousarray(b.T))
    if x.dtype != torch.float32:
        raise NotImplementedError("oneDNN has float32 only")
    linear = torch.ops.mkldnn._linear_pointwise
    return lambda: linear(x, w, None, "none", [], "")


def _onnxruntime(a: Any, b: Any, threads: int) -> Callable[[], Any]:
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    kind = TensorProto.FLOAT if a.dtype == np.float32 else TensorProto.DOUBLE
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["X", "W"], ["Y"])],
        "product",
        [helper.make_tensor_value_info("X", kind, a.shape)],
        [helper.make_tensor_value_info("Y", kind, [a.shape[0], b.shape[1]])],
        [numpy_helper.from_array(b, "W")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    model.ir_version = min(model.ir_version, 10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, ["CPUExecutionProvider"]
    )
    return lambda: session.run(None, {"X": a})


def read(size: int, threads: int) -> dict[str, Any]:
    """Seconds to read `size` bytes that lie in the cache once, by so many threads.

    Each thread adds up a part of its own, many times over; the best of several ways to do so.
    """
    part = np.ones(max(size // 4 // threads, 16), np.float32)
    parts = [part.copy() for _ in range(threads)]
    rounds = max(20, int(2e8 / max(size, 1)))
    ways: list[Callable[[Any], Any]] = [lambda a: a.max(), lambda a: np.dot(a, a)]
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(1)
        ways.append(lambda a: torch.from_numpy(a).sum())
    found = [_in_threads(way, parts, rounds) for way in ways]
    return {"seconds": min(found)}


def _in_threads(way: Callable[[Any], Any], parts: list[Any], rounds: int) -> float:
    """The shortest time for a round over all parts, one thread for each."""

    def work(part: Any) -> None:
        for _ in range(rounds):
            way(part)

    best = float("inf")
    with ThreadPoolExecutor(len(parts)) as pool:
        list(pool.map(work, parts))
        for _ in range(5):
            start = time.perf_counter()
            list(pool.map(work, parts))
            best = min(best, (time.perf_counter() - start) / rounds)
    return best
