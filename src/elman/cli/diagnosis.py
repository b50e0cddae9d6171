"""`elman doctor`: what this machine has, and what Elman can do with it."""

from __future__ import annotations

import importlib.metadata
import os
import platform

from elman import backends


def doctor() -> None:
    """Print versions, processor and backends, one a line."""
    rows = [
        ("elman", _version("elman")),
        ("python", platform.python_version()),
        *((name, _version(name)) for name in ("numpy", "torch", "safetensors")),
        ("processors", f"{_usable_processors()} usable, {platform.machine()}"),
        *backends.report(),
    ]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _usable_processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
