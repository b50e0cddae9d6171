"""Many to one, and many to many: what is read out of a layer's output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch

from elman.errors import NameProblem, ShapeProblem, nearest
from elman.nn.counted import as_mask, counted, masked_softmax
from elman.nn.given import (
    check_alike,
    check_device,
    check_size,
    check_switches,
    check_tensor,
)

Tensor: TypeAlias = torch.Tensor
WAYS = ("last", "mean", "max", "attention")


class Pool(torch.nn.Module):
    """One vector for a sequence of them: many to one.

    >>> pool = Pool("mean")
    >>> output = torch.tensor([1.0, 2.0, 60.0]).reshape(3, 1, 1)
    >>> pool(output, lengths=[2])
    tensor([[1.5000]])

    Args:
        how: "last" is the step at which each direction has read all: the last one forwards, the
            first one backwards; "mean" and "max" go over the steps that count; "attention" is their
            average with learned weights, the softmax of v . tanh(W h + b).
        size: that of the output, for "attention" only; `pool.weights` then gives the weights.
        bidirectional: the output holds two directions side by side, which "last" must know.
        batch_first: the output is (B, T, size), not (T, B, size).

    Shapes: output (T, B, size) with `lengths` (B) or a `mask` (T, B), or (T, size) of one sequence;
    result (B, size) or (size). What does not count may hold anything. A sequence of no steps
    gives 0.

    Errors: E413 for an unknown way, E218 for sizes, E415 and E428 for masks and lengths.
    """

    def __init__(
        self,
        how: str = "last",
        size: int | None = None,
        *,
        bidirectional: bool = False,
        batch_first: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if how not in WAYS:
            rule = f"Sequences are pooled by {', '.join(WAYS)}."
            fix = nearest(str(how), WAYS) or None
            raise NameProblem("E413", f"how={how!r}", rule=rule, fix=fix)
        if size is not None:
            check_size("size", size)
        self.how, self.size = how, size
        self.bidirectional, self.batch_first = bidirectional, batch_first
        check_switches(self)
        if how == "attention":
            if size is None:
                fix = 'As in Pool("attention", 256).'
                raise ShapeProblem("E218", "the size of what is to be pooled is missing", fix=fix)
            self.W = torch.nn.Linear(size, size, device=device, dtype=dtype)
            self.v = torch.nn.Linear(size, 1, bias=False, device=device, dtype=dtype)

    def forward(self, output: Tensor, lengths: Any = None, *, mask: Any = None) -> Tensor:
        """A vector for each sequence."""
        steps, counts = self._given(output, lengths, mask)
        pooled = POOLED[self.how](self, steps, counts) if steps.shape[0] else steps.sum(0)
        return pooled[0] if output.dim() == 2 else pooled

    def weights(self, output: Tensor, lengths: Any = None, *, mask: Any = None) -> Tensor:
        """How much each step counts in "attention": (T, B), or (B, T) with batch_first.

        >>> Pool("attention", 3).weights(torch.zeros(4, 1, 3), [2]).flatten().tolist()
        [0.5, 0.5, 0.0, 0.0]
        """
        check_tensor("output", output)
        if self.how != "attention":
            fix = f'As in Pool("attention", {output.shape[-1]}).'
            raise NameProblem("E413", f"the pool {self.how!r} has no weights", fix=fix)
        found = _weights(self, *self._given(output, lengths, mask))
        return found[:, 0] if output.dim() == 2 else found.T if self.batch_first else found

    def _given(self, output: Tensor, lengths: Any, mask: Any) -> tuple[Tensor, Tensor]:
        """The steps (T, B, size), and which of them count."""
        check_tensor("output", output)
        is_wrong = self.size is not None and output.shape[-1] != self.size
        if output.dim() not in (2, 3) or is_wrong:
            wanted = "(B, T, size)" if self.batch_first else "(T, B, size)"
            known = f", with size={self.size}" if self.size else ""
            headline = f"the output is {tuple(output.shape)}, and the pool needs {wanted}{known}"
            rule = "T steps, B sequences (B, T with batch_first), then the size of the output."
            fix = "Pass the output that the layer gives, without its state."
            if output.dim() in (2, 3):
                fix = f"Make the pool with size={output.shape[-1]}."
            raise ShapeProblem("E218", headline, rule=rule, fix=fix)
        if self.how == "last" and self.bidirectional and output.shape[-1] % 2:
            headline = f"the output is {tuple(output.shape)}: its last axis holds no two directions"
            rule = "Both directions have one size, and stand side by side."
            raise ShapeProblem("E218", headline, rule=rule, fix="Leave bidirectional=True out.")
        check_alike({"the output": output}, next(self.parameters(), None), "the pool's weights")
        if output.dim() == 2:
            steps, turned = output[:, None], False
            lengths = None if lengths is None else [lengths]
            mask = None if mask is None else as_mask(mask).unsqueeze(1)
        else:
            turned = self.batch_first
            steps = output.transpose(0, 1) if turned else output
        lead = (steps.shape[0], steps.shape[1])
        counts = counted(lead, lengths, mask, output.device, is_turned=turned)
        if counts is None:
            counts = torch.ones(lead, dtype=torch.bool, device=output.device)
        return steps, counts

    def extra_repr(self) -> str:
        """The arguments."""
        words = [repr(self.how)] + ([str(self.size)] if self.size is not None else [])
        words += [f"{n}=True" for n in ("bidirectional", "batch_first") if getattr(self, n)]
        return ", ".join(words)


def _last(pool: Pool, steps: Tensor, counts: Tensor) -> Tensor:
    numbers = torch.arange(steps.shape[0], device=steps.device)[:, None]
    rows = torch.arange(steps.shape[1], device=steps.device)
    last = steps[torch.where(counts, numbers, 0).amax(0), rows]
    if pool.bidirectional:
        first = steps[torch.where(counts, numbers, steps.shape[0] - 1).amin(0), rows]
        half = steps.shape[2] // 2
        last = torch.cat([last[:, :half], first[:, half:]], dim=1)
    return last.masked_fill(~counts.any(0)[:, None], 0.0)


def _mean(pool: Pool, steps: Tensor, counts: Tensor) -> Tensor:
    wide = torch.promote_types(steps.dtype, torch.float32)  # a sum may pass float16's end
    total = steps.masked_fill(~counts[:, :, None], 0.0).sum(0, dtype=wide)
    return (total / counts.sum(0).clamp(min=1)[:, None].to(wide)).to(steps.dtype)


def _max(pool: Pool, steps: Tensor, counts: Tensor) -> Tensor:
    found = steps.masked_fill(~counts[:, :, None], -torch.inf).amax(0)
    return found.masked_fill(~counts.any(0)[:, None], 0.0)


def _weights(pool: Pool, steps: Tensor, counts: Tensor) -> Tensor:
    clean = steps.masked_fill(~counts[:, :, None], 0.0)
    scores = pool.v(pool.W(clean).tanh()).squeeze(-1)  # (T, B)
    return masked_softmax(scores.T, counts.T).T


def _attention(pool: Pool, steps: Tensor, counts: Tensor) -> Tensor:
    weights = _weights(pool, steps, counts)
    return (weights[:, :, None] * steps.masked_fill(~counts[:, :, None], 0.0)).sum(0)


POOLED: dict[str, Callable[[Pool, Tensor, Tensor], Tensor]] = {
    "last": _last,
    "mean": _mean,
    "max": _max,
    "attention": _attention,
}


class ReadOut(torch.nn.Module):
    """y = g(W_y [a, x] + b_y): a layer's output, with its input joined, at every step.

    >>> layer = torch.nn.LSTM(3, 5, bidirectional=True)
    >>> read_out = ReadOut(10, 4, input_size=3)
    >>> x = torch.zeros(7, 2, 3)
    >>> read_out(layer(x)[0], x).shape
    torch.Size([7, 2, 4])

    Args:
        hidden_size: the size of the layer's output, both directions where it has two.
        output_size: the size of y.
        input_size: the size of the input that is joined; 0 joins none.
        bias: whether there is a b_y.
        activation: g, such as `torch.sigmoid`; none unless told.

    Without an input this is `torch.nn.Linear`. Errors: E218 where sizes clash.
    """

    def __init__(
        self,
        hidden_size: int,
        output_size: int,
        input_size: int = 0,
        *,
        bias: bool = True,
        activation: Callable[[Tensor], Tensor] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        for name, size in (("hidden_size", hidden_size), ("output_size", output_size)):
            check_size(name, size)
        check_size("input_size", input_size, least=0)
        self.hidden_size, self.output_size, self.input_size = hidden_size, output_size, input_size
        made: Any = {"device": device, "dtype": dtype}
        self.linear = torch.nn.Linear(hidden_size + input_size, output_size, bias, **made)
        if activation is not None and not callable(activation):
            headline = f"activation={activation!r}, no function of a tensor"
            raise ShapeProblem("E218", headline, fix="As in activation=torch.tanh.")
        self.activation = activation

    def forward(self, output: Tensor, x: Tensor | None = None) -> Tensor:
        """What is read out of each step."""
        self._check_shapes(output, x)
        both = {"output": output} if x is None else {"output": output, "x": x}
        like, whose = next(self.parameters(), None), "the read-out's weights"
        check_device(both, like, whose=whose)
        joined = torch.cat([*both.values()], dim=-1)
        widest = next((n for n, each in both.items() if each.dtype == joined.dtype), "output")
        check_alike({widest: joined}, like, whose)
        y: Tensor = self.linear(joined)
        return y if self.activation is None else self.activation(y)

    def _check_shapes(self, output: Tensor, x: Tensor | None) -> None:
        """E218 where the read-out was made for something else."""
        if (x is None) != (self.input_size == 0):
            fix = f"Make it with input_size={x.shape[-1]}." if x is not None else "Pass x too."
            given = f"it is given {'no' if x is None else 'an'} input"
            headline = f"the read-out joins an input of {self.input_size}, and {given}"
            raise ShapeProblem("E218", headline, fix=fix)
        self._check_size("the output", output, "hidden_size")
        if x is None:
            return
        self._check_size("x", x, "input_size")
        if x.shape[:-1] != output.shape[:-1]:
            headline = f"the output is {tuple(output.shape)}, and x {tuple(x.shape)}"
            rule, fix = "Each step of the output has its x.", "Pass the x that the layer has read."
            raise ShapeProblem("E218", headline, rule=rule, fix=fix)

    def _check_size(self, name: str, tensor: Tensor, argument: str) -> None:
        """E504 for what is no tensor, E218 for one of another size than that argument said."""
        check_tensor(name, tensor)
        size = getattr(self, argument)
        if tensor.shape[-1:] != (size,):
            headline = f"{name} is {tuple(tensor.shape)}, and its last axis must be {size}"
            rule = "The read-out is made for that size."
            fix = f"Make it with {argument}={tensor.shape[-1]}." if tensor.dim() else None
            raise ShapeProblem("E218", headline, rule=rule, fix=fix)
