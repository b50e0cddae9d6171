"""Train a character language model on a text: a new run, or one that goes on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch.nn import functional as F

from elman.cell import Cell
from elman.cell.files import read_json
from elman.errors import DataProblem, ElmanError, Fact, FileProblem
from elman.tasks import lm
from elman.tasks.files import read_model, read_yaml, sha256
from elman.tasks.loop import Outcome, begin, train
from elman.tasks.model_folder import CONFIG as MODEL_CONFIG
from elman.tasks.model_folder import ModelConfig
from elman.tasks.ngram import best_of_orders
from elman.tasks.progress import Display
from elman.tasks.run_folder import RunFolder, new_run, open_run
from elman.tasks.settings import LanguageModelSettings, settings_from
from elman.tasks.tensor_file import Tensors
from elman.tasks.text import Streams, Vocabulary, read_text, split

COUNTED_CHARACTERS = 4_000_000  # the n-gram model beside the network counts so many at most


class TextFile(BaseModel):
    """The text a run learns from, and how it is known again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    sha256: str
    characters: int


class CountedFigure(BaseModel):
    """What a Kneser-Ney n-gram model of the training part reaches on the validation part."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    order: int
    nats_per_char: float


class RunConfig(BaseModel):
    """config.yaml: what the run was told, with every default resolved."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: Literal["lm"] = "lm"
    text: TextFile
    cell: str | None
    equations: str
    counted: CountedFigure
    settings: LanguageModelSettings


@dataclass(frozen=True)
class Trained:
    """How a training went, the folder it is in, and the n-gram model's figure beside it."""

    outcome: Outcome
    run: Path
    counted: CountedFigure


@dataclass
class LanguageModelTask:
    """The language model as the training loop sees it."""

    model: lm.LanguageModel
    streams: Streams
    validation: torch.Tensor  # (characters,)
    unit: str = "characters"

    @property
    def steps_per_epoch(self) -> int:
        return self.streams.windows_per_epoch

    def loss(self, step: int, carried: Tensors) -> tuple[torch.Tensor, Tensors, int]:
        """Cross-entropy of one window, from the state that the window before it left."""
        window = self.streams.window(step)
        inputs, targets = (torch.from_numpy(ids) for ids in window)  # (T, B)
        fresh = self.streams.begins_epoch(step) or not carried
        logits, state = self.model(inputs, None if fresh else carried)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        return loss, state, targets.numel()

    def validate(self) -> float:
        return lm.evaluate_ids(self.model, self.validation).nats_per_char

    def words(self, loss: float) -> str:
        return in_nats_and_bits(loss)

    def save(self, folder: Path, figures: dict[str, Any]) -> None:
        self.model.save(folder, figures)


def in_nats_and_bits(nats: float) -> str:
    """
    >>> in_nats_and_bits(1.5)
    '1.5000 nats/char (2.1640 bits/char)'
    """
    return f"{nats:.4f} nats/char ({nats / math.log(2):.4f} bits/char)"


def start(
    text_path: Path,
    cell: Cell,
    run_path: Path,
    *,
    options: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    display: Display | None = None,
) -> Trained:
    """Train a new model on a text's first nine tenths, validated on the rest.

    >>> Path("book.txt").write_text("once upon a time " * 40)
    680
    >>> cell = Cell("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)")
    >>> options = {"steps": 2, "hidden_size": 8}
    >>> trained = start(Path("book.txt"), cell, Path("runs/book"), options=options)
    612 characters to learn from, 68 to validate on, 11 distinct
    ...
    >>> trained.outcome.ended, trained.outcome.step
    ('steps', 2)

    `options` are the fields of LanguageModelSettings; a folder that holds a run is left alone
    unless `overwrite` says otherwise.
    """
    display = display or Display()
    settings = settings_from(LanguageModelSettings, options or {})
    with new_run(run_path, overwrite=overwrite) as run:
        text = read_text(text_path)
        data = _data(text, settings)
        config = _configure(text_path, text, cell, settings, _count(data))
        torch.manual_seed(settings.seed)
        task = _task(config, data)
        display.line(_describe(data, config, task.model))
        run.write_config(config.model_dump(mode="json"))
        begin(task, settings, run)
    return _finish(task, config, RunFolder(run_path), display)


def resume(
    run_path: Path,
    *,
    text_path: Path | None = None,
    cell: Cell | None = None,
    options: Mapping[str, Any] | None = None,
    display: Display | None = None,
) -> Trained:
    """Go on with a run that was interrupted, as if it had not been.

    The text and the cell may be named again; they and all options must be those the run began with.
    """
    run = open_run(run_path)
    config = read_model(RunConfig, read_yaml(run.config), run.config)
    _check_equations(config, run)
    _check_options(config, cell, options or {}, run)
    text = read_text(text_path or Path(config.text.path))
    if sha256(text) != config.text.sha256:
        raise DataProblem(
            "E708",
            f"{text_path or config.text.path} is not the text that this run began with",
            facts=[
                Fact("length", f"{len(text)} characters", "of the text now"),
                Fact("recorded", f"{config.text.characters} characters", f"in {run.config}"),
            ],
            rule="A run goes on with the same text.",
            fix="Give the old text, or begin a new run.",
        )
    display = display or Display()
    task = _task(config, _data(text, config.settings))
    return _finish(task, config, run, display)


@dataclass(frozen=True)
class Data:
    """A text as numbers, in its two parts."""

    vocabulary: Vocabulary
    streams: Streams
    validation: torch.Tensor


def _data(text: str, settings: LanguageModelSettings) -> Data:
    train_text, validation_text = split(text, batch_size=settings.batch_size)
    vocabulary = Vocabulary.of(text)
    streams = Streams(
        vocabulary.encode(train_text),
        settings.batch_size,
        settings.sequence_length,
        settings.seed,
    )
    return Data(vocabulary, streams, torch.from_numpy(vocabulary.encode(validation_text)))


def _count(data: Data) -> CountedFigure:
    counted = best_of_orders(
        data.streams.ids[-COUNTED_CHARACTERS:],
        data.validation.numpy(),
        vocabulary_size=len(data.vocabulary),
    )
    return CountedFigure(order=counted.order, nats_per_char=counted.nats_per_char)


def _configure(
    text_path: Path, text: str, cell: Cell, settings: LanguageModelSettings, counted: CountedFigure
) -> RunConfig:
    path = str(text_path.absolute())
    return RunConfig(
        text=TextFile(path=path, sha256=sha256(text), characters=len(text)),
        cell=cell.name,
        equations=str(cell),
        counted=counted,
        settings=settings,
    )


def _describe(data: Data, config: RunConfig, model: lm.LanguageModel) -> str:
    """What is learned from, what counting reaches there, and what is to learn it."""
    characters, counted = len(data.streams.ids), config.counted
    part = "" if characters <= COUNTED_CHARACTERS else f" of its last {COUNTED_CHARACTERS:,}"
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return (
        f"{characters:,} characters to learn from, {len(data.validation):,} to validate on, "
        f"{len(data.vocabulary)} distinct\n"
        f"{counted.order}-gram Kneser-Ney{part}: {in_nats_and_bits(counted.nats_per_char)}\n"
        f"cell {config.cell}, {parameters:,} parameters, backend {model.recurrent.explain()}"
    )


def _task(config: RunConfig, data: Data) -> LanguageModelTask:
    settings = config.settings
    model_config = ModelConfig(
        cell=config.cell,
        equations=config.equations,
        embedding_size=settings.embedding_size,
        hidden_size=settings.hidden_size,
        num_layers=settings.num_layers,
        sizes=settings.sizes,
        dropout=settings.dropout,
        vocabulary_size=len(data.vocabulary),
    )
    model = lm.LanguageModel(model_config, data.vocabulary)
    return LanguageModelTask(model, data.streams, data.validation)


def _finish(
    task: LanguageModelTask, config: RunConfig, run: RunFolder, display: Display
) -> Trained:
    outcome = train(task, config.settings, run, display)
    return Trained(outcome, run.path, config.counted)


def _check_equations(config: RunConfig, run: RunFolder) -> None:
    """E609 or E608 where the equations in config.yaml are not those that the run trains."""
    try:
        Cell(config.equations, config.cell)
    except ElmanError as error:
        raise FileProblem(
            "E609", f"{run.config} describes a network that cannot be built", rule=str(error)
        ) from error
    trained = run.last / MODEL_CONFIG
    if trained.is_file():
        network = read_model(ModelConfig, read_json(trained), trained)
        if network.equations != config.equations:
            raise FileProblem(
                "E608",
                f"the equations in {run.config} are not those that the run trains",
                facts=[Fact("trained", repr(network.cell), f"in {trained}")],
                rule="A run goes on with the same equations.",
                fix=f"Put {run.config.name} back as it was, or begin a new run.",
            )


def _check_options(
    config: RunConfig, cell: Cell | None, options: Mapping[str, Any], run: RunFolder
) -> None:
    """E614 where a resumed run is told something else than it was told at first."""
    recorded = config.settings.model_dump()
    facts = [
        Fact(name, repr(value), f"but {recorded.get(name)!r} in {run.config}")
        for name, value in options.items()
        if value != recorded.get(name)
    ]
    if cell is not None and cell != Cell(config.equations):
        facts.append(Fact("cell", repr(cell.name), f"but its equations differ in {run.config}"))
    if facts:
        raise FileProblem(
            "E614",
            f"{run.path} was not begun like this: {', '.join(fact.name for fact in facts)}",
            facts=facts,
            rule="A run goes on as it began, so that it ends as if it had not been interrupted.",
            fix="Leave these options out, or begin a new run.",
        )
