"""The README's examples run, its front matter fits what is installed, and the pages it leads to are true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import attnflow
from attnflow import limits

TOP = Path(__file__).parent.parent
README = (TOP / "README.md").read_text(encoding="utf-8")
DOCS = TOP / "assets" / "docs"
PAGES = [TOP / "README.md", *sorted(DOCS.glob("*.md"))]
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_example_of_attribution_runs(capsys):
    (code,) = [code for code in EXAMPLES if "hidden_token_attribution" in code]
    exec(compile(code, "README.md", "exec"), {})
    error, local, from_input = capsys.readouterr().out.splitlines()
    assert 2 < int(error.split()[-1].rstrip("%")) < 15
    assert local.startswith("previous layer [0.")
    assert from_input.startswith("input [0.")


def test_the_example_of_edges_runs_after_it(capsys):
    attribution, edges = (next(code for code in EXAMPLES if name in code) for name in ("hidden_token", "by_norm"))
    names: dict = {}
    exec(compile(attribution, "README.md", "exec"), names)
    capsys.readouterr()
    exec(compile(edges, "README.md", "exec"), names)
    assert capsys.readouterr().out.count("[") == 2


def test_the_example_of_the_library_runs(capsys):
    (code,) = [code for code in EXAMPLES if "attention_graph" in code and "import attnflow" in code]
    exec(compile(code, "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("[CLS]")
    assert all(line.split()[-1].isdigit() for line in lines)


def test_the_example_of_single_tokens_runs(capsys):
    (code,) = [code for code in EXAMPLES if "expected_tokens" in code]
    exec(compile(code, "README.md", "exec"), {"attnflow": attnflow})
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith("3 ") and second.startswith("5 ") and last.startswith("5 ")
    assert second.split()[1] == last.split()[1]


def test_the_example_of_saliency_runs_after_it(capsys):
    library, saliency = (next(code for code in EXAMPLES if name in code) for name in ("import attnflow", ".saliency("))
    names: dict = {}
    exec(compile(library, "README.md", "exec"), names)
    capsys.readouterr()
    exec(compile(saliency, "README.md", "exec"), names)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(names["trace"].tokens) + 2
    assert sum(float(line.split()[-1]) for line in lines[:-2]) != 0
    assert "lrp" in lines[-1]


def test_the_example_of_statistics_runs_after_it(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    library, statistics = (next(c for c in EXAMPLES if name in c) for name in ("import attnflow", "AttentionEntropy"))
    names: dict = {}
    exec(compile(library, "README.md", "exec"), names)
    capsys.readouterr()
    exec(compile(statistics, "README.md", "exec"), names)
    assert capsys.readouterr().out.startswith("6 [[")
    assert (names["entropy"].n, names["found"].n) == (3, 6)
    assert (names["found"].whole_standard_error > 0).all()


def test_the_example_of_a_corpus_runs_after_that_of_texts(capsys):
    (code,) = [code for code in EXAMPLES if "corpus_statistics" in code and "head_distances" in code]
    checkpoint, texts = attnflow.load_checkpoint("demo/finetuned"), attnflow.open_texts("demo/pairs", rows=20)
    exec(compile(code, "README.md", "exec"), {"attnflow": attnflow, "checkpoint": checkpoint, "texts": texts})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("('self', 'previous'") and lines[-1].startswith("(16, 2) stress 0.")


def test_the_example_of_training_dynamics_finds_the_labels_that_it_flips(capsys, tmp_path, monkeypatch):
    (code,) = [code for code in EXAMPLES if "TrainingDynamics" in code and "flipped" in code]
    before, after = code.split('open_texts("demo/pairs")')
    monkeypatch.chdir(tmp_path)
    fewer = f'{before}open_texts("demo/pairs", rows=400){after}'  # a fifth of them says the same in a fifth of the time
    exec(compile(fewer, "README.md", "exec"), {})
    by_map, by_loss = (
        [int(number) for number in re.findall(r"(\d+)%", line)] for line in capsys.readouterr().out.splitlines()[-2:]
    )
    assert min(by_map) >= 90
    assert min(by_loss) >= 50 and max(by_loss) + 10 <= min(by_map)


def test_the_examples_of_grammar_run(capsys, monkeypatch):
    heads, honest = [code for code in EXAMPLES if '["dependencies"]' in code]
    monkeypatch.chdir(Path(__file__).parent.parent)
    names = {"attnflow": attnflow, "checkpoint": attnflow.load_checkpoint("demo/finetuned")}
    exec(compile(heads, "README.md", "exec"), names)
    assert "held out: " in capsys.readouterr().out
    exec(compile(honest, "README.md", "exec"), names)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("random weights, held out: ") and lines[1].startswith("all ") and len(lines) == 5


def test_the_example_of_the_probe_runs(capsys):
    (code,) = [code for code in EXAMPLES if "attention_probe(" in code]
    names = {"attnflow": attnflow, "checkpoint": attnflow.load_checkpoint("demo/finetuned")}
    names["treebank"] = attnflow.open_texts("demo/sentences", rows=120)
    exec(compile(code, "README.md", "exec"), names)
    score, table, tree = capsys.readouterr().out.splitlines()
    assert "selectivity" in score and "'shuffled trees'" in table and tree.startswith("('Anna', 'lent'")


def test_the_example_of_coreference_runs(capsys, monkeypatch):
    (code,) = [code for code in EXAMPLES if '["coreference"]' in code]
    monkeypatch.chdir(Path(__file__).parent.parent)
    exec(
        compile(code, "README.md", "exec"),
        {"attnflow": attnflow, "checkpoint": attnflow.load_checkpoint("demo/finetuned")},
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[3].startswith("all ") and "rules: " in lines[3] and lines[4].startswith("(Mention(chain=0")


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
    assert keys["hf_oauth"] == "true"  # without it nobody can sign in
    assert "\n  - gated-repos\n  - read-repos\n" in front
    allowed = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {keys["colorFrom"], keys["colorTo"]} <= allowed


def test_the_table_of_limits_is_true():
    """Each limit is told with its default; a limit that is not told fails, and so does one that is none."""
    told = dict(re.findall(r"\| `(ATTNFLOW_\w+)` \| (\d+) \|", (DOCS / "settings.md").read_text(encoding="utf-8")))
    source = (Path(limits.__file__)).read_text(encoding="utf-8")
    read = re.findall(r"^(\w+) = _whole_number\(\"(ATTNFLOW_\w+)\", ([\d_]+)\)", source, re.MULTILINE)
    assert told == {name: str(int(default)) for _, name, default in read}
    assert source.count("_whole_number(") == len(read) + 1  # its definition


def test_a_limit_can_be_set_and_nonsense_is_told():
    code = "from attnflow import limits; print(limits.QUEUE, limits.DISK_BYTES)"
    for value, expected in (("7", "7 20000000000"), ("seven", "it must be a whole number above 0"), ("0", "above 0")):
        environment = {**os.environ, "ATTNFLOW_QUEUE": value}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=TOP)
        assert expected in done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_it_links_to_is_there(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_the_readme_leads_to_every_page():
    assert len(PAGES) > 5
    for page in PAGES[1:]:
        assert f"]({page.relative_to(TOP).as_posix()})" in README, page


def test_the_table_of_endpoints_is_that_of_the_app(client):
    named = client.view_api(return_format="dict")["named_endpoints"]
    told = dict(re.findall(r"\| `(\w+)\(([^)]*)\)` \|", (DOCS / "endpoints.md").read_text(encoding="utf-8")))
    assert {f"/{name}": parameters.split(", ") for name, parameters in told.items()} == {
        name: [p["parameter_name"] for p in info["parameters"]] for name, info in named.items()
    }
