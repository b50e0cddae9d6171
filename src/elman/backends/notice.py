"""The one line that says a slower backend serves."""

from __future__ import annotations

INSTALL = 'install gcc or clang, or pip install "elman[cc]", or name one in ELMAN_CC'


class BackendNotice(UserWarning):
    """Nothing can be compiled: another backend serves, slower."""

    def __init__(self, reason: str, backend: str = "torch") -> None:
        super().__init__(f"{reason}: the {backend} backend serves, slower ({INSTALL})")
