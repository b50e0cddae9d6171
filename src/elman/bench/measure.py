"""One case measured: what is right, who agrees with it, then everybody's time in turn."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from elman.bench.case import Arrays, Case, Given, draw, flops, load, save, step_bytes
from elman.bench.corners import has_corners, replaced
from elman.bench.crew import Crew, Gone, Said
from elman.bench.peers import ELMAN, FROZEN, PEERS, RECURRENT, STEPWISE, WHOLE, why_not
from elman.bench.peers.published import is_torchs
from elman.bench.reference import furthest, tolerance
from elman.bench.results import Figure, Row
from elman.cell import Cell
from elman.errors import BackendProblem, DataProblem, Fact

BURST = 0.03  # seconds of calls between two peers' turns
IN_CACHE = 1 << 19  # bytes of weights below which reading them is not what a step waits for
ATTEMPTS = 12  # draws of what lies near a corner of the cell's functions
LONGEST = 600.0  # seconds that a peer may take for anything


@dataclass(frozen=True)
class Plan:
    """How long to measure: `rounds` turns of each peer, fewer where a call takes long."""

    rounds: int = 11
    seconds: float = 20.0  # of all turns of one case
    compile_seconds: float = 120.0  # for torch.compile to build the whole sequence


@dataclass
class Runner:
    """A peer that has been found right."""

    peer: str
    said: Said
    error: float
    seconds: list[float]

    @property
    def module(self) -> str:
        return f"peers.{PEERS[self.peer].module}"


class Measurer:
    """Measures cases one after the other with one crew."""

    def __init__(self, crew: Crew, plan: Plan, say: Callable[[str], None] = lambda text: None):
        self.crew, self.plan, self.say = crew, plan, say
        self.too_long: dict[tuple[str, str, str], str] = {}  # cells that took too long to compile

    def row(self, case: Case, peers: Sequence[str]) -> Row:
        """The row of a case; `peers` besides Elman.

        Errors: DataProblem E720 where the drawn numbers give no finite result, BackendProblem E820
        where Elman itself is wrong, E821 where it cannot run the case.
        """
        expected = self._reference(case)
        figures: dict[str, Figure] = {}
        runners: list[Runner] = []
        for peer in self._asked(case, peers):
            if peer == STEPWISE and any(r.peer == WHOLE for r in runners):
                continue  # it stands in for the whole sequence
            self.say(peer)
            found = self._begin(case, peer, expected)
            if isinstance(found, Runner):
                runners.append(found)
            else:
                figures[peer] = found
        self._in_turn(runners)
        for runner in runners:
            figures[runner.peer] = self._figure(runner)
        if any(r.peer in (WHOLE, STEPWISE) for r in runners):
            self._dismiss_compiled()
        return self._made(case, figures)

    def _asked(self, case: Case, peers: Sequence[str]) -> list[str]:
        """Elman first, also as its layer of any cell where it is a drop-in, and frozen."""
        more = [RECURRENT] if is_torchs(case.cell, case.made()) else []
        more += [] if case.is_training else [FROZEN]
        return list(dict.fromkeys([ELMAN, *more, *peers]))

    # ---- what is right ----

    def _reference(self, case: Case) -> Arrays:
        cell = case.made()
        for positive in (False, True):
            given = self._clear_of_corners(case, cell, positive)
            save(self._path("data"), given.flat())
            order = self._order(case, "expected")
            said = self.crew.ask("peers.reference", LONGEST, **order)
            if "failed" in said:
                raise BackendProblem(
                    "E821", f"the reference cannot run {case.key}: {said['failed']}"
                )
            expected = load(self._path("expected"))
            self.crew.ask("peers.reference", LONGEST, do="forget")
            if all(np.isfinite(a).all() for a in expected.values()):
                return expected
        raise DataProblem(
            "E720",
            f"{case.cell} gives no finite numbers",
            rule="Inputs and weights were drawn within 1/sqrt(fan-in), then between 0 and 1.",
            fix="Time it in Python with your own weights.",
        )

    def _clear_of_corners(self, case: Case, cell: Cell, positive: bool) -> Given:
        """The numbers of a case, as far as their gradients hang by no rounding."""
        given = draw(case, cell, positive)
        for attempt in range(1, ATTEMPTS) if has_corners(cell) else ():
            save(self._path("data"), given.flat())
            said = self.crew.ask("peers.corners", LONGEST, **self._order(case, "near"))
            near = None if "failed" in said else load(self._path("near"))["near"]
            self.crew.ask("peers.corners", LONGEST, do="forget")
            if near is None or not near.any():
                break
            given = replaced(cell, given, draw(case, cell, positive, attempt), near)
        return given

    def _path(self, name: str) -> Path:
        return self.crew.path / f"{name}.npz"

    def _order(self, case: Case, result: str) -> dict[str, Any]:
        paths = {"data": str(self._path("data")), "result": str(self._path(result))}
        return {"do": "prepare", "case": case.to_json(), **paths}

    # ---- who agrees with it ----

    def _begin(self, case: Case, peer: str, expected: Arrays) -> Runner | Figure:
        """The peer ready and right, or why it has no figure."""
        reason = why_not(PEERS[peer], case)
        known = (peer, case.cell, case.task)
        if reason or known in self.too_long:
            return Figure(peer, reason or self.too_long[known])
        most = self.plan.compile_seconds if peer in (WHOLE, STEPWISE) else LONGEST
        module = f"peers.{PEERS[peer].module}"
        try:
            said = self.crew.ask(module, most, **self._order(case, "found"))
        except Gone as gone:
            if peer not in (WHOLE, STEPWISE):
                return self._unable(case, peer, {"cannot": str(gone)})
            self.too_long[known] = f"not compiled within {most:.0f} s at {case.key}"
            return Figure(peer, f"not compiled within {most:.0f} s")
        if "cannot" in said or "failed" in said:
            return self._unable(case, peer, said)
        worst, error = furthest(load(self._path("found")), expected)
        if not error <= tolerance(case):
            return self._wrong(case, peer, worst, error)
        runner = Runner(peer, said, error, [])
        runner.said["call"] = self._ask(runner, do="burst", calls=1)["seconds"][0]
        return runner

    def _unable(self, case: Case, peer: str, said: Said) -> Figure:
        if peer == ELMAN:
            raise BackendProblem(
                "E821", f"elman cannot run {case.key}: {said.get('cannot') or said['failed']}"
            )
        return Figure(peer, said.get("cannot") or f"failed: {said['failed'][:200]}")

    def _wrong(self, case: Case, peer: str, worst: str, error: float) -> Figure:
        """A wrong result has no speed."""
        self.crew.dismiss(f"peers.{PEERS[peer].module}")
        allowed = tolerance(case)
        if PEERS[peer].own:
            raise BackendProblem(
                "E820",
                f"{peer} is wrong on {case.key}",
                facts=[
                    Fact(worst, f"off by {error:.1e}", "relative to its largest value"),
                    Fact("allowed", f"{allowed:.1e}"),
                ],
                rule="No figures are printed from a wrong result.",
            )
        return Figure(
            peer, f"wrong: {worst} is off by {error:.1e}, allowed are {allowed:.1e}", error=error
        )

    # ---- in turn ----

    def _ask(self, runner: Runner, **order: Any) -> Said:
        return self.crew.ask(runner.module, LONGEST, **order)

    def _in_turn(self, runners: list[Runner]) -> None:
        """A burst of each in every round, in another order each time."""
        calls = {r.peer: max(1, min(1000, round(BURST / r.said["call"]))) for r in runners}
        cost = sum((calls[r.peer] + 1) * r.said["call"] + 0.01 for r in runners)
        rounds = max(3, min(self.plan.rounds, int(self.plan.seconds / max(cost, 1e-3))))
        order = random.Random(0)  # nobody always follows the same one
        for _ in range(rounds):
            for runner in order.sample(runners, len(runners)):
                said = self._ask(runner, do="burst", calls=calls[runner.peer])
                runner.seconds += said["seconds"]

    def _figure(self, runner: Runner) -> Figure:
        peak = runner.said["peak_bytes"]
        if peak is None:
            peak = self._ask(runner, do="memory")["peak_bytes"]
        self._ask(runner, do="forget")
        return Figure.of_seconds(
            runner.peer,
            runner.seconds,
            first_seconds=runner.said["first_seconds"],
            peak_bytes=peak,
            error=runner.error,
            note=runner.said["note"],
        )

    def _dismiss_compiled(self) -> None:
        """A process that has compiled much is not asked again: each compilation begins cold."""
        for peer in (WHOLE, STEPWISE):
            self.crew.dismiss(f"peers.{PEERS[peer].module}")

    # ---- the row ----

    def _made(self, case: Case, figures: dict[str, Figure]) -> Row:
        cell = case.made()
        order = [figures[peer] for peer in PEERS if peer in figures]
        row = Row(case, tuple(order), flops(case, cell), step_bytes(case, cell))
        if case.batch != 1 or row.step_bytes < IN_CACHE:
            return row
        read = {"do": "measure", "what": "read", "size": row.step_bytes}
        said = self.crew.ask("limits", LONGEST, threads=case.threads, **read)
        passes = case.steps * (2 if case.is_training else 1)
        return replace(row, read_milliseconds=1e3 * said.get("seconds", math.nan) * passes)

    def peaks(self, libraries: Sequence[str], dtype: str, threads: int) -> dict[str, float]:
        """GFLOP/s of each library's best matrix product, measured one after the other."""
        found = {}
        for library in libraries:
            self.say(f"matrix products of {library}")
            order = {"do": "measure", "what": "product", "library": library}
            said = self.crew.ask("limits", LONGEST, dtype=dtype, threads=threads, **order)
            self.crew.dismiss("limits")  # its threads would spin beside the next one's
            found[library] = said.get("gflops", 0.0)
        return found
