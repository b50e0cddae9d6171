"""Every block of the README is run, and prints what the README says it prints."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from tests.readme.blocks import Block, commands_of, run_section, sections

README = Path(__file__).parents[2] / "README.md"
SECTIONS = sections(README.read_text("utf-8")) if README.exists() else {}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder for the whole page: a file that one section writes, a later one may read."""
    return tmp_path_factory.mktemp("readme")


def test_there_is_a_readme():
    assert README.exists()


@pytest.mark.parametrize("heading", SECTIONS)
def test_section(heading, folder):
    run_section(SECTIONS[heading], folder)


def page(text: str) -> list[Block]:
    return next(iter(sections(dedent(text)).values()))


TRUE = {
    "python": """
        ```python
        print(1 + 1)
        ```

        ```text
        2
        ```
        """,
    "ellipsis": """
        ```python
        print("a\\nb\\nc")
        ```
        ```text
        a
        ...
        c
        ```
        """,
    "one namespace": """
        ```python
        x = 1
        ```
        and later
        ```python
        assert x == 1
        ```
        """,
    "console": """
        ```console
        $ printf 'one\\n'
        one
        $ echo two \\
        > three
        two three
        ```
        """,
    "exit code": """
        <!-- exit 3 -->
        ```console
        $ echo no; exit 3
        no
        ```
        """,
    "not run": """
        <!-- not run: needs an hour -->
        ```sh
        make everything
        ```
        """,
    "other languages": """
        ```yaml
        a: 1
        ```
        """,
}
FALSE = {
    "raises": """
        ```python
        undefined_name
        ```
        """,
    "prints something else": """
        ```python
        print(1 + 1)
        ```
        ```text
        3
        ```
        """,
    "console prints something else": """
        ```console
        $ echo two
        one
        ```
        """,
    "console prints more": """
        ```console
        $ echo one; echo two
        one
        ```
        """,
    "prints nothing where a text stands": """
        ```console
        $ true
        one
        ```
        """,
    "fails": """
        ```console
        $ exit 1
        ```
        """,
    "should have failed": """
        <!-- exit 1 -->
        ```console
        $ true
        ```
        """,
    "no reason": """
        <!-- not run: -->
        ```sh
        exit 1
        ```
        """,
    "shell without a word": """
        ```sh
        make install
        ```
        """,
    "the reason stands above another block": """
        <!-- not run: needs an hour -->
        Some words.
        ```console
        $ exit 1
        ```
        """,
    "no command": """
        ```console
        two
        ```
        """,
}


@pytest.mark.parametrize("name", TRUE)
def test_a_true_page_passes(name, tmp_path):
    run_section(page(TRUE[name]), tmp_path)


@pytest.mark.parametrize("name", FALSE)
def test_a_false_page_fails(name, tmp_path):
    with pytest.raises((AssertionError, NameError)):
        run_section(page(FALSE[name]), tmp_path)


def test_an_unclosed_block_is_found():
    with pytest.raises(AssertionError, match="never closed"):
        sections("```python\nprint(1)\n")


def test_sections_and_files_are_kept_apart(tmp_path):
    found = sections("## One\n```python\nx = 1\n```\n## Two\n```python\nx\n```\n")
    assert list(found) == ["One", "Two"]
    run_section(found["One"], tmp_path)
    with pytest.raises(NameError):
        run_section(found["Two"], tmp_path)


def test_a_continued_command_is_one_command():
    assert commands_of(Block("console", "$ a \\\n> b\nout\n$ c", 1)) == [
        ("a \\\nb", "out\n"),
        ("c", ""),
    ]
