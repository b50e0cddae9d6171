"""The C functions that own memory, time and threads: layout, packing, blocks of time, the entry."""

from __future__ import annotations

from dataclasses import dataclass, field

from elman.backends.c_contract_write import contract_cost
from elman.backends.c_groups_write import group_panels
from elman.backends.c_layout import Home, Layout, Packed, shape_text, size_text
from elman.backends.groups import Group
from elman.ir import Carry


@dataclass
class Stage:
    """The functions of one stage, and the order in which they are called."""

    name: str
    calls: list[tuple[str, Group]] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)


def write_loop(layout: Layout, stages: list[Stage], totals: list[str]) -> str:
    """Everything around the groups of a plan."""
    by_name = {stage.name: stage for stage in stages}
    flat = [_flat(layout, by_name[name]) for name in ("invariant", "prologue", "epilogue", "final")]
    return "\n".join(
        [
            _layout(layout),
            _pack(layout),
            *flat,
            _step(layout, by_name["scan"]),
            _tasks(layout, "totals", totals),
            _run(layout),
            _entry(layout, stages),
        ]
    )


def _function(layout: Layout, name: str, parameters: str, lines: list[str]) -> str:
    p = layout.prefix
    return (
        f"static void {p}_{name}_(const struct {p} *restrict my, {parameters}) {{\n"
        f"{_lines(lines, 2)}}}\n"
    )


def _tasks(layout: Layout, name: str, lines: list[str]) -> str:
    """A function whose statements are dealt out to the threads."""
    lines = ["long task = 0;", *lines, "(void)task;"]
    return _function(layout, name, "long r0, long r1, int id, int threads", lines)


def _lines(lines: list[str], indent: int) -> str:
    return "".join(" " * indent + line + "\n" for line in lines)


# ---- stages ----


def _flat(layout: Layout, stage: Stage) -> str:
    calls = [f"{name}(my, at, 0, {group_panels(group)});" for name, group in stage.calls]
    return _function(layout, stage.name, "struct rows at", calls)


def _step(layout: Layout, stage: Stage) -> str:
    lines: list[str] = []
    for k, (name, group) in enumerate(stage.calls):
        n = group_panels(group)
        lines.append(f"{name}(my, at, share({n}, id, threads, 1), share({n}, id + 1, threads, 1));")
        if k + 1 == len(stage.calls) or stage.calls[k + 1][1].level > group.level:
            lines.append("if (threads > 1) barrier(team);")
    note = "/* one step of time; of several threads, each computes its panels of units */\n"
    return note + _function(
        layout, "step", "struct rows at, int id, int threads, struct team *team", lines
    )


# ---- memory ----


def _layout(layout: Layout) -> str:
    lines: list[str] = []
    for name, memory in layout.memory.items():
        if memory.in_blocks:
            lines.append(f"my->{layout.block(name)} = my->{name} ? NULL : at;")
        lines.append(f"if (!my->{name}) my->{name} = at, at += room({memory.size});")
    for packed, name in layout.packs.items():
        n, k = packed.sizes
        lines.append(f"my->{name} = at, at += room(packed_size({n}, {k}));")
    lines.append("my->panel = at, at += room(threads * my->block * my->B * PANEL);")
    p = layout.prefix
    return (
        "/* gives every field without an array its place in scratch memory; the size in bytes */\n"
        f"static long {p}_layout(struct {p} *my, real *at, int threads) {{\n"
        "  real *const start = at;\n"
        f"{_lines(lines, 2)}"
        "  return (at - start) * (long)sizeof(real);\n"
        "}\n"
    )


def _pack(layout: Layout) -> str:
    lines: list[str] = []
    for packed, name in layout.packs.items():
        n, k = packed.sizes
        source, row = _source(layout, packed)
        steps = f"1, {row}" if packed.transposed else f"{row}, 1"
        lines.append(
            f"for (long p = 0; p < panels({n}); p++) if (task++ % threads == id) "
            f"pack(my->{name}, {source}, {n}, {k}, {steps}, p);"
        )
    return _tasks(layout, "pack", lines)


def _source(layout: Layout, packed: Packed) -> tuple[str, str]:
    """Where a matrix begins, and the length of its rows in memory."""
    matrix = packed.matrix
    if matrix.op == "leaf":
        return f"my->{layout.homes[matrix].field}", packed.columns
    axis, start, _ = matrix.attr
    columns = size_text((matrix.args[0].shape or ())[1])
    offset = size_text(start) if axis == 1 else f"{size_text(start)} * {columns}"
    return f"my->{layout.homes[matrix.args[0]].field} + {offset}", columns


# ---- time ----


RUN = """\
static void {p}_run(const struct {p} *shared, struct team *team, int id, int mode) {{
  struct {p} own = *shared, *const my = &own;
  const int threads = team->threads, alone = mode == 0; /* each its rows of the batch */
  if (id == 0) {{
{zero}    {p}_invariant_(my, run_of_rows(0, 1));
  }}
  barrier(team);
  {p}_pack_(my, 0, 0, id, threads);
  barrier(team);
  const long b0 = share(my->B, id, threads, 1), b1 = share(my->B, id + 1, threads, 1);
  const long s0 = alone ? b0 : 0, s1 = alone ? b1 : id == 0 ? my->B : 0; /* its states */
  const long blocks = (my->T + my->block - 1) / my->block;
{declare}  for (long k = 0; k < blocks; k++) {{
    const long first = {order} * my->block;
    const long t0 = first, t1 = least(my->T, t0 + my->block);
    const long r0 = t0 * my->B, r1 = t1 * my->B;
    const struct rows part = run_of_rows(
        r0 + share(r1 - r0, id, threads, ROWS), r0 + share(r1 - r0, id + 1, threads, ROWS));
    const struct rows mine = alone ? (struct rows){{r0 + b0, r1, b1 - b0, my->B}} : part;
{place}    if (k == 0) {{
{init}    }} else {{
{carry}    }}
{keep}    {p}_prologue_(my, mine);
    if (!alone) barrier(team);
    for (long s = 0; s < t1 - t0; s++) {{
      const long row = ({step}) * my->B;
      if (alone) {p}_step_(my, run_of_rows(row + b0, row + b1), 0, 1, team);
      else if (mode == 1) {p}_step_(my, run_of_rows(row, row + my->B), id, threads, team);
      else if (id == 0) {p}_step_(my, run_of_rows(row, row + my->B), 0, 1, team);
    }}
    if (!alone) barrier(team);
    {p}_epilogue_(my, mine);
{totals}    if (k + 1 == blocks) {{
{final}    }}
  }}
{end}}}
"""


def _run(layout: Layout) -> str:
    reverse = layout.plan.reverse
    place = [
        f"if (my->{layout.block(name)}) my->{name} = my->{layout.block(name)} - t0 * {memory.step};"
        for name, memory in layout.memory.items()
        if memory.in_blocks
    ]
    homes = [layout.homes[v.leaf] for v in layout.plan.totals]
    zero = [
        f"if (my->{h.field}) memset(my->{h.field}, 0, {_whole(h)} * sizeof(real));" for h in homes
    ]
    carried = [_carried(layout, carry) for carry in layout.plan.carries]
    indent = {"declare": 2, "init": 6, "carry": 6, "keep": 4, "final": 6}
    meet = ["barrier(team);"]  # totals and blocks of units read what the other threads wrote
    sums = [f"{layout.prefix}_totals_(my, r0, r1, id, threads);"]
    totals = [*meet, *sums, *meet] if layout.plan.totals else ["if (!alone) barrier(team);"]
    finish = f"if (id == 0) {layout.prefix}_final_(my, run_of_rows(0, 1));"
    parts = {
        part: _lines([line for lines in carried for line in lines[part]], columns)
        for part, columns in indent.items()
    }
    return RUN.format(
        p=layout.prefix,
        order="(blocks - 1 - k)" if reverse else "k",
        step="t1 - 1 - s" if reverse else "t0 + s",
        zero=_lines(zero, 4),
        totals=_lines(totals, 4),
        end=_lines([finish] if layout.plan.final else [], 2),
        place=_lines(place, 4),
        **parts,
    )


def _carried(layout: Layout, carry: Carry) -> dict[str, list[str]]:
    """The C that hands one state from block to block, by its place in RUN."""
    home = layout.homes[carry.previous]
    size = f"my->B * ({shape_text(home.shape)})"
    first, last = (layout.fields.of[role, carry.key] for role in ("init", "final"))
    start, end = ("t1", "t0") if layout.plan.reverse else ("t0", "t1")
    slot, behind = f"my->{home.field} + {start} * {size}", f"from_{home.field}"
    block = layout.block(home.field)
    one, own = f"({shape_text(home.shape)})", f"(s1 - s0) * ({shape_text(home.shape)})"
    copy = f"{own} * sizeof(real)"
    return {
        "declare": [f"const real *{behind} = NULL;"],
        "init": [
            f"if (my->{first}) memcpy({slot} + s0 * {one}, my->{first} + s0 * {one}, {copy});",
            f"else memset({slot} + s0 * {one}, 0, {copy});",
        ],
        "carry": [f"if (my->{block}) memmove({slot} + s0 * {one}, {behind} + s0 * {one}, {copy});"],
        "keep": [f"{behind} = my->{home.field} + {end} * {size};"],
        "final": [
            f"if (my->{last}) memcpy(my->{last} + s0 * {one}, {behind} + s0 * {one}, {copy});"
        ],
    }


def _whole(home: Home) -> str:
    rows = {"": "1", "b": "my->B", "t": "my->T", "tb": "my->T * my->B"}[home.over]
    return f"{rows} * ({shape_text(home.shape)})"


ENTRY = """\
/* what a call is given, and how many steps a block of time has */
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


def _entry(layout: Layout, stages: list[Stage]) -> str:
    rowwise = [g.nodes[0] for stage in stages for _, g in stage.calls if not g.is_tile]
    arrays = [f"my->{name} = arrays[{k}];" for k, name in enumerate(layout.pointers)]
    sizes = [f"my->n_{name} = sizes[{k}];" for k, name in enumerate(layout.sizes)]
    terms = [f"(double){n} * {k}" for n, k in (packed.sizes for packed in layout.packs)]
    terms += [f"8.0 * ({shape_text(memory.shape)})" for memory in layout.memory.values()]
    terms += [contract_cost(n) for n in rowwise if n.op == "contract" and n.over]
    return ENTRY.format(
        p=layout.prefix,
        arrays=_lines(arrays, 2),
        sizes=_lines(sizes, 2),
        cost=" + ".join(terms) or "1",
    )
