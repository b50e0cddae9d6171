"""C for contractions that no register tile does: of a row, and summed over a block's rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from elman.backends.c_layout import Home, Layout, Store, shape_text, size_text
from elman.ir import Node
from elman.passes.schedule import operands

Sizes = Mapping[str, str]  # letter -> its size as C


def letter_sizes(n: Node) -> Sizes:
    """What each letter of a contraction counts to."""
    words = n.attr.split("->")[0].split(",")
    return {
        letter: size_text(size)
        for word, arg in zip(words, n.args, strict=True)
        for letter, size in zip(word, arg.shape or (), strict=True)
    }


def contract_cost(n: Node) -> str:
    """The multiply-adds of one row as C."""
    return " * ".join(["1.0", *letter_sizes(n).values()])


def _loops(letters: Iterable[str], sizes: Sizes) -> str:
    return " ".join(f"for (long {c} = 0; {c} < {sizes[c]}; {c}++)" for c in letters)


def _index(word: str, sizes: Sizes) -> str:
    text = ""
    for letter in word:
        text = f"({text}) * {sizes[letter]} + {letter}" if text else letter
    return text or "0"


# ---- one row ----


def contract_row(n: Node) -> list[str]:
    """C from the arguments a0, a1 to `out`; the innermost loop runs along memory."""
    inputs, output = n.attr.split("->")
    words, sizes = inputs.split(","), letter_sizes(n)
    summed = sorted(
        (c for c in sizes if c not in output), key=lambda c: sum(w.endswith(c) for w in words)
    )
    factors = " * ".join(f"a{k}[{_index(word, sizes)}]" for k, word in enumerate(words))
    place = f"out[{_index(output, sizes)}]"
    if not summed:
        return [f"{_loops(output, sizes)} {place} = {factors};"]
    if output and all(word.endswith(output[-1]) for word in words if output[-1] in word):
        order = [*output[:-1], *summed, output[-1]]
        clear = f"memset(out, 0, ({shape_text(n.shape or ())}) * sizeof(real));"
        return [clear, f"{_loops(order, sizes)} {place} += {factors};"]
    lanes = '_Pragma("omp simd reduction(+ : s)")'  # may add in any order
    inner = " ".join([_loops(summed[:-1], sizes), lanes, _loops(summed[-1:], sizes)]).strip()
    return [
        f"{_loops(output, sizes)} {{".strip(),
        "  real s = 0;",
        f"  {inner} s += {factors};",
        f"  {place} = s;",
        "}",
    ]


# ---- totals over the rows of a block ----


class Outer(NamedTuple):
    """A sum over rows of outer products: head by head one matrix product of a block's rows."""

    heads: str
    b: str  # the side whose entries are the columns of the result
    step: str
    columns: str
    side: str  # the C of a `struct side`


def write_totals(layout: Layout, totals: Iterable[tuple[Node, Store]]) -> list[str]:
    """The C statements that add one block's steps and rows to the totals.

    Products that share a side are done in one go; `task` deals the others to the threads.
    """
    together: dict[tuple[str, str, str, str], list[str]] = {}
    lines: list[str] = []
    for n, store in totals:
        found = _outer(layout, n, store.home)
        if found is None:
            guard = f"if (my->{store.home.field}) " if store.optional else ""
            lines.append(guard + _write_total(layout, n, store.home))
        else:
            together.setdefault(found[:4], []).append(found.side)
    for (heads, b, step, columns), sides in together.items():
        loop = f"for (long h = 0; h < {heads}; h++) " if heads != "1" else ""
        lines.append(
            f"{loop}{{ const struct side sides[] = {{{', '.join(sides)}}}; "
            f"add_outer(sides, {len(sides)}, {b}, {step}, {columns}, r1 - r0, "
            f"my->panel + id * panel_size(my->block * my->B), id, threads); }}"
        )
    return lines


def _write_total(layout: Layout, n: Node, home: Home) -> str:
    sides = [layout.homes[arg] for arg in operands(n)]
    if len(sides) > 1:
        return _add_products(sides, n.args[0], home)
    every = n.attr == "tb" and sides[0].over == "tb"
    return _add_rows(sides[0], home) if every else _add_one_by_one(sides[0], home)


def _outer(layout: Layout, n: Node, home: Home) -> Outer | None:
    """The matrix product of a total whose letters are those of "hi,hj->hij"."""
    sides = [layout.homes[arg] for arg in operands(n)]
    if len(sides) == 1 or n.attr != "tb" or any(side.over != "tb" for side in sides):
        return None
    inputs, output = n.args[0].attr.split("->")
    first, second = inputs.split(",")
    if second + first == output:  # "i,j->ji"
        first, second, sides = second, first, sides[::-1]
    heads = "".join(c for c in first if c in second)
    units, others = first.removeprefix(heads), second.removeprefix(heads)
    if output != heads + units + others or not units or not others:
        return None
    sizes = letter_sizes(n.args[0])
    m, columns, count = (
        " * ".join(sizes[c] for c in word) or "1" for word in (units, others, heads)
    )
    a, b = (side.address("r0") for side in sides)
    steps = [shape_text(side.shape) for side in sides]
    out = f"my->{home.field}"
    if heads:
        out = f"{out} ? {out} + h * {m} * {columns} : NULL"
        a, b = f"{a} + h * {m}", f"{b} + h * {columns}"
    return Outer(count, b, steps[1], columns, f"{{{out}, {a}, {m}, {steps[0]}}}")


def _add_products(sides: list[Home], inner: Node, home: Home) -> str:
    """Row by row, each thread its entries along the first axis."""
    inputs, output = inner.attr.split("->")
    sizes = letter_sizes(inner)
    factors = " * ".join(
        f"({side.address()})[{_index(word, sizes)}]"
        for side, word in zip(sides, inputs.split(","), strict=True)
    )
    return (
        f"{_loops(output[:1], sizes)} if (task++ % threads == id) "
        f"for (long row = r0; row < r1; row++) {_loops(output[1:], sizes)} "
        f"({home.address()})[{_index(output, sizes)}] += {factors};"
    )


def _add_rows(side: Home, home: Home) -> str:
    return (
        f"if (task++ % threads == id) add_rows(my->{home.field}, {side.address('r0')}, "
        f"{shape_text(home.shape)}, r1 - r0);"
    )


def _add_one_by_one(side: Home, home: Home) -> str:
    """For what varies over less than time and batch: as often as it is used."""
    return (
        f"if (task++ % threads == id) for (long row = r0; row < r1; row++) "
        f"for (long i = 0; i < {shape_text(home.shape)}; i++) "
        f"({home.address()})[i] += ({side.address()})[i];"
    )
