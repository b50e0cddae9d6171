"""The one training loop: plain torch, and at any moment a folder from which it goes on bit for bit.

A task says what a step's loss is and what its validation says; the loop does the rest. All that a
training is stands in one file (weights, optimiser, carried state, random generator, position),
which is replaced in one step, so a kill at any moment leaves the training as it was at the last
checkpoint. Starting is resuming from the checkpoint that is written before the first step.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from pydantic import BaseModel, ConfigDict

from elman.errors import DataProblem, Fact
from elman.tasks.files import read_model
from elman.tasks.interrupts import Asked, asked_to_stop
from elman.tasks.progress import Display
from elman.tasks.run_folder import RunFolder
from elman.tasks.schedule import factor
from elman.tasks.settings import TrainingSettings
from elman.tasks.tensor_file import Tensors, check_tensors, read_tensors, write_tensors

MEASURED_STEPS, MEASURED_SECONDS = 30, 8.0  # the warm-up that turns minutes into steps
VALIDATION_SHARE = 0.05  # of the minutes


class Task(Protocol):
    """What the loop asks of an application."""

    model: torch.nn.Module
    unit: str  # what is counted: "characters"

    @property
    def steps_per_epoch(self) -> int:
        """Steps that see every unit once."""

    def loss(self, step: int, carried: Tensors) -> tuple[torch.Tensor, Tensors, int]:
        """The mean loss of a step, the state to carry to the next, and how many units it was."""

    def validate(self) -> float:
        """The loss to watch, the smaller the better."""

    def words(self, loss: float) -> str:
        """A validation loss in the units of the task: "1.52 nats/char"."""

    def save(self, folder: Path, figures: dict[str, Any]) -> None:
        """Write the model folder."""


class Standing(BaseModel):
    """Where a training stands, apart from its arrays."""

    model_config = ConfigDict(extra="forbid")

    step: int = 0
    total_steps: int | None = None  # None until minutes have become steps
    validate_every: int = 1
    best: float | None = None
    best_step: int = 0
    validations_since_best: int = 0
    plateau: float = 1.0  # product of all drops of the learning rate
    loss_sum: float = 0.0  # since the last row of metrics.csv
    loss_count: int = 0
    seconds: float = 0.0
    ended: Literal["steps", "patience"] | None = None


@dataclass(frozen=True)
class Outcome:
    """How a training ended, and what it reached."""

    ended: Literal["steps", "patience", "interrupted"]
    step: int
    best: float | None
    best_step: int
    seconds: float


def begin(task: Task, settings: TrainingSettings, run: RunFolder) -> None:
    """Write the checkpoint that stands before the first step."""
    Training(task, settings, run, Display()).keep()


def train(task: Task, settings: TrainingSettings, run: RunFolder, display: Display) -> Outcome:
    """Go on from the run's checkpoint to the end, or to the step in which someone asks to stop."""
    started = time.perf_counter()
    with run.locked(), asked_to_stop() as asked:
        training = Training(task, settings, run, display)
        training.restore()
        run.trim_metrics(training.standing.step)
        training.fix_length(started)
        training.keep()
        training.go_on(asked)
        standing = training.standing
        return Outcome(
            standing.ended or "interrupted",
            standing.step,
            standing.best,
            standing.best_step,
            standing.seconds,
        )


class Training:
    """A training in progress: the arrays that change, and where it stands."""

    def __init__(
        self, task: Task, settings: TrainingSettings, run: RunFolder, display: Display
    ) -> None:
        self.task, self.settings, self.run, self.display = task, settings, run, display
        kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[settings.optimizer]
        decay = settings.weight_decay if settings.optimizer == "adamw" else 0.0
        self.optimizer = kind(
            task.model.parameters(), lr=settings.learning_rate, weight_decay=decay, fused=True
        )
        self.standing = Standing()
        self.carried: Tensors = {}

    # -- what is kept

    def arrays(self) -> Tensors:
        """Every array that the next step depends on, by name."""
        arrays = {f"model.{name}": array for name, array in self.task.model.state_dict().items()}
        for name, parameter in self.task.model.named_parameters():
            for key, array in self.optimizer.state[parameter].items():
                arrays[f"optimizer.{name}.{key}"] = array
        arrays |= {f"carried.{name}": array for name, array in self.carried.items()}
        return {**arrays, "random": torch.get_rng_state()}

    def keep(self) -> None:
        """Write the checkpoint, then the model folder `last`."""
        write_tensors(self.run.checkpoint, self.arrays(), self.standing.model_dump())
        self.task.save(self.run.last, {"step": self.standing.step})

    def restore(self) -> None:
        """Take up the training as the checkpoint has it."""
        path = self.run.checkpoint
        arrays, words = read_tensors(path)
        self.standing = read_model(Standing, words, path)
        network = {f"model.{name}": a for name, a in self.task.model.state_dict().items()}
        found = {name: a for name, a in arrays.items() if name in network or name == "random"}
        check_tensors(path, found, {**network, "random": torch.get_rng_state()})
        self.task.model.load_state_dict(_below("model.", arrays))
        for name, parameter in self.task.model.named_parameters():
            self.optimizer.state[parameter] = _below(f"optimizer.{name}.", arrays)
        self.carried = _below("carried.", arrays)
        torch.set_rng_state(arrays["random"])

    # -- how long

    def fix_length(self, started: float) -> None:
        """Turn epochs or minutes into a number of steps, once; from then on it is recorded."""
        if self.standing.total_steps is not None:
            return
        settings, epoch = self.settings, self.task.steps_per_epoch
        if settings.minutes is None:
            total = settings.steps or math.ceil((settings.epochs or 1.0) * epoch)
            every = epoch
        else:
            step, validation = self._measure(0.1 * settings.minutes * 60)
            self.restore()  # as if the measured steps had not been
            left = max(0.0, settings.minutes * 60 - (time.perf_counter() - started))
            count = min(20, max(2, int(VALIDATION_SHARE * left / validation)))
            total = max(1, int((left - count * validation) / step))
            every = math.ceil(total / count)
            self.display.line(f"{step * 1e3:.0f} ms a step: {total} steps in the time that is left")
        self.standing.total_steps = total
        self.standing.validate_every = min(settings.validate_every or every, total)

    def _measure(self, most: float) -> tuple[float, float]:
        """Seconds of a step (the lower quartile of a few) and of a validation."""
        self.advance()  # compiles, allocates
        deadline = time.perf_counter() + min(most, MEASURED_SECONDS)
        times: list[float] = []
        while not times or (len(times) < MEASURED_STEPS and time.perf_counter() < deadline):
            before = time.perf_counter()
            self.advance()
            times.append(time.perf_counter() - before)
        before = time.perf_counter()
        self.task.validate()
        undisturbed = sorted(times)[len(times) // 4]  # a busy moment is not the rule
        return undisturbed, time.perf_counter() - before

    # -- the loop

    def go_on(self, asked: Asked) -> None:
        """Train until the end, patience's end, or the first request to stop."""
        standing = self.standing
        total = standing.total_steps or 0
        kept = time.perf_counter()
        with self.display.bar(done=standing.step, total=total):
            while standing.ended is None and not asked:
                self._timed_step()
                if standing.step % standing.validate_every == 0 or standing.step == total:
                    self._validate(total)
                elif time.perf_counter() - kept < self.settings.checkpoint_seconds and not asked:
                    continue
                self.keep()
                kept = time.perf_counter()

    def advance(self) -> tuple[float, int]:
        """One step: its loss and its number of units."""
        standing, settings = self.standing, self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        self.task.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        loss, carried, units = self.task.loss(standing.step, self.carried)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.task.model.parameters(), settings.clip)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise DataProblem(
                "E706",
                f"the training diverged: the loss of step {standing.step} is {value}",
                facts=[Fact("learning rate", f"{self.learning_rate():g}", "at this step")],
                fix="Start again with a smaller learning rate or a smaller clip.",
            )
        self.optimizer.step()
        self.carried = {name: array.detach() for name, array in carried.items()}
        standing.step += 1
        return value, units

    def learning_rate(self) -> float:
        """The learning rate of the step that is next."""
        standing, settings = self.standing, self.settings
        total = standing.total_steps or standing.step + 1
        return settings.learning_rate * factor(
            settings.schedule, standing.step, total, settings.warmup_steps, standing.plateau
        )

    def _timed_step(self) -> None:
        before = time.perf_counter()
        loss, units = self.advance()
        taken = time.perf_counter() - before
        standing = self.standing
        standing.loss_sum += loss
        standing.loss_count += 1
        standing.seconds += taken
        speed = f"{units / taken:,.0f} {self.task.unit}/s"
        self.display.step(standing.step, speed=speed, loss=loss)

    def _validate(self, total: int) -> None:
        """Measure, write the row, keep the best model, and decide whether to go on."""
        standing, settings = self.standing, self.settings
        before = time.perf_counter()
        loss = self.task.validate()
        standing.seconds += time.perf_counter() - before
        row = {
            "step": standing.step,
            "epoch": standing.step / self.task.steps_per_epoch,
            "train_loss": standing.loss_sum / max(1, standing.loss_count),
            "validation_loss": loss,
            "learning_rate": self.learning_rate(),
            "seconds": round(standing.seconds, 3),
        }
        self.run.add_metrics(row)
        self.display.line(
            f"step {standing.step}/{total}, {standing.seconds:.0f} s: "
            f"training {row['train_loss']:.4f}, validation {self.task.words(loss)}"
        )
        standing.loss_sum, standing.loss_count = 0.0, 0
        if standing.best is None or loss < standing.best:
            standing.best, standing.best_step = loss, standing.step
            standing.validations_since_best = 0
            self.task.save(self.run.best, {"step": standing.step, "validation_loss": loss})
        else:
            standing.validations_since_best += 1
            standing.plateau *= 0.5
        if standing.step >= total:
            standing.ended = "steps"
        elif settings.patience and standing.validations_since_best >= settings.patience:
            standing.ended = "patience"


def _below(prefix: str, arrays: Tensors) -> Tensors:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
