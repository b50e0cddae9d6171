"""What came out: a row for each case, a figure or a reason for each peer; as JSON and back."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from elman.bench.case import Case
from elman.bench.peers import ELMAN, PEERS

VERSION = 1


@dataclass(frozen=True)
class Figure:
    """What one peer took for a case, or why it has no figure."""

    peer: str
    why_not: str = ""
    milliseconds: float = math.nan  # the median
    quartiles: tuple[float, float] = (math.nan, math.nan)
    calls: int = 0
    first_seconds: float = math.nan  # of the first call, compiling and all
    peak_bytes: int = 0
    error: float = math.nan  # furthest from the reference, relative
    note: str = ""

    @property
    def has_run(self) -> bool:
        return not self.why_not

    @classmethod
    def of_seconds(cls, peer: str, seconds: Sequence[float], **more: Any) -> Figure:
        """The median and the quartiles of calls."""
        times = sorted(1e3 * s for s in seconds)
        low, middle, high = statistics.quantiles(times, n=4) if len(times) > 1 else [times[0]] * 3
        return cls(peer, "", middle, (low, high), len(times), **more)


@dataclass(frozen=True)
class Row:
    """A case and its figures; `flops` are those of one call."""

    case: Case
    figures: tuple[Figure, ...]
    flops: int
    step_bytes: int = 0
    read_milliseconds: float = math.nan  # to read `step_bytes` once for every step

    def __getitem__(self, peer: str) -> Figure:
        return next(f for f in self.figures if f.peer == peer)

    @property
    def elman(self) -> Figure:
        return self[ELMAN]

    def ratio(self, figure: Figure) -> float:
        """The peer's time by Elman's: below 1 the peer is faster."""
        return figure.milliseconds / self.elman.milliseconds

    def gflops(self, figure: Figure) -> float:
        """Billions of floating-point operations a second."""
        return self.flops / figure.milliseconds / 1e6

    @property
    def best(self) -> Figure | None:
        """The fastest peer that is not Elman."""
        rivals = [f for f in self.figures if f.has_run and not PEERS[f.peer].own]
        return min(rivals, key=lambda f: f.milliseconds, default=None)


@dataclass(frozen=True)
class Results:
    """All rows of a run, and what they were measured on."""

    machine: Mapping[str, Any]
    rows: tuple[Row, ...] = ()
    peaks: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # dtype -> GFLOP/s

    def peak(self, dtype: str) -> float:
        """The best matrix product of any library, in GFLOP/s."""
        return max(self.peaks.get(dtype, {}).values(), default=math.nan)

    def with_row(self, row: Row) -> Results:
        return Results(self.machine, (*self.rows, row), self.peaks)

    def to_json(self) -> dict[str, Any]:
        rows = [_row_as_json(row, self.peak(row.case.dtype)) for row in self.rows]
        body = {"version": VERSION, "machine": dict(self.machine), "peaks": dict(self.peaks)}
        means = [mean.to_json() for mean in geometric_means(self.rows)]
        return _without_nan({**body, "rows": rows, "geometric_means": means})

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Results:
        return cls(found["machine"], tuple(map(_row_from_json, found["rows"])), found["peaks"])


def _row_as_json(row: Row, peak: float) -> dict[str, Any]:
    figures = []
    for figure in row.figures:
        made = asdict(figure)
        if figure.has_run:
            made["gflops"] = row.gflops(figure)
            made["share_of_peak"] = row.gflops(figure) / peak
            if row.elman.has_run:
                made["ratio"] = row.ratio(figure)
        figures.append(made)
    own = {name: getattr(row, name) for name in ("flops", "step_bytes", "read_milliseconds")}
    return {"key": row.case.key, "case": row.case.to_json(), **own, "figures": figures}


def _row_from_json(found: Mapping[str, Any]) -> Row:
    names = Figure.__dataclass_fields__
    figures = []
    for given in found["figures"]:
        known: dict[str, Any] = {k: _with_nan(v) for k, v in given.items() if k in names}
        low, high = map(_with_nan, known.pop("quartiles"))
        figures.append(Figure(**known, quartiles=(low, high)))
    own = (found["flops"], found["step_bytes"], _with_nan(found["read_milliseconds"]))
    return Row(Case.from_json(found["case"]), tuple(figures), *own)


def _with_nan(value: Any) -> Any:
    return math.nan if value is None else value


def _without_nan(found: Any) -> Any:
    """JSON has no NaN: null."""
    if isinstance(found, Mapping):
        return {str(k): _without_nan(v) for k, v in found.items()}
    if isinstance(found, list | tuple):
        return [_without_nan(v) for v in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found


@dataclass(frozen=True)
class Mean:
    """How much faster than the best peer of each shape: the geometric mean, and the worst shape."""

    cell: str
    task: str
    shapes: int
    ratio: float
    lowest: float
    lowest_at: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def geometric_means(rows: Iterable[Row]) -> list[Mean]:
    """One for each cell and task, then over all cells of a task."""
    groups: dict[tuple[str, str], list[tuple[float, Row]]] = {}
    for row in rows:
        if row.elman.has_run and row.best is not None:
            ratio = row.ratio(row.best)
            for cell in (row.case.cell, "all"):
                groups.setdefault((row.case.task, cell), []).append((ratio, row))
    found = []
    order = sorted(groups, key=lambda key: (key[0], key[1] == "all"))
    for task, cell in order:
        group = groups[task, cell]
        low, row = min(group, key=lambda pair: pair[0])
        logs = [math.log(ratio) for ratio, _ in group]
        where = f"{row.case.cell} {shape_of(row.case)}" if cell == "all" else shape_of(row.case)
        mean = math.exp(statistics.fmean(logs))
        found.append(Mean(cell, task, len(group), mean, low, where))
    return found


def shape_of(case: Case) -> str:
    """`B, I, H`, and T where it is not the usual 100.

    >>> shape_of(Case("rnn", "", 50, 1, 16, 32, "inference"))
    '1, 16, 32; T=50'
    """
    more = "" if case.steps == 100 else f"; T={case.steps}"
    return f"{case.batch}, {case.input_size}, {case.hidden_size}{more}"
