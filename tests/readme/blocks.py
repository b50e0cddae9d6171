"""Run the blocks of a Markdown page, and compare what they print with what the page says.

    ```python           runs, in one namespace per section (a `##` heading starts a section)
    ```text, ```c       right after a python block: what that block prints
    ```console          each `$ command` runs in a shell; the lines below it are what it prints
    <!-- not run: needs 5 minutes -->   before a block: it is not run, for that reason
    <!-- exit 1 -->                     before a console block: its last command ends with 1

`...` in a printed text stands for anything. ```sh and ```make blocks must say why they are not run.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import unified_diff
from pathlib import Path

RUN = {"python", "console", "sh", "bash", "shell", "make"}
PRINTED = {"text", "c"}
_COMMENT = re.compile(r"<!--\s*(.*?)\s*-->")


@dataclass(frozen=True)
class Block:
    """One fenced block: its first word, its text, its line, the comment above it."""

    kind: str
    text: str
    line: int
    comment: str = ""
    printed: str | None = None

    @property
    def not_run(self) -> str:
        word, _, reason = self.comment.partition(":")
        return reason.strip() if word == "not run" else ""

    @property
    def exit_code(self) -> int:
        return int(self.comment.removeprefix("exit ")) if self.comment.startswith("exit ") else 0


def sections(page: str) -> dict[str, list[Block]]:
    """The blocks of a page, in order, by the `##` heading they stand under."""
    found: dict[str, list[Block]] = {}
    heading, comment, after_python = "", "", False
    lines = iter(enumerate(page.splitlines(), 1))
    for number, line in lines:
        if line.startswith("```"):
            block = Block(line[3:].split(" ")[0], "\n".join(_fenced(lines)), number, comment)
            here = found.setdefault(heading, [])
            if after_python and block.kind in PRINTED:
                here[-1] = replace(here[-1], printed=block.text)
            else:
                here.append(block)
            comment, after_python = "", block.kind == "python"
        elif match := _COMMENT.fullmatch(line.strip()):
            comment = match[1]
        elif line.strip():
            heading = line[3:].strip() if line.startswith("## ") else heading
            comment, after_python = "", False
    return found


def _fenced(lines: Iterator[tuple[int, str]]) -> Iterator[str]:
    for _, line in lines:
        if line.startswith("```"):
            return
        yield line
    raise AssertionError("a fenced block is never closed")


def run_section(blocks: list[Block], folder: Path) -> None:
    """Run every block in `folder`; an AssertionError names the first whose words are not true."""
    namespace: dict[str, object] = {"__name__": "readme"}
    for block in blocks:
        if block.kind in RUN and not block.not_run:
            run_block(block, namespace, folder)


def run_block(block: Block, namespace: dict[str, object], folder: Path) -> None:
    if block.kind == "python":
        _run_python(block, namespace, folder)
    elif block.kind == "console":
        _run_console(block, folder)
    else:
        raise AssertionError(
            f"line {block.line}: a {block.kind} block is never run; say why above it, "
            "`<!-- not run: ... -->`, or make it a console block"
        )


def _run_python(block: Block, namespace: dict[str, object], folder: Path) -> None:
    out = io.StringIO()
    code = compile("\n" * block.line + block.text, "README.md", "exec")  # tracebacks name the line
    with contextlib.chdir(folder), contextlib.redirect_stdout(out):
        exec(code, namespace)
    if block.printed is not None:
        compare(block.printed, out.getvalue(), f"line {block.line}")


def _run_console(block: Block, folder: Path) -> None:
    commands = commands_of(block)
    binaries = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    plain = {"PATH": binaries, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    for position, (command, printed) in enumerate(commands):
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env={**os.environ, **plain},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # as a person sees it
            text=True,
            check=False,
        )
        wanted = block.exit_code if position == len(commands) - 1 else 0
        where = f"line {block.line}, `{command}`"
        assert ran.returncode == wanted, f"{where} ended with {ran.returncode}:\n{ran.stdout}"
        compare(printed, ran.stdout, where)


def commands_of(block: Block) -> list[tuple[str, str]]:
    """`$ a \\` and its continuation, `> b`, make one command; what follows is its printed text."""
    commands: list[tuple[str, str]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], ""))
            continue
        assert commands, f"line {block.line}: a console block starts with `$ command`"
        command, printed = commands[-1]
        if line.startswith("> ") and not printed:
            commands[-1] = (f"{command}\n{line[2:]}", printed)
        else:
            commands[-1] = (command, f"{printed}{line}\n")
    return commands


def compare(printed: str, real: str, where: str) -> None:
    """Raise with a diff unless `real` is `printed`, where `...` stands for anything."""
    printed, real = _trimmed(printed), _trimmed(real)
    pattern = ".*?".join(re.escape(part) for part in printed.split("..."))
    if not re.fullmatch(pattern, real, flags=re.DOTALL):
        diff = unified_diff(
            printed.splitlines(), real.splitlines(), "the page", "what is printed", lineterm=""
        )
        raise AssertionError(f"{where}:\n" + "\n".join(diff))


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
