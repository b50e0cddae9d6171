"""The public Cell: the one face over the rooms above."""

from elman.cell.public import Cell, published
from elman.cell.run import Run
from elman.cell.stream import Stream

__all__ = ["Cell", "Run", "Stream", "published"]
