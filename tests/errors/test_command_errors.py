"""What `elman trace` says of a mistake: each file in `command/` is the message of one command."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from elman.cli import main
from tests.errors.golden import assert_golden

FOLDER = Path(__file__).parent / "command"
FILES = {
    "rnn.cell": "h[t] = tanh(W @ x[t] + U @ h[t-1] + b)\n",
    "count.cell": "h: scalar\nh[0] = 1\nh[t] = h[t-1] + h[t-2]\n",
    "half.cell": "h[t] = 0.5 * h[t-1] + 1\n",
    "word.cell": "h[t] = tanh(W @ x[t] + U @ h[t-1])\ny[t] = softmax(V @ h[t])\n",
    "w.yaml": "W: [[.4, .3]]\nU: .5\nb: .1\n",
    "missing.yaml": "W: [[.4, .3]]\nb: .1\n",
    "typo.yaml": "W: [[.4, .3]]\nU: .5\nB: .1\n",
    "shape.yaml": "W: [[.4, .3]]\nU: [[.5, .1]]\nb: .1\n",
    "axes.yaml": "W: [[.4, .3]]\nU: .5\nb: [[.1, .2], [.3, .4]]\n",
    "ragged.yaml": "W: [[.4, .3], [.5]]\nU: .5\nb: .1\n",
    "torch.yaml": "weight_ih_l0: [[.4, .3]]\nweight_hh_l0: .5\nbias_ih_l0: .1\nbias_hh_l0: 0\n",
    "double.yaml": "W: [[.4, .3]]\nU: .5\nb: .1\nU: .6\n",
    "nan.yaml": "W: [[.4, .nan]]\nU: .5\nb: .1\n",
    "inf.yaml": "W: [[.4, .3]]\nU: -.inf\nb: .1\n",
    "words.yaml": "W: [[1, 0, 0], [0, 1, 0]]\nU: [[.5, 0], [0, .5]]\nV: [[1, 0], [0, 1], [1, 1]]\n",
    "extra.yaml": "W: 1\nU: 1\nV: 1\nc: 1\n",
    "words.txt": "I\nlove\ndeep\n",
    "two.txt": "good\nbad\n",
    "twice.txt": "I\nlove\nI\n",
    "gap.txt": "I\n\nlove\n",
    "empty.txt": "\n",
}
RNN = "rnn.cell --weights w.yaml --x '1,2;1.5,2.5'"
WORD = "word.cell --weights words.yaml --names words.txt"
MISTAKES = {
    "E206_size_not_said": "half.cell --steps 2",
    "E405_no_input": "rnn.cell --weights w.yaml",
    "E405_other_input": "rnn.cell --weights w.yaml --input u=1,2",
    "E406_state": f"{RNN} --state s=1",
    "E407_only": f"{RNN} --only z,h",
    "E407_only_near": f"{RNN} --only H",
    "E441_backwards": f"{RNN} --steps 2-1",
    "E441_no_such_step": f"{RNN} --steps 3",
    "E441_beyond": f"{RNN} --steps 1-5",
    "E441_zero": f"{RNN} --steps 0-1",
    "E441_of_a_counter": "count.cell --steps 4-2",
    "E212_no_end": "count.cell --steps 2-",
    "E212_no_steps_said": "count.cell",
    "E442_two_for_three": "word.cell --weights words.yaml --x '1,0,0' --names two.txt",
    "E442_of_one_stream": "word.cell --weights words.yaml --x '1,0,0' --names x=two.txt",
    "E443_twice": "word.cell --weights words.yaml --x I --names twice.txt",
    "E443_empty_line": "word.cell --weights words.yaml --x I --names gap.txt",
    "E606_no_names": "word.cell --weights words.yaml --x I --names empty.txt",
    "E601_no_names": "word.cell --weights words.yaml --x I --names vocab.txt",
    "E444_unknown_word": f"{WORD} --x 'I;lovely'",
    "E444_unknown_target": f"{WORD} --x 'I;love' --loss cross_entropy --target 'y=deep;dep'",
    "E461_rate_alone": f"{RNN} --lr 0.1",
    "E461_both": f"{RNN} --target 'h=0;1' --cotangents 'h=0;1'",
    "E462_rate": f"{RNN} --target 'h=0;1' --lr -1",
    "E464_too_many": f"{RNN} --target 'h=0;1;2'",
    "E464_last_alone": f"{WORD} --x 'I;love' --loss cross_entropy --target y=deep",
    "E464_vector_alone": f"{WORD} --x 'I;love' --target y=0,1,0.5",
    "E464_size": f"{RNN} --target 'h=0;1,2'",
    "E466_class": f"{WORD} --x 'I;love' --loss cross_entropy --target 'y=1;3'",
    "E467_one_entry": f"{RNN} --target 'h=0;1' --loss cross_entropy",
    "E503_cotangents": f"{RNN} --cotangents h=1",
    "E602_page": f"{RNN} -o folder.txt",
    "E606_name_twice_in_a_file": "rnn.cell --weights double.yaml --x 1,2",
    "E446_ending": f"{RNN} -o page.htm",
    "E446_no_ending": f"{RNN} -o page",
    "E501_no_weights": "rnn.cell --x 1,2",
    "E501_in_a_file": "rnn.cell --weights missing.yaml --x 1,2",
    "E502_in_a_file": "rnn.cell --weights typo.yaml --x 1,2",
    "E203_in_a_file": "rnn.cell --weights shape.yaml --x 1,2",
    "E203_of_an_input": "rnn.cell --weights w.yaml --x 1,2,3",
    "E502_extra_in_a_file": "word.cell --weights extra.yaml --x 1,0,0",
    "E502_torch_in_a_file": "rnn.cell --weights torch.yaml --x 1,2",
    "E503_in_a_file": "rnn.cell --weights axes.yaml --x 1,2",
    "E504_in_a_file": "rnn.cell --weights ragged.yaml --x 1,2",
    "E508_matrix": "rnn.cell --weights nan.yaml --x 1,2",
    "E508_number": "rnn.cell --weights inf.yaml --x 1,2",
    "E508_input": "rnn.cell --weights w.yaml --x '1,2;1,nan'",
    "E508_state": f"{RNN} --state h=inf",
    "E507_seed": f"{RNN} --seed -1",
    "E603_no_folder": f"{RNN} -o 'no folder/page.html'",
    "E410_no_cell": "gruu --x 1",
    "E601_no_sheet": "our.sheet.yaml",
}


def message(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).write_text(text, "utf-8")
    Path("folder.txt").mkdir()
    monkeypatch.setattr(sys, "argv", ["elman", "trace", *shlex.split(command)])
    with pytest.raises(SystemExit) as caught:
        main()
    return f"{caught.value.code}\n"


@pytest.mark.parametrize("name", MISTAKES)
def test_the_message_is_the_golden_one(name, tmp_path, monkeypatch, capsys):
    got = message(MISTAKES[name], tmp_path, monkeypatch)
    assert capsys.readouterr().out == "", "nothing is printed before the mistake is found"
    assert_golden(FOLDER / f"{name}.txt", got)
    assert f"[{name[:4]}]" in got.splitlines()[0]


def test_every_golden_text_has_a_mistake():
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(MISTAKES)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_message_names_the_file_and_a_way_out(name):
    text = (FOLDER / f"{name}.txt").read_text("utf-8")
    headline, *rest = text.splitlines()
    assert re.fullmatch(r"(\w+Problem|UnknownCell) \[E\d{3}\]: .*[^.]", headline)
    assert rest or name.startswith(("E601", "E603"))
    if "_in_a_file" in name:
        file = next(word for word in MISTAKES[name].split() if word.endswith(".yaml"))
        assert file in text
        assert 'weights["' not in text
