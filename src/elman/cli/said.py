"""What is wrong, said with the options and the files of a command instead of Python's arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from elman.errors import ElmanError, WeightProblem

ARRAY = r"(?:the array given as )?"
SPOKEN = {
    rf'{ARRAY}inputs\["x"\]': "--x",
    rf'{ARRAY}inputs\["(\w+)"\]': r"--input \1",
    rf'{ARRAY}state\["([^"]+)"\]': r"--state \1",
    r'Pass sizes=\{"(\w+)": \.\.\.\}': r"Say it: --size \1=3",
    r'are given as \{"x": .*\}': "are given as --names x=FILE",
    r"Pass seed=": "Say --seed ",
}
# what to do about weights of a file, where the message does not say
MENDED = {
    "E501": "Write it into the file, as in  {name}: 0.5.",
    "E502": "Take it out of the file.",
    "E503": "Write it so in the file.",
    "E504": "Write it as a number, a list of numbers, or a list of lists that are equally long.",
}


@contextmanager
def said_as_a_command(weights: Path | None) -> Iterator[None]:
    """What is wrong is said with the options and the file that it was given by."""
    try:
        yield
    except ElmanError as error:
        spoken = {rf'{ARRAY}weights\["(\w+)"\]': rf"\1 in {weights}" if weights else r"\1"} | SPOKEN

        def said(text: str) -> str:
            for pattern, words in spoken.items():
                text = re.sub(pattern, words, text)
            return text

        error.headline = said(error.headline)
        error.facts = tuple(replace(fact, origin=said(fact.origin)) for fact in error.facts)
        error.fix = said(error.fix) if error.fix else None
        if weights is not None and isinstance(error, WeightProblem) and error.code in MENDED:
            _name_file(error, weights)
        raise


def _name_file(error: ElmanError, weights: Path) -> None:
    if str(weights) not in error.headline:
        error.headline = f"{weights}: {error.headline}"
    if error.fix is None:
        quoted = re.search(r"'(\w+)'", error.headline)
        error.fix = MENDED[error.code].format(name=quoted[1] if quoted else "U")
