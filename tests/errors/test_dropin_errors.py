"""What the drop-ins say where torch refuses: each file in `dropins/` is one, less torch's words.

Every mistake is made with torch's class too: ours raises its type, and holds what it says.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

import elman.nn  # noqa: E402 - after torch is known to be there
from elman.errors import ElmanError  # noqa: E402
from tests.errors.golden import assert_golden, assert_says_a_way_out  # noqa: E402

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:dropout option adds dropout"),
    pytest.mark.filterwarnings("ignore:LSTM with projections"),
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors"),
]
FOLDER = Path(__file__).parent / "dropins"
PackedSequence = torch.nn.utils.rnn.PackedSequence
zeros = torch.zeros
x = zeros(4, 7, 3)  # (T, B, input_size)
row = zeros(7, 3)


def pair(*shape, **options):
    return zeros(shape, **options), zeros(shape, **options)


def packed(*sizes, rows=5, width=3):
    return PackedSequence(zeros(rows, width), torch.tensor(sizes))


def nested(*parts):
    return torch.nested.nested_tensor([*parts])


def with_weight(layer, name, *shape):
    setattr(layer, name, torch.nn.Parameter(zeros(shape)))
    return layer


MISTAKES = {
    # the arguments of a constructor
    "E230_dropout": lambda nn: nn.LSTM(3, 5, dropout=50),
    "E230_dropout_words": lambda nn: nn.GRU(3, 5, 2, dropout="half"),
    "E230_dropout_true": lambda nn: nn.GRU(3, 5, 2, dropout=True),
    "E230_bias": lambda nn: nn.LSTM(3, 5, 2, 0),
    "E230_batch_first": lambda nn: nn.RNN(3, 5, batch_first="yes"),
    "E230_input_size": lambda nn: nn.GRU(0, 5),
    "E230_hidden_size": lambda nn: nn.GRU(3, 5.0),
    "E230_num_layers": lambda nn: nn.LSTM(3, 5, "2"),
    "E230_nonlinearity": lambda nn: nn.RNN(3, 5, nonlinearity="sin"),
    "E230_nonlinearity_by_place": lambda nn: nn.RNN(3, 5, 1, True, True),
    "E230_nonlinearity_of_cell": lambda nn: nn.RNNCell(3, 5, nonlinearity="sin")(row),
    "E230_proj_size": lambda nn: nn.LSTM(3, 5, proj_size=5),
    "E230_dtype": lambda nn: nn.LSTM(3, 5, dtype=torch.int64),
    "E230_cell_size": lambda nn: nn.LSTMCell(3, "5"),
    "E239_missing": lambda nn: nn.LSTM(3),
    "E239_unknown": lambda nn: nn.LSTM(3, 5, droput=0.1),
    "E239_of_another": lambda nn: nn.GRU(3, 5, nonlinearity="relu"),
    "E239_of_a_layer": lambda nn: nn.LSTMCell(3, 5, batch_first=True),
    "E239_projection": lambda nn: nn.GRU(3, 5, proj_size=2),
    "E239_twice": lambda nn: nn.LSTM(3, 5, input_size=3),
    "E239_too_many": lambda nn: nn.LSTMCell(3, 5, True, None, None, 3),
    "E547_no_device": lambda nn: nn.LSTM(3, 5, device="gpu"),
    # the input
    "E231_axes": lambda nn: nn.LSTM(3, 5, batch_first=True)(zeros(2, 4, 7, 3)),
    "E231_one_axis": lambda nn: nn.LSTM(1, 5)(zeros(9)),
    "E231_of_four_axes": lambda nn: nn.GRU(12, 5)(zeros(6, 2, 3, 4)),
    "E231_cell": lambda nn: nn.GRUCell(3, 5)(x),
    "E231_packed": lambda nn: nn.GRU(3, 5)(PackedSequence(x, torch.tensor([2, 2]))),
    "E232_size": lambda nn: nn.LSTM(3, 5, batch_first=True)(zeros(4, 7, 2)),
    "E232_axes_exchanged": lambda nn: nn.GRU(3, 5)(zeros(4, 3, 7)),
    "E232_no_axis_of_values": lambda nn: nn.GRU(1, 5)(zeros(9, 7)),
    "E232_cell": lambda nn: nn.LSTMCell(3, 5)(zeros(7, 2)),
    "E232_packed": lambda nn: nn.LSTM(3, 5)(packed(3, 2, width=2)),
    "E235_no_steps": lambda nn: nn.RNN(3, 5)(zeros(0, 7, 3)),
    "E236_rises": lambda nn: nn.LSTM(3, 5)(packed(2, 3)),
    "E236_sum": lambda nn: nn.LSTM(3, 5)(packed(3, 3)),
    "E545_list": lambda nn: nn.LSTM(3, 5)([[1.0, 2.0, 3.0]]),
    "E545_sequences": lambda nn: nn.LSTM(3, 5)([zeros(4, 3), zeros(2, 3)]),
    "E545_output_and_state": lambda nn: nn.LSTM(5, 5)(nn.LSTM(3, 5)(x)),
    "E545_none": lambda nn: nn.GRU(3, 5)(None),
    "E545_array": lambda nn: nn.RNNCell(3, 5)(row.numpy()),
    "E545_sparse": lambda nn: nn.GRU(3, 5)(x.to_sparse()),
    "E545_nested": lambda nn: nn.GRU(3, 5)(nested(row, row[:2])),
    "E545_nested_for_a_cell": lambda nn: nn.RNNCell(3, 5)(nested(row[0], row[1]), zeros(2, 5)),
    "E545_packed_for_a_cell": lambda nn: nn.GRUCell(3, 5)(packed(3, 2)),
    "E546_input": lambda nn: nn.LSTM(3, 5)(x.double()),
    "E546_words": lambda nn: nn.GRU(3, 5)(x.long()),
    "E546_cell": lambda nn: nn.LSTMCell(3, 5)(row.double()),
    "E546_packed": lambda nn: nn.LSTM(3, 5).double()(packed(3, 2)),
    "E547_input": lambda nn: nn.LSTM(3, 5)(x.to("meta")),
    "E547_layer": lambda nn: nn.GRU(3, 5, device="meta")(x),
    # the states
    "E233_batch": lambda nn: nn.LSTM(3, 5)(x, pair(1, 6, 5)),
    "E233_second": lambda nn: nn.LSTM(3, 5)(x, (zeros(1, 7, 5), zeros(1, 7, 4))),
    "E233_layers": lambda nn: nn.GRU(3, 5, 2, bidirectional=True)(x, zeros(2, 7, 5)),
    "E233_projection": lambda nn: nn.LSTM(3, 5, proj_size=2)(x, pair(1, 7, 5)),
    "E233_batch_first": lambda nn: nn.GRU(3, 5, batch_first=True)(x, zeros(4, 1, 5)),
    "E233_no_layers": lambda nn: nn.GRU(3, 5)(x, zeros(7, 5)),
    "E233_one_for_all": lambda nn: nn.GRU(3, 5)(x, zeros(1, 1, 5)),
    "E233_of_a_batch": lambda nn: nn.GRU(3, 5)(zeros(4, 3), zeros(1, 1, 5)),
    "E233_cell": lambda nn: nn.RNNCell(3, 5)(row, zeros(7, 6)),
    "E233_cell_of_layers": lambda nn: nn.GRUCell(3, 5)(row, zeros(1, 7, 5)),
    "E233_packed": lambda nn: nn.LSTM(3, 5)(packed(3, 2), pair(1, 2, 5)),
    "E545_state": lambda nn: nn.GRU(3, 5)(x, 0),
    "E545_half_a_state": lambda nn: nn.LSTM(3, 5)(x, (zeros(1, 7, 5), None)),
    "E545_no_states_of_a_cell": lambda nn: nn.LSTMCell(3, 5)(row, (None, None)),
    "E545_sparse_state": lambda nn: nn.GRU(3, 5)(x, zeros(1, 7, 5).to_sparse()),
    "E546_state": lambda nn: nn.GRU(3, 5)(x, zeros(1, 7, 5, dtype=torch.float64)),
    "E547_state": lambda nn: nn.LSTM(3, 5)(x, pair(1, 7, 5, device="meta")),
    "E548_tensor": lambda nn: nn.LSTM(3, 5)(x, zeros(1, 7, 5)),
    "E548_stacked": lambda nn: nn.LSTM(3, 5)(x, zeros(2, 1, 7, 5)),
    "E548_three": lambda nn: nn.LSTM(3, 5)(x, (zeros(1, 7, 5),) * 3),
    "E548_dict": lambda nn: nn.LSTM(3, 5)(x, {"h": zeros(1, 7, 5)}),
    "E548_pair": lambda nn: nn.GRU(3, 5)(x, pair(1, 7, 5)),
    "E548_cell": lambda nn: nn.LSTMCell(3, 5)(row, zeros(7, 5)),
    # the weights
    "E237_layer": lambda nn: with_weight(nn.GRU(3, 5), "weight_hh_l0", 3, 5)(x),
    "E237_cell": lambda nn: with_weight(nn.LSTMCell(3, 5), "weight_ih", 20, 4)(row),
}

# torch's LSTM reads such states as they lie, and may crash; before it stands torch's own check
LOOKED_AT_FIRST = {"E233_packed"}

# what torch's layers have not, so that torch says nothing
OF_OURS = {
    "E234_sizes": lambda nn: nn.LSTM(3, [5, 6], num_layers=3),
    "E234_sizes_projected": lambda nn: nn.LSTM(3, [5, 6], proj_size=2),
    "E234_packed": lambda nn: nn.GRU(3, 5)(packed(3, 2), lengths=[2, 2, 1]),
    "E549_script": lambda nn: torch.jit.script(nn.GRU(3, 5, residual=True, num_layers=2)),
}


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
@pytest.mark.parametrize("name", OF_OURS)
def test_the_message_to_an_option_is_the_golden_one(name):
    with pytest.raises(ElmanError) as caught:
        OF_OURS[name](elman.nn)
    assert_golden(FOLDER / f"{name}.txt", f"{caught.value}\n")
    assert f"[{name[:4]}]" in str(caught.value)


@pytest.mark.parametrize("name", MISTAKES)
def test_the_message_is_the_golden_one(name):
    with pytest.raises(Exception) as torchs:
        MISTAKES[name](torch.nn)
    with pytest.raises(ElmanError) as caught:
        MISTAKES[name](elman.nn)
    assert isinstance(caught.value, type(torchs.value))
    assert isinstance(caught.value.__cause__, type(torchs.value))
    got, _, words = str(caught.value).partition("\n  torch: ")
    assert words == str(torchs.value) or name in LOOKED_AT_FIRST
    assert_says_a_way_out(FOLDER / f"{name}.txt", got + "\n")


def test_every_golden_text_has_a_mistake():
    assert {path.stem for path in FOLDER.glob("*.txt")} == {*MISTAKES, *OF_OURS}


def test_other_errors_stay_as_they_are():
    """Of a hook, of a computed weight: nothing is wrong with what was given."""
    layer = elman.nn.LSTM(3, 5)
    layer.register_forward_pre_hook(lambda module, given: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        layer(x)

    class Failing(torch.nn.Module):
        def forward(self, weight):
            raise RuntimeError("of my own")

    layer = elman.nn.GRU(3, 5)
    torch.nn.utils.parametrize.register_parametrization(
        layer, "weight_hh_l0", Failing(), unsafe=True
    )
    with pytest.raises(RuntimeError, match="of my own") as caught:
        layer(x)
    assert not isinstance(caught.value, ElmanError)


def test_an_error_reaches_another_process():
    """As torch's own do: whoever waits for a worker would else never hear of it."""
    with pytest.raises(RuntimeError) as caught:
        elman.nn.LSTM(3, 5)(zeros(4, 7, 2))
    found = pickle.loads(pickle.dumps(caught.value))
    assert type(found) is type(caught.value)
    assert (str(found), found.code, found.args) == (str(caught.value), "E232", caught.value.args)
    with pytest.raises(ElmanError) as caught:
        elman.Cell("h[t] = tanh(W @ x[t] + U @ h[t])")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_subclass_is_called_by_its_name():
    class Reader(elman.nn.LSTM):
        def __init__(self, size):
            super().__init__(size, 5, batch_first=True)

    with pytest.raises(RuntimeError, match=r"Reader\(3, 5, batch_first=True\) reads \(B, T, 3\)"):
        Reader(3)(zeros(4, 7, 2))
    with pytest.raises(TypeError, match=r"LSTM\('3', 5, batch_first=True\)"):
        Reader("3")
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'size'"):
        Reader()
