"""Every named value of a run, shown."""

from elman.trace.record import record
from elman.trace.trace import Trace
from elman.trace.worked import Line, Read, Step

__all__ = ["Line", "Read", "Step", "Trace", "record"]
