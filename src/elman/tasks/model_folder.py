"""The model folder: what a network is, in text, beside its weights; none of it can run as code.

config.json         equations, sizes, the name of the vocabulary's file, version
vocabulary.json     the characters, in order
model.safetensors   one array per parameter, and the hashes of the two texts it was trained with
README.md           the same for a person
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from elman.cell.files import read_json
from elman.errors import Fact, FileProblem
from elman.tasks.files import read_model, sha256, write_atomically
from elman.tasks.tensor_file import Tensors, read_tensors, write_tensors
from elman.tasks.text import Vocabulary

CONFIG, VOCABULARY, WEIGHTS, README = (
    "config.json",
    "vocabulary.json",
    "model.safetensors",
    "README.md",
)


class ModelConfig(BaseModel):
    """config.json of a character language model: enough to build the network again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    task: Literal["lm"] = "lm"
    level: Literal["char"] = "char"
    cell: str | None  # its name
    equations: str
    embedding_size: PositiveInt
    hidden_size: PositiveInt
    num_layers: PositiveInt
    sizes: dict[str, PositiveInt]  # further sizes of the cell, by name
    dropout: float = Field(ge=0.0, le=0.99)
    vocabulary: Literal["vocabulary.json"] = "vocabulary.json"
    vocabulary_size: PositiveInt


def save_model_folder(
    folder: Path,
    config: ModelConfig,
    vocabulary: Vocabulary,
    tensors: Mapping[str, torch.Tensor],
    figures: Mapping[str, Any],
) -> None:
    """Write a folder in one step, or only its weights where the folder stands and says the same.

    `figures` (the step, the validation loss, ...) go into the weights' header.
    """
    texts = {
        CONFIG: config.model_dump_json(indent=2) + "\n",
        VOCABULARY: json.dumps(list(vocabulary.characters), ensure_ascii=False) + "\n",
    }
    words = {**_hashes(config, vocabulary), "figures": dict(figures)}
    if all(_holds(folder / name, text) for name, text in texts.items()):
        write_tensors(folder / WEIGHTS, tensors, words)
        return
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    texts[README] = describe(config, sum(tensor.numel() for tensor in tensors.values()))
    for name, text in texts.items():
        write_atomically(temporary / name, text.encode())
    write_tensors(temporary / WEIGHTS, tensors, words)
    if folder.exists():
        shutil.rmtree(folder)
    temporary.replace(folder)


def read_model_folder(folder: Path) -> tuple[ModelConfig, Vocabulary, Tensors]:
    """What a folder holds, checked; the caller builds the network and checks the arrays' shapes.

    Errors: FileProblem E601-E608, each naming the file and what in it does not fit.
    """
    if not folder.is_dir():
        raise FileProblem("E601", f"there is no model folder {folder}")
    config = read_model(ModelConfig, read_json(folder / CONFIG), folder / CONFIG)
    vocabulary = _read_vocabulary(folder / VOCABULARY, config.vocabulary_size)
    tensors, words = read_tensors(folder / WEIGHTS)
    for name, found in _hashes(config, vocabulary).items():
        if words.get(name) != found:
            raise FileProblem(
                "E608",
                f"the {name} in {folder} are not those that the weights were trained with",
                facts=[
                    Fact(name, found[:12], f"hash of those in {_file_of(name)}"),
                    Fact("trained with", str(words.get(name))[:12], f"hash in {WEIGHTS}"),
                ],
                rule="Weights mean nothing under other equations or characters.",
                fix=f"Put {_file_of(name)} back as it was, or train again.",
            )
    return config, vocabulary, tensors


def describe(config: ModelConfig, parameters: int) -> str:
    """README.md: what the network is, for a person who finds the folder."""
    equations = config.equations.strip("\n")
    sizes = "".join(f", {name} {size}" for name, size in config.sizes.items())
    name = f" ({config.cell})" if config.cell else ""
    return f"""# A character language model

{parameters:,} parameters: an embedding ({config.vocabulary_size} characters, \
{config.embedding_size} wide), {config.num_layers} recurrent layer(s)
of hidden size {config.hidden_size}{sizes}, dropout {config.dropout}, and a linear layer to the \
characters. The recurrent cell{name}:

```
{equations}
```

Made by Elman: `elman generate FOLDER --prompt "..."` writes with it, `elman evaluate FOLDER TEXT`
measures it. `config.json` holds the equations and sizes, `vocabulary.json` the characters,
`model.safetensors` the weights. Nothing here is code.
"""


def _hashes(config: ModelConfig, vocabulary: Vocabulary) -> dict[str, str]:
    return {"equations": sha256(config.equations), "characters": sha256(vocabulary.characters)}


def _file_of(name: str) -> str:
    return CONFIG if name == "equations" else VOCABULARY


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def _read_vocabulary(path: Path, size: int) -> Vocabulary:
    value = read_json(path)
    if not isinstance(value, list) or not all(isinstance(c, str) and len(c) == 1 for c in value):
        raise FileProblem("E606", f"{path} must be a list of single characters")
    if value != sorted(set(value)):
        raise FileProblem("E606", f"{path} must list each character once, by code point")
    if len(value) != size:
        raise FileProblem(
            "E606",
            f"{path} has {len(value)} characters, {CONFIG} says {size}",
            fix="Put both files back as they were.",
        )
    return Vocabulary("".join(value))
