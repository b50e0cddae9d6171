"""`elman train`."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from elman.cli.cell_argument import find_cell
from elman.errors import ShapeProblem
from elman.tasks import lm_training
from elman.tasks.lm_training import Trained, in_nats_and_bits

DEFAULT_CELL = "gru"


def train_lm(
    file: Path | None,
    output: Path,
    cell: str | None,
    sizes: Sequence[str],
    options: Mapping[str, Any],
    *,
    resume: bool,
    overwrite: bool,
) -> None:
    """Train or resume, and say what was reached."""
    if resume and overwrite:
        raise typer.BadParameter("either go on with a run or replace it", param_hint="--overwrite")
    if sizes:
        options = {**options, "sizes": _sizes(sizes)}
    if resume:
        found = find_cell(cell) if cell is not None else None
        trained = lm_training.resume(output, text_path=file, cell=found, options=options)
    elif file is None:
        raise typer.BadParameter("which text is to be learned?", param_hint="FILE")
    else:
        found = find_cell(cell or DEFAULT_CELL)
        try:
            trained = lm_training.start(file, found, output, options=options, overwrite=overwrite)
        except ShapeProblem as error:
            error.fix = error.fix and _as_options(error.fix)
            raise
    _report(trained)


def _report(trained: Trained) -> None:
    outcome, counted = trained.outcome, trained.counted
    if outcome.ended == "interrupted":
        print(f"stopped and saved at step {outcome.step}", file=sys.stderr)
        print(f"go on with: elman train lm --resume -o {trained.run}", file=sys.stderr)
        raise typer.Exit(130)
    if outcome.best is None:
        return
    early = ", stopped early" if outcome.ended == "patience" else ""
    print(
        f"best validation {in_nats_and_bits(outcome.best)} at step {outcome.best_step} "
        f"of {outcome.step}{early}, in {outcome.seconds / 60:.1f} minutes\n"
        f"{counted.order}-gram Kneser-Ney {in_nats_and_bits(counted.nats_per_char)}\n"
        f"write with it: elman generate {trained.run}"
    )


def _as_options(fix: str) -> str:
    """A way out in Python's words, in those of the command line."""
    fix = re.sub(r'sizes=\{"(\w+)": \.\.\.\}', r"--size \1=N", fix)
    return re.sub(r"input_size=(\w+)", r"--embedding-size \1", fix)


def _sizes(given: Sequence[str]) -> dict[str, int]:
    sizes = {}
    for text in given:
        name, _, number = text.partition("=")
        if not name.strip() or not number.strip().isdecimal() or int(number) == 0:
            raise typer.BadParameter(f"{text!r} is not like cell=1024", param_hint="--size")
        sizes[name.strip()] = int(number)
    return sizes
