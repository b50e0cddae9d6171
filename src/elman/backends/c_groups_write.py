"""C for one group of a stage: the function of one tile, and the loop over rows and panels around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from elman.backends.c_names import Namer, ascii_name
from elman.backends.groups import INLINE, Group, is_product
from elman.ir import Node, Shape
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
    "add": lambda a, b: f"{a} + {b}",
    "sub": lambda a, b: f"{a} - {b}",
    "mul": lambda a, b: f"{a} * {b}",
    "div": lambda a, b: f"{a} / {b}",
    "pow": lambda a, b: f"vpow({a}, {b})",
    "maximum": lambda a, b: f"vmaximum({a}, {b})",
    "minimum": lambda a, b: f"vminimum({a}, {b})",
    "less": lambda a, b: f"vless({a}, {b})",
    "equal": lambda a, b: f"vequal({a}, {b})",
    "where": lambda c, a, b: f"vwhere({c}, {a}, {b})",
}


def size_text(size: str) -> str:
    """A size as C: my->n_hidden."""
    parts = [part if part.isdigit() else f"my->n_{part}" for part in size.split("+")]
    return parts[0] if len(parts) == 1 else f"({' + '.join(parts)})"


def shape_text(shape: Shape) -> str:
    """The number of values of a shape as C."""
    return " * ".join(map(size_text, shape)) or "1"


def number_text(value: float) -> str:
    """A number as C, exact."""
    return "INFINITY" if value == float("inf") else f"(real){value!r}"


@dataclass(frozen=True)
class Home:
    """Where a value lies: a field of the struct; `shift` is the slots of time by which its rows are moved."""

    field: str
    shape: Shape
    over: str
    shift: int = 0

    def address(self, row: str = "row") -> str:
        """C for the first value of a row; a row counts steps and batch together."""
        if self.over == "":
            return f"my->{self.field}"
        index = {"tb": row, "b": f"({row} % my->B)", "t": f"({row} / my->B)"}[self.over]
        if self.shift:
            index = f"({row} + my->B)"
        size = shape_text(self.shape)
        return f"my->{self.field} + {index}" + (f" * ({size})" if size != "1" else "")


@dataclass(frozen=True)
class Scope:
    """What the code of one stage may read and must store."""

    prefix: str
    homes: Mapping[Node, Home]
    stores: Mapping[Node, tuple[tuple[Home, bool], ...]]  # where to, and whether it may be absent
    packs: Mapping[Node, str]  # product -> field of its packed matrix
    labels: Mapping[Node, str]
    comments: Mapping[str, str]


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


def group_panels(group: Group) -> str:
    """How many panels a group's units make."""
    return f"panels({shape_text(group.shape)})" if group.is_tile else "1"


def _needed(group: Group, scope: Scope) -> str:
    """C that leaves a group of which nothing is wanted."""
    stores = [store for n in group.nodes for store in scope.stores.get(n, ())]
    if not stores or any(not optional for _, optional in stores):
        return ""
    fields = dict.fromkeys(home.field for home, _ in stores)
    return f"  if (!({' || '.join(f'my->{field}' for field in fields)})) return;\n"


def _tile_group(group: Group, name: str, scope: Scope) -> str:
    products = group.products
    tiles = "".join(f", const real *tile{k}" for k in range(len(products)))
    lines = _tile_body(group, scope)
    at = (
        f"INLINE void at_{name}(const struct {scope.prefix} *restrict my, const long row, const long unit, "
        f"const long lanes{tiles}) {{\n" + "".join(f"  {line}\n" for line in lines) + "}\n"
    )
    calls = "".join(f"      {_product_call(k, n, scope)}\n" for k, n in enumerate(products))
    passed = "".join(f", tile[{k}] + i * PANEL + v" for k in range(len(products)))
    limits = [_row_limit(scope.homes[n.args[1]]) for n in products]
    rows = "tile_rows(r1 - r)"
    for limit in dict.fromkeys(limit for limit in limits if limit):
        rows = f"least({rows}, {limit})"
    memory = f"      real tile[{len(products)}][ROWS * PANEL] __attribute__((aligned(64)));\n"
    return at + (
        f"static void {name}(const struct {scope.prefix} *restrict my, long r0, long r1, long p0, long p1) {{\n"
        f"{_needed(group, scope)}"
        f"  for (long p = p0; p < p1; p++)\n"
        f"    for (long r = r0, m; r < r1; r += m) {{\n"
        f"      const long width = panel_width({shape_text(group.shape)}, p);\n"
        f"      m = {rows};\n"
        f"{memory if products else ''}{calls}"
        f"      for (long i = 0; i < m; i++)\n"
        f"        for (long v = 0; v < width; v += LANES)\n"
        f"          if (width - v >= LANES) at_{name}(my, r + i, p * PANEL + v, LANES{passed});\n"
        f"          else at_{name}(my, r + i, p * PANEL + v, width - v{passed});\n"
        f"    }}\n}}\n"
    )


def _row_limit(home: Home) -> str:
    """Rows of a tile must lie evenly: those of a value that varies over batch or time alone end with it."""
    return "" if home.over in ("tb", "") else "my->B - r % my->B"


def _product_call(k: int, n: Node, scope: Scope) -> str:
    vector = scope.homes[n.args[1]]
    length = shape_text(vector.shape)
    step = "0" if vector.over in ("t", "") else length
    return (
        f"tiles[vectors(width) - 1][m - 1](tile[{k}], {length}, {vector.address('r')}, {step}, 1, "
        f"my->{scope.packs[n]} + p * PANEL * ({length}));"
    )


def _tile_body(group: Group, scope: Scope) -> list[str]:
    """One statement a node: loads, the equations, stores."""
    products = {n: k for k, n in enumerate(group.products)}
    namer = Namer("my", "row", "unit", "lanes", *(f"tile{k}" for k in products.values()))
    lines, names = list[str](), dict[Node, str]()
    for n in group.nodes:
        if n in products:
            text = f"*(const vec *)tile{products[n]}"
        elif n.op in POINTWISE or n.op == "fill":
            args = [_operand(arg, group, names, namer, lines, scope) for arg in n.args]
            if n.op == "fill":
                names[n] = args[0]
            text = C[n.op](*args) if n.op != "fill" else args[0]
        else:
            text = _operand(n, group, names, namer, lines, scope)
        if n not in names:
            names[n] = namer(n, _wish(n, scope))
            lines.append(f"const vec {names[n]} = {text};")
        for home, optional in scope.stores.get(n, ()):
            guard = f"if (my->{home.field}) " if optional else ""
            lines.append(f"{guard}store({_at_unit(home)}, {names[n]}, lanes);")
    return lines


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


def _operand(
    n: Node,
    group: Group,
    names: dict[Node, str],
    namer: Namer,
    lines: list[str],
    scope: Scope,
) -> str:
    """The C variable of an argument, loaded first where it lies in memory."""
    if n in names:
        return names[n]
    if n.op == "const":
        return f"all({number_text(n.attr)})"
    if n.op == "size":
        return f"all((real)({size_text(n.attr)}))"
    home = scope.homes[n]
    names[n] = namer(n, _wish(n, scope))
    spread = group.shape != () and n.shape == ()
    value = f"all(*({home.address()}))" if spread else f"load({_at_unit(home)}, lanes)"
    lines.append(f"const vec {names[n]} = {value};")
    return names[n]


# ---- row groups --------------------------------------------------------------------------------------------------


def _row_group(group: Group, name: str, scope: Scope) -> str:
    (n,) = group.nodes
    lines = [_row_argument(k, arg, scope) for k, arg in enumerate(n.args)]
    stores = scope.stores[n]
    lines.append(f"real *out = {stores[0][0].address()};")
    lines += ROW[n.op](n)
    size = shape_text(n.shape or ())
    lines += [f"memcpy({home.address()}, out, ({size}) * sizeof(real));" for home, _ in stores[1:]]
    body = "".join(f"    {line}\n" for line in lines)
    return (
        f"static void {name}(const struct {scope.prefix} *restrict my, long r0, long r1, long p0, long p1) {{\n"
        f"{_needed(group, scope)}"
        f"  for (long row = r0; row < r1 && p0 < p1; row++) {{\n{body}  }}\n}}\n"
    )


def _row_argument(k: int, arg: Node, scope: Scope) -> str:
    if arg.op in INLINE and arg.op != "leaf":
        value = number_text(arg.attr) if arg.op == "const" else f"(real)({size_text(arg.attr)})"
        return f"const real a{k}[1] = {{{value}}};"
    return f"const real *a{k} = {scope.homes[arg].address()};"


def _contract_row(n: Node) -> list[str]:
    inputs, output = n.attr.split("->")
    words = inputs.split(",")
    sizes = {
        letter: size_text(size)
        for word, arg in zip(words, n.args, strict=True)
        for letter, size in zip(word, arg.shape or (), strict=True)
    }
    loops = [f"for (long {c} = 0; {c} < {sizes[c]}; {c}++)" for c in output]
    inner = [f"for (long {c} = 0; {c} < {sizes[c]}; {c}++)" for c in sizes if c not in output]
    factors = " * ".join(f"a{k}[{_index(word, sizes)}]" for k, word in enumerate(words))
    return [
        " ".join([*loops, "{"]),
        "  real s = 0;",
        "  " + " ".join([*inner, f"s += {factors};"]),
        f"  out[{_index(output, sizes)}] = s;",
        "}",
    ]


def _index(word: str, sizes: Mapping[str, str]) -> str:
    text = ""
    for letter in word:
        text = f"({text}) * {sizes[letter]} + {letter}" if text else letter
    return text or "0"


def _amax_row(n: Node) -> list[str]:
    size = shape_text(n.args[0].shape or ())
    return [
        "real s = a0[0];",
        f"for (long i = 1; i < {size}; i++) s = a0[i] > s || a0[i] != a0[i] ? a0[i] : s;",
        "out[0] = s;",
    ]


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
    "contract": _contract_row,
    "amax": _amax_row,
    "concat": _concat_row,
    "slice": _slice_row,
    "embed": _embed_row,
}
