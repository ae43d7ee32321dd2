"""The command `attnflow survey`: what it keeps and prints, and what it refuses."""

from __future__ import annotations

import pytest

from attnflow import cli, open_survey
from attnflow.records.shares import percent


def test_two_models_are_surveyed_kept_and_summed_up(tmp_path, capsys):
    out = str(tmp_path / "found")
    words = ["survey", "demo/pretrained", "demo/finetuned", "demo/pairs", "--rows", "12", "--out", out, "--part", "8"]
    assert cli.main(words) == 0
    printed, progress = capsys.readouterr()
    a, b = (open_survey(f"{out}/{letter}") for letter in "ab")
    assert (a.settings.model, b.settings.model) == ("demo/pretrained", "demo/finetuned") and len(a) == len(b) == 12
    assert a.guids == b.guids and not a.has_classes and b.known.all()
    for part in (
        "demo/pairs: 12 texts of 2,000; columns text_a = text_a",
        "demo/pretrained: 12 texts read, 0 of them cut.",
        "It has no trained head that decides between classes.",
        f"Right: {percent(b.right.mean(), 1)} of 12 labelled texts.",
        "First the texts in which A and B come to their decision by other words",
        "First the texts of which the model is surest, and wrong by the label",
        f"attnflow.open_survey('{out}/b')",
    ):
        assert part in printed
    assert "12 of 12 texts read by demo/finetuned: 100 %" in progress
    assert cli.main(words) == 0  # what is there is opened
    assert capsys.readouterr().out == printed


def test_columns_and_labels_can_be_named(tmp_path, capsys):
    file = tmp_path / "pairs.csv"
    file.write_text("one,two,answer\nAnna met Paul.,Paul met Anna.,1\nAnna met Paul.,Paul is late.,0\n")
    words = ["survey", "demo/finetuned", str(file), "--out", str(tmp_path / "found")]
    columns = ["--column", "text_a=one", "--column", "text_b=two", "--column", "label=answer"]
    assert cli.main([*words, *columns]) == 0
    assert "No text has a label that it knows." in capsys.readouterr().out
    assert cli.main([*words, *columns, "--label", "1=supported", "--label", "0=unsupported"]) == 0
    assert "of 2 labelled texts." in capsys.readouterr().out
    assert open_survey(tmp_path / "found" / "a").gold.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--column", "text=one"], "--column names 'text'; it is one of text_a, text_b, label, guid."),
        (["--column", "one"], "--column is 'one'; give text_a=NAME."),
        (["--label", "=x"], "--label is '=x'; give LABEL=CLASS."),
        (["--label", "supported=maybe"], "No model has a class 'maybe'; theirs are supported, unsupported."),
        (["demo/pretrained", "demo/pretrained"], "There are 3 models; give one or two, then the texts."),
    ],
)
def test_what_it_cannot_do_is_told(more, message, tmp_path, capsys):
    models, options = ([], more) if more[0].startswith("-") else (more, [])
    words = ["survey", "demo/finetuned", *models, "demo/pairs", "--rows", "2", "--out", str(tmp_path), *options]
    assert cli.main(words) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"attnflow: {message}"
