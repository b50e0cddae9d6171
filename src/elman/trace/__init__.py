"""Every named value of a run, shown."""

from elman.trace.record import Trace, record
from elman.trace.worked import Line, Read, Step

__all__ = ["Line", "Read", "Step", "Trace", "record"]
