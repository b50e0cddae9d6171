"""What a page claims: an expression over names at their steps, and the numbers printed for it."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.errors import ElmanError, Fact, FileProblem, Where, nearest
from elman.language.functions import FUNCTIONS, arguments
from elman.language.read_expression import read_expression
from elman.language.source import Fault, source
from elman.language.syntax import At, Call, Expr, Name, walk
from elman.sheets.page import Array, Page, Reckoning
from elman.sheets.places import Tree
from elman.sheets.printed import Printed, printed
from elman.trace.leaves import GRADIENT, UPDATED, Dated, spelled
from elman.trace.worked import exchange

WORD = re.compile(r"\s*word\s+of\s+(?P<rest>.+)", re.DOTALL)
NEW = re.compile(r"\s*new\s+(?P<rest>.+)", re.DOTALL)
OPEN = ("", "~", "null", "?")  # entries that the page does not print


@dataclass(frozen=True, eq=False)
class Claim:
    """A line of the page: `h[1]: .8005`. A claimed word has no numbers."""

    key: str
    expr: Expr
    exact: Array
    numbers: tuple[Printed | None, ...] = ()
    word: str | None = None

    @property
    def values(self) -> Array:
        """The numbers in the value's shape; what is not printed is exact."""
        pairs = zip(self.numbers, self.exact.ravel().tolist(), strict=True)
        found = [exact if number is None else number.value for number, exact in pairs]
        return np.array(found, dtype=float).reshape(self.exact.shape)

    @property
    def halves(self) -> Array:
        """Half a unit of the last digit of each number."""
        found = [0.0 if number is None else number.unit / 2 for number in self.numbers]
        return np.array(found).reshape(self.exact.shape)


def read_claims(tree: Tree, page: Page, names: Mapping[str, tuple[str, ...]]) -> tuple[Claim, ...]:
    """The claims of a sheet; FileProblem E629 to E633 where one cannot be meant."""
    typed: Mapping[str, Any] = tree.value.get("claims") or {}
    usual = _usual_decimals(typed.values())
    reader = _Reader(tree, page, names, usual)
    return tuple(reader.claim(key, value) for key, value in typed.items())


def _usual_decimals(values: Iterable[Any]) -> int:
    """The fewest decimals among the numbers of the page that have some."""
    found = (printed(text) for text in _texts(list(values)))
    return min((n.decimals for n in found if n is not None and n.decimals > 0), default=0)


def _texts(value: Any) -> list[str]:
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) else []


class _Reader:
    def __init__(
        self, tree: Tree, page: Page, names: Mapping[str, tuple[str, ...]], usual: int
    ) -> None:
        self.tree, self.page, self.names, self.usual = tree, page, names, usual
        self.known = page.known
        self.exact = Reckoning(page)

    def claim(self, key: str, value: Any) -> Claim:
        found = WORD.fullmatch(key)
        if found:
            return self.word(key, found["rest"], value)
        expr = self.expression(key)
        exact = self.value(key, expr)
        if isinstance(value, dict):
            raise self.problem(key, "E631", f"{key} has a mapping as its value", RULE, FIX)
        self.check_shape(key, value, exact)
        numbers = tuple(self.number(key, text) for text in _texts(value))
        if not any(numbers):
            rule = "A claim is what the page prints."
            raise self.problem(key, "E631", f"{key} has no number", rule, FIX)
        return Claim(key, expr, exact, numbers)

    def word(self, key: str, rest: str, value: Any) -> Claim:
        expr = self.expression(rest, key)
        if not isinstance(expr, Dated) or expr.name not in self.names:
            named = ", ".join(self.names) or "none"
            rule = f"Names have {named}." if self.names else "The sheet gives no names."
            headline = f"{key}: {rest} has no names"
            raise self.problem(key, "E627", headline, rule, "As in:  names: [I, love, deep]")
        words = self.names[expr.name]
        if value not in words:
            rule = f"{expr.name} is one of {', '.join(words)}."
            headline = f"{key}: {value} is no name of {expr.name}"
            fix = nearest(str(value), words) or None
            raise self.problem(key, "E627", headline, rule, fix, at_value=True)
        return Claim(key, expr, self.value(key, expr), word=str(value))

    def number(self, key: str, text: str) -> Printed | None:
        if text.strip() in OPEN:
            return None
        found = printed(text, self.usual)
        if found is None:
            headline = f"{key}: {text[:40]!r} is no number"
            point = text.strip().replace(",", ".")
            fix = f"Write {point}, with a point." if printed(point) else FIX
            raise self.problem(key, "E631", headline, RULE, fix, at_value=True)
        return found

    def check_shape(self, key: str, value: Any, exact: Array) -> None:
        """E632 where the page prints more or fewer numbers than there are."""
        typed = np.shape(np.array(value, dtype=object)) if isinstance(value, list) else ()
        if len(_texts(value)) != math.prod(typed):
            headline = f"{key}: its rows differ in length"
            rule = "A matrix is claimed row by row, each as long as the others."
            fix = "An entry that the page does not print is left open:  [[.29, ~], [-.19, .4]]."
            raise self.problem(key, "E632", headline, rule, fix)
        if [n for n in typed if n != 1] == [n for n in exact.shape if n != 1]:
            return
        facts = [
            Fact(key, _counted(exact.shape), "as computed"),
            Fact("the claim", _counted(typed), "as printed"),
        ]
        raise self.problem(
            key,
            "E632",
            f"{key} is {_counted(exact.shape)}, and {_claimed(typed)} claimed",
            "A claim has a number for each entry.",
            "An entry that the page does not print is left open:  [.29, ~, -.19].",
            facts=facts,
        )

    def expression(self, text: str, key: str | None = None) -> Expr:
        """The expression that a key is, its names known."""
        key = text if key is None else key
        new = NEW.fullmatch(text)
        if new:
            return self.updated(key, new["rest"].strip())
        if text.strip() in self.spelled:
            return self.spelled[text.strip()]
        try:
            read = source(" ".join(text.split()))
            expr = read_expression(read.logical[0].tokens, read, in_rounds=True)
        except (Fault, ElmanError) as error:
            problem = error.problem if isinstance(error, Fault) else error
            raise self.problem(
                key, "E629", f"{key}: {problem.headline}", problem.rule, problem.fix
            ) from None
        for part in walk(expr):
            if isinstance(part, Call):
                self.check_call(key, part)
        return exchange(expr, lambda leaf: self.leaf(key, leaf))

    def check_call(self, key: str, call: Call) -> None:
        function = FUNCTIONS.get(call.function)
        if function is None:
            headline = f"{key}: there is no function {call.function}"
            fix = nearest(call.function, FUNCTIONS) or None
            raise self.problem(key, "E629", headline, "Claims have the language's functions.", fix)
        if not function.least <= len(call.args) <= function.most:
            headline = f"{key}: {call.function} takes {arguments(call.function)}"
            raise self.problem(key, "E629", headline, None, f"Write {function.example}.")

    def updated(self, key: str, name: str) -> Dated:
        found = Dated(name, None, UPDATED)
        if found in self.known:
            return found
        updated = [each.name for each in self.known if each.kind == UPDATED]
        if updated:
            rule, fix = f"A step changes {', '.join(updated)}.", nearest(name, updated) or None
            raise self.problem(key, "E629", f"{key}: there is no new {name}", rule, fix)
        rule = "A new weight is what a step of gradient descent makes of one."
        fix = "Give the learning rate:  loss: {kind: ..., target: ..., lr: .1}"
        raise self.problem(key, "E633", f"{key}: no step is made", rule, fix)

    def leaf(self, key: str, leaf: Expr) -> Expr:
        """A name at its step, as the page has it."""
        if isinstance(leaf, At):
            headline = f"{key}: {leaf.name} is read at no step"
            fix = f"Write {leaf.name}[1] for the first step."
            raise self.problem(key, "E630", headline, "A claim is of one step.", fix)
        if not isinstance(leaf, Name):
            return leaf
        step = "" if leaf.index is None else f"[{leaf.index}]"
        found = self.spelled.get(leaf.name + step)
        if found is None:
            raise self.unknown(key, leaf.name, step)
        return found

    @functools.cached_property
    def spelled(self) -> dict[str, Dated]:
        """What the page has, by how it is written."""
        return {spelled(name): name for name in self.known}

    def unknown(self, key: str, name: str, step: str) -> FileProblem:
        """A name that the page does not have, or not at this step."""
        words = dict.fromkeys(word.partition("[")[0] for word in self.spelled if "/" not in word)
        steps = [w for w in self.spelled if w.startswith(f"{name}[") and "/" not in w]
        if steps:
            what = f"there is no {name}{step}" if step else f"{name} is read without a step"
            rule, fix = f"The page has {_listed(steps)}.", f"Write {steps[-1]}."
            return self.problem(key, "E630", f"{key}: {what}", rule, fix)
        if name in words:
            headline = f"{key}: {name} is the same at every step"
            return self.problem(key, "E630", headline, None, f"Write {name}.")
        if name.startswith("d_") and not any(each.kind == GRADIENT for each in self.known):
            rule = "Gradients need a loss."
            fix = "As in:  loss: {kind: squared_error, target: {y: [1]}}"
            return self.problem(key, "E633", f"{key}: there are no gradients", rule, fix)
        known = [word for word in words if not word.startswith("d_")]
        rule = f"The page has {', '.join(known)}." if words else "The page has no names."
        near = nearest(name, words) or None
        return self.problem(key, "E629", f"{key}: there is no {name}", rule, near)

    def value(self, key: str, expr: Expr) -> Array:
        if isinstance(expr, Dated) and expr in self.known:
            return self.known[expr]
        try:
            return self.exact.value(expr)
        except (ElmanError, ValueError, AssertionError, IndexError) as error:
            said = error.headline if isinstance(error, ElmanError) else "its shapes do not fit"
            headline = f"{key} cannot be worked: {said}"
            rule = "A claim is a number, a vector or a matrix that the page's values give."
            fix = "As in:  W @ x[1]"
            raise self.problem(key, "E629", headline, rule, fix) from None

    def problem(
        self,
        key: str,
        code: str,
        headline: str,
        rule: str | None,
        fix: str | None,
        *,
        at_value: bool = False,
        facts: Iterable[Fact] = (),
    ) -> FileProblem:
        where: Where | None = self.tree.where("claims", key, value=at_value)
        return FileProblem(
            code, f"{self.tree.path}: {headline}", where=where, facts=facts, rule=rule, fix=fix
        )


RULE = "A claim is a number, or a list of numbers, as the page prints it."
FIX = "As in:  h[1]: [.2913, -.1974]"


def _listed(words: list[str]) -> str:
    """The names of a value at its steps: `h[0] to h[3]`."""
    return words[0] if len(words) == 1 else f"{words[0]} to {words[-1]}"


def _claimed(shape: tuple[int, ...]) -> str:
    return f"{_counted(shape)} {'are' if any(n != 1 for n in shape) else 'is'}"


def _counted(shape: tuple[int, ...]) -> str:
    """A shape in words: a number, 3 numbers, 2 x 3 numbers."""
    wide = [str(n) for n in shape if n != 1]
    return f"{' x '.join(wide)} numbers" if wide else "one number"
