"""What is wrong, said with the options and the files of a command instead of Python's arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from elman.errors import ElmanError, WeightProblem

ARRAY = r"(?:the array given as )?"
LOSS, TARGET = r'loss="squared_error"', r'target=\{"y": \.\.\.\}'
SPOKEN: dict[str, str | Callable[[re.Match[str]], str]] = {
    rf'{ARRAY}inputs\["x"\]': "--x",
    rf'{ARRAY}inputs\["(\w+)"\]': r"--input \1",
    rf'{ARRAY}state\["([^"]+)"\]': r"--state \1",
    r'Pass sizes=\{"(\w+)": \.\.\.\}': r"Say it: --size \1=3",
    r'are given as \{"x": .*\}': "are given as --names x=FILE",
    r"Pass seed=": "Say --seed ",
    rf"Pass (?:{LOSS}, )?{TARGET}\.": 'Say --target y="0;1".',
    rf"Pass {LOSS}\.": "Say --loss squared_error.",
    r"Leave out cotangents, or loss and target": "Leave out --cotangents, or --loss and --target",
    r"Pass lr=": "Say --lr ",
    r"\blr=": "--lr ",
    r'cotangents\["(\w+)"\]': r"--cotangents \1",
    r'target\["(\w+)"\]\[(\d+)\]': lambda m: f"--target {m[1]} at step {int(m[2]) + 1}",
    r'target\["(\w+)"\] has (\d+) entr(?:y|ies)': lambda m: _count(m[1], int(m[2])),
    r"has its target, or None\.": "has its target, or is left empty.",
    r"For the last step alone: \[((?:None, )+)(.*)\]\.": lambda m: _last(m[1], m[2]),
}
LAYOUTS = {"torch": "'weight_ih", "keras": "'recurrent_kernel"}  # by a name that only it has
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
        error.rule = said(error.rule) if error.rule else None
        error.fix = said(error.fix) if error.fix else None
        is_theirs = isinstance(error, WeightProblem) and "--" not in error.headline
        if weights is not None and is_theirs and error.code in MENDED:  # of the file
            _name_file(error, weights)
        raise


def _last(nones: str, target: str) -> str:
    """`[None, [0.0, 1.0]]` as ";0,1"."""
    words = re.sub(r"[.]0\b|[][ ]", "", target)
    return f'For the last step alone: "{";" * nones.count("None")}{words}".'


def _count(name: str, count: int) -> str:
    return f"--target {name} has {count} step{'s' * (count != 1)}"


def _name_file(error: ElmanError, weights: Path) -> None:
    if str(weights) not in error.headline:
        error.headline = f"{weights}: {error.headline}"
    layout = next((name for name, mark in LAYOUTS.items() if mark in error.headline), None)
    if error.code == "E502" and layout is not None:
        command = f"elman convert {weights} --from {layout} --to elman -o elman.yaml"
        error.fix = f"They are in the layout of {layout}: {command}."
    if error.fix is None:
        quoted = re.search(r"'(\w+)'", error.headline)
        error.fix = MENDED[error.code].format(name=quoted[1] if quoted else "U")
