"""Text -> Cell and back."""

from elman.language.read_latex import read_latex
from elman.language.reading import Reading, read
from elman.language.write import write, write_cell, write_text
from elman.language.write_latex import write_latex

__all__ = ["Reading", "read", "read_latex", "write", "write_cell", "write_latex", "write_text"]
