"""The public Cell: the one face over the rooms above."""

from elman.cell.public import Cell, published
from elman.cell.run import Run

__all__ = ["Cell", "Run", "published"]
