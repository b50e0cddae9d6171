"""Columns of gates: `(i; f; o; g) = (\\sigma; \\sigma; \\sigma; \\tanh) W (x_t; h_{t-1})`.

Row by row it is i = \\sigma(W_i (x_t; h_{t-1})), where W_i holds the rows of W that belong to i.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from elman.errors import SyntaxProblem
from elman.ir.ops import UNARY
from elman.language.latex_indices import Named
from elman.language.latex_nodes import Functions, Product, Ref
from elman.language.latex_tree import Group
from elman.language.source import Fault, Source
from elman.language.syntax import Binary, Call, Expr, Join, Number, Unary, walk


def split_rows(value: Expr, names: Sequence[Named], group: Group, source: Source) -> list[Expr]:
    """The right side of every name of the column."""
    count = len(names)
    if isinstance(value, Join) and len(value.items) == count:
        return list(value.items)
    functions: tuple[str, ...] = ()
    if isinstance(value, Product) and isinstance(value.items[0], Functions):
        functions = value.items[0].names
        rest = value.items[1:]
        value = rest[0] if len(rest) == 1 else replace(value, items=rest)
        if len(functions) != count:
            headline = f"{count} names stand left of {len(functions)} functions"
            fix = "Write a function for every name."
            raise Fault(SyntaxProblem, "E159", headline, group.span, fix=fix)
    rows = [_row(value, named, group) for named in names]
    if functions:
        rows = [Call(f, (row,), span=row.span) for f, row in zip(functions, rows, strict=True)]
    return rows


def _row(value: Expr, named: Named, group: Group) -> Expr:
    """The rows of a value that belong to one name: those of its leading matrix and its bias."""
    gate = named.name
    match value:
        case Ref(name=name, time=None):
            return replace(value, name=f"{name}_{gate}")
        case Number():
            return value
        case Unary(arg=arg):
            return replace(value, arg=_row(arg, named, group))
        case Binary(op="+" | "-", left=left, right=right):
            rows = _row(left, named, group), _row(right, named, group)
            return replace(value, left=rows[0], right=rows[1])
        case Call(function=function, args=(arg,)) if function in UNARY:
            return replace(value, args=(_row(arg, named, group),))
        case Product(items=(Ref(time=None) as matrix, *rest), sign="" | ".") if not any(
            isinstance(part, Ref) and part.time is None for each in rest for part in walk(each)
        ):
            return replace(value, items=(_row(matrix, named, group), *rest))
    headline = "the rows of this value that belong to each name are not clear"
    rule = "A column of names stands left of sums of W x_t and b, within functions of each entry."
    fix = "Write one equation a line."
    raise Fault(SyntaxProblem, "E159", headline, value.span, rule=rule, fix=fix)
