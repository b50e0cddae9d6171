"""Numbers, steps and words as a command line and its files give them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import typer
import yaml

from elman.errors import Fact, FileProblem, NameProblem, WeightProblem, nearest
from elman.tasks.files import read_json, read_yaml
from elman.tasks.text import read_bytes

NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
STREAMS = ("--x", "--input", "--target")  # which may be words
AXES = {1: ["entry"], 2: ["row", "column"]}  # what the indices of an array count
STEP_AXES = {1: ["step"], 2: ["step", "entry"], 3: ["step", "row", "column"]}
Names = Sequence[str] | Mapping[str, Sequence[str]]


def by_name(texts: Sequence[str], option: str) -> dict[str, str]:
    """`["h=1,2"]` as `{"h": "1,2"}`."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise typer.BadParameter(f"{text!r} is not like NAME=1,2", param_hint=option)
        if name in found:
            raise typer.BadParameter(f"{name} is given twice", param_hint=option)
        found[name] = value
    return found


def steps(text: str, option: str, words: Sequence[str] = ()) -> list[list[float]]:
    """'1,2;1.5,2.5' as two steps of two, 'I;love' as two one-hot ones."""
    each = text.strip().rstrip(";").split(";")
    found = [_step(step.strip(), option, words) for step in each]
    if len({len(step) for step in found}) > 1:
        sizes = ", ".join(str(len(step)) for step in found)
        raise typer.BadParameter(f"the steps differ in size: {sizes}", param_hint=option)
    return found


def _step(text: str, option: str, words: Sequence[str]) -> list[float]:
    if words and (text in words or not _are_numbers(text)):
        return [float(k == place(text, words)) for k in range(len(words))]
    return numbers(text, option)


def place(word: str, words: Sequence[str]) -> int:
    """Where a word stands among the names; E444 with the nearest where it does not."""
    if word not in words:
        listed = ", ".join(words[:8]) + (", ..." if len(words) > 8 else "")
        raise NameProblem(
            "E444",
            f"{word!r} is not among the names",
            rule=f"The {len(words)} names are {listed}.",
            fix=nearest(word, words) or None,
        )
    return words.index(word)


def numbers(text: str, option: str) -> list[float]:
    """'1,2' as two numbers."""
    if not _are_numbers(text):
        message = f"{text!r} is not like 1,2 (numbers, with commas between)"
        if option in STREAMS and any(map(str.isalpha, text)):
            message += "; words are listed in a file: --names FILE"
        raise typer.BadParameter(message, param_hint=option)
    return [float(number) for number in text.split(",")]


def _are_numbers(text: str) -> bool:
    try:
        return bool([float(number) for number in text.split(",")])
    except ValueError:
        return False


def targets(text: str, option: str, words: Sequence[str], *, classes: bool) -> list[Any]:
    """What an output should be at each step: None where a step is left empty.

    With `classes`, a whole number, or a word, is the place of the right one.
    """
    found: list[Any] = []
    for step in (step.strip() for step in text.split(";")):
        if not step:
            found.append(None)
        elif classes and (step in words or (words and not _are_numbers(step))):
            found.append(place(step, words))
        elif classes and step.isdecimal():
            found.append(int(step))
        else:
            found.append(numbers(step, option))
    return found


def sizes(texts: Sequence[str]) -> dict[str, int]:
    """`["hidden=2"]` as `{"hidden": 2}`."""
    found = by_name(texts, "--size")
    wrong = [f"{name}={value}" for name, value in found.items() if not value.isdecimal()]
    if wrong:
        raise typer.BadParameter(f"{wrong[0]!r} is not like hidden=2", param_hint="--size")
    return {name: int(value) for name, value in found.items()}


def read_names(texts: Sequence[str]) -> Names | None:
    """The names of one file for all streams, or of a file for each: `["x=in.txt", "y=out.txt"]`."""
    if not texts:
        return None
    pairs = [re.fullmatch(r"(\w+)=(.+)", text) for text in texts]
    if len(texts) == 1 and pairs[0] is None:
        return _names_of(Path(texts[0]))
    if not all(pairs):
        message = "several files of names are given as x=FILE and y=FILE"
        raise typer.BadParameter(message, param_hint="--names")
    return {pair[1]: _names_of(Path(pair[2])) for pair in pairs if pair}


def _names_of(path: Path) -> list[str]:
    """The names in a file, one a line."""
    try:
        lines = read_bytes(path).decode("utf-8").removeprefix("\ufeff").splitlines()
    except UnicodeDecodeError as error:
        raise FileProblem("E604", f"{path} is not UTF-8: byte {error.start}") from None
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


def read_weights(path: Path) -> dict[str, Any]:
    """Numbers, lists and matrices by name from a YAML (or JSON) file; E606 names what is none."""
    is_json = path.suffix.lower() == ".json"
    value = read_json(path) if is_json else read_yaml(path)
    if not isinstance(value, dict) or not value:
        raise FileProblem(
            "E606",
            f"{path} must name its arrays",
            fix="As in:  W: [[0.5, 0.1]]  on one line and  b: 0.1  on the next.",
        )
    _check_names(path)
    value = {name: _numeric(array) for name, array in value.items()}
    wrong = [
        name for name, array in value.items() if not isinstance(name, str) or not _is_array(array)
    ]
    if wrong:
        facts = [Fact(str(name), repr(value[name])[:40], f"in {path}") for name in wrong]
        raise FileProblem(
            "E606",
            f"{path} holds something other than numbers: {', '.join(map(str, wrong))}",
            facts=facts,
            rule="Each name stands for a number, a list of numbers or a list of such lists.",
        )
    return value


def _check_names(path: Path) -> None:
    """E606 for a name that stands there twice, of which YAML would take the last."""
    first: dict[str, int] = {}
    try:
        tree = yaml.compose(read_bytes(path), Loader=yaml.SafeLoader)
    except yaml.YAMLError:  # JSON with tabs
        return
    for key, _ in tree.value if isinstance(tree, yaml.MappingNode) else ():
        name, line = str(key.value), key.start_mark.line + 1
        if name in first:
            headline = f"{path} names {name} twice, on line {first[name]} and line {line}"
            raise FileProblem("E606", headline, rule="Each name has one value.")
        first[name] = line


def _numeric(value: Any) -> Any:
    """1e-3 and -.5 as numbers: YAML takes them for words."""
    if isinstance(value, list):
        return [_numeric(entry) for entry in value]
    word = isinstance(value, str) and NUMBER.fullmatch(value)
    return float(value) if word else value


def _is_array(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(map(_is_array, value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_finite(name: str, value: Any, axes: Mapping[int, Sequence[str]]) -> None:
    """E508 for an array with a nan or an inf, which says where it is; `axes` what indices count."""
    plain = value.tolist() if isinstance(value, np.ndarray) else value
    for index, entry in _entries(plain):
        if not math.isfinite(entry):
            words = axes.get(len(index), ["axis"] * len(index))
            counted = (f"{word} {k + 1}" for word, k in zip(words, index, strict=True))
            raise WeightProblem(
                "E508",
                f"{name} is {entry}" + (f" at {', '.join(counted)}" if index else ""),
                rule="A worked example needs numbers that are finite.",
                fix="Write the number that was meant.",
            )


def _entries(value: Any) -> Iterator[tuple[tuple[int, ...], float]]:
    """Every number of nested lists, with its indices; rows may differ in length."""
    if isinstance(value, list):
        for k, each in enumerate(value):
            for index, entry in _entries(each):
                yield (k, *index), entry
    else:
        yield (), float(value)
