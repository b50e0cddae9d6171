"""Arrays by name to files: .safetensors, .npz, .yaml and .json."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from elman.cell.given_files import check_ending, safetensors_package
from elman.errors import FileProblem, WeightProblem
from elman.tasks.files import write_atomically


def check_output(path: Path, *, overwrite: bool) -> None:
    """E537, E538, E602 and E601 before any work is done for a file that cannot be written."""
    check_ending(path)
    if path.suffix.lower() == ".safetensors":
        safetensors_package(path)
    if path.is_dir():
        raise FileProblem("E602", f"{path} is a folder, not a file", fix="Name a file in it.")
    if not path.parent.is_dir():
        raise FileProblem("E601", f"there is no folder {path.parent}", fix="Make it first.")
    if path.exists() and not overwrite:
        raise WeightProblem(
            "E538",
            f"{path} is there already",
            rule="A file of weights is not replaced unasked.",
            fix="Name another one, or add --overwrite.",
        )


def write_arrays(path: Path, arrays: Mapping[str, Any], words: str) -> None:
    """Write arrays to a file, whole or not at all; `words` is a comment where the format has them.

    Errors: WeightProblem E537, FileProblem E603 (cannot be written).
    """
    ending = path.suffix.lower()
    if ending == ".npz":
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        data = buffer.getvalue()
    elif ending == ".safetensors":
        data = safetensors_package(path).numpy.save(dict(arrays))
    else:
        data = (to_json(arrays) if ending == ".json" else to_yaml(arrays, words)).encode()
    try:
        write_atomically(path, data)
    except OSError as error:
        raise FileProblem(
            "E603",
            f"{path} cannot be written: {error.strerror}",
            fix="Name a folder that can be written to.",
        ) from None


def to_json(arrays: Mapping[str, Any]) -> str:
    """Arrays as JSON, one a line; each number reads back as the same float64."""
    rows = (f"  {json.dumps(name)}: {json.dumps(a.tolist())}" for name, a in arrays.items())
    return "{\n" + ",\n".join(rows) + "\n}\n"


def to_yaml(arrays: Mapping[str, Any], words: str) -> str:
    """Arrays as YAML under a comment; each number reads back as the same float64.

    >>> print(to_yaml({"b": np.array([0.5, 1e-7])}, "two numbers"), end="")
    # two numbers
    b: [0.5, 1.0e-07]
    """
    plain = {name: array.tolist() for name, array in arrays.items()}
    text = yaml.safe_dump(plain, default_flow_style=None, sort_keys=False, width=100)
    return f"# {words}\n{text}"
