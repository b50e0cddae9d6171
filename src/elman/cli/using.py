"""`elman evaluate` and `elman generate`: a trained model at work."""

from __future__ import annotations

import json as json_writer
import sys
from pathlib import Path

from elman.tasks import lm
from elman.tasks.text import read_text


def evaluate(run: Path, file: Path, *, json: bool) -> None:
    """Print how well a model foretells a text."""
    found = lm.evaluate(lm.load(run), read_text(file))
    figures = {
        "nats_per_char": found.nats_per_char,
        "bits_per_char": found.bits_per_char,
        "perplexity": found.perplexity,
        "characters": found.characters,
    }
    if json:
        print(json_writer.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:<14} {value:,.4f}" if isinstance(value, float) else f"{name:<14} {value:,}")


def generate(
    run: Path, prompt: str, length: int, temperature: float, top_k: int | None, seed: int | None
) -> None:
    """Print the prompt and, as it is drawn, what follows it."""
    model = lm.load(run)
    characters = lm.generate(
        model, prompt, length=length, temperature=temperature, top_k=top_k, seed=seed
    )
    sys.stdout.write(prompt)
    for character in characters:
        sys.stdout.write(character)
        sys.stdout.flush()
    sys.stdout.write("\n")
