"""Write README's table of speed from the results of a benchmark.

python benchmarks/readme_table.py benchmarks/results/results.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- speed: made by benchmarks/readme_table.py -->\n", "<!-- end of speed -->\n"
PEERS = ("torch.nn", "ONNX Runtime", "JAX scan", "torch eager")
CELLS = {
    "lstm_torch": "LSTM",
    "gru_reset_after": "GRU as torch has it",
    "rnn_torch": "RNN",
    "gru": "GRU above",
    "layer_norm_lstm": "LSTM with layer norm",
}


def main() -> None:
    (path,) = sys.argv[1:]
    results = json.loads(Path(path).read_text(encoding="utf-8"))
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(before + BEGIN + table(results) + END + after, encoding="utf-8")


def table(results: dict[str, Any]) -> str:
    """A row a case: Elman's milliseconds, and how many times longer each peer takes."""
    lines = [
        f"| cell | task | B, I, H | Elman ms | {' | '.join(PEERS)} |",
        f"|---|---|---|---:|{'---:|' * len(PEERS)}",
    ]
    lines += [row(found) for found in results["rows"]]
    machine, packages = results["machine"], results["machine"]["packages"]
    versions = ", ".join(f"{name} {packages[name]}" for name in ("torch", "jax", "onnxruntime"))
    best = max(value for value in results["peaks"]["float32"].values())
    return "\n".join(lines) + (
        f"\n\n{machine['date']}, {machine['processor']} with AVX-512, {machine['threads']} "
        f"threads, float32, T = 100 (50 where B is 64), {versions}.\n"
        f"The best matrix product that any of these libraries reached in the same run: {best:.0f} "
        "GFLOP/s.\n"
    )


def row(found: dict[str, Any]) -> str:
    case = found["case"]
    times = {figure["peer"]: figure["milliseconds"] for figure in found["figures"]}
    own = times["elman"]
    ratios = [f"{times[peer] / own:.2f}" if times.get(peer) else "-" for peer in PEERS]
    shape = f"{case['batch']}, {case['input_size']}, {case['hidden_size']}"
    cells = [CELLS.get(case["cell"], case["cell"]), case["task"], shape, f"{own:.3g}", *ratios]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
