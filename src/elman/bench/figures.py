"""Results as pictures: how much longer each peer takes than Elman, a dot for each shape."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from elman.bench.peers import PEERS
from elman.bench.results import Results, Row, shape_of

# told apart without colour: by form, and by whether they are filled
MARKS = {
    "torch.nn": ("o", "black"),
    "torch eager": ("x", "black"),
    "torch.compile": ("s", "white"),
    "torch.compile step": ("s", "0.6"),
    "JAX scan": ("^", "white"),
    "ONNX Runtime": ("D", "0.6"),
    "torchrecurrent": ("+", "black"),
}
ACROSS = 3  # panels beside each other


def write_figures(results: Results, folder: Path) -> list[Path]:
    """`inference.png`, `inference.svg` and so on; nothing where matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        return []
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "elman"  # the same results, the same file
    written = []
    for task in sorted({row.case.task for row in results.rows}):
        rows = [row for row in results.rows if row.case.task == task and row.elman.has_run]
        figure = _figure(task, rows)
        for ending in ("png", "svg"):
            path = folder / f"{task}.{ending}"
            figure.savefig(path, dpi=150, metadata={"Date": None} if ending == "svg" else None)
            written.append(path)
    return written


def _figure(task: str, rows: Sequence[Row]) -> Any:
    """A panel for each cell, a line of dots for each shape."""
    from matplotlib.figure import Figure

    cells = {cell: list(group) for cell, group in itertools.groupby(rows, lambda r: r.case.cell)}
    across = min(ACROSS, len(cells))
    down = -(-len(cells) // across)
    most = max(len(group) for group in cells.values())
    size = (1.2 + 3.6 * across, 1.2 + down * (0.9 + 0.28 * most))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(down, across, squeeze=False, sharex=True).ravel()
    for panel, (cell, group) in zip(panels, cells.items(), strict=False):
        _panel(panel, cell, group)
    for panel in panels[len(cells) :]:
        panel.set_visible(False)
    _legend(figure, rows)
    figure.suptitle(
        f"{task}: time of a peer divided by Elman's (right of the line: Elman is faster)"
    )
    return figure


def _panel(panel: Any, cell: str, rows: Sequence[Row]) -> None:
    panel.set_title(cell, fontsize="medium")
    panel.set_xscale("log")
    panel.axvline(1, color="black", linewidth=1)
    panel.grid(axis="x", which="major", color="0.85", linewidth=0.6)
    for line, row in enumerate(rows):
        for figure in row.figures:
            if figure.has_run and not PEERS[figure.peer].own:
                mark, fill = MARKS[figure.peer]
                colors = (
                    {"color": fill} if mark in "x+" else {"facecolor": fill, "edgecolor": "black"}
                )
                panel.scatter(row.ratio(figure), line, marker=mark, s=36, zorder=3, **colors)
    panel.set_yticks(range(len(rows)), [shape_of(row.case) for row in rows], fontsize="small")
    panel.set_ylim(len(rows) - 0.4, -0.6)
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _legend(figure: Any, rows: Iterable[Row]) -> None:
    from matplotlib.lines import Line2D

    seen = {f.peer for row in rows for f in row.figures if f.has_run}
    handles = [
        Line2D([], [], linestyle="", marker=mark, markerfacecolor=fill, color="black", label=peer)
        for peer, (mark, fill) in MARKS.items()
        if peer in seen
    ]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize="small")
