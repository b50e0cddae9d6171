"""Arrays and sizes that do not fit: each file in `given/` is the message of one mistake."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elman import Cell
from elman.cell.same import same
from elman.errors import ElmanError
from elman.library import cells
from tests.errors.golden import assert_golden

FOLDER = Path(__file__).parent / "given"
ELMAN = "h[t] = tanh(W @ x[t] + U @ h[t-1] + b)"
READ_OUT = ELMAN + "\ny[t] = V @ h[t] + c"
x = np.zeros((4, 2))


def ones(text: str, **sizes: int) -> dict[str, Any]:
    made = Cell(text)
    return {name: np.ones(made.shapes(**sizes)[name]) for name in made.parameters}


def elman(
    *, text: str = ELMAN, inputs: Any = None, weights: Any = None, name: str = "elman", **more: Any
) -> None:
    made = Cell(text, name)
    given = ones(text, input=2, hidden=3) if weights is None else weights
    made.run({"x": x} if inputs is None else inputs, given, **more)


SIDED = f"{ELMAN}\ny[t] = h[t] * m[t] + v\nv: per sequence\nm: scalar, per step"


def stream(text: str = ELMAN, **more: Any) -> Any:
    once = {"v": np.ones(3)} if text is SIDED else {}
    given = {
        "inputs": once,
        "weights": ones(text, hidden=3, **{"x" if once else "input": 2}),
    } | more
    return Cell(text, "elman").stream(backend="numpy", **given)


def frozen_while_computed() -> None:
    torch, nn = pytest.importorskip("torch"), pytest.importorskip("elman.nn")
    layer = nn.LSTM(2, 3)
    torch.nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")
    layer.freeze()


def changed(text: str = ELMAN, **arrays: Any) -> dict[str, Any]:
    found = ones(text, **({"y": 5} if "V" in text else {}), input=2, hidden=3)
    found |= arrays
    return {name: array for name, array in found.items() if array is not None}


gru = {"text": cells.text("gru"), "name": "gru"}
MISTAKES: dict[str, Callable[[], object]] = {
    "E203_of_the_design": lambda: elman(
        **gru,
        weights={**ones(gru["text"], input=2, hidden=32), "U_n": np.ones((64, 64))},
        sizes={"hidden": 32},
    ),
    "E203_two_weights": lambda: elman(weights=changed(W=np.ones((4, 2)))),
    "E203_bias": lambda: elman(weights=changed(b=np.ones(4))),
    "E203_input": lambda: elman(inputs={"x": np.zeros((4, 5))}),
    "E203_state": lambda: elman(state={"h": np.zeros(4)}),
    "E203_not_square": lambda: elman(weights=changed(U=np.ones((3, 4)))),
    "E203_size": lambda: elman(sizes={"hidden": 7}),
    "E203_concatenated": lambda: elman(
        text=cells.text("lstm_concatenated"),
        name="lstm",
        weights=changed(cells.text("lstm_concatenated"), W_i=np.ones((3, 6))),
    ),
    "E203_constant": lambda: elman(
        text="P = [[0, 1], [1, 0]]\nh[t] = P @ h[t-1] + W @ x[t]", weights={"W": np.ones((3, 2))}
    ),
    "E206_nothing_sets": lambda: Cell(ELMAN).shapes(input=2),
    "E206_read_out": lambda: Cell(READ_OUT).shapes(input=2, hidden=3),
    "E207_unknown_size": lambda: Cell(ELMAN).shapes(input=2, hiden=3),
    "E207_unknown_size_of_a_run": lambda: elman(sizes={"cell": 3}),
    "E208_zero": lambda: Cell(ELMAN).shapes(input=2, hidden=0),
    "E208_a_word": lambda: Cell(ELMAN).shapes(input=2, hidden="three"),  # type: ignore[arg-type]
    "E210_three_axes_too_many": lambda: elman(inputs={"x": np.zeros((4, 2, 2, 2))}),
    "E210_a_number": lambda: elman(inputs={"x": 1.0}),
    "E211_steps": lambda: elman(
        text="h[t] = tanh(W @ x[t] + V @ u[t])",
        inputs={"x": x, "u": np.zeros((5, 3))},
        weights={"W": np.ones((3, 2)), "V": np.ones((3, 3))},
    ),
    "E211_state": lambda: elman(inputs={"x": np.zeros((4, 5, 2))}, state={"h": np.zeros((2, 3))}),
    "E203_start": lambda: elman(
        text=f"h[0] = h0\n{ELMAN}", weights={**changed(), "h0": np.ones(4)}
    ),
    "E211_steps_asked_for": lambda: elman(steps=5),
    "E212_nothing_counts": lambda: Cell("h[t] = U @ h[t-1]").run({}, {"U": np.ones((3, 3))}),
    "E212_steps_not_whole": lambda: elman(steps=2.5),
    "E507_seed": lambda: elman(seed=-1),
    "E428_too_long": lambda: elman(inputs={"x": np.zeros((4, 3, 2))}, lengths=[4, 2, 5]),
    "E428_below_zero": lambda: elman(inputs={"x": np.zeros((4, 3, 2))}, lengths=[4, -1, 3]),
    "E428_not_whole": lambda: elman(inputs={"x": np.zeros((4, 3, 2))}, lengths=[4, 1.5, 3]),
    "E428_too_few": lambda: elman(inputs={"x": np.zeros((4, 3, 2))}, lengths=[4, 2]),
    "E428_without_a_batch": lambda: elman(lengths=[4]),
    "E428_a_mask": lambda: elman(inputs={"x": np.zeros((4, 3, 2))}, lengths=[True] * 3),
    "E428_words": lambda: elman(lengths="four"),
    "E429_axes_exchanged": lambda: elman(inputs={"x": np.zeros((4, 3, 2))}, reset=np.zeros((3, 4))),
    "E429_one_for_each_sequence": lambda: elman(inputs={"x": np.zeros((4, 3, 2))}, reset=[1, 0, 1]),
    "E429_a_chance": lambda: elman(reset=[0, 0.5, 0, 1]),
    "E429_words": lambda: elman(reset=["no"] * 4),
    "E212_no_steps": lambda: elman(inputs={"x": np.zeros((0, 2))}),
    "E405_missing_input": lambda: elman(inputs={}),
    "E405_unknown_input": lambda: elman(inputs={"x": x, "m": x}),
    "E405_not_by_name": lambda: elman(inputs=x),
    "E406_unknown_state": lambda: elman(state={"s": np.zeros(3)}),
    "E406_state_of_a_gate": lambda: elman(
        **gru, weights=changed(gru["text"]), state={"hh": np.zeros(3)}
    ),
    "E406_final_cotangent_of_no_state": lambda: Cell(ELMAN, "elman").gradients(
        {"x": x}, changed(), cotangents={}, final={"c": np.zeros(3)}
    ),
    "E407_unknown_cotangent": lambda: Cell(ELMAN, "elman").gradients(
        {"x": x}, changed(), cotangents={"y": x}
    ),
    "E407_cotangents_not_by_name": lambda: Cell(ELMAN, "elman").gradients(
        {"x": x}, changed(), cotangents=[1.0]
    ),
    "E411_unknown_pass": lambda: Cell(ELMAN, "elman").stage("shape"),
    "E603_cannot_be_written": lambda: Cell(ELMAN, "elman").save("no folder/elman.cell"),
    "E602_a_folder": lambda: Cell.load("/"),
    "E407_unknown_value": lambda: Cell(ELMAN, "elman").run({"x": x}, changed())["c"],
    "E501_missing_weight": lambda: elman(weights=changed(b=None)),
    "E501_several_missing": lambda: elman(weights={}),
    "E501_not_by_name": lambda: elman(weights=[1, 2, 3]),
    "E502_extra_weight": lambda: elman(weights=changed(b_h=np.ones(3))),
    "E503_too_few_axes": lambda: elman(weights=changed(U=np.ones(3))),
    "E503_too_many_axes": lambda: elman(weights=changed(b=np.ones((3, 2)))),
    "E503_cotangent": lambda: Cell(ELMAN, "elman").gradients(
        {"x": x}, changed(), cotangents={"h": np.zeros((4, 7))}
    ),
    "E503_state": lambda: elman(state={"h": np.zeros((2, 3, 4))}),
    "E504_words": lambda: elman(weights=changed(b=["a", "b", "c"])),
    "E504_ragged": lambda: elman(weights=changed(W=[[1, 2], [3]])),
    "E504_nothing": lambda: elman(weights={**changed(), "W": None}),
    "E504_complex": lambda: elman(inputs={"x": x + 1j}),
    "E505_dtype": lambda: elman(dtype="float16"),
    "E503_matrix_of_an_elementwise_product": lambda: elman(
        text="h[t] = tanh(W * x[t] + U * h[t-1])",
        weights={"W": np.ones((3, 2)), "U": np.ones((3, 3))},
    ),
    "E203_turned_weight": lambda: elman(weights=changed(W=np.ones((2, 3)))),
    "E503_state_of_a_layer": lambda: elman(state={"h": np.zeros((1, 1, 3))}),
    "E406_state_not_by_name": lambda: elman(state=np.zeros(3)),
    "E207_sizes_not_by_name": lambda: elman(sizes=[3]),
    "E502_other_case": lambda: elman(weights=changed(W=None, w=np.ones((3, 2)))),
    "E408_no_text": lambda: Cell(None),  # type: ignore[arg-type]
    "E408_lines": lambda: Cell([ELMAN]),  # type: ignore[arg-type]
    "E408_path": lambda: Cell(Path("my.cell")),  # type: ignore[arg-type]
    "E408_file_name": lambda: Cell("my.cell"),
    "E408_library_name": lambda: Cell("gru"),
    "E408_name": lambda: Cell(ELMAN, 3),  # type: ignore[arg-type]
    "E408_page": lambda: Cell.from_latex(3),  # type: ignore[arg-type]
    "E427_no_constant": lambda: Cell("k = 2\nh[t] = k * x[t]", constants={"K": 3}),
    "E502_constants_not_by_name": lambda: Cell(ELMAN, constants=[3]),  # type: ignore[arg-type]
    "E504_constant": lambda: Cell("k = 2\nh[t] = k * x[t]", constants={"k": "three"}),  # type: ignore[dict-item]
    "E408_same": lambda: same("gru", None),  # type: ignore[arg-type]
    "E208_digits": lambda: Cell(ELMAN).trace({"x": x}, changed()).to_text(digits=-1),
    "E540_batch": lambda: stream(batch=0),
    "E540_threads": lambda: stream(threads=1.5),
    "E541_no_input": lambda: stream().step(),
    "E541_second_input": lambda: stream(SIDED).step([1, 2]),
    "E541_of_the_sequence": lambda: stream(SIDED, inputs={}),
    "E542_unknown_input": lambda: stream().step([1, 2], X=[1, 2]),
    "E542_of_the_sequence": lambda: stream(SIDED).step([1, 2], m=1, v=np.ones(3)),
    "E542_of_a_step": lambda: stream(inputs={"x": x}),
    "E542_anew": lambda: stream(SIDED).reset(m=1),
    "E542_twice": lambda: stream().step([1, 2], x=[1, 2]),
    "E542_no_input_at_all": lambda: Cell("h[t] = U @ h[t-1]").stream({"U": np.eye(2)}).step(1),
    "E543_size": lambda: stream(batch=4).step([1, 2]),
    "E543_a_number": lambda: stream(SIDED).step([1, 2], m=[1, 2]),
    "E543_several_steps": lambda: stream().step(x),
    "E543_of_the_sequence": lambda: stream(SIDED, inputs={"v": np.ones((4, 3))}),
    "E543_state": lambda: stream(batch=4, state={"h": np.zeros((2, 3))}),
    "E543_state_of_several": lambda: Cell("h[t] = U @ h[t-1]", "elman").stream(
        {"U": np.eye(2)}, state={"h": np.eye(2)}
    ),
    "E544_computed_weight": frozen_while_computed,
    "E504_in_a_step": lambda: stream().step(["a", "b"]),
    "E406_anew": lambda: stream().reset({"c": np.zeros(3)}),
    "E206_of_a_stream": lambda: Cell("h[t] = a * h[t-1] + x[t]\na: scalar", "elman").stream(
        {"a": 1}
    ),
    "E203_of_a_stream": lambda: stream(weights=changed(b=np.ones(4))),
    "E501_of_a_stream": lambda: stream(weights={}),
    "E803_unknown_backend": lambda: elman(backend="cuda"),
    "E803_misspelt_backend": lambda: elman(backend="nunpy"),
}


def message(mistake: Callable[[], object]) -> str:
    with pytest.raises(ElmanError) as caught:
        mistake()
    return str(caught.value) + "\n"


@pytest.mark.parametrize("name", MISTAKES)
def test_the_message_is_the_golden_one(name):
    got = message(MISTAKES[name])
    assert_golden(FOLDER / f"{name}.txt", got)
    assert f"[{name[:4]}]" in got.splitlines()[0]


def test_every_golden_text_has_a_mistake():
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(MISTAKES)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_message_says_a_way_out(name):
    headline, *rest = (FOLDER / f"{name}.txt").read_text("utf-8").splitlines()
    assert re.fullmatch(r"(\w+Problem|UnknownCell) \[E\d{3}\]: .*[^.]", headline)
    assert rest, "a headline alone helps nobody"
    assert re.search(r"[.?]$", rest[-1])
