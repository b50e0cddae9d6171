"""Right sides worked part by part give what the nodes of the whole give."""

from __future__ import annotations

import numpy as np
import pytest

from elman.trace.work import work
from elman.trace.worked import dated
from tests.backends import table


@pytest.mark.parametrize("name", table.CELLS)
def test_every_line_is_worked_from_what_is_known(name):
    given = table.data(name, table.Shape(3, 0, 3))
    trace = table.cell(name).trace(*given.parts().values(), sizes=given.sizes)
    known = trace.known()
    for step in (trace.once, *trace.steps):
        for line in step.lines:
            values = work(dated(line.expr, line.step), known.__getitem__)
            assert len(values) == len(line.values)
            for value, exact in zip(values, line.values, strict=True):
                assert value.shape == exact.shape
                assert np.allclose(value, exact, rtol=1e-12, atol=1e-14)
