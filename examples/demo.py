"""The whole way in under three minutes: four equations become a network that writes Python.

    make demo            or            python examples/demo.py [MINUTES]

Reads examples/gru.cell, trains it on the source text of Python's own standard library, and sets
what it reaches beside a Kneser-Ney n-gram model of the same text, and its speed beside torch's GRU.
"""

from __future__ import annotations

import statistics
import sys
import sysconfig
import time
from pathlib import Path

import torch

import elman
from elman.tasks import lm, lm_training
from elman.tasks.lm_training import Trained, in_nats_and_bits

CELL = Path(__file__).with_name("gru.cell")
TEXT, RUN = Path("runs/demo.txt"), Path("runs/demo")
CHARACTERS = 1_500_000
MINUTES = 1.75
STEP = (128, 32, 64, 256)  # time, batch, input, hidden


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES
    cell = elman.Cell.load(CELL)
    print(f"{CELL.name}:\n\n{cell}\n")
    TEXT.parent.mkdir(exist_ok=True)
    TEXT.write_text(standard_library(CHARACTERS), encoding="ascii")
    options = {"minutes": minutes, "hidden_size": STEP[3], "embedding_size": STEP[2]}
    trained = lm_training.start(TEXT, cell, RUN, options=options, overwrite=True)
    if trained.outcome.ended == "interrupted":
        sys.exit(f"\nstopped; go on with: elman train lm --resume -o {RUN}")
    report(trained)
    sample(RUN)
    compare_speed(cell)


def standard_library(characters: int) -> str:
    """Source text of the standard library's modules in alphabetical order, those in plain ASCII."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    parts: list[str] = []
    for path in sorted(folder.glob("*.py")):
        data = path.read_bytes()
        if data.isascii():
            parts.append(data.decode("ascii"))
        if sum(map(len, parts)) >= characters:
            break
    return "".join(parts)[:characters]


def report(trained: Trained) -> None:
    """What the network reaches, beside what counting alone reaches on the same text."""
    counted = trained.counted
    print("\nvalidation loss on the last tenth of the text")
    if trained.outcome.best is not None:
        print(f"  the four equations     {in_nats_and_bits(trained.outcome.best)}")
    print(f"  {counted.order}-gram Kneser-Ney     {in_nats_and_bits(counted.nats_per_char)}")


def sample(run: Path) -> None:
    """What the network writes."""
    print("\na sample (temperature 0.7)\n")
    prompt = "    def __init__(self"
    text = "".join(lm.generate(lm.load(run), prompt, length=400, temperature=0.7, seed=1))
    print("\n".join(f"    | {line}" for line in (prompt + text).splitlines()))


def compare_speed(cell: elman.Cell) -> None:
    """Medians of training steps (forward and backward), the two layers in turn."""
    steps, batch, inputs, hidden = STEP
    x = torch.randn(steps, batch, inputs)
    layers = {
        "the four equations": elman.nn.Recurrent(cell, inputs, hidden),
        "torch.nn.GRU": torch.nn.GRU(inputs, hidden),
    }
    times: dict[str, list[float]] = {name: [] for name in layers}
    for _ in range(12):
        for name, layer in layers.items():
            before = time.perf_counter()
            layer(x)[0].sum().backward()
            times[name].append(time.perf_counter() - before)
    print(
        f"\none training step of the layer (T={steps}, B={batch}, I={inputs}, H={hidden}), median"
    )
    for name in layers:
        print(f"  {name:<22} {statistics.median(times[name][2:]) * 1e3:8.1f} ms")
    print(
        "  (torch's GRU resets after the product, these equations before it, as the paper has it)"
    )


if __name__ == "__main__":
    main()
