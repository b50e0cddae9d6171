"""The C functions that own memory, time and threads: layout of scratch, packing, blocks of time, the entry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from elman.backends.c_groups_write import Home, group_panels, shape_text, size_text
from elman.backends.groups import Group
from elman.ir import Node, Shape

if TYPE_CHECKING:
    from elman.backends.c_write import _Writer


@dataclass(frozen=True)
class Memory:
    """A field that lies in scratch memory where the caller gives no array; `slots` of time more than steps."""

    shape: Shape
    over: str
    slots: int = 0

    @property
    def in_blocks(self) -> bool:
        """Whether it holds one block of time, so that its pointer moves with the block."""
        return "t" in self.over

    @property
    def size(self) -> str:
        steps = f"(my->block + {self.slots})" if self.slots else "my->block"
        rows = {"": "", "b": "my->B * ", "t": f"{steps} * ", "tb": f"{steps} * my->B * "}
        return f"{rows[self.over]}({shape_text(self.shape)})"

    @property
    def step(self) -> str:
        """Values in one step of time."""
        return f"{'my->B * ' if 'b' in self.over else ''}({shape_text(self.shape)})"


@dataclass
class Stage:
    """The functions of one stage, and the order in which they are called."""

    name: str
    calls: list[tuple[str, Group]] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)


def write_loop(w: _Writer, stages: list[Stage], totals: list[str]) -> str:
    """Everything around the groups of a plan."""
    by_name = {stage.name: stage for stage in stages}
    flat = [_flat(w, by_name[name]) for name in ("invariant", "prologue", "epilogue", "final")]
    return "\n".join(
        [
            _layout(w),
            _pack(w),
            *flat,
            _step(w, by_name["scan"]),
            _function(
                w, "totals", ", int id, int threads", ["long task = 0;", *totals, "(void)task;"]
            ),
            _run(w),
            _entry(w),
        ]
    )


def _function(w: _Writer, name: str, parameters: str, lines: list[str]) -> str:
    p = w.prefix
    body = "".join(f"  {line}\n" for line in lines)
    return f"static void {p}_{name}_(const struct {p} *restrict my, long r0, long r1{parameters}) {{\n{body}}}\n"


def _flat(w: _Writer, stage: Stage) -> str:
    calls = [f"{name}(my, r0, r1, 0, {group_panels(group)});" for name, group in stage.calls]
    return _function(w, stage.name, "", calls)


def _step(w: _Writer, stage: Stage) -> str:
    lines: list[str] = []
    for k, (name, group) in enumerate(stage.calls):
        n = group_panels(group)
        lines.append(
            f"{name}(my, r0, r1, share({n}, id, threads, 1), share({n}, id + 1, threads, 1));"
        )
        if k + 1 == len(stage.calls) or stage.calls[k + 1][1].level > group.level:
            lines.append("if (threads > 1) barrier(team);")
    note = "/* one step of time; of several threads, each computes its panels of units */\n"
    return note + _function(w, "step", ", int id, int threads, struct team *team", lines)


def _layout(w: _Writer) -> str:
    lines: list[str] = []
    for name, memory in w.memory.items():
        if memory.in_blocks:
            lines.append(f"my->{w.block(name)} = my->{name} ? NULL : at;")
        lines.append(f"if (!my->{name}) my->{name} = at, at += room({memory.size});")
    for (matrix, transposed), name in w.packs.items():
        n, k = matrix_sizes(matrix, transposed)
        lines.append(f"my->{name} = at, at += room(packed_size({n}, {k}));")
    lines.append("my->panel = at, at += room(threads * my->block * my->B * PANEL);")
    body = "".join(f"  {line}\n" for line in lines)
    return (
        "/* gives every field without an array its place in scratch memory; the size in bytes */\n"
        f"static long {w.prefix}_layout(struct {w.prefix} *my, real *at, int threads) {{\n"
        f"  real *const start = at;\n{body}  return (at - start) * (long)sizeof(real);\n}}\n"
    )


def _pack(w: _Writer) -> str:
    lines = ["long task = 0;"]
    for (matrix, transposed), name in w.packs.items():
        n, k = matrix_sizes(matrix, transposed)
        source, ld = _source(w, matrix)
        steps = f"1, {ld}" if transposed else f"{ld}, 1"
        lines.append(
            f"for (long p = 0; p < panels({n}); p++) if (task++ % threads == id) "
            f"pack(my->{name}, {source}, {n}, {k}, {steps}, p);"
        )
    return _function(w, "pack", ", int id, int threads", [*lines, "(void)task;"])


def _source(w: _Writer, matrix: Node) -> tuple[str, str]:
    """Where a matrix begins, and the length of its rows in memory."""
    if matrix.op == "leaf":
        return f"my->{w.homes[matrix].field}", size_text((matrix.shape or ())[1])
    axis, start, _ = matrix.attr
    columns = size_text((matrix.args[0].shape or ())[1])
    offset = size_text(start) if axis == 1 else f"{size_text(start)} * {columns}"
    return f"my->{w.homes[matrix.args[0]].field} + {offset}", columns


def matrix_sizes(matrix: Node, transposed: bool) -> tuple[str, str]:
    """(outputs, inputs) of a product."""
    rows, columns = (size_text(size) for size in matrix.shape or ())
    return (columns, rows) if transposed else (rows, columns)


RUN = """\
static void {p}_run(const struct {p} *shared, struct team *team, int id, int mode) {{
  struct {p} own = *shared, *const my = &own;
  const int threads = team->threads;
  if (id == 0) {{
{zero}    {p}_invariant_(my, 0, 1);
  }}
  barrier(team);
  {p}_pack_(my, 0, 0, id, threads);
  barrier(team);
  const long blocks = (my->T + my->block - 1) / my->block;
{declare}  for (long k = 0; k < blocks; k++) {{
    const long first = {order} * my->block;
    const long t0 = first, t1 = least(my->T, t0 + my->block);
    const long r0 = t0 * my->B, r1 = t1 * my->B;
{place}    if (id == 0) {{
      if (k == 0) {{
{init}      }} else {{
{carry}      }}
    }}
{keep}    {p}_prologue_(my, r0 + share(r1 - r0, id, threads, ROWS), r0 + share(r1 - r0, id + 1, threads, ROWS));
    barrier(team);
    const long b0 = share(my->B, id, threads, 1), b1 = share(my->B, id + 1, threads, 1);
    for (long s = 0; s < t1 - t0; s++) {{
      const long row = ({step}) * my->B;
      if (mode == 0) {p}_step_(my, row + b0, row + b1, 0, 1, team);
      else if (mode == 1) {p}_step_(my, row, row + my->B, id, threads, team);
      else if (id == 0) {p}_step_(my, row, row + my->B, 0, 1, team);
    }}
    barrier(team);
    {p}_epilogue_(my, r0 + share(r1 - r0, id, threads, ROWS), r0 + share(r1 - r0, id + 1, threads, ROWS));
    barrier(team);
    {p}_totals_(my, r0, r1, id, threads);
    barrier(team);
    if (id == 0 && k + 1 == blocks) {{
{final}    }}
  }}
  if (id == 0) {p}_final_(my, 0, 1);
}}
"""


def _run(w: _Writer) -> str:
    reverse = w.plan.reverse
    place = [
        f"if (my->{w.block(name)}) my->{name} = my->{w.block(name)} - t0 * {memory.step};"
        for name, memory in w.memory.items()
        if memory.in_blocks
    ]
    init, carry, keep, final, declare = (list[str]() for _ in range(5))
    for c in w.plan.carries:
        home = w.homes[c.previous]
        size = f"my->B * ({shape_text(home.shape)})"
        first, last = w.fields.of["init", c.key], w.fields.of["final", c.key]
        start, end = ("t1", "t0") if reverse else ("t0", "t1")
        slot = f"my->{home.field} + {start} * {size}"
        init.append(f"if (my->{first}) memcpy({slot}, my->{first}, {size} * sizeof(real));")
        init.append(f"else memset({slot}, 0, {size} * sizeof(real));")
        carry.append(
            f"if (my->{w.block(home.field)}) memmove({slot}, from_{home.field}, {size} * sizeof(real));"
        )
        declare.append(f"const real *from_{home.field} = NULL;")
        keep.append(f"from_{home.field} = my->{home.field} + {end} * {size};")
        final.append(
            f"if (my->{last}) memcpy(my->{last}, from_{home.field}, {size} * sizeof(real));"
        )
    homes = [w.homes[v.leaf] for v in w.plan.totals]
    zero = [
        f"if (my->{h.field}) memset(my->{h.field}, 0, {_whole(h)} * sizeof(real));" for h in homes
    ]
    return RUN.format(
        p=w.prefix,
        order="(blocks - 1 - k)" if reverse else "k",
        step="t1 - 1 - s" if reverse else "t0 + s",
        zero=_lines(zero, 4),
        declare=_lines(declare, 2),
        place=_lines(place, 4),
        init=_lines(init, 8),
        carry=_lines(carry, 8),
        keep=_lines(keep, 4),
        final=_lines(final, 6),
    )


def _lines(lines: list[str], indent: int) -> str:
    return "".join(" " * indent + line + "\n" for line in lines)


def _whole(home: Home) -> str:
    rows = {"": "1", "b": "my->B", "t": "my->T", "tb": "my->T * my->B"}[home.over]
    return f"{rows} * ({shape_text(home.shape)})"


ENTRY = """\
/* how many rows of time and batch a block has, and which way the threads share the work of a step */
static void {p}_start(struct {p} *my, long T, long B, const long *sizes, real **arrays) {{
  my->T = T, my->B = B;
{sizes}{arrays}  my->block = block_steps(T, B);
}}
long {p}_scratch(long T, long B, const long *sizes, real **arrays, int threads) {{
  struct {p} own = {{0}}, *const my = &own;
  {p}_start(my, T, B, sizes, arrays);
  return {p}_layout(my, NULL, threads);
}}
void {p}(long T, long B, const long *sizes, real **arrays, real *scratch, int threads) {{
  struct {p} own = {{0}}, *const my = &own;
  {p}_start(my, T, B, sizes, arrays);
  {p}_layout(my, scratch, threads);
  const double cost = {cost}; /* multiply-adds of one row of one step */
  struct team team = {{.threads = work_threads(cost * T * B, threads)}};
  const int mode = step_mode(cost, B, team.threads);
#ifdef _OPENMP
  if (team.threads > 1) {{
#pragma omp parallel num_threads(team.threads)
    {{
#pragma omp single
      team.threads = omp_get_num_threads(); /* may be fewer than asked for */
      {p}_run(my, &team, omp_get_thread_num(), mode);
    }}
    return;
  }}
#endif
  team.threads = 1;
  {p}_run(my, &team, 0, mode);
}}
"""


def _entry(w: _Writer) -> str:
    arrays = "".join(f"  my->{name} = arrays[{k}];\n" for k, name in enumerate(w.pointers))
    sizes = "".join(f"  my->n_{name} = sizes[{k}];\n" for k, name in enumerate(w.sizes))
    terms = [f"(double){n} * {k}" for m, t in w.packs for n, k in [matrix_sizes(m, t)]]
    terms += [f"8.0 * ({shape_text(memory.shape)})" for memory in w.memory.values()]
    return ENTRY.format(p=w.prefix, arrays=arrays, sizes=sizes, cost=" + ".join(terms) or "1")
