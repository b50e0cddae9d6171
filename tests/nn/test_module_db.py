"""torch's own database of its modules, with Elman's class in the place of torch's.

Every sample of `torch.testing._internal.common_modules.module_db` for RNN, GRU, LSTM and their
cells goes through each check that torch's suite makes of a module. The same check of torch's own
class stands beside it: a check that torch fails would say nothing.

Differences: errors are longer, of torch's class and with its words (docs/dropins.md). Left out,
because they need a second device: the transfer between several devices and the parity of two.
"""

from __future__ import annotations

import copy
import functools
import io
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten  # noqa: E402

import elman.nn  # noqa: E402
from tests.backends.table import tolerance  # noqa: E402

# one worker reads the database, which takes seconds
pytestmark = [
    pytest.mark.torch,
    pytest.mark.c,
    pytest.mark.xdist_group("module_db"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
]

KINDS = ("RNN", "GRU", "LSTM", "RNNCell", "GRUCell", "LSTMCell")
DTYPES = (torch.float32, torch.float64)


@functools.cache
def infos() -> dict[str, Any]:
    """What the database knows of each of the six."""
    pytest.importorskip("expecttest", reason="torch's own tests need it")
    from torch.testing._internal import common_modules

    own = {getattr(torch.nn, kind): kind for kind in KINDS}
    return {
        own[info.module_cls]: info for info in common_modules.module_db if info.module_cls in own
    }


class Case:
    """A class in the place of the database's, on one dtype, in training or not."""

    def __init__(self, kind: str, whose: Any, dtype: torch.dtype, training: bool) -> None:
        self.kind, self.dtype, self.training = kind, dtype, training
        self.info = infos()[kind]
        self.cls, self.torchs = getattr(whose, kind), getattr(torch.nn, kind)

    def samples(self, requires_grad: bool = False, **more: Any) -> list[Any]:
        torch.manual_seed(0)
        return [
            sample
            for sample in self.info.module_inputs_func(
                self.info, "cpu", self.dtype, requires_grad, self.training, **more
            )
            if sample.forward_input is not None
        ]

    def module(self, sample: Any, cls: Any = None) -> Any:
        """The module of a sample, drawn from a seed."""
        torch.manual_seed(7)
        given = sample.constructor_input
        made = (cls or self.cls)(*given.args, **given.kwargs)
        return made.to("cpu").to(self.dtype).train(self.training)

    def pairs(self, **options: Any) -> Iterator[tuple[Any, Any]]:
        for sample in self.samples(**options):
            yield sample, self.module(sample)

    def same(self, found: Any, expected: Any) -> None:
        """Within what two orders of summation may part, relative to an array's largest value."""
        near = tolerance(str(self.dtype).removeprefix("torch."), 5, 3)
        for one, other in zip(tree_leaves(found), tree_leaves(expected), strict=True):
            assert (one is None) == (other is None)  # of a packed sequence that was in order
            if other is None:
                continue
            largest = float(other.detach().abs().max()) if other.numel() else 0.0
            torch.testing.assert_close(one, other, rtol=near, atol=near * max(1.0, largest))


def called(module: Any, sample: Any) -> Any:
    return module(*sample.forward_input.args, **sample.forward_input.kwargs)


def gradients(output: Any, wrt: list[torch.Tensor]) -> list[torch.Tensor]:
    """Those of the sum of what a module returns, each value with a weight of its own."""
    total = sum(
        (each * torch.arange(1, each.numel() + 1, dtype=each.dtype).view_as(each)).sum()
        for each in tree_leaves(output)
        if each.is_floating_point() and each.requires_grad
    )
    return list(torch.autograd.grad(total, wrt))


# ---- the checks of torch's suite ----


def check_forward(case: Case) -> None:
    """Against the reference of the sample, and against torch's own with the same weights."""
    more = {} if case.kind.startswith("LSTM") else {"with_packed_sequence": True}
    for sample, module in case.pairs(**more):
        output = called(module, sample)
        packed = isinstance(sample.forward_input.args[0], torch.nn.utils.rnn.PackedSequence)
        if sample.reference_fn is not None and not packed:
            given = sample.forward_input
            case.same(output, sample.reference_fn(module, *given.args, **given.kwargs))
        theirs = case.module(sample, case.torchs)
        case.same(list(module.parameters()), list(theirs.parameters()))
        case.same(output, called(theirs, sample))


def check_factory_arguments(case: Case) -> None:
    for sample in case.samples():
        given = sample.constructor_input
        for device in ("cpu", "meta"):
            kwargs = {**given.kwargs, "device": device, "dtype": case.dtype}
            module = case.cls(*given.args, **kwargs)
            held = [*module.parameters(), *module.buffers()]
            assert held
            assert {(each.device.type, each.dtype) for each in held} == {(device, case.dtype)}


def check_repr(case: Case) -> None:
    for sample, module in case.pairs():
        assert repr(module) == repr(case.module(sample, case.torchs))
        assert str(module) == repr(module)


def check_save_and_load(case: Case) -> None:
    """A state saved by either class is read by the other, and gives what it gave."""
    for sample, module in case.pairs():
        expected = called(module, sample)
        for cls in (case.cls, case.torchs):
            other = case.module(sample, cls)
            with torch.no_grad():
                for weight in other.parameters():
                    weight.add_(1)
            file = io.BytesIO()
            torch.save(module.state_dict(), file)
            file.seek(0)
            other.load_state_dict(torch.load(file, weights_only=True))
            case.same(called(other, sample), expected)
            assert list(other.state_dict()) == list(module.state_dict())


def check_pickle(case: Case) -> None:
    for sample, module in case.pairs():
        expected = called(module, sample)
        file = io.BytesIO()
        torch.save(module, file)
        file.seek(0)
        again = torch.load(file, weights_only=False)
        assert type(again) is case.cls
        case.same(called(again, sample), expected)
        case.same(called(copy.deepcopy(module), sample), expected)


def check_inplace(case: Case) -> None:
    """None of these has an argument `inplace`: nothing given or owned is written to."""
    for sample, module in case.pairs():
        given = tree_leaves((sample.forward_input.args, sample.forward_input.kwargs))
        held = [t for t in (*given, *module.parameters()) if isinstance(t, torch.Tensor)]
        before = [(t._version, t.detach().clone()) for t in held]
        called(module, sample)
        for tensor, (version, value) in zip(held, before, strict=True):
            assert tensor._version == version
            assert torch.equal(tensor, value)


def check_non_contiguous(case: Case) -> None:
    """Each of the given tensors, and each of the weights, in another order of memory."""
    for sample, module in case.pairs(requires_grad=True):
        flat, spec = tree_flatten((sample.forward_input.args, sample.forward_input.kwargs))
        weights = dict(module.named_parameters())
        wrt = [*[t for t in flat if isinstance(t, torch.Tensor)], *weights.values()]
        args, kwargs = tree_unflatten(flat, spec)
        output = module(*args, **kwargs)
        expected = [tree_leaves(output), gradients(output, wrt)]
        for k in range(len(wrt) + 1):
            moved = [apart(t) if k in (j, len(wrt)) else t for j, t in enumerate(wrt)]
            given = iter(moved)
            args, kwargs = tree_map(
                lambda t, given=given: next(given) if isinstance(t, torch.Tensor) else t,
                tree_unflatten(flat, spec),
            )
            own = dict(zip(weights, given, strict=True))
            output = torch.func.functional_call(module, own, args, kwargs)
            case.same([tree_leaves(output), gradients(output, moved)], expected)


def apart(tensor: torch.Tensor) -> torch.Tensor:
    """The same values with gaps between them."""
    wide = tensor.detach().new_zeros((*tensor.shape, 2))
    wide[..., 0] = tensor.detach()
    found = wide[..., 0].requires_grad_()
    assert found.numel() < 2 or not found.is_contiguous()
    return found


def check_gradients(case: Case) -> None:
    """As torch's own gives them, and in float64 as finite differences do."""
    for sample, module in case.pairs(requires_grad=True):
        theirs = case.module(sample, case.torchs)
        given = tree_leaves((sample.forward_input.args, sample.forward_input.kwargs))
        found, expected = (
            gradients(called(each, sample), [*given, *each.parameters()])
            for each in (module, theirs)
        )
        case.same(found, expected)
        if case.dtype is torch.float64:
            differentiate(torch.autograd.gradcheck, sample, module)


def check_second_gradients(case: Case) -> None:
    for sample, module in case.pairs(requires_grad=True):
        differentiate(torch.autograd.gradgradcheck, sample, module)


def differentiate(check: Callable[..., bool], sample: Any, module: Any) -> None:
    """With all that requires a gradient, then with what is given alone."""
    args, parameters = sample.forward_input.args, tuple(module.parameters())
    assert not sample.forward_input.kwargs
    for wrt in ((args, parameters), (args, ())):
        for parameter in parameters:
            parameter.requires_grad_(bool(wrt[1]))
        flat, spec = tree_flatten(wrt)

        def run(*flat: torch.Tensor, spec: Any = spec) -> tuple[torch.Tensor, ...]:
            given, _ = tree_unflatten(flat, spec)  # the parameters are the module's own
            return tuple(tree_leaves(module(*given)))

        assert check(run, tuple(flat), fast_mode=True)


def check_to(case: Case) -> None:
    """Another type and back, with and without the swapping of tensors."""
    other = torch.float32 if case.dtype is torch.float64 else torch.float64
    for swap in (False, True):
        torch.__future__.set_swap_module_params_on_conversion(swap)
        try:
            for sample, module in case.pairs():
                expected = called(module, sample)
                tree_leaves(expected)[0].sum().backward()
                before = [id(weight) for weight in module.parameters()]
                del expected
                assert module.to(other) is module
                assert [id(weight) for weight in module.parameters()] == before
                assert {weight.dtype for weight in module.parameters()} == {other}
                assert {w.grad.dtype for w in module.parameters() if w.grad is not None} == {other}
                as_other = tree_map(
                    lambda t: t.to(other) if isinstance(t, torch.Tensor) else t,
                    sample.forward_input.args,
                )
                output = module(*as_other)
                assert {each.dtype for each in tree_leaves(output)} == {other}
                del output
                module.to(case.dtype)
                called(module, sample)
                module.to("meta")
                assert all(weight.is_meta for weight in module.parameters())
        finally:
            torch.__future__.set_swap_module_params_on_conversion(False)


def check_to_empty(case: Case) -> None:
    for sample, module in case.pairs():
        expected = called(module, sample)
        given = sample.constructor_input
        hollow = case.cls(*given.args, **given.kwargs, device="meta").to(case.dtype)
        hollow.train(case.training)
        assert all(weight.is_meta for weight in hollow.parameters())
        hollow.to_empty(device="cpu")
        hollow.load_state_dict(module.state_dict())
        case.same(called(hollow, sample), expected)


def check_memory_format(case: Case) -> None:
    """None of the weights has four axes: nothing moves, and the output lies as torch's does."""
    formats = (torch.channels_last, torch.contiguous_format, torch.preserve_format)
    for sample, module in case.pairs():
        expected = called(module, sample)
        theirs = called(case.module(sample, case.torchs), sample)
        for each in formats:
            module.to(memory_format=each)
            output = called(module, sample)
            case.same(output, expected)
            for one, other in zip(tree_leaves(output), tree_leaves(theirs), strict=True):
                assert one.is_contiguous() or one.stride() == other.stride()


def check_train_and_eval(case: Case) -> None:
    """Where the database says that the modes do not differ, `training` is not read."""
    for sample, module in case.pairs():
        del module.training
        try:
            called(module, sample)
        except AttributeError as problem:
            assert "'training'" in str(problem)
            assert case.info.train_and_eval_differ


def check_device_context(case: Case) -> None:
    for sample in case.samples():
        given = sample.constructor_input
        for device in ("meta", "cpu"):
            with torch.device(device):
                module = case.cls(*given.args, **given.kwargs)
            assert {weight.device.type for weight in module.parameters()} == {device}


def check_errors(case: Case) -> None:
    from torch.testing._internal.common_modules import ModuleErrorEnum

    wrong = case.info.module_error_inputs_func(case.info, "cpu", case.dtype, False, case.training)
    assert wrong
    for each in wrong:
        sample = each.module_error_input
        made = sample.constructor_input
        if each.error_on is ModuleErrorEnum.CONSTRUCTION_ERROR:
            with pytest.raises(each.error_type, match=each.error_regex):
                case.cls(*made.args, **made.kwargs)
            continue
        module = case.cls(*made.args, **made.kwargs).to(case.dtype)
        with pytest.raises(each.error_type, match=each.error_regex):
            called(module.train(case.training), sample)


CHECKS = {
    name.removeprefix("check_"): check
    for name, check in list(globals().items())
    if name.startswith("check_")
}
WHOSE = {"torch": torch.nn, "elman": elman.nn}


def rows() -> Iterator[Any]:
    """Every check of every class; what takes long, and torch's own, in the slow suite."""
    for check, kind, dtype, whose in itertools.product(CHECKS, KINDS, DTYPES, WHOSE):
        second, is_cell = check == "second_gradients", kind.endswith("Cell")
        if second and dtype is torch.float32:
            continue  # finite differences need float64
        marks = [pytest.mark.slow] if whose == "torch" or (second and not is_cell) else []
        for mode in ("train",) if is_cell else ("train", "eval"):  # to a cell they are one
            name = f"{check}-{kind}-{str(dtype)[6:]}-{mode}-{whose}"
            yield pytest.param(check, kind, dtype, mode == "train", whose, id=name, marks=marks)


@pytest.mark.parametrize(("check", "kind", "dtype", "training", "whose"), list(rows()))
def test_module(check, kind, dtype, training, whose, monkeypatch):
    # a step of so few sequences would be left to torch where torch's own is quicker
    monkeypatch.setattr(elman.nn.RNNCell, "_gains", lambda self, rows: True)
    CHECKS[check](Case(kind, WHOSE[whose], dtype, training))


def test_the_database_knows_all_six():
    assert set(infos()) == set(KINDS)
