"""What a run of a cell gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.errors import NameProblem, nearest

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Run:
    """What a cell computed: `run["h"]` is (T, size) or (T, B, size); `final` serves as `state`."""

    values: Mapping[str, Array]
    final: Mapping[str, Array]
    backend: str

    def __getitem__(self, name: str) -> Array:
        if name not in self.values:
            raise NameProblem(
                "E407",
                f"the run has no value {name!r}",
                rule=f"It has {', '.join(self.values)}.",
                fix=nearest(name, self.values) or None,
            )
        return self.values[name]

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {a.shape}" for name, a in self.values.items())
        return f"<Run on {self.backend}: {shapes}>"
