"""What a call costs besides its kernels, counted: tensors made, nodes recorded, plans kept."""

from __future__ import annotations

import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

from elman.library import cells  # noqa: E402
from elman.nn import GRU, LSTM, RNN, Recurrent, calls, kernels  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.c]


@pytest.fixture(autouse=True)
def plain_memory() -> None:
    """New tensors as they come: filling them with NaN is one operation more each."""
    torch.use_deterministic_algorithms(False)


def operations(call: object) -> dict[str, int]:
    """How often torch's dispatcher ran each operation in a call that was made before."""
    call()
    with torch.autograd.profiler.profile() as seen:
        call()
    return {event.key: event.count for event in seen.key_averages() if "aten::" in event.key}


def layers(count: int) -> dict[str, torch.nn.Module]:
    return {
        "RNN": RNN(3, 5, count),
        "GRU": GRU(3, 5, count),
        "LSTM": LSTM(3, 5, count),
        "Recurrent": Recurrent(cells.text("lstm"), 3, 5, count),
    }


@pytest.mark.parametrize("kind", layers(1))
@pytest.mark.parametrize("count", [1, 3])
def test_without_gradients_only_what_is_returned_is_made(kind, count):
    layer, x = layers(count)[kind], torch.zeros(4, 2, 3)

    def call() -> None:
        with torch.no_grad():
            layer(x)

    found = operations(call)
    states = 2 if kind in ("LSTM", "Recurrent") else 1
    between = 1 if count > 1 else 0  # what one layer reads of another
    assert found.pop("aten::new_empty_strided") == 1 + states + between
    assert found.pop("aten::empty_strided") == 1 + states + between
    assert found == {"aten::as_strided_": 1}


@pytest.mark.parametrize("kind", layers(1))
def test_all_layers_are_one_operation_of_autograd(kind):
    layer, x = layers(3)[kind], torch.zeros(4, 2, 3, requires_grad=True)
    output, state = layer(x)
    states = state.values() if isinstance(state, dict) else state
    finals = [state] if isinstance(state, torch.Tensor) else states
    assert {output.grad_fn, *(each.grad_fn for each in finals)} == {output.grad_fn}
    before = [node for node, _ in output.grad_fn.next_functions if node is not None]
    assert len(before) == 1 + len(list(layer.parameters()))
    assert all(node.name().endswith("AccumulateGrad") for node in before)


def test_a_layer_of_torchs_hands_four_weights_over():
    output, _ = LSTM(3, 5)(torch.zeros(4, 2, 3))
    given = [node for node, _ in output.grad_fn.next_functions if node is not None]
    assert len(given) == 4


@pytest.mark.parametrize("kind", layers(1))
def test_a_training_step_makes_gradients_and_copies_nothing(kind):
    layer = layers(1)[kind]
    x, grad = torch.zeros(4, 2, 3, requires_grad=True), torch.ones(4, 2, 5)
    wrt = [x, *layer.parameters()]
    found = operations(lambda: torch.autograd.grad(layer(x)[0], wrt, grad))
    assert found["aten::empty_like"] == len(wrt)
    assert not {"aten::contiguous", "aten::zeros"} & {*found}
    copies = found.get("aten::clone", 0), found.get("aten::copy_", 0)
    changed = kind in ("RNN", "GRU")  # torch's own outputs may be changed in place, before
    assert copies == ((1, 1) if changed else (0, 0))


def test_the_import_leaves_torchs_compiler_where_it_is():
    code = "import sys, elman.nn; print({'torch._dynamo', 'torch._inductor'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_what_is_saved():
    layer, x = LSTM(3, 5), torch.zeros(4, 2, 3)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        layer(x)
    weights = list(layer.parameters())
    others = [t for t in saved if all(t.data_ptr() != w.data_ptr() for w in (x, *weights))]
    assert len(saved) == 5 + 2
    assert len(others) == 2  # the outputs with the state before them, and what lies together


def test_a_plan_is_made_once_for_a_shape(monkeypatch):
    made = []
    plan = calls.ForwardPlanner.plan
    monkeypatch.setattr(
        calls.ForwardPlanner, "plan", lambda self, *given: made.append(given) or plan(self, *given)
    )
    layer = GRU(3, 6)
    for _ in range(3):
        for steps in (4, 5):
            layer(torch.zeros(steps, 2, 3))
    assert len(made) == 2
    with torch.no_grad():
        layer(torch.zeros(4, 2, 3))
    assert len(made) == 3


def test_plans_do_not_pile_up():
    layer = RNN(3, 7)
    with torch.no_grad():
        for steps in range(1, kernels.PLANS + 40):
            assert layer(torch.zeros(steps, 1, 3))[0].shape[0] == steps
    assert len(layer._stack.kernels[torch.float32].plans) <= kernels.PLANS + 1


def test_layers_of_the_same_sizes_share_their_plans():
    one, other = LSTM(3, 5, 2), LSTM(3, 5, 2)
    x = torch.zeros(4, 2, 3)
    assert not torch.equal(one(x)[0], other(x)[0])
    assert one._stack is other._stack


def test_gradients_that_nobody_wants_are_not_computed():
    """Of a frozen first layer not even the kernel runs."""
    layer, x = LSTM(3, 13, 2), torch.zeros(4, 2, 3)  # plans of its own
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
        getattr(layer, name).requires_grad_(False)
    output, _ = layer(x)
    output.sum().backward()
    forward = next(iter(layer._stack.kernels[torch.float32].plans.values()))
    ((_, backward),) = forward.backward.items()
    assert len(backward.calls) == 1
    assert backward.work == 0
    assert layer.weight_ih_l0.grad is None
    assert layer.weight_ih_l1.grad is not None
