"""Statistics of a corpus are those of its texts; what is kept is taken up again; what does not fit is told."""

from __future__ import annotations

import dataclasses
import json
import os

import numpy as np
import pytest

import attnflow
from attnflow import (
    Agreement,
    AttentionGradient,
    CheckpointError,
    HeadImportance,
    RelativePositions,
    SelectionError,
    attention_gradient,
    capture,
    cli,
    corpus_statistics,
    encode,
    hidden_token_attribution,
    open_corpus,
)
from attnflow.corpus import corpus_files, measures, observed, parts
from attnflow.corpus.corpus_part import Part
from attnflow.corpus.measures import MEASURES
from attnflow.corpus.parts import Pace
from attnflow.errors import GoneError
from attnflow.progress import reporting
from attnflow.records.texts import Columns, Text, Texts
from tests.checkpoints import TEXT

ROWS = tuple(
    Text(f"t{number}", text, other, label, {"lang": lang})
    for number, (text, other, label, lang) in enumerate(
        [
            (TEXT[0], "Anna gave it.", "yes", "en"),
            ("Anna gave it.", None, "No", "en"),
            (TEXT[1], TEXT[2], "maybe", "de"),
            ("   ", None, "yes", "en"),
            (TEXT[3], None, None, "de"),
            (" ".join(TEXT * 4), None, "perhaps", "en"),
            ("He bought bread, salt and milk.", None, "sure", None),
        ]
    )
)
TEXTS = Texts(ROWS, "made up", Columns("text_a", "text_b", "label"))
READ = [row for row in ROWS if row.text_a.strip()]
EVERY = [name for name, measure in MEASURES.items() if not measure.needs]
QUICK = ["surface", "entropy", "positions"]
SETTINGS = {"part_size": 3, "probes": 3, "max_tokens": 40, "labels": {"sure": "yes"}}


@pytest.fixture(scope="module")
def found(checkpoints):
    return corpus_statistics(checkpoints["bert"], TEXTS, EVERY, **SETTINGS)


def assert_same(one, other):
    """Bit for bit."""
    assert (one.settings, one.n, one.cut, dict(one.failed)) == (other.settings, other.n, other.cut, dict(other.failed))
    assert dict(one.n_by_group) == dict(other.n_by_group) and list(one.states) == list(other.states)
    for name, array in one.states.items():
        np.testing.assert_array_equal(array, other.states[name], err_msg=name)


def numbers(result):
    return {
        name: value
        for name, value in vars(result).items()
        if isinstance(value, np.ndarray) and value.dtype.kind in "fi"
    }


def test_each_statistic_is_that_of_the_texts_one_by_one(found, checkpoints):
    """Fed as a program would feed it, text by text, without parts and batches."""
    checkpoint = checkpoints["bert"]
    encodings = [encode(checkpoint, row.text_a, row.text_b, truncate=True, max_tokens=40) for row in READ]
    classes = ["yes", "no", None, None, "perhaps", "yes"]
    fed = {name: MEASURES[name].start(found.settings) for name in EVERY}
    for encoding, label in zip(encodings, classes, strict=True):
        trace = capture(checkpoint, encoding)
        attention, tokens = trace.attention, trace.tokens
        fed["surface"][""].update(attention, tokens)
        fed["entropy"][""].update(attention, trace.root)
        fed["patterns"][""].update(attention, tokens.sentence)
        for name in ("head_distances", "positions", "mean_attention"):
            fed[name][""].update(attention)
        fed["attention_gradient"][""].update(attention_gradient(checkpoint, encoding, label), attention, tokens)
        fed["importance"][""].update(checkpoint, encoding, label)
        for wrt, probes in (("previous_layer", None), ("input", 3)):
            values = hidden_token_attribution(checkpoint, encoding, wrt=wrt, probes=probes).values
            fed["contribution_positions"][wrt].update(values)
            fed["agreement"][wrt].update(attention, values)
    assert list(found.results) == EVERY and found.n == 6
    for name, accumulators in fed.items():
        results = {"": found[name]} if "" in accumulators else vars(found[name])
        for own, accumulator in accumulators.items():
            expected = accumulator.result()
            assert expected.n == results[own].n == 6
            for field, value in numbers(expected).items():
                np.testing.assert_allclose(
                    getattr(results[own], field), value, rtol=2e-3, atol=1e-5, err_msg=f"{name} {own} {field}"
                )
    assert found["agreement"].probes == 3 and found["surface"].kinds == fed["surface"][""].result().kinds
    assert found["patterns"].pattern == fed["patterns"][""].result().pattern


def test_what_cannot_be_read_is_noted_and_what_is_too_long_is_counted(found):
    assert list(found.failed) == ["t3"] and "first sentence is empty" in found.failed["t3"]
    assert found.cut == 3 and dict(found.n_by_group) == {"": 6} and found.groups == {}


def test_there_is_a_row_for_each_head(found):
    rows = found.rows()
    assert len(rows) == 12 and (rows[5]["layer"], rows[5]["head"]) == (1, 1)
    assert rows[5]["entropy"] == pytest.approx(found["entropy"].whole[1, 1])
    assert rows[5]["pattern"] == found["patterns"].pattern[1][1] and isinstance(rows[5]["name"], str)
    assert rows[5]["gradient: separator"] == pytest.approx(found["attention_gradient"].mean[1, 1, 0])
    json.dumps(rows, allow_nan=False)


def test_groups_are_what_they_are_by_themselves_and_all_of_them_the_whole(checkpoints):
    names = [*QUICK, "importance"]
    grouped = corpus_statistics(checkpoints["bert"], TEXTS, names, group_by="lang", **SETTINGS)
    assert list(grouped.groups) == ["(none)", "de", "en"] and dict(grouped.n_by_group) == {
        "(none)": 1,
        "de": 2,
        "en": 3,
    }
    german = [row for row in ROWS if row.meta["lang"] == "de"]
    alone = corpus_statistics(checkpoints["bert"], german, names, max_tokens=40)
    together = corpus_statistics(checkpoints["bert"], TEXTS, names, **SETTINGS)
    for name in names:
        for one, other in ((grouped.of("de")[name], alone[name]), (grouped[name], together[name])):
            for field, value in numbers(other).items():
                np.testing.assert_allclose(getattr(one, field), value, rtol=2e-3, atol=1e-5, err_msg=f"{name} {field}")
    assert grouped.notes == ("1 groups have one text, so nothing can be told of its spread: (none).",)
    assert set(grouped.tables) == {"", "(none)", "de", "en"} and grouped.rows("de")[0]["layer"] == 0
    by_label = corpus_statistics(checkpoints["bert"], TEXTS, ["entropy"], group_by="label", **SETTINGS)
    assert dict(by_label.n_by_group) == {"(none)": 1, "No": 1, "maybe": 1, "perhaps": 1, "sure": 1, "yes": 1}


def test_it_is_kept_in_parts_taken_up_and_opened(found, checkpoints, tmp_path, monkeypatch):
    """What ends in the second part computes only that and the rest the next time, and nothing the third time."""
    original, computed = parts.compute_part, []

    def counted(checkpoint, texts, *more):
        computed.append(texts[0].guid)
        return original(checkpoint, texts, *more)

    def ended(what, share):
        if share > 3 / 7:
            raise GoneError("nobody waits")

    monkeypatch.setattr(parts, "compute_part", counted)
    place = tmp_path / "kept"
    with pytest.raises(GoneError):
        corpus_statistics(checkpoints["bert"], TEXTS, EVERY, out=place, progress=ended, **SETTINGS)
    with pytest.raises(SelectionError, match="it was not finished: run it again, which goes on"):
        open_corpus(place)
    (kept,) = place.glob("part*")
    assert computed == ["t0", "t3"] and kept.name.startswith("part-000000-")
    kept.with_name(f".{kept.name}.x.partial").write_bytes(b"half")
    told = []
    again = corpus_statistics(
        checkpoints["bert"], TEXTS, EVERY, out=place, progress=lambda *one: told.append(one), **SETTINGS
    )
    assert computed == ["t0", "t3", "t3", "t6"]
    assert_same(again, found)
    assert [share for _, share in told] == sorted(share for _, share in told) and told[-1][1] == 1
    assert told[0] == ("Reading 7 texts with bert", 3 / 7) and " left" in told[3][0]
    assert sorted(path.name for path in place.iterdir()) == ["corpus.json", "heads.parquet", "plan.json", "states.npz"]
    for opened in (open_corpus(place), corpus_statistics(checkpoints["bert"], TEXTS, EVERY, out=place, **SETTINGS)):
        assert_same(opened, found)
        assert opened.rows() == found.rows()
    assert len(computed) == 4


def test_a_part_that_is_damaged_or_of_another_run_is_computed_again(found, checkpoints, tmp_path):
    def ended(what, share):
        if share > 4 / 7:
            raise GoneError("nobody waits")

    with pytest.raises(GoneError):
        corpus_statistics(checkpoints["bert"], TEXTS, EVERY, out=tmp_path, progress=ended, **SETTINGS)
    (kept,) = tmp_path.glob("part*")
    part, other = (
        Part.from_bytes(kept.read_bytes(), found.settings),
        dataclasses.replace(found.settings, commit="another"),
    )
    assert Part.from_bytes(part.to_bytes(other), other).read == part.read
    assert Part.from_bytes(part.to_bytes(other), found.settings) is None
    for damage in (kept.read_bytes()[:900], b"", part.to_bytes(other)):
        kept.write_bytes(damage)
        with pytest.raises(GoneError):
            corpus_statistics(checkpoints["bert"], TEXTS, EVERY, out=tmp_path, progress=ended, **SETTINGS)
    assert_same(corpus_statistics(checkpoints["bert"], TEXTS, EVERY, out=tmp_path, **SETTINGS), found)


def test_a_folder_keeps_one_run(checkpoints, tmp_path):
    place = tmp_path / "one"
    first = corpus_statistics(checkpoints["bert"], TEXTS, QUICK, out=place, **SETTINGS)
    other = "holds another run over a corpus, of bert, which differs in "
    with pytest.raises(SelectionError, match=rf"{other}model, commit.*; choose another folder"):
        corpus_statistics(checkpoints["roberta"], TEXTS, QUICK, out=place, **SETTINGS)
    with pytest.raises(SelectionError, match=f"{other}statistics"):
        corpus_statistics(checkpoints["bert"], TEXTS, QUICK[:2], out=place, **SETTINGS)
    with pytest.raises(SelectionError, match=f"{other}texts, n"):
        corpus_statistics(checkpoints["bert"], ROWS[:3], QUICK, out=place, part_size=3, max_tokens=40)
    told = json.loads((place / "corpus.json").read_text())
    for change, reason in (
        ({"version": 0}, "version 0, not 1"),
        ({"statistics": [["surface", 0]]}, "its statistics are of another version"),
    ):
        (place / "corpus.json").write_text(json.dumps({**told, "settings": {**told["settings"], **change}}))
        with pytest.raises(SelectionError, match=rf"cannot be read as statistics of a corpus .*{reason}.*compute them"):
            open_corpus(place)
    plan = json.loads((place / "plan.json").read_text())
    (place / "plan.json").write_text(json.dumps({**plan, "version": 0}))
    with pytest.raises(SelectionError, match=f"{other}version; choose another folder"):
        corpus_statistics(checkpoints["bert"], TEXTS, QUICK, out=place, **SETTINGS)
    with pytest.raises(SelectionError, match="holds no statistics of a corpus; give a folder"):
        open_corpus(tmp_path)
    with pytest.raises(SelectionError, match=r"There is no folder .*nowhere"):
        open_corpus(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists() and first.n == 6


def test_a_full_disk_is_told_and_keeps_what_was_finished(found, checkpoints, tmp_path, monkeypatch):
    original, calls = os.fsync, []

    def full(number):
        calls.append(number)
        if len(calls) == 3:  # the plan and the first part are there
            raise OSError(28, "No space left on device")
        original(number)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        SelectionError, match=r"part-000001.*cannot be written .*No space left.*finished before is kept"
    ):
        corpus_statistics(checkpoints["bert"], TEXTS, EVERY, out=tmp_path, **SETTINGS)
    assert sorted(path.name[:11] for path in tmp_path.iterdir()) == ["part-000000", "plan.json"]
    assert_same(corpus_statistics(checkpoints["bert"], TEXTS, EVERY, out=tmp_path, **SETTINGS), found)
    assert len(calls) > 3


def test_it_is_kept_wherever_fsspec_reaches(checkpoints):
    import fsspec

    url = "memory://bucket/run"
    first = corpus_statistics(checkpoints["bert"], TEXTS, QUICK, out=url, **SETTINGS)
    assert_same(open_corpus(url), first)
    names = sorted(path.rpartition("/")[2] for path in fsspec.filesystem("memory").ls("/bucket/run", detail=False))
    assert names == ["corpus.json", "heads.parquet", "plan.json", "states.npz"]
    with pytest.raises(SelectionError, match="holds another run over a corpus"):
        corpus_statistics(checkpoints["bert"], TEXTS, ["surface"], out=url, **SETTINGS)
    with pytest.raises(SelectionError, match=r"nothing://here cannot be reached .*look at the address"):
        corpus_statistics(checkpoints["bert"], TEXTS, QUICK, out="nothing://here", **SETTINGS)


def test_a_text_that_makes_a_batch_fail_is_noted_for_all_statistics(checkpoints, monkeypatch):
    """Also if it is the last of several statistics that fails: no other has it then."""
    original = observed.hidden_token_attribution

    def failing(checkpoint, encoding, **more):
        if encoding.text_a == TEXT[3]:
            raise CheckpointError("bert computes numbers that are not finite.")
        return original(checkpoint, encoding, **more)

    monkeypatch.setattr(observed, "hidden_token_attribution", failing)
    other = corpus_statistics(checkpoints["bert"], TEXTS, ["surface", "importance", "agreement"], **SETTINGS)
    assert other.failed["t4"] == "bert computes numbers that are not finite." and sorted(other.failed) == ["t3", "t4"]
    assert other["surface"].n == other["importance"].n == other["agreement"].input.n == other.n == 5

    def out_of_memory(checkpoint, encodings, *more, **options):
        raise RuntimeError("not enough memory: you tried to allocate 2 TB")

    monkeypatch.setattr(measures, "batch_gradient", out_of_memory)
    with pytest.raises(SelectionError, match=r"None of 7 texts could be read; the first: RuntimeError: not enough"):
        corpus_statistics(checkpoints["bert"], TEXTS, ["attention_gradient"], **SETTINGS)


def test_masked_words_are_the_loss_of_a_masked_language_model(tasks):
    checkpoint = tasks["masked-lm"]
    found = corpus_statistics(checkpoint, READ[:2], ["attention_gradient"], seed=3)
    expected = AttentionGradient()
    for row in READ[:2]:
        encoding = encode(checkpoint, row.text_a, row.text_b)
        gradient = attention_gradient(checkpoint, encoding, seed=3)
        expected.update(gradient, capture(checkpoint, encoding).attention, encoding.tokens)
    np.testing.assert_allclose(found["attention_gradient"].mean, expected.result().mean, rtol=2e-3, atol=1e-6)
    other = corpus_statistics(checkpoint, READ[:2], ["attention_gradient"], seed=4)
    assert not np.allclose(other["attention_gradient"].mean, found["attention_gradient"].mean, rtol=1e-2)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"texts": []}, "There are no texts; give at least one"),
        ({"texts": [ROWS[0], ROWS[0]]}, "2 texts have only 1 names; give each its own guid"),
        ({"statistics": []}, "There is no statistic to compute; choose surface, entropy, attention_gradient"),
        ({"statistics": ["surface", "grammar"]}, "There is no statistic 'grammar'; choose surface"),
        ({"engine": "dask"}, "engine is 'dask'; give 'local' or 'ray'"),
        ({"address": "auto"}, "address is 'auto', which is that of a Ray; give engine='ray', too"),
        ({"workers": 2}, "workers is 2; with engine='ray' give a whole number from 1, else nothing"),
        ({"group_by": "topic"}, "There is no column 'topic' to group by; choose label, lang"),
        ({"probes": 1, "statistics": ["agreement"]}, "probes is 1; give a whole number from 2"),
        ({"part_size": 0}, "part_size is 0; give a whole number from 1"),
        ({"max_tokens": 0}, "max_tokens is 0; give a whole number from 1"),
        ({"seed": -1}, "seed is -1; give a whole number from 0"),
        ({"too_long": "drop"}, "too_long is 'drop'; give 'cut' or 'leave_out'"),
        ({"labels": {"sure": "certain"}}, "The model has no label 'certain'"),
        ({"texts": [ROWS[3]]}, "None of 1 texts could be read; the first: The first sentence is empty"),
        (
            {"texts": [Text(str(n), "He read it.", None, None, {"key": n}) for n in range(101)], "group_by": "key"},
            "'key' has 101 values, and there may be at most 100 groups",
        ),
    ],
)
def test_what_does_not_fit_is_told(more, message, checkpoints):
    with pytest.raises(SelectionError, match=message):
        corpus_statistics(checkpoints["bert"], **{"texts": TEXTS, "statistics": ["surface"], **more})


def test_a_statistic_that_a_model_cannot_have_is_refused_with_the_reason(tasks, checkpoints):
    for name, statistic, reason in (
        ("none", "attention_gradient", "it has no trained task head with a loss"),
        ("none", "importance", "it has no trained head that decides about whole texts"),
        ("masked-lm", "importance", "it has no trained head that decides about whole texts"),
    ):
        with pytest.raises(SelectionError, match=f"cannot have {statistic}, because {reason}; leave {statistic} out"):
            corpus_statistics(tasks[name], TEXTS, ["surface", statistic])
    unsteerable = dataclasses.replace(checkpoints["bert"], steerable=False)
    with pytest.raises(SelectionError, match="cannot have agreement, because its layers cannot be told from its other"):
        corpus_statistics(unsteerable, TEXTS, ["agreement"])
    gpt2 = corpus_statistics(checkpoints["gpt2"], READ[1:2], ["surface"])
    assert not {"next", "separator", "first", "separator_to_separator"} & set(gpt2["surface"].kinds)
    with pytest.raises(CheckpointError, match="cuda"):
        corpus_statistics("demo/finetuned", TEXTS, ["surface"], device="cuda:9")


def test_the_rest_is_told_by_what_was_computed_in_this_run_alone():
    clock, told = [100.0], []
    with reporting(lambda what, share: told.append((what, round(share, 3)))):
        pace = Pace("Reading", 10_000, lambda: clock[0])
        pace.found(4_000)
        pace.tell(10)
        clock[0] += 60
        pace.finished(500)
        clock[0] += 1e6  # what is being read now says nothing yet
        pace.tell(100)
        clock[0] -= 1e6
        clock[0] += 60
        pace.finished(500)
        pace.finished(4_500)
        pace.finished(500)
    assert told == [
        ("Reading", 0.4),
        ("Reading", 0.401),
        ("Reading, about 11 min left", 0.45),
        ("Reading, about 11 min left", 0.46),
        ("Reading, about 10 min left", 0.5),
        ("Reading, about 11 s left", 0.95),
        ("Reading", 1.0),
    ]


def test_the_command_computes_keeps_and_sums_up(tmp_path, capsys):
    out = str(tmp_path / "found")
    words = ["corpus", "demo/finetuned", "demo/pairs", "--rows", "12", "--part", "8", "--out", out]
    assert cli.main([*words, "--group-by", "label"]) == 0
    printed, progress = capsys.readouterr()
    found = open_corpus(out)
    assert [name for name, _ in found.settings.statistics] == list(cli.USUAL)
    for part in (
        "demo/pairs: 12 texts of 2,000; columns text_a = text_a",
        "demo/finetuned: 12 texts read, 0 of them cut.",
        f"{found['entropy'].whole[0].mean():7.3g}",
        "of group 'supported', 6 texts:",
        "Mean divergence between heads of one layer",
        f"attnflow.open_corpus('{out}')",
    ):
        assert part in printed
    assert "Reading 12 texts with demo/finetuned: 100 %" in progress
    assert cli.main([*words, "--group-by", "label"]) == 0  # what is there is opened
    assert capsys.readouterr().out == printed
    assert cli.main([*words, "--statistics", "grammar"]) == 1
    assert "attnflow: There is no statistic 'grammar'; choose surface" in capsys.readouterr().err
    assert cli.main([*words, "--probes", "many"]) == 1
    assert "--probes is 'many'; give a whole number, or exact." in capsys.readouterr().err


def test_the_help_of_the_command_knows_every_statistic(capsys):
    assert {name: measure.slow for name, measure in MEASURES.items()} == cli.STATISTICS
    with pytest.raises(SystemExit):
        cli.main(["corpus", "--help"])
    told = capsys.readouterr().out
    assert all(name in told for name in MEASURES) and "--engine {local,ray}" in told


def test_what_a_run_needs_is_looked_for_before_it_begins(checkpoints, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(SelectionError, match=r"needs ray, which is not installed; .*attnflow\[cluster\]"):
        corpus_statistics(checkpoints["bert"], TEXTS, QUICK, engine="ray")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(SelectionError, match=r"needs pyarrow, which is not installed; .*attnflow\[texts\]"):
        corpus_statistics(checkpoints["bert"], TEXTS, QUICK, out=tmp_path)


def test_names_are_where_the_library_says():
    assert attnflow.corpus_statistics is corpus_statistics and attnflow.open_corpus is corpus_files.open_corpus
    assert {HeadImportance, RelativePositions, Agreement} <= {
        kind for measure in MEASURES.values() for kind in measure.kinds.values()
    }
