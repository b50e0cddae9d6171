"""RNN, LSTM and GRU as torch has them, on compiled kernels made from their equations."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from operator import is_
from typing import Any, TypeAlias

import torch
from torch.nn.utils.rnn import PackedSequence

from elman.nn import autocast, opaque
from elman.nn.driven import Composed
from elman.nn.frozen import CanFreeze, Frozen
from elman.nn.fused import PLAIN, composite, explained, is_transformed, pack, run_fused, why_not
from elman.nn.given import remat_facts, remat_steps
from elman.nn.layers import Stack, while_compiling
from elman.nn.look_inside import look_inside
from elman.nn.masked import Marks, Masks
from elman.nn.packed import Packing
from elman.nn.passage import Passage, Turn, is_dropping
from elman.nn.piled import run_marked
from elman.nn.recurrent import Recurrent
from elman.nn.refused_making import OPTIONS
from elman.nn.torch_options import Within, WithOptions
from elman.nn.torch_own import DropIn, refusing, served
from elman.nn.torch_stacks import TorchLayer, is_unpacked, stack_of, stacks_of, state_sizes

Tensor: TypeAlias = torch.Tensor
Found: TypeAlias = tuple[Tensor, tuple[Tensor, ...]]
MasksOf: TypeAlias = Callable[[], Masks]


class NotServed(Exception):
    """The kernels cannot serve these tensors."""


class _KernelLayer(CanFreeze, DropIn, WithOptions):
    """What lets a layer of torch's run on compiled kernels wherever they can serve."""

    _stack: Stack | None = None
    _stacks: tuple[Stack, ...] = ()

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _described(self) -> TorchLayer:
        sizes = self.input_size, self.hidden_size, self.proj_size
        return TorchLayer(self.mode, self.bias, *sizes, self.num_layers, self._directions)

    def _whole(self) -> Stack:
        """All layers of one direction in one stack."""
        self._stack = stack_of(self._described(), remat_steps(self.remat))
        return self._stack

    def _single(self) -> tuple[Stack, ...]:
        """A stack for each layer and direction."""
        self._stacks = stacks_of(self._described(), remat_steps(self.remat))
        return self._stacks

    @while_compiling
    def _prepare(self) -> None:
        """Make the stacks now, as torch.compile cannot trace how they are made."""
        _ = self._stacks or self._single(), self._stack or self._whole()

    def _run(self, input: Any, hx: Any, marks: Marks | None = None) -> Found | None:
        """The output and the final states; None where torch's own layer must serve, or refuse."""
        if isinstance(input, PackedSequence):
            return self._run_packed(input, hx)
        if not _is_plain(input):
            return None
        x, before, axes = input, hx, input.dim()
        if axes == 2:
            x = input.unsqueeze(1)
            before = None if hx is None else _with_rows(hx)
        elif axes == 3 and self.batch_first:
            x = input.transpose(0, 1)
        is_served = axes in (2, 3) and (
            marks is not None or self._gains(x) or torch.compiler.is_compiling()
        )
        found = self._found(x, before, self._masks(marks, x, axes)) if is_served else None
        if found is None or (axes == 3 and not self.batch_first):
            return found
        output, states = found
        if axes == 3:
            return output.transpose(0, 1), states
        return output.squeeze(1), tuple([state.squeeze(1) for state in states])

    def _run_packed(self, input: PackedSequence, hx: Any) -> tuple[Any, Any] | None:
        """The same for a packed sequence."""
        data, order = input.data, input.sorted_indices
        if why_not((data, *self._weights())) is not None or data.dim() != 2 or not len(data):
            return None
        packing = Packing.of(input)
        if not packing.is_of(data):  # torch has words for it
            return None
        try:
            before = hx if hx is None or order is None else [s.index_select(1, order) for s in hx]
        except (AttributeError, IndexError, RuntimeError, TypeError):  # for this too
            return None
        found = self._found(packing.padded(data), before, packing.masks, packing)
        if found is None:
            return None
        states = found[1]
        if order is not None:
            states = tuple([state.index_select(1, input.unsorted_indices) for state in states])
        output = PackedSequence(
            packing.packed(found[0]), input.batch_sizes, order, input.unsorted_indices
        )
        return output, states

    def _masks(self, marks: Marks | None, x: Tensor, axes: int) -> MasksOf | None:
        """Finds which steps of x (T, B, input_size) count, and which begin anew."""
        if marks is None:
            return None
        lead, is_batched = (x.shape[0], x.shape[1]), axes == 3
        return functools.partial(marks.checked, lead, is_batched, self.batch_first, x.device)

    def _now(self) -> Within:
        """The same, made once for weights that are frozen."""
        frozen = self._frozen
        if frozen is None or self.training or torch.compiler.is_compiling():
            return super()._now()
        named = self._named()
        if is_transformed() or (
            torch.is_grad_enabled() and any(w.requires_grad for w in named.values())
        ):
            return super()._now()
        self._ready()
        found: Within = frozen.made_of([*named.values()], functools.partial(self._on_frozen, named))
        return found

    def _run_more(self, input: Any, hx: Any, marks: Marks) -> tuple[Any, ...]:
        """Lengths and resets alone need no other weights than torch's."""
        is_own = not (self.is_more or isinstance(input, PackedSequence))
        is_own = is_own and not torch.compiler.is_compiling()
        found = self._run(input, hx, marks) if is_own else None
        return super()._run_more(input, hx, marks) if found is None else found

    def _found(
        self,
        x: Tensor,
        hx: Sequence[Tensor] | None,
        masks_of: MasksOf | None = None,
        packing: Packing | None = None,
    ) -> Found | None:
        """The same for x (T, B, input_size) and states (layers * directions, B, size)."""
        steps, rows, width = x.shape
        if width != self.input_size or not steps or not rows:
            return None
        if torch._C._is_any_autocast_enabled() or not (hx is None or self._fits(hx, rows)):
            return None
        masks = None if masks_of is None else masks_of()
        if self.bidirectional or is_dropping(self):
            return self._by_layers(x, hx, masks, packing)
        run = self._runner(masks)
        stack = self._stack or self._whole()
        given = (x, *self._weights(), *(stack.no_states if hx is None else hx))
        if len(given) != stack.count:
            return None
        found = run(stack, (steps, rows), given)
        return None if found is None else (found[0][0], found[1])

    def _runner(self, masks: Masks | None) -> Any:
        """What runs a stack: the kernels, or what stands for them here and now."""
        if masks is not None:
            return functools.partial(run_marked, masks=masks, frozen=self._frozen)
        if torch.compiler.is_compiling():
            if torch.onnx.is_in_onnx_export():  # ONNX knows torch's own
                return lambda *_: None
            self._prepare()
            return opaque.run_alike
        if is_transformed():
            return composite
        if self._frozen is not None:
            return functools.partial(run_fused, frozen=self._frozen)
        return run_fused

    def _fits(self, hx: Any, rows: int) -> bool:
        """Whether these are the states of so many sequences."""
        if not isinstance(hx, tuple | list):
            return False
        count = self.num_layers * self._directions
        sizes = state_sizes(self.mode, self.hidden_size, self.proj_size)
        if len(hx) != len(sizes):
            return False
        for state, size in zip(hx, sizes):  # noqa: B905 (a strict one is slower)
            if not _is_plain(state) or state.shape != (count, rows, size):
                return False
        return True

    def _weights(self) -> list[Any]:
        parameters, flat = self._parameters, self._flat_weights
        try:
            named = [parameters[name] for name in self._flat_weights_names]
        except KeyError:  # computed from others: a parametrization, a pruned weight; or taken away
            names = self._flat_weights_names
            return [getattr(self, *pair) for pair in zip(names, flat, strict=True)]
        if all(map(is_, named, flat)) or torch.compiler.is_compiling():
            return named
        # else what torch's forward reads may have been replaced there alone
        return named if self._weights_have_changed() else flat

    def _weight_names(self) -> Iterable[str]:
        names: list[str] = self._flat_weights_names
        return names

    def _pack(self, frozen: Frozen) -> None:
        if self.is_more:
            within = self._now()
            if within._frozen is not None:
                within._pack(within._frozen)
            return
        weights = iter(self._weights())
        for stack in self._single() if self.bidirectional else (self._whole(),):
            own = islice(weights, stack.first_state - 1)
            pack(frozen, stack, (None, *own, *stack.no_states))

    def _by_layers(
        self,
        x: Tensor,
        hx: Sequence[Tensor] | None,
        masks: Masks | None,
        packing: Packing | None,
    ) -> Found | None:
        """Layer by layer, each direction in a call of its own."""
        directions, lead = self._directions, (x.shape[0], x.shape[1])
        turn, runs = Turn.of(lead, masks if self.bidirectional else None), [self._runner(masks)]
        if self.bidirectional:
            runs.append(self._runner(None if masks is None else turn.masks(masks)))
        finals: list[tuple[Tensor, ...]] = []

        def way(k: int, stack: Stack, own: Sequence[Tensor], below: Tensor) -> tuple[Tensor]:
            before = stack.no_states if hx is None else [state[k : k + 1] for state in hx]
            read = turn(below) if k % directions else below
            found = runs[k % directions](stack, lead, (read, *own, *before))
            if found is None:
                raise NotServed
            (output,), final = found
            finals.append(final)
            return (turn(output) if k % directions else output,)

        weights, ways = iter(self._weights()), []
        for k, stack in enumerate(self._stacks or self._single()):
            own = tuple(islice(weights, stack.first_state - 1))
            ways.append(functools.partial(way, k, stack, own))
        layers = [ways[k : k + directions] for k in range(0, len(ways), directions)]
        try:
            (output,) = Passage().through(x, layers, self._drop(packing))
        except NotServed:
            return None
        return output, tuple(torch.cat(each) for each in zip(*finals, strict=True))

    def _drop(self, packing: Packing | None) -> Callable[[Tensor], Tensor] | None:
        """Dropout between layers, drawn as torch draws it: for no step behind an end."""
        if not is_dropping(self):
            return None
        drop = functools.partial(torch.nn.functional.dropout, p=self.dropout)
        if packing is None:
            return drop
        return lambda below: packing.padded(drop(packing.packed(below)))

    def explain(self) -> str:
        """Which code runs this layer here and now, why not the kernels, and what else is so."""
        weights, count, facts = self._weights(), self.num_layers * self._directions, []
        if self.is_more:
            return explained(weights, self.is_frozen, *self._now()._facts())
        if autocast.is_on() and autocast.lowers(weights[0]):
            return "torch: torch's own layer serves under torch.autocast"
        if self.bidirectional or is_dropping(self):
            each = "direction of each layer" if self.bidirectional else "layer"
            facts.append(f"{count} calls, one for each {each}")
        return explained(weights, self.is_frozen, *facts, *remat_facts(self.remat))

    def extra_repr(self) -> str:
        """The arguments, as torch's layer shows them."""
        words: str = super().extra_repr()
        own = {name: getattr(self, name) for name in OPTIONS}
        return ", ".join([words, *(f"{n}={v}" for n, v in own.items() if v != OPTIONS[n])])

    def _gains(self, x: Tensor) -> bool:
        """Whether the kernels are quicker than torch's own, which needs no weights packed.

        A single step of some rows takes it less time than to pack large weights (measured:
        benchmarks/bench_torch_cells.py); its LSTM packs them too.
        """
        if self.mode == "LSTM" or x.shape[0] > 1 or x.dtype is torch.bfloat16:
            return True
        if self._frozen is not None or is_transformed():
            return True
        gates = 3 if self.mode == "GRU" else 1
        weights, rows = gates * self.hidden_size * (self.input_size + self.hidden_size), x.shape[1]
        if not torch.is_grad_enabled() and is_unpacked(rows, weights):
            return True
        is_plain = torch.is_grad_enabled() and gates == 1  # quick by torch's own operations
        return bool(weights <= rows * (8000 if is_plain else 25000))

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[no-untyped-call]
        for name in ("_stack", "_stacks", "_within"):  # found again where the layer is loaded
            state.pop(name, None)
        return state


look_inside(_KernelLayer, Recurrent, Composed)


def _is_plain(tensor: Any) -> bool:
    """Whether it is of no class with ways of its own; torch.export has stand-ins for tensors."""
    if type(tensor) in PLAIN:
        return not tensor.is_nested
    return torch.compiler.is_compiling() and torch.is_tensor(tensor)


def _with_rows(hx: Any) -> Any:
    """States without an axis of sequences as those of one; as they are where torch refuses them."""
    is_known = isinstance(hx, tuple | list) and all(_is_plain(s) and s.dim() == 2 for s in hx)
    return [state.unsqueeze(1) for state in hx] if is_known else ()


class _OfOneState(_KernelLayer):
    """A layer whose cell has one state, which stands alone."""

    def forward(self, input: Any, hx: Any = None, *, lengths: Any = None, reset: Any = None) -> Any:
        """Output of every step, and the final state (layers * directions, B, hidden_size)."""
        if self.is_more or lengths is not None or reset is not None:
            return self._with_more(input, hx, Marks(lengths, reset))
        found = self._run(input, None if hx is None else (hx,))
        if found is None:
            return served(super().forward, input, hx)
        return found[0], found[1][0]


@refusing(OPTIONS)
class RNN(_OfOneState, torch.nn.RNN):
    """`torch.nn.RNN` on compiled kernels: its arguments, weights, results and errors.

    >>> import torch
    >>> layer = RNN(3, 5, nonlinearity="relu", batch_first=True)
    >>> output, h = layer(torch.zeros(4, 7, 3))
    >>> output.shape, h.shape
    (torch.Size([4, 7, 5]), torch.Size([1, 4, 5]))

    By name it takes more, as in `LSTM`. float16 and other devices are served by torch's own.
    """


@refusing(OPTIONS)
class GRU(_OfOneState, torch.nn.GRU):
    """`torch.nn.GRU` on compiled kernels: its arguments, weights, results and errors.

    >>> import torch
    >>> layer = GRU(3, 5, num_layers=2)
    >>> output, h = layer(torch.zeros(7, 4, 3))
    >>> output.shape, h.shape
    (torch.Size([7, 4, 5]), torch.Size([2, 4, 5]))

    By name it takes more, as in `LSTM`. float16 and other devices are served by torch's own.
    """


@refusing(OPTIONS)
class LSTM(_KernelLayer, torch.nn.LSTM):
    """`torch.nn.LSTM` on compiled kernels: its arguments, weights, results and errors.

    >>> import torch
    >>> layer = LSTM(3, 5)
    >>> layer.load_state_dict(torch.nn.LSTM(3, 5).state_dict())
    <All keys matched successfully>
    >>> output, (h, c) = layer(torch.zeros(7, 4, 3))
    >>> output.shape, h.shape, c.shape
    (torch.Size([7, 4, 5]), torch.Size([1, 4, 5]), torch.Size([1, 4, 5]))

    By name it takes what torch's lacks, each as in `Recurrent`: a list for `hidden_size`,
    `return_states`, `learn_initial_state`, `residual`, `layer_norm`, `skip_input`, `zoneout`,
    `variational_dropout`, `recurrent_dropout`, `weight_drop`, `remat`; and of a call `lengths` and
    `reset`. docs/layers.md describes them.

    >>> layer = LSTM(3, [5, 6], bidirectional=True, return_states=("f",))
    >>> output, (h, c), seen = layer(torch.zeros(7, 4, 3), lengths=[7, 2, 5, 0])
    >>> output.shape, h[0].shape, seen["f"][1].shape
    (torch.Size([7, 4, 12]), torch.Size([2, 4, 5]), torch.Size([2, 7, 4, 6]))

    float16 and other devices are served by torch's own.
    """

    def forward(self, input: Any, hx: Any = None, *, lengths: Any = None, reset: Any = None) -> Any:
        """Output of every step, and the final states (layers * directions, B, size)."""
        if self.is_more or lengths is not None or reset is not None:
            return self._with_more(input, hx, Marks(lengths, reset))
        found = self._run(input, hx)
        return served(self._checked, input, hx) if found is None else found

    def _checked(self, input: Any, hx: Any) -> Any:
        """What torch's own gives, which reads a packed sequence and its states without a look."""
        if isinstance(input, PackedSequence) and torch._C._get_tracing_state() is None:
            given, size = (input.data, input.batch_sizes), self.input_size
            # sequences of one length are oneDNN's, which does not ask
            is_even = given[0].dim() == 2 and len(given[1].unique()) == 1
            if is_even and given[0].shape[1] != size:
                words = f"input.size(-1) must be equal to input_size. Expected {size}, got "
                raise RuntimeError(f"{words}{given[0].shape[1]}")
            if isinstance(hx, tuple | list) and len(hx) == 2:
                wanted = self.get_expected_hidden_size(*given), self.get_expected_cell_size(*given)
                for k, state in enumerate(hx):
                    words = f"Expected hidden[{k}] size {{}}, got {{}}"
                    self.check_hidden_size(state, wanted[k], words)
        return super().forward(input, hx)
