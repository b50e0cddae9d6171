"""What torch's layers lack: their equations run as a `Recurrent` on the weights that torch has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import torch
from torch.fx import Proxy
from torch.nn.utils.rnn import PackedSequence

from elman.errors import ElmanError, ShapeProblem
from elman.nn.frozen import Frozen
from elman.nn.given import check_made_with, check_switches, remat_steps
from elman.nn.layers import Tensor, while_compiling
from elman.nn.masked import Marks
from elman.nn.passage import LayerNorm, Passage
from elman.nn.recurrent import Recurrent
from elman.nn.refused import Refused, diagnosed, in_torchs_words, number_of_states, torchs_own
from elman.nn.refused_making import OPTIONS
from elman.nn.regularized import Variational, Zoneout
from elman.nn.torch_own import module_node
from elman.nn.torch_stacks import KINDS, TorchLayer, equations

Named: TypeAlias = Mapping[str, Any]

ALIKE = {"remat"}  # with which the layer computes what torch's does


class Within(Recurrent):
    """The equations of a layer of torch's, on weights that are given with each call."""

    given: Named
    norms: Sequence[torch.nn.Module] = ()
    names: tuple[str, ...]  # of all that it has

    def merge(self, tensors: Mapping[str, tuple[str, ...]]) -> None:
        """Have the weights of a layer as rows of these tensors, and its states as torch's are.

        Those have no place for what was drawn; `remembering` has.
        """
        self._rungs = [rung.on(tensors) for rung in self._rungs]
        self._weights = [name for rung in self._rungs for name in rung.weights.values()]
        self._stack = self._in_one()
        self._drawn, self._states = self._states, replace(self._states, remembered=())

    def remembering(self) -> Within:
        """The same, whose states remember what their sequence draws."""
        found = object.__new__(Within)
        found.__dict__.update({**self.__dict__, "_states": self._drawn})
        return found

    def on(self, weights: Named, norms: Sequence[torch.nn.Module], **now: Any) -> Within:
        """The same on these weights."""
        found = object.__new__(Within)
        own = {"given": weights, "norms": norms, **now}
        if torch.compiler.is_compiling():  # torch 2.10 knows no update of it there
            own = {**{name: self.__dict__[name] for name in self.names}, **own}
            for name in own:
                found.__dict__[name] = own[name]
        else:
            found.__dict__.update(self.__dict__, **own)
        return found

    def reset_parameters(self) -> None:
        """Nothing: a call in the middle of torch.func or torch.export may be what makes it."""

    def _array(self, name: str) -> Tensor:
        found: Tensor = self.given[name] if name in self.given else self._constant(name)
        return found

    def _constant(self, name: str) -> Tensor:
        like = next(iter(self.given.values()))
        return self._buffers[name].to(like.device, like.dtype)  # type: ignore[union-attr]

    def _weight(self) -> Tensor | None:
        found: Tensor = next(iter(self.given.values()))
        return found

    @property
    def _passage(self) -> Passage:
        return Passage(self.norms, self.residual)


class WithOptions(torch.nn.RNNBase):
    """A layer of torch's that may be told more than torch's."""

    hidden_size: Any  # a number, or one for each layer
    _within: Within | None = None
    _described: Callable[[], TorchLayer]
    is_more = False  # whether torch's own layer computes something else
    return_states: Sequence[str] = ()
    learn_initial_state = residual = layer_norm = skip_input = False
    zoneout: Zoneout = 0.0
    variational_dropout: Variational = 0.0
    recurrent_dropout = weight_drop = 0.0
    remat: bool | int = False

    def __init__(self, *args: Any, **named: Any) -> None:
        options = {name: named.pop(name, default) for name, default in OPTIONS.items()}
        remat_steps(options["remat"])
        args, named, sizes = _of_one_size(args, named)
        super().__init__(*args, **named)
        told = {name: given for name, given in options.items() if given != OPTIONS[name]}
        self.__dict__.update(told)
        check_switches(self)
        if sizes is not None or told.keys() - ALIKE:
            self._become_more(sizes)

    def _become_more(self, sizes: tuple[int, ...] | None) -> None:
        """Take on what torch's layer lacks: sizes of each layer, options, and their weights."""
        self.is_more = True
        if sizes is not None:
            self._resize(sizes)
        within = self._made()
        self._adopt(within)
        self.__dict__["return_states"], self.output_size = within.return_states, within.output_size
        if sizes is not None:
            self.reset_parameters()

    def __setattr__(self, name: str, value: Any) -> None:
        check_made_with(name, OPTIONS)
        super().__setattr__(name, value)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        if self.is_more:  # constants made while torch looks on would be no tensors to go on with
            self._made()

    def _resize(self, sizes: tuple[int, ...]) -> None:
        """Weights of layers of several sizes, in torch's order."""
        self.hidden_size = sizes
        gates, directions = len(KINDS[self.mode][1]), 2 if self.bidirectional else 1
        for name in self._flat_weights_names:
            kind, _, layer = name.partition("_l")
            k = int(layer.removesuffix("_reverse"))
            below = sizes[k - 1] * directions if k else self.input_size
            width = {"weight_ih": (below,), "weight_hh": (sizes[k],)}.get(kind, ())
            own = getattr(self, name).new_empty((gates * sizes[k], *width))
            setattr(self, name, torch.nn.Parameter(own))
        self._init_flat_weights()

    def reset_parameters(self) -> None:
        """As torch's own; a learned initial state is 0, and a normalisation does nothing."""
        if not self.is_more:
            return super().reset_parameters()
        weights = [getattr(self, name) for name in self._flat_weights_names]
        each = len(weights) // self.num_layers
        for k, weight in enumerate(weights):
            bound = self._sizes[k // each] ** -0.5
            torch.nn.init.uniform_(weight, -bound, bound)
        for name, parameter in self._parameters.items():
            if name not in self._flat_weights_names and parameter is not None:
                torch.nn.init.zeros_(parameter)
        for norm in self._norms():
            norm.reset_parameters()  # type: ignore[operator]

    @property
    def _sizes(self) -> tuple[int, ...]:
        """The hidden size of each layer."""
        given: Any = self.hidden_size
        return (given,) * self.num_layers if isinstance(given, int) else given

    def _norms(self) -> list[torch.nn.Module]:
        count = self.num_layers if self.layer_norm else 0
        return [getattr(self, f"norm_l{k}") for k in range(count)]

    @while_compiling
    def _ready(self) -> bool:
        if self._within is None:
            self._made()
        return True

    def _made(self) -> Within:
        """The layer as a `Recurrent`; its weights are shapes alone."""
        cell = equations(self.mode, self.bias, bool(self.proj_size))
        hidden: Any = self.proj_size or self.hidden_size
        is_more = {n: getattr(self, n) for n in OPTIONS}
        made = Within(
            cell,
            self.input_size,
            hidden,
            self.num_layers,
            sizes={"cell": self.hidden_size} if self.proj_size else None,
            batch_first=self.batch_first,
            bidirectional=bool(self.bidirectional),
            device="meta",
            dtype=torch.float64,
            **is_more,
        )
        made.merge(self._described().merged)
        made._keep_constants({}, "cpu", torch.float64)  # which have numbers, unlike the weights
        made.names = (*made.__dict__,)
        self.__dict__["_within"] = made  # no module of this one: it has no weights
        return made

    def _adopt(self, within: Within) -> None:
        """The weights that torch's layer has not: learned initial states, and normalisations."""
        like: Tensor = getattr(self, self._flat_weights_names[0])
        for name in within._weights:
            parameter = within._parameters.get(name)
            if parameter is not None:
                self.register_parameter(name, torch.nn.Parameter(like.new_zeros(parameter.shape)))
        for name, norm in within._modules.items():
            assert isinstance(norm, LayerNorm)
            made = LayerNorm(norm.normalized_shape, device=like.device, dtype=like.dtype)
            self.add_module(name, made)

    def _now(self) -> Within:
        """The layer as a `Recurrent` on its present weights."""
        self._ready()
        return self._on(self._named())

    def _named(self) -> dict[str, Tensor]:
        """All weights by their names: torch's, then those that torch's layer has not."""
        known, flat = self._parameters, self._flat_weights_names
        found = {name: known[name] if name in known else getattr(self, name) for name in flat}
        return found if len(known) == len(found) else {**found, **known}

    def _on(self, named: Named) -> Within:
        """The layer as a `Recurrent` on these weights."""
        within = self._within
        assert within is not None
        # torch's own may be changed later; what a float of a module says is traced twice
        dropout = self.dropout if self.training and self.num_layers > 1 else 0.0
        return within.on(named, self._norms(), training=self.training, dropout=dropout)

    def _on_frozen(self, named: Named) -> Within:
        """The same, whose own calls pack these weights once."""
        within = self._on(named)
        constants = {name: within._constant(name) for name in within._buffers}
        within.__dict__.update(given={**within.given, **constants}, _frozen=Frozen())
        return within

    def _with_more(self, input: Any, hx: Any, marks: Marks) -> Any:
        """What forward gives; one state stands alone."""
        if isinstance(input, Proxy):
            return module_node(self, input, hx, lengths=marks.lengths, reset=marks.reset)
        is_alone = self.mode != "LSTM"
        before = (hx,) if is_alone and hx is not None else hx
        output, after, *seen = self._run_more(input, before, marks)
        return output, after[0] if is_alone else after, *seen

    def _run_more(self, input: Any, hx: Any, marks: Marks) -> tuple[Any, ...]:
        """Output, the final states, and what is to be seen of every step."""
        names = KINDS[self.mode][2]
        try:
            if not (hx is None or isinstance(hx, tuple | list)):
                raise TypeError(hx)
            state = None if hx is None else dict(zip(names, hx, strict=True))
            within = self._now()
            run = within._run_packed if isinstance(input, PackedSequence) else within._run
            found = run(input, state, {}, self.batch_first, marks)
        except (ElmanError, TypeError, ValueError):
            problem = self._diagnosed(input, hx)
            if problem is None:
                raise
            raise problem from None
        output, after, *seen = found
        return output, tuple(after[name] for name in names), *seen

    @property
    def is_drawing(self) -> bool:
        """Whether it draws here and now what steps of one sequence share."""
        drops = self.zoneout, self.variational_dropout, self.recurrent_dropout, self.weight_drop
        return self.training and any(drops)

    def step_by_name(
        self, x: Tensor, state: dict[str, Any] | None
    ) -> tuple[Tensor, dict[str, Any]]:
        """A step (B, input_size) with states by name, which remember what the sequence draws."""
        within = self._now().remembering()
        output, after, *_ = within._run(x[None], state, {}, False, Marks(is_step=True))
        return output[0], after

    def by_name(self, state: Any) -> Any:
        """A state as `step_by_name` takes it; what is none as it is."""
        names = KINDS[self.mode][2]
        tensors = (state,) if len(names) == 1 else state
        is_placed = isinstance(state, torch.Tensor | tuple | list) and len(tensors) == len(names)
        return dict(zip(names, tensors, strict=True)) if is_placed else state

    def by_place(self, state: Named) -> Any:
        """The inverse of `by_name`, which forgets what was drawn."""
        tensors = tuple(state[name] for name in KINDS[self.mode][2])
        return tensors if len(tensors) > 1 else tensors[0]

    def _diagnosed(self, input: Any, hx: Any) -> ElmanError | None:
        if not isinstance(self.hidden_size, int):  # then a state may be a tuple itself
            return number_of_states(Refused(self, input, hx)) if self.mode == "LSTM" else None
        given = hx if self.mode == "LSTM" or hx is None else hx[0]
        found = diagnosed(self, input, given)
        if found is None:
            return None
        try:
            with torch.no_grad():
                torchs_own(self).forward(self, input, given)
        except Exception as problem:
            return in_torchs_words(found, problem)
        return found


def _of_one_size(
    args: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any], tuple[int, ...] | None]:
    """The arguments for torch's constructor; the sizes of the layers, where a list gives them."""
    given = args[1] if len(args) > 1 else named.get("hidden_size")
    if not isinstance(given, list | tuple) or not given:
        return args, named, None
    layers = args[2] if len(args) > 2 else named.get("num_layers", len(given))
    if layers != len(given) or not all(isinstance(s, int) and s > 0 for s in given):
        raise ShapeProblem(
            "E234",
            f"hidden_size={given!r}, and there are {layers} layers",
            rule="A list has a whole number, 1 or more, for each layer.",
            fix=f"As in hidden_size={[64] * (layers if isinstance(layers, int) else 2)}.",
        )
    if named.get("proj_size"):
        raise ShapeProblem(
            "E234",
            f"hidden_size={given!r} with proj_size={named['proj_size']!r}",
            rule="A projection has one size in all layers.",
            fix="Pass hidden_size as a number.",
        )
    by_place = (*args[:1], given[0], *args[2:]) if len(args) > 1 else args
    by_name = named if len(args) > 1 else {**named, "hidden_size": given[0]}
    by_name = by_name if len(args) > 2 else {**by_name, "num_layers": layers}
    return by_place, by_name, tuple(given)
