"""What stands in a sheet: its keys, what belongs under each, and what to say of anything else."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from elman.errors import Fact, FileProblem
from elman.sheets.places import Path_, Tree, unknown_key

MOST_STEPS = 10_000
ABOUT = {
    "title": ("A title is a text.", "As in:  title: Exercise 1"),
    "cell": ("A cell is a name of the library or a file.", "As in:  cell: lstm"),
    "equations": ("Equations are a text, a line each.", "As in:  equations: h[t] = tanh(x[t])"),
    "latex": ("A page is a text.", r"As in:  latex: h_t = \tanh(W x_t + U h_{t-1})"),
    "weights": (
        "Weights are numbers by name, or the name of a .yaml or .npz file.",
        "As in:  weights: {W: [.4, .3], b: .1}",
    ),
    "inputs": (
        "Inputs are given by name, an entry for each step.",
        "As in:  inputs: {x: [[1, 2], [1.5, 2.5]]}  for two steps of two.",
    ),
    "state": ("States before the first step are numbers by name.", "As in:  state: {h: 0}"),
    "sizes": ("Sizes are whole numbers by name.", "As in:  sizes: {hidden: 3}"),
    "steps": (f"Steps are a whole number from 1 to {MOST_STEPS}.", "As in:  steps: 3"),
    "names": (
        "Names are a list of words, such lists by stream, or a file with a word on each line.",
        "As in:  names: [I, love, deep]",
    ),
    "digits": ("Digits are a whole number from 0 to 17.", "As in:  digits: 4"),
    "loss": (
        "A loss has a kind, targets by name, and a learning rate lr where a step is made.",
        "As in:  loss: {kind: squared_error, target: {y: [1]}, lr: .1}",
    ),
    "claims": (
        "Claims are what the page prints: a value, an equals sign made a colon, its numbers.",
        "As in:  claims: {'h[1]': .8005}",
    ),
    "questions": ("Questions are a list of texts.", 'As in:  questions: ["Why is h[1] = 0?"]'),
    "answers": ("Answers are a list of texts.", 'As in:  answers: ["Because x[1] is 0."]'),
}
Mapped = dict[str, Any]
Texts = list[str]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Loss(_Strict):
    """The loss on the outputs, and the step of gradient descent that follows."""

    kind: str
    target: Mapped
    lr: float | None = None


class Content(_Strict):
    """The keys of a sheet."""

    title: str = ""
    cell: str | None = None
    equations: str | None = None
    latex: str | None = None
    weights: Mapped | str = Field(default_factory=dict)
    inputs: Mapped = Field(default_factory=dict)
    state: Mapped = Field(default_factory=dict)
    sizes: dict[str, int] = Field(default_factory=dict)
    steps: Annotated[int, Field(ge=1, le=MOST_STEPS)] | None = None
    names: Texts | dict[str, Texts] | str = Field(default_factory=list)
    digits: Annotated[int, Field(ge=0, le=17)] = 4
    loss: Loss | None = None
    claims: Mapped = Field(default_factory=dict)
    questions: Texts = Field(default_factory=list)
    answers: Texts = Field(default_factory=list)


KEYS = tuple(Content.model_fields)
SOURCES = ("cell", "equations", "latex")
NEEDS_CELL = ("weights", "inputs", "state", "sizes", "steps", "loss")


def content_of(tree: Tree) -> Content:
    """The keys of a file, checked; FileProblem E621 to E624 names the first that is wrong."""
    try:
        content = Content.model_validate(tree.value)
    except ValidationError as error:
        raise _problem(tree, error) from None
    _check_sources(tree, content)
    return content


def _problem(tree: Tree, error: ValidationError) -> FileProblem:
    faults = error.errors()
    for fault in faults:
        if fault["type"] == "extra_forbidden":
            known = KEYS if len(fault["loc"]) == 1 else tuple(Loss.model_fields)
            return unknown_key(tree, fault["loc"], known)
    fault = faults[0]
    loc: Path_ = _within(tree, fault["loc"])
    rule, fix = ABOUT[str(loc[0])]
    given = _shortened(fault["input"])
    is_missing = fault["type"] == "missing"
    what = f"has no {fault['loc'][-1]}" if is_missing else f"{'.'.join(map(str, loc))} is {given}"
    return FileProblem(
        "E622",
        f"{tree.path}: the {loc[0]} {what}" if is_missing else f"{tree.path}: {what}",
        where=tree.where(*loc),
        rule=rule,
        fix=fix,
    )


def _within(tree: Tree, loc: Path_) -> Path_:
    """The part of a fault's place that the file has: pydantic adds the name of a union's member."""
    known: Path_ = ()
    for key in loc:
        if (*known, key) in tree.values:
            known = (*known, key)
    return known or loc[:1]


def _shortened(value: object) -> str:
    if value in (None, ""):
        return "empty"
    if isinstance(value, dict | list):
        return f"a {'mapping' if isinstance(value, dict) else 'list'}"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _check_sources(tree: Tree, content: Content) -> None:
    """One of cell, equations and latex; without one, claims that are arithmetic alone."""
    found = [key for key in SOURCES if getattr(content, key) is not None]
    if len(found) > 1:
        facts = [Fact(key, "given", f"on line {tree.keys[key,][0] + 1}") for key in found]
        raise FileProblem(
            "E623",
            f"{tree.path} gives its cell {'twice' if len(found) == 2 else 'three times'}",
            where=tree.where(found[1]),
            facts=facts,
            rule="A sheet is of one cell: by a name or a file, by equations, or by a page.",
            fix=f"Keep {found[0]} or {found[1]}.",
        )
    if found:
        return
    lonely = next((key for key in NEEDS_CELL if key in tree.value), None)
    if lonely:
        headline, where = f"there are {lonely}, but no cell", tree.where(lonely)
    elif not content.claims:
        headline, where = "there is neither a cell nor a claim", None
    else:
        return
    raise FileProblem(
        "E624",
        f"{tree.path}: {headline}",
        where=where,
        rule="A sheet says which network it works: cell, equations or latex.",
        fix="As in:  cell: lstm",
    )
