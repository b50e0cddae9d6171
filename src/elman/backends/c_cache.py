"""Where compiled cells are kept: a folder of the user's own, whose files are whole or not there."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import stat
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """Where libraries are kept: `ELMAN_CACHE`, else the user's cache folder; mode 0700."""
    chosen = os.environ.get("ELMAN_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(chosen) if chosen else Path(home) / "elman"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
        if hasattr(os, "getuid") and found.st_uid != os.getuid():
            raise PermissionError(f"{folder} belongs to another user")
        if stat.S_IMODE(found.st_mode) & 0o077:
            folder.chmod(0o700)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(f"{folder} cannot be written")
    except OSError:
        return _private_folder()
    return folder


@functools.cache
def _private_folder() -> Path:
    """A folder of this process alone, where the cache cannot be used; gone when it ends."""
    folder = tempfile.mkdtemp(prefix="elman-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


MARK = b"elman: whole file of "  # and its length: the end of a library, which no loader minds


def is_whole(library: Path) -> bool:
    """Whether the file is there and has its end: half a library may load, and then crash."""
    try:
        with library.open("rb") as file:
            end = MARK + file.seek(0, os.SEEK_END).to_bytes(8, "little")
            file.seek(-len(end), os.SEEK_END)
            return file.read() == end
    except OSError:
        return False


def mark(file: Path) -> None:
    """Give a file the end that says it is whole."""
    with file.open("ab") as end:
        end.write(MARK + (end.tell() + len(MARK) + 8).to_bytes(8, "little"))


def replace_text(path: Path, text: str) -> None:
    """Write a small file that no other process ever reads half; without a word where it fails."""
    try:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            file.write(text)
        Path(file.name).replace(path)
    except OSError:
        return
