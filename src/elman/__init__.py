"""Elman: recurrent neural networks from their equations.

>>> import elman
>>> cell = elman.Cell("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)")
>>> cell.parameters
('W', 'U', 'b')
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from elman.cell import Cell, Run
from elman.errors import ElmanError
from elman.library import Library

if TYPE_CHECKING:
    from elman import nn as nn

try:
    __version__ = version("elman")
except PackageNotFoundError:  # a source tree that is not installed
    __version__ = "0"

cells: Library[Cell] = Library(Cell)

__all__ = ["Cell", "ElmanError", "Run", "__version__", "cells", "nn"]


def __getattr__(name: str) -> Any:
    if name == "nn":  # reached lazily: it needs torch
        return import_module("elman.nn")
    raise AttributeError(f"module 'elman' has no attribute {name!r}")
