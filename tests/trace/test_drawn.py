"""Traces of random cells: what is printed is true, and what is derived is the reference's."""

from __future__ import annotations

import csv
import io
import json
import re
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest

from elman import Cell, friendly
from elman.trace.leaves import spelled
from tests.trace import drawn_cells
from tests.trace.reading import chains, evaluate

pytestmark = pytest.mark.filterwarnings("ignore::elman.errors.CellWarning")
NEAR = {"rtol": 1e-10, "atol": 1e-12, "equal_nan": True}
WIDE = {"limit": 10**6, "width": 10**9}


def drawn(first, last, least=1, **more):
    """Cells with their traces; there and back, with a step of learning."""
    for cell, given in drawn_cells.cells(range(first, last), least):
        yield cell, given, cell.trace(**given, lr=0.5, **more)


def test_the_seeds_make_cells():
    assert len([*drawn_cells.cells(range(100))]) > 90


@pytest.mark.parametrize("first", [0, 40])
def test_values_gradients_and_updates_are_those_of_the_reference(first):
    for cell, given, trace in drawn(first, first + 40):
        asked = {k: v for k, v in given.items() if k != "cotangents"}
        values = cell.run(**asked, backend="numpy").values
        for name, value in trace.values.items():
            if name in values:
                np.testing.assert_allclose(value, values[name], **NEAR, err_msg=cell.name)
        expected = cell.gradients(**given, backend="numpy")
        assert [*trace.gradients] == [*expected]
        for name, gradient in expected.items():
            np.testing.assert_allclose(trace.gradients[name], gradient, **NEAR, err_msg=cell.name)
        for name, new in trace.updated.items():
            old = given["weights"][name]
            np.testing.assert_allclose(new, old - 0.5 * expected[name], **NEAR)


@pytest.mark.torch
def test_gradients_are_those_of_autograd():
    for cell, given, trace in drawn(200, 220):
        for name, gradient in cell.gradients(**given, backend="torch").items():
            np.testing.assert_allclose(trace.gradients[name], gradient, **NEAR, err_msg=cell.name)


def named(trace):
    return {spelled(name): value for name, value in trace.known().items() if name.name != "t"}


def looks(trace, digits=15):
    """Every left side with its looks, and the names that its section may use."""
    names = named(trace)
    for section in trace.to_text(digits, **WIDE).split("\n\n"):
        if section.startswith(("every value", "how the gradient")):
            continue
        step = re.match(r"step (\d+)", section)
        for left, shown in chains(section):
            yield left, shown, names | ({"t": float(step[1])} if step else {})


def test_every_look_comes_to_the_printed_value():
    count = 0
    for cell, _, trace in drawn(0, 35, least=2):
        for left, shown, names in looks(trace):
            want = names[left] if left in names else evaluate(shown[-1], names)
            for look in shown:
                if "==" in look:
                    continue
                found = evaluate(look, names)
                if found.size < np.size(want):
                    found = np.broadcast_to(found.reshape(()), np.shape(want))
                message = f"{cell.name}: {left} = {look}"
                found, expected = found.ravel(), np.ravel(want)[: found.size]
                np.testing.assert_allclose(found, expected, 1e-9, 1e-9, err_msg=message)
                count += 1
    assert count > 4000


def half_up(value, digits):
    unit = Decimal(1).scaleb(-digits)
    return float(Decimal(f"{value:.14e}").quantize(unit, ROUND_HALF_UP))


def test_a_rounded_trace_is_what_a_person_gets_who_rounds_what_is_written():
    """From the last numbers put in to the result: work it out, round it."""
    count = 0
    for cell, _, trace in drawn(100, 125, least=2):
        for left, shown, names in looks(trace.rounded(3)):
            is_copy = re.fullmatch(r"-?[\w\[\]\-.() ,]+(\.T)?", shown[-2]) if shown[1:] else True
            if is_copy or "@" in shown[-2] or "=" in shown[-2]:
                continue
            exact, result = (evaluate(look, names).ravel() for look in shown[-2:])
            for a, b in zip(np.broadcast_to(exact, result.shape), result, strict=True):
                if np.isfinite(a) and abs(a) < 1e9 and abs(a * 1000 % 1 - 0.5) > 1e-6:
                    assert half_up(a, 3) == b, f"{cell.name}: {left} = {shown[-2]}"
                    count += 1
    assert count > 1500


def by_hand(x, w, u, digits):
    """h[t] = tanh(w * x[t] + u * h[t-1]) with a pencil."""
    h, found = 0.0, []
    for each in x:
        h = half_up(np.tanh(half_up(w * each + u * h, digits)), digits)
        found.append(h)
    return found


@pytest.mark.parametrize("digits", range(6))
def test_a_scalar_rnn_is_rounded_as_by_hand(digits):
    random = np.random.default_rng(digits)
    for _ in range(20):
        (w, u), x = random.normal(size=2), random.normal(size=4)
        trace = Cell("h[t] = tanh(w * x[t] + u * h[t-1])").trace({"x": x}, {"w": w, "u": u})
        assert trace.rounded(digits).values["h"].ravel().tolist() == by_hand(x, w, u, digits)


def blocks(text):
    """Every equation that is worked, with all its lines, under its heading."""
    found = []
    for heading, *lines in (section.split("\n") for section in text.split("\n\n")):
        for line in lines:
            if re.match(r"  \S", line) and not line.startswith("  ="):
                found.append([heading])
            found[-1].append(line)
    return {"\n".join(block) for block in found if len(block) > 2}


def test_a_part_of_a_trace_says_nothing_else_than_the_whole():
    for cell, _, trace in drawn(140, 170):
        whole, name, last = blocks(trace.to_text(**WIDE)), cell.returns[0], len(trace.steps)
        for part in (trace.only(name), trace.during(last), trace.only(name).during(1, 1)):
            assert blocks(part.to_text(**WIDE)) <= whole
            for left, shown, names in looks(part):
                if left in names:  # what is read, too
                    found = evaluate(shown[-1], names).ravel()
                    want = np.ravel(names[left])
                    np.testing.assert_allclose(found, want[: found.size], 1e-9, 1e-9, err_msg=left)
        one, other = trace.only(name).rounded(2), trace.rounded(2).only(name)
        assert one.to_json() == other.to_json()


@pytest.mark.parametrize("scale", [1.0, 1e200])
def test_json_and_csv_hold_every_value_to_the_last_digit(scale):
    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    for seed in range(180, 200):
        cell = Cell(drawn_cells.text(seed))
        trace = cell.trace(**drawn_cells.data(cell, seed, scale=scale))
        data = json.loads(trace.to_json(), parse_constant=refuse)
        rows = [*csv.DictReader(io.StringIO(trace.to_csv()))]
        for name, gradient in trace.gradients.items():
            found = np.array(data["backward"]["gradients"][name], dtype=object).astype(float)
            np.testing.assert_array_equal(found, gradient)
        steps = [step for step in trace.shown() if step.reads or step.lines]
        for step, shown in zip(steps, data["steps"], strict=True):
            for line, kept in zip(step.lines, shown["lines"], strict=True):
                found = np.array(kept["value"], dtype=object).astype(float)
                np.testing.assert_array_equal(found, line.value)
                mine = [r for r in rows if (r["name"], r["part"]) == (line.label, "")]
                mine = [float(r["value"]) for r in mine if r["pass"] == "forward"]
                np.testing.assert_array_equal(mine, line.value.ravel())


def test_numbers_to_work_with_can_be_drawn_for_every_cell():
    for cell, _ in drawn_cells.cells(range(200, 230)):
        one, other = friendly(cell, 3), friendly(cell, 3)
        for array in (*one.weights.values(), *one.inputs.values()):
            assert np.all(array != 0) and np.allclose(array * 10, np.round(array * 10))
        for name, array in one.weights.items():
            np.testing.assert_array_equal(array, other.weights[name])
        shapes = {name: np.shape(array) for name, array in one.weights.items()}
        assert shapes == {n: cell.shapes(**one.sizes)[n] for n in shapes}
        assert one.trace(cell, 3 if cell.random else None).to_text()
