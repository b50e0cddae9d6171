"""The one line that says a slower backend serves."""

from __future__ import annotations


class BackendNotice(UserWarning):
    """No C compiler was found: the torch backend serves, slower."""

    def __init__(self) -> None:
        super().__init__(
            "no C compiler was found: the torch backend serves, slower "
            "(install gcc or clang, or name one in ELMAN_CC)"
        )
