"""What runs a plan: the NumPy reference, torch operations, compiled C."""

from __future__ import annotations

import importlib.util

from elman.backends import c_compile
from elman.backends.notice import INSTALL


def report() -> list[tuple[str, str]]:
    """What each backend finds on this machine, for `elman doctor`."""
    compiler, reason = c_compile.find_compiler(), c_compile.trouble()
    if compiler is None or reason is not None:
        c = f"{reason} ({INSTALL}): torch serves"
    else:
        words = [c_compile.compiler_version(compiler), *c_compile.flags(compiler)]
        c = f"{' '.join(compiler)}: {' '.join(words)}"
    torch = (
        "ready"
        if importlib.util.find_spec("torch")
        else 'not installed: pip install "elman[torch]"'
    )
    return [
        ("backend c", c),
        ("backend torch", torch),
        ("backend numpy", "ready (the float64 reference)"),
        ("compiled cells", str(c_compile.cache_folder())),
    ]


__all__ = ["report"]
