"""How long the first call of a new cell takes: with an empty cache, and from the disk.

Each figure is a fresh process in which torch and elman.nn are imported; the clock runs from the
text of the cell to the numbers of a first call of the layer. `--all` takes every cell there is.

    python benchmarks/bench_first_call.py [--all] [cells ...]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence

SOME = (
    *(
        "rnn_torch",
        "gru",
        "gru_reset_after",
        "lstm",
        "lstm_torch",
        "lstm_peephole",
        "cifg",
        "lstmp",
    ),
    *("layer_norm_lstm", "multiplicative_lstm", "rhn", "indrnn", "mgu", "nbrc", "lem", "min_gru"),
    *("mogrifier_lstm", "nas_cell", "mi_rnn", "fast_weights"),
)

ONE = """
import json, sys, time
import torch
import elman.nn
text = open(sys.argv[1]).read()
x = torch.zeros(4, 2, 8)
torch.nn.functional.linear(x, torch.zeros(8, 8)).sum()  # torch's own first call is not ours
begin = time.perf_counter()
cell = elman.Cell(text)
read = time.perf_counter()
sizes = {*filter(str.isidentifier, cell.typed.aliases.values())} - {"input", "hidden"}
layer = elman.nn.Recurrent(cell, 8, 8, sizes=dict.fromkeys(sizes, 8))
with torch.no_grad():
    layer(*[x] * min(1, len(cell.inputs)), **{name: x for name in cell.inputs[1:]})
end = time.perf_counter()
print(json.dumps({"seconds": end - begin, "read": read - begin, "backend": layer.explain()}))
"""


def first_call(text: str, cache: str) -> dict[str, float | str] | str:
    """The seconds of a first call in a process of its own, or why there is none."""
    with tempfile.NamedTemporaryFile("w", suffix=".cell") as file:
        file.write(text)
        file.flush()
        done = subprocess.run(
            [sys.executable, "-c", ONE, file.name],
            env={**os.environ, "ELMAN_CACHE": cache},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        return done.stderr.strip().splitlines()[-1]
    found: dict[str, float | str] = json.loads(done.stdout)
    return found if str(found["backend"]).startswith("c:") else str(found["backend"])


def measure(names: Sequence[str]) -> list[tuple[str, float, float]]:
    """(cell, seconds with an empty cache, seconds from the disk)."""
    import elman

    rows = []
    for name in names:
        with tempfile.TemporaryDirectory() as cache:
            found = [first_call(str(elman.cells[name]), cache) for _ in range(2)]
        if isinstance(found[0], str) or isinstance(found[1], str):
            print(f"{name:<28} not measured: {found[0]}")
            continue
        cold, warm = (float(each["seconds"]) for each in found if isinstance(each, dict))
        rows.append((name, cold, warm))
        print(f"{name:<28} {cold:6.2f} s   {warm * 1000:6.1f} ms", flush=True)
    return rows


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("cells", nargs="*")
    options.add_argument("--all", action="store_true", help="every cell of the library")
    given = options.parse_args()
    import elman

    print(f"{'first call of a layer':<28}    cold    from the disk")
    rows = measure(given.cells or (tuple(elman.cells) if given.all else SOME))
    for k, title, unit in ((1, "cold", 1.0), (2, "from the disk, in milliseconds", 1000.0)):
        seconds = [float(row[k]) * unit for row in rows]
        worst = sorted(rows, key=lambda row: -float(row[k]))[:5]
        print(f"{title}: median {statistics.median(seconds):.3g}, worst:")
        for row in worst:
            print(f"  {row[0]:<26} {float(row[k]) * unit:.3g}")


if __name__ == "__main__":
    main()
