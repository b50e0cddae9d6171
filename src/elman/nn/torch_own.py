"""What a drop-in of ours leaves to the class of torch's that it is made from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.fx import Proxy

# what torch's own class knows nothing of
OF_OURS = ("_stack", "_stacks", "_calls", "_frozen", "remat")


class OnTorchs(torch.nn.Module):
    """A drop-in, which torch's compilers of modules see as torch's own."""

    def __prepare_scriptable__(self) -> torch.nn.Module:
        """What torch.jit.script compiles in its place: torch's own class on these weights."""
        own: Any = next(c for c in type(self).__mro__ if c.__module__ == "torch.nn.modules.rnn")
        plain: torch.nn.Module = own.__new__(own)
        plain.__dict__.update({k: v for k, v in self.__dict__.items() if k not in OF_OURS})
        return plain


def served(forward: Callable[..., Any], input: Any, hx: Any) -> Any:
    """What torch's own forward gives; in a graph of torch.fx the module, as torch's own is there.

    torch.fx knows by their package which modules to leave whole.
    """
    if not isinstance(input, Proxy):
        return forward(input, hx)
    module: Any = forward.__self__  # type: ignore[attr-defined]
    given = (input,) if hx is None else (input, hx)
    tracer = input.tracer
    return tracer.create_proxy("call_module", tracer.path_of_module(module), given, {})
