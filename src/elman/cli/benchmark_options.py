"""The options of `elman bench`, each with its words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Input = Annotated[int, typer.Option(min=1, help="The size of the input.")]
Hidden = Annotated[int, typer.Option(min=1, help="The size of the state.")]
Batch = Annotated[int, typer.Option(min=1, help="Sequences at a time.")]
Steps = Annotated[int, typer.Option(min=1, help="Steps of a sequence.")]
Task = Annotated[
    str | None,
    typer.Option(
        metavar="inference|training",
        help="Forward alone, or with all gradients.  (default: both)",
    ),
]
Dtype = Annotated[str, typer.Option(metavar="float32|float64", help="The type of all numbers.")]
Threads = Annotated[
    int | None, typer.Option(min=1, help="For each library.  (default: all processors)")
]
Peers = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME,...",
        help="Only these: torch.nn, torch eager, torch.compile, JAX scan, ... (default: all)",
    ),
]
Sizes = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=N", help="A further size of the cell, as in --size cell=1024."),
]
Seconds = Annotated[float, typer.Option(min=0.1, help="Of turns for each task.")]
CompileSeconds = Annotated[
    float, typer.Option(min=1, help="For torch.compile, before one compiled step stands in.")
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FOLDER", help="For results.json and results.md."),
]
