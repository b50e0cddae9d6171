"""Read a text, number its characters, and cut it into the streams that training walks along."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from elman.cell.files import read_bytes
from elman.errors import DataProblem, Fact, FileProblem


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, every character as it stands (a byte order mark apart).

    >>> Path("book.txt").write_text("once upon a time")
    16
    >>> read_text(Path("book.txt"))[:4]
    'once'

    Errors: FileProblem E601-E604 (missing, folder, unreadable, not UTF-8), E701 (empty).
    """
    data = read_bytes(path)
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FileProblem(
            "E604",
            f"{path} is not UTF-8: {error.reason} at byte {error.start}",
            facts=[Fact(f"byte {error.start}", f"0x{data[error.start]:02x}", f"in line {line}")],
            rule="Texts are read as UTF-8.",
            fix=f"Convert it: iconv -f LATIN1 -t UTF-8 {path.name} > utf8.txt",
        ) from error
    if not text:
        raise DataProblem("E701", f"{path} is empty", rule="A text needs characters to learn from.")
    return text


@dataclass(frozen=True)
class Vocabulary:
    """The characters a model knows, each numbered by its place.

    >>> Vocabulary.of("hello").encode("hole")
    array([1, 3, 2, 0])
    """

    characters: str  # distinct, sorted by code point

    @classmethod
    def of(cls, text: str) -> Vocabulary:
        return cls("".join(sorted(set(text))))

    def __len__(self) -> int:
        return len(self.characters)

    @cached_property
    def _points(self) -> np.ndarray:
        return _code_points(self.characters)

    def encode(self, text: str) -> np.ndarray:
        """The number of each character, int64 of shape (len(text),); an unknown one is E704."""
        points = _code_points(text)
        ids = np.searchsorted(self._points, points).clip(max=len(self) - 1)
        unknown = self._points[ids] != points
        if unknown.any():
            raise self._unknown(text, int(unknown.argmax()), points[unknown])
        return ids.astype(np.int64)

    def decode(self, ids: np.ndarray | list[int]) -> str:
        return "".join(self.characters[i] for i in ids)

    def _unknown(self, text: str, place: int, points: np.ndarray) -> DataProblem:
        character = text[place]
        line = text.count("\n", 0, place) + 1
        column = place - text.rfind("\n", 0, place)
        distinct = len(np.unique(points))
        name = f"{character!r} (U+{ord(character):04X})"
        return DataProblem(
            "E704",
            f"the model has never seen the character {name}",
            facts=[
                Fact("first", name, f"at line {line}, column {column}"),
                Fact("unknown", f"{len(points)} of {len(text)} characters", f"{distinct} distinct"),
                Fact("vocabulary", f"{len(self)} characters", "of the text it was trained on"),
            ],
            rule="A character model gives no probability to a character that it has never seen.",
            fix="Remove or replace these characters, or train on a text that has them.",
        )


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def split(text: str, *, batch_size: int = 1, fraction: float = 0.1) -> tuple[str, str]:
    """The text's first part to learn from and its last part (a tenth) to validate on.

    >>> split("abababababab" * 10)[1]
    'abababababab'

    Errors: DataProblem E702 (one distinct character), E703 (too short for the batch).
    """
    if len(set(text)) == 1:
        raise DataProblem(
            "E702",
            f"the text has one distinct character, {text[0]!r}",
            facts=[Fact("length", f"{len(text)} characters", "all the same")],
            rule="With nothing to choose between there is nothing to learn.",
        )
    cut = int(len(text) * (1 - fraction))
    train, validation = text[:cut], text[cut:]
    if len(train) < 2 * batch_size or len(validation) < 2:
        smallest = max(int(2 * batch_size / (1 - fraction)) + 2, int(2 / fraction))
        raise DataProblem(
            "E703",
            f"a text of {len(text)} characters is too short for a batch of {batch_size}",
            facts=[
                Fact("training part", f"{len(train)} characters", f"at least {2 * batch_size}"),
                Fact("validation part", f"{len(validation)} characters", "at least 2"),
            ],
            rule="Each stream of the batch needs two characters, and so does the validation part.",
            fix=f"Give at least {smallest} characters" + ", or a smaller batch." * (batch_size > 1),
        )
    return train, validation


@dataclass(frozen=True)
class Streams:
    """Parallel contiguous streams through a text: each window goes on where the last one stopped.

    Every epoch begins at another place of the text, drawn from the seed and the epoch alone, so
    that any step's window is known without those before it. The text is a ring: its end goes on at
    its start.
    """

    ids: np.ndarray  # (characters,)
    batch_size: int
    sequence_length: int
    seed: int = 0

    @property
    def stream_length(self) -> int:
        return len(self.ids) // self.batch_size

    @property
    def window_length(self) -> int:
        return min(self.sequence_length, self.stream_length)

    @property
    def windows_per_epoch(self) -> int:
        return self.stream_length // self.window_length

    def window(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets of a step, both (window_length, batch_size)."""
        epoch, index = divmod(step, self.windows_per_epoch)
        first = self._offset(epoch) + index * self.window_length
        starts = first + self.stream_length * np.arange(self.batch_size)
        places = starts + np.arange(self.window_length + 1)[:, None]  # (T + 1, B)
        window = self.ids[places % len(self.ids)]
        return window[:-1], window[1:]

    def begins_epoch(self, step: int) -> bool:
        """Whether the step's window follows on nothing: the carried state is dropped."""
        return step % self.windows_per_epoch == 0

    def _offset(self, epoch: int) -> int:
        if epoch == 0:
            return 0
        random = np.random.Generator(np.random.Philox([self.seed, epoch]))
        return int(random.integers(len(self.ids)))
