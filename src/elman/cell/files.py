"""What a file holds, as bytes, text or JSON; and a text to a file, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from elman.errors import ElmanError, FileProblem, nearest


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, or a FileProblem that names it: E601 to E603."""
    if path.is_dir():
        raise FileProblem("E602", f"{path} is a folder, not a file", fix="Name a file in it.")
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        hint = nearest(path.name, _names_like(path))
        raise FileProblem("E601", f"there is no file {path}", fix=hint or None) from error
    except OSError as error:
        raise FileProblem("E603", f"{path} cannot be read: {error.strerror}") from error


def _names_like(path: Path) -> list[str]:
    """The files beside it that have its ending."""
    try:
        return [each.name for each in path.parent.iterdir() if each.suffixes == path.suffixes]
    except OSError:
        return []


def read_text(path: Path) -> str:
    """The text of a file in UTF-8; FileProblem E601 to E604 where it cannot be read."""
    try:
        text = read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileProblem(
            "E604", f"{path} is not UTF-8 text", rule=f"Byte {error.start} cannot be read."
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: Path) -> Any:
    """The value in a JSON file; E605 names the line that is not JSON."""
    try:
        return json.loads(read_text(path).removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise FileProblem(
            "E605", f"{path} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error


def check_is_file(path: Path) -> None:
    """E602 where a folder stands in the place of a file to be written."""
    if path.is_dir():
        raise FileProblem("E602", f"{path} is a folder, not a file", fix="Name a file in it.")


@contextmanager
def placed_in(path: Path) -> Iterator[None]:
    """An error in what a file holds says in which file."""
    try:
        yield
    except ElmanError as error:
        if error.where is None:
            error.headline = f"{path}: {error.headline}"
        else:
            error.where = replace(error.where, label=f"{error.where.label} in {path}")
        raise


def write_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all; FileProblem E602 and E603 where that cannot be."""
    check_is_file(path)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise FileProblem(
            "E603",
            f"{path} cannot be written: {error.strerror}",
            fix="Name a folder that exists and can be written to.",
        ) from None
