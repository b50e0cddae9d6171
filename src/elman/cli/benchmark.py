"""`elman bench`: a cell on the user's own shape, beside whoever can run it."""

from __future__ import annotations

import json as json_writer
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from elman.bench.case import DTYPES, TASKS, Case
from elman.bench.peers import PEERS, RIVALS, missing
from elman.bench.run import progress, run, write_pictures, write_results
from elman.bench.suite import Suite, case_of
from elman.bench.table import plain
from elman.cli import numbers
from elman.cli.cell_argument import find_cell
from elman.errors import BackendProblem, ShapeProblem, nearest

OPTIONS = {
    r'Pass sizes=\{"(\w+)": \.\.\.\}': r"Say it: --size \1=3",
    r"input_size(?:=| is )": "--input ",
    r"hidden_size=": "--hidden ",
}


@dataclass(frozen=True)
class Asked:
    """The options of the command."""

    cell: str
    input: int
    hidden: int
    batch: int
    steps: int
    task: str | None
    dtype: str
    threads: int | None
    peers: Sequence[str] | None
    size: Sequence[str] | None
    seconds: float
    compile_seconds: float
    json: bool
    output: Path | None


def bench(asked: Asked) -> None:
    """Measure, print a table or JSON, and write the files that were asked for."""
    if PEERS["elman"].missing:
        raise BackendProblem(
            "E804", "torch is not installed", fix='Install it: pip install "elman[torch]".'
        )
    suite = Suite(_cases(asked), _peers(asked.peers), seconds=asked.seconds)
    _say_what_is_missing(suite.peers)
    minutes = suite.minutes(asked.compile_seconds)
    progress(f"this takes about {max(1, round(minutes))} minutes")
    results = run(
        suite,
        suite.cases[0].threads,
        compile_seconds=asked.compile_seconds,
        say=progress,
    )
    if asked.output:
        write_results(results, asked.output)
        write_pictures(results, asked.output)
    if asked.json:
        found: Any = results.to_json()
        print(json_writer.dumps(found, ensure_ascii=False, indent=2))
    else:
        print("\n\n".join(plain(row, results.peak(row.case.dtype)) for row in results.rows))


def _cases(asked: Asked) -> tuple[Case, ...]:
    """One for each task."""
    cell = find_cell(asked.cell)
    shape = (asked.steps, asked.batch, asked.input, asked.hidden)
    for name, value, known in (("--task", asked.task, TASKS), ("--dtype", asked.dtype, DTYPES)):
        if value is not None and value not in known:
            raise typer.BadParameter(f"{value!r} is not {' or '.join(known)}", param_hint=name)
    threads = asked.threads or _processors()
    if threads > _processors():
        raise typer.BadParameter(
            f"this process may use {_processors()} processors", param_hint="--threads"
        )
    sizes = numbers.sizes(asked.size or ())
    tasks = TASKS if asked.task is None else (asked.task,)
    try:
        return tuple(case_of(cell, shape, t, asked.dtype, threads, sizes) for t in tasks)
    except ShapeProblem as error:
        error.headline = _as_options(error.headline)
        error.fix = error.fix and _as_options(error.fix)
        raise


def _as_options(text: str) -> str:
    """A way out in Python's words, in those of this command."""
    for python, option in OPTIONS.items():
        text = re.sub(python, option, text)
    return text


def _peers(given: Sequence[str] | None) -> tuple[str, ...]:
    """The peers asked for, by a part of their names that no other has; all where none is named."""
    if not given:
        return RIVALS
    found = []
    for name in (part.strip() for text in given for part in text.split(",")):
        fitting = [peer for peer in RIVALS if name.lower() in peer.lower()]
        exact = [peer for peer in fitting if name.lower() == peer.lower()]
        if len(exact or fitting) != 1:
            near = nearest(name, RIVALS)
            raise typer.BadParameter(
                f"there is no peer {name!r}. {near + ' ' if near else ''}"
                f"The peers are {', '.join(RIVALS)}.",
                param_hint="--peers",
            )
        found += exact or fitting
    return tuple(found)


def _say_what_is_missing(peers: Sequence[str]) -> None:
    lacking = missing(peers)
    if lacking:
        print(
            f"not installed: {', '.join(lacking)}. To measure against them too: "
            'pip install "elman[bench]"',
            file=sys.stderr,
        )


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
