"""The character language model: embedding, any recurrent cell, dropout, a linear layer.

>>> from elman.tasks.lm import LanguageModel, evaluate, generate
>>> vocabulary = Vocabulary.of("once upon a time")
>>> config = ModelConfig(
...     cell=None,
...     equations="h[t] = tanh(W @ x[t] + U @ h[t-1])",
...     embedding_size=4,
...     hidden_size=8,
...     num_layers=1,
...     sizes={},
...     dropout=0.0,
...     vocabulary_size=len(vocabulary),
... )
>>> model = LanguageModel(config, vocabulary)  # untrained: every character about as likely
>>> evaluate(model, "once upon a time").characters
15
>>> len("".join(generate(model, "once", length=20, seed=1)))
20
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from elman.cell import Cell
from elman.errors import DataProblem, ElmanError, Fact, FileProblem, NameProblem
from elman.nn import Recurrent
from elman.tasks.dropout import Dropout
from elman.tasks.model_folder import (
    CONFIG,
    WEIGHTS,
    ModelConfig,
    read_model_folder,
    save_model_folder,
)
from elman.tasks.run_folder import BEST, LAST
from elman.tasks.tensor_file import Tensors, check_tensors
from elman.tasks.text import Vocabulary

BURN_IN, CHUNK = 256, 256  # characters
LONGEST_ALONE, MOST_STREAMS = 8192, 32


class LanguageModel(torch.nn.Module):
    """Logits of the next character from a text's characters so far.

    The cell is read from the equations in the configuration: what is saved is what runs.
    """

    def __init__(self, config: ModelConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.config, self.vocabulary = config, vocabulary
        self.embedding = torch.nn.Embedding(config.vocabulary_size, config.embedding_size)
        cell = Cell(config.equations, config.cell)
        _check_streams(cell)
        self.recurrent = Recurrent(
            cell,
            config.embedding_size,
            config.hidden_size,
            config.num_layers,
            sizes=dict(config.sizes) or None,
            dropout=config.dropout if config.num_layers > 1 else 0.0,
        )
        self.dropout = Dropout(config.dropout)
        self.output = torch.nn.Linear(self.recurrent.output_size, config.vocabulary_size)

    def forward(
        self, ids: torch.Tensor, state: Tensors | None = None
    ) -> tuple[torch.Tensor, Tensors]:
        """Characters (T, B) to logits (T, B, vocabulary) and the state after them."""
        hidden, state = self.recurrent(self.embedding(ids), state)  # (T, B, hidden)
        return self.output(self.dropout(hidden)), state

    def step(self, ids: torch.Tensor, state: Tensors | None) -> tuple[torch.Tensor, Tensors]:
        """One character each (B,) to logits (B, vocabulary) and the state after it."""
        hidden, state = self.recurrent.step(self.embedding(ids), state)  # (B, hidden)
        return self.output(self.dropout(hidden)), state

    def save(self, folder: Path, figures: dict[str, Any]) -> None:
        """Write the model folder."""
        save_model_folder(folder, self.config, self.vocabulary, self.state_dict(), figures)


def _check_streams(cell: Cell) -> None:
    """E412 where a cell has not one stream in and one out."""
    for what, names in (("inputs", cell.inputs), ("outputs", cell.returns)):
        if len(names) != 1:
            raise NameProblem(
                "E412",
                f"a language model needs a cell of one stream in and one out, not of {len(names)} "
                f"{what}",
                facts=[Fact(f"its {what}", ", ".join(names) or "none", f"in cell {cell.name!r}")],
                rule="It gives the cell one vector a character and reads one back.",
            )
    for what, name in (("input", cell.inputs[0]), ("output", cell.returns[0])):
        shape = cell.typed.shape(name)
        if len(shape) != 1 or (what == "input" and cell.typed.over[name] != "tb"):
            raise NameProblem(
                "E412",
                f"a language model needs a cell of one stream in and one out, both of vectors: "
                f"{name} is none",
                facts=[Fact(name, f"({', '.join(shape)})", f"in cell {cell.name!r}")],
                rule="It gives the cell one vector a character and reads one back.",
            )


def load(folder: Path) -> LanguageModel:
    """The model of a run folder (its best one) or of a model folder, ready to be used.

    Errors: FileProblem E601-E609, WeightProblem E506, each naming the file and what does not fit.
    """
    if not (folder / CONFIG).is_file():
        folder = next((folder / n for n in (BEST, LAST) if (folder / n).is_dir()), folder)
    config, vocabulary, tensors = read_model_folder(folder)
    try:
        with torch.device("meta"):  # shapes alone: sizes that do not fit may be too large to hold
            wanted = LanguageModel(config, vocabulary).state_dict()
    except (ElmanError, RuntimeError) as error:
        raise FileProblem(
            "E609", f"{folder / CONFIG} describes a network that cannot be built", rule=str(error)
        ) from error
    check_tensors(folder / WEIGHTS, tensors, wanted)
    model = LanguageModel(config, vocabulary)
    model.load_state_dict(tensors)
    return model.eval()


@dataclass(frozen=True)
class Evaluation:
    """How well a model foretells a text: the mean of -log p over the characters."""

    nats_per_char: float
    characters: int  # that were foretold: all but the text's first

    @property
    def bits_per_char(self) -> float:
        return self.nats_per_char / math.log(2)

    @property
    def perplexity(self) -> float:
        return math.exp(min(self.nats_per_char, 700.0))


def evaluate(model: LanguageModel, text: str, *, streams: int | None = None) -> Evaluation:
    """Loss of every character but the first, the state carried from the text's start to its end.

    A text longer than 8,192 characters is read in up to 32 streams at once, each of which reads the
    256 characters before its part unscored; `streams=1` reads it in one.

    Errors: DataProblem E703 (fewer than two characters), E704 (a character never seen).
    """
    if len(text) < 2:
        raise DataProblem(
            "E703",
            f"a text of {len(text)} character(s) is too short to evaluate",
            rule="The first character is given, every further one is foretold.",
        )
    return evaluate_ids(model, torch.from_numpy(model.vocabulary.encode(text)), streams=streams)


@torch.no_grad()
def evaluate_ids(
    model: LanguageModel, ids: torch.Tensor, *, streams: int | None = None
) -> Evaluation:
    """`evaluate` for a text given as character numbers (characters,)."""
    scored = len(ids) - 1
    if streams is None:
        streams = 1 if scored <= LONGEST_ALONE else min(MOST_STREAMS, scored // 4096 + 1)
    burn_in = BURN_IN if streams > 1 else 0
    part = math.ceil((scored - burn_in) / streams)
    places = torch.arange(streams) * part + torch.arange(part + burn_in)[:, None]  # (T, streams)
    counts = places < scored
    counts[:burn_in, 1:] = False  # the stream before scores these
    was_training = model.training
    model.eval()
    total, state = 0.0, None
    for first in range(0, len(places), CHUNK):
        here = places[first : first + CHUNK].clamp(max=scored - 1)
        logits, state = model(ids[here], state)
        losses = F.cross_entropy(logits.flatten(0, 1), ids[here + 1].flatten(), reduction="none")
        total += float(losses.double()[counts[first : first + CHUNK].flatten()].sum())
    model.train(was_training)
    return Evaluation(total / scored, scored)


def generate(
    model: LanguageModel,
    prompt: str = "",
    *,
    length: int = 500,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int | None = None,
) -> Iterator[str]:
    """Characters that go on from a prompt, one by one, each drawn from what the model foretells.

    A temperature of 0 takes the likeliest each time; `top_k` draws among the k likeliest. Without a
    prompt the model reads a line's end first. One seed gives one text on one machine.
    """
    if not temperature >= 0 or (top_k is not None and top_k < 1):
        raise DataProblem("E707", "temperature must be 0 or more, top_k 1 or more")
    if seed is not None and not 0 <= seed < 2**63:
        raise DataProblem("E707", f"seed {seed} is not a number from 0 to 2**63 - 1")
    start = "\n" if "\n" in model.vocabulary.characters else model.vocabulary.characters[0]
    ids = torch.from_numpy(model.vocabulary.encode(prompt or start))[:, None]  # (T, 1)
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return _characters(model.eval(), ids, length, temperature, top_k, generator)


def _characters(
    model: LanguageModel,
    ids: torch.Tensor,
    length: int,
    temperature: float,
    top_k: int | None,
    generator: torch.Generator,
) -> Iterator[str]:
    state: Tensors | None = None
    for number in range(length):
        with torch.no_grad():  # not around the yield: the caller's own work is not ours
            if number == 0:
                logits, state = model(ids, state)
                logits = logits[-1]
            else:
                logits, state = model.step(ids, state)
        ids = _draw(logits[0].double(), temperature, top_k, generator)
        yield model.vocabulary.characters[int(ids)]


def _draw(
    logits: torch.Tensor, temperature: float, top_k: int | None, generator: torch.Generator
) -> torch.Tensor:
    """One character's number (1,) from its logits (vocabulary,)."""
    if temperature == 0:
        return logits.argmax(keepdim=True)
    if top_k is not None and top_k < len(logits):
        logits = logits.masked_fill(logits < logits.topk(top_k).values[-1], -math.inf)
    # the largest becomes 0 first, so that no temperature is too small to divide by
    probabilities = torch.softmax((logits - logits.max()) / temperature, dim=0)
    return torch.multinomial(probabilities, 1, generator=generator)
