"""A suite measured case by case, written after each, and taken up again where it stopped."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from elman.bench.crew import Crew
from elman.bench.dialects import JAX_LOOP, TORCH_LOOP
from elman.bench.figures import write_figures
from elman.bench.limits import libraries
from elman.bench.machine import machine
from elman.bench.measure import Measurer, Plan
from elman.bench.peers.loops import loop_text
from elman.bench.results import VERSION, Results, Row, shape_of
from elman.bench.suite import Suite
from elman.bench.table import markdown
from elman.errors import FileProblem


def run(
    suite: Suite,
    threads: int,
    *,
    begun: Results | None = None,
    compile_seconds: float = 120.0,
    peak: bool = True,
    save: Callable[[Results], None] = lambda results: None,
    say: Callable[[str], None] = lambda text: None,
) -> Results:
    """The results of a suite; cases that `begun` has are not measured again."""
    results = begun or Results(machine(threads))
    done = {row.case.key for row in results.rows}
    left = [case for case in suite.cases if case.key not in done]
    start = time.monotonic()
    with Crew(threads) as crew:
        measurer = Measurer(crew, Plan(suite.rounds, suite.seconds, compile_seconds))
        for dtype in {case.dtype for case in left} - set(results.peaks) if peak else ():
            peaks = {**results.peaks, dtype: measurer.peaks(libraries(), dtype, threads)}
            results = Results(results.machine, results.rows, peaks)
        for k, case in enumerate(left):
            row = measurer.row(case, suite.peers)
            results = results.with_row(row)
            save(results)
            passed = time.monotonic() - start
            rest = passed / (k + 1) * (len(left) - k - 1) / 60
            say(f"[{k + 1}/{len(left)}] {said(row)}; {rest:.0f} min left")
    return results


def said(row: Row) -> str:
    """A row in a line: who is fastest, and how Elman stands to it."""
    best = row.best
    where = f"{row.case.cell} {row.case.task} {shape_of(row.case)}"
    if best is None:
        return f"{where}: {row.elman.milliseconds:.3g} ms, no other can run it"
    return (
        f"{where}: {row.elman.milliseconds:.3g} ms, {best.peer} {best.milliseconds:.3g} ms, "
        f"ratio {row.ratio(best):.2f}"
    )


def write_results(results: Results, folder: Path) -> None:
    """results.json and results.md in a folder, each whole or not at all."""
    text = json.dumps(results.to_json(), indent=1, ensure_ascii=False) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, body in {"results.json": text, "results.md": markdown(results)}.items():
            part = folder / f"{name}.part"
            part.write_text(body, encoding="utf-8")
            part.replace(folder / name)
    except OSError as error:
        raise FileProblem("E603", f"{folder}: {error.strerror}") from None


def write_pictures(results: Results, folder: Path) -> None:
    """The figures, and in `loops` what the peers that run any cell were given to run."""
    write_figures(results, folder)
    home = folder / "loops"
    home.mkdir(exist_ok=True)
    for case in {row.case.cell: row.case for row in results.rows}.values():
        for dialect in (TORCH_LOOP, JAX_LOOP):
            text = loop_text(case, case.made(), dialect).text
            (home / f"{case.cell}_{dialect.name}.py").write_text(text, encoding="utf-8")


def read_results(path: Path, threads: int) -> Results:
    """Results to go on with; FileProblem E641 where they are none, or of another machine."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        results = Results.from_json(found)
    except OSError as error:
        raise FileProblem("E640", f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise FileProblem(
            "E641",
            f"{path} holds no results of a benchmark",
            rule="What is taken up again is the results.json of a run that stopped.",
        ) from None
    here = machine(threads)
    same = ("processor", "processors", "threads", "packages", "compiler")
    other = [k for k in same if results.machine.get(k) != here[k]]
    if found.get("version") != VERSION or other:
        raise FileProblem(
            "E642",
            f"the results in {path} were measured on something else",
            rule=f"Not the same: {', '.join(other) or 'their version'}. Figures that stand in one "
            "table come from one machine and one set of versions.",
            fix="Begin anew, with another folder.",
        )
    return results


def progress(text: str) -> None:
    """A line on standard error."""
    print(text, file=sys.stderr, flush=True)


def lasting(cases: Iterable[Any], minutes: float) -> str:
    """What is said at the start."""
    return f"{len(list(cases))} cases; this takes about {max(1, round(minutes))} minutes"
