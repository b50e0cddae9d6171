"""Which tests can run on this machine, and how cells are compiled for them."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from elman.backends import c_compile, c_run
from tests.backends.table import CELLS, PILOTS, TYPICAL
from tests.groups import group_of

os.environ.setdefault("ELMAN_DEBUG", "1")  # the IR's law is checked after every pass

# The same examples every time: a red test stays red, and a green one was not luck of the day.
settings.register_profile("house", deadline=None, derandomize=True, max_examples=50)
settings.register_profile("long", deadline=None, derandomize=True, max_examples=500)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))


def _no_compiler() -> str:
    from elman.backends import c_compiler

    found = c_compiler.find()
    return "" if found else "no C compiler (cc, gcc, clang, ziglang, or ELMAN_CC)"


def _no_torch() -> str:
    found = importlib.util.find_spec("torch")
    return "" if found else "torch is not installed: pip install 'elman[torch]'"


def _no_gpu() -> str:
    if reason := _no_torch():
        return reason
    import torch

    return "" if torch.cuda.is_available() else "no CUDA device"


MISSING = {"c": _no_compiler, "torch": _no_torch, "gpu": _no_gpu}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reasons: dict[str, str] = {}
    for item in items:
        for need in MISSING.keys() & {mark.name for mark in item.iter_markers()}:
            if need not in reasons:
                reasons[need] = MISSING[need]()
            if reasons[need]:
                item.add_marker(pytest.mark.skip(reason=reasons[need]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests by their groups; by no mark, as pytest-xdist 3.8 does not see those of pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling  # spares xdist

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return ByGroup(config, log)


@pytest.fixture(autouse=True)
def cells_are_compiled_in_a_hurry(request, monkeypatch):
    """For values alone: at -Og, which takes the compiler half the time.

    Where backends are compared, the pilots as for users, the other typical cells at -O1. In
    `make test-slow`, and in the modules that say AS_FOR_USERS = True, every cell as for users.
    """
    name = getattr(getattr(request.node, "callspec", None), "params", {}).get("name")
    level = "-Og"
    if request.path.parent.name in ("backends", "cell") and name in TYPICAL:
        level = "-O1"
    if request.path.parent.name in ("backends", "cell") and (name in PILOTS or name not in CELLS):
        level = "-O2"
    if request.node.get_closest_marker("slow") or hasattr(request.module, "AS_FOR_USERS"):
        level = "-O2"
    for_users = c_compile.flags

    def hurried(compiler: c_compile.Command) -> tuple[str, ...]:
        assert "-O2" in for_users(compiler)
        return tuple(level if flag == "-O2" else flag for flag in for_users(compiler))

    if level != "-O2":
        monkeypatch.setattr(c_compile, "flags", hurried)
    left_behind.at(request.path, level)


class LeftBehind:
    """The levels of the kernels that earlier tests left: a module begins with none of another."""

    def __init__(self) -> None:
        self.module: Path | None = None
        self.levels: set[str] = set()

    def at(self, module: Path, level: str) -> None:
        if module != self.module and self.levels - {level}:
            c_run.compiled.cache_clear()  # the last bits of a cell differ from level to level
            self.levels.clear()
        self.module = module
        self.levels.add(level)


left_behind = LeftBehind()
