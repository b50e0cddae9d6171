"""Run the examples of this folder, and keep what they print beside them.

python examples/lectures/run.py             say which examples print something new
python examples/lectures/run.py NAME ...    print what these print, as in: run.py rnn dinner
python examples/lectures/run.py --write     keep what every example prints in a .txt beside it

A sheet says after `# $` with which commands it is run; a script, with which others beside its own.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from elman import cli

HERE = Path(__file__).resolve().parent
NEEDS_TORCH = {"order_matters.py"}


def examples() -> list[Path]:
    """Every sheet and every script."""
    scripts = [path for path in HERE.glob("*.py") if path.name != "run.py"]
    return sorted([*HERE.glob("*.sheet.yaml"), *scripts])


def golden(path: Path) -> Path:
    """The file that holds what an example prints: rnn.sheet.txt beside rnn.sheet.yaml."""
    return path.with_suffix(".txt")


def can_run(path: Path) -> bool:
    return path.name not in NEEDS_TORCH or importlib.util.find_spec("torch") is not None


def commands(path: Path) -> list[str]:
    """How an example is run in this folder: what stands after `# $`, a script first as it is."""
    lines = path.read_text("utf-8").splitlines()
    own = [f"python {path.name}"] if path.suffix == ".py" else []
    return own + [line.removeprefix("# $ ") for line in lines if line.startswith("# $ ")]


def printed(path: Path) -> str:
    """Every command of an example, and below it what it prints."""
    return "\n".join(f"$ {command}\n{run(command)}" for command in commands(path))


def run(command: str) -> str:
    """What one command prints; an exit code other than 0 is said."""
    program, *arguments = shlex.split(command)
    with plain_folder():
        text, code = script(arguments) if program == "python" else command_line(arguments)
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join([*lines, f"(exit code {code})"] if code else lines) + "\n"


def script(arguments: list[str]) -> tuple[str, int]:
    """A script runs in a process of its own: it may set torch up as it likes."""
    ran = subprocess.run(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return ran.stdout, ran.returncode


def command_line(arguments: list[str]) -> tuple[str, int]:
    """`elman`, in this process, which spares a start for each command."""
    out = io.StringIO()
    with mock.patch.object(sys, "argv", ["elman", *arguments]), contextlib.redirect_stdout(out):
        try:
            cli.main()
        except SystemExit as end:
            if isinstance(end.code, str):  # a message
                return f"{out.getvalue()}{end.code}\n", 1
            return out.getvalue(), end.code or 0
    return out.getvalue(), 0


@contextlib.contextmanager
def plain_folder() -> Iterator[None]:
    """In this folder, on a terminal of 80 columns without colours."""
    plain = {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}
    with contextlib.chdir(HERE), mock.patch.dict(os.environ, plain):
        yield


def main(arguments: list[str]) -> None:
    known = {path.name.partition(".")[0]: path for path in examples()}
    names = [name for name in arguments if name != "--write"]
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"there is no example {unknown[0]}; there are {', '.join(known)}")
    for name in names:
        print(printed(known[name]))
    if not names:
        for path in filter(can_run, known.values()):
            keep(path, write="--write" in arguments)


def keep(path: Path, *, write: bool) -> None:
    """Write what an example prints, or say that it is not what is kept."""
    text = printed(path)
    if write:
        golden(path).write_text(text, "utf-8")
    elif not golden(path).exists() or golden(path).read_text("utf-8") != text:
        print(f"{path.name} prints something new")


if __name__ == "__main__":
    main(sys.argv[1:])
