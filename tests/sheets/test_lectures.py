"""What lecture notes print, with their slips: the verdict on every number."""

from __future__ import annotations

import pytest

from elman import sheets
from tests.sheets.conftest import DATA

VERDICTS = {
    "e1_rnn": {"h[1]": "rounded", "h[2]": "wrong"},
    "e1_exercise": {"h[1]": "right", "h[2]": "rounded", "h[3]": "rounded"},
    "e2_read_out": {"h[1]": "rounded", "y[1]": "rounded"},
    "e3_lstm": {
        "f[1]": "rounded",
        "i[1]": "cut off",
        "o[1]": "rounded",
        "c_hat[1]": "rounded",
        "c[1]": "rounded",
        "h[1]": "rounded on the way",
    },
    "e4_gru": {"r[1]": "rounded", "z[1]": "rounded", "n[1]": "wrong", "h[1]": "follows"},
    "e5_next_word": {
        "h[1]": "rounded",
        "W_y @ h[1]": "wrong",
        "y[1]": "follows",
        "word of y[1]": "wrong",
    },
    "e6_scalar_lstm": {
        "h[1]": "rounded",
        "h[2]": "rounded",
        "h[3]": "rounded",
        "4 * h[3]": "rounded",
        "d_x[1]": "rounded",
        "d_x[2]": "rounded",
        "d_x[3]": "rounded",
    },
    "e8_arithmetic": {
        "2.1 - .001": "wrong",
        "exp(.01737)": "wrong",
        "exp(.13783)": "cut off",
        "1 / (1 + exp(-.37))": "cut off",
    },
}


@pytest.mark.parametrize("name", VERDICTS)
def test_every_claim_has_the_verdict_that_the_recomputation_gives(name):
    report = sheets.load(DATA / f"{name}.sheet.yaml").check()
    assert {claim.key: claim.verdict for claim in report.claims} == VERDICTS[name]
    assert bool(report) == ("wrong" not in VERDICTS[name].values())


@pytest.mark.parametrize("name", VERDICTS)
def test_the_report_is_the_golden_one(name):
    report = sheets.load(DATA / f"{name}.sheet.yaml").check()
    assert report.to_text() + "\n" == (DATA / f"{name}.txt").read_text("utf-8")


def test_every_sheet_is_tried():
    assert {path.name.split(".")[0] for path in DATA.glob("*.yaml")} == set(VERDICTS)


def test_the_five_wrong_sums_and_the_wrong_word():
    report = sheets.load(DATA / "e5_next_word.sheet.yaml").check()
    sums = report["W_y @ h[1]"]
    assert [entry.verdict for entry in sums.entries] == ["wrong"] * 5
    assert sums.correct == "(-0.04403, -0.22611, 0.19575, 0.04943, -0.05466)"
    # the first is its first term alone; nothing is said of the others
    assert sums.of_entries[0][0].kind == "term dropped"
    assert [bool(causes) for causes in sums.of_entries.values()] == [True] + [False] * 4
    word = report["word of y[1]"]
    assert (word.claimed, word.correct) == ("love", "deep")
    assert '"deep"; "love" is number 2' in word.causes[0].text


def test_the_softmax_follows_from_the_wrong_sums_and_one_of_them_is_cut_off():
    follows = sheets.load(DATA / "e5_next_word.sheet.yaml").check()["y[1]"]
    assert [entry.verdict for entry in follows.entries] == ["follows"] * 5
    assert ["cut off" in entry.how for entry in follows.entries] == [False] * 3 + [True, False]


def test_nothing_is_asserted_where_no_slip_fits():
    assert sheets.load(DATA / "e1_rnn.sheet.yaml").check()["h[2]"].causes == ()
    assert sheets.load(DATA / "e4_gru.sheet.yaml").check()["n[1]"].causes == ()


def test_the_digits_kept_on_the_way_are_named():
    found = sheets.load(DATA / "e3_lstm.sheet.yaml").check()["h[1]"]
    assert found.entries[0].digits == 3
    assert found.how == "by rounding to 3 decimals"


def test_the_slips_of_arithmetic_are_named():
    report = sheets.load(DATA / "e8_arithmetic.sheet.yaml").check()
    assert report["2.1 - .001"].causes[0].kind == "decimal point"
    assert report["2.1 - .001"].causes[0].line == "2.1 - 0.001 = 2.1 - 0.0001"
    assert report["exp(.01737)"].causes[0].kind == "rounded up"


def test_the_76_thousandths_alone_were_rounded_on_the_way_too(tmp_path):
    text = (DATA / "e3_lstm.sheet.yaml").read_text("utf-8")
    path = tmp_path / "alone.sheet.yaml"
    path.write_text(text.split("claims:")[0] + "claims:\n  h[1]: .076\n", "utf-8")
    assert sheets.load(path).check()["h[1]"].verdict == "rounded on the way"
