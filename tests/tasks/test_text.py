"""Reading a text: every fault named, every character kept, every window in its place."""

from __future__ import annotations

import numpy as np
import pytest

from elman.errors import DataProblem, ElmanError, FileProblem
from elman.tasks.text import Streams, Vocabulary, read_text, split


def fault(path) -> str:
    with pytest.raises(ElmanError) as caught:
        read_text(path)
    return str(caught.value)


def test_a_missing_file_proposes_its_neighbour(tmp_path):
    (tmp_path / "shakespeare.txt").write_text("to be")
    message = fault(tmp_path / "shakespear.txt")
    assert message.startswith("FileProblem [E601]")
    assert "Did you mean 'shakespeare.txt'?" in message


def test_a_folder_is_no_text(tmp_path):
    assert fault(tmp_path).startswith(f"FileProblem [E602]: {tmp_path} is a folder")


def test_a_path_through_a_file_is_no_text(tmp_path):
    (tmp_path / "a").write_text("x")
    assert fault(tmp_path / "a" / "b").startswith("FileProblem [E603]")


def test_latin_1_names_the_byte(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes("ab\ncafé au lait".encode("latin-1"))
    message = fault(path)
    assert message.splitlines()[0] == (
        f"FileProblem [E604]: {path} is not UTF-8: invalid continuation byte at byte 6"
    )
    assert "byte 6 is 0xe9   in line 2" in message


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf"], ids=["no byte", "only a mark"])
def test_an_empty_text_is_a_data_problem(tmp_path, data):
    path = tmp_path / "empty.txt"
    path.write_bytes(data)
    assert fault(path).startswith(f"DataProblem [E701]: {path} is empty")


def test_line_ends_are_kept_and_a_byte_order_mark_is_not(tmp_path):
    path = tmp_path / "t.txt"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\n")
    assert read_text(path) == "a\r\nb\n"


def test_one_character_cannot_be_learned():
    with pytest.raises(DataProblem, match="one distinct character, 'a'") as caught:
        split("a" * 1000)
    assert caught.value.code == "E702"


@pytest.mark.parametrize(("text", "batch"), [("ab", 1), ("abc" * 3, 1), ("abc" * 20, 32)])
def test_too_short_says_how_long(text, batch):
    with pytest.raises(DataProblem) as caught:
        split(text, batch_size=batch)
    assert caught.value.code == "E703"
    needed = int(str(caught.value).split("Give at least ")[1].split()[0])
    split(("abc" * needed)[:needed], batch_size=batch)  # so much is enough


def test_split_keeps_the_last_tenth():
    text = "".join(chr(33 + i % 90) for i in range(1115394))
    train, validation = split(text)
    assert (len(train), len(validation)) == (1003854, 111540)
    assert train + validation == text


def test_vocabulary_round_trip():
    text = "naïve 🜁 text\n\twith 東京"
    vocabulary = Vocabulary.of(text)
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert list(vocabulary.characters) == sorted(set(text))


def test_an_unknown_character_is_named_with_its_place():
    with pytest.raises(DataProblem) as caught:
        Vocabulary.of("abc \n").encode("abc\nabé cöé")
    message = str(caught.value)
    assert "[E704]: the model has never seen the character 'é' (U+00E9)" in message
    assert "at line 2, column 3" in message
    assert "3 of 11 characters" in message and "2 distinct" in message


def test_windows_go_on_where_the_last_one_stopped():
    streams = Streams(np.arange(103), batch_size=4, sequence_length=8, seed=3)
    assert (streams.windows_per_epoch, streams.begins_epoch(0)) == (3, True)
    windows = [streams.window(step) for step in range(6)]
    for inputs, targets in windows:
        assert inputs.shape == targets.shape == (8, 4)
        assert ((inputs + 1) % 103 == targets).all()
    for step in (0, 1, 3, 4):
        assert (windows[step][1][-1] == windows[step + 1][0][0]).all()
    assert streams.begins_epoch(3)
    assert windows[3][0][0, 0] != windows[0][0][0, 0]  # the next epoch begins elsewhere
    again = Streams(np.arange(103), batch_size=4, sequence_length=8, seed=3)
    assert (again.window(5)[0] == windows[5][0]).all()


def test_a_text_shorter_than_a_window_is_one_window():
    streams = Streams(np.arange(10), batch_size=3, sequence_length=128)
    assert streams.windows_per_epoch == 1
    assert streams.window(0)[0].shape == (3, 3)


def test_file_problem_is_a_value_error():
    assert issubclass(FileProblem, ValueError)
