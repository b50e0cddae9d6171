"""A cell's text from a file and to one; a file is written whole or not at all."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from elman.errors import FileProblem


def read_text(path: Path) -> str:
    """The text of a file in UTF-8; FileProblem E601 to E604 where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileProblem("E601", f"there is no file {path}") from None
    except IsADirectoryError:
        raise FileProblem(
            "E602", f"{path} is a folder, not a .cell file", fix="Name a file in it."
        ) from None
    except UnicodeDecodeError as error:
        raise FileProblem(
            "E604", f"{path} is not UTF-8 text", rule=f"Byte {error.start} cannot be read."
        ) from None
    except OSError as error:
        raise FileProblem("E603", f"{path} cannot be read: {error.strerror}") from None


def check_is_file(path: Path) -> None:
    """E602 where a folder stands in the place of a file to be written."""
    if path.is_dir():
        raise FileProblem("E602", f"{path} is a folder, not a file", fix="Name a file in it.")


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
