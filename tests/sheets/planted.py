"""Pages of worked cells with one slip planted in them, made without Elman: Python's own eval.

A page is worked line by line, each value printed; the slip is made in one line at one step, and
what comes after it is worked from it. Slips are made in Python's syntax tree (`ast`), so that the
finder is not tried on its own code.
"""

from __future__ import annotations

import ast
import copy
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import yaml

CELLS = {
    "rnn": "h[t] = tanh(W @ x[t] + U @ h[t-1] + b)",
    "read_out": """
h[t] = tanh(W @ x[t] + U @ h[t-1] + b)
s[t] = V @ h[t]
y[t] = softmax(s[t] + c)
""",
    "lstm": """
f[t] = sigmoid(W_f @ x[t] + U_f @ h[t-1] + b_f)
i[t] = sigmoid(W_i @ x[t] + U_i @ h[t-1] + b_i)
o[t] = sigmoid(W_o @ x[t] + U_o @ h[t-1] + b_o)
g[t] = tanh(W_g @ x[t] + U_g @ h[t-1] + b_g)
c[t] = f[t] * c[t-1] + i[t] * g[t]
h[t] = o[t] * tanh(c[t])
""",
    "gru": """
r[t] = sigmoid(W_r @ x[t] + U_r @ h[t-1] + b_r)
z[t] = sigmoid(W_z @ x[t] + U_z @ h[t-1] + b_z)
n[t] = tanh(W_n @ x[t] + U_n @ (r[t] * h[t-1]) + b_n)
h[t] = z[t] * h[t-1] + (1 - z[t]) * n[t]
""",
    "minimal": """
f[t] = sigmoid(W_f @ x[t] + U_f @ h[t-1] + b_f)
n[t] = tanh(W_n @ x[t] + U_n @ (f[t] * h[t-1]))
h[t] = (1 - f[t]) * h[t-1] + f[t] * n[t]
""",
    "leaky": """
a[t] = W @ x[t] + U @ h[t-1] + b
e[t] = a[t] - h[t-1]
h[t] = h[t-1] + 0.25 * e[t] * (1 - h[t-1]**2)
""",
    "memory": """
u[t] = relu(W @ x[t] - U @ h[t-1])
m[t] = 0.8 * m[t-1] + 0.2 * u[t]
h[t] = tanh(m[t] + b)
""",
}


def sigmoid(a: Any) -> Any:
    return 1 / (1 + np.exp(-a))


def softmax(a: Any) -> Any:
    return np.exp(a) / np.exp(a).sum()


def relu(a: Any) -> Any:
    return np.maximum(a, 0)


FUNCTIONS = {"sigmoid": sigmoid, "tanh": np.tanh, "softmax": softmax, "relu": relu}


@dataclass
class Problem:
    """A cell with numbers for everything."""

    cell: str
    weights: dict[str, Any]
    x: np.ndarray[Any, Any]
    hidden: int

    @property
    def lines(self) -> list[tuple[str, str]]:
        text = CELLS[self.cell].strip().splitlines()
        return [(line.split("[")[0], line.split(" = ", 1)[1]) for line in text]


def problem(rng: random.Random) -> Problem:
    """A cell of size 1 to 3 on 1 to 3 steps, with friendly weights."""
    cell = rng.choice([*CELLS])
    hidden, width, steps = rng.randint(1, 3), rng.randint(1, 3), rng.randint(1, 3)
    names = sorted(set(re.findall(r"\b([WUVbc](?:_\w)?)\b(?!\[)", CELLS[cell])))
    tenths = [k / 10 for k in range(-9, 10) if k]
    sizes = {"W": (hidden, width), "U": (hidden, hidden), "V": (3, hidden), "b": (hidden,)}
    sizes["c"] = (3,)
    weights = {
        name: np.array([rng.choice(tenths) for _ in range(np.prod(sizes[name[0]]))]).reshape(
            sizes[name[0]]
        )
        for name in names
    }
    halves = [-2, -1.5, -1, -0.5, 0.5, 1, 1.5, 2]
    x = np.array([[rng.choice(halves) for _ in range(width)] for _ in range(steps)])
    return Problem(cell, weights, x, hidden)


# ---- working a page ----

Write = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]
Values = dict[tuple[str, int], np.ndarray[Any, Any]]


def dated(text: str) -> ast.expr:
    """`h[t-1]` as h_AT_1: a name with the number of steps back."""
    named = re.sub(r"(\w+)\[t(?:-(\d+))?\]", lambda m: f"{m[1]}_AT_{m[2] or 0}", text)
    return ast.parse(named, mode="eval").body


def work(
    given: Problem,
    slip: tuple[str, int, ast.expr] | None = None,
    write: Write = lambda value: value,
) -> Values:
    """Every value, each as `write` puts it down; `slip` is a line, a step and what is worked."""
    found: Values = {(name, 0): np.zeros(given.hidden) for name, _ in given.lines}
    for step, x in enumerate(given.x, 1):
        found["x", step] = x
        for name, text in given.lines:
            tree = dated(text)
            if slip and slip[:2] == (name, step):
                tree = slip[2]
            found[name, step] = write(np.asarray(evaluated(tree, given, found, step), float))
    return found


def evaluated(tree: ast.expr, given: Problem, found: Values, step: int) -> Any:
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and "_AT_" in n.id}
    env: dict[str, Any] = {**given.weights, **FUNCTIONS}
    for name in names:
        base, lag = name.split("_AT_")
        env[name] = found[base, step - int(lag)]
    code = compile(ast.fix_missing_locations(ast.Expression(tree)), "line", "eval")
    with np.errstate(all="ignore"):
        return eval(code, {"__builtins__": {}}, env)


def rounder(digits: int, cut: bool = False) -> Write:
    how = ROUND_DOWN if cut else ROUND_HALF_UP

    def write(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        unit = Decimal(1).scaleb(-digits)
        flat = [float(Decimal(f"{v:.13f}").quantize(unit, how)) for v in value.ravel()]
        return np.array(flat).reshape(value.shape)

    return write


def printed(value: np.ndarray[Any, Any], digits: int) -> Any:
    """As a page prints it, without the 0 before the point now and then left to the caller."""
    texts = [f"{v + 0.0:.{digits}f}" for v in rounder(digits)(value).ravel()]
    return texts[0] if len(texts) == 1 else texts


# ---- slips ----

KINDS = {  # what is planted: the kinds that name it rightly
    "term": {"term dropped"},
    "sign": {"sign"},
    "index": {"index shifted"},
    "function": {"other function"},
    "no function": {"function left out"},
    "gate": {"z and 1 - z swapped"},
    "factor": {"factor dropped"},
    "transposed": {"transposed"},
    "weights": {"other name"},
    "square": {"power"},
    "digits": {"digits transposed"},
    "point": {"decimal point"},
    "other line": {"right number of the wrong line"},
}


Change = tuple[str, Callable[[Any], ast.expr]]


def mutations(tree: ast.expr, given: Problem) -> Iterator[tuple[str, ast.expr]]:
    """Every slip that can be made in a line."""
    for k, node in enumerate(ast.walk(tree)):
        for kind, change in changes(node, given):
            made = copy.deepcopy(tree)
            target = [*ast.walk(made)][k]
            yield kind, _replaced(made, target, change(target))


def changes(node: ast.AST, given: Problem) -> Iterator[Change]:
    match node:
        case ast.BinOp(op=ast.Add() | ast.Sub(), left=ast.Constant()):
            yield "gate", lambda n: n.right
        case ast.BinOp(op=ast.Add() | ast.Sub()):
            is_sum = isinstance(node.op, ast.Add)
            turned = ast.Sub() if is_sum else ast.Add()
            yield "term", lambda n: n.left
            yield "term", lambda n: n.right if is_sum else ast.UnaryOp(ast.USub(), n.right)
            yield "sign", lambda n: ast.BinOp(n.left, turned, n.right)
        case ast.BinOp(op=ast.Mult()):
            yield "factor", lambda n: n.left
            yield "factor", lambda n: n.right
        case ast.BinOp(op=ast.Pow()):
            yield "square", lambda n: n.left
        case ast.BinOp(op=ast.MatMult(), left=ast.Name(id=name)) if name[0] == "U":
            if given.hidden > 1:
                yield "transposed", lambda n: ast.BinOp(_transposed(n.left), n.op, n.right)
        case ast.Call(func=ast.Name(id=name)):
            yield "no function", lambda n: n.args[0]
            if name in OTHER:
                other = ast.Name(OTHER[name], ast.Load())
                yield "function", lambda n: ast.Call(other, n.args, [])
        case ast.Name(id=name) if "_AT_" in name:
            base, lag = name.split("_AT_")
            if f"{base}[t-1]" in CELLS[given.cell] or base == "x":
                yield "index", lambda n: ast.Name(f"{base}_AT_{int(lag) + 1}", ast.Load())
        case ast.Name(id=name) if "_" in name:
            alike = [each for each in given.weights if each[0] == name[0] and each != name]
            for each in alike:
                yield "weights", lambda n, each=each: ast.Name(each, ast.Load())


OTHER = {"sigmoid": "tanh", "tanh": "sigmoid", "relu": "tanh"}


def _transposed(name: ast.expr) -> ast.expr:
    return ast.Attribute(name, "T", ast.Load())


def _replaced(root: ast.expr, target: ast.AST, new: ast.expr) -> ast.expr:
    class Swap(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            return new if node is target else self.generic_visit(node)

    return Swap().visit(root)


@dataclass
class Sheet:
    """A page with what was planted on it."""

    given: Problem
    digits: int
    claims: dict[str, Any]
    kind: str = ""
    at: str = ""
    text: str = field(default="")

    def write(self, path: Path) -> Path:
        given = self.given
        content = {
            "equations": CELLS[given.cell].strip(),
            "weights": {name: a.tolist() for name, a in given.weights.items()},
            "inputs": {"x": given.x.tolist()},
            "claims": {
                key: Plain(v) if isinstance(v, str) else v for key, v in self.claims.items()
            },
        }
        path.write_text(yaml.dump(content, sort_keys=False, Dumper=Dumper), "utf-8")
        return path


class Plain(str):
    """A number as it was typed."""


class Dumper(yaml.SafeDumper):
    pass


Dumper.add_representer(
    Plain, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:float", str(text))
)


def correct(seed: int) -> Sheet:
    """Each value from exact ones, or (every other sheet) by hand from what is printed."""
    rng = random.Random(seed)
    given = problem(rng)
    digits = rng.randint(2, 4)
    by_hand = seed % 2 == 1
    write = rounder(digits, cut=seed % 8 == 7) if by_hand else (lambda value: value)
    return Sheet(given, digits, _claims(given, work(given, None, write), digits))


def _claims(given: Problem, values: Values, digits: int) -> dict[str, Any]:
    return {
        f"{name}[{step}]": printed(values[name, step], digits)
        for step in range(1, len(given.x) + 1)
        for name, _ in given.lines
    }


def planted(seed: int, digits: int | None = None) -> Sheet:
    """A page with one slip that can be seen: it moves some number by three units or more."""
    rng = random.Random(seed)
    kind = [*KINDS][seed % len(KINDS)]
    while True:
        given = problem(rng)
        count = digits or rng.randint(2, 4)
        made = _plant(rng, given, kind, count)
        if made is not None:
            return made


def _plant(rng: random.Random, given: Problem, kind: str, digits: int) -> Sheet | None:
    name, text = rng.choice(given.lines)
    step = rng.randint(1, len(given.x))
    right = work(given)
    if kind in ("digits", "point", "other line"):
        return _misprint(rng, given, kind, digits, (name, step))
    options = [tree for found, tree in mutations(dated(text), given) if found == kind]
    rng.shuffle(options)
    for tree in options:
        try:
            values = work(given, (name, step, tree))
        except (KeyError, ValueError):
            continue
        wrong, true = values[name, step], right[name, step]
        if wrong.shape != true.shape or not np.isfinite(wrong).all():
            continue
        if np.abs(wrong - true).max() >= 3 * 10.0**-digits:
            claims = _claims(given, values, digits)
            return Sheet(given, digits, claims, kind, f"{name}[{step}]", ast.unparse(tree))
    return None


def _misprint(
    rng: random.Random, given: Problem, kind: str, digits: int, at: tuple[str, int]
) -> Sheet | None:
    """A number that is written down wrongly; what follows is worked from what is written."""
    right = work(given)
    typed = printed(right[at], digits)
    texts = [typed] if isinstance(typed, str) else list(typed)
    k = rng.randrange(len(texts))
    if kind == "other line":
        others = [n for n, _ in given.lines if n != at[0] and right[n, at[1]].size > k]
        if not others:
            return None
        wrong = printed(right[rng.choice(others), at[1]], digits)
        wrong = wrong if isinstance(wrong, str) else wrong[k]
    elif kind == "digits":
        whole, _, tail = texts[k].partition(".")
        j = rng.randrange(len(tail) - 1)
        wrong = f"{whole}.{tail[:j]}{tail[j + 1]}{tail[j]}{tail[j + 2 :]}"
    else:
        wrong = f"{float(texts[k]) * rng.choice([0.1, 10]):.{digits}f}"
    if abs(float(wrong) - float(texts[k])) < 3 * 10.0**-digits or float(wrong) == 0:
        return None
    texts[k] = wrong
    claims = _claims(given, right, digits)
    for later in range(1, len(given.x) + 1):
        for name, text in given.lines:
            if (name, later) == at:
                right[at] = np.array(
                    [float(t) if j == k else right[at].ravel()[j] for j, t in enumerate(texts)]
                )
            elif (later, _place(given, name)) > (at[1], _place(given, at[0])):
                right[name, later] = np.asarray(evaluated(dated(text), given, right, later), float)
    claims = _claims(given, right, digits)
    claims[f"{at[0]}[{at[1]}]"] = texts[0] if len(texts) == 1 else texts
    return Sheet(given, digits, claims, kind, f"{at[0]}[{at[1]}]", wrong)


def _place(given: Problem, name: str) -> int:
    return [each for each, _ in given.lines].index(name)
