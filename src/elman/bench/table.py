"""Results as Markdown: every peer of every case, what it took, and why it has no figure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator

from elman.bench.machine import described
from elman.bench.peers import ELMAN, PEERS
from elman.bench.results import Figure, Mean, Results, Row, geometric_means, shape_of

HEAD = (
    "| B, I, H | peer | ms | Elman ms | ratio | GFLOP/s | Elman's | Elman's share of peak "
    "| first call s | Elman's | MB | Elman's | remark |"
)
RULE = "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|"
FASTER = "◄"  # beside a ratio below 1
LEGEND = (
    f"ratio: the peer's time divided by Elman's; **below 1 {FASTER}** the peer is faster. "
    "ms: the median of a call. first call: with compiling. MB: what a call takes at most, beyond "
    "what stood before. Share of peak: of the best matrix product of any library in this run."
)


def markdown(results: Results) -> str:
    """The whole page."""
    parts = [described(dict(results.machine)), LEGEND, *_peaks(results)]
    order = sorted(results.rows, key=lambda row: row.case.task)
    for task, rows in itertools.groupby(order, key=lambda row: row.case.task):
        parts.append(f"## {task}")
        for cell, group in itertools.groupby(rows, key=lambda row: row.case.cell):
            parts.append(f"### {cell}")
            parts.append("\n".join(lines(list(group), results.peak)))
    parts += ["## Geometric means", "\n".join(_means(geometric_means(results.rows)))]
    return "\n\n".join(parts) + "\n"


def lines(rows: Iterable[Row], peak: object = None) -> Iterator[str]:
    """A table of rows; `peak` gives the GFLOP/s of a type."""
    yield HEAD
    yield RULE
    for row in rows:
        best = peak(row.case.dtype) if callable(peak) else math.nan
        for figure in row.figures:
            if figure.peer != ELMAN:
                yield _line(row, figure, best)
        if not math.isnan(row.read_milliseconds):
            took, read = row.elman.milliseconds, row.read_milliseconds
            yield _cells(
                shape_of(row.case),
                "reading the weights",
                _number(read),
                _number(took),
                f"{read / took:.2f}",
                remark=f"{row.step_bytes / 1e6:.1f} MB for each step: a bound, not a peer",
            )


def _line(row: Row, figure: Figure, peak: float) -> str:
    shape, own = shape_of(row.case), row.elman
    if not figure.has_run:
        return _cells(shape, figure.peer, elman=_number(own.milliseconds), remark=figure.why_not)
    ratio = row.ratio(figure)
    return _cells(
        shape,
        figure.peer,
        _number(figure.milliseconds),
        _number(own.milliseconds),
        _marked(ratio, PEERS[figure.peer].own),
        f"{row.gflops(figure):.0f}",
        f"{row.gflops(own):.0f}",
        f"{row.gflops(own) / peak:.0%}" if peak == peak else "",
        f"{figure.first_seconds:.2f}",
        f"{own.first_seconds:.2f}",
        f"{figure.peak_bytes / 1e6:.1f}",
        f"{own.peak_bytes / 1e6:.1f}",
        figure.note,
    )


def _cells(
    shape: str, peer: str, ms: str = "", elman: str = "", *rest: str, remark: str = ""
) -> str:
    """A line of the table, empty cells where there is nothing."""
    count = HEAD.count("|") - 1
    cells = [shape, peer, ms, elman, *rest]
    if remark:
        cells += [""] * (count - 1 - len(cells)) + [remark]
    cells += [""] * (count - len(cells))
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"


def plain(row: Row, peak: float = math.nan) -> str:
    """One case for a terminal, the fastest first."""
    case = row.case
    rates = {f.peer: row.ratio(f) for f in row.figures if f.has_run}
    head = f"{case.cell}, {case.task}: T={case.steps}, B={case.batch}, I={case.input_size}, "
    head += f"H={case.hidden_size}, {case.dtype}, {case.threads} threads"
    table: list[tuple[str, ...]] = [("", "ms", "ratio", "GFLOP/s", "first call s", "MB", "")]
    for figure in sorted(row.figures, key=lambda f: rates.get(f.peer, math.inf)):
        table.append(_plain_cells(row, figure))
    widths = [max(len(line[k]) for line in table) for k in range(6)]
    body = [
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:6], widths[1:]), line[6]])
        for line in table
    ]
    told = [head, *(line.rstrip() for line in body)]
    if peak == peak:
        share = row.gflops(row.elman) / peak
        told.append(f"the best matrix product here: {peak:.0f} GFLOP/s; Elman's share {share:.0%}")
    if not math.isnan(row.read_milliseconds):
        told.append(f"to read the weights once for every step: {_number(row.read_milliseconds)} ms")
    return "\n".join(told)


def _plain_cells(row: Row, figure: Figure) -> tuple[str, ...]:
    if not figure.has_run:
        return (figure.peer, "", "", "", "", "", figure.why_not)
    ratio = row.ratio(figure)
    faster = f"{FASTER} faster" if ratio < 1 and not PEERS[figure.peer].own else ""
    return (
        figure.peer,
        _number(figure.milliseconds),
        f"{ratio:.2f}",
        f"{row.gflops(figure):.0f}",
        f"{figure.first_seconds:.2f}",
        f"{figure.peak_bytes / 1e6:.1f}",
        "  ".join(filter(None, (faster, figure.note))),
    )


def _marked(ratio: float, own: bool) -> str:
    if ratio >= 1 or own:
        return f"{ratio:.2f}"
    return f"**{_below_one(ratio)} {FASTER}**"


def _below_one(ratio: float) -> str:
    """As many digits as it takes to see that it is below 1."""
    return f"{ratio:.2f}" if ratio < 0.995 else f"{ratio:.3f}" if ratio < 0.9995 else "0.999"


def _number(milliseconds: float) -> str:
    """Three figures: 0.0123, 1.23, 123."""
    if not milliseconds > 0:
        return ""
    digits = max(0, 2 - math.floor(math.log10(milliseconds)))
    return f"{milliseconds:.{digits}f}"


def _means(means: Iterable[Mean]) -> Iterator[str]:
    yield "| task | cell | shapes | geometric mean of the ratio | lowest | at |"
    yield "|---|---|---:|---:|---:|---|"
    for mean in means:
        low = _marked(mean.lowest, False)
        yield (
            f"| {mean.task} | {mean.cell} | {mean.shapes} | {_marked(mean.ratio, False)} | {low} "
            f"| {mean.lowest_at} |"
        )


def _peaks(results: Results) -> list[str]:
    found = []
    for dtype, by_library in results.peaks.items():
        speeds = ", ".join(f"{name} {g:.0f}" for name, g in by_library.items() if g)
        found.append(f"Best matrix product in {dtype}, GFLOP/s: {speeds}.")
    return found
