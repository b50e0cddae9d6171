"""What files give a cell: arrays by name, and the names of entries. None of them can run code."""

from __future__ import annotations

import io
import math
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from elman.cell.files import read_bytes, read_json, read_text
from elman.errors import Fact, FileProblem, NameProblem, WeightProblem

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

NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
MOST_DIGITS = 300  # of a whole number
ARRAYS = "Each name stands for a number, a list of numbers or a list of such lists."
AXES = {1: ["entry"], 2: ["row", "column"]}  # what the indices of an array count


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

    >>> _ = Path("w.yaml").write_text("W: [[-.5, 1e-3]]\\nb: 010")
    >>> read_arrays(Path("w.yaml"))
    {'W': [[-0.5, 0.001]], 'b': 10}

    Errors: WeightProblem E537 (no such format, or its package is missing), E505 (numbers that
    NumPy does not have), FileProblem E601-E604 (missing, folder, unreadable), E605-E607.
    """
    check_ending(path)
    ending = path.suffix.lower()
    if ending in TEXTS:
        return _read_json(path) if ending == ".json" else _read_yaml(path)
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
    safetensors = safetensors_package(path)
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


def safetensors_package(path: Path) -> Any:
    """The package that reads and writes such a file; E537 where it is not installed."""
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


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = read_json(path)
        tree = yaml.compose(read_text(path).replace("\t", " "), Loader=yaml.SafeLoader)
    except RecursionError:
        raise _too_deep(path) from None
    except yaml.YAMLError:  # it is JSON all the same
        tree = None
    if isinstance(tree, yaml.MappingNode):
        _check_names(path, tree)
    return _checked(path, value)


def _read_yaml(path: Path) -> dict[str, Any]:
    text = read_text(path).removeprefix("\ufeff")
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        if not isinstance(tree, yaml.MappingNode):
            return _checked(path, None)
        _check_names(path, tree)
        return _checked(path, {str(key.value): _value(node) for key, node in tree.value})
    except RecursionError:
        raise _too_deep(path) from None
    except yaml.YAMLError as error:
        raise no_yaml(path, error) from error


def no_yaml(path: Path, error: yaml.YAMLError) -> FileProblem:
    """E605 with the place that cannot be read."""
    mark = getattr(error, "problem_mark", None)
    place = f": line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    reason = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return FileProblem("E605", f"{path} is not YAML{place}: {reason}")


def _too_deep(path: Path) -> FileProblem:
    return FileProblem("E606", f"{path} is nested too deep", rule=ARRAYS)


def _value(node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [_value(each) for each in node.value]
    return {} if isinstance(node, yaml.MappingNode) else scalar(node)


def scalar(node: yaml.Node) -> Any:
    """A number, a text, or nothing.

    -.5 and 1e-3 are numbers, for YAML they are texts; 010 is ten, for YAML it is 8; `no` is a text.
    """
    if not getattr(node, "style", None) and NUMBER.fullmatch(node.value):
        is_whole = node.value.lstrip("+-").isdecimal() and len(node.value) < MOST_DIGITS
        return int(node.value) if is_whole else float(node.value)
    if not node.tag.endswith((":int", ":float", ":null")):
        return node.value
    try:
        return yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError):
        return node.value


def _check_names(path: Path, tree: yaml.MappingNode) -> None:
    """E606 for a name that stands there twice, of which others take the last."""
    first: dict[str, int] = {}
    for key, _ in tree.value:
        name, line = str(key.value), key.start_mark.line + 1
        if name in first:
            headline = f"{path} names {name} twice, on line {first[name]} and line {line}"
            raise FileProblem("E606", headline, rule="Each name has one value.")
        first[name] = line


def _checked(path: Path, value: Any) -> dict[str, Any]:
    """Numbers, lists and matrices by name; E606 names what is none."""
    if not isinstance(value, dict) or not value:
        raise FileProblem(
            "E606",
            f"{path} must name its arrays",
            fix="As in:  W: [[0.5, 0.1]]  on one line and  b: 0.1  on the next.",
        )
    wrong = {name: array for name, array in value.items() if not _is_array(array)}
    if wrong:
        raise FileProblem(
            "E606",
            f"{path} holds something other than numbers: {', '.join(wrong)}",
            facts=[Fact(name, repr(each)[:40], f"in {path}") for name, each in wrong.items()],
            rule=ARRAYS,
        )
    return value


def _is_array(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(map(_is_array, value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_finite(name: str, value: Any, axes: Mapping[int, Sequence[str]] = AXES) -> None:
    """E508 for an array with a nan or an inf, which says where it is; `axes` what indices count."""
    plain = value.tolist() if isinstance(value, np.ndarray) else value
    for index, entry in _entries(plain):
        if isinstance(entry, int | float) and not math.isfinite(entry):
            words = axes.get(len(index), ["axis"] * len(index))
            counted = (f"{word} {k + 1}" for word, k in zip(words, index, strict=True))
            raise WeightProblem(
                "E508",
                f"{name} is {entry}" + (f" at {', '.join(counted)}" if index else ""),
                rule="A worked example needs numbers that are finite.",
                fix="Write the number that was meant.",
            )


def _entries(value: Any) -> Iterator[tuple[tuple[int, ...], Any]]:
    """Every entry of nested lists, with its indices; rows may differ in length."""
    if isinstance(value, list):
        for k, each in enumerate(value):
            for index, entry in _entries(each):
                yield (k, *index), entry
    else:
        yield (), value


def read_names(path: Path) -> list[str]:
    """The names in a file, one a line.

    >>> _ = Path("words.txt").write_text("I\\nlove\\ndeep\\n")
    >>> read_names(Path("words.txt"))
    ['I', 'love', 'deep']

    Errors: FileProblem E601-E604 (missing, folder, unreadable, not UTF-8), E606 (no names);
    NameProblem E443 (an empty line, or a name that stands there twice).
    """
    lines = read_text(path).removeprefix("\ufeff").splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise FileProblem("E606", f"{path} names nothing", rule="It holds one name a line.")
    first: dict[str, int] = {}
    for count, line in enumerate(lines, 1):
        name = line.strip()
        if not name:
            rule = "It holds one name a line, and each entry of a vector has one."
            raise NameProblem("E443", f"line {count} of {path} is empty", rule=rule)
        if name in first:
            headline = f"{name!r} stands in {path} twice, on line {first[name]} and line {count}"
            rule = "Each entry of a vector has a name of its own."
            raise NameProblem("E443", headline, rule=rule)
        first[name] = count
    return list(first)
