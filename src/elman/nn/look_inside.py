"""What lets torch.compile trace the drop-ins, which it refuses for being torch's LSTM, GRU, RNN.

Its own switch, `torch._dynamo.config.allow_rnn`, is for all such layers, and torch's own fail under
it while training: it is on only while a drop-in is looked at. Packed sequences stay outside of
graphs, as with torch's own layers: how they are cut into pieces depends on their lengths.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import torch

BUILDER = "torch._dynamo.variables.builder"  # the part of torch.compile that refuses them
OUTSIDE = "_run_packed"  # the method that is called outside of graphs


def look_inside(kind: type, *packing: type) -> None:
    """Have torch.compile trace modules of a kind: now, or as soon as anybody imports it.

    Of it and of the other classes, `OUTSIDE` stays as it is without torch.compile.
    """
    builder = sys.modules.get(BUILDER)
    if builder is None:
        sys.meta_path.insert(0, _Waiting(kind, packing))
    else:
        _open(builder, kind, packing)


def _open(builder: ModuleType, kind: type, packing: tuple[type, ...]) -> None:
    """Turn the switch on for modules of a kind; another torch may have no such switch."""
    shared = getattr(builder, "VariableBuilder", None)
    wrap = getattr(shared, "wrap_module", None)
    if wrap is None or not hasattr(builder.config, "allow_rnn"):
        return

    def wrap_module(self: Any, value: Any) -> Any:
        for each in (kind, *packing):  # not before: the compiler is whole by now
            _leave_outside(each)
        if not isinstance(value, kind):
            return wrap(self, value)
        with builder.config.patch(allow_rnn=True):
            return wrap(self, value)

    shared.wrap_module = wrap_module  # type: ignore[union-attr]


def _leave_outside(kind: Any) -> None:
    """Have what runs packed sequences called as it is without torch.compile."""
    method = getattr(kind, OUTSIDE)
    if not hasattr(method, "_torchdynamo_disable"):
        setattr(kind, OUTSIDE, torch.compiler.disable(method, reason="a packed sequence"))


class _Waiting(MetaPathFinder):
    """Stands in line for the import of torch.compile, which takes a second and may never come."""

    def __init__(self, kind: type, packing: tuple[type, ...]) -> None:
        self.kind, self.packing = kind, packing

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != BUILDER:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        loader: Any = None if spec is None else spec.loader
        if loader is not None:
            execute = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                _open(module, self.kind, self.packing)

            loader.exec_module = exec_module
        return spec
