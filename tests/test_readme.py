"""The README's examples run, and its front matter fits what is installed."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

from attnflow import limits

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_example_of_the_library_runs(capsys):
    (code,) = [code for code in EXAMPLES if "import attnflow" in code]
    exec(compile(code, "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("[CLS]")
    assert all(line.split()[-1].isdigit() for line in lines)


def test_the_example_of_the_endpoints_runs(url, capsys):
    (code,) = [code for code in EXAMPLES if "gradio_client" in code]
    exec(compile(code.replace("http://127.0.0.1:7860", url), "README.md", "exec"), {})
    assert "'label': 'supported'" in capsys.readouterr().out


def test_the_front_matter_is_that_of_a_space():
    front = README.split("---\n")[1]
    keys = {
        line.split(":")[0]: line.split(":", 1)[1].strip() for line in front.splitlines() if not line.startswith(" ")
    }
    assert keys["sdk"] == "gradio"
    assert keys["sdk_version"] == version("gradio")
    assert keys["app_file"] == "app.py"
    assert keys["python_version"].strip('"') >= "3.11"
    assert len(keys["short_description"]) <= 60  # the limit of Spaces
    allowed = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {keys["colorFrom"], keys["colorTo"]} <= allowed


def test_the_table_of_limits_is_true():
    for name, default in re.findall(r"\| `(ATTNFLOW_\w+)` \| (\d+) \|", README):
        value = getattr(limits, name.removeprefix("ATTNFLOW_").replace("_MB", "_BYTES"))
        assert value == int(default) * (10**6 if name.endswith("_MB") else 1)


def test_every_file_it_links_to_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (Path(__file__).parent.parent / target).exists(), target


def test_the_table_of_endpoints_is_that_of_the_app(client):
    named = client.view_api(return_format="dict")["named_endpoints"]
    told = dict(re.findall(r"\| `(\w+)\(([^)]*)\)` \|", README))
    assert {f"/{name}": parameters.split(", ") for name, parameters in told.items()} == {
        name: [p["parameter_name"] for p in info["parameters"]] for name, info in named.items()
    }
