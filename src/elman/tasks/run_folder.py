"""The run folder: everything one training needs to go on, and what it has reached.

config.yaml              what the run was told, with every default resolved
env.json                 the machine and the versions it ran on
metrics.csv              one row a validation
checkpoint.safetensors   the whole state of the training, in one file
best/  last/             model folders
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from elman.errors import FileProblem
from elman.tasks.files import write_atomically

CONFIG, ENVIRONMENT, METRICS, CHECKPOINT = (
    "config.yaml",
    "env.json",
    "metrics.csv",
    "checkpoint.safetensors",
)
BEST, LAST = "best", "last"
COLUMNS = ("step", "epoch", "train_loss", "validation_loss", "learning_rate", "seconds")


class _Dumper(yaml.SafeDumper):
    """YAML that writes equations as lines."""


def _as_lines(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _as_lines)


@dataclass(frozen=True)
class RunFolder:
    """The places in a run folder."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / CONFIG

    @property
    def metrics(self) -> Path:
        return self.path / METRICS

    @property
    def checkpoint(self) -> Path:
        return self.path / CHECKPOINT

    @property
    def best(self) -> Path:
        return self.path / BEST

    @property
    def last(self) -> Path:
        return self.path / LAST

    def write_config(self, config: Mapping[str, Any]) -> None:
        text = yaml.dump(dict(config), Dumper=_Dumper, sort_keys=False, allow_unicode=True)
        write_atomically(self.config, text.encode())

    def add_metrics(self, row: Mapping[str, float]) -> None:
        """Append a row; floats are written so that reading gives the same number back."""
        with self.metrics.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow([repr(row[name]) for name in COLUMNS])

    def trim_metrics(self, step: int) -> None:
        """Drop the rows after a step (and one that a kill cut short), to be trained again."""
        text = self.metrics.read_text("utf-8", errors="replace") if self.metrics.exists() else ""
        rows = [row for row in csv.reader(io.StringIO(text)) if _stands(row, step)]
        lines = [",".join(row) + "\n" for row in [list(COLUMNS), *rows]]
        write_atomically(self.metrics, "".join(lines).encode())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second training out of the folder; the lock dies with its process."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise FileProblem("E613", f"another training is at work in {self.path}") from error
        finally:
            os.close(descriptor)


def _stands(row: list[str], step: int) -> bool:
    return len(row) == len(COLUMNS) and row[0].isdecimal() and int(row[0]) <= step


def open_run(path: Path) -> RunFolder:
    """The folder of a run to be resumed; E611 where there is none."""
    run = RunFolder(path)
    missing = [place.name for place in (run.config, run.checkpoint) if not place.is_file()]
    if missing:
        what = f"{path} lacks {' and '.join(missing)}" if path.is_dir() else f"no folder {path}"
        raise FileProblem(
            "E611",
            f"there is no run to resume: {what}",
            fix="Start one by leaving --resume out.",
        )
    return run


def check_new(path: Path, *, overwrite: bool) -> None:
    """E610 or E612 where a new run would lose what is at its place."""
    if path.is_dir() and not any(path.iterdir()):
        return
    if (path / CONFIG).is_file() and not overwrite:
        raise FileProblem(
            "E610",
            f"{path} already holds a run",
            fix="Go on with it by --resume, replace it by --overwrite, or give another folder.",
        )
    if path.exists() and not (path / CONFIG).is_file():
        kind = "a folder with other things in it" if path.is_dir() else "a file"
        raise FileProblem("E612", f"{path} is {kind}", fix="Give another folder for the run.")


@contextmanager
def new_run(path: Path, *, overwrite: bool) -> Iterator[RunFolder]:
    """A folder to fill beside its place; on leaving it takes its place whole, or not at all."""
    check_new(path, overwrite=overwrite)
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.mkdir()
    try:
        run = RunFolder(temporary)
        text = json.dumps(environment(), indent=2) + "\n"
        write_atomically(temporary / ENVIRONMENT, text.encode())
        run.trim_metrics(0)
        yield run
        _remove_run(path)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_run(path: Path) -> None:
    """Remove what a run has written and nothing else."""
    for name in (CHECKPOINT, METRICS, ENVIRONMENT, BEST, LAST, CONFIG):
        for place in (path / f"{name}.tmp", path / f".{name}.tmp", path / name):
            if place.is_dir():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)
    strangers = [place.name for place in path.iterdir()] if path.exists() else []
    if strangers:
        names = ", ".join(sorted(strangers)[:5])
        raise FileProblem("E612", f"{path} also holds {names}", fix="Move it away first.")


def environment() -> dict[str, Any]:
    """The machine and the versions, as env.json keeps them."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "processor": platform.machine(),
        "threads": torch.get_num_threads(),
    }
