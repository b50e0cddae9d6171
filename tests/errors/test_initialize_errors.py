"""What `initialize` says to mistakes: each file in `initialize/` is one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch.nn.utils import prune  # noqa: E402 - after torch is known to be there

import elman  # noqa: E402
from elman.errors import WeightProblem  # noqa: E402
from elman.nn import GRU, LSTM, RNN, Recurrent, initialize, roles  # noqa: E402
from tests.errors.golden import assert_says_a_way_out  # noqa: E402

pytestmark = pytest.mark.torch
FOLDER = Path(__file__).parent / "initialize"


def lstm(*args, **more):
    initialize(LSTM(2, 3), *args, **more)


def cell(name, *args, **more):
    initialize(Recurrent(elman.cells[name], 2, 3), *args, **more)


def pruned(name):
    layer = LSTM(2, 3)
    prune.l1_unstructured(layer, name, 0.5)
    return layer


MISTAKES = {
    "E550_scheme": lambda: lstm("kreas"),
    "E550_scheme_for_a_role": lambda: lstm("orthogonal"),
    "E550_scheme_of_keras": lambda: lstm("glorot_uniform"),
    "E550_choice_of_keras": lambda: lstm(input="glorot_normal"),
    "E550_role": lambda: lstm(recurent="orthogonal"),
    "E550_role_of_torch": lambda: lstm(weight_hh="orthogonal"),
    "E550_generator": lambda: lstm("keras", generator=5),
    "E550_choice": lambda: lstm(recurrent="ortogonal"),
    "E550_matrix_of_a_number": lambda: lstm(input=0.1),
    "E550_bias_of_a_word": lambda: lstm(bias="zeros"),
    "E550_bias_of_nan": lambda: lstm(bias=float("nan")),
    "E550_true": lambda: lstm(forget_bias=True),
    "E551_chrono": lambda: initialize(RNN(2, 3), "chrono", t_max=20),
    "E551_forget_bias": lambda: cell("qrnn", forget_bias=1.0),
    "E551_bias": lambda: initialize(GRU(2, 3, bias=False), bias=0.0),
    "E551_irnn": lambda: cell("min_gru", "irnn"),
    "E551_peephole": lambda: lstm(peephole=0.0),
    "E551_vector": lambda: cell("indrnn", recurrent="xavier_normal"),
    "E552_no_t_max": lambda: lstm("chrono"),
    "E552_too_short": lambda: lstm("chrono", t_max=2),
    "E552_infinite": lambda: lstm(forget_bias="chrono", t_max=float("inf")),
    "E552_without_chrono": lambda: lstm("keras", t_max=20),
    "E553_linear": lambda: initialize(torch.nn.Sequential(torch.nn.Linear(2, 3)), "keras"),
    "E553_a_cell": lambda: initialize(elman.cells["gru"], "keras"),
    "E550_scheme_no_word": lambda: lstm(5),
    "E553_roles": lambda: roles(torch.nn.Linear(2, 3)),
    "E554_pruned": lambda: initialize(pruned("weight_hh_l0"), "keras"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_the_message_is_the_golden_one(name):
    with pytest.raises(WeightProblem) as caught:
        MISTAKES[name]()
    assert_says_a_way_out(FOLDER / f"{name}.txt", f"{caught.value}\n", "WeightProblem")


def test_every_code_has_a_golden_text():
    source = Path(__file__).parents[2] / "src/elman/nn"
    texts = [source.joinpath(f"{n}.py").read_text() for n in ("initial_weights", "weight_roles")]
    codes = {code for text in texts for code in re.findall(r'"(E\d{3})"', text)}
    assert codes == {path.name[:4] for path in FOLDER.glob("*.txt")}
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(MISTAKES)


def test_a_mistake_changes_no_weight():
    layer = LSTM(2, 3)
    before = {name: weight.clone() for name, weight in layer.state_dict().items()}
    with pytest.raises(WeightProblem):
        initialize(layer, "keras", peephole=0.0)
    assert all(torch.equal(before[name], weight) for name, weight in layer.state_dict().items())
