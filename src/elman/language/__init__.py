"""Text -> Cell and back."""

from elman.language.reading import Reading, read
from elman.language.write import write, write_cell, write_text

__all__ = ["Reading", "read", "write", "write_cell", "write_text"]
