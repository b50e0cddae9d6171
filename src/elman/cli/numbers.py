"""Numbers, steps and words as a command line and its files give them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from elman.cell.given_files import read_names as names_of
from elman.errors import NameProblem, nearest

STREAMS = ("--x", "--input", "--target")  # which may be words
STEP_AXES = {1: ["step"], 2: ["step", "entry"], 3: ["step", "row", "column"]}  # of a stream
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
        return names_of(Path(texts[0]))
    if not all(pairs):
        message = "several files of names are given as x=FILE and y=FILE"
        raise typer.BadParameter(message, param_hint="--names")
    return {pair[1]: names_of(Path(pair[2])) for pair in pairs if pair}
