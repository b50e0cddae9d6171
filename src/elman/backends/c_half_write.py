"""C between arrays in bfloat16, as the caller holds them, and the floats that are computed with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from elman.backends.c_layout import Buffer, Home, Layout, Memory, shape_text


def place_given(layout: Layout, name: str, memory: Memory) -> str:
    """Memory for what is computed with only where the caller gives an array."""
    block = f"my->{layout.block(name)} = " if memory.in_blocks else ""
    given = layout.given(name)
    return f"if (my->{given}) {block}my->{name} = at, at += room({memory.size});"


def widen_whole(layout: Layout) -> list[str]:
    """What is read in every block: once a call."""
    return [
        f"if (my->{given}) widen(my->{name}, my->{given}, {_whole(buffer)});"
        for buffer, name, given in _held(layout, is_read=True)
        if not layout.memory[name].in_blocks
    ]


def widen_blocks(layout: Layout) -> list[str]:
    """What is read in one block of time, by the thread that computes these rows before the scan."""
    return [
        f"if (my->{given}) widen_rows(my->{name}, my->{given}, mine, {shape_text(buffer.shape)});"
        for buffer, name, given in _held(layout, is_read=True)
        if layout.memory[name].in_blocks
    ]


def narrow_blocks(layout: Layout, shift: str) -> list[str]:
    """What was written in one block of time; states lie `shift` rows behind."""
    lines = []
    for buffer, name, given in _held(layout, is_read=False):
        if layout.memory[name].in_blocks:
            size = shape_text(buffer.shape)
            first = f" + {shift} * {size}" if buffer.role == "states" else ""
            places = f"my->{given}{first}, my->{name}{first}"
            lines.append(f"if (my->{given}) narrow_rows({places}, mine, {size});")
    return lines


def narrow_whole(layout: Layout) -> list[str]:
    """What is written once a call, each thread its share, when all have computed theirs."""
    lines = []
    for buffer, name, given in _held(layout, is_read=False):
        if not layout.memory[name].in_blocks:
            size = _whole(buffer)
            from_, until = (f"share({size}, {who}, threads, 64)" for who in ("id", "id + 1"))
            ends = f"my->{given} + {from_}, my->{name} + {from_}, {until} - {from_}"
            lines.append(f"if (my->{given}) narrow({ends});")
    return ["barrier(team);", *lines] if lines else []


def _held(layout: Layout, is_read: bool) -> Iterator[tuple[Buffer, str, str]]:
    """The arrays in bfloat16 with their fields, of floats and of what is given."""
    pairs: Iterable[tuple[Buffer, str]] = zip(layout.buffers, layout.pointers, strict=True)
    for buffer, name in pairs:
        is_written = buffer.role in ("states", "output")
        if buffer.half and name in layout.memory and is_read != is_written:
            yield buffer, name, layout.given(name)


def _whole(buffer: Buffer) -> str:
    rows = {"": "", "b": "my->B * ", "t": "my->T * ", "tb": "my->T * my->B * "}[buffer.over]
    return f"{rows}({shape_text(buffer.shape)})"


# ---- rows as products read them ----


def place_pairs(layout: Layout) -> list[str]:
    """Memory for them, for one block of time."""
    lines = []
    for name, pairs in layout.pairs.items():
        slots = layout.memory[name].slots if name in layout.memory else 0
        size = f"(my->block + {slots}) * my->B * depth({_length(layout, name)})"
        lines.append(f"my->{layout.block(pairs)} = (half *)at, at += room({size});")
    return lines


def shift_pairs(layout: Layout) -> list[str]:
    """Their pointers move with the block."""
    return [
        f"my->{pairs} = my->{layout.block(pairs)} "
        f"- t0 * my->B * 2 * depth({_length(layout, name)});"
        for name, pairs in layout.pairs.items()
    ]


def pair_states(layout: Layout, home: Home, source: str, row: str) -> list[str]:
    """Those of a state before the first step of a block."""
    if home.field not in layout.pairs:
        return []
    size = shape_text(home.shape)
    place = f"my->{layout.pairs[home.field]} + ({row} + s0) * 2 * depth({size})"
    return [f"pair_rows({place}, {source}, s1 - s0, {size});"]


def _length(layout: Layout, name: str) -> str:
    return shape_text(layout.shapes[name])
