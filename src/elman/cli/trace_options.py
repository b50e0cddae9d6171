"""The options of `elman trace`, each with its words."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

GIVEN, SHOWN, BACKWARD, PAGE = "What is given", "What is shown", "Backwards", "The page"


class Format(StrEnum):
    """How a page is written; `ENDINGS` says in which files."""

    text = "text"
    markdown = "markdown"
    latex = "latex"
    html = "html"
    csv = "csv"
    json = "json"


class Loss(StrEnum):
    """What is wrong with an output."""

    squared_error = "squared_error"
    half_squared_error = "half_squared_error"
    cross_entropy = "cross_entropy"


Source = Annotated[
    str,
    typer.Argument(
        metavar="CELL",
        help="A name from `elman cells`, a .cell file, a page (.tex, .md), or a .sheet.yaml.",
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Values of the parameters: .yaml, .json, .npz or .safetensors.",
        rich_help_panel=GIVEN,
    ),
]
X = Annotated[
    str | None,
    typer.Option(
        metavar="STEPS",
        help='"1,2;1.5,2.5" is two steps of two; with --names also "I;love".',
        rich_help_panel=GIVEN,
    ),
]
Input = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="NAME=STEPS",
        help="An input that is not called x.",
        rich_help_panel=GIVEN,
    ),
]
State = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUES", help="A state before the first step.", rich_help_panel=GIVEN
    ),
]
Sizes = Annotated[
    list[str] | None,
    typer.Option(
        "--size",
        metavar="NAME=N",
        help="A size that no number given says, as in hidden=2.",
        rich_help_panel=GIVEN,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        help="Draw what is random. Numbers that are not given become friendly ones; "
        "if all are given, all become new ones.",
        rich_help_panel=GIVEN,
    ),
]
Steps = Annotated[
    str | None,
    typer.Option(
        metavar="1-3",
        help="Which steps to show: 2, 1-3 or 2-. Where no input at \\[t] is given, also how many "
        "to run.",
        rich_help_panel=SHOWN,
    ),
]
Only = Annotated[
    str | None,
    typer.Option(metavar="z,h", help="Which equations to show.", rich_help_panel=SHOWN),
]
Names = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE",
        help="The words that entries stand for, one a line; x=FILE for one stream alone.",
        rich_help_panel=SHOWN,
    ),
]
DigitsOption = Annotated[
    int | None,
    typer.Option("--digits", min=0, max=17, help="Decimals.  (default: 4)", rich_help_panel=SHOWN),
]
Significant = Annotated[
    int | None,
    typer.Option(min=1, max=17, help="Digits from the first that is not 0.", rich_help_panel=SHOWN),
]
Limit = Annotated[
    int, typer.Option(min=4, help="Entries of a vector that are all shown.", rich_help_panel=SHOWN)
]
Rounded = Annotated[
    bool,
    typer.Option(
        "--round-as-you-go",
        help="Work as with a pencil: round what is written down, and go on with that.",
        rich_help_panel=SHOWN,
    ),
]
Cut = Annotated[
    bool,
    typer.Option(
        "--cut-as-you-go",
        help="The same, but further digits are left off.",
        rich_help_panel=SHOWN,
    ),
]
Target = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=STEPS",
        help='What an output should be: y="0;1"; a step left empty has none.',
        rich_help_panel=BACKWARD,
    ),
]
LossOption = Annotated[
    Loss | None, typer.Option("--loss", help="(default: squared_error)", rich_help_panel=BACKWARD)
]
Cotangents = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=STEPS",
        help='In place of a loss, dE/dh at each step: h="0;1".',
        rich_help_panel=BACKWARD,
    ),
]
LearningRate = Annotated[
    float | None,
    typer.Option("--lr", help="One step of gradient descent.", rich_help_panel=BACKWARD),
]
FormatOption = Annotated[
    Format | None,
    typer.Option("--format", help="(default: by the file's ending)", rich_help_panel=PAGE),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Short for --format json.", rich_help_panel=PAGE),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="A .txt, .md, .tex, .html, .csv or .json file.",
        rich_help_panel=PAGE,
    ),
]
Width = Annotated[
    int | None,
    typer.Option(min=40, max=1000, help="Columns of a text.", rich_help_panel=PAGE),
]
Color = Annotated[
    bool | None,
    typer.Option("--color/--no-color", help="(default: on a terminal)", rich_help_panel=PAGE),
]
Blank = Annotated[
    bool,
    typer.Option("--blank", help="An exercise with gaps, and its solution.", rich_help_panel=PAGE),
]
