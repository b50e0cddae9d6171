"""How the cells of the table are compiled for tests."""

from __future__ import annotations

import pytest

from elman.backends import c_compile
from tests.backends import table


@pytest.fixture(autouse=True)
def many_cells_are_compiled_in_a_hurry(request, monkeypatch):
    """The pilots as for users; the many others at -O1, which takes the compiler half the time.

    `make test-slow` compiles all of them as for users.
    """
    name = getattr(getattr(request.node, "callspec", None), "params", {}).get("name")
    if name not in table.CELLS or name in table.PILOTS or request.node.get_closest_marker("slow"):
        return
    for_users = c_compile.flags

    def hurried(compiler: c_compile.Command) -> tuple[str, ...]:
        assert "-O2" in for_users(compiler)
        return tuple("-O1" if flag == "-O2" else flag for flag in for_users(compiler))

    monkeypatch.setattr(c_compile, "flags", hurried)
