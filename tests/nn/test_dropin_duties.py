"""What is done with torch's modules, done with all six drop-ins: the table of what works.

A duty is a function of a drop-in's kind and of whose class it is. Torch's own class goes through it
too, so that a duty that torch fails says so. What does not work is marked, with the reason.
"""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.nn.utils import clip_grad_norm_, clip_grad_value_, parametrize, prune, rnn  # noqa: E402

import elman.nn  # noqa: E402

pytestmark = [
    pytest.mark.torch,
    pytest.mark.c,
    pytest.mark.filterwarnings("ignore"),  # torch warns of its own tools
]

LAYERS, CELLS = ("RNN", "LSTM", "GRU"), ("RNNCell", "LSTMCell", "GRUCell")
ROWS = 40  # from so many on the kernels serve the cells too


class Module:
    """A drop-in's class, or torch's own, and what it is given."""

    def __init__(self, kind: str, whose: Any) -> None:
        self.kind, self.cls, self.is_cell = kind, getattr(whose, kind), kind in CELLS
        self.torchs = getattr(torch.nn, kind)
        self.weight = "weight_ih" if self.is_cell else "weight_hh_l0"

    def make(self, cls: Any = None, **options: Any) -> Any:
        torch.manual_seed(7)
        return (cls or self.cls)(3, 5, **{"dtype": torch.float64, **options})

    def both(self, **options: Any) -> tuple[Any, Any]:
        """The class that is tried, and torch's own, with the same weights."""
        return self.make(**options), self.make(self.torchs, **options)

    def x(self, *lead: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
        lead = lead or ((ROWS,) if self.is_cell else (4, 2))
        shape = (*lead, 3)
        return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def first(found: Any) -> torch.Tensor:
    """The output, or the state after the step."""
    return found[0] if isinstance(found, tuple) else found


def loss(found: Any) -> torch.Tensor:
    return first(found).square().sum()


def same(found: Any, expected: Any, near: float = 1e-11) -> None:
    torch.testing.assert_close(found, expected, rtol=near, atol=near)


class Within(torch.nn.Module):
    """A model with the drop-in inside it."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)[0]


class Half(torch.nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return 0.5 * weight


# ---- torch.nn.utils ----


def clip(m: Module) -> None:
    ours, theirs = m.both()
    for each in (ours, theirs):
        loss(each(m.x())).backward()
    same(clip_grad_norm_(ours.parameters(), 0.1), clip_grad_norm_(theirs.parameters(), 0.1))
    clip_grad_value_(ours.parameters(), 0.01)
    assert max(p.grad.abs().max() for p in ours.parameters()) <= 0.01


def parametrization(m: Module) -> None:
    ours, theirs = m.both()
    for each in (ours, theirs):
        parametrize.register_parametrization(each, m.weight, Half())
        loss(each(m.x())).backward()
    same(first(ours(m.x())), first(theirs(m.x())))
    grads = [getattr(each.parametrizations, m.weight).original.grad for each in (ours, theirs)]
    same(*grads)
    assert not torch.equal(first(ours(m.x())), first(m.make()(m.x())))
    parametrize.remove_parametrizations(ours, m.weight)
    same(first(ours(m.x())), first(theirs(m.x())))


def reparametrized(m: Module, change: Any, remove: Any = None) -> None:
    ours, theirs = m.both()
    for each in (ours, theirs):
        torch.manual_seed(3)
        change(each, m.weight)
        optimizer = torch.optim.SGD(each.parameters(), 0.1)
        for _ in range(3):
            optimizer.zero_grad()
            loss(each(m.x())).backward()
            optimizer.step()
    same(first(ours(m.x())), first(theirs(m.x())))
    if remove is not None:
        before = first(ours(m.x()))
        remove(ours, m.weight)
        same(first(ours(m.x())), before)


def weight_norm(m: Module) -> None:
    reparametrized(m, torch.nn.utils.parametrizations.weight_norm)


def old_weight_norm(m: Module) -> None:
    with pytest.warns(FutureWarning, match="deprecated"):
        reparametrized(m, torch.nn.utils.weight_norm, torch.nn.utils.remove_weight_norm)


def spectral_norm(m: Module) -> None:
    # torch's own layer asks for each weight four times in a call, Elman's once, and each time is
    # an iteration of this one: only where it is asked for once are they the same
    with parametrize.cached():
        ours, theirs = m.both()
        for each in (ours, theirs):
            torch.manual_seed(3)
            torch.nn.utils.parametrizations.spectral_norm(each, m.weight)
        same(first(ours(m.x())), first(theirs(m.x())))


def old_spectral_norm(m: Module) -> None:
    reparametrized(m, torch.nn.utils.spectral_norm)


def orthogonal(m: Module) -> None:
    reparametrized(m, torch.nn.utils.parametrizations.orthogonal)


def pruning(m: Module) -> None:
    reparametrized(m, lambda each, name: prune.l1_unstructured(each, name, 0.5), prune.remove)


def vector(m: Module) -> None:
    ours, theirs = m.both()
    flat = torch.nn.utils.parameters_to_vector(ours.parameters())
    for each in (ours, theirs):
        torch.nn.utils.vector_to_parameters(2 * flat, each.parameters())
    same(first(ours(m.x())), first(theirs(m.x())))
    assert not torch.equal(first(ours(m.x())), first(m.make()(m.x())))


def packed(m: Module) -> None:
    ours, theirs = m.both(num_layers=2)
    steps = [m.x(n, seed=n)[:, :3] for n in (3, 5, 1)]
    for given in (
        rnn.pack_sequence(steps, enforce_sorted=False),
        rnn.pack_padded_sequence(m.x(5, 3), [5, 2, 1]),
        rnn.pack_padded_sequence(m.x(5, 3), [1, 5, 2], enforce_sorted=False),
    ):
        found, expected = ours(given), theirs(given)
        same(found[0].data, expected[0].data)
        same(rnn.pad_packed_sequence(found[0]), rnn.pad_packed_sequence(expected[0]))
        same(found[1], expected[1])


def skip_init(m: Module) -> None:
    made = torch.nn.utils.skip_init(m.cls, 3, 5, dtype=torch.float64)
    made.load_state_dict(m.make().state_dict())
    same(first(made(m.x())), first(m.make()(m.x())))


# ---- hooks, copies, files ----


def hooks(m: Module) -> None:
    ours, seen = m.make(), []
    ours.register_forward_pre_hook(lambda module, args: (2 * args[0],))
    ours.register_forward_hook(lambda module, args, output: seen.append(first(output).shape))
    ours.register_full_backward_pre_hook(lambda module, grads: seen.append("before"))
    ours.register_full_backward_hook(lambda module, into, out: seen.append(into[0].shape))
    getattr(ours, m.weight).register_hook(lambda grad: 0 * grad)
    getattr(ours, m.weight).register_post_accumulate_grad_hook(lambda p: seen.append("after"))
    x = m.x().requires_grad_()
    output = ours(x)
    same(first(output), first(m.make(m.torchs)(2 * x)))
    loss(output).backward()
    assert seen[:2] == [first(output).shape, "before"]
    assert {"after", x.shape} == {*seen[2:]}
    assert not getattr(ours, m.weight).grad.any()


def state_dict_hooks(m: Module) -> None:
    ours = m.make()
    ours.register_state_dict_post_hook(lambda module, state, prefix, meta: state.update(more=1))
    ours.register_load_state_dict_pre_hook(lambda module, state, *rest: state.pop("more"))
    state = ours.state_dict()
    assert state["more"] == 1
    ours.load_state_dict(state)


def copied(m: Module) -> None:
    ours = m.make()
    expected = first(ours(m.x()))
    loss(ours(m.x())).backward()
    for twin in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours)), copy.copy(ours)):
        assert type(twin) is m.cls
        same(first(twin(m.x())), expected)


def saved(m: Module) -> None:
    ours, other = m.make(), m.make()
    with torch.no_grad():
        getattr(other, m.weight).zero_()
    for given, weights_only in ((ours.state_dict(), True), (ours, False)):
        file = io.BytesIO()
        torch.save(given, file)
        file.seek(0)
        found = torch.load(file, weights_only=weights_only)
        if weights_only:
            other.load_state_dict(found)
            found = other
        same(first(found(m.x())), first(ours(m.x())))


def assigned(m: Module) -> None:
    hollow = m.make(device="meta")
    state = m.make(m.torchs).state_dict()
    hollow.load_state_dict(state, assign=True)
    assert getattr(hollow, m.weight).data_ptr() == state[m.weight].data_ptr()
    same(first(hollow(m.x())), first(m.make(m.torchs)(m.x())))


def subclassed(m: Module) -> None:
    class Own(m.cls):
        def __init__(self) -> None:
            super().__init__(3, 5, dtype=torch.float64)
            self.scale = torch.nn.Parameter(torch.full((), 2.0, dtype=torch.float64))

        def forward(self, x: torch.Tensor, hx: Any = None) -> torch.Tensor:
            return self.scale * first(super().forward(x, hx))

    torch.manual_seed(7)
    own = Own()
    same(own(m.x()), 2 * first(m.make(m.torchs)(m.x())))
    loss(own(m.x())).backward()
    assert own.scale.grad is not None


def moved(m: Module) -> None:
    for dtype, word in (
        (torch.float16, "half"),
        (torch.bfloat16, "bfloat16"),
        (torch.float64, "double"),
        (torch.float32, "float"),
    ):
        ours, theirs = (getattr(each, word)() for each in m.both())
        found, expected = (first(each(m.x(dtype=dtype))) for each in (ours, theirs))
        assert found.dtype is dtype
        same(found.double(), expected.double(), 1e-5 if dtype.itemsize > 2 else 0.02)
    ours.to(torch.float64)
    same(first(ours(m.x())), first(m.make(m.torchs)(m.x())), 1e-6)
    assert first(ours.to("meta")(m.x().to("meta"))).is_meta


def shared(m: Module) -> None:
    ours, theirs = m.both()
    assert ours.share_memory() is ours
    assert all(weight.is_shared() for weight in ours.parameters())
    same(first(ours(m.x())), first(theirs(m.x())))
    loss(ours(m.x())).backward()


# ---- training ----


def optimizers(m: Module) -> None:
    for options in ({}, {"foreach": True}, {"fused": True}):
        losses = []
        for each in m.both():
            optimizer, own = torch.optim.AdamW(each.parameters(), 0.01, **options), []
            for k in range(8):
                optimizer.zero_grad()
                total = loss(each(m.x(seed=k)))
                total.backward()
                optimizer.step()
                own.append(total.detach())
            losses.append(torch.stack(own))
        same(*losses)


def averaged(m: Module) -> None:
    ours = m.make()
    model = torch.optim.swa_utils.AveragedModel(ours)
    with torch.no_grad():
        getattr(ours, m.weight).mul_(0)
    model.update_parameters(ours)
    model.update_parameters(ours)
    assert first(model(m.x())).shape == first(ours(m.x())).shape


def checkpointed(m: Module) -> None:
    ours, theirs = m.both()
    for again in (False, True):
        found = []
        for each in (ours, theirs):
            x = m.x().requires_grad_()
            inner = torch.utils.checkpoint.checkpoint(
                lambda x, each=each: first(each(x)), x, use_reentrant=again
            )
            found.append(torch.autograd.grad(loss(inner), x)[0] if not again else _by_x(inner, x))
        same(*found)


def _by_x(inner: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    loss(inner).backward()
    return x.grad


def backward_twice(m: Module) -> None:
    ours = m.make()
    total = loss(ours(m.x()))
    total.backward(retain_graph=True)
    once = getattr(ours, m.weight).grad.clone()
    total.backward()
    same(getattr(ours, m.weight).grad, 2 * once)
    with pytest.raises(RuntimeError, match="a second time"):
        total.backward()


def anomaly(m: Module) -> None:
    with pytest.warns(UserWarning, match="Anomaly Detection"), torch.autograd.detect_anomaly():
        loss(m.make()(m.x())).backward()


def saved_elsewhere(m: Module) -> None:
    found = []
    for each in m.both():
        x = m.x().requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(lambda t: t.clone(), lambda t: t):
            total = loss(each(x))
        found.append(torch.autograd.grad(total, x)[0])
    same(*found)


def autocast(m: Module) -> None:
    ours, theirs = m.both(dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = (first(each(m.x(dtype=torch.float32))) for each in (ours, theirs))
    assert found.dtype is expected.dtype
    assert torch.equal(found, expected)


def distributed(m: Module) -> None:
    if not torch.distributed.is_initialized():  # once: to begin and end it often may hang
        store = torch.distributed.HashStore()
        torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    ours, theirs = m.both()
    model = torch.nn.parallel.DistributedDataParallel(ours)
    loss(model(m.x())).backward()
    loss(theirs(m.x())).backward()
    same(getattr(ours, m.weight).grad, getattr(theirs, m.weight).grad)


@pytest.fixture(autouse=True, scope="module")
def process_group() -> Iterator[None]:
    yield
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


# ---- functional transforms ----


def weights_of(each: Any) -> dict[str, torch.Tensor]:
    return {name: weight.detach() for name, weight in each.named_parameters()}


def called(each: Any) -> Any:
    """Output of the weights and x."""
    return lambda own, x: first(torch.func.functional_call(each, own, (x,)))


def functional_call(m: Module) -> None:
    ours, theirs = m.both()
    own = {name: 2 * weight for name, weight in weights_of(ours).items()}
    same(called(ours)(own, m.x()), called(theirs)(own, m.x()))


def transformed(m: Module, change: Any) -> None:
    """The same of a function that is given x, and of one that is given the weights."""
    ours, theirs = m.both()
    own, x = weights_of(ours), m.x()
    found, expected = (change(called(each), own, x) for each in (ours, theirs))
    same(found, expected, 1e-9)


def vmap(m: Module) -> None:
    ours, theirs = m.both()
    x = torch.stack([m.x(seed=k) for k in range(3)])
    found = torch.func.vmap(lambda each: first(ours(each)))(x)
    same(found, torch.stack([first(theirs(each)) for each in x]))


def ensemble(m: Module) -> None:
    made = [m.make() for _ in range(3)]
    for k, each in enumerate(made):
        with torch.no_grad():
            getattr(each, m.weight).mul_(k)
    own, _ = torch.func.stack_module_state(made)
    found = torch.func.vmap(called(m.make()), (0, None))(own, m.x())
    same(found, torch.stack([first(each(m.x())) for each in made]))


def gradient(m: Module) -> None:
    transformed(m, lambda f, own, x: torch.func.grad(lambda own: f(own, x).square().sum())(own))
    transformed(m, lambda f, own, x: torch.func.grad(lambda x: f(own, x).square().sum())(x))


def per_sample(m: Module) -> None:
    ours, theirs = m.both()
    x = torch.stack([m.x(seed=k) for k in range(3)])

    def total(own: Any, each: torch.Tensor) -> torch.Tensor:
        return called(ours)(own, each).square().sum()

    found = torch.func.vmap(torch.func.grad(total), (None, 0))(weights_of(ours), x)
    for k, each in enumerate(x):
        expected = torch.autograd.grad(loss(theirs(each)), list(theirs.parameters()))
        for name, one in zip(found, expected, strict=True):
            same(found[name][k], one, 1e-9)


def expanded(m: Module) -> None:
    """torch's own per-sample gradients, through weights of a class of tensors of their own."""
    from torch.nn.utils._per_sample_grad import call_for_per_sample_grads

    sequences = rnn.pack_padded_sequence(m.x(4, 3), [4, 3, 1]), m.x(3, 4)
    for x, first_axis in zip(sequences, (False, True), strict=True):
        ours, theirs = m.both(batch_first=first_axis)
        for each in (ours, theirs):
            found = call_for_per_sample_grads(each, batch_size=3, loss_reduction="sum")(x)[0]
            loss(found).backward()  # of a packed sequence: its data
        pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
        same(*zip(*((one.grad_sample, other.grad_sample) for one, other in pairs), strict=True))


def jacrev(m: Module) -> None:
    transformed(m, lambda f, own, x: torch.func.jacrev(f)(own, x[:1]))


def jacfwd(m: Module) -> None:
    ours, theirs = m.both()
    own, x = weights_of(ours), m.x()[:1]
    found = torch.func.jacfwd(lambda x: called(ours)(own, x))(x)
    same(found, torch.autograd.functional.jacobian(lambda x: first(theirs(x)), x), 1e-9)


def jvp(m: Module) -> None:
    ours, theirs = m.both()
    x, v = m.x(), m.x(seed=1)
    _, found = torch.func.jvp(lambda x: first(ours(x)), (x,), (v,))
    _, expected = torch.autograd.functional.jvp(lambda x: first(theirs(x)), x, v)
    same(found, expected, 1e-9)


def hessian(m: Module) -> None:
    ours, theirs = m.both()
    x = m.x()[:1]
    found = torch.func.hessian(lambda x: loss(ours(x)))(x)
    same(found, torch.autograd.functional.hessian(lambda x: loss(theirs(x)), x), 1e-9)


def dual(m: Module) -> None:
    ours, theirs = m.both()
    x, v = m.x(), m.x(seed=1)
    with torch.autograd.forward_ad.dual_level():
        found = first(ours(torch.autograd.forward_ad.make_dual(x, v)))
        found = torch.autograd.forward_ad.unpack_dual(found).tangent
    _, expected = torch.autograd.functional.jvp(lambda x: first(theirs(x)), x, v)
    same(found, expected, 1e-9)


def double_backward(m: Module) -> None:
    ours, theirs = m.both()
    found = []
    for each in (ours, theirs):
        x = m.x().requires_grad_()
        (by_x,) = torch.autograd.grad(loss(each(x)), x, create_graph=True)
        found.append(torch.autograd.grad(by_x.square().sum(), [x, *each.parameters()][:3]))
    same(*found)


# ---- compilers and exporters ----


def scripted(m: Module) -> None:
    ours, theirs = m.both()
    model = torch.jit.script(Within(ours))
    same(model(m.x()), theirs(m.x())[0])
    with torch.no_grad():
        getattr(ours, m.weight).mul_(2)
        getattr(theirs, m.weight).mul_(2)
    same(model(m.x()), theirs(m.x())[0])  # the weights are shared
    file = io.BytesIO()
    torch.jit.save(model, file)
    file.seek(0)
    same(torch.jit.load(file)(m.x()), theirs(m.x())[0])


def traced(m: Module) -> None:
    ours, theirs = m.both()
    model = torch.jit.trace(Within(ours), (m.x(),), check_trace=False)
    same(model(m.x(seed=1)), theirs(m.x(seed=1))[0])


def traced_with_state(m: Module) -> None:
    """torch traces once more, without gradients, and compares the graphs line by line."""
    ours, theirs = m.both()
    state = torch.zeros(*(ROWS,) if m.is_cell else (1, 2), 5, dtype=torch.float64)
    state = (state, state) if "LSTM" in m.kind else state
    model = torch.jit.trace(ours, (m.x(), state))
    same(first(model(m.x(seed=1), state)), first(theirs(m.x(seed=1), state)))


def frozen_traced(m: Module) -> None:
    ours, theirs = m.both()
    if hasattr(ours, "freeze"):
        ours.freeze()
    model = torch.jit.trace(Within(ours), (m.x(),), check_trace=False)
    same(model(m.x(seed=1)), theirs(m.x(seed=1))[0])


def exported(m: Module) -> None:
    ours, theirs = m.both()
    model = torch.export.export(Within(ours), (m.x(),)).module()
    same(model(m.x(seed=1)), theirs(m.x(seed=1))[0])


def exported_for_any_batch(m: Module) -> None:
    ours, theirs = m.both()
    batch = {0 if m.is_cell else 1: torch.export.Dim("batch", min=2)}
    model = torch.export.export(Within(ours), (m.x(),), dynamic_shapes=(batch,)).module()
    x = m.x(7) if m.is_cell else m.x(4, 7)
    same(model(x), theirs(x)[0])


def exported_for_any_length(m: Module) -> None:
    ours, theirs = m.both()
    length = {0: torch.export.Dim("length", min=2)}
    model = torch.export.export(Within(ours), (m.x(),), dynamic_shapes=(length,)).module()
    same(model(m.x(7, 2)), theirs(m.x(7, 2))[0])


def compiled(m: Module) -> None:
    """Graph breaks allowed: a new length or batch gives right numbers, and so do gradients."""
    ours, theirs = m.both()
    torch._dynamo.reset()
    model = torch.compile(Within(ours), backend="aot_eager")
    for x in (m.x(), m.x(7) if m.is_cell else m.x(7, 3)):
        found = []
        for each in (model, Within(theirs)):
            y = x.clone().requires_grad_()
            output = each(y)
            found.append((output.detach(), torch.autograd.grad(output.square().sum(), y)[0]))
        same(*found)


def compiled_whole(m: Module) -> None:
    ours, theirs = m.both()
    torch._dynamo.reset()
    model = torch.compile(Within(ours), backend="aot_eager", fullgraph=True)
    same(model(m.x()), theirs(m.x())[0])


def fake(m: Module) -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode() as mode:
        ours, x = m.make(), mode.from_tensor(m.x())
        assert first(ours(x)).shape == first(m.make(m.torchs)(x)).shape


def symbolic(m: Module) -> None:
    ours, theirs = m.both()
    model = torch.fx.symbolic_trace(Within(ours))
    same(model(m.x()), theirs(m.x())[0])
    assert any(node.op == "call_module" for node in model.graph.nodes)


def symbolic_itself(m: Module) -> None:
    with pytest.raises(torch.fx.proxy.TraceError, match="control flow"):
        torch.fx.symbolic_trace(m.make())


def proxied(m: Module) -> None:
    ours, theirs = m.both()
    model = torch.fx.experimental.proxy_tensor.make_fx(lambda x: first(ours(x)))(m.x())
    same(model(m.x(seed=1)), first(theirs(m.x(seed=1))))


def quantized(m: Module) -> None:
    model = torch.ao.quantization.quantize_dynamic(
        Within(m.make(dtype=torch.float32)), {m.cls}, dtype=torch.qint8
    )
    assert "quantized" in type(model.inner).__module__
    assert model(m.x(dtype=torch.float32)).isfinite().all()


def other_tensors(m: Module) -> None:
    class Own(torch.Tensor):
        pass

    ours, theirs = m.both()
    found = first(ours(m.x().as_subclass(Own)))
    assert type(found) is type(first(theirs(m.x().as_subclass(Own))))
    same(found.as_subclass(torch.Tensor), first(theirs(m.x())))


DUTIES = {
    name: duty
    for name, duty in list(globals().items())
    if callable(duty)
    and getattr(duty, "__module__", "") == __name__
    and list(getattr(duty, "__annotations__", {})) == ["m", "return"]
}
WHOSE = {"torch": torch.nn, "elman": elman.nn}
HIDES = "torch refuses: the constructor of its layers hides the argument `device`"
UNROLLS = "torch.export unrolls torch's layers over the steps it saw"
BREAKS = "torch.compile refuses every layer of torch's, and leaves it to Python"
NO_RULE = "torch has no batching rule for its own kernels"
IN_PLACE = "torch's own step writes in place to what has no batch axis of vmap"
FAILS = {
    ("skip_init", "layers", "torch"): HIDES,
    ("exported_for_any_length", "layers", "torch"): UNROLLS,
    ("compiled_whole", "layers", "torch"): BREAKS,
    ("vmap", "layers", "torch"): NO_RULE,
    ("ensemble", "layers", "torch"): NO_RULE,
    ("per_sample", "layers", "torch"): NO_RULE,
    ("vmap", "LSTMCell", "torch"): NO_RULE,
    ("ensemble", "LSTMCell", "torch"): NO_RULE,
    ("per_sample", "cells", "torch"): IN_PLACE,
    ("quantized", "RNN", "torch"): "torch quantizes its LSTM, GRU and cells",
    ("quantized", "layers", "elman"): "torch's table of quantized modules names its own classes",
    ("quantized", "cells", "elman"): "torch's table of quantized modules names its own classes",
}
# a cell has no sequences
NOT_FOR = {"packed": CELLS, "expanded": CELLS, "exported_for_any_length": CELLS}


def rows() -> list[Any]:
    found = []
    for name in DUTIES:
        for kind in (*LAYERS, *CELLS):
            for whose in WHOSE:
                if kind in NOT_FOR.get(name, ()):
                    continue
                group = "cells" if kind in CELLS else "layers"
                reason = FAILS.get((name, group, whose)) or FAILS.get((name, kind, whose))
                marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
                marks += [pytest.mark.slow] if whose == "torch" else []
                found.append(
                    pytest.param(name, kind, whose, id=f"{name}-{kind}-{whose}", marks=marks)
                )
    return found


@pytest.mark.parametrize(("name", "kind", "whose"), rows())
def test_duty(name, kind, whose):
    DUTIES[name](Module(kind, WHOSE[whose]))


def test_a_layer_of_any_cell_is_traced():
    layer = elman.nn.Recurrent("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)", 3, 5)
    model = torch.jit.trace(Within(layer), (torch.zeros(4, 2, 3),), check_trace=False)
    x = torch.randn(4, 2, 3)
    same(model(x), layer(x)[0], 1e-6)
