"""Write docs/lectures.md: the gallery of examples/lectures, to be read from top to bottom.

python docs/make_lectures.py           writes the page

What an example prints is read from the .txt beside it; examples/lectures/run.py writes those.
"""

from __future__ import annotations

import ast
import itertools
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from elman import sheets

PAGE = Path(__file__).resolve().parent / "lectures.md"
FOLDER = PAGE.parents[1] / "examples" / "lectures"
LONGEST = 80  # lines of an output that is shown whole
BEGINNING, END = 44, 32  # of a longer one
WIDEST = 100
FOLDED = ("questions", "answers")  # the page has them below the numbers


class Chapter(NamedTuple):
    """Some examples under a heading."""

    title: str
    words: str
    names: tuple[str, ...]


CHAPTERS = (
    Chapter(
        "A network that remembers",
        "A recurrent network reads one input at a time and keeps a state. Each step computes the "
        "new state from the input and from the old state, with the same weights every time. The "
        "smallest one has a single unit, and everything that it does fits on a board.",
        ("rnn", "rnn_exercise", "rnn_relu", "rnn_logistic", "what_tanh_is_for"),
    ),
    Chapter(
        "Reading something out",
        "The state is not yet an answer. A read-out makes one of it: numbers as they are, or, "
        "behind a softmax, a chance for each of several classes.",
        ("rnn_read_out", "rnn_softmax", "rnn_letters"),
    ),
    Chapter(
        "Dinner",
        "A recurrent network that nobody has trained and that everybody understands: its weights "
        "are noughts and ones, put there by hand.",
        ("dinner_weather", "dinner_cycle", "dinner_week", "dinner"),
    ),
    Chapter(
        "The next word",
        "Words go in one-hot, and chances of words come out. The same network, asked again and "
        "again with its own answer, completes a sentence.",
        ("next_word", "next_word_exercise", "auto_completion"),
    ),
    Chapter(
        "Learning",
        "A loss says how far the output is from the target. Its gradient goes back through the "
        "steps, from the last to the first, and gradient descent moves every weight a little "
        "against it. On the way back the gradient is multiplied at every step: it vanishes or "
        "explodes, unless the cell is made so that it does not.",
        ("rnn_linear", "gradient_step", "gradient_descent", "vanishing", "order_matters"),
    ),
    Chapter(
        "Towards the LSTM",
        "The LSTM can be reached in three steps, each with a reason: select what is written out, "
        "select what is read in, select what is forgotten.",
        ("towards_the_lstm",),
    ),
    Chapter(
        "The LSTM",
        "Three gates and a memory. Notes differ in letters, and in whether a gate has two matrices "
        "or one for state and input together; the numbers are the same.",
        ("lstm", "lstm_exercise", "lstm_concatenated", "lstm_gamma"),
    ),
    Chapter(
        "The LSTM, backwards",
        "Backpropagation through time by hand: three steps of a cell of one unit.",
        ("lstm_scalar", "lstm_scalar_backward"),
    ),
    Chapter(
        "The GRU and its conventions",
        "Two gates, no separate memory, and four versions of the same three equations in "
        "circulation. Whoever compares numbers has to know which one is meant.",
        (
            "gru",
            "gru_exercise",
            "gru_take_new",
            "gru_take_new_exercise",
            "gru_gamma",
            "gru_conventions",
        ),
    ),
    Chapter(
        "Deeper, and from both ends",
        "Cells are stacked, one reading what another remembers, or run against time, so that a "
        "word is seen in the light of what comes after it.",
        ("deep_rnn", "bidirectional"),
    ),
    Chapter(
        "What goes in and what comes out",
        "The same cells serve five kinds of task. They differ in how many inputs are read before "
        "how many outputs are said.",
        ("one_to_one", "one_to_many", "many_to_one", "many_to_many", "prices", "encoder_decoder"),
    ),
    Chapter(
        "Slips",
        "Notes are written by people. A sheet holds the numbers that a page claims, and `elman "
        "check` says of each whether it is right, rounded, cut off, or wrong, and why. Slips need "
        "no network:",
        ("arithmetic",),
    ),
)
HEAD = """# The lectures, worked

The networks and the worked examples of lectures on recurrent networks, with all of their numbers.
Each is a file of [examples/lectures](../examples/lectures): a *sheet*, with equations, weights,
inputs, and what a page claims to come out, or a short script. The commands are run in that folder.

`elman trace` works the equations as on a board, `elman check` compares a page's numbers with the
true ones. With `--blank` a sheet becomes an exercise, and `--format html`, `latex` or `markdown`
prints it for a class.

This page is written by `make docs`. Of long outputs the middle is left out; the whole one is in the
file named there.
"""


def source(name: str) -> Path:
    """The sheet or the script of that name."""
    sheet = FOLDER / f"{name}.sheet.yaml"
    return sheet if sheet.exists() else FOLDER / f"{name}.py"


def fenced(text: str, language: str) -> str:
    return f"```{language}\n{text.strip(chr(10))}\n```"


def about(path: Path) -> tuple[str, str]:
    """The title of an example, and what it says of itself."""
    if path.suffix == ".py":
        words = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        first, _, rest = words.partition("\n")
        return first.rstrip("."), rest.strip()
    comments = itertools.takewhile(is_prose, path.read_text("utf-8").splitlines())
    return sheets.load(path).title, " ".join(line.removeprefix("# ") for line in comments)


def is_prose(line: str) -> bool:
    """A line of a sheet's first comment, before its commands."""
    return line.startswith("# ") and not line.startswith("# $")


def equations(path: Path) -> str:
    """The equations of a sheet as one types them; a script prints its own."""
    cell = None if path.suffix == ".py" else sheets.load(path).cell
    if cell is None:
        return ""
    lines = [line for line in str(cell).splitlines() if not line.startswith("#")]
    return fenced("\n".join(lines), "python")


def outputs(path: Path) -> Iterator[str]:
    """Each command with what it prints, of long ones the beginning and the end."""
    golden = path.with_suffix(".txt")
    for part in ("\n" + golden.read_text("utf-8")).split("\n$ ")[1:]:
        sections = f"$ {part}".strip("\n").split("\n\n")
        kept = [each for each in sections if each.partition("\n")[0] not in FOLDED]
        yield fenced("\n\n".join(shortened(kept, golden.name)), "text")


def shortened(sections: list[str], file: str) -> list[str]:
    """The beginning, whole sections from the end, and between them how many lines are left out."""
    if height(sections) <= LONGEST:
        return sections
    begun, rest = parted(sections)
    last = fitting(rest[::-1], END)
    left_out, end = rest[: len(rest) - last], rest[len(rest) - last :]
    return [*begun, f"... {height(left_out)} lines, in {file} ...", *end]


def parted(sections: list[str]) -> tuple[list[str], list[str]]:
    """Sections that make a beginning, and the rest; a long section is parted between its lines."""
    first = max(fitting(sections, BEGINNING), 1)
    begun, rest = sections[:first], sections[first:]
    room = BEGINNING - height(begun)
    if room < BEGINNING // 2:
        return begun, rest
    lines = rest[0].split("\n")
    return [*begun, "\n".join(lines[:room])], ["\n".join(lines[room:]), *rest[1:]]


def fitting(sections: list[str], most: int) -> int:
    """How many sections make at most so many lines."""
    return sum(height(sections[:count]) <= most for count in range(1, len(sections) + 1))


def height(sections: list[str]) -> int:
    return sum(each.count("\n") + 2 for each in sections) - 1


def questions(path: Path) -> str:
    """What to ask a class, the answers folded away."""
    sheet = None if path.suffix == ".py" else sheets.load(path)
    if sheet is None or not sheet.questions:
        return ""
    asked = "\n".join(f"{n}. {text}" for n, text in enumerate(sheet.questions, 1))
    told = "\n".join(f"{n}. {text}" for n, text in enumerate(sheet.answers, 1))
    return f"{asked}\n\n<details><summary>Answers</summary>\n\n{told}\n\n</details>"


def wrapped(text: str) -> str:
    return textwrap.fill(text, WIDEST, break_long_words=False, break_on_hyphens=False)


def entry(name: str) -> str:
    path = source(name)
    title, words = about(path)
    link = f"[{path.name}](../examples/lectures/{path.name})"
    said = wrapped(f"{words} ({link})")
    parts = [f"### {title}", said, equations(path), *outputs(path), questions(path)]
    return "\n\n".join(part for part in parts if part)


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for chapter in CHAPTERS:
        parts += [f"## {chapter.title}", wrapped(chapter.words), *map(entry, chapter.names)]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
