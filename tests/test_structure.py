"""The package keeps its shape: who may import whom, what is exported, and that the README's file map is true."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import attnflow

TOP = Path(__file__).parent.parent
PACKAGE = TOP / "attnflow"

# A module imports only from lower layers. `model` modules run torch, `array` modules only NumPy: neither imports the
# other, they meet in the records and in `service`.
LAYERS = {
    "errors": (0, "both"),
    "limits": (1, "both"),
    "tokens": (1, "both"),
    "rounding": (1, "both"),
    "cache": (1, "both"),
    "correlation": (1, "both"),
    "records": (1, "both"),
    "disk": (1, "both"),
    "progress": (1, "both"),
    "visitors": (2, "both"),
    "hub": (2, "model"),
    "specialise": (1, "model"),
    "attention": (2, "model"),
    "relevance": (2, "model"),
    "linear": (3, "model"),
    "layers": (3, "model"),
    "fallback": (3, "model"),
    "tokenizer_files": (1, "model"),
    "checkpoint": (4, "model"),
    "search": (5, "model"),
    "tracing": (5, "model"),
    "targets": (6, "model"),
    "pushforward": (6, "model"),
    "closed_form": (7, "model"),
    "attribution": (8, "model"),
    "question": (8, "model"),
    "losses": (7, "model"),
    "sweeps": (8, "model"),
    "head_parameters": (8, "model"),
    "importance": (9, "model"),
    "pruning": (10, "model"),
    "head_matrix": (2, "array"),
    "graph": (2, "array"),
    "rollout": (2, "array"),
    "agreement": (2, "array"),
    "positions": (3, "array"),
    "patterns": (3, "array"),
    "comparison": (3, "array"),
    "flow": (4, "array"),
    "explanations": (11, "both"),
    "figures": (12, "array"),
    "service": (13, "both"),
    "head_cases": (14, "both"),
    "ui": (15, "both"),
    "demo": (16, "both"),
}
HEAVY = {
    "torch": "model",
    "transformers": "model",
    "sentencepiece": "model",
    "huggingface_hub": "model",
    "httpx2": "model",
    "gradio": "ui",
    "plotly": "ui",
}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def unit_of(path: Path) -> str:
    """The entry of LAYERS a file belongs to: its own name, or that of its folder."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> list[str]:
    """Full names of everything a file imports, also inside functions."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_and_branches_do_not_meet(path):
    layer, branch = LAYERS[unit_of(path)]
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "attnflow" and len(parts) > 1 and parts[1] in LAYERS and parts[1] != unit_of(path):
            below, other = LAYERS[parts[1]]
            assert below < layer, f"{path.name} imports {name}, which is not below it"
            assert {branch, other} != {"model", "array"}, f"{path.name} imports {name} of the other branch"
        home = HEAVY.get(parts[0])
        assert home in (None, branch) or unit_of(path) in ("ui", "demo"), f"{path.name} imports {parts[0]}"
        if home == "ui":
            assert unit_of(path) == "ui", f"{path.name} imports {parts[0]}"


def test_every_module_has_a_place_and_says_what_it_is_for():
    assert {unit_of(path) for path in modules()} == set(LAYERS)
    for path in modules():
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_no_module_is_longer_than_400_lines():
    assert {p.name: n for p in modules() if (n := len(p.read_text(encoding="utf-8").splitlines())) > 400} == {}


def test_importing_attnflow_loads_nothing_heavy():
    code = "import attnflow, sys; print([m for m in ('torch', 'transformers', 'gradio', 'plotly') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


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
            (TOP / path).suffix in {".safetensors", ".png"}
            or path == "tests/test_structure.py"
            or not (TOP / path).exists()
        ):
            continue
        found = wrong.search((TOP / path).read_text(encoding="utf-8"))
        assert not found, f"{path}: {found and found.group()}"
