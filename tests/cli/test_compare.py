"""`elman compare` with numbers: the conventions side by side."""

from __future__ import annotations

import json
import subprocess
import sys

FOUR = ["gru_reset_after", "gru", "gru_reset_after_take_new", "gru_take_new"]
WEIGHTS = "W_z: .5\nU_z: .1\nW_r: .6\nU_r: .2\nW_n: .7\nU_n: .3\nb_hn: .2\n"
TABLE = """\
        gru_reset_after  gru       gru_reset_after_take_new  gru_take_new
step 1
  r[1]  0.6682           0.6682    0.6682                    0.6682
  z[1]  0.6341           0.6341    0.6341                    0.6341
  n[1]  0.7324           0.7617 *  0.7324                    0.7617 *
  h[1]  0.5850           0.5957    0.6474 *                  0.6659
"""


def elman(*words):
    command = [sys.executable, "-m", "elman.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def weights(tmp_path, text=WEIGHTS):
    path = tmp_path / "w.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_four_conventions_side_by_side(tmp_path):
    run = elman("compare", *FOUR, "--weights", weights(tmp_path), "--x", "1", "--state", "h=.5")
    assert run.returncode == 1  # they differ
    table, _, below = run.stdout.partition("\n\n")
    assert table + "\n" == TABLE
    assert "* first difference from gru_reset_after, in n[1]:" in below
    assert "gru: b_n is b_hn" in below


def test_json_holds_every_value(tmp_path):
    given = ["--weights", weights(tmp_path), "--x", "1", "--state", "h=.5", "--json"]
    found = json.loads(elman("compare", *FOUR, *given).stdout)
    last = next(row["values"] for row in found["rows"] if row["name"] == "h[1]")
    assert [round(value[0], 4) for value in last] == [0.5850, 0.5957, 0.6474, 0.6659]


def test_cells_that_do_not_differ_exit_with_0(tmp_path):
    run = elman("compare", "gru", "gru", "--weights", weights(tmp_path), "--x", "1;2")
    assert run.returncode == 0
    assert "no value differs" in run.stdout


def test_more_than_two_cells_without_numbers():
    run = elman("compare", "lstm", "lstm_gamma", "gru")
    assert run.returncode == 1
    assert "lstm and lstm_gamma are the same function" in run.stdout
    assert "lstm and gru are not the same function" in run.stdout


def test_wrong_weights_are_said_with_their_file(tmp_path):
    path = weights(tmp_path, WEIGHTS + "W_q: 1\n")
    run = elman("compare", "gru", "gru_take_new", "--weights", path, "--x", "1")
    assert run.returncode == 1
    assert f"{path}: none of the cells has a weight 'W_q'" in run.stderr
    nan = weights(tmp_path, WEIGHTS.replace(".7", ".nan"))
    run = elman("compare", "gru", "gru_take_new", "--weights", nan, "--x", "1")
    assert "E508" in run.stderr
    assert "W_n" in run.stderr


def test_remarks_are_wrapped_and_none_is_broken(tmp_path):
    text = "".join(f"W_i{g}: .1\nW_h{g}: .1\nb_i{g}: .1\nb_h{g}: .1\n" for g in "rzn")
    found = elman(
        "compare", "gru", "gru_reset_after", "--weights", weights(tmp_path, text), "--x=1"
    )
    said = found.stdout.partition("weights that are called otherwise")[2].splitlines()[1:]
    assert len(said) > 1 and max(map(len, said)) <= 100
    assert said[0].startswith("  gru: ") and said[1].startswith("    ")
    assert not any(line.lstrip().startswith("+") for line in said)


def test_one_cell_is_not_enough():
    run = elman("compare", "gru")
    assert run.returncode == 2
    assert "two cells or more" in run.stderr
