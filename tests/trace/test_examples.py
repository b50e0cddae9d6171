"""The worked examples of the lectures, line by line; and the look of every kind of line."""

from __future__ import annotations

import numpy as np
import pytest

from tests.trace.examples import EXAMPLES, GOLDEN

# example: value: its rows, one a step, as the recomputation of the lectures prints them
PRINTED = {
    "1_rnn": {"h": ["0.800499", "0.951769"]},
    "1_rnn_exercise": {"h": ["0", "0.197375", "0.715658"]},
    "2_read_out": {"h": ["0.462117 0.099668"], "y": ["0.362449"]},
    "3_lstm": {
        "f": ["0.549834"], "i": ["0.591459"], "o": ["0.631812"],
        "c_hat": ["0.206966"], "c": ["0.122412"], "h": ["0.076958"],
    },
    "3_lstm_exercise": {
        "f": ["0.574443", "0.490005"], "i": ["0.645656", "0.468048"], "o": ["0.645656", "0.512000"],
        "c_hat": ["0.291313", "-0.258025"], "c": ["0.188088", "-0.028604"],
        "h": ["0.120028", "-0.014641"],
    },
    "4_gru": {"r": ["0.549834"], "z": ["0.591459"], "n": ["0.492988"], "h": ["0.201406"]},
    "4_gru_take_new": {"n": ["0.492988"], "h": ["0.291582"]},
    "4_gru_exercise": {
        "n": ["0.537050", "0.037949"], "h": ["0.190300", "0.110858"],
        "r": ["0.574443", "0.498788"], "z": ["0.645656", "0.478558"],
    },
    "4_gru_take_new_exercise": {
        "r": ["0.574443", "0.518335"], "z": ["0.645656", "0.502012"],
        "n": ["0.537050", "0.071769"], "h": ["0.346749", "0.208706"],
    },
    "5_next_word": {
        "y": [
            "0.185355 0.170749 0.235582 0.224917 0.183397",
            "0.194061 0.212935 0.180284 0.218831 0.193889",
            None,
        ],
    },
}  # fmt: skip
ROWS = [
    pytest.param(name, value, step, row, id=f"{name}-{value}[{step}]")
    for name, values in PRINTED.items()
    for value, rows in values.items()
    for step, row in enumerate(rows, 1)
    if row is not None
]


@pytest.mark.parametrize(("name", "value", "step", "row"), ROWS)
def test_every_digit_of_the_lectures_is_there_and_shown(name, value, step, row):
    trace = EXAMPLES[name].trace()
    digits = row.split()
    assert np.allclose(trace.values[value][step - 1], [float(d) for d in digits], atol=5e-7, rtol=0)
    shown = ", ".join(digits)
    block = trace.to_text(digits=6).split(f"step {step}\n")[1].split("\n\n")[0]
    start = block.index(f"  {value}[{step}] = ")
    shown = f"({shown})" if len(digits) > 1 else shown
    chain = block[start:].split(" = ")
    assert shown in [look.split("\n")[0] for look in chain]


def test_the_words_that_follow_are_those_of_the_recomputation():
    words = ["I", "love", "deep", "learning", "_"]
    y = EXAMPLES["5_next_word"].trace().values["y"]
    assert [words[k] for k in y.argmax(axis=1)] == ["deep", "learning", "love"]
    text = (GOLDEN / "5_next_word.txt").read_text("utf-8")
    assert "= (-0.044033, -0.226114, 0.195754, 0.049426, -0.054655)" in text
    assert "= (0.291313, 0.537050, -0.197375)" in text


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_text_is_the_golden_one(name):
    example = EXAMPLES[name]
    golden = (GOLDEN / f"{name}.txt").read_text("utf-8")
    assert example.trace().to_text(digits=example.digits) + "\n" == golden


def test_every_golden_text_has_its_example():
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(EXAMPLES)
