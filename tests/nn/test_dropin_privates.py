"""What models in the wild do with the inside of torch's layers, done with the drop-ins."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch.nn.utils import rnn  # noqa: E402

import elman.nn  # noqa: E402
from elman.nn.refused_making import OPTIONS as OPTIONS_OF_OURS  # noqa: E402
from tests.nn.pairs import drawn, pair, tuples  # noqa: E402

pytestmark = [
    pytest.mark.torch,
    pytest.mark.c,
    pytest.mark.filterwarnings("ignore"),  # torch warns of its own tools
]
KINDS = ("RNN", "LSTM", "GRU")
OPTIONS = {"num_layers": 2}


def same(found, expected, near=1e-11):
    torch.testing.assert_close(found, expected, rtol=near, atol=near)


def learned(layer, x):
    """Output, state, and the gradients of every parameter."""
    output, state = layer(x)
    layer.zero_grad()
    output.square().sum().backward()
    return [output, *tuples(state), *(p.grad for p in layer.parameters())]


def doubled(layer, name):
    return torch.nn.Parameter(2 * getattr(layer, name).detach())


def a_parameter(layer):
    layer.weight_hh_l0 = doubled(layer, "weight_hh_l0")


def by_setattr(layer):
    for name in layer._flat_weights_names:
        setattr(layer, name, doubled(layer, name))


def registered(layer):
    layer.register_parameter("weight_hh_l1", doubled(layer, "weight_hh_l1"))


def its_data(layer):
    layer.weight_hh_l0.data = 2 * layer.weight_hh_l0.data


def its_data_in_place(layer):
    layer.weight_hh_l0.data.mul_(2)
    torch.nn.init.orthogonal_(layer.weight_hh_l1)


def a_tensor_for_a_parameter(layer):
    """As a dropout of weights does it: the raw weight is the parameter."""
    raw = layer.weight_hh_l0
    del layer._parameters["weight_hh_l0"]
    layer.register_parameter("weight_hh_l0_raw", raw)
    layer.weight_hh_l0 = 0.5 * raw


def the_flat_weights(layer):
    """As another dropout of weights does it: only what forward reads is replaced."""
    layer._flat_weights = [
        0.5 * weight if name.startswith("weight_hh") else weight
        for weight, name in zip(layer._flat_weights, layer._flat_weights_names, strict=True)
    ]
    layer.flatten_parameters()


def parameters_and_flat_weights(layer):
    index = layer._flat_weights_names.index("weight_hh_l0")
    layer._parameters["weight_hh_l0"] = doubled(layer, "weight_hh_l0")
    layer._flat_weights[index] = layer._parameters["weight_hh_l0"]


def tied(layer):
    layer.weight_hh_l1 = layer.weight_hh_l0
    layer.bias_hh_l1 = layer.bias_ih_l1


def from_a_vector(layer):
    vector = torch.nn.utils.parameters_to_vector(layer.parameters())
    torch.nn.utils.vector_to_parameters(vector.detach() * 2, layer.parameters())


def applied(layer):
    layer.apply(lambda module: [p.data.fill_(0.1) for p in module.parameters()])


def reset(layer):
    torch.manual_seed(11)
    layer.reset_parameters()


WEIGHTS = (
    a_parameter,
    by_setattr,
    registered,
    its_data,
    its_data_in_place,
    a_tensor_for_a_parameter,
    the_flat_weights,
    parameters_and_flat_weights,
    tied,
    from_a_vector,
    applied,
    reset,
)


@pytest.mark.parametrize("change", WEIGHTS, ids=lambda change: change.__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_weights_replaced(kind, change):
    x = drawn(4, 2, 3)
    before = pair(kind, **OPTIONS)[1](x)[0]
    found = []
    for layer in pair(kind, **OPTIONS):
        layer(x)
        torch.manual_seed(3)
        change(layer)
        found.append(learned(layer, x))
    same(*found)
    assert not torch.equal(found[1][0], before)


def test_flat_weights_replaced_for_one_call():
    """A subclass whose forward replaces them, and puts them back."""

    def derived(base):
        class Dropped(base):
            def forward(self, x, hx=None):
                kept = self._flat_weights
                self._flat_weights = [0.5 * weight for weight in kept]
                found = super().forward(x, hx)
                self._flat_weights = kept
                return found

        torch.manual_seed(7)
        return Dropped(3, 5, dtype=torch.float64)

    ours = derived(elman.nn.GRU)
    same(learned(ours, drawn(4, 2, 3)), learned(derived(torch.nn.GRU), drawn(4, 2, 3)))
    same(ours.weight_hh_l0, pair("GRU")[0].weight_hh_l0)


@pytest.mark.parametrize("kind", [*KINDS, "LSTMCell", "GRUCell"])
def test_a_weight_taken_away_is_not_read(kind):
    for layer in pair(kind):
        setattr(layer, "weight_hh" if kind.endswith("Cell") else "weight_hh_l0", None)
        with pytest.raises(TypeError, match="Tensor"):
            layer(drawn(40, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_deleted_is_read_where_torch_reads_it(kind):
    """As weight_drop's do it, before they put another in its place."""
    found = []
    for layer in pair(kind, **OPTIONS):
        weight = layer.weight_hh_l0
        del layer.weight_hh_l0
        found.append(layer(drawn(4, 2, 3)))
        layer.to(torch.float64).weight_hh_l0 = 2 * weight
        found.append(layer(drawn(4, 2, 3)))
    same(found[2:], found[:2])


def test_weights_of_one_functional_call():
    theirs, ours = pair("LSTM", **OPTIONS)
    x, named = drawn(4, 2, 3), {name: 2 * p for name, p in ours.named_parameters()}
    found = torch.nn.utils.stateless.functional_call(ours, named, (x,))
    torch.autograd.grad(found[0].sum(), list(ours.parameters()))
    assert not torch.equal(found[0], ours(x)[0])
    same(ours(x), theirs(x))
    named = {name: 2 * p for name, p in theirs.named_parameters()}
    same(found, torch.func.functional_call(theirs, named, (x,)))


@pytest.mark.parametrize("kind", KINDS)
def test_methods_that_models_call(kind):
    theirs, ours = pair(kind, **OPTIONS)
    x, state = drawn(4, 2, 3), (drawn(2, 2, 5),) * (2 if kind == "LSTM" else 1)
    hx = state if kind == "LSTM" else state[0]
    assert ours.flatten_parameters() is None
    assert [[w.shape for w in ws] for ws in ours.all_weights] == [
        [w.shape for w in ws] for ws in theirs.all_weights
    ]
    assert ours._flat_weights_names == theirs._flat_weights_names
    assert all(a is b for a, b in zip(ours._flat_weights, ours.parameters(), strict=True))
    assert ours.get_expected_hidden_size(x, None) == (2, 2, 5)
    assert ours.check_forward_args(x, hx, None) is None
    order = torch.tensor([1, 0])
    same(ours.permute_hidden(hx, order), theirs.permute_hidden(hx, order))
    for each in (ours, theirs):
        with pytest.raises(RuntimeError, match="must be equal to input_size"):
            each.check_input(drawn(4, 2, 4), None)


@pytest.mark.parametrize("kind", KINDS)
def test_all_of_torchs_own_packing(kind):
    theirs, ours = pair(kind, **OPTIONS)
    steps = [drawn(n, 3, seed=n) for n in (5, 3, 1)]
    whole = rnn.pad_sequence(steps)
    lengths = torch.tensor([5, 3, 1])
    for packed in (
        rnn.pack_sequence(steps),
        rnn.pack_padded_sequence(whole, lengths),
        rnn.pack_padded_sequence(whole.transpose(0, 1), lengths, batch_first=True),
        rnn.pack_sequence([*reversed(steps)], enforce_sorted=False).float().double().cpu(),
    ):
        found, expected = ours(packed)[0], theirs(packed)[0]
        same(found.data, expected.data)
        same(rnn.unpack_sequence(found), rnn.unpack_sequence(expected))
        padded, lengths_of = rnn.pad_packed_sequence(found, padding_value=-1.0, total_length=7)
        same(rnn.unpad_sequence(padded, lengths_of), rnn.unpack_sequence(expected))
        assert not found.is_cuda and found.batch_sizes is packed.batch_sizes


@pytest.mark.parametrize("kind", [*KINDS, "RNNCell", "LSTMCell", "GRUCell"])
def test_a_constructor_shows_its_arguments(kind):
    cls, torchs = getattr(elman.nn, kind), getattr(torch.nn, kind)
    shown = inspect.signature(cls)
    assert [*shown.parameters][:2] == ["input_size", "hidden_size"]
    assert shown.bind(2, 3).arguments == {"input_size": 2, "hidden_size": 3}
    known = {name: p.default for name, p in shown.parameters.items() if p.default is not p.empty}
    assert repr(cls(2, 3, **known)) == repr(cls(2, 3))
    if kind.endswith("Cell"):
        assert [*shown.parameters] == [*inspect.signature(torchs).parameters]
    else:
        own = {name: default for name, default in known.items() if name not in OPTIONS_OF_OURS}
        assert repr(torchs(2, 3, **own)) == repr(cls(2, 3))


def test_built_of_no_memory():
    theirs, ours = pair("LSTM", **OPTIONS)
    with torch.device("meta"):
        hollow = elman.nn.LSTM(3, 5, 2, dtype=torch.float64)
    hollow.to_empty(device="cpu").load_state_dict(ours.state_dict())
    same(learned(hollow, drawn(4, 2, 3)), learned(theirs, drawn(4, 2, 3)))


CHILD = """
import sys
import torch
import elman

def work(model, x, to):
    with torch.no_grad():
        model.weight_hh_l0.mul_(2)  # of shared memory
    to.put(model(x)[0].detach().numpy())

if __name__ == "__main__":
    import torch.multiprocessing as mp

    model = torch.nn.GRU(3, 5)
    elman.accelerate(model)
    model.share_memory()
    processes, x = mp.get_context("spawn"), torch.ones(4, 2, 3)
    to = processes.SimpleQueue()
    child = processes.Process(target=work, args=(model, x, to))
    child.start()
    found = torch.from_numpy(to.get())
    child.join()
    torch.testing.assert_close(found, model(x)[0].detach())
    print("the same", child.exitcode)
"""


@pytest.mark.slow
def test_in_a_process_of_its_own(tmp_path: Path):
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert ran.stdout == "the same 0\n", ran.stderr
