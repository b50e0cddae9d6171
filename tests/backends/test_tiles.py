"""What is computed side by side: sums of products in one tile; weights in bfloat16."""

from __future__ import annotations

import numpy as np
import pytest

import elman
from elman.backends import c_run
from elman.backends.groups import Bundle, arrange, bundles, stored
from elman.passes.derive import derive


def every_bundle(name: str, plan: str, stage: str) -> list[Bundle]:
    cell = elman.cells[name].typed.cell
    found = getattr(derive(cell, cell.returns), plan)
    roots = [value.node for value in getattr(found, stage)]
    roots += [carry.next for carry in found.carries] if stage == "scan" else []
    groups = arrange(roots)
    kept = set(stored(groups, roots))
    return [bundle for group in groups if group.is_tile for bundle in bundles(group, kept)]


def test_the_gates_of_an_lstm_stand_side_by_side():
    (bundle,) = every_bundle("lstm", "forward", "scan")
    assert len(bundle.sums) == 4
    assert [vector.attr.key for vector in bundle.vectors] == ["h"]
    assert all(len(total.products) == 1 and len(total.rest) == 1 for total in bundle.sums)


def test_what_is_only_ever_added_shares_one_sum():
    (bundle,) = every_bundle("lstm", "backward", "scan")
    (total,) = bundle.sums
    assert len(total.products) == len(bundle.vectors) == 4
    (inputs,) = every_bundle("lstm", "backward", "epilogue")
    assert [len(total.products) for total in inputs.sums] == [4]


def test_a_product_that_something_else_reads_stays_its_own():
    cell = elman.Cell("""
        a[t] = U @ h[t-1]
        h[t] = tanh(a[t] + V @ c[t-1] + W @ x[t]) * a[t]
        c[t] = tanh(h[t])
    """).typed.cell
    plan = derive(cell, cell.returns).forward
    roots = [value.node for value in plan.scan] + [carry.next for carry in plan.carries]
    groups = arrange(roots)
    found = [b for g in groups if g.is_tile for b in bundles(g, set(stored(groups, roots)))]
    sums = [total for bundle in found for total in bundle.sums]
    assert sorted(len(total.products) for total in sums) == [1, 1]


def test_every_product_is_in_one_sum_exactly_once():
    for name in ("gru", "lstm_peephole", "layer_norm_lstm", "multiplicative_lstm", "rhn"):
        cell = elman.cells[name].typed.cell
        plan = derive(cell, cell.returns).backward
        roots = [value.node for value in plan.scan] + [carry.next for carry in plan.carries]
        groups = arrange(roots)
        kept = set(stored(groups, roots))
        for group in groups:
            if group.is_tile:
                found = [
                    n for b in bundles(group, kept) for total in b.sums for n in total.products
                ]
                assert sorted(map(id, found)) == sorted(map(id, group.products)), name


class HalfCall(c_run._Call):
    """A call of kernels that have arrays in bfloat16, on arrays of float32."""

    def _run(self, kernel, held):
        halves = {
            (b.role, b.key): (held[b.role, b.key].view(np.uint32) >> 16).astype(np.uint16)
            for b in kernel.buffers
            if b.half and (b.role, b.key) in held
        }
        super()._run(kernel, held | halves)
        for key, array in halves.items():
            if key[0] not in ("input", "parameter", "constant", "given", "init"):
                held[key][...] = (array.astype(np.uint32) << 16).view(np.float32)


SHAPES = [(7, 1, 3, 5), (5, 3, 16, 33), (3, 8, 70, 64), (2, 13, 40, 130), (2, 1, 1100, 40)]


@pytest.mark.c
@pytest.mark.parametrize("name", ["lstm_torch", "gru", "layer_norm_lstm"])
@pytest.mark.parametrize("shape", SHAPES)
def test_bfloat16_weights(name, shape):
    """The kernel on weights and vectors that bfloat16 holds: then only the state is rounded."""
    steps, batch, inputs, hidden = shape
    cell = elman.cells[name]
    random = np.random.default_rng(0)
    shapes = cell.shapes(input=inputs, hidden=hidden)

    def draw(*shape: int, scale: float = 1.0) -> np.ndarray:
        bits = (random.standard_normal(shape) * scale).astype(np.float32).view(np.uint32)
        return (bits & 0xFFFF0000).view(np.float32)

    weights = {n: draw(*shapes[n], scale=hidden**-0.5) for n in cell.parameters}
    x = draw(steps, batch, inputs, scale=inputs**-0.5)
    sizes = cell.numbers({"input": inputs, "hidden": hidden})
    state = {key: np.zeros((batch, hidden), np.float32) for key in cell.states}
    calls = {}
    for dtype in ("float32", "bfloat16"):
        call = (HalfCall if dtype == "bfloat16" else c_run._Call)(
            cell.typed.cell, {"x": x, **weights}, state, sizes, (steps, batch), cell.returns
        )
        call.compiled = c_run.compiled(cell.typed.cell, dtype, cell.returns)
        saved = call.forward(call.compiled.derivation.saved)
        cotangents = {n: np.ones((steps, batch, hidden), np.float32) for n in cell.returns}
        final = {key: np.zeros_like(value) for key, value in state.items()}
        found, _ = call.backward(saved, cotangents, final)
        calls[dtype] = {**call.final, **found}
    # every vector that is multiplied is rounded to 8 bits: once a step, and once more behind it
    bound = (steps + 2) * 2**-8
    for key, expected in calls["float32"].items():
        error = np.abs(calls["bfloat16"][key] - expected).max() / np.abs(expected).max()
        assert error < bound, (key, error, bound)


@pytest.mark.parametrize("plan", ["forward", "backward"])
def test_what_is_multiplied_in_bfloat16_is_rounded_where_it_is_stored(plan):
    cell = elman.cells["gru"].typed.cell
    derivation = derive(cell, cell.returns)
    programs = dict(
        zip(("forward", "backward"), c_run.write_programs(derivation, None, ("h",)), strict=True)
    )
    text = programs[plan].text
    stored = {"forward": ["h"], "backward": ["d_n_in", "d_z_in"]}[plan]
    assert all(f"store_pairs(my->{name}_pairs" in text for name in stored)
    plain = c_run.write_programs(derivation)
    assert not any("half" in p.text or "pairs" in p.text for p in plain)
    assert all(not buffer.half for p in plain for buffer in p.buffers)
    halves = {b.key for b in programs[plan].buffers if b.half}
    assert halves >= ({"x", "W_z", "h"} if plan == "forward" else {"x", "d_x", "d_W_z", "d_h"})


@pytest.mark.parametrize(
    "name", ["rnn", "lstm_torch", "gru", "layer_norm_lstm", "slstm", "zoneout_lstm"]
)
def test_what_the_backward_program_is_given_in_bfloat16_is_what_the_forward_one_gives(name):
    cell = elman.cells[name].typed.cell
    derivation = derive(cell, cell.returns)
    forward, backward = c_run.write_programs(derivation, None, cell.returns)
    given = {b.key: b for b in backward.buffers if b.role == "given"}
    found = {(b.role, b.key): b for b in forward.buffers}
    for name in derivation.saved:
        if name in given:
            assert given[name].half == found[forward.outputs[name]].half
    words = [b for b in (*forward.buffers, *backward.buffers) if b.key.startswith("random ")]
    assert not any(b.half for b in words)
