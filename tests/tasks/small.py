"""A text and a network small enough to be trained in a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import elman
from elman.tasks import lm_training
from elman.tasks.lm_training import Trained
from elman.tasks.progress import Silent

OPTIONS = {
    "steps": 24,
    "validate_every": 6,
    "hidden_size": 8,
    "embedding_size": 4,
    "batch_size": 3,
    "sequence_length": 7,
    "warmup_steps": 2,
    "dropout": 0.25,
    "seed": 5,
}


def write_text(folder: Path, characters: int = 600) -> Path:
    """A text of random words, the same every time."""
    random = np.random.default_rng(7)
    words = ["tide", "boat", "sand", "gull", "a", "the", "is", "was", "öl"]
    text = " ".join(random.choice(words, size=characters)).replace("gull ", "gull\n")
    path = folder / "text.txt"
    path.write_text(text[:characters], encoding="utf-8")
    return path


def start(folder: Path, name: str = "run", cell: str = "gru", **options: object) -> Trained:
    """A training from its start, in folder/name."""
    return lm_training.start(
        write_text(folder),
        elman.cells[cell],
        folder / name,
        options={**OPTIONS, **options},
        display=Silent(),
    )


def resume(run: Path) -> Trained:
    return lm_training.resume(run, display=Silent())


def losses(run: Path) -> list[list[str]]:
    """The rows of metrics.csv without the seconds, which no two runs share."""
    rows = (run / "metrics.csv").read_text("utf-8").splitlines()
    return [row.split(",")[:-1] for row in rows]
