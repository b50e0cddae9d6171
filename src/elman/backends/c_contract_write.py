"""C for contractions that no register tile does: of a row, and summed over a block's rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from elman.backends.c_layout import Home, Layout, shape_text, size_text
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


def write_total(layout: Layout, n: Node, home: Home) -> str:
    """The C statement that adds one block's steps and rows to a total."""
    sides = [layout.homes[arg] for arg in operands(n)]
    every = n.attr == "tb" and all(side.over == "tb" for side in sides)
    if len(sides) == 1:
        return _add_rows(sides[0], home) if every else _add_one_by_one(sides[0], home)
    inner = n.args[0]
    fast = _add_outer(sides, inner, home) if every else ""
    return fast or _add_products(sides, inner, home)


def _add_outer(sides: list[Home], inner: Node, home: Home) -> str:
    """Head by head one matrix product, where the letters are those of "hi,hj->hij"; else ""."""
    inputs, output = inner.attr.split("->")
    first, second = inputs.split(",")
    if second + first == output:  # "i,j->ji"
        first, second, sides = second, first, sides[::-1]
    heads = "".join(c for c in first if c in second)
    units, others = first.removeprefix(heads), second.removeprefix(heads)
    if output != heads + units + others or not units or not others:
        return ""
    sizes = letter_sizes(inner)
    m, n, count = (" * ".join(sizes[c] for c in word) or "1" for word in (units, others, heads))
    shifts = ("", "", "") if not heads else (f" + h * {m} * {n}", f" + h * {m}", f" + h * {n}")
    out, a, b = (
        f"{address}{shift}"
        for address, shift in zip(
            (home.address(), *(side.address("r0") for side in sides)), shifts, strict=True
        )
    )
    steps = [shape_text(side.shape) for side in sides]
    return (
        (f"for (long h = 0; h < {count}; h++) " if heads else "")
        + f"for (long i = 0; i < ({m} + CHUNK - 1) / CHUNK; i++) "
        f"for (long p = 0; p < panels({n}); p++) if (task++ % threads == id) "
        f"add_outer({out}, {a}, {steps[0]}, {m}, {b}, {steps[1]}, "
        f"{n}, r1 - r0, i, p, my->panel + id * my->block * my->B * PANEL);"
    )


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
