"""Which tests one process runs one after the other, where several run tests."""

from __future__ import annotations

from tests.backends.table import CELLS

BY_CELL = ("backends/test_table.py", "backends/test_runs.py", "cell/test_stream.py")
# long tests that share nothing
EACH = ("backends/test_portability.py", "backends/test_sanitizers.py", "pages/test_pdflatex.py")


def group_of(nodeid: str) -> str:
    """The file of a test, or its cell where a file has all cells, or the test alone.

    Tests of a group share what they compile and the reference, which two processes would both make.
    """
    file, _, test = nodeid.partition("::")
    if file.endswith(EACH):
        return nodeid
    name = test.partition("[")[2].rstrip("]").partition("-")[0]
    return name if file.endswith(BY_CELL) and name in CELLS else file
