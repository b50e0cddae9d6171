"""The laws of the house, as functions from source text to a list of what breaks them."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

# A file may import from rooms above its own, and from its own. Rooms on one line share a floor.
FLOORS = (
    ("errors",),
    ("ir",),
    ("language",),
    ("passes",),
    ("backends",),
    ("library",),
    ("trace",),
    ("cell",),
    ("elman",),  # the face, elman/__init__.py
    ("sheets",),
    ("nn",),
    ("tasks",),
    ("export",),
    ("bench",),
    ("cli", "web", "__main__"),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

LONGEST_FILE, LONGEST_WRITER, LONGEST_FUNCTION = 450, 600, 40
FORBIDDEN_NAMES = {"utils", "util", "core", "base", "helpers", "helper", "common", "misc"}
FORBIDDEN_IMPORTS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
# Packages that a plain installation may lack, or that take long to import.
OPTIONAL = {
    "torch",
    "triton",
    "safetensors",
    "onnx",
    "onnxruntime",
    "jax",
    "matplotlib",
    "torchrecurrent",
}
SPARES = re.compile(r"#.*\bspares (\w+)")

_DEVELOPER_PATH = re.compile(r"(?<![\w.$~])/(?:home|Users|root|work)/[\w.-]+")
_REGISTRY = re.compile(
    r"\b(?:pypi\.org|pythonhosted\.org|anaconda\.org|conda\.io|npmjs\.(?:org|com))"
)
_TORCH_INDEX = re.compile(r"\bdownload\.pytorch\.org")


def room_of(path: Path) -> str:
    """The room of a file given relative to src/elman: `nn` for nn/layer.py, `cell` for cell.py."""
    if len(path.parts) > 1:
        return path.parts[0]
    return "elman" if path.stem == "__init__" else path.stem


def imports(node: ast.stmt, package: tuple[str, ...]) -> list[str]:
    """The modules that an import names: `from elman import errors` names elman.errors."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    above = package[: len(package) - node.level + 1] if node.level else ()
    module = ".".join((*above, *(node.module.split(".") if node.module else ())))
    if module == "elman":
        rooms = [alias.name for alias in node.names if alias.name in FLOOR_OF]
        return [f"elman.{room}" for room in rooms] or ["elman"]
    return [module]


def import_law(source: str, path: Path) -> list[str]:
    """Imports of a room below the file's own."""
    here = room_of(path)
    if here not in FLOOR_OF:
        return [f"{path}: the house has no room {here!r}"]
    package = ("elman", *path.parts[:-1])
    found = []
    for node in ast.walk(ast.parse(source)):
        for module in imports(node, package) if isinstance(node, ast.stmt) else []:
            top, *rest = module.split(".")
            there = (rest[0] if rest else "elman") if top == "elman" else None
            lazily_shown = path == Path("__init__.py") and there in ("nn", "sheets")
            if there is None or there == here or lazily_shown:
                continue
            if FLOOR_OF.get(there, len(FLOORS)) > FLOOR_OF[here]:
                found.append(f"{path}:{node.lineno}: {here} may not import elman.{there}, below it")
    return found


def buried_imports(source: str, path: Path) -> list[str]:
    """Imports inside functions, but for optional packages and lines that say what they spare."""
    if path == Path("__init__.py"):
        return []  # reaches elman.nn lazily
    lines = source.splitlines()
    buried = (
        node
        for function in functions(source)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    )
    found = {}
    for node in buried:
        optional = all(module.split(".")[0] in OPTIONAL for module in imports(node, ("elman",)))
        spared = SPARES.search("\n".join(lines[node.lineno - 1 : node.end_lineno]))
        spares_something = spared is not None and spared[1] not in sys.stdlib_module_names
        if not optional and not spares_something:
            found[node.lineno] = (
                f"{path}:{node.lineno}: an import inside a function must be of an optional "
                "package, or say in a comment which package it spares (`# spares torch`)"
            )
    return list(found.values())


def functions(source: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(source)
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def sizes(source: str, path: Path) -> list[str]:
    """A file or a function, docstring and all, that is longer than the house allows."""
    length = len(source.splitlines())
    most = LONGEST_WRITER if path.stem.endswith("_write") else LONGEST_FILE
    found = [f"{path}: {length} lines, {most} are allowed"] if length > most else []
    for function in functions(source) if path.suffix == ".py" else []:
        height = (function.end_lineno or function.lineno) - function.lineno + 1
        if height > LONGEST_FUNCTION:
            found.append(
                f"{path}:{function.lineno}: {function.name} has {height} lines, "
                f"{LONGEST_FUNCTION} are allowed"
            )
    return found


def names(path: Path) -> list[str]:
    """A folder or module whose name says nothing."""
    parts = {part.removesuffix(".py").strip("_") for part in path.parts}
    return [f"{path}: no {name!r} in this house" for name in sorted(parts & FORBIDDEN_NAMES)]


def pickles(source: str, path: Path) -> list[str]:
    """Whatever could run code from a file: pickle and its kin, torch.load, allow_pickle, eval."""
    found = []
    for node in ast.walk(ast.parse(source)):
        what = ""
        if isinstance(node, ast.stmt):
            roots = {module.split(".")[0] for module in imports(node, ("elman",))}
            what = ", ".join(sorted(roots & FORBIDDEN_IMPORTS))
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            what = called if called in ("torch.load", "torch.save", "eval", "exec") else ""
            what = "allow_pickle" if "allow_pickle=True" in ast.unparse(node) else what
        if what:
            found.append(f"{path}:{node.lineno}: {what} in a house without pickle")
    return found


def paths_and_hosts(text: str, path: Path) -> list[str]:
    """An absolute path of somebody's machine, or the host of a package registry."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        for pattern in (_DEVELOPER_PATH, _REGISTRY, _TORCH_INDEX):
            match = pattern.search(line)
            if match and not (pattern is _TORCH_INDEX and path == Path("README.md")):
                found.append(f"{path}:{number}: {match[0]!r} does not belong in a tracked file")
    return found
