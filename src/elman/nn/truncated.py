"""Backpropagation through a long sequence in pieces: gradients go back to where a piece begins."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import torch
from torch.nn.utils.rnn import PackedSequence

from elman.backends.masks import check_lengths, check_reset
from elman.errors import NameProblem, ShapeProblem
from elman.nn.composed import reads_backwards
from elman.nn.driven import is_batch_first
from elman.nn.given import is_count
from elman.nn.recurrent import Recurrent
from elman.nn.search import COUNT
from elman.nn.timed import varies

Tensor: TypeAlias = torch.Tensor
RULE = "A layer that is run in pieces is called as layer(x, state) on steps of sequences."


def detach(state: Any) -> Any:
    """A state from which no gradient goes back: tensors in dicts, tuples and lists, however deep.

    >>> h = torch.ones(1, 2, 3, requires_grad=True)
    >>> found = detach({"h": 2 * h, "layers": (h, None)})
    >>> found["h"].requires_grad, found["layers"][0].requires_grad
    (False, False)
    """
    if isinstance(state, torch.Tensor):
        return state.detach()
    if isinstance(state, Mapping):
        return {name: detach(each) for name, each in state.items()}
    if isinstance(state, tuple | list):
        parts = [detach(each) for each in state]
        is_named = hasattr(state, "_fields")
        return type(state)(*parts) if is_named else type(state)(parts)
    return state


def truncated(
    layer: torch.nn.Module,
    x: Tensor | None,
    steps: int,
    state: Any = None,
    *,
    lengths: Any = None,
    reset: Any = None,
    **others: Any,
) -> Iterator[tuple[Any, ...]]:
    """A layer run over `steps` steps at a time: truncated backpropagation through time.

    >>> layer = torch.nn.GRU(3, 5)
    >>> optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    >>> x, targets = torch.randn(10, 2, 3), torch.randn(10, 2, 5)
    >>> for (output, state), target in zip(truncated(layer, x, 4), targets.split(4)):
    ...     loss = (output - target).square().mean()
    ...     optimizer.zero_grad()
    ...     loss.backward()
    ...     optimizer.step()
    >>> state.requires_grad
    False

    A piece is (output, state), as the layer gives them, but the state has no history: the next
    piece begins with it, and so may the next sequence. Gradients of the first piece reach the state
    that is given; `detach` it where they must not.

    `x`, `lengths`, `reset` and what else the layer takes by name are those of the whole sequence.
    The layer is any that reads forwards and is called `layer(x, state) -> (output, state)`.

    Errors: E240 to E242. Source: Williams and Peng, Neural Computation 2(4), 1990.
    """
    _check_steps(steps)
    _check_layer(layer, {"lengths": lengths, "reset": reset})
    named = {"": x, **others}
    streams = {name: s for name, given in named.items() if (s := _stream(layer, name, given))}
    cut, ends = _marked(layer, streams, lengths, reset)
    rest = {n: g for n, g in others.items() if n not in cut and g is not None}
    return _pieces(layer, steps, state, cut, ends, rest)


def _check_steps(steps: object) -> None:
    """E240 for what is no number of steps."""
    if not is_count(steps):
        rule = f"A piece has some steps. {COUNT}"
        raise ShapeProblem("E240", f"steps={steps!r}", rule=rule, fix="As in steps=100.")


class _Stream(NamedTuple):
    """Something given for every step."""

    given: Tensor
    axis: int  # of time
    rows: int | None = None  # how many sequences, where there is an axis of them


def _stream(layer: Any, name: str, given: Any) -> _Stream | None:
    """What is to be cut, and where; None for what goes to every piece as it is."""
    if given is None:
        return None
    if not name and not isinstance(given, torch.Tensor):
        what = f"x is {type(given).__name__}, no tensor"
        fix = "Pass it padded, (T, B, size), with lengths=..." * isinstance(given, PackedSequence)
        raise NameProblem("E242", what, rule="Pieces are cut along its axis of time.", fix=fix)
    over, rank = _form(layer, name, given)
    if "t" not in over or not isinstance(given, torch.Tensor):
        return None
    is_batched = over == "tb" and given.dim() - rank >= 2
    axis = 1 if is_batched and is_batch_first(layer) else 0
    return _Stream(given, axis, given.shape[1 - axis] if is_batched else None)


def _form(layer: Any, name: str, given: Any) -> tuple[str, int]:
    """What an input varies over, and the axes of a step of one sequence; x is called ""."""
    if not name and not given.is_floating_point():  # tokens: numbers
        return "tb", 0
    found = varies(layer, name or _main(layer))
    return found or (("", 0) if name else ("tb", 1))  # of no cell: an option


def _main(layer: Any) -> str:
    """The input that is x, of the first layer of equations."""
    mains = [module.main for module in layer.modules() if isinstance(module, Recurrent)]
    return next((main for main in mains if main), "")


def _lead(streams: Mapping[str, _Stream]) -> tuple[int, ...]:
    """(T, B), or (T,) of one sequence without a batch; E211 and E242 where nothing says so."""
    counts = {name or "x": s.given.shape[s.axis] for name, s in streams.items()}
    if not counts:
        rule = "Pieces are cut along the axis of time of x, or of another input."
        raise NameProblem("E242", "nothing is given that has steps", rule=rule, fix="Pass x.")
    if len(set(counts.values())) > 1:
        words = ", ".join(f"{name} has {count}" for name, count in counts.items())
        rule = "What varies over time has a value for every step."
        raise ShapeProblem("E211", f"the inputs differ in steps: {words}", rule=rule)
    rows = [stream.rows for stream in streams.values() if stream.rows is not None]
    return (next(iter(counts.values())), *rows[:1])


def _marked(
    layer: Any, streams: Mapping[str, _Stream], lengths: Any, reset: Any
) -> tuple[Mapping[str, _Stream], Tensor | None]:
    """What is cut, resets too, and the lengths."""
    lead, ends = _lead(streams), None
    device = next(iter(streams.values())).given.device
    if reset is not None:
        axes = "T" if len(lead) == 1 else "BT" if is_batch_first(layer) else "TB"
        found = check_reset(reset, lead[::-1] if axes == "BT" else lead, axes)
        begins = torch.as_tensor(found, device=device)
        streams = {**streams, "reset": _Stream(begins, axes.index("T"))}
    if lengths is not None:
        counts = check_lengths(lengths, (lead[0], lead[-1]), len(lead) == 2)
        ends = torch.as_tensor(counts, device=device).reshape(lead[1:])
    return streams, ends


PLACED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _check_layer(layer: Any, marks: Mapping[str, Any]) -> None:
    """E241 for a layer that reads backwards, takes one step, or knows no lengths and resets."""
    who = type(layer).__name__
    if isinstance(layer, torch.nn.RNNCellBase) or not isinstance(layer, torch.nn.Module):
        what = "takes one step" if isinstance(layer, torch.nn.RNNCellBase) else "is no layer"
        fix = "Pass a layer, as elman.nn.LSTM(64, 128)."
        raise NameProblem("E241", f"{who} {what}", rule=RULE, fix=fix)
    if reads_backwards(layer):
        rule = "What reads backwards begins at the end of the whole sequence."
        fix = "With remat=True it runs in little memory, and the gradient is whole."
        raise NameProblem("E241", f"{who} has two directions", rule=rule, fix=fix)
    known = inspect.signature(layer.forward).parameters.values()
    is_open = any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in known)
    if not is_open and sum(each.kind in PLACED for each in known) < 2:
        raise NameProblem("E241", f"{who} takes no state", rule=RULE)
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in known):
        return
    for name, given in marks.items():
        if given is not None and name not in {each.name for each in known}:
            own = f"elman.nn.{who} does." if who in ("RNN", "LSTM", "GRU") else None
            raise NameProblem("E241", f"{who} takes no {name}", rule=RULE, fix=own)


def _pieces(
    layer: Any,
    steps: int,
    state: Any,
    streams: Mapping[str, _Stream],
    ends: Tensor | None,
    rest: Mapping[str, Any],
) -> Iterator[tuple[Any, ...]]:
    """The pieces one by one."""
    total = next(stream.given.shape[stream.axis] for stream in streams.values())
    for start in range(0, max(total, 1), steps):  # no step at all is the layer's to refuse
        count = min(steps, total - start)
        given = {n: s.given.narrow(s.axis, start, count) for n, s in streams.items()} | dict(rest)
        if ends is not None:
            given["lengths"] = (ends - start).clamp(0, count)
        output, state, *seen = layer(given.pop("", None), state, **given)
        state = detach(state)
        yield output, state, *seen
