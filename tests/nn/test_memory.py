"""Memory that calls use again: never while anything has it, never for what the user gets."""

from __future__ import annotations

import copy
import gc
import io
import os
import random
import threading

import pytest

torch = pytest.importorskip("torch")

from elman.backends import c_run  # noqa: E402
from elman.library import cells  # noqa: E402
from elman.nn import GRU, LSTM, Recurrent, kernels, memory, release_memory  # noqa: E402
from tests.nn.test_recurrent import drawn, small  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.c]
# The tests of this room fill what is handed out with NaN, also when it is used again: whoever
# reads memory that is somebody else's now reads that.


@pytest.fixture(autouse=True)
def all_is_large(monkeypatch):
    monkeypatch.setattr(kernels, "LARGE", 1)
    release_memory()
    yield
    release_memory()


def blocks() -> list[memory.Block]:
    return memory._memory.blocks


def free() -> list[bool]:
    return [block.is_free for block in blocks()]


def layer_of(layers: int = 2) -> Recurrent:
    return small(cells.text("gru"), num_layers=layers)


def results(layer, x):
    """Outputs and all gradients."""
    x = x.detach().requires_grad_()
    output = layer(x)[0]
    return [output, *torch.autograd.grad((output**2).sum(), [x, *layer.parameters()])]


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


def in_blocks(tensor: torch.Tensor) -> bool:
    address = tensor.untyped_storage().data_ptr()
    begins = [(b.memory.ctypes.data, b.size) for b in blocks()]
    return any(begin <= address < begin + size for begin, size in begins)


def saved_memory(output: torch.Tensor) -> torch.Tensor:
    (found,) = (t for t in output.grad_fn.saved_tensors if t is not None and in_blocks(t))
    return found


def test_a_loop_uses_the_same_memory():
    layer, x = layer_of(), drawn(4, 2, 2)
    expected = results(layer, x)
    first = [(block.memory.ctypes.data, block.size) for block in blocks()]
    assert len(first) == 2  # what the forward pass saves, and what the backward pass works in
    for _ in range(5):
        assert_same(results(layer, x), expected)
        assert [(b.memory.ctypes.data, b.size) for b in blocks()] == first
        assert all(free())


def test_what_the_user_gets_lies_elsewhere():
    layer = small(num_layers=2)
    x = drawn(4, 2, 2).requires_grad_()
    state = {key: drawn(2, 2, 3).requires_grad_() for key in layer.cell.states}
    for _ in range(3):
        output, after = layer(x, state)
        wrt = [x, *state.values(), *layer.parameters()]
        total = output.sum() + sum(each.sum() for each in after.values())
        found = [output, *after.values(), *torch.autograd.grad(total, wrt)]
        assert blocks()
        assert not any(map(in_blocks, found))
        with torch.no_grad():
            assert not any(map(in_blocks, [layer(x)[0], *layer(x)[1].values()]))


def test_graphs_that_live_together():
    layer = layer_of()
    inputs = [drawn(4, 2, 2, seed=k) for k in range(4)]
    expected = [results(layer, x) for x in inputs]
    release_memory()
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        leaves = [x.clone().requires_grad_() for x in inputs]
        outputs = [layer(x)[0] for x in leaves]
        assert len({saved_memory(output).data_ptr() for output in outputs}) == 4
        for k in order:
            (found,) = torch.autograd.grad((outputs[k] ** 2).sum(), leaves[k])
            assert torch.equal(found, expected[k][1])
    assert len(blocks()) <= 5


def test_layers_in_turn_and_one_layer_twice_in_a_graph():
    one, other = small(cells.text("gru"), num_layers=2), small(cells.text("lstm"))
    again = copy.deepcopy(one)
    assert again._stack is one._stack
    x = drawn(5, 2, 2)
    wrt = [*one.parameters(), *other.parameters(), *again.parameters()]

    def run(between=lambda: None):
        y = one(x)[0][:, :, :2]
        between()
        y = other(y)[0][:, :, :2]
        y = one(y)[0][:, :, :2]
        between()
        y = again(y)[0]
        between()
        return torch.autograd.grad((y**2).sum(), wrt)

    kernels.LARGE = 1 << 60
    expected = run()
    assert not blocks()
    kernels.LARGE = 1
    for _ in range(3):
        assert_same(run(), expected)
        assert_same(run(lambda: results(one, drawn(7, 3, 2))), expected)


def test_a_retained_graph_keeps_its_memory():
    layer, x = layer_of(), drawn(4, 2, 2).requires_grad_()
    (expected,) = torch.autograd.grad(layer(x)[0].sum(), x)
    output = layer(x)[0]
    for _ in range(3):
        assert free().count(False) == 1
        (found,) = torch.autograd.grad(output.sum(), x, retain_graph=True)
        results(layer, drawn(4, 2, 2, seed=3))
        assert torch.equal(found, expected)
    del output
    assert all(free())


def test_a_graph_that_is_thrown_away_gives_its_memory_back():
    layer = layer_of()
    output, state = layer(drawn(4, 2, 2))
    assert free() == [False]
    del output
    assert free() == [False]  # the state has the graph too
    del state
    assert free() == [True]


def test_an_error_gives_the_memory_back():
    layer = layer_of()
    total = (layer(drawn(4, 2, 2))[0] ** 2).sum()
    with torch.no_grad():
        layer.W_z_l0.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()
    del total
    gc.collect()
    assert all(free())


def test_second_derivatives():
    layer = small(cells.text("gru"))
    x, h = drawn(3, 2, 2).requires_grad_(), drawn(1, 2, 3).requires_grad_()

    def run(x, h):
        found = layer(x, {"h": h})[0]
        layer(x, {"h": h})[0].sum().backward()
        return found

    assert torch.autograd.gradcheck(run, (x, h))
    assert torch.autograd.gradgradcheck(run, (x, h))


def test_a_penalty_on_the_gradient():
    layer, x = layer_of(), drawn(4, 2, 2).requires_grad_()
    found = []
    for large in (1 << 60, 1, 1):
        kernels.LARGE = large
        output, _ = layer(x)
        (first,) = torch.autograd.grad(output.sum(), x, create_graph=True)
        results(layer, drawn(4, 2, 2, seed=5))
        found.append(torch.autograd.grad((first**2).sum() + (output**2).sum(), x))
    assert_same(found[1], found[0])
    assert_same(found[2], found[0])


HOLD = {
    "the tensor": lambda t: t,
    "a view": lambda t: t[3:5],
    "detached": lambda t: t.detach(),
    "its storage": lambda t: t.untyped_storage(),
    "an array": lambda t: t.numpy()[:2],
    "another dtype": lambda t: t.view(torch.int32),
    "dlpack": lambda t: torch.utils.dlpack.to_dlpack(t),
}


@pytest.mark.parametrize("what", HOLD)
def test_whatever_has_the_memory_keeps_it(what):
    layer = layer_of()
    output, _ = layer(drawn(4, 2, 2))
    held = HOLD[what](saved_memory(output))
    del output, _
    assert free() == [False]
    results(layer, drawn(4, 2, 2))
    assert sorted(free()) == [False, True, True]
    del held
    gc.collect()
    assert all(free())


@pytest.mark.parametrize("copied", [False, True])
def test_hooks_of_what_is_saved(copied):
    layer, x = layer_of(), drawn(4, 2, 2)
    expected = results(layer, x)
    pack = (lambda t: t.clone()) if copied else (lambda t: t)
    x = x.requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        output, _ = layer(x)
    assert free().count(False) == (0 if copied else 1)
    results(layer, drawn(4, 2, 2, seed=7))
    assert torch.equal(torch.autograd.grad((output**2).sum(), x)[0], expected[1])


def test_copies_and_files_of_what_is_saved():
    layer, x = layer_of(), drawn(4, 2, 2).requires_grad_()
    output, _ = layer(x)
    held = saved_memory(output)
    twin, file = copy.deepcopy(held), io.BytesIO()
    torch.save(held, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    assert torch.equal(held.nan_to_num(7), twin.nan_to_num(7))
    assert torch.equal(held.nan_to_num(7), loaded.nan_to_num(7))
    assert not in_blocks(twin)
    assert not in_blocks(loaded)
    del held, output, _
    assert free() == [True]
    assert_same(results(copy.deepcopy(layer), x), results(layer, x))


def test_memory_that_another_process_may_see_is_not_used_again():
    layer, x = layer_of(), drawn(4, 2, 2).requires_grad_()
    expected = results(layer, x)[1]
    output, _ = layer(x)
    held = saved_memory(output).share_memory_()
    assert all(free())  # it was moved to where others see it
    before = held.nan_to_num(7)
    results(layer, drawn(4, 2, 2, seed=3))
    assert torch.equal(held.nan_to_num(7), before)
    assert torch.equal(torch.autograd.grad((output**2).sum(), x)[0], expected)


def test_threads_that_call_one_layer():
    layer = layer_of()
    inputs = [drawn(30, 4, 2, seed=k) for k in range(4)]
    expected = [results(layer, x) for x in inputs]
    wrong = []

    def work(k):
        assert not blocks()
        for _ in range(20):
            found = results(layer, inputs[k])
            if not all(map(torch.equal, found, expected[k])):
                wrong.append(k)
        assert len(blocks()) == 2

    run_threads([lambda k=k: work(k) for k in range(4)])
    assert not wrong


def run_threads(calls):
    threads = [threading.Thread(target=call) for call in calls]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def test_a_graph_goes_from_thread_to_thread():
    """What one thread made another one goes back through, while the first makes more."""
    layer = layer_of()
    inputs = [drawn(20, 3, 2, seed=k) for k in range(3)]
    expected = [results(layer, x)[1] for x in inputs]
    graphs, wrong = [], []
    ready = threading.Semaphore(0)

    def make():
        for k in range(60):
            x = inputs[k % 3].clone().requires_grad_()
            graphs.append((x, layer(x)[0], expected[k % 3]))
            ready.release()

    def go_back():
        for _ in range(60):
            ready.acquire()
            x, output, wanted = graphs.pop(0)
            (found,) = torch.autograd.grad((output**2).sum(), x)
            if not torch.equal(found, wanted):
                wrong.append(found)

    run_threads([make, go_back])
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork")  # JAX warns, where another test has it
def test_a_fork_with_a_graph_open():
    layer, x = layer_of(), drawn(4, 2, 2).requires_grad_()
    expected = results(layer, x)
    output, _ = layer(x)
    torch.set_num_threads(1)
    child = os.fork()
    if not child:
        try:
            is_right = all(map(torch.equal, results(layer, x), expected))
            (found,) = torch.autograd.grad((output**2).sum(), x)
            os._exit(0 if is_right and torch.equal(found, expected[1]) else 1)
        finally:
            os._exit(2)
    assert_same(results(layer, x), expected)
    assert torch.equal(torch.autograd.grad((output**2).sum(), x)[0], expected[1])
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("kind", [GRU, LSTM])
def test_lengths_and_batches_that_vary(kind):
    layer = kind(3, 5, 2, dtype=torch.float64)
    random.seed(1)
    shapes = [(random.randint(3, 12), random.randint(1, 6)) for _ in range(40)]
    for k, shape in enumerate(shapes):
        x = drawn(*shape, 3, seed=k)
        found = results(layer, x)
        kernels.LARGE = 1 << 60
        assert_same(found, results(layer, x))
        kernels.LARGE = 1
        assert len(blocks()) <= 2
    made = {block.memory.ctypes.data for block in blocks()}
    for shape in shapes:
        results(layer, drawn(*shape, 3))
    assert {block.memory.ctypes.data for block in blocks()} == made


def test_what_is_kept_is_never_more_than_was_held_at_once():
    random.seed(0)
    own = memory.Memory()
    held, most = [], 0
    for _ in range(3000):
        if held and random.random() < 0.5:
            held.pop(random.randrange(len(held)))
        else:
            tensor = own.take(random.choice((1, 7, 8, 60, 200)) * random.randint(1, 9), torch.float)
            assert not any(tensor.data_ptr() == other.data_ptr() for other in held)
            assert tensor.data_ptr() % memory.LINE == 0
            held.append(tensor)
            del tensor
        in_use = sum(block.size for block in own.blocks if not block.is_free)
        most = max(most, in_use)
        assert sum(block.size for block in own.blocks) <= most


def test_blocks_that_nobody_needs_are_let_go():
    own = memory.Memory()
    own.take(1000, torch.float64)
    for _ in range(memory.AGE - 1):
        own.take(10, torch.float64)
    assert [block.size for block in own.blocks] == [8000]
    own.take(10, torch.float64)
    assert not own.blocks
    own.take(10, torch.float64)
    assert [block.size for block in own.blocks] == [80]


def test_a_block_is_in_use_again_and_again():
    own = memory.Memory()
    for _ in range(3 * memory.AGE):
        own.take(600, torch.float32)
    (block,) = own.blocks
    assert block.size == 2400


def test_dtypes_share_the_memory():
    own = memory.Memory()
    assert own.take(10, torch.float64).shape == (10,)
    assert own.take(20, torch.float32).dtype is torch.float32
    assert len(own.blocks) == 1


def test_release():
    layer, x = layer_of(), drawn(4, 2, 2).requires_grad_()
    expected = results(layer, x)
    output, _ = layer(x)
    release_memory()
    assert not blocks()
    assert not hasattr(c_run._local, "scratch")
    assert_same(results(layer, x), expected)
    assert torch.equal(torch.autograd.grad((output**2).sum(), x)[0], expected[1])


def test_small_calls_keep_nothing(monkeypatch):
    monkeypatch.setattr(kernels, "LARGE", memory.LARGE)
    results(layer_of(), drawn(4, 2, 2))
    assert not blocks()
    layer = LSTM(2, 128)
    layer(torch.zeros(100, 32, 2))[0].sum().backward()
    assert blocks()


def test_without_gradients():
    layer, x = layer_of(3), drawn(4, 2, 2)
    expected = layer(x)[0].detach()
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            assert torch.equal(layer(x)[0], expected)
            assert all(free())
    assert_same(results(layer, x)[:1], [expected])


def test_torchs_defaults_change_nothing():
    layer, x = layer_of(), drawn(4, 2, 2)
    expected = results(layer, x)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            assert_same(results(layer, x), expected)
    finally:
        torch.set_default_dtype(torch.float32)


def test_remat():
    plain, x = small(cells.text("lstm")), drawn(9, 2, 2)
    again = small(cells.text("lstm"), remat=2)
    expected = results(again, x)
    for _ in range(3):
        assert_same(results(again, x), expected)
        for one, other in zip(results(plain, x), expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    assert all(free())
