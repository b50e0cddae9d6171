"""Every named value of a run, shown."""

from elman.trace.record import Trace, record

__all__ = ["Trace", "record"]
