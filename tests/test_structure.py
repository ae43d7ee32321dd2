"""The package keeps its shape: who may import whom, what is exported, and that the README's file map is true."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import attnflow

TOP = Path(__file__).parent.parent
PACKAGE = TOP / "attnflow"

# Who may import whom: a package imports those below it and itself, and within a package nothing imports in a circle.
BELOW = {
    "errors": set(),
    "bundled": set(),
    "progress": {"errors"},
    "finalizer_lock": set(),
    "lazy": set(),
    "cache": {"progress", "finalizer_lock"},
    "limits": {"errors"},
    "extras": {"errors"},
    "records": {"errors"},
    "stats": {"records"},
    "checkpoints": {"records"},
    "runtime": {"checkpoints"},
    "methods": {"runtime", "stats"},
    "corpus": {"methods"},
    "views": {"methods", "stats"},
    "notebook": {"views"},
    "service": {"corpus"},
    "web": {"service", "views"},
    "demo": {"web"},
    "cli_options": {"web"},
    "cli_probe": {"cli_options"},
    "cli": {"cli_probe"},
    "__main__": {"cli"},
}
BASE = {"errors", "bundled", "progress", "finalizer_lock", "lazy", "cache", "limits", "extras"}
"""What every package may import."""
ARRAYS = ("records", "stats", "views")
"""Packages that work on arrays alone."""
MODEL = {"checkpoints", "runtime", "methods", "corpus"}
HEAVY = {
    "torch": MODEL,
    "transformers": MODEL,
    "sentencepiece": MODEL,
    "safetensors": MODEL,
    "huggingface_hub": {"checkpoints", "corpus"},
    "httpx2": {"checkpoints"},
    "pyarrow": {"corpus"},
    "sklearn": {"corpus"},
    "ray": {"corpus"},
    "spaces": {"service"},
    "gradio": {"web"},
    "plotly": {"web"},
}
"""Which packages may import what is slow to load."""


@cache
def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@cache
def name_of(path: Path) -> str:
    """Name of a module inside the package; that of the folder for its `__init__`."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def package_of(name: str) -> str:
    """The entry of BELOW that a module belongs to."""
    return name.split(".")[0]


def allowed(package: str) -> set[str]:
    """All packages that one may import."""
    below = BELOW[package]
    return {package, *BASE, *below}.union(*map(allowed, below))


@cache
def imports(path: Path, *, for_types: bool = True) -> list[str]:
    """Full names of everything a file imports, also inside functions, and if wanted for annotations alone."""
    names = []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    left_out = set() if for_types else {inner for node in typing for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if node in left_out:
            continue
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


@cache
def names() -> set[str]:
    return {name_of(module) for module in modules()}


def imported_modules(path: Path, *, for_types: bool = True) -> set[str]:
    """Modules of the package that a file imports."""
    found = set()
    for name in imports(path, for_types=for_types):
        parts = name.split(".")
        if parts[0] == "attnflow":
            inner = [".".join(parts[1:end]) for end in range(len(parts), 1, -1)]
            found.add(next((name for name in inner if name in names()), ""))
    return found - {"", name_of(path)}


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_go_down(path):
    name = name_of(path)
    for other in imported_modules(path):
        assert package_of(other) in allowed(package_of(name)), f"{name} imports {other}, which is not below it"
    for full in imports(path):
        homes = HEAVY.get(full.split(".")[0])
        assert homes is None or package_of(name) in {*homes, "demo"}, f"{name} imports {full}"


def test_transformers_is_imported_by_its_modules():
    """Its own `__init__` imports the 2,600 files of all its models, and pyright would read them."""
    for path in (*modules(), TOP / "app.py"):
        whole = [name for name in imports(path) if name == "transformers" or re.fullmatch(r"transformers\.\w+", name)]
        assert not whole, f"{path.name} imports {whole[0]}; import it from the module that defines it"


def test_nothing_imports_in_a_circle():
    order = graphlib.TopologicalSorter({name_of(path): imported_modules(path, for_types=False) for path in modules()})
    order.prepare()  # raises a CycleError that names the circle


def test_every_module_has_a_place_and_says_what_it_is_for():
    assert {package_of(name_of(path)) for path in modules()} == set(BELOW)
    for path in modules():
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_no_module_is_longer_than_400_lines():
    assert {p.name: n for p in modules() if (n := len(p.read_text(encoding="utf-8").splitlines())) > 400} == {}


@pytest.mark.parametrize("module", ["attnflow", "attnflow.bundled", "attnflow.cli"])
def test_importing_loads_nothing_heavy(module):
    code = (
        f"import {module}, sys; print([m for m in ('torch', 'transformers', 'gradio', 'plotly') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


WITHOUT_HEAVY = """
import importlib, sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {heavy!r}:
            raise ImportError(f"{{name}} is not to be had here")

sys.meta_path.insert(0, Refusing())
for module in {modules!r}:
    try:
        importlib.import_module(module)
    except ImportError as error:
        print(module, "needs", error)
"""


def test_array_modules_load_where_torch_and_gradio_cannot_be_imported():
    arrays = [path for path in modules() if package_of(name_of(path)) in ARRAYS]
    names = [".".join(path.relative_to(TOP).with_suffix("").parts).removesuffix(".__init__") for path in arrays]
    assert {"attnflow.stats.entropy", "attnflow.views.explanations"} <= set(names)
    code = WITHOUT_HEAVY.format(heavy=tuple(HEAVY), modules=names)
    done = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_every_exported_name_is_there():
    for name in attnflow.__all__:
        assert getattr(attnflow, name).__doc__
    assert sorted(attnflow.__all__) == attnflow.__all__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        attnflow.nothing  # noqa: B018


def test_the_file_map_of_the_readme_is_true():
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    block = re.search(r"## What is where\n.*?```\n(.*?)```", readme, re.DOTALL).group(1)
    named = {line.split()[0].rstrip("/") for line in block.splitlines() if line.strip()}
    tracked = subprocess.run(["git", "ls-files"], cwd=TOP, capture_output=True, text=True, check=True).stdout.split()
    for entry in named:
        assert (TOP / entry).exists(), f"README names {entry}, which is not there"
    for path in tracked:
        known = {path, *(str(parent) for parent in Path(path).parents)}
        assert known & named, f"README does not name {path}"


def test_the_project_speaks_of_itself_alone():
    """No path of a machine, no host of a package registry and no name of a tool of its makers."""
    wrong = re.compile(r"/work/|/root/|/home/\w|files\.pythonhosted|pypi\.org/simple|registry\.npmjs", re.IGNORECASE)
    tracked = subprocess.run(["git", "ls-files"], cwd=TOP, capture_output=True, text=True, check=True).stdout.split()
    for path in tracked:
        if (
            (TOP / path).suffix in {".safetensors", ".png", ".gz"}
            or path == "tests/test_structure.py"
            or not (TOP / path).exists()
        ):
            continue
        found = wrong.search((TOP / path).read_text(encoding="utf-8"))
        assert not found, f"{path}: {found and found.group()}"
