"""The C functions that own memory, time and threads: layout, packing, blocks of time, the entry."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

from elman.backends.c_contract_write import contract_cost
from elman.backends.c_half_write import (
    narrow_blocks,
    narrow_whole,
    pair_states,
    place_given,
    place_pairs,
    shift_pairs,
    widen_blocks,
    widen_whole,
)
from elman.backends.c_layout import Home, Layout, Packed, shape_text, size_text
from elman.backends.groups import Group
from elman.ir import Carry


@dataclass(frozen=True)
class Call:
    """The function of a group, and C for how many blocks of units it has."""

    function: str
    group: Group
    blocks: str


@dataclass
class Stage:
    """The functions of one stage, and the order in which they are called."""

    name: str
    calls: list[Call] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)


def write_loop(
    layout: Layout, stages: list[Stage], totals: list[str], *, through_time: bool
) -> str:
    """Everything around the groups of a plan; those of the loop take one step, or a block's."""
    by_name = {stage.name: stage for stage in stages}
    meets = _apart(by_name["scan"]) if through_time else _meets(by_name["scan"])
    names = ("invariant", "prologue", "epilogue", *(["final"] if layout.plan.final else []))
    flat = [_flat(layout, by_name[name]) for name in names]
    fewer = [call for name in ("prologue", "epilogue") for call in _of_fewer_rows(by_name[name])]
    return "\n".join(
        [
            _layout(layout),
            _pack(layout),
            *flat,
            *([_fewer(layout, fewer)] if fewer else []),
            _step(layout, by_name["scan"], meets),
            *([_tasks(layout, "totals", totals)] if layout.plan.totals else []),
            _run(layout, THROUGH_TIME if through_time else STEPS, bool(fewer)),
            _entry(layout, stages, None if through_time else sum(meets)),
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
    fewer = _of_fewer_rows(stage)
    calls = [
        f"{call.function}(my, at, 0, {call.blocks});" for call in stage.calls if call not in fewer
    ]
    return _function(layout, stage.name, "struct rows at", calls)


def _of_fewer_rows(stage: Stage) -> list[Call]:
    """The calls for what varies over time alone, over the batch alone, or not at all."""
    in_blocks = stage.name in ("prologue", "epilogue")
    return [call for call in stage.calls if in_blocks and call.group.over != "tb"]


def _fewer(layout: Layout, calls: list[Call]) -> str:
    """The function of what all rows of a step or of a sequence share: each is computed once."""
    rows = {
        "t": "run_of_rows(t0 + share(t1 - t0, id, threads, 1), "
        "t0 + share(t1 - t0, id + 1, threads, 1))",
        "b": "run_of_rows(share(B, id, threads, 1), share(B, id + 1, threads, 1))",
        "": "run_of_rows(0, is_first && id == 0)",
    }
    lines = ["const long B = is_first ? my->B : 0;", "(void)B;"]
    lines += [f"{c.function}(my, {rows[c.group.over]}, 0, {c.blocks});" for c in calls]
    note = "/* what all rows of a step share, and in the first block what all steps share */\n"
    parameters = "long t0, long t1, int is_first, int id, int threads"
    return note + _function(layout, "fewer", parameters, lines)


def _meets(stage: Stage) -> list[bool]:
    """Behind which calls of a step the threads wait for each other."""
    levels = [call.group.level for call in stage.calls]
    if not levels:
        return []
    return [
        level < after for level, after in zip(levels, [*levels[1:], levels[-1] + 1], strict=True)
    ]


def _apart(stage: Stage) -> list[bool]:
    """The same where each call takes all steps of a block."""
    return [call is not stage.calls[-1] for call in stage.calls]


def _step(layout: Layout, stage: Stage, waits: list[bool]) -> str:
    lines: list[str] = []
    for call, meets in zip(stage.calls, waits, strict=True):
        own = [f"share({call.blocks}, {who}, threads, 1)" for who in ("id", "id + 1")]
        lines.append(f"{call.function}(my, at, {', '.join(own)});")
        lines += ["if (threads > 1) barrier(team);"] if meets else []
    note = "/* the loop over time; of several threads, each computes its blocks of units */\n"
    return note + _function(
        layout, "step", "struct rows at, int id, int threads, struct team *team", lines
    )


# ---- memory ----


def _layout(layout: Layout) -> str:
    lines: list[str] = []
    fixed = _invariants(layout)
    for name, memory in layout.memory.items():
        if name in fixed:
            continue
        if name in layout.absent:
            lines.append(place_given(layout, name, memory))
            continue
        if memory.in_blocks:
            lines.append(f"my->{layout.block(name)} = my->{name} ? NULL : at;")
        lines.append(f"if (!my->{name}) my->{name} = at, at += room({memory.size});")
    lines += place_pairs(layout)
    lines.append("my->panel = at, at += room(threads * panel_size(my->block * my->B));")
    weights = []
    for name in fixed:
        weights.append(f"if (!my->{name}) my->{name} = at;")
        weights.append(f"at += room({layout.memory[name].size});")
    for packed, name in layout.packs.items():
        n, k = packed[0].sizes
        weights.append(f"my->{name} = at, at += room(packed_size({len(packed)}, {n}, {k}));")
    p = layout.prefix
    head, tail = "  real *const start = at;\n", "  return at - start;\n}\n"
    return (
        "/* gives every field without an array its place in scratch memory, and packed weights\n"
        "   theirs; how many values they take */\n"
        f"static long {p}_layout(struct {p} *my, real *at, int threads) {{\n"
        f"{head}{_lines(lines, 2)}{tail}"
        f"static long {p}_weights(struct {p} *my, real *at) {{\n{head}{_lines(weights, 2)}{tail}"
    )


def _invariants(layout: Layout) -> list[str]:
    """The fields of what no step changes: it is packed with the weights."""
    return [name for name in _settled(layout) if name in layout.memory.keys() - layout.absent]


def _settled(layout: Layout) -> list[str]:
    fields = (layout.homes[value.leaf].field for value in layout.plan.invariant)
    return list(dict.fromkeys(fields))


def _pack(layout: Layout) -> str:
    lines: list[str] = []
    for side_by_side, name in layout.packs.items():
        for i, packed in enumerate(side_by_side):
            n, k = packed.sizes
            source, steps, is_half = matrix_source(layout, packed)
            function = "pack_half" if is_half else "pack"
            lines.append(
                f"for (long u = 0; u < vectors({n}); u++) if (task++ % threads == id) "
                f"{function}(my->{name}, {source}, {i}, {len(side_by_side)}, u, {n}, {k}, {steps});"
            )
    return _tasks(layout, "pack", lines)


def matrix_source(layout: Layout, packed: Packed) -> tuple[str, str, bool]:
    """Where a matrix begins, its steps of units and of entries, and whether it is in bfloat16."""
    matrix = packed.matrix
    field = layout.homes[matrix if matrix.op == "leaf" else matrix.args[0]].field
    given, is_half = f"my->{layout.given(field)}", field in layout.halves
    columns = packed.columns
    if matrix.op != "leaf":
        axis, start, _ = matrix.attr
        columns = size_text((matrix.args[0].shape or ())[1])
        given += " + " + (size_text(start) if axis == 1 else f"{size_text(start)} * {columns}")
    return given, f"1, {columns}" if packed.transposed else f"{columns}, 1", is_half


# ---- time ----


RUN = """\
static void {p}_run(const void *shared, struct team *team, int id, int mode) {{
  struct {p} own = *(const struct {p} *)shared, *const my = &own;
  const int threads = team->threads, alone = mode == 0; /* each its rows of the batch */
  if (id == 0) {{
{zero}    if (!my->settled) {p}_invariant_(my, run_of_rows(0, 1));
  }}
  barrier(team);
  if (!my->frozen{direct}) {{
    {p}_pack_(my, 0, 0, id, threads);
    barrier(team);
  }}
  const long b0 = share(my->B, id, threads, 1), b1 = share(my->B, id + 1, threads, 1);
  const long s0 = alone ? b0 : 0, s1 = alone ? b1 : id == 0 ? my->B : 0; /* its states */
  const long blocks = (my->T + my->block - 1) / my->block;
{declare}  for (long k = 0; k < blocks; k++) {{
    const long first = {order} * my->block;
    const long t0 = first, t1 = least(my->T, t0 + my->block);
    const long r0 = t0 * my->B, r1 = t1 * my->B;
    const struct rows part = run_of_rows(
        r0 + share(r1 - r0, id, threads, ROWS), r0 + share(r1 - r0, id + 1, threads, ROWS));
    const struct rows mine = alone ? (struct rows){{r0 + b0, r1, b1 - b0, my->B, 0}} : part;
{place}    if (k == 0) {{
{init}    }} else {{
{carry}    }}
{keep}{fewer}    {p}_prologue_(my, mine);
    if (!alone) barrier(team);
{scan}    if (!alone) barrier(team);
    {p}_epilogue_(my, mine);
{totals}    if (k + 1 == blocks) {{
{final}    }}
  }}
{end}}}
"""
STEPS = """\
    for (long s = 0; s < t1 - t0; s++) {{
      const long row = ({step}) * my->B;
      struct rows at = alone ? run_of_rows(row + b0, row + b1) : run_of_rows(row, row + my->B);
      at.back = s & 1; /* begin with the weights that the step before read last */
      if (alone) {p}_step_(my, at, 0, 1, team);
      else if (mode == 1) {p}_step_(my, at, id, threads, team);
      else if (id == 0) {p}_step_(my, at, 0, 1, team);
    }}
"""
THROUGH_TIME = """\
    if (alone) {p}_step_(my, mine, 0, 1, team);
    else if (mode == 1) {p}_step_(my, run_of_rows(r0, r1), id, threads, team);
    else if (id == 0) {p}_step_(my, run_of_rows(r0, r1), 0, 1, team);
"""


def _run(layout: Layout, scan: str, fewer: bool) -> str:
    reverse = layout.plan.reverse
    place = [
        f"if (my->{layout.block(name)}) my->{name} = my->{layout.block(name)} - t0 * {memory.step};"
        for name, memory in layout.memory.items()
        if memory.in_blocks
    ]
    place += [*shift_pairs(layout), *widen_blocks(layout)]
    homes = [layout.homes[v.leaf] for v in layout.plan.totals]
    zero = [
        f"if (my->{h.field}) memset(my->{h.field}, 0, {_whole(h)} * sizeof(real));" for h in homes
    ]
    zero += widen_whole(layout)
    carried = [_carried(layout, carry) for carry in layout.plan.carries]
    indent = {"declare": 2, "init": 6, "carry": 6, "keep": 4, "final": 6}
    meet = ["barrier(team);"]  # totals and blocks of units read what the other threads wrote
    sums = [f"{layout.prefix}_totals_(my, r0, r1, id, threads);"]
    apart = meet if fewer else ["if (!alone) barrier(team);"]
    totals = [*meet, *sums, *meet] if layout.plan.totals else apart
    totals = [*narrow_blocks(layout, "my->B"), *totals]
    shared = [f"{layout.prefix}_fewer_(my, t0, t1, k == 0, id, threads);", *meet]
    finish = f"if (id == 0) {layout.prefix}_final_(my, run_of_rows(0, 1));"
    parts = {
        part: _lines([line for lines in carried for line in lines[part]], columns)
        for part, columns in indent.items()
    }
    return RUN.format(
        p=layout.prefix,
        order="(blocks - 1 - k)" if reverse else "k",
        scan=scan.format(p=layout.prefix, step="t1 - 1 - s" if reverse else "t0 + s"),
        zero=_lines(zero, 4),
        totals=_lines(totals, 4),
        direct="" if layout.is_half else " && !my->direct",
        fewer=_lines(shared if fewer else [], 4),
        end=_lines([*([finish] if layout.plan.final else []), *narrow_whole(layout)], 2),
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
    begin = f"{slot} + s0 * {one}, my->{layout.given(first)} + s0 * {one}"
    end_ = f"my->{layout.given(last)} + s0 * {one}, {behind} + s0 * {one}"
    half = layout.halves.get(home.field)  # of the states, whose first is no step's
    shown = f"my->{half} + {start} * {size} + s0 * {one}, {slot} + s0 * {one}, {own}"
    return {
        "declare": [f"const real *{behind} = NULL;"],
        "init": [
            f"if (my->{layout.given(first)}) "
            + (
                f"widen({begin}, {own});" if first in layout.halves else f"memcpy({begin}, {copy});"
            ),
            f"else memset({slot} + s0 * {one}, 0, {copy});",
            *([f"if (my->{half}) narrow({shown});"] if half else []),
        ],
        "carry": [f"if (my->{block}) memmove({slot} + s0 * {one}, {behind} + s0 * {one}, {copy});"],
        "keep": [
            f"{behind} = my->{home.field} + {end} * {size};",
            *pair_states(layout, home, f"{slot} + s0 * {one}", f"{start} * my->B"),
        ],
        "final": [
            f"if (my->{layout.given(last)}) "
            + (f"narrow({end_}, {own});" if last in layout.halves else f"memcpy({end_}, {copy});")
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
/* bytes of scratch memory, and how many of them packed weights take */
long {p}_scratch(long T, long B, const long *sizes, real **arrays, int threads) {{
  struct {p} own = {{0}}, *const my = &own;
  {p}_start(my, T, B, sizes, arrays);
  const long values = {p}_layout(my, NOWHERE, threads);
  return (values + {p}_weights(my, NOWHERE)) * (long)sizeof(real);
}}
long {p}_packed(const long *sizes) {{
  struct {p} own = {{0}}, *const my = &own;
{sizes}  return {p}_weights(my, NOWHERE) * (long)sizeof(real);
}}
/* packs the weights for later calls */
void {p}_freeze(const long *sizes, real **arrays, real *scratch, real *packed) {{
  struct {p} own = {{0}}, *const my = &own;
  {p}_start(my, 0, 0, sizes, arrays);
{unseen}  {p}_layout(my, scratch, 1);
  {p}_weights(my, packed);
{widen}  {p}_invariant_(my, run_of_rows(0, 1));
  {p}_pack_(my, 0, 0, 0, 1);
}}
/* packed weights of an earlier freeze, or NULL */
void {p}(
    long T, long B, const long *sizes, real **arrays, real *scratch, real *packed, int threads) {{
  struct {p} own = {{0}}, *const my = &own;
  {p}_start(my, T, B, sizes, arrays);
  const int seen = {seen}; /* the caller wants what no step changes */
  const long values = {p}_layout(my, scratch, threads);
  const long weights = {p}_weights(my, packed ? packed : scratch + values);
  my->frozen = packed != NULL;
{direct}  my->settled = packed && !seen;
  const double all = {all}; /* multiply-adds of one row of one step, and those within the step */
  const double step = {step};
  const struct cost cost = {{all, step, ({bytes}) * WEIGHT_BYTES, {pieces}, {levels}}};
  static struct pace pace[PACES];
  run_team({p}_run, my, cost, pace, T, B, threads);
}}
"""


def _entry(layout: Layout, stages: list[Stage], levels: int | None) -> str:
    arrays = [
        f"my->{layout.given(name)} = {'(half *)' if name in layout.halves else ''}arrays[{k}];"
        for k, name in enumerate(layout.pointers)
    ]
    sizes = [f"my->n_{name} = sizes[{k}];" for k, name in enumerate(layout.sizes)]
    shown = [layout.given(name) for name in _settled(layout) if name in layout.pointers]
    scan = next(stage for stage in stages if stage.name == "scan")
    values = [f"8.0 * ({shape_text(memory.shape)})" for memory in layout.memory.values()]
    products = [n for call in scan.calls for n in call.group.products]
    few = 2 if layout.plan.reverse else 8  # rows: backward, units lie along memory, a step apart
    return ENTRY.format(
        p=layout.prefix,
        seen=" || ".join(f"my->{name} != NULL" for name in shown) or "0",
        unseen=_lines([f"my->{name} = NULL;" for name in shown], 2),
        widen=_lines(widen_whole(layout), 2),
        arrays=_lines(arrays, 2),
        sizes=_lines(sizes, 2),
        all=" + ".join([*_work(stages), *_outer_work(layout), *values]) or "1",
        step=" + ".join([*_work([scan]), *values]) or "1",
        bytes=" + ".join(map(contract_cost, products if levels is not None else ())) or "0",
        pieces=functools.reduce("most({}, {})".format, [c.blocks for c in scan.calls] or ["1"]),
        levels=levels or 0,
        direct=_lines(
            []
            if layout.is_half
            else [f"my->direct = !packed && is_direct(T * B, weights, {few});"],
            2,
        ),
    )


def _work(stages: list[Stage]) -> list[str]:
    """The multiply-adds of one row of one step in these stages."""
    nodes = [n for stage in stages for call in stage.calls for n in call.group.nodes]
    return [contract_cost(n) for n in nodes if n.op == "contract" and n.over]


def _outer_work(layout: Layout) -> list[str]:
    inner = [v.node.args[0] for v in layout.plan.totals]
    return [contract_cost(n) for n in inner if n.op == "contract"]
