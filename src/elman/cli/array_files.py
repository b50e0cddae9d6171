"""Arrays by name in files: .safetensors, .npz, .yaml and .json, none of which can run code."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from elman.cli.numbers import read_weights
from elman.errors import FileProblem, WeightProblem
from elman.tasks.files import write_atomically
from elman.tasks.text import read_bytes

TEXTS = (".yaml", ".yml", ".json")
ENDINGS = (".safetensors", ".npz", *TEXTS)
PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl")
# How a file of another program becomes one that is read here.
SAVED = {
    ".npy": 'Save it by name: numpy.savez("weights.npz", weight_ih_l0=array, ...).',
    ".h5": 'In Keras: numpy.savez("weights.npz", **{w.path: w.numpy() for w in layer.weights}).',
    ".onnx": 'Save the operator\'s inputs: numpy.savez("weights.npz", W=..., R=..., B=...), '
    "each from onnx.numpy_helper.to_array(initializer).",
}
SAVED[".keras"] = SAVED[".h5"]
TORCH_SAVED = 'In torch: safetensors.torch.save_file(module.state_dict(), "weights.safetensors").'


def check_ending(path: Path) -> None:
    """E537 for a file whose ending is of no format that is read and written here."""
    ending = path.suffix.lower()
    if ending in ENDINGS:
        return
    pickled = ending in PICKLES
    raise WeightProblem(
        "E537",
        f"{path} is of a format that is not read" if ending else f"{path} has no ending",
        rule="It may hold a pickle, which can run code when it is opened."
        if pickled
        else f"Weights are kept in {', '.join(ENDINGS)}.",
        fix=TORCH_SAVED if pickled else SAVED.get(ending),
    )


def read_arrays(path: Path) -> dict[str, Any]:
    """The arrays of a file by name; its ending says in which format.

    Errors: WeightProblem E537 (no such format, or its package is missing), E505 (numbers that
    NumPy does not have), FileProblem E601-E604 (missing, folder, unreadable), E605-E607.
    """
    check_ending(path)
    ending = path.suffix.lower()
    if ending in TEXTS:
        return read_weights(path)
    data = read_bytes(path)
    return _read_npz(path, data) if ending == ".npz" else _read_safetensors(path, data)


def _read_npz(path: Path, data: bytes) -> dict[str, Any]:
    try:
        file = np.load(io.BytesIO(data), allow_pickle=False)
        return {name: file[name] for name in file.files}
    except (ValueError, AttributeError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise FileProblem(
            "E607",
            f"{path} cannot be read as .npz",
            rule="It holds arrays of numbers, as numpy.savez writes them, and no objects.",
            fix="Save it again, or copy it again if it was cut short.",
        ) from error


def _read_safetensors(path: Path, data: bytes) -> dict[str, Any]:
    safetensors = _safetensors(path)
    try:
        return dict(safetensors.numpy.load(data))
    except KeyError as error:  # a number format that it does not know
        raise WeightProblem(
            "E505",
            f"{path} holds numbers of the format {error.args[0]}",
            rule="Weights are float16, float32 or float64.",
            fix="In torch: save {name: tensor.float() for name, tensor in state_dict.items()}.",
        ) from None
    except (safetensors.SafetensorError, ValueError) as error:
        raise FileProblem(
            "E607",
            f"{path} is damaged: it cannot be read as safetensors",
            rule="The file was cut short or changed after it was written.",
            fix="Copy it again.",
        ) from error


def _safetensors(path: Path) -> Any:
    try:
        import safetensors.numpy
    except ModuleNotFoundError:
        raise WeightProblem(
            "E537",
            f"{path} needs the package safetensors, which is not installed",
            rule="It comes with Elman's extra torch; .npz needs nothing.",
            fix='Install it: pip install "elman[torch]".',
        ) from None
    return safetensors


def check_output(path: Path, *, overwrite: bool) -> None:
    """E537, E538, E602 and E601 before any work is done for a file that cannot be written."""
    check_ending(path)
    if path.suffix.lower() == ".safetensors":
        _safetensors(path)
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
        data = _safetensors(path).numpy.save(dict(arrays))
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
