"""`elman trace`: every number of a cell on a few steps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer

from elman.cell import Cell
from elman.cell.friendly import STEPS, Numbers, friendly
from elman.cell.given_files import AXES, check_finite, read_arrays
from elman.cli import numbers as n
from elman.cli.cell_argument import find_cell
from elman.cli.said import said_as_a_command
from elman.cli.trace_options import Format, Loss
from elman.cli.trace_page import Page
from elman.errors import NameProblem, ShapeProblem, WeightProblem
from elman.sheets import Sheet, load
from elman.trace import Trace
from elman.trace.numbers import Digits

SHEETS = (".yaml", ".yml")
RANGE = re.compile(r"(\d+)(?:(-)(\d*))?")
DIGITS = 4
DRAWN = "Or let friendly numbers be drawn: --seed 1."


@dataclass(frozen=True)
class Asked:
    """What a command says, as it says it; None where it says nothing."""

    cell: str
    weights: Path | None = None
    x: str | None = None
    stream: Sequence[str] | None = None
    state: Sequence[str] | None = None
    size: Sequence[str] | None = None
    seed: int | None = None
    steps: str | None = None
    only: str | None = None
    names: Sequence[str] | None = None
    digits: int | None = None
    significant: int | None = None
    limit: int = 8
    rounded: bool = False
    cut: bool = False
    target: Sequence[str] | None = None
    loss: Loss | None = None
    cotangents: Sequence[str] | None = None
    lr: float | None = None
    format: Format | None = None
    json: bool = False
    output: Path | None = None
    width: int | None = None
    color: bool | None = None
    blank: bool = False

    @property
    def streams(self) -> list[str]:
        return ([f"x={self.x}"] if self.x is not None else []) + list(self.stream or [])

    def shown_digits(self, default: int = DIGITS) -> Digits:
        """As asked for, else as the sheet says."""
        if self.digits is not None and self.significant is not None:
            message = "decimals or significant digits, one of them"
            raise typer.BadParameter(message, param_hint="--digits, --significant")
        if self.significant is not None:
            return Digits(self.significant, True, self.limit)
        return Digits(default if self.digits is None else self.digits, False, self.limit)


def trace(asked: Asked) -> None:
    """Work a cell, or a sheet, and print it as asked."""
    if asked.json and asked.format not in (None, Format.json):
        raise typer.BadParameter("one of --json and --format", param_hint="--json")
    kind = Format.json if asked.json else asked.format
    page = Page(asked.shown_digits(), kind, asked.output, asked.width, asked.color, asked.blank)
    page.check()  # before any work
    if Path(asked.cell).suffix in SHEETS:
        worked, default = _of_sheet(asked)
        page = replace(page, digits=asked.shown_digits(default))
    else:
        worked = _of_cell(asked)
    page.print(_as_shown(worked, asked, page.digits))


def _as_shown(worked: Trace, asked: Asked, digits: Digits) -> Trace:
    """The lines, and the roundings, that were asked for."""
    if asked.only is not None:
        worked = worked.only(*(name.strip() for name in asked.only.split(",")))
    if asked.rounded or asked.cut:
        worked = worked.rounded(digits.count, digits.significant, asked.cut)
    return worked.with_given() if asked.blank or asked.seed is not None else worked


def _of_cell(asked: Asked) -> Trace:
    """A cell of the library or of a file, on the numbers that the command gives."""
    cell = find_cell(asked.cell)
    given = _Given(asked, cell, n.read_names(asked.names or ()))
    backward = given.backward()
    with said_as_a_command(asked.weights):
        numbers = given.numbers()
        given.check(numbers)
        is_full = not given.missing(numbers)
        if asked.seed is not None and (asked.blank or not (cell.random and is_full)):
            numbers = friendly(cell, asked.seed, numbers, names=given.names, anew=asked.blank)
        worked = numbers.trace(cell, asked.seed if cell.random else None, **backward)
        if given.names is not None:
            worked = worked.named(given.names)
    shown = _range(asked.steps)
    return worked.during(*shown[:2]) if shown and (given.is_counted or shown[2]) else worked


def _range(text: str | None) -> tuple[int, int | None, bool] | None:
    """First and last step of `2`, `1-3`, `2-`, and whether it is a range of several."""
    if text is None:
        return None
    match = RANGE.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is not like 2, 1-3 or 2-", param_hint="--steps")
    first, dash, last = match.groups()
    if not dash:
        return int(first), int(first), False
    return int(first), int(last) if last else None, True


class _Given:
    """The numbers of a command, for a cell."""

    def __init__(self, asked: Asked, cell: Cell, names: n.Names | None) -> None:
        self.asked, self.cell, self.names = asked, cell, names
        self.is_counted = any("t" in cell.typed.over[name] for name in cell.inputs)

    def words(self, name: str) -> Sequence[str]:
        """The names of the entries of a stream."""
        if isinstance(self.names, Mapping):
            return self.names.get(name, ())
        return self.names or ()

    def numbers(self) -> Numbers:
        asked = self.asked
        inputs = n.by_name(asked.streams, "--input")
        state = n.by_name(asked.state or (), "--state")
        return Numbers(
            {name: self.stream(name, text) for name, text in inputs.items()},
            read_arrays(asked.weights) if asked.weights else {},
            {name: n.numbers(text, "--state") for name, text in state.items()},
            n.sizes(asked.size or ()),
            self.run_steps(),
        )

    def stream(self, name: str, text: str) -> Any:
        option = "--x" if name == "x" else "--input"
        found = n.steps(text, option, self.words(name))
        is_per_step = "t" in self.cell.typed.over.get(name, "t")
        return found if is_per_step else found[0]

    def run_steps(self) -> int | None:
        """How many steps to run, where no input counts them."""
        shown = _range(self.asked.steps)
        if self.is_counted:
            return self.drawn_steps(shown[1] if shown else None)
        if shown is None or shown[1] is None:
            raise ShapeProblem(
                "E212",
                "nothing says how many steps to run",
                rule="The steps are counted by an input at [t], and the cell has none.",
                fix="Say how many: --steps 5.",
            )
        return shown[1]

    def drawn_steps(self, last: int | None) -> int | None:
        """How many steps are drawn, up to the last one that is to be shown; None as ever."""
        per_step = {name for name in self.cell.inputs if "t" in self.cell.typed.over[name]}
        is_given = per_step & {*n.by_name(self.asked.streams, "--input")}
        if self.asked.seed is None or is_given or last is None:
            return None
        return max(last, STEPS)

    def missing(self, numbers: Numbers) -> list[str]:
        inputs = [name for name in self.cell.inputs if name not in numbers.inputs]
        return inputs + [name for name in self.cell.parameters if name not in numbers.weights]

    def check(self, numbers: Numbers) -> None:
        """E405 and E501 where something is missing that no seed draws, E508 for nan and inf."""
        if self.asked.seed is None:
            self.check_all_given(numbers)
        for name, value in numbers.weights.items():
            check_finite(f"{name} in {self.asked.weights}", value)
        for name, value in numbers.inputs.items():
            is_per_step = "t" in self.cell.typed.over.get(name, "t")
            check_finite(f"the input {name}", value, n.STEP_AXES if is_per_step else AXES)
        for name, value in numbers.state.items():
            check_finite(f"the state {name}", value)

    def check_all_given(self, numbers: Numbers) -> None:
        if set(numbers.inputs) - {*self.cell.inputs}:
            return  # the cell says that it has no such input
        name = next(iter(self.missing(numbers)), None)
        if name in self.cell.inputs:
            option = "--x " if name == "x" else f"--input {name}="
            raise NameProblem(
                "E405",
                f"the input {name} is missing",
                rule=f"The cell reads {', '.join(self.cell.inputs)}.",
                fix=f'Give its steps, as in {option}"1,2;1.5,2.5" for two steps of two. {DRAWN}',
            )
        if name is not None and self.asked.weights is None:
            raise WeightProblem(
                "E501",
                f"the weight {name!r} is missing",
                rule=f"The cell needs {', '.join(self.cell.parameters)}.",
                fix="Write them into a file, as W: [[0.5, 0.1]], and name it: --weights my.yaml. "
                + DRAWN,
            )

    def backward(self) -> dict[str, Any]:
        """What the backward pass is of, if one is asked for."""
        asked = self.asked
        targets = n.by_name(asked.target or (), "--target")
        cotangents = n.by_name(asked.cotangents or (), "--cotangents")
        found: dict[str, Any] = {}
        if targets:
            loss = asked.loss or Loss.squared_error
            classes = loss is Loss.cross_entropy
            found["loss"] = str(loss)
            found["target"] = {
                name: n.targets(text, "--target", self.words(name), classes=classes)
                for name, text in targets.items()
            }
        elif asked.loss is not None:
            message = f"{asked.loss} needs what the outputs should be"
            raise typer.BadParameter(message, param_hint="--target")
        if cotangents:
            found["cotangents"] = {
                name: n.steps(text, "--cotangents") for name, text in cotangents.items()
            }
        if asked.lr is not None:
            found["lr"] = asked.lr
        return found


def _of_sheet(asked: Asked) -> tuple[Trace, int]:
    """The network of a sheet, on its numbers or on new ones; and its digits."""
    options = {
        "--weights": asked.weights,
        "--x": asked.x,
        "--input": asked.stream,
        "--state": asked.state,
        "--size": asked.size,
        "--target": asked.target,
        "--loss": asked.loss,
        "--cotangents": asked.cotangents,
        "--lr": asked.lr,
    }
    twice = [option for option, value in options.items() if value is not None and value != ()]
    sheet = load(asked.cell)
    if twice:
        message = f"{asked.cell} says its own numbers: change them there"
        raise typer.BadParameter(message, param_hint=twice[0])
    names = n.read_names(asked.names or ()) or sheet.words.given or None
    if asked.seed is None:
        worked = sheet.trace().asking(sheet.title, sheet.questions, sheet.answers)
    else:  # what is asked may be of the old numbers
        worked = _varied(sheet, asked.seed, names).asking(sheet.title)
    worked = worked.named(names) if names else worked
    shown = _range(asked.steps)
    return worked.during(*shown[:2]) if shown else worked, sheet.digits


def _varied(sheet: Sheet, seed: int, names: n.Names | None) -> Trace:
    """The example of a sheet on other numbers."""
    if sheet.cell is None:
        return sheet.trace()  # says that there is nothing to work
    given = sheet.arguments()
    parts = {name: given.pop(name) or {} for name in ("inputs", "weights", "state", "sizes")}
    numbers = Numbers(**parts, steps=given.pop("steps"))
    drawn = friendly(sheet.cell, seed, numbers, names=names, anew=True)
    return drawn.trace(sheet.cell, seed if sheet.cell.random else None, **given)
