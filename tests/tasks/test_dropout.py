"""Dropout: the right share, the mean kept, the gradient through what is left."""

from __future__ import annotations

import pytest
import torch

from elman.tasks.dropout import Dropout

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(1000003,), (101, 99, 97)])
def test_share_mean_and_independence(p, shape):
    torch.manual_seed(0)
    kept = Dropout(p)(torch.ones(shape)).flatten()
    deviation = (p * (1 - p) / kept.numel()) ** 0.5
    assert float((kept == 0).double().mean()) == pytest.approx(p, abs=5 * deviation)
    assert float(kept.double().mean()) == pytest.approx(1.0, abs=5 * deviation / (1 - p))
    values = (kept != 0).double() - (1 - p)
    for lag in (1, 2, 3, 4, 5):  # four values share a draw, and know nothing of each other
        assert abs(float((values[lag:] * values[:-lag]).mean())) < 5 * p * (1 - p) / 900


def test_gradient_is_zero_where_the_value_is():
    x = torch.randn(50, 40, dtype=torch.float64, requires_grad=True)
    y = Dropout(0.25)(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.where(y == 0, 0.0, torch.full_like(y, 4 / 3)))


def test_one_seed_one_mask_and_none_in_evaluation():
    layer, x = Dropout(0.5), torch.randn(7, 3)
    torch.manual_seed(3)
    first = layer(x)
    torch.manual_seed(3)
    assert torch.equal(layer(x), first)
    assert not torch.equal(layer(x), first)
    assert layer.eval()(x) is x


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_dropout_and_odd_sizes(dtype):
    x = torch.randn(5, dtype=dtype)
    assert Dropout(0.0)(x) is x
    for size in range(9):
        y = Dropout(0.5)(torch.ones(size, dtype=dtype))
        assert y.shape == (size,)
        assert y.dtype == dtype
