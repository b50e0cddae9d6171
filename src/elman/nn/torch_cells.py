"""RNNCell, LSTMCell and GRUCell as torch has them: one step, on kernels made from its equations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import torch
from torch.nn.modules.rnn import RNNCellBase

from elman.backends.c_run import thread_count
from elman.backends.interpret import USER
from elman.nn.calls import At, Call, ForwardPlanner
from elman.nn.frozen import CanFreeze, Frozen
from elman.nn.fused import PLAIN, addressed, composite, explained, is_transformed, pack, why_not_now
from elman.nn.kernels import PLANS, StackKernels, addresses_of, kernels_of
from elman.nn.layers import Lead, Stack, Tensor, Tensors, differentiated
from elman.nn.opaque import is_derived
from elman.nn.torch_own import DropIn, refusing, served
from elman.nn.torch_stacks import KINDS, STACKED, TorchLayer, is_unpacked, stack_of

States: TypeAlias = tuple[Tensor, ...]

OWN_STEPS = {"tanh": torch.rnn_tanh_cell, "relu": torch.rnn_relu_cell}
SERVED = (torch.float32, torch.float64)  # in others torch's own step runs
ARGUMENTS = ("input_size", "hidden_size", "bias", "nonlinearity")


class _KernelCell(CanFreeze, DropIn, RNNCellBase):
    """What lets a cell of torch's run on compiled kernels wherever they can serve, and gain."""

    kind = ""  # torch's name of the equations
    _stack: Stack | None = None
    _calls: dict[Any, Call]

    def _prepare(self) -> Stack | None:
        """The cell as the kernels have it: a stack of one layer; None where torch refuses it."""
        self._calls = {}
        if self.kind in KINDS and self.input_size and self.hidden_size:
            sizes = self.input_size, self.hidden_size
            self._stack = stack_of(TorchLayer(self.kind, bool(self.bias), *sizes))
        return self._stack

    def _gains(self, rows: int) -> bool:
        """Whether the kernels are quicker on so many rows than torch's own.

        They pack the weights for this one step, which takes as long as to use them for some rows
        (measured: benchmarks/bench_torch_cells.py).
        """
        weights = self.hidden_size * (self.input_size + self.hidden_size) * len(KINDS[self.kind][1])
        if torch.is_grad_enabled():
            return rows >= 32 or weights <= max(35000, 8500 * rows)
        return rows >= 16 or weights <= 8500 * rows or is_unpacked(rows, weights)

    def _run(self, input: Any, hx: Sequence[Any] | None) -> States | None:
        """The states after the step; None where torch's own cell must serve, or refuse."""
        if torch.compiler.is_compiling() or type(input) not in PLAIN or input.is_nested:
            return None
        shape = input.shape
        axes = len(shape)
        rows = shape[0] if axes == 2 else 1
        if is_transformed():
            return self._transformed(input, hx, rows)
        if self._frozen is None and not self._gains(rows):
            return None
        stack = self._stack or self._prepare()
        if stack is None or axes not in (1, 2) or not rows or shape[-1] != self.input_size:
            return None
        if why_not_now() is not None or torch._C._is_any_autocast_enabled():
            return None
        after = (rows, self.hidden_size) if axes == 2 else (self.hidden_size,)
        states: Sequence[Any] = stack.no_states
        shapes: Sequence[tuple[int, ...] | None] = stack.shapes
        if hx is not None:
            states, shapes = hx, (*shapes[: stack.first_state], *(after,) * len(stack.states))
        if len(states) != len(stack.states) or input.dtype not in SERVED:
            return None
        return self._found(stack, (input, *self._weights(), *states), shapes, after)

    def _transformed(self, input: Tensor, hx: Sequence[Any] | None, rows: int) -> States | None:
        """The same by the torch backend, which knows every transform."""
        stack, after = self._stack or self._prepare(), (*input.shape[:-1], self.hidden_size)
        if stack is None or input.dim() not in (1, 2) or torch._C._is_any_autocast_enabled():
            return None
        given = [input, *self._weights(), *(stack.no_states if hx is None else hx)]
        states = given[stack.first_state :]
        if len(given) != stack.count or input.shape[-1] != self.input_size:
            return None
        present = [each for each in given if each is not None]
        if any(type(each) not in PLAIN or each.dtype is not input.dtype for each in present):
            return None
        if hx is not None and any(state is None or state.shape != after for state in states):
            return None
        wide = [None if state is None else state.reshape(1, rows, -1) for state in states]
        weights = given[1 : stack.first_state]
        _, finals = composite(stack, (1, rows), [input.reshape(1, rows, -1), *weights, *wide])
        return tuple([state.reshape(after) for state in finals])

    def _found(
        self,
        stack: Stack,
        given: Sequence[Tensor | None],
        shapes: Sequence[tuple[int, ...] | None],
        after: tuple[int, ...],
    ) -> States | None:
        """The same for tensors of which some must have a shape; `after` is that of the states."""
        rows = after[0] if len(after) == 2 else 1
        read = addressed(given, shapes)
        if read is None:
            return None
        addresses, is_whole, is_learned = read
        if not is_whole:
            given = [tensor if tensor is None else tensor.contiguous() for tensor in given]
            addresses = addresses_of(given)
        if is_learned and torch.is_grad_enabled():
            found: States = step(stack, rows, len(after), addresses, *given)
            return found
        packed = None
        if self._frozen is not None:
            held = self._frozen.held(kernels_of(stack, given), given, addresses)
            packed = None if held is None else held.packed[0]
        call = self._call(stack, given, rows)
        make: Any = given[0].new_empty_strided  # type: ignore[union-attr]
        strides = (after[-1], 1)[-len(after) :]
        made = [make(after, strides) for _ in stack.states]
        call.at([*addresses, *[state.data_ptr() for state in made], 0], packed)
        return tuple(made)

    def _call(self, stack: Stack, given: Sequence[Tensor | None], rows: int) -> Call:
        """The call of the forward kernel that leaves only the states after the step."""
        first: Any = given[0]
        absent, threads = tuple([t is None for t in given[stack.first_state :]]), thread_count()
        key = first.dtype, rows, absent, threads
        found = self._calls.get(key)
        if found is None:
            if len(self._calls) > PLANS:
                self._calls.clear()
            found = self._calls[key] = _planned(kernels_of(stack, given), rows, absent, threads)
        return found

    def _weights(self) -> list[Any]:
        names = self._weight_names()
        parameters = self._parameters
        try:
            return [parameters[name] for name in names]
        except KeyError:  # computed from others: a parametrization, a pruned weight
            return [getattr(self, name) for name in names]

    def _weight_names(self) -> Iterable[str]:
        return STACKED if self.bias else STACKED[:2]

    def _pack(self, frozen: Frozen) -> None:
        stack = self._stack or self._prepare()
        if stack is not None and self.weight_ih.dtype in SERVED:
            pack(frozen, stack, (None, *self._weights(), *stack.no_states))

    def explain(self) -> str:
        """Which code runs this cell on enough rows, and why not the compiled kernels."""
        if self.weight_ih.dtype not in SERVED:
            return f"torch: dtype {self.weight_ih.dtype}: a step has kernels of float32 and float64"
        if torch._C._is_any_autocast_enabled():
            return "torch: torch's own cell serves under torch.autocast"
        return explained(self._weights(), self.is_frozen)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        for name in ("_stack", "_calls"):  # found again where the cell is loaded
            state.pop(name, None)
        return state

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ARGUMENTS:
            self.__dict__.pop("_stack", None)
        super().__setattr__(name, value)


def _planned(kernels: StackKernels, rows: int, absent: Sequence[bool], threads: int) -> Call:
    """A call of the forward kernel: the given tensors, the states after the step, nothing."""
    (layer,), stack = kernels.layers, kernels.stack
    planner = ForwardPlanner(stack, kernels.layers, (1, rows), absent)
    null = At(stack.count + len(stack.states))
    arrays = []
    for role, name in layer.forward.keys:
        if role in USER:
            arrays.append(planner.user(0, name, ()))
        elif role == "final":
            arrays.append(At(stack.count + stack.states.index(name)))
        elif role == "init" and not planner.absent[name]:
            arrays.append(At(planner.state[name]))
        else:
            arrays.append(null)
    given = [at is not null for at in arrays]
    return Call(layer.forward.planned(1, rows, layer.numbers[0], given, threads), arrays)


class Step(torch.autograd.Function):
    """The kernels of one step as a differentiable operation on arrays without an axis of time."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, stack: Stack, rows: int, axes: int, addresses: list[int], *given: Tensor | None
    ) -> tuple[Tensor, ...]:
        kernels = kernels_of(stack, given)
        _, finals, kept, plan = kernels.forward((1, rows), given, addresses, True)
        ctx.kernels, ctx.plan = kernels, plan
        ctx.save_for_backward(*given, *kept)
        ctx.set_materialize_grads(False)
        return _shaped(finals, axes)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        kernels, plan = ctx.kernels, ctx.plan
        saved, needed = ctx.saved_tensors, ctx.needs_input_grad[4:]
        nothing = None, None, None, None
        if is_derived(grads):
            return *nothing, *_differentiated(kernels.stack, plan.lead, saved, grads, needed)
        return *nothing, *kernels.backward(plan, saved, (None, *grads), needed)


# what Function.apply does outside of transforms, without its search for tensors that outlive one
step = super(torch.autograd.Function, Step).apply


def _shaped(finals: Sequence[Tensor], axes: int) -> States:
    """New states (1, B, size) as the user's are: (B, size) or (size,)."""
    for state in finals:
        state.squeeze_(0)
        if axes == 1:
            state.squeeze_(0)
    return tuple(finals)


def _differentiated(
    stack: Stack, lead: Lead, saved: Tensors, grads: Tensors, needed: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients as a graph of their own, with the axes that the torch backend reads."""
    given = list(saved[: stack.count])
    moved = [0, *range(stack.first_state, stack.count)]
    for k in moved:
        given[k] = _with_lead(given[k], lead)
    wide = [None, *[_with_lead(grad, lead) for grad in grads]]
    found = differentiated(stack, lead, given, wide, needed)
    for k in moved:
        gradient, own = found[k], saved[k]
        if gradient is not None and own is not None:
            found[k] = gradient.reshape(own.shape)
    return found


def _with_lead(tensor: Tensor | None, lead: Lead) -> Tensor | None:
    return None if tensor is None else tensor.reshape(*lead, -1)


@refusing({})
class RNNCell(_KernelCell, torch.nn.RNNCell):
    """`torch.nn.RNNCell` on compiled kernels: its arguments, weights, results and errors.

    >>> import torch
    >>> cell = RNNCell(3, 5, nonlinearity="relu")
    >>> h = cell(torch.zeros(4, 3))
    >>> cell(torch.zeros(4, 3), h).shape
    torch.Size([4, 5])

    While training torch's own step is quicker, and often for few sequences; it serves then, and
    on other devices and types. `freeze` packs the weights once, and the kernels serve again.
    """

    @property
    def kind(self) -> str:  # type: ignore[override]
        return f"RNN_{str(self.nonlinearity).upper()}"

    def _gains(self, rows: int) -> bool:
        # torch's backward of two products and a tanh costs less than any operation of our own
        weights = self.hidden_size * (self.input_size + self.hidden_size)
        if self._frozen is not None:
            return rows >= 16 or weights > 30000
        return not torch.is_grad_enabled() and (rows >= 16 or is_unpacked(rows, weights))

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The state after the step, (B, hidden_size) or (hidden_size,)."""
        is_plain = type(input) in PLAIN and type(hx) in PLAIN
        if is_plain and input.dim() == hx.dim() == 2 and not input.is_nested:
            own = OWN_STEPS.get(self.nonlinearity)
            is_here = torch._C._get_tracing_state() is None and not is_transformed()
            if is_here and own is not None and not self._gains(input.shape[0]):
                weights = self._weights()  # without torch's way to them, which takes longer
                try:
                    return own(input, hx, *(weights if self.bias else (*weights, None, None)))
                except RuntimeError:
                    return served(super().forward, input, hx)
        found = self._run(input, None if hx is None else (hx,))
        return served(super().forward, input, hx) if found is None else found[0]


@refusing({})
class GRUCell(_KernelCell, torch.nn.GRUCell):
    """`torch.nn.GRUCell` on compiled kernels: its arguments, weights, results and errors.

    >>> import torch
    >>> cell = GRUCell(3, 5)
    >>> h = cell(torch.zeros(4, 3))
    >>> cell(torch.zeros(4, 3), h).shape
    torch.Size([4, 5])

    Which code serves is as in `RNNCell`.
    """

    kind = "GRU"

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The state after the step, (B, hidden_size) or (hidden_size,)."""
        found = self._run(input, None if hx is None else (hx,))
        return served(super().forward, input, hx) if found is None else found[0]


@refusing({})
class LSTMCell(_KernelCell, torch.nn.LSTMCell):
    """`torch.nn.LSTMCell` on compiled kernels: its arguments, weights, results and errors.

    >>> import torch
    >>> cell = LSTMCell(3, 5)
    >>> h, c = cell(torch.zeros(4, 3))
    >>> h, c = cell(torch.zeros(4, 3), (h, c))
    >>> h.shape, c.shape
    (torch.Size([4, 5]), torch.Size([4, 5]))

    Which code serves is as in `RNNCell`.
    """

    kind = "LSTM"

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The states h and c after the step, (B, hidden_size) or (hidden_size,) each."""
        is_pair = hx is None or isinstance(hx, tuple | list)
        found = self._run(input, hx) if is_pair else None
        return served(super().forward, input, hx) if found is None else found
