"""Torch modules made from cells."""

from elman.nn.recurrent import Recurrent

__all__ = ["Recurrent"]
