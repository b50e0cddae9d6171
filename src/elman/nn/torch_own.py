"""What a drop-in of ours leaves to the class of torch's that it is made from."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch.fx import Proxy

from elman.errors import BackendProblem, ElmanError
from elman.nn.refused import refused, torchs_own
from elman.nn.refused_making import OPTIONS, refused_making, signature

Class = TypeVar("Class", bound=type[torch.nn.Module])
# what torch's own class knows nothing of
OF_OURS = {"_stack", "_stacks", "_calls", "_frozen", "_within", *OPTIONS}


def refusing(more: Mapping[str, Any]) -> Callable[[Class], Class]:
    """A drop-in whose constructor says what is wrong with its arguments; `more` torch lacks."""

    def changed(cls: Class) -> Class:
        make: Any = cls.__init__

        @functools.wraps(make)
        def init(self: Any, *args: Any, **named: Any) -> None:
            try:
                make(self, *args, **named)
            except ElmanError:
                raise
            except Exception as problem:
                found = refused_making(cls.__name__, args, named, more, problem)
                if found is None:
                    raise
                raise found from problem

        init.__signature__ = signature(cls.__name__, more)  # type: ignore[attr-defined]
        cls.__init__ = init  # type: ignore[misc]
        return cls

    return changed


class DropIn(torch.nn.Module):
    """A class of ours in the place of one of torch's; torch.jit.script sees torch's own."""

    def __prepare_scriptable__(self) -> torch.nn.Module:
        """What torch.jit.script compiles in its place: torch's own class on these weights."""
        own = torchs_own(self)
        if getattr(self, "is_more", False):
            raise BackendProblem(
                "E549",
                f"torch.jit.script knows torch's {own.__name__} alone, not {self}",
                fix="Trace the model: torch.jit.trace(model, x).",
            )
        plain: torch.nn.Module = own.__new__(own)
        plain.__dict__.update({k: v for k, v in self.__dict__.items() if k not in OF_OURS})
        return plain


def served(forward: Callable[..., Any], input: Any, hx: Any) -> Any:
    """What torch's own forward gives."""
    if not isinstance(input, Proxy):
        return forward(input, hx) if torch.compiler.is_compiling() else _tried(forward, input, hx)
    return module_node(forward.__self__, input, hx)  # type: ignore[attr-defined]


def module_node(module: Any, input: Proxy, hx: Any, **named: Any) -> Any:
    """The module in a graph of torch.fx, which knows torch's own by their package."""
    tracer = input.tracer
    if getattr(tracer, "root", None) is module:  # and is no part of itself: torch refuses too
        return torchs_own(module).forward(module, input, hx)
    given = (input,) if hx is None else (input, hx)
    said = {name: value for name, value in named.items() if value is not None}
    return tracer.create_proxy("call_module", tracer.path_of_module(module), given, said)


def _tried(forward: Callable[..., Any], input: Any, hx: Any) -> Any:
    try:
        return forward(input, hx)
    except Exception as problem:
        found = refused(forward.__self__, input, hx, problem)  # type: ignore[attr-defined]
        if found is None:
            raise
        raise found from problem
