"""Sheets: worked examples in files, whose printed numbers are checked line by line."""

from elman.sheets.report import Checked, Report
from elman.sheets.sheet import Sheet, load
from elman.sheets.verdicts import CUT, FOLLOWS, ON_THE_WAY, RIGHT, ROUNDED, WRONG

__all__ = [
    "CUT",
    "FOLLOWS",
    "ON_THE_WAY",
    "RIGHT",
    "ROUNDED",
    "WRONG",
    "Checked",
    "Report",
    "Sheet",
    "load",
]
