"""The one line that says a slower backend serves."""

from __future__ import annotations


class BackendNotice(UserWarning):
    """Nothing can be compiled: the torch backend serves, slower."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"{reason}: the torch backend serves, slower "
            "(install gcc or clang, or name one in ELMAN_CC)"
        )
