"""`elman check`: verdicts on standard output, exit code 1 where a claim is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from elman.cli import app, main

DATA = Path(__file__).parents[1] / "sheets" / "data"


def run(*arguments: object):
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


def test_a_wrong_claim_makes_the_exit_code_one():
    found = run(DATA / "e1_rnn.sheet.yaml")
    assert found.exit_code == 1
    assert found.stdout == (DATA / "e1_rnn.txt").read_text("utf-8")


def test_rounding_on_the_way_and_cutting_off_do_not():
    assert run(DATA / "e3_lstm.sheet.yaml").exit_code == 0


def test_several_sheets_are_printed_one_after_the_other():
    found = run(DATA / "e3_lstm.sheet.yaml", DATA / "e1_rnn.sheet.yaml")
    assert found.exit_code == 1
    parts = [(DATA / f"{name}.txt").read_text("utf-8") for name in ("e3_lstm", "e1_rnn")]
    assert found.stdout == "\n".join(parts)


def test_json_holds_every_field():
    found = json.loads(run(DATA / "e8_arithmetic.sheet.yaml", "--json").stdout)
    assert found["right"] is False
    assert found["summary"] == {"cut off": 2, "wrong": 2}
    first = found["claims"][0]
    assert (first["claim"], first["verdict"]) == ("2.1 - .001", "wrong")
    assert first["causes"][0]["line"] == "2.1 - 0.001 = 2.1 - 0.0001"
    assert first["entries"][0]["exact"] == pytest.approx(2.099, abs=1e-15)


def test_json_of_several_sheets_is_a_list():
    files = (DATA / "e1_rnn.sheet.yaml", DATA / "e3_lstm.sheet.yaml")
    found = json.loads(run(*files, "--json").stdout)
    assert [each["file"] for each in found] == [str(file) for file in files]


def test_correct_values_with_more_digits():
    assert "correct: 0.95176945" in run(DATA / "e1_rnn.sheet.yaml", "--digits", 8).stdout


def test_an_error_in_a_sheet_goes_to_standard_error(tmp_path, monkeypatch, capsys):
    path = tmp_path / "my.sheet.yaml"
    path.write_text("claim: {1 + 1: 2}\n", "utf-8")
    monkeypatch.setattr("sys.argv", ["elman", "check", str(path)])
    with pytest.raises(SystemExit) as caught:
        main()
    message = str(caught.value.code)
    assert "[E621]" in message
    assert "there is no key 'claim'" in message
    assert "Did you mean 'claims'?" in message
    assert capsys.readouterr().out == ""


def test_a_sheet_that_cannot_be_read_hides_no_other(tmp_path):
    missing = tmp_path / "no.sheet.yaml"
    found = run(missing, DATA / "e1_rnn.sheet.yaml")
    assert found.exit_code == 1
    assert found.stdout == (DATA / "e1_rnn.txt").read_text("utf-8")
    assert str(missing) in str(found.exception)
    both = run(missing, DATA / "e1_rnn.sheet.yaml", "--json")
    assert [each["right"] for each in json.loads(both.stdout)] == [False]
