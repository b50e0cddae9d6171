"""Write files so that a reader, or a kill at any moment, meets the old or the new one whole."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from elman.cell.files import read_text
from elman.cell.given_files import no_yaml
from elman.errors import Fact, FileProblem

Model = TypeVar("Model", bound=BaseModel)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file in one step; an unfinished attempt leaves a `.tmp` that the next reuses."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def sha256(text: str) -> str:
    """The hash that tells whether a text is still the one it was."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def read_yaml(path: Path) -> Any:
    """The value in a YAML file; E605 names the line that is not YAML."""
    try:
        return yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise no_yaml(path, error) from error


def read_model(model: type[Model], value: Any, path: Path) -> Model:
    """A file's value checked against what belongs there; E606 names each key that does not fit."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = [
            Fact(
                ".".join(map(str, fault["loc"])) or "the file",
                _shortened(fault["input"]),
                fault["msg"],
            )
            for fault in error.errors()
        ]
        names = ", ".join(dict.fromkeys(fault.name for fault in faults))
        raise FileProblem(
            "E606", f"{path} does not hold what it should: {names}", facts=faults
        ) from error


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
