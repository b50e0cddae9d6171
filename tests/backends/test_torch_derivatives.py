"""The torch backend is differentiable as often as one likes, and under torch's transforms."""

from __future__ import annotations

import numpy as np
import pytest

import elman
from tests.backends.table import Shape, cell, data

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated"),
]
NAMES = ("waves", "master_gates", "heads", "outer_memory", "three_axes", "letters_of_einsum")


def function(name, torch):
    """A cell as a function of tensors to the sum of all it computes, and what to give it."""
    from elman.backends import torch_

    given = data(name, Shape(2, 2, 2))
    groups = [{n: torch.tensor(a) for n, a in arrays.items()} for arrays in given.parts().values()]
    inputs, weights, state = groups
    names = [*inputs, *weights], [*state]
    made = cell(name).typed.cell

    def run(*tensors):
        arrays = dict(zip(names[0], tensors, strict=False))
        before = dict(zip(names[1], tensors[len(names[0]) :], strict=True))
        values, final = torch_.forward(made, arrays, before, given.sizes, (2, 2), made.outputs)
        return sum((a**2).sum() for a in (*values.values(), *final.values()))

    return run, tuple(a for group in groups for a in group.values())


@pytest.mark.parametrize("name", NAMES)
def test_second_derivatives(name):
    torch = pytest.importorskip("torch")
    run, tensors = function(name, torch)
    tensors = tuple(a.requires_grad_() for a in tensors)
    assert torch.autograd.gradcheck(run, tensors, fast_mode=True)
    assert torch.autograd.gradgradcheck(run, tensors, fast_mode=True)


@pytest.mark.parametrize("name", NAMES)
def test_forward_mode_and_many_at_once(name):
    torch = pytest.importorskip("torch")
    run, tensors = function(name, torch)
    torch.manual_seed(0)
    ways = tuple(torch.randn(3, *a.shape, dtype=a.dtype) for a in tensors)
    slopes = torch.func.grad(run, argnums=tuple(range(len(tensors))))(*tensors)
    expected = sum((g * way).reshape(3, -1).sum(1) for g, way in zip(slopes, ways, strict=True))

    def along(*way):
        return torch.func.jvp(run, tensors, way)[1]

    torch.testing.assert_close(torch.func.vmap(along)(*ways), expected, rtol=1e-10, atol=1e-10)


CORNERS = """
abs(a[t]) | relu(a[t]) | softplus(a[t]) | log_sigmoid(a[t]) | gelu(a[t]) | silu(a[t]) | elu(a[t])
max(a[t], b[t]) | min(a[t], 0) | clip(a[t], 0, b[t]) | where(a[t] > 0, a[t], b[t]) | sign(a[t])
max(a[t]) * b[t] | step(a[t]) | floor(a[t]) | round(a[t]) | logsumexp(a[t]) * b[t] | a[t] % 1
straight_through(step(a[t]), softplus(b[t]))
"""


@pytest.mark.filterwarnings("ignore::elman.errors.CellWarning")
@pytest.mark.parametrize(
    "what", [each.strip() for each in CORNERS.replace("\n", "|").split("|")][1:-1]
)
def test_corners_are_those_of_the_reference(what):
    """A state that begins at zero is at the corner of many a function."""
    cell = elman.Cell(f"y[t] = {what} + 0 * (a[t] + b[t])")
    a, b = [0.0, 0.0, -0.0, 1.0], [0.0, 1.0, -1.0, 1.0]
    given = {"a": [a, b], "b": [b, a]}, {}
    cotangents = {"y": [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]}
    reference = cell.gradients(*given, cotangents=cotangents, backend="numpy")
    found = cell.gradients(*given, cotangents=cotangents, backend="torch")
    for name, gradient in reference.items():
        np.testing.assert_allclose(found[name], gradient, rtol=1e-12, atol=1e-12, err_msg=name)
