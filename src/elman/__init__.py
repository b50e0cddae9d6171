"""Elman: recurrent neural networks from their equations.

>>> import elman
>>> cell = elman.Cell("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)")
>>> cell.parameters
('W', 'U', 'b')
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elman import nn as nn
    from elman import sheets as sheets
    from elman.cell import Cell as Cell
    from elman.cell import Run as Run
    from elman.cell.conventions import side_by_side as side_by_side
    from elman.cell.friendly import friendly as friendly
    from elman.cell.same import Sameness as Sameness
    from elman.cell.same import same as same
    from elman.errors import ElmanError as ElmanError
    from elman.library import Library
    from elman.library.weights import convert as convert
    from elman.nn.accelerate import accelerate as accelerate

    cells: Library[Cell]
    __version__: str

__all__ = [
    "Cell",
    "ElmanError",
    "Run",
    "Sameness",
    "__version__",
    "accelerate",
    "cells",
    "convert",
    "friendly",
    "nn",
    "same",
    "sheets",
    "side_by_side",
]
HOMES = {
    "Cell": "elman.cell",
    "ElmanError": "elman.errors",
    "friendly": "elman.cell.friendly",
    "Run": "elman.cell",
    "Sameness": "elman.cell.same",
    "accelerate": "elman.nn.accelerate",
    "convert": "elman.library.weights",
    "same": "elman.cell.same",
    "side_by_side": "elman.cell.conventions",
}


def __getattr__(name: str) -> Any:
    """Each public name is reached when it is first asked for: a command's help needs none."""
    if name in ("nn", "sheets"):
        return import_module(f"elman.{name}")
    if name not in __all__:
        raise AttributeError(f"module 'elman' has no attribute {name!r}")
    if name == "cells":
        value = import_module("elman.library").Library(import_module("elman.cell").published)
    elif name == "__version__":
        value = _version()
    else:
        value = getattr(import_module(HOMES[name]), name)
    globals()[name] = value
    return value


def _version() -> str:
    metadata = import_module("importlib.metadata")
    try:
        return str(metadata.version("elman"))
    except metadata.PackageNotFoundError:  # a source tree that is not installed
        return "0"
