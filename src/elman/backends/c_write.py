"""A plan as C: a struct of pointers, one function a group, and the loop over time around them.

Sizes are run-time values. An output that the caller does not want is a null pointer: it then lives
in scratch memory for one block of time where other values need it, and is not computed at all where
none does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files

from elman.backends.c_contract_write import write_totals
from elman.backends.c_groups_write import Scope, group_blocks, write_group
from elman.backends.c_layout import Buffer, Home, Layout, Store, packed_of
from elman.backends.c_loop_write import Call, Stage, matrix_source, write_loop
from elman.backends.c_names import Namer
from elman.backends.groups import Group, arrange, bundles, stored
from elman.backends.through_time import loop_of, scan_roots
from elman.ir import Node, Plan, Value, topological

STAGES = ("invariant", "prologue", "scan", "epilogue", "final")  # the totals are sums, no groups


# what is computed with, its bytes, and those of a weight within a product
FORMATS = {"float": ("float", 4, 4), "double": ("double", 8, 8), "bfloat16": ("float", 4, 2)}


@dataclass(frozen=True)
class Program:
    """The C of one plan: its functions are `{prefix}_scratch` and `{prefix}`.

    Arrays go in the order of `buffers`; `outputs` maps a public name to the role and key of the
    buffer that holds it.
    """

    prefix: str
    text: str
    buffers: tuple[Buffer, ...]
    sizes: tuple[str, ...]
    outputs: Mapping[str, tuple[str, str]]


def write_file(programs: list[Program], real: str) -> str:
    """The C of some plans for `real`, one of `FORMATS`."""
    return _heads(real) + "\n".join(program.text for program in programs)


def write_whole_file(programs: list[Program], real: str) -> str:
    """One C file that needs no other."""
    return kernels_file(real) + "\n".join(program.text for program in programs)


def kernels_file(real: str) -> str:
    """The C that all cells share: compiled once, and linked to each."""
    return _heads(real) + _text("c_threads.c") + _text("c_kernels.c")


def _heads(real: str) -> str:
    name, size, weight = FORMATS[real]
    words = {"REAL": name, "REAL_BYTES": size, "WEIGHT_BYTES": weight}
    defined = "".join(f"#define {word} {value}\n" for word, value in words.items())
    return defined + _text("c_vectors.h") + _text("c_kernels.h")


def _text(name: str) -> str:
    return files("elman.backends").joinpath(name).read_text(encoding="utf-8") + "\n"


def write_program(
    plan: Plan,
    prefix: str,
    comments: Mapping[str, str] | None = None,
    halves: Collection[str] | None = None,
) -> Program:
    """The C of `plan`; `comments` are the user's equations by name, printed above their code.

    With `halves` it is for bfloat16: these leaves and outputs are so, and states before and after.
    """
    return _Writer(plan, prefix, comments or {}, halves).program()


class _Writer:
    def __init__(
        self,
        plan: Plan,
        prefix: str,
        comments: Mapping[str, str],
        halves: Collection[str] | None,
    ) -> None:
        self.loop = loop_of(plan)
        self.plan = plan = self.loop.plan
        self.prefix, self.comments, self.halves = prefix, comments, halves
        self.layout = Layout(plan, prefix, halves is not None)
        self.labels = {v.node: v.name for v in reversed(plan.labels)}
        self.read = {name: {*topological(self._roots(name))} for name, _ in plan.stages()}
        self.packs: dict[tuple[Node, ...], str] = {}  # products side by side -> field
        self.sources: dict[tuple[Node, ...], str] = {}  # the same, where they are not packed
        fixed = ("run", "layout", "start", "scratch", "pack_", "step_", "fewer_", "totals_")
        self.functions = Namer(*(f"{prefix}_{word}" for word in fixed))

    def program(self) -> Program:
        layout = self.layout
        stages = [self._stage(name) for name in STAGES[:-1]]
        totals = self._totals()
        stages.append(self._stage(STAGES[-1]))
        functions = [text for stage in stages for text in stage.functions]
        if self.halves is not None:
            layout.halve(self.halves, [*functions, *totals])
        loop = write_loop(layout, stages, totals, through_time=self.loop.through_time)
        text = "\n".join([layout.struct(), *functions, loop])
        return Program(self.prefix, text, tuple(layout.buffers), layout.sizes, layout.outputs)

    def _stage(self, name: str) -> Stage:
        values: tuple[Value, ...] = getattr(self.plan, name)
        roots = self._roots(name)
        groups = self.loop.groups if name == "scan" else arrange(roots)
        kept = stored(groups, roots)
        stores: dict[Node, list[Store]] = {n: [] for n in kept}
        for carry in self.plan.carries if name == "scan" else ():
            stores[carry.next].append(Store(self.layout.next_slot(carry.previous), False))
        read_inside = {n for n in stored(groups, ()) if n.op != "leaf"}
        for value in values:
            needed = value.node in read_inside or self._read_later(value, name)
            store = self.layout.place(value, needed)
            if all(store.home != known.home for known in stores[value.node]):
                stores[value.node].append(store)
        homes = dict(self.layout.homes)
        for n in kept:
            if not stores[n]:
                over = "tb" if name == "scan" else n.over
                stores[n].append(self.layout.scratch(name, n, self.labels.get(n, "kept"), over))
            if n.op != "leaf":  # others read it where it surely is
                homes[n] = min(stores[n], key=lambda store: store.optional).home
        return self._write_stage(name, groups, homes, stores)

    def _roots(self, stage: str) -> list[Node]:
        """What a stage computes."""
        if stage == "scan":
            return scan_roots(self.plan)
        return [v.node for v in getattr(self.plan, stage)]

    def _read_later(self, value: Value, stage: str) -> bool:
        return any(value.leaf in nodes for name, nodes in self.read.items() if name != stage)

    def _write_stage(
        self,
        name: str,
        groups: tuple[Group, ...],
        homes: dict[Node, Home],
        stores: dict[Node, list[Store]],
    ) -> Stage:
        kept = stores.keys()
        for group in groups:
            for bundle in bundles(group, kept):
                for products in map(bundle.matrices, range(len(bundle.vectors))):
                    packed = tuple(map(packed_of, products))
                    self.packs[products] = self.layout.pack(packed)
                    if self.halves is None:
                        found = [matrix_source(self.layout, each) for each in packed]
                        self.sources[products] = ", ".join(f"{{{w}, {by}}}" for w, by, _ in found)
        frozen = {n: tuple(found) for n, found in stores.items()}
        whole_block = name != "scan" or self.loop.through_time
        scope = Scope(
            self.prefix,
            "m" if whole_block else "my->B == 1 ? 0 : m",
            whole_block,
            whole_block and name == "scan" and self.plan.reverse,
            homes,
            frozen,
            self.packs,
            self.sources,
            self.labels,
            self.comments,
            self.layout.pairs,
            self.layout.halves,
        )
        stage = Stage(name)
        for group in groups:
            words = [self.labels[n] for n in group.nodes if n in self.labels and n in frozen]
            wish = "_".join([self.prefix, *(words or [name])][:4])
            function = self.functions((name, group), wish)
            stage.calls.append(Call(function, group, group_blocks(group, kept)))
            stage.functions.append(write_group(group, function, _seen_from(group, scope)))
        return stage

    def _totals(self) -> list[str]:
        """C statements that add a block's steps to the totals."""
        totals = self.plan.totals
        stores = [self.layout.place(v, self._read_later(v, "totals")) for v in totals]
        return write_totals(self.layout, zip((v.node for v in totals), stores, strict=True))


def _seen_from(group: Group, scope: Scope) -> Scope:
    """The scope of a group whose rows are steps alone, or sequences alone."""
    if group.over not in ("t", "b"):
        return scope

    def seen(home: Home) -> Home:
        return replace(home, over="tb") if home.over == group.over else home

    homes = {n: seen(home) for n, home in scope.homes.items()}
    stores = {
        n: tuple(Store(seen(s.home), s.optional) for s in scope.stores[n]) for n in scope.stores
    }
    return replace(scope, homes=homes, stores=stores)
