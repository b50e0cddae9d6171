"""What figures were measured on: processor, threads, versions, day."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from elman.backends import c_compile

PACKAGES = ("elman", "torch", "jax", "onnxruntime", "torchrecurrent", "numpy")


def machine(threads: int) -> dict[str, Any]:
    """All of it, as JSON has it."""
    compiler = c_compile.find_compiler()
    return {
        "processor": processor(),
        "processors": _usable(),
        "threads": threads,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "compiler": c_compile.compiler_version(compiler) if compiler else "none",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "packages": {name: v for name in PACKAGES if (v := _version(name))},
    }


def described(found: dict[str, Any]) -> str:
    """One paragraph of it."""
    packages = ", ".join(f"{name} {v}" for name, v in found["packages"].items())
    return (
        f"{found['processor']}, {found['processors']} processors, {found['threads']} threads; "
        f"{found['system']}, Python {found['python']}, {found['compiler']}; {packages}; "
        f"{found['date']}"
    )


def processor() -> str:
    """Its model, as the system calls it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _usable() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
