"""What a training run is told, with its defaults: the same names as the command line's options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from elman.errors import DataProblem, Fact

DEFAULT_MINUTES = 5.0


class TrainingSettings(BaseModel):
    """The training loop's own settings; a task adds those of its network and data."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    minutes: PositiveFloat | None = None  # how long: one of these; five minutes unless told
    epochs: PositiveFloat | None = None
    steps: PositiveInt | None = None
    batch_size: PositiveInt = 32
    optimizer: Literal["adamw", "adam"] = "adamw"
    learning_rate: PositiveFloat = 3e-3
    weight_decay: NonNegativeFloat = 0.01
    schedule: Literal["cosine", "plateau", "constant"] = "cosine"
    warmup_steps: NonNegativeInt = 50
    clip: PositiveFloat = 1.0  # largest norm of the gradient of all parameters together
    patience: NonNegativeInt = 0  # stop after so many validations without a better one; 0: never
    validate_every: PositiveInt | None = None  # steps; by default an epoch, or as minutes allow
    checkpoint_seconds: NonNegativeFloat = 60.0
    seed: int = Field(default=0, ge=0, lt=2**63)  # what torch takes

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        given = [name for name in ("minutes", "epochs", "steps") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of minutes, epochs and steps, not {' and '.join(given)}")
        return self


class LanguageModelSettings(TrainingSettings):
    """Settings of the character language model."""

    level: Literal["char"] = "char"
    embedding_size: PositiveInt = 64
    hidden_size: PositiveInt = 512
    num_layers: PositiveInt = 1
    sizes: dict[str, PositiveInt] = Field(default_factory=dict)  # more sizes of the cell
    dropout: float = Field(default=0.25, ge=0.0, le=0.99)
    sequence_length: PositiveInt = 128


Settings = TypeVar("Settings", bound=TrainingSettings)


def settings_from(kind: type[Settings], options: Mapping[str, Any]) -> Settings:
    """Settings with these options set; E705 names each option that cannot be.

    >>> settings_from(TrainingSettings, {"epochs": 2}).epochs
    2.0
    """
    options = dict(options)
    if not {"minutes", "epochs", "steps"} & options.keys():
        options["minutes"] = DEFAULT_MINUTES
    try:
        return kind.model_validate(options)
    except ValidationError as error:
        facts = [
            Fact(".".join(map(str, fault["loc"])), repr(fault["input"]), fault["msg"])
            for fault in error.errors()
            if fault["loc"]
        ]
        messages = "; ".join(fault["msg"].removeprefix("Value error, ") for fault in error.errors())
        raise DataProblem("E705", f"these settings cannot be: {messages}", facts=facts) from error
