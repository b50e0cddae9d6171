"""The options of `elman train`, each with its words; one left out has the task's own default."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

# The defaults in the words are those of tasks/settings.py, which costs too much to import for a
# --help; a test keeps them true.

NETWORK, TRAINING, FOLDER = "Network", "Training", "Run folder"


class Level(StrEnum):
    """What a language model reads, one at a time."""

    char = "char"


class Schedule(StrEnum):
    """How the learning rate moves."""

    cosine = "cosine"
    plateau = "plateau"
    constant = "constant"


class Optimizer(StrEnum):
    """How a gradient becomes a step."""

    adamw = "adamw"
    adam = "adam"


Text = Annotated[
    Path | None, typer.Argument(metavar="FILE", help="The text to learn from, in UTF-8.")
]
Output = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="RUN", help="Where.", rich_help_panel=FOLDER),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the run in RUN.", rich_help_panel=FOLDER)
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace the run in RUN.", rich_help_panel=FOLDER)
]
CheckpointSeconds = Annotated[
    float | None,
    typer.Option(min=0, help="Seconds between checkpoints.  (default: 60)", rich_help_panel=FOLDER),
]
CellName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE.cell",
        help="A name from `elman cells`, or a file.  (default: gru)",
        rich_help_panel=NETWORK,
    ),
]
LevelOption = Annotated[
    Level | None,
    typer.Option(help="What is read one at a time.  (default: char)", rich_help_panel=NETWORK),
]
EmbeddingSize = Annotated[
    int | None, typer.Option(min=1, help="(default: 64)", rich_help_panel=NETWORK)
]
HiddenSize = Annotated[
    int | None, typer.Option(min=1, help="(default: 512)", rich_help_panel=NETWORK)
]
NumLayers = Annotated[int | None, typer.Option(min=1, help="(default: 1)", rich_help_panel=NETWORK)]
Sizes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=N",
        help="A further size of the cell, as in --size cell=1024.",
        rich_help_panel=NETWORK,
    ),
]
Dropout = Annotated[
    float | None,
    typer.Option(min=0, max=0.99, help="(default: 0.25)", rich_help_panel=NETWORK),
]
Minutes = Annotated[
    float | None, typer.Option(help="How long, in minutes.  (default: 5)", rich_help_panel=TRAINING)
]
Epochs = Annotated[
    float | None, typer.Option(help="How long, in passes over the text.", rich_help_panel=TRAINING)
]
Steps = Annotated[
    int | None, typer.Option(min=1, help="How long, in steps.", rich_help_panel=TRAINING)
]
BatchSize = Annotated[
    int | None,
    typer.Option(min=1, help="Streams at once.  (default: 32)", rich_help_panel=TRAINING),
]
SequenceLength = Annotated[
    int | None,
    typer.Option(
        min=1, help="Characters of each stream a step.  (default: 128)", rich_help_panel=TRAINING
    ),
]
OptimizerOption = Annotated[
    Optimizer | None, typer.Option(help="(default: adamw)", rich_help_panel=TRAINING)
]
LearningRate = Annotated[
    float | None, typer.Option(help="(default: 0.003)", rich_help_panel=TRAINING)
]
WeightDecay = Annotated[
    float | None, typer.Option(min=0, help="(default: 0.01)", rich_help_panel=TRAINING)
]
ScheduleOption = Annotated[
    Schedule | None, typer.Option(help="(default: cosine)", rich_help_panel=TRAINING)
]
WarmupSteps = Annotated[
    int | None,
    typer.Option(
        min=0, help="Steps of a rising learning rate.  (default: 50)", rich_help_panel=TRAINING
    ),
]
Clip = Annotated[
    float | None,
    typer.Option(help="Largest norm of the gradient.  (default: 1.0)", rich_help_panel=TRAINING),
]
Patience = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Stop after so many validations without a better one.  (default: 0, never)",
        rich_help_panel=TRAINING,
    ),
]
ValidateEvery = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Steps between validations.  (default: an epoch, or as minutes allow)",
        rich_help_panel=TRAINING,
    ),
]
Seed = Annotated[int | None, typer.Option(min=0, help="(default: 0)", rich_help_panel=TRAINING)]
