"""Weights in other layouts: the same numbers come out, or the conversion is refused."""

from __future__ import annotations

import difflib
import itertools
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import elman
from elman.errors import ElmanError
from elman.library.weights import LAYOUTS, convert, full_name, maps, read, write
from elman.library.weights.cells import FORMS, PLAIN
from elman.library.weights.parts import GATES
from tests.library.layout_equations import RUN, onnx_gru, onnx_lstm
from tests.readme.blocks import run_section, sections

GOLDEN = Path(__file__).parents[1] / "errors" / "convert"
INPUT, HIDDEN = 3, 4
SIZES = {"input": INPUT, "hidden": HIDDEN}
FRAMEWORKS = [layout for layout in LAYOUTS if layout != "elman"]
CELLS = [f"elman:{name}" for name in FORMS]
X = np.random.default_rng(5).normal(size=(6, 2, INPUT))


def close(found, wanted):
    return np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


def weights_of(name, seed=0, **sizes):
    """Random weights of a library cell."""
    cell = elman.cells[name]
    generator = np.random.default_rng(seed)
    shapes = cell.shapes(
        **{**SIZES, **({"cell": 5} if "cell" in cell.typed.aliases else {}), **sizes}
    )
    return {name: generator.normal(size=shapes[name]) for name in cell.parameters}


def output_of(name, weights, x=X):
    return elman.cells[name].run({"x": x}, weights, backend="numpy")["h"]


def torch_module(kind, **more):
    import torch

    torch.manual_seed(3)
    module = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind]
    return module(INPUT, HIDDEN, **more).double()


def torch_output(module, x=X):
    import torch

    with torch.no_grad():
        return module(torch.as_tensor(x))[0].numpy()


def torch_with(kind, arrays, **more):
    import torch

    module = torch_module(kind, **more)
    module.load_state_dict({name: torch.as_tensor(a) for name, a in arrays.items()})
    return torch_output(module)


def test_forms_name_the_parameters_of_their_cells():
    for name, form in FORMS.items():
        assert set(form.names()) == set(elman.cells[name].parameters), name


def test_the_face_shows_it():
    assert elman.convert is convert


# Numbers: what a module of torch computes is what the converted weights compute elsewhere.

FITTING = [
    ("rnn", "rnn"),
    ("rnn", "rnn_torch"),
    ("lstm", "lstm"),
    ("lstm", "lstm_torch"),
    ("lstm", "lstm_concatenated"),
    ("gru", "gru_reset_after"),
    ("gru", "gru_reset_after_take_new"),
]


@pytest.mark.torch
@pytest.mark.parametrize(("kind", "name"), FITTING)
@pytest.mark.parametrize("bias", [True, False])
def test_torch_to_a_cell_and_back(kind, name, bias):
    module = torch_module(kind, bias=bias)
    converted = convert(module.state_dict(), "torch", f"elman:{name}")
    close(output_of(name, converted), torch_output(module))
    back = convert(converted, f"elman:{name}", "torch")
    close(torch_with(kind, back), torch_output(module))


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("layout", [name for name in FRAMEWORKS if name != "torch"])
def test_torch_to_the_equations_of_keras_and_onnx_and_back(kind, layout):
    module = torch_module(kind)
    if kind == "gru" and not layout.endswith("reset-after"):
        with pytest.raises(ElmanError, match="two functions"):
            convert(module.state_dict(), "torch", layout)
        return
    converted = convert(module.state_dict(), "torch", layout)
    close(RUN[kind, layout](X, converted), torch_output(module))
    close(torch_with(kind, convert(converted, layout, "torch")), torch_output(module))


@pytest.mark.torch
def test_rectified_units():
    module = torch_module("rnn", nonlinearity="relu")
    converted = convert(module.state_dict(), "torch", "elman:rnn_relu")
    close(output_of("rnn_relu", converted), torch_output(module))


@pytest.mark.torch
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_projection(bidirectional):
    module = torch_module("lstm", proj_size=2, bidirectional=bidirectional)
    converted = convert(module.state_dict(), "torch", "elman")
    if not bidirectional:
        close(output_of("lstmp", converted), torch_output(module))
    back = convert(converted, "elman", "torch")
    found = torch_with("lstm", back, proj_size=2, bidirectional=bidirectional)
    close(found, torch_output(module))


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_layers_are_those_of_recurrent(kind):
    import torch

    module = torch_module(kind, num_layers=2)
    converted = convert(module.state_dict(), "torch", "elman")
    cell = elman.cells[full_name(read(module.state_dict(), "torch"), "elman")[6:]]
    layer = elman.nn.Recurrent(cell, INPUT, HIDDEN, 2, dtype=torch.float64)
    layer.load_state_dict({name: torch.as_tensor(a) for name, a in converted.items()})
    close(torch_output(layer), torch_output(module))
    back = convert(layer.state_dict(), "elman", "torch")
    close(torch_with(kind, back, num_layers=2), torch_output(module))


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_layers_of_two_directions(kind):
    """The second layer reads both directions of the first."""
    shape = {"num_layers": 2, "bidirectional": True}
    module = torch_module(kind, **shape)
    converted = convert(module.state_dict(), "torch", "elman")
    inner: list[np.ndarray] = [X]
    cell = full_name(read(module.state_dict(), "torch"), "elman").removeprefix("elman:")
    for ending in ("_l0", "_l1"):
        sides = []
        for side, step in (("", 1), ("_reverse", -1)):
            own = {
                n.removesuffix(ending + side): a
                for n, a in converted.items()
                if n.endswith(ending + side)
            }
            sides.append(output_of(cell, own, inner[-1][::step])[::step])
        inner.append(np.concatenate(sides, axis=-1))
    close(inner[-1], torch_output(module))
    close(torch_with(kind, convert(converted, "elman", "torch"), **shape), torch_output(module))


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_two_directions(kind):
    module = torch_module(kind, bidirectional=True)
    wanted = np.split(torch_output(module), 2, axis=-1)
    keras = convert(module.state_dict(), "torch", "keras-reset-after")
    sides: dict[str, dict] = {"forward": {}, "backward": {}}
    for name, array in keras.items():
        sides[name.partition("_")[0]][name.rpartition("/")[2]] = array
    run = RUN[kind, "keras-reset-after"]
    close(run(X, sides["forward"]), wanted[0])
    close(run(X[::-1], sides["backward"])[::-1], wanted[1])
    onnx = convert(keras, "keras-reset-after", "onnx-reset-after")
    assert onnx["W"].shape[0] == 2
    flip = {name: array[::-1] for name, array in onnx.items()}
    run = RUN[kind, "onnx-reset-after"]
    close(run(X, onnx), wanted[0])
    close(run(X[::-1], flip)[::-1], wanted[1])
    close(
        torch_with(kind, convert(onnx, "onnx-reset-after", "torch"), bidirectional=True),
        torch_output(module),
    )


@pytest.mark.parametrize("name", ["gru", "gru_take_new"])
def test_reset_before(name):
    weights = weights_of(name)
    wanted = output_of(name, weights)
    close(RUN["gru", "keras"](X, convert(weights, f"elman:{name}", "keras")), wanted)
    onnx = convert(weights, f"elman:{name}", "onnx")
    onnx["B"] += np.repeat([[0.3, -0.3]], 3 * HIDDEN, axis=1)  # shared out among the two otherwise
    close(onnx_gru(X, onnx, False), wanted)
    close(output_of(name, convert(onnx, "onnx", f"elman:{name}")), wanted)


def test_z_that_takes_the_new_is_z_negated():
    weights = weights_of("gru")
    turned = convert(weights, "elman", "elman:gru_take_new")
    close(output_of("gru_take_new", turned), output_of("gru", weights))
    for name, array in weights.items():
        assert np.array_equal(turned[name], -array if name.endswith("_z") else array)
    zeros = {name: np.zeros_like(array) for name, array in weights.items()}
    found = convert(zeros, "elman", "elman:gru_take_new")
    assert not any(np.signbit(array).any() for array in found.values())  # no -0.0


def test_peepholes():
    weights = weights_of("lstm_peephole")
    onnx = convert(weights, "elman", "onnx")
    assert onnx["P"].shape == (1, 3 * HIDDEN)
    close(onnx_lstm(X, onnx), output_of("lstm_peephole", weights))
    close(
        output_of("lstm_peephole", convert(onnx, "onnx", "elman")),
        output_of("lstm_peephole", weights),
    )
    onnx["P"][:] = 0
    assert "p_f" not in convert(onnx, "onnx", "elman")
    assert set(convert(onnx, "onnx", "keras")) == {"kernel", "recurrent_kernel", "bias"}


@pytest.mark.parametrize("hidden", [1, 3])
def test_a_reset_changes_its_place_where_u_is_diagonal(hidden):
    """r * (U h) is U (r * h) then, and for a single unit U is diagonal always."""
    x = X[..., :2]
    weights = weights_of("gru", input=2, hidden=hidden)
    weights["U_n"] = np.diag(np.diagonal(weights["U_n"]))
    after = convert(weights, "elman", "elman:gru_reset_after")
    close(output_of("gru_reset_after", after, x), output_of("gru", weights, x))
    back = convert(after, "elman", "elman:gru")
    close(output_of("gru", back, x), output_of("gru", weights, x))
    after["b_hn"][0] = 0.5
    with pytest.raises(ElmanError, match="two functions"):
        convert(after, "elman", "elman:gru")


# Round trips between all layouts.

STARTS = [f"elman:{name}" for name in FORMS]


def canonical(arrays, layout):
    """All gates of a network, with one bias where two act as their sum."""
    network = read(arrays, layout)
    found = {}
    for place, layer in network.layers.items():
        total = maps.total_bias(layer) or maps.zero_bias(layer)
        pair = maps.two_biases(layer) or (total, total)
        for gate in GATES[network.kind]:
            inner = network.reset_after and gate == "n"
            found[place, gate, "bias"] = np.stack([b[gate] for b in pair]) if inner else total[gate]
            found[place, gate, "W"], found[place, gate, "U"] = layer.W[gate], layer.U[gate]
    return network, found


@pytest.mark.parametrize("start", STARTS)
def test_round_trips_of_every_pair(start):
    """From each cell to each layout and from there to each other: the same, or refused."""
    weights = weights_of(start.removeprefix("elman:"))
    network, wanted = canonical(weights, start)
    went = set()
    for first, second in itertools.product([*FRAMEWORKS, *CELLS], repeat=2):
        try:
            middle = convert(weights, start, first)
        except ElmanError as error:
            assert error.code == "E534", (first, error)
            continue
        went.add(first)
        try:
            end = convert(middle, first, second)
        except ElmanError as error:
            assert error.code == "E534", (second, error)
            continue
        other, found = canonical(end, second)
        assert (other.kind, other.reset_after) == (network.kind, network.reset_after)
        assert found.keys() == wanted.keys()
        for key, array in wanted.items():
            close(found[key], array)
    assert went == set(exact(start))


def exact(start):
    """The layouts that can hold the weights of a cell, by the mathematics of the cells."""
    name = start.removeprefix("elman:")
    every = {kind: [f"elman:{n}" for n, f in FORMS.items() if f.kind == kind] for kind in GATES}
    if name == "lstmp":
        return ["torch", start]
    if name == "lstm_peephole":
        return ["onnx", "onnx-reset-after", start]
    if FORMS[name].kind == "gru":
        after = "reset_after" in name
        side = [layout for layout in every["gru"] if ("reset_after" in layout) == after]
        ends = ["keras-reset-after", "onnx-reset-after", "torch"] if after else ["keras", "onnx"]
        return [*ends, *side]
    special = ("elman:lstmp", "elman:lstm_peephole")
    return [*FRAMEWORKS, *(n for n in every[FORMS[name].kind] if n not in special)]


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru_reset_after"])
def test_weights_without_biases_stay_without(kind):
    weights = convert(weights_of(kind), f"elman:{kind}", "torch")
    bare = {name: array for name, array in weights.items() if "bias" not in name}
    assert set(convert(bare, "torch", "keras-reset-after")) == {"kernel", "recurrent_kernel"}
    assert set(convert(bare, "torch", "onnx-reset-after")) == {"W", "R"}
    onnx = convert(convert(bare, "torch", "onnx-reset-after"), "onnx-reset-after", "torch")
    assert onnx.keys() == bare.keys()
    filled = convert(bare, "torch", f"elman:{kind}")
    assert not any(filled[name].any() for name in filled if name.startswith("b"))


# Names.

PREFIXES = {
    "keras": [
        "lstm/lstm_cell/{}:0",
        "lstm_cell.{}",
        "lstm_3/lstm_cell_3/{}",
        "model/encoder/{}",
        "lstm_{}",
    ],
    "torch": ["encoder.lstm.{}", "module/{}", "0.{}"],
    "onnx": ["lstm.{}", "lstm_{}", "node/{}:0"],
    "elman": ["cell.{}", "encoder.cell.{}"],
}


@pytest.mark.parametrize(
    ("layout", "spelt"), [(k, spelt) for k, all_spelt in PREFIXES.items() for spelt in all_spelt]
)
def test_prefixes_of_one_layer(layout, spelt):
    weights = weights_of("lstm")
    arrays = convert(weights, "elman", layout)
    named = {spelt.format(name): array for name, array in arrays.items()}
    for name, array in convert(named, layout, "elman").items():
        assert np.array_equal(array, weights[name])


def test_keras_own_names_of_a_bidirectional_layer():
    one, two = (convert(weights_of("lstm", seed), "elman", "keras") for seed in (1, 2))
    named = {
        f"bidirectional/{side}_lstm_1/lstm_cell/{role}": array
        for side, arrays in (("forward", one), ("backward", two))
        for role, array in arrays.items()
    }
    found = convert(named, "keras", "torch")
    assert found.keys() >= {"weight_ih_l0", "weight_ih_l0_reverse"}
    assert np.array_equal(found["bias_ih_l0"], one["bias"])
    assert np.array_equal(found["bias_ih_l0_reverse"], two["bias"])
    back = convert(found, "torch", "keras")
    assert list(back)[:2] == [
        "forward_lstm/lstm_cell/kernel",
        "forward_lstm/lstm_cell/recurrent_kernel",
    ]


def test_a_cell_of_torch_has_no_layer_in_its_names():
    weights = weights_of("lstm")
    arrays = convert(weights, "elman", "torch")
    bare = {name.removesuffix("_l0"): array for name, array in arrays.items()}
    assert np.array_equal(convert(bare, "torch", "elman")["W_f"], weights["W_f"])


def test_a_layer_in_the_middle_is_converted_alone_and_keeps_its_number():
    weights = convert(weights_of("lstm"), "elman", "torch")
    third = {name.replace("_l0", "_l2"): array for name, array in weights.items()}
    assert convert(third, "torch", "torch").keys() == third.keys()
    assert set(convert(third, "torch", "keras")) == {"kernel", "recurrent_kernel", "bias"}


def test_the_cell_that_fits():
    for name in PLAIN:
        network = read(weights_of(name), "elman")
        assert network.kind == FORMS[name].kind
        back = write(network, f"elman:{name}")
        for key, array in weights_of(name).items():
            close(back[key], array)
    assert set(convert(weights_of("lstm_torch"), "elman", "elman")) == set(weights_of("lstm"))
    assert convert(weights_of("gru_reset_after"), "elman:gru_torch", "elman").keys() == (
        weights_of("gru_reset_after").keys()
    )


# Numbers as they come.


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_type_is_kept(dtype):
    weights = {name: array.astype(dtype) for name, array in weights_of("lstm").items()}
    for layout in FRAMEWORKS:
        found = convert(weights, "elman", layout)
        assert {array.dtype for array in found.values()} == {np.dtype(dtype)}
        back = convert(found, layout, "elman")
        assert all(np.array_equal(back[name], array) for name, array in weights.items())


def test_the_result_is_new():
    """Neither a change of what was given nor one of the result reaches the other."""
    weights = weights_of("gru")
    for target in ("keras", "elman", "elman:gru_take_new"):
        given = {name: array.copy() for name, array in weights.items()}
        found = convert(given, "elman", target)
        assert all(array.flags.c_contiguous and array.flags.owndata for array in found.values())
        for array in found.values():
            array[:] = 7
        assert all(np.array_equal(given[name], weights[name]) for name in weights)


def test_numbers_and_lists_as_on_the_board():
    """Axes of one may be left out, as in the weights of a trace."""
    found = convert({"W": [0.4, 0.3], "U": 0.5, "b": 1}, "elman", "torch")
    assert found["weight_ih_l0"].tolist() == [[0.4, 0.3]]
    assert found["weight_hh_l0"].tolist() == [[0.5]]
    assert found["bias_ih_l0"].tolist() == [1.0]
    assert found["bias_ih_l0"].dtype == np.float64
    found = convert({"W": [0.4, 0.3], "U": np.eye(2), "b": [0, 1]}, "elman", "keras")
    assert found["kernel"].tolist() == [[0.4, 0.3]]


# Mistakes.


def torch_lstm(**changes):
    arrays = convert(weights_of("lstm"), "elman", "torch")
    return {name: a for name, a in {**arrays, **changes}.items() if a is not None}


def two_layers(**changes):
    first, second = torch_lstm(), torch_lstm(weight_ih_l0=np.ones((4 * HIDDEN, HIDDEN)))
    arrays = {**first, **{name.replace("_l0", "_l1"): array for name, array in second.items()}}
    return {name: a for name, a in {**arrays, **changes}.items() if a is not None}


def keras_gru(bias_rows=1):
    bias = np.ones(3 * HIDDEN) if bias_rows == 1 else np.ones((2, 3 * HIDDEN))
    shapes = {"kernel": (INPUT, 3 * HIDDEN), "recurrent_kernel": (HIDDEN, 3 * HIDDEN)}
    return {**{name: np.ones(shape) for name, shape in shapes.items()}, "bias": bias}


def with_nan(weights, name, value=np.nan):
    weights[name][1, 2] = value
    return weights


MISTAKES: dict[str, Callable[[], object]] = {
    "E530_unknown_layout": lambda: convert({}, "keras", "kears"),
    "E530_pytorch": lambda: convert({}, "pytorch", "keras"),
    "E530_no_text": lambda: convert({}, None, "keras"),  # type: ignore[arg-type]
    "E530_unknown_cell": lambda: convert({}, "torch", "elman:grru"),
    "E530_a_cell_of_no_framework": lambda: convert({}, "torch", "elman:mgu"),
    "E530_unknown_kind": lambda: convert(torch_lstm(), "torch", "keras", cell="ltsm"),
    "E530_another_kind": lambda: convert(weights_of("gru"), "elman:gru", "keras", cell="lstm"),
    "E531_missing": lambda: convert(torch_lstm(weight_hh_l0=None), "torch", "keras"),
    "E531_one_bias": lambda: convert(torch_lstm(bias_hh_l0=None), "torch", "keras"),
    "E531_of_a_cell": lambda: convert(
        {k: a for k, a in weights_of("lstm").items() if k != "U_o"}, "elman", "torch"
    ),
    "E531_a_layer": lambda: convert(
        {n.replace("_l1", "_l2"): a for n, a in two_layers().items()}, "torch", "elman"
    ),
    "E531_a_direction": lambda: convert(
        two_layers(**{f"{n}_reverse": a for n, a in torch_lstm().items()}), "torch", "elman"
    ),
    "E531_biases_of_one_layer": lambda: convert(
        two_layers(bias_ih_l1=None, bias_hh_l1=None), "torch", "elman"
    ),
    "E531_nothing": lambda: convert({}, "torch", "keras"),
    "E532_extra": lambda: convert(
        torch_lstm(**{"fc.weight": np.ones((2, 2)), "fc.bias": np.ones(2)}), "torch", "keras"
    ),
    "E532_other_layout": lambda: convert(torch_lstm(), "keras", "onnx"),
    "E532_no_cell": lambda: convert({"A": np.ones(2), "q": np.ones(2)}, "elman", "onnx"),
    "E532_positions": lambda: convert({"arr_0": np.ones(2)}, "keras", "onnx"),
    "E533_rows": lambda: convert(torch_lstm(weight_hh_l0=np.ones((10, 4))), "torch", "keras"),
    "E533_of_the_cell_named": lambda: convert(
        torch_lstm(weight_hh_l0=np.ones((10, 4))), "torch", "keras", cell="lstm"
    ),
    "E533_turned": lambda: convert(
        torch_lstm(weight_ih_l0=np.ones((INPUT, 4 * HIDDEN))), "torch", "keras"
    ),
    "E533_bias": lambda: convert(torch_lstm(bias_ih_l0=np.ones(4)), "torch", "keras"),
    "E533_axes": lambda: convert(torch_lstm(weight_ih_l0=np.ones(12)), "torch", "keras"),
    "E533_bias_of_keras_reset_after": lambda: convert(keras_gru(2), "keras", "elman"),
    "E533_bias_of_keras": lambda: convert(keras_gru(1), "keras-reset-after", "elman"),
    "E533_directions": lambda: convert(
        {"W": np.ones((3, 4, 2)), "R": np.ones((3, 4, 4))}, "onnx", "elman"
    ),
    "E533_of_a_cell": lambda: convert(
        {**weights_of("gru"), "U_z": np.ones((HIDDEN, 2))}, "elman", "keras"
    ),
    "E533_bias_of_a_cell": lambda: convert(
        {**weights_of("rnn"), "b": np.ones(7)}, "elman", "keras"
    ),
    "E533_empty": lambda: convert(torch_lstm(weight_ih_l0=np.ones((16, 0))), "torch", "keras"),
    "E533_a_layer_that_does_not_follow": lambda: convert(
        two_layers(weight_ih_l1=np.ones((4 * HIDDEN, 7))), "torch", "elman"
    ),
    "E534_reset_after": lambda: convert(
        convert(weights_of("gru_reset_after"), "elman", "torch"), "torch", "keras"
    ),
    "E534_reset_before_to_torch": lambda: convert(weights_of("gru"), "elman", "torch"),
    "E534_reset_before_to_onnx": lambda: convert(keras_gru(), "keras", "onnx-reset-after"),
    "E534_reset_after_to_a_cell": lambda: convert(
        with_nan(weights_of("gru_reset_after"), "W_hn", 0.5), "elman", "elman:gru_take_new"
    ),
    "E534_projection": lambda: convert(weights_of("lstmp"), "elman", "keras"),
    "E534_peepholes": lambda: convert(weights_of("lstm_peephole"), "elman", "torch"),
    "E534_no_projection": lambda: convert(torch_lstm(), "torch", "elman:lstmp"),
    "E534_another_kind": lambda: convert(torch_lstm(), "torch", "elman:gru"),
    "E535_nan": lambda: convert(with_nan(torch_lstm(), "weight_hh_l0"), "torch", "keras"),
    "E535_infinity": lambda: convert(
        with_nan(torch_lstm(), "weight_ih_l0", -np.inf), "torch", "keras"
    ),
    "E535_a_sum_too_large": lambda: convert(
        {n: np.full_like(a, 6e4, "float16") for n, a in torch_lstm().items()}, "torch", "keras"
    ),
    "E536_layers": lambda: convert(two_layers(), "torch", "keras"),
    "E532_extra_beside_a_prefix": lambda: convert(
        {**{f"rnn.{n}": a for n, a in torch_lstm().items()}, "fc.bias": np.ones(2)},
        "torch",
        "keras",
    ),
    "E536_prefixes": lambda: convert(
        {f"lstm{n}/kernel": np.ones((2, 4)) for n in ("", "_1")}, "keras", "torch"
    ),
    "E536_names": lambda: convert({**torch_lstm(), "weight_ih": np.ones(2)}, "torch", "keras"),
    "E501_not_by_name": lambda: convert([np.ones(2)], "torch", "keras"),  # type: ignore[arg-type]
    "E504_words": lambda: convert(torch_lstm(bias_ih_l0=["a"]), "torch", "keras"),
    "E505_long": lambda: convert(
        torch_lstm(bias_ih_l0=np.ones(16, np.longdouble)), "torch", "keras"
    ),
}


def message(name):
    with pytest.raises(ElmanError) as caught:
        MISTAKES[name]()
    return str(caught.value) + "\n"


@pytest.mark.parametrize("name", MISTAKES)
def test_the_message_is_the_golden_one(name):
    got = message(name)
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("ELMAN_WRITE_GOLDEN") == "1":  # then read the diff, every line of it
        path.write_text(got, "utf-8")
    expected = path.read_text("utf-8")
    shown = difflib.unified_diff(expected.splitlines(), got.splitlines(), "golden", "now", n=99)
    assert got == expected, "\n" + "\n".join(shown)
    headline, *rest = got.splitlines()
    assert re.fullmatch(rf"\w+Problem \[{name[:4]}\]: .*[^.]", headline)
    assert rest, "a headline alone helps nobody"
    assert re.search(r"[.?)]$", rest[-1])


NAMES = [
    *(
        f"{role}_{part}{end}"
        for role in ("weight", "bias")
        for part in ("ih", "hh")
        for end in ("_l0", "_l1", "_l0_reverse", "")
    ),
    *(
        f"{side}{role}"
        for side in ("", "forward_", "backward_", "a/")
        for role in ("kernel", "recurrent_kernel", "bias:0")
    ),
    *("W", "U", "b", "R", "B", "P", "W_f", "U_n", "weight_hr_l0", "x.W", "x.R", "", "_l0", "/"),
]


@pytest.mark.parametrize("source", [*LAYOUTS, *CELLS])
def test_whatever_is_given_is_converted_or_named(source):
    """No array of any name and shape is a crash."""
    generator = np.random.default_rng(1)
    known = list(weights_in(source))
    for _ in range(300):
        names = generator.choice(known, generator.integers(1, 6)).tolist()
        names += generator.choice(NAMES, generator.integers(0, 3)).tolist()
        arrays = dict(weights_in(source)) if generator.random() < 0.6 else {}
        for name in names:
            shape = generator.choice([1, 2, 3, 4, 8], generator.integers(0, 4))
            arrays[name] = np.ones(shape)
        try:
            network = read(arrays, source)
        except ElmanError as error:
            assert str(error)
            continue
        for target in (*LAYOUTS, *CELLS):
            try:
                write(network, target)
            except ElmanError as error:
                assert error.code in ("E534", "E536")


def weights_in(layout):
    """Some weights of a layout."""
    if layout.startswith("elman:"):
        return weights_of(layout.removeprefix("elman:"))
    start = "gru_reset_after" if layout.endswith("after") else "lstm"
    return convert(weights_of(start), f"elman:{start}", layout)


def test_every_golden_text_has_a_mistake():
    from_files = {path.stem for path in GOLDEN.glob("*.txt")}
    of_files = {name for name in from_files if name.startswith(("E537", "E538"))}
    assert from_files - of_files == set(MISTAKES)


@pytest.mark.torch
def test_the_page_runs(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "weights.md").read_text("utf-8")
    for blocks in sections(page).values():
        run_section(blocks, tmp_path)
    assert all(f"`{layout}`" in page for layout in LAYOUTS)
    assert all(name in page for name in FORMS)
