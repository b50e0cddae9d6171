"""The command `elman`: what each command is told; the work is in the files beside this one.

Nothing here imports torch, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from elman.cli import benchmark_options as b
from elman.cli import options as o
from elman.cli import trace_options as t
from elman.errors import BackendProblem, ElmanError

app = typer.Typer(
    name="elman",
    help="Recurrent neural networks from their equations: what you wrote is what runs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
train = typer.Typer(no_args_is_help=True, help="Train a network on data.")
app.add_typer(train, name="train")

Folder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or a model folder.")]
CellArgument = Annotated[
    str, typer.Argument(metavar="CELL", help="A name from `elman cells`, or a .cell file.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


@train.command("lm")
def train_lm(
    context: typer.Context,
    output: o.Output,
    file: o.Text = None,
    resume: o.Resume = False,
    overwrite: o.Overwrite = False,
    checkpoint_seconds: o.CheckpointSeconds = None,
    cell: o.CellName = None,
    level: o.LevelOption = None,
    embedding_size: o.EmbeddingSize = None,
    hidden_size: o.HiddenSize = None,
    num_layers: o.NumLayers = None,
    size: o.Sizes = None,
    dropout: o.Dropout = None,
    minutes: o.Minutes = None,
    epochs: o.Epochs = None,
    steps: o.Steps = None,
    batch_size: o.BatchSize = None,
    sequence_length: o.SequenceLength = None,
    optimizer: o.OptimizerOption = None,
    learning_rate: o.LearningRate = None,
    weight_decay: o.WeightDecay = None,
    schedule: o.ScheduleOption = None,
    warmup_steps: o.WarmupSteps = None,
    clip: o.Clip = None,
    patience: o.Patience = None,
    validate_every: o.ValidateEvery = None,
    seed: o.Seed = None,
) -> None:
    """Train a language model on a text; its last tenth is kept to validate on."""
    from elman.cli import training  # spares torch

    own = {"output", "file", "resume", "overwrite", "cell", "size"}
    given = {k: v for k, v in context.params.items() if v is not None and k not in own}
    training.train_lm(file, output, cell, size or [], given, resume=resume, overwrite=overwrite)


@app.command()
def evaluate(
    run: Folder,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A text in UTF-8.")],
    json: Json = False,
) -> None:
    """Measure a trained model on a text."""
    from elman.cli import using  # spares torch

    using.evaluate(run, file, json=json)


@app.command()
def generate(
    run: Folder,
    prompt: Annotated[str, typer.Option(help="The text to go on from.")] = "",
    length: Annotated[int, typer.Option(min=0, help="Characters to write.")] = 500,
    temperature: Annotated[
        float,
        typer.Option(min=0, help="Below 1 bolder in its habits, above 1 wilder; 0: no chance."),
    ] = 1.0,
    top_k: Annotated[
        int | None, typer.Option(min=1, help="Draw among the k likeliest only.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="One seed, one text.")] = None,
) -> None:
    """Write a text with a trained model."""
    from elman.cli import using  # spares torch

    using.generate(run, prompt, length, temperature, top_k, seed)


@app.command()
def trace(
    context: typer.Context,
    cell: t.Source,
    weights: t.Weights = None,
    x: t.X = None,
    stream: t.Input = None,
    state: t.State = None,
    size: t.Sizes = None,
    seed: t.Seed = None,
    steps: t.Steps = None,
    only: t.Only = None,
    names: t.Names = None,
    digits: t.DigitsOption = None,
    significant: t.Significant = None,
    limit: t.Limit = 8,
    rounded: t.Rounded = False,
    cut: t.Cut = False,
    target: t.Target = None,
    loss: t.LossOption = None,
    cotangents: t.Cotangents = None,
    lr: t.LearningRate = None,
    format: t.FormatOption = None,
    json: t.Json = False,
    output: t.Output = None,
    width: t.Width = None,
    color: t.Color = None,
    blank: t.Blank = False,
) -> None:
    """Print every number of a cell on a few steps, forward and backward, as on a board.

    elman trace gru --weights w.yaml --x "1,2;1.5,2.5" -o page.html

    elman trace lstm --seed 1 --blank -o exercise.tex
    """
    from elman.cli import tracing  # spares yaml

    tracing.trace(tracing.Asked(**context.params))


@app.command()
def show(
    cell: CellArgument,
    after: Annotated[
        str | None, typer.Option(metavar="PASS", help="The cell as it stands after this pass.")
    ] = None,
    code: Annotated[
        str | None, typer.Option(metavar="LANGUAGE", help="The code made from it: c.")
    ] = None,
    latex: Annotated[bool, typer.Option("--latex", help="The equations in LaTeX.")] = False,
    roles: Annotated[bool, typer.Option("--roles", help="What each parameter is for.")] = False,
    text: Annotated[bool, typer.Option("--text", help="The equations in plain Unicode.")] = False,
) -> None:
    """Print a cell's equations, what a pass makes of them, or the code."""
    from elman.cli import equations  # spares yaml

    equations.show(cell, after, code, latex=latex, roles=roles, text=text)


@app.command()
def compare(
    cells: Annotated[
        list[str],
        typer.Argument(metavar="CELL...", help="Names of the library, or files; two or more."),
    ],
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Weights under the names of any of the cells: .yaml, .json, .npz or .safetensors.",
        ),
    ] = None,
    x: Annotated[
        str | None, typer.Option(metavar="STEPS", help='"1,2;1.5,2.5" is two steps of two.')
    ] = None,
    stream: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="NAME=STEPS", help="An input that is not called x."),
    ] = None,
    state: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUES", help="A state before the first step.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="How many, of cells that no input counts.")
    ] = None,
    digits: Annotated[
        int | None, typer.Option(min=0, max=17, help="Decimals to print.  (default: 4)")
    ] = None,
    json: Json = False,
) -> None:
    """Say whether cells are the same function, or show the same numbers through each of them.

    With weights and inputs they stand side by side, the first difference marked.

    The exit code is 1 where they differ.
    """
    from elman.cli import comparison  # spares yaml

    given = comparison.Given(weights, x, stream, state, steps, digits)
    raise typer.Exit(0 if comparison.compare(cells, given, json=json) else 1)


@app.command()
def check(
    sheets: Annotated[
        list[Path], typer.Argument(metavar="SHEET...", help="Files as my.sheet.yaml.")
    ],
    digits: Annotated[
        int | None,
        typer.Option(min=0, max=17, help="Decimals of correct values.  (default: as claimed)"),
    ] = None,
    json: Json = False,
) -> None:
    """Check the numbers that a worked example prints; exit code 1 where one is wrong.

    Each claim is right, rounded, cut off, rounded on the way, wrong, or follows from a wrong one.

    Of a wrong one the likeliest cause is said.
    """
    from elman.cli import checking  # spares yaml

    raise typer.Exit(0 if checking.check(sheets, digits, json=json) else 1)


@app.command()
def convert(
    weights: Annotated[
        Path, typer.Argument(metavar="WEIGHTS", help="A .safetensors, .npz, .yaml or .json file.")
    ],
    source: Annotated[str, typer.Option("--from", metavar="LAYOUT", help="The layout they have.")],
    target: Annotated[str, typer.Option("--to", metavar="LAYOUT", help="The layout to write.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT", help="Where; without it, YAML is printed."),
    ] = None,
    cell: Annotated[
        str | None, typer.Option(metavar="rnn|lstm|gru", help="The cell, if shapes do not tell.")
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Only arrays so named, as in 'lstm.*'.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
    json: Json = False,
) -> None:
    """Bring the weights of an RNN, LSTM or GRU into another framework's layout.

    What has no exact map is refused, with the reason. The layouts:

    - torch: a state_dict of nn.RNN, nn.LSTM or nn.GRU
    - keras: kernel, recurrent_kernel, bias; a GRU with reset_after=False
    - keras-reset-after: the same, a GRU with reset_after=True, the default
    - onnx: W, R, B of an operator; a GRU with linear_before_reset=0
    - onnx-reset-after: the same, a GRU with linear_before_reset=1
    - elman: the letters of the library's rnn, lstm, gru or gru_reset_after
    - elman:NAME: the letters of another cell of the library
    """
    from elman.cli import conversion  # spares yaml

    layouts = (source, target)
    conversion.convert(weights, layouts, cell, only, output, overwrite=overwrite, json=json)


@app.command()
def cells(
    search: Annotated[
        str | None, typer.Option(metavar="WORDS", help="Only those in which every word stands.")
    ] = None,
    json: Json = False,
) -> None:
    """List the published cells of the library."""
    from elman.cli import equations  # spares yaml

    equations.cells(search, json=json)


@app.command()
def bench(
    context: typer.Context,
    cell: CellArgument,
    input: b.Input,
    hidden: b.Hidden,
    batch: b.Batch,
    steps: b.Steps = 100,
    task: b.Task = None,
    dtype: b.Dtype = "float32",
    threads: b.Threads = None,
    peers: b.Peers = None,
    size: b.Sizes = None,
    seconds: b.Seconds = 10.0,
    compile_seconds: b.CompileSeconds = 60.0,
    json: Json = False,
    output: b.Output = None,
) -> None:
    """Time a cell on a shape beside PyTorch, JAX and ONNX Runtime.

    Each has a process of its own, and they take turns. Whoever computes something else has no time.

    elman bench my.cell --input 64 --hidden 256 --batch 32
    """
    from elman.cli import benchmark  # spares numpy

    benchmark.bench(benchmark.Asked(**context.params))


@app.command()
def doctor() -> None:
    """Say what this machine has, and which backends can run on it."""
    from elman.cli import diagnosis  # spares torch

    diagnosis.doctor()


def _note(message: Warning | str, *_: object, **__: object) -> str:
    return f"note: {message}\n"


def main() -> None:
    """Run the command; what is wrong with what was given goes to standard error, exit code 1."""
    warnings.formatwarning = _note
    try:
        app()
    except ElmanError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "safetensors"):
            raise
        fix = 'Install it: pip install "elman[torch]".'
        sys.exit(str(BackendProblem("E804", f"{error.name} is not installed", fix=fix)))
    except OSError as error:
        sys.exit(f"FileProblem [E603]: {error.filename}: {error.strerror}")
