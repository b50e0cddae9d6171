"""What torch.autocast makes of the tensors of a call, as it does for torch's own LSTM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from elman.nn.layers import Lead, Stack, Tensor, Tensors

LOWERED = (torch.float32, torch.float16, torch.bfloat16)  # float64 stays as it is
is_on = torch._C._is_any_autocast_enabled


def lowers(tensor: Tensor) -> bool:
    """Whether a tensor is one that torch.autocast gives another dtype, here and now."""
    return tensor.dtype in LOWERED and torch.is_autocast_enabled(tensor.device.type)


def multiplies_in_float16(tensor: Tensor) -> bool:
    """Whether a product of such tensors would be float16, which ends at 65504."""
    if lowers(tensor):
        return torch.get_autocast_dtype(tensor.device.type) is torch.float16
    return tensor.dtype is torch.float16


def lowered(run: Callable[..., Any], stack: Stack, lead: Lead, given: Tensors, *more: Any) -> Any:
    """What `run` gives for the tensors in the dtype of torch.autocast, and outside of it."""
    device = next(tensor for tensor in given if tensor is not None).device.type
    if all(tensor is None or lowers(tensor) for tensor in given):
        dtype, words = torch.get_autocast_dtype(device), stack.words
        given = [t if t is None or k in words else t.to(dtype) for k, t in enumerate(given)]
    with torch.autocast(device, enabled=False):
        return run(stack, lead, given, *more)
