"""The house keeps its own laws (tests/house/law.py), and the laws can be broken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import law

ROOT = Path(__file__).parents[2]
HOUSE = ROOT / "src" / "elman"
FILES = sorted(path.relative_to(HOUSE) for path in HOUSE.rglob("*.py"))
HEADERS = sorted(path.relative_to(HOUSE) for path in HOUSE.rglob("*.h"))


@pytest.mark.parametrize("check", [law.import_law, law.buried_imports, law.sizes, law.pickles])
def test_every_file_keeps_the_law(check):
    broken = [b for path in FILES for b in check((HOUSE / path).read_text("utf-8"), path)]
    assert not broken, "\n".join(broken)


def test_headers_keep_the_size():
    broken = [b for path in HEADERS for b in law.sizes((HOUSE / path).read_text("utf-8"), path)]
    assert not broken, "\n".join(broken)


def test_names_say_something():
    broken = [b for path in FILES for b in law.names(path)]
    assert not broken, "\n".join(broken)


def test_import_elman_stays_light():
    heavy = sorted(law.OPTIONAL)
    code = f"import sys, elman; print([p for p in {heavy} if p in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"


def test_no_machine_and_no_registry_in_the_tree():
    broken = []
    for path in _tracked():
        try:
            text = (ROOT / path).read_text("utf-8")
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue  # a picture, or a file that is being moved
        broken += law.paths_and_hosts(text, path)
    assert not broken, "\n".join(broken)


def _tracked() -> list[Path]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: there is no list of tracked files")
    return [Path(name) for name in listing.stdout.split("\0") if name]


LONG_FUNCTION = "def f():\n" + "    x = 1\n" * 40
BROKEN = {
    "ir imports numpy room": (law.import_law, "ir/node.py", "from elman.backends import numpy_\n"),
    "through the face": (law.import_law, "passes/shapes.py", "from elman import cell\n"),
    "relative": (law.import_law, "language/write.py", "from ..nn import layer\n"),
    "relative, by name": (law.import_law, "language/write.py", "from .. import nn\n"),
    "the face itself": (law.import_law, "backends/c_run.py", "import elman\n"),
    "in a function": (law.import_law, "ir/node.py", "def f():\n    import elman.cli\n"),
    "unknown room": (law.import_law, "attic/box.py", "x = 1\n"),
    "buried": (law.buried_imports, "cell.py", "def f():\n    import json\n"),
    "buried house": (law.buried_imports, "cli/train.py", "def f():\n    from elman.nn import R\n"),
    "spares nothing": (law.buried_imports, "cell.py", "def f():\n    import x  # spares json\n"),
    "long function": (law.sizes, "cell.py", LONG_FUNCTION),
    "long file": (law.sizes, "cell.py", "x = 1\n" * 451),
    "long writer": (law.sizes, "backends/c_write.py", "x = 1\n" * 601),
    "pickle": (law.pickles, "tasks/save.py", "from pickle import loads\n"),
    "torch.load": (law.pickles, "tasks/save.py", "import torch\ntorch.load('x')\n"),
    "allow_pickle": (law.pickles, "tasks/save.py", "np.load('x', allow_pickle=True)\n"),
    "eval": (law.pickles, "language/read_python.py", "eval('1')\n"),
    "somebody's home": (law.paths_and_hosts, "docs/x.md", "see /ho" + "me/ada/elman\n"),
    "this machine": (law.paths_and_hosts, "Makefile", "cp /wo" + "rk/main/x .\n"),
    "a registry": (law.paths_and_hosts, "README.md", "https://py" + "pi.org/simple\n"),
    "torch's index": (law.paths_and_hosts, "Makefile", "https://download.py" + "torch.org/whl\n"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_law_is_found(name, tmp_path):
    check, path, source = BROKEN[name]
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source, "utf-8")
    assert len(check(file.read_text("utf-8"), file.relative_to(tmp_path))) == 1


KEPT = {
    "own room and above": (
        law.import_law,
        "passes/a.py",
        "from elman.ir import node\nfrom . import b\n",
    ),
    "errors by name": (law.import_law, "nn/a.py", "from elman import Cell, errors\n"),
    "the face shows nn": (law.import_law, "__init__.py", "def f():\n    from elman import nn\n"),
    "optional": (law.buried_imports, "cell.py", "def f():\n    import torch\n"),
    "spares torch": (
        law.buried_imports,
        "cli/train.py",
        "def f():\n    from elman.tasks import train  # spares torch\n",
    ),
    "a writer": (law.sizes, "backends/c_write.py", "x = 1\n" * 600),
    "forty lines": (law.sizes, "cell.py", "def f():\n" + "    x = 1\n" * 39),
    "torch's index in README": (law.paths_and_hosts, "README.md", "download.py" + "torch.org\n"),
    "a system path": (law.paths_and_hosts, "a.py", "/usr/include, runs/home/x, ./root/x\n"),
}


@pytest.mark.parametrize("name", KEPT)
def test_a_kept_law_is_left_alone(name):
    check, path, source = KEPT[name]
    assert check(source, Path(path)) == []


def test_empty_names_are_found():
    assert law.names(Path("nn/utils.py")) == ["nn/utils.py: no 'utils' in this house"]
    assert law.names(Path("core/a.py"))
    assert not law.names(Path("ir/node.py"))
