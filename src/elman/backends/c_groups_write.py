"""C for one group of a stage: the function of one tile, the loop over rows and panels around it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from math import gcd

from elman.backends.c_contract_write import contract_row
from elman.backends.c_layout import Home, Store, shape_text, size_text
from elman.backends.c_names import Namer, ascii_name
from elman.backends.draws import stream_number
from elman.backends.groups import INLINE, Bundle, Group, Sum, bundles, is_product
from elman.ir import Node
from elman.ir.ops import POINTWISE

C: dict[str, Callable[..., str]] = {
    "neg": lambda a: f"-{a}",
    "exp": lambda a: f"vexp({a})",
    "log": lambda a: f"vlog({a})",
    "sqrt": lambda a: f"vsqrt({a})",
    "abs": lambda a: f"vabs({a})",
    "sign": lambda a: f"vsign({a})",
    "tanh": lambda a: f"vtanh({a})",
    "sigmoid": lambda a: f"vsigmoid({a})",
    "relu": lambda a: f"vrelu({a})",
    "softplus": lambda a: f"vsoftplus({a})",
    "floor": lambda a: f"vfloor({a})",
    "round": lambda a: f"vround({a})",
    "sin": lambda a: f"vsin({a})",
    "cos": lambda a: f"vcos({a})",
    "add": lambda a, b: f"{a} + {b}",
    "sub": lambda a, b: f"{a} - {b}",
    "mul": lambda a, b: f"{a} * {b}",
    "div": lambda a, b: f"{a} / {b}",
    "pow": lambda a, b: f"vpow({a}, {b})",
    "maximum": lambda a, b: f"vmaximum({a}, {b})",
    "minimum": lambda a, b: f"vminimum({a}, {b})",
    "less": lambda a, b: f"vless({a}, {b})",
    "equal": lambda a, b: f"vequal({a}, {b})",
    "straight": lambda a, b: a,
    "where": lambda c, a, b: f"vwhere({c}, {a}, {b})",
}


def number_text(value: float) -> str:
    """A number as C, exact."""
    return "INFINITY" if value == float("inf") else f"(real){value!r}"


@dataclass(frozen=True)
class Scope:
    """What the code of one stage may read and must store."""

    prefix: str
    rows: str  # C for the rows of a product: 0 for a batch of one
    whole_block: bool  # all steps of a block at once, rather than one
    down: bool  # from the last row to the first
    homes: Mapping[Node, Home]
    stores: Mapping[Node, tuple[Store, ...]]
    packs: Mapping[tuple[Node, ...], str]  # products side by side -> field of their matrices
    sources: Mapping[tuple[Node, ...], str]  # the same -> these where the caller has them
    labels: Mapping[Node, str]
    comments: Mapping[str, str]
    pairs: Mapping[str, str]  # field of what is multiplied -> that of its rows in bfloat16
    halves: Mapping[str, str]  # field of a leaf -> where the caller has it in bfloat16


def write_group(group: Group, name: str, scope: Scope) -> str:
    """The C functions of one group."""
    head = "".join(
        f"/* {comment} */\n"
        for n in group.nodes
        if (comment := scope.comments.get(scope.labels.get(n, "")))
    )
    return head + (
        _tile_group(group, name, scope) if group.is_tile else _row_group(group, name, scope)
    )


def group_blocks(group: Group, kept: Collection[Node]) -> str:
    """How many blocks a group's units make."""
    return (
        f"blocks({shape_text(group.shape)}, {_units(bundles(group, kept))})"
        if group.is_tile
        else "1"
    )


def _needed(group: Group, scope: Scope) -> str:
    """C that leaves a group of which nothing is wanted."""
    stores = [store for n in group.nodes for store in scope.stores.get(n, ())]
    if not all(store.optional for store in stores) or not stores:
        return ""
    fields = dict.fromkeys(store.home.field for store in stores)
    return f"  if (!({' || '.join(f'my->{field}' for field in fields)})) return;\n"


def _head(name: str, scope: Scope) -> str:
    """How every group's function begins: its rows, and blocks of units p0 to p1."""
    parameters = f"const struct {scope.prefix} *restrict my, struct rows at, long p0, long p1"
    return f"static APART void {name}({parameters}) {{\n"


# ---- tile groups ----


def _tile_group(group: Group, name: str, scope: Scope) -> str:
    kept = scope.stores
    found = bundles(group, kept)
    loop = _over_tiles(group, name, scope, found) if found else _over_rows(group, name, scope)
    return _at(group, name, scope, found) + loop


def _units(found: tuple[Bundle, ...]) -> str:
    """C for the vectors of units in a block: those of every bundle then fill whole panels."""
    if not found:
        return "1"
    counts = [len(bundle.sums) for bundle in found]
    four, two = (max(wide // gcd(wide, count) for count in counts) for wide in (4, 2))
    return str(four) if four == two else f"(WIDE == 4 ? {four} : {two})"


def _at(group: Group, name: str, scope: Scope, found: tuple[Bundle, ...]) -> str:
    """The equations at one row and one vector of units."""
    tiles = "".join(f", const real *tile{k}" for k in range(len(found)))
    body = "".join(f"  {line}\n" for line in _Body(group, scope, found).write())
    return (
        f"INLINE void at_{name}(const struct {scope.prefix} *restrict my, "
        f"const long row, const long unit, const long lanes{tiles}) {{\n{body}}}\n"
    )


TILES = """\
{head}{needed}  enum {{ UNITS = {units} }};
  const struct walk w = {walk};
  for (long b = 0; b < p1 - p0; b++) {{
    const long unit = (at.back ? p1 - 1 - b : p0 + b) * UNITS * LANES;
    const long width = least(UNITS * LANES, {size} - unit);
    for (long l = 0; l < w.lines; l++)
    for (long left = w.each, m, r; left > 0; left -= m) {{
      m = tile_rows(left);
      r = at.first + {line} * w.apart + {start} * w.step;
{products}      for ({i})
        for (long v = 0; v < width; v += LANES)
          if (width - v >= LANES) at_{name}(my, r + i * w.step, unit + v, LANES{passed});
          else at_{name}(my, r + i * w.step, unit + v, width - v{passed});
    }}
  }}
}}
"""


def _over_tiles(group: Group, name: str, scope: Scope, found: tuple[Bundle, ...]) -> str:
    """The loop over tiles: the products into memory that stays in cache, then the equations."""
    counts = [len(bundle.sums) for bundle in found]
    lines = [line for k, bundle in enumerate(found) for line in _product_lines(k, bundle, scope)]
    return TILES.format(
        name=name,
        head=_head(name, scope),
        needed=_needed(group, scope),
        units=_units(found),
        size=shape_text(group.shape),
        i="long i = m - 1; i >= 0; i--" if scope.down else "long i = 0; i < m; i++",
        **_walk(scope),
        products="".join(f"      {line}\n" for line in lines),
        passed="".join(
            f", tile{k} + i * UNITS * {n} * LANES + v * {n}" for k, n in enumerate(counts)
        ),
    )


PLAIN = """\
{head}{needed}  const long from = p0 * LANES, until = least(p1 * LANES, {size});
  const struct walk w = {walk};
  for (long l = 0; l < w.lines; l++)
    for (long i = 0; i < w.each; i++) {{
      const long row = at.first + {row};
      long unit = from;
      for (; until - unit >= LANES; unit += LANES) at_{name}(my, row, unit, LANES);
      if (until > unit) at_{name}(my, row, unit, until - unit);
    }}
}}
"""


def _over_rows(group: Group, name: str, scope: Scope) -> str:
    """The loop over rows, along memory, where there is no product."""
    down = "(w.lines - 1 - l) * w.apart + w.each - 1 - i"
    return PLAIN.format(
        name=name,
        head=_head(name, scope),
        needed=_needed(group, scope),
        size=shape_text(group.shape),
        walk="by_row(at)" if scope.whole_block else "one_run(at)",
        row=down if scope.down else "l * w.apart + i",
    )


def _walk(scope: Scope) -> dict[str, str]:
    """C for the loops over tiles of rows."""
    return {
        "walk": "by_row_or_step(at)" if scope.whole_block else "one_run(at)",
        "line": "(w.lines - 1 - l)" if scope.down else "l",
        "start": "(left - m)" if scope.down else "(w.each - left)",
    }


def _product_lines(k: int, bundle: Bundle, scope: Scope) -> list[str]:
    """The products of a bundle, side by side into one tile."""
    count, number = len(bundle.sums), len(bundle.vectors)
    terms = ", ".join(
        _term(vector, scope.packs[bundle.matrices(j)], count, scope)
        for j, vector in enumerate(bundle.vectors)
    )
    tile = f"tile{k}, UNITS * {count} * LANES"
    packed = f"product({tile}, {scope.rows}, vectors(width) * {count}, terms{k}, {number});"
    found = [
        f"real tile{k}[ROWS * UNITS * {count} * LANES] __attribute__((aligned(64)));",
        f"struct term terms{k}[] = {{{terms}}};",
    ]
    if not scope.sources:
        return [*found, packed]
    sources = ", ".join(scope.sources[bundle.matrices(j)] for j in range(number))
    return [
        *found,
        "if (my->direct) {",
        f"  const struct matrix from[] = {{{sources}}};",
        f"  direct({tile}, m, unit, width, terms{k}, {number}, from, {count});",
        f"}} else {packed}",
    ]


def _term(vector: Node, packed: str, count: int, scope: Scope) -> str:
    home = scope.homes[vector]
    length = shape_text(home.shape)
    weights = f"my->{packed} + unit * {count} * depth({length})"
    pairs = _pairs(home, length, scope)
    return f"{{{home.address('r')}, {weights}, {length}, {length} * w.step, 1{pairs}}}"


def _pairs(home: Home, length: str, scope: Scope) -> str:
    """C for the same rows in bfloat16, where they are at hand."""
    if home.over == "tb" and home.field in scope.pairs:
        return f", {home.pairs(scope.pairs[home.field], 'r')}"
    if home.over == "tb" and home.field in scope.halves:
        return f", {length} % 2 ? NULL : my->{scope.halves[home.field]} + r * {length}"
    return ""


class _Body:
    """The statements of one tile, one a node: loads, the equations, stores."""

    def __init__(self, group: Group, scope: Scope, found: tuple[Bundle, ...]) -> None:
        self.group, self.scope = group, scope
        self.sums = {total.root: total for bundle in found for total in bundle.sums}
        self.tiles = {
            total.root: f"(tile{k} + {i} * LANES)" if i else f"tile{k}"
            for k, bundle in enumerate(found)
            for i, total in enumerate(bundle.sums)
        }
        merged = [n for total in self.sums.values() for n in (*total.products, *total.within)]
        self.merged = set(merged) - self.sums.keys()
        self.namer = Namer("my", "row", "unit", "lanes", *(f"tile{k}" for k in range(len(found))))
        self.names: dict[Node, str] = {}  # the variable of every node that has one
        self.lines: list[str] = []

    def write(self) -> list[str]:
        for n in self.group.nodes:
            if n in self.merged:
                continue
            self._define(n)
            for home, optional in self.scope.stores.get(n, ()):
                guard = f"if (my->{home.field}) " if optional else ""
                self.lines.append(f"{guard}store({_at_unit(home)}, {self.names[n]}, lanes);")
                if home.field in self.scope.pairs:
                    place = f"{home.pairs(self.scope.pairs[home.field])} + unit"
                    self.lines.append(f"store_pairs({place}, {self.names[n]}, lanes);")
        return self.lines

    def _define(self, n: Node) -> None:
        if n in self.tiles:
            self._sum(self.sums[n])
        elif n.op == "fill":  # a scalar spreads by itself
            self.names[n] = self._operand(n.args[0])
        elif n.op == "random":
            words = ", ".join(self._operand(arg) for arg in n.args)
            self._variable(n, f"vrandom({stream_number(n.attr[0])}u, {words}, unit)")
        elif n.op in POINTWISE:
            self._variable(n, C[n.op](*[self._operand(arg) for arg in n.args]))
        else:
            text = self._operand(n)
            if n not in self.names:
                self._variable(n, text)

    def _sum(self, total: Sum) -> None:
        """What a tile holds, and what is added to it."""
        held = f"*(const vec *){self.tiles[total.root]}"
        if not total.rest:
            self._variable(total.root, held)
            return
        first, *others = total.products
        name = self.namer(first, "products" if others else _wish(first, self.scope))
        self.lines.append(f"const vec {name} = {held};")
        rest = [self._operand(arg) for arg in total.rest]
        self._variable(total.root, " + ".join([*rest, name]))

    def _variable(self, n: Node, text: str) -> None:
        self.names[n] = self.namer(n, _wish(n, self.scope))
        self.lines.append(f"const vec {self.names[n]} = {text};")

    def _operand(self, n: Node) -> str:
        """The C variable of an argument, loaded first where it lies in memory."""
        if n in self.names:
            return self.names[n]
        if n.op == "const":
            return f"all({number_text(n.attr)})"
        if n.op == "size":
            return f"all((real)({size_text(n.attr)}))"
        home = self.scope.homes[n]
        spread = self.group.shape != () and n.shape == ()
        self._variable(
            n, f"all(*({home.address()}))" if spread else f"load({_at_unit(home)}, lanes)"
        )
        return self.names[n]


def _wish(n: Node, scope: Scope) -> str:
    """The name of a variable: the user's own; U_h for U @ h; else v."""
    if n in scope.labels:
        return scope.labels[n]
    if n.op == "leaf":
        name: str = n.attr.name
        return f"{name}[t-1]" if n.attr.lag else name
    if is_product(n):
        matrix, vector = n.args
        inner = matrix if matrix.op == "leaf" else matrix.args[0]
        return f"{inner.attr.name}_{ascii_name(_wish(vector, scope))}"
    return "v"


def _at_unit(home: Home) -> str:
    return home.address() + (" + unit" if home.shape else "")


# ---- row groups ----


def _row_group(group: Group, name: str, scope: Scope) -> str:
    (n,) = group.nodes
    lines = [_row_argument(k, arg, scope) for k, arg in enumerate(n.args)]
    first, *others = (store.home for store in scope.stores[n])
    lines.append(f"real *restrict out = {first.address()};")
    lines += ROW[n.op](n)
    size = shape_text(n.shape or ())
    lines += [f"memcpy({home.address()}, out, ({size}) * sizeof(real));" for home in others]
    lines += [
        f"pair_rows({home.pairs(scope.pairs[home.field])}, out, 1, {size});"
        for home in (first, *others)
        if home.field in scope.pairs
    ]
    body = "".join(f"    {line}\n" for line in lines)
    return (
        f"{_head(name, scope)}"
        f"{_needed(group, scope)}"
        "  for (long q = at.first; q < at.last && p0 < p1; q += at.stride)\n"
        f"  for (long row = q; row < q + at.count; row++) {{\n{body}  }}\n}}\n"
    )


def _row_argument(k: int, arg: Node, scope: Scope) -> str:
    if arg.op in INLINE and arg.op != "leaf":
        value = number_text(arg.attr) if arg.op == "const" else f"(real)({size_text(arg.attr)})"
        return f"const real a{k}[1] = {{{value}}};"
    return f"const real *a{k} = {scope.homes[arg].address()};"


def _amax_row(n: Node) -> list[str]:
    size = shape_text(n.args[0].shape or ())
    return [
        "real s = a0[0];",
        f"for (long i = 1; i < {size}; i++) s = a0[i] > s || a0[i] != a0[i] ? a0[i] : s;",
        "out[0] = s;",
    ]


def _cumsum_row(n: Node) -> list[str]:
    size = shape_text(n.shape or ())
    order = f"i = {size} - 1; i >= 0; i--" if n.attr else f"i = 0; i < {size}; i++"
    return ["real s = 0;", f"for (long {order}) out[i] = s += a0[i];"]


def _concat_row(n: Node) -> list[str]:
    lines = []
    for k, arg in enumerate(n.args):
        size = shape_text(arg.shape or ())
        lines.append(f"memcpy(out, a{k}, ({size}) * sizeof(real)); out += {size};")
    total = shape_text(n.shape or ())
    return [*lines, f"out -= {total};"]


def _window(n: Node, inner: Node) -> tuple[str, str, str, str]:
    """(rows, length of a row inside the window, of a row outside, where the window starts)."""
    axis, start, _length = n.attr
    inside, outside = (n.shape, n.args[0].shape) if inner is n else (n.args[0].shape, n.shape)
    assert inside is not None and outside is not None
    if axis == len(inside) - 1:
        rows = shape_text(inside[:-1])
        return rows, size_text(inside[-1]), size_text(outside[-1]), size_text(start)
    tail = shape_text(inside[axis + 1 :])
    return "1", f"{size_text(inside[axis])} * {tail}", "0", f"{size_text(start)} * {tail}"


def _slice_row(n: Node) -> list[str]:
    rows, inside, outside, start = _window(n, n)
    return [
        f"for (long i = 0; i < {rows}; i++) "
        f"memcpy(out + i * ({inside}), a0 + i * ({outside}) + {start}, ({inside}) * sizeof(real));"
    ]


def _embed_row(n: Node) -> list[str]:
    rows, inside, outside, start = _window(n, n.args[0])
    return [
        f"memset(out, 0, ({shape_text(n.shape or ())}) * sizeof(real));",
        f"for (long i = 0; i < {rows}; i++) "
        f"memcpy(out + i * ({outside}) + {start}, a0 + i * ({inside}), ({inside}) * sizeof(real));",
    ]


ROW: dict[str, Callable[[Node], list[str]]] = {
    "contract": contract_row,
    "amax": _amax_row,
    "cumsum": _cumsum_row,
    "concat": _concat_row,
    "slice": _slice_row,
    "embed": _embed_row,
}
