"""The package: what it needs, what is in it, and that it serves the page from wherever it was installed."""

from __future__ import annotations

import ast
import gc
import os
import re
import socket
import subprocess
import sys
import time
import zipfile
from importlib.metadata import version
from pathlib import Path

import httpx2
import pytest
import yaml
from packaging.requirements import Requirement

import attnflow
from attnflow import bundled, cli
from attnflow.errors import AttnflowError
from attnflow.web import launch, origins
from tests.lowest import declared, lowest, project

TOP = Path(__file__).parent.parent
COME_WITH = {
    "httpx2": "huggingface_hub",
    "yaml": "huggingface_hub",
    "tokenizers": "transformers",
    "fastapi": "gradio",
    "starlette": "gradio",
}
"""What is imported and not declared, since it must be what the named package uses."""


def listed(path: Path) -> list[Requirement]:
    """The requirements of a file for pip."""
    return [Requirement(line) for line in path.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]


# ---- what it needs


def test_the_space_runs_on_versions_that_the_package_allows():
    space, package = ({one.name: one for one in found} for found in (listed(TOP / "requirements.txt"), declared()))
    assert set(space) == set(package)
    for name, pinned in space.items():
        assert pinned.extras == package[name].extras, name
        assert package[name].specifier.contains(version(name)), f"{name} {version(name)} is not allowed by the package"
        if "==" not in str(pinned.specifier):
            assert pinned.specifier == package[name].specifier, name
        for part in pinned.specifier:
            assert part.operator != "==" or package[name].specifier.contains(part.version), pinned


def test_every_requirement_has_a_lowest_and_a_highest_version():
    optional = [Requirement(text) for texts in project()["optional-dependencies"].values() for text in texts]
    for requirement in [*declared(), *optional]:
        assert sorted(part.operator for part in requirement.specifier) == ["<", ">="], requirement
    assert lowest(Requirement("one[b,a]>=1.5,<2")) == "one[a,b]==1.5"


def test_everything_imported_is_declared():
    imported = set()
    for path in bundled.ASSETS.parent.joinpath("attnflow").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            imported |= {name.split(".")[0] for name in names}
    known = {requirement.name for requirement in declared()}
    assert set(COME_WITH.values()) <= known
    own = {"attnflow", "_typeshed", "spaces"}  # the second is for type checkers alone, the third comes with a Space
    assert imported - set(sys.stdlib_module_names) - own <= known | set(COME_WITH)


# ---- what is in it


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", arguments[0], "-q", "--no-deps", "--no-index", *arguments[1:]]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The package, built without a network."""
    out = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-build-isolation", "-w", str(out), str(TOP))
    (found,) = out.iterdir()
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A folder into which it was installed."""
    out = tmp_path_factory.mktemp("installed")
    pip("install", "--target", str(out), str(wheel))
    return out


def test_it_has_the_code_and_the_assets_and_nothing_else(wheel):
    assert wheel.name == f"attnflow-{attnflow.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    tracked = subprocess.run(["git", "ls-files"], cwd=TOP, capture_output=True, text=True, check=True).stdout.split()
    code = {path for path in tracked if path.startswith("attnflow/") and (TOP / path).exists()}
    assets = {f"attnflow/{path}" for path in tracked if path.startswith(("assets/demo/", "assets/page/"))}
    assert names == code | {path for path in assets if not path.endswith(".d.ts")}


def test_it_says_what_it_is(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = [archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA")]
        (commands,) = [archive.read(name).decode() for name in archive.namelist() if name.endswith("entry_points.txt")]
    lines = metadata.splitlines()
    assert f"Version: {attnflow.__version__}" in lines
    assert "License-Expression: Apache-2.0" in lines
    assert {line.removeprefix("Provides-Extra: ") for line in lines if line.startswith("Provides-Extra")} == {
        *("web", "texts", "cluster", "umap")
    }
    assert "attnflow = attnflow.cli:main" in commands


def test_citation_and_changelog_speak_of_this_version():
    citation = yaml.safe_load((TOP / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == attnflow.__version__
    headings = re.findall(r"^## (.+)$", (TOP / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    released = [heading for heading in headings if heading != "Unreleased"]
    assert released[0] == f"{attnflow.__version__} ({citation['date-released']})"
    assert {"authors", "cff-version", "message", "title"} <= set(citation)  # what the format asks for
    for paper in citation["references"]:
        assert {"authors", "title", "type", "year"} <= set(paper), paper
        assert all({"family-names", "given-names"} == set(author) for author in paper["authors"])


def environment(path: Path, **more: str) -> dict[str, str]:
    """That of a process which finds the installed package before the checkout."""
    return {**os.environ, "PYTHONPATH": str(path), **more}


def test_it_serves_the_page_where_it_was_installed(installed, tmp_path):
    where = "import attnflow.bundled as b; print(b.__file__); print(b.ASSETS)"
    found = subprocess.run(
        [sys.executable, "-c", where], cwd=tmp_path, env=environment(installed), capture_output=True, text=True
    )
    assert all(line.startswith(str(installed)) for line in found.stdout.splitlines()), found
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serving = subprocess.Popen(
        [sys.executable, "-m", "attnflow", "serve", "--port", str(port)],
        cwd=tmp_path,
        env=environment(installed),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        page = wait_for(f"http://127.0.0.1:{port}/", serving)
        script = re.search(r"attnflow/assets/[0-9a-f]{12}/radial/radial\.js", page).group()
        answer = httpx2.get(f"http://127.0.0.1:{port}/{script}", trust_env=False)
        assert answer.status_code == 200
        assert answer.text == (TOP / "assets" / "page" / "radial" / "radial.js").read_text(encoding="utf-8")
    finally:
        serving.terminate()
        serving.communicate(timeout=30)


def wait_for(url: str, process: subprocess.Popen) -> str:
    """The page, as soon as it is served."""
    with httpx2.Client(trust_env=False) as client:
        for _ in range(600):
            assert process.poll() is None, process.stderr.read()
            try:
                return client.get(url).raise_for_status().text
            except httpx2.TransportError:
                time.sleep(0.2)
    raise AssertionError("the page is not served")


# ---- the command


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "attnflow", *arguments]
    return subprocess.run(command, cwd=TOP, env={**os.environ, **settings}, capture_output=True, text=True)


def test_it_tells_its_version_and_how_it_is_used():
    assert run("--version").stdout == f"attnflow {attnflow.__version__}\n"
    told = run("serve", "--help").stdout
    assert all(name in told for name in ("--host", "--port", "PORT", "ATTNFLOW_HOSTS", "0.0.0.0"))
    assert "serve the page and its endpoints" in run("--help").stdout
    nothing = run()
    assert nothing.returncode == 2
    assert "required: COMMAND" in nothing.stderr


@pytest.fixture
def launched(monkeypatch):
    """How the page would be launched; it is not."""
    calls = []
    page = type("Page", (), {"launch": lambda self, **options: calls.append(options)})()
    monkeypatch.setattr(launch, "ready", lambda: page)
    monkeypatch.setattr(launch.tokenizer_process, "warm", lambda: None)
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.setenv("GRADIO_SERVER_NAME", "")
    return calls


def test_it_listens_where_it_is_told_and_answers_to_that_name(launched, monkeypatch):
    assert cli.main(["serve"]) == 0
    monkeypatch.setenv("PORT", "7999")
    monkeypatch.setattr(launch, "_bind", lambda host, port: None)  # this machine has no such name
    assert cli.main(["serve", "--host", "models.example"]) == 0
    assert origins.host_is_ours("models.example:7999")
    assert cli.main(["serve", "--port", "8000"]) == 0
    assert [(call["server_name"], call["server_port"]) for call in launched] == [
        (None, None),
        ("models.example", 7999),
        (None, 8000),
    ]


def test_nothing_looks_for_garbage_while_the_page_is_made_nor_among_it_later(launched, monkeypatch):
    seen, before = [], gc.get_freeze_count()
    ready = launch.ready
    monkeypatch.setattr(launch, "ready", lambda: seen.append(gc.isenabled()) or ready())
    assert cli.main(["serve"]) == 0
    assert seen == [False] and gc.isenabled() and gc.get_freeze_count() > before
    assert cli.main(["serve", "--port=x"]) == 1
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--device=nowhere", "device is 'nowhere', and this machine has no such device; give 'auto', 'cpu' or"),
        ("--dtype=int8", "dtype is 'int8'; give one of float32, float64, bfloat16, float16"),
    ],
)
def test_a_device_or_precision_that_is_none_is_told_before_it_serves(launched, option, message, capsys, monkeypatch):
    for name in ("ATTNFLOW_DEVICE", "ATTNFLOW_DTYPE"):
        monkeypatch.setenv(name, "")
    assert cli.main(["serve", option]) == 1
    assert message in capsys.readouterr().err and not launched


@pytest.mark.parametrize("wrong", ["x", "0", "65536", "-1", "٣"])
def test_a_port_that_is_none_is_told(launched, wrong, capsys, monkeypatch):
    assert cli.main(["serve", f"--port={wrong}"]) == 1
    monkeypatch.setenv("PORT", wrong)
    assert cli.main(["serve"]) == 1
    line = f"attnflow: The port is {wrong!r}; it must be a whole number from 1 to 65535.\n"
    assert capsys.readouterr().err == line * 2
    assert not launched


@pytest.mark.parametrize("host", ["models.invalid", "192.0.2.1", "x" * 70])
def test_an_address_that_is_not_this_machines_is_told_at_once(launched, host):
    with pytest.raises(AttnflowError, match=f"Nothing can listen on port 7860 of {host}; choose another"):
        launch.serve(launch.ready(), host=host)
    assert not launched


def test_a_port_that_is_taken_is_told():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AttnflowError, match=f"Nothing can listen on port {port} of 127.0.0.1; choose another"):
            launch.serve(launch.ready(), host="127.0.0.1", port=port)


def test_a_page_that_cannot_be_drawn_for_want_of_gradio_says_what_to_install():
    code = "import sys; sys.modules['gradio'] = None; from attnflow.cli import main; sys.exit(main(['serve']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.endswith("install it with pip install 'attnflow[web]'.\n"), done.stderr
