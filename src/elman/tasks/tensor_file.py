"""One safetensors file, written in one step: arrays by name, with a few JSON words about them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from elman.cell.files import read_bytes
from elman.errors import Fact, FileProblem, WeightProblem
from elman.tasks.files import write_atomically

Tensors = dict[str, torch.Tensor]
HEADER = "elman"  # the one key of the file's metadata; its value is JSON


def write_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], words: Mapping[str, Any]
) -> None:
    """Replace a file by these arrays; `words` is any JSON mapping kept in the file's header."""
    plain = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    write_atomically(path, save(plain, metadata={HEADER: json.dumps(dict(words))}))


def read_tensors(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """The arrays and the words of a file; E607 where it is cut short or not such a file."""
    data = read_bytes(path)
    try:
        tensors = load(data)
        length = int.from_bytes(data[:8], "little")
        words = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][HEADER])
    except SafetensorError as error:
        raise FileProblem(
            "E607",
            f"{path} is damaged: it cannot be read as safetensors",
            facts=[Fact("length", f"{len(data)} bytes", str(error))],
            rule="The file was cut short or changed after it was written.",
        ) from error
    except (KeyError, ValueError) as error:
        raise FileProblem("E607", f"{path} was not written by elman: no words about it") from error
    return tensors, words


def check_tensors(path: Path, tensors: Mapping[str, torch.Tensor], wanted: Tensors) -> None:
    """E506 where a file's arrays are not, by name, shape and type, those that are wanted."""
    facts = []
    for name in dict.fromkeys([*wanted, *tensors]):
        have, want = (_look(group.get(name)) for group in (tensors, wanted))
        if have != want:
            facts.append(Fact(name, have, f"the equations and sizes need {want}"))
    if facts:
        names = ", ".join(fact.name for fact in facts[:4]) + ", ..." * (len(facts) > 4)
        raise WeightProblem(
            "E506",
            f"{path} does not fit its network: {names}",
            facts=facts[:8],
            rule="Each array has the name and shape that the equations and sizes give it.",
        )


def _look(tensor: torch.Tensor | None) -> str:
    if tensor is None:
        return "absent"
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
