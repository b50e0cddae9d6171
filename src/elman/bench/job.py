"""What a peer is asked to do, and what it hands back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from elman.bench.case import Array, Arrays, Case, Given
from elman.cell import Cell


class Cannot(Exception):
    """Why a peer cannot run a case, for people."""


@dataclass(frozen=True)
class Job:
    """A case with its cell and numbers, in the case's type."""

    case: Case
    cell: Cell
    given: Given

    @property
    def stream(self) -> Array:
        """The input of a cell that has one, (T, B, size)."""
        (x,) = self.given.inputs.values()
        return x


@dataclass(frozen=True)
class Ready:
    """A peer ready to run: `call` is what is timed, `arrays` names what it found.

    `call` returns when everything is computed. `arrays` has outputs by name, and in training `d_x`,
    `d_W` and so on. `note` is printed beside the peer's row. `release` lets go of what calls keep
    for the next one, before a call's memory is looked at.
    """

    call: Callable[[], Any]
    arrays: Callable[[Any], Arrays]
    note: str = ""
    release: Callable[[], None] | None = None
    keeps_memory: bool = False  # of a call for the next one, so that only the first one tells
    first_seconds: float | None = None  # of the first call, where `prepare` has made it already
    peak_bytes: int | None = None  # that a call takes, where the process does not show it
