"""Probes of a treebank: split, baselines, parses, what is refused; in the library, the command and the endpoint."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from gradio_client import handle_file

import attnflow
from attnflow import (
    SelectionError,
    TextsError,
    attention_probe,
    capture,
    encode,
    open_texts,
)
from attnflow.bundled import ASSETS
from attnflow.checkpoints.random_weights import random_weights
from attnflow.corpus import attention_probe as module
from attnflow.corpus.probe_reading import readable
from attnflow.corpus.word_vectors import FileVectors, read_vectors
from attnflow.records.texts import Text
from attnflow.records.trees import ROOT, cycle_in
from attnflow.service.probes import probes
from attnflow.stats.alignment import merge_words
from attnflow.views.probe_bars import SAYS
from attnflow.web.answering import Told
from attnflow.web.endpoints.probe import probe as endpoint

SENTENCE = "Anna bought a table from Paul."


@pytest.fixture(scope="module")
def treebank():
    return open_texts("demo/sentences", rows=160)


@pytest.fixture(scope="module")
def few():
    """Hardly more than a probe needs, where it does not matter what it learns."""
    return open_texts("demo/sentences", rows=60)


@pytest.fixture(scope="module")
def probe(treebank):
    """Of words, trained for some epochs only."""
    return attention_probe("demo/finetuned", treebank, words=True, most_epochs=4)


def test_it_tells_the_table_and_what_it_depends_on(probe, treebank):
    assert [name for name, _ in probe.table()] == list(SAYS)
    assert set(probe.baselines) == set(SAYS) - {"attention and words", "shuffled trees"}
    assert probe.uas == probe.found.share and probe.interval == probe.found.interval and probe.n == probe.found.n
    assert {share.n for _, share in probe.table()} == {probe.n}
    assert probe.selectivity == probe.uas - probe.control.share > 0.3
    assert probe.uas > probe.baselines["attention"].share and probe.uas > probe.baselines["right-branching"].share
    assert sum(probe.sentences) == 160 and not probe.failed
    assert probe.settings.texts == treebank.fingerprint and probe.settings.kind == "attention and words"
    assert probe.checkpoint is not None and probe.settings.commit == probe.checkpoint.sha


def test_the_same_seed_gives_every_bit_and_another_other_sentences(few):
    one, same, other = (attention_probe("demo/finetuned", few, seed=seed, most_epochs=2) for seed in (1, 1, 2))
    assert one.table() == same.table() and (one.curve.loss == same.curve.loss).all()
    pairs = zip(one.trained.classifier.parameters(), same.trained.classifier.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert (one.curve.loss != other.curve.loss).all()
    assert "attention" not in one.baselines  # it is the probe itself


def test_equal_sentences_are_on_one_side_and_sides_do_not_share_any(treebank, checkpoints):
    rows = [*treebank, *(replace(text, guid=f"again {text.guid}") for text in treebank[:60])]
    sentences, told = module.sentences_of(rows)
    checkpoint = checkpoints["bert"]
    found, _ = readable(checkpoint, sentences, None)
    settings = module.probe_settings(checkpoint, told, kind="attention", seed=5)
    work = module._Work(checkpoint, sentences, settings, module.OwnVectors(), None)
    with work._file(found) as file:
        parts = work._split(module.examples(checkpoint, found, work.vectors, file), found)
    texts = [{found[one.row].sentence.text for one in part.sentences} for part in parts]
    assert sum(map(len, parts)) == len(found)
    assert not (texts[0] & texts[1] or texts[0] & texts[2] or texts[1] & texts[2])
    held_out = round(0.1 * len(set.union(*texts)))
    assert len(texts[1]) == len(texts[2]) == held_out
    with work._file(found) as file:
        again = work._split(module.examples(checkpoint, found, work.vectors, file), found)
    assert [[one.row for one in part.sentences] for part in again] == [
        [one.row for one in part.sentences] for part in parts
    ]


def test_the_random_baseline_is_the_same_probe_on_random_weights(few):
    checkpoint = attnflow.load_checkpoint("demo/finetuned")
    found = attention_probe(checkpoint, few, most_epochs=2)
    unlearnt = attention_probe(random_weights(checkpoint, 0, keep_embeddings=True), few, most_epochs=2)
    assert found.baselines["random weights"] == unlearnt.found


@pytest.mark.parametrize("name", ["roberta", "distilbert", "modernbert", "gpt2", "qwen2"])
def test_it_works_for_other_architectures(name, checkpoints, few):
    found = attention_probe(checkpoints[name], few, words=True, most_epochs=1)
    assert found.n and np.isfinite([share.share for _, share in found.table()]).all()
    tree = found.parse(few[0].tree)
    assert tree.words == few[0].tree.words and tree.gold == few[0].tree.governor
    assert tree.governor.count(ROOT) == 1 and cycle_in(tree.governor) is None


def test_a_parse_is_the_same_for_sentence_text_encoding_and_trace(probe, treebank):
    sentence = treebank[0].tree
    tree = probe.parse(sentence)
    assert tree.words == sentence.words and tree.gold == sentence.governor and len(tree) == len(sentence)
    assert tree.place == tuple(range(len(sentence))) and tree.governor[tree.root] == ROOT
    np.testing.assert_allclose(tree.probability.sum(-1), 1, rtol=1e-12)
    assert tree.confidence[0] == tree.probability[0, tree.governor[0]]
    encoding = encode(probe.checkpoint, sentence.text)
    trace = capture(probe.checkpoint, encoding)
    for what in (sentence.text, encoding, trace, merge_words(trace)):
        other = probe.parse(what)
        assert (other.words, other.governor, other.gold) == (tree.words, tree.governor, None)
        np.testing.assert_allclose(other.probability, tree.probability, rtol=1e-3, atol=1e-6)


def test_a_trained_probe_parses_most_words_right(probe, treebank):
    right = total = 0
    for text in treebank[:40]:
        tree = probe.parse(text.tree)
        right += sum(own == gold for own, gold in zip(tree.governor, tree.gold, strict=True))
        total += len(tree)
    assert right / total > 0.6


def test_of_a_pair_the_first_sentence_is_parsed_and_what_cannot_be_is_told(probe, checkpoints):
    pair = encode(probe.checkpoint, SENTENCE, "Paul sold a table.")
    assert probe.parse(pair).words == probe.parse(SENTENCE).words
    other = checkpoints["bert"]
    with pytest.raises(SelectionError, match="The trace has 3 layers of 4 heads, and the probe is of demo/finetuned"):
        probe.parse(capture(other, encode(other, SENTENCE)))
    with pytest.raises(SelectionError, match="kept without its model; train it anew"):
        replace(probe, checkpoint=None).parse(SENTENCE)


def test_what_cannot_be_a_treebank_is_told(treebank, tmp_path):
    with pytest.raises(SelectionError, match=r"None of 20 texts has a dependency tree, .* open a treebank in CoNLL-U"):
        attention_probe("demo/finetuned", open_texts("demo/pairs", rows=20))
    with pytest.raises(SelectionError, match=r"has 10 different sentences .* needs at least 50, .* Give more\."):
        attention_probe(
            "demo/finetuned", [*treebank[:10], *(replace(one, guid="x" + one.guid) for one in treebank[:10])]
        )
    bare = [replace(one, tree=replace(one.tree, relation=("_",) * len(one.tree))) for one in treebank]
    with pytest.raises(SelectionError, match=r"No word .* has a relation to its governor \(DEPREL\)"):
        attention_probe("demo/finetuned", bare)
    dots = [replace(one, tree=replace(one.tree, relation=("punct",) * len(one.tree))) for one in treebank]
    with pytest.raises(SelectionError, match="held-out sentences are punctuation alone"):
        attention_probe("demo/finetuned", dots)
    with pytest.raises(SelectionError, match=r"takes \d+ MB of disk; this machine takes at most 0 MB"):
        attention_probe("demo/finetuned", treebank, most_bytes=1000)
    for name, value in (("seed", -1), ("seed", "1"), ("most_epochs", 0), ("max_tokens", 1.5)):
        with pytest.raises(SelectionError, match=f"{name} is .*; give a whole number"):
            attention_probe("demo/finetuned", treebank, **{name: value})
    with pytest.raises(TextsError, match="There is no file"):
        attention_probe("demo/finetuned", tmp_path / "missing.conllu")


def test_sentences_that_cannot_be_read_are_told_and_long_ones_are_cut(few):
    rows = [*few, Text("empty", "?", tree=replace(few[0].tree, text=" ", guid="empty"))]
    found = attention_probe("demo/finetuned", rows, max_tokens=6, most_epochs=1)
    assert set(found.failed) == {"empty"} and "empty" in found.failed["empty"]
    assert found.n < attention_probe("demo/finetuned", rows, most_epochs=1).n


def test_progress_is_told_and_can_end_it(few):
    told = []
    attention_probe(
        "demo/finetuned", few, words=True, most_epochs=1, progress=lambda what, share: told.append((what, share))
    )
    shares = [share for _, share in told]
    assert shares == sorted(shares) and shares[0] > 0 and shares[-1] == 1
    assert any("sentences read by demo/finetuned (random weights but embeddings" in what for what, _ in told)

    class EndError(Exception):
        pass

    def end(what, share):
        if share > 0.3:
            raise EndError

    with pytest.raises(EndError):
        attention_probe("demo/finetuned", few, progress=end)


# --- vectors of a file -----------------------------------------------------------------------------------------------


def written(tmp_path, content: str | bytes):
    path = tmp_path / "vectors.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_vectors_are_read_for_the_words_that_are_wanted(tmp_path):
    path = written(tmp_path, "the 0.5 -1\nAnna 1e-2 3\nat name 7 8\nbought x y\nthe 9 9\n")
    found, width = read_vectors(path, {"the", "Anna", "at name", "absent"})
    assert width == 2 and set(found) == {"the", "Anna", "at name"}
    np.testing.assert_array_equal(found["the"], np.array([0.5, -1], np.float32))  # the first of two
    np.testing.assert_allclose(found["Anna"], [0.01, 3])
    found, _ = read_vectors(written(tmp_path, "2 3\nthe 1 2 3\na 4 5 6\n"), {"the"})  # as word2vec begins
    assert found["the"].tolist() == [1, 2, 3]
    table = FileVectors(path).table(attnflow.load_checkpoint("demo/finetuned"), ["The", "THE", "unknown"])
    assert table.tolist() == [[1, 2, 3], [1, 2, 3], [0, 0, 0]]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("the 1 2 3\na 1 2\n", "line 2: it has 2 numbers after its word, and those before have 3"),
        ("the 1 2 3\na 1 2 3 4\n", "line 2: it has 4 numbers after its word, and those before have 3"),
        ("the 1 2 3\na 1 x 3\n", "line 2: 'x' is no number; give a word and 3 numbers"),
        ("the 1 2 3\na 1 nan 3\n", "line 2: it has a number that is not finite"),
        ("the\n", "line 1: it has 0 numbers after its word; give a word and 1 to 5,000 numbers"),
        (b"the 1\n" + b"x" * 300_000, "line 2: it is longer than 200,000 bytes"),
        ("the 1 2\n", "has none of the 1 words; give vectors of the language of the treebank"),
        ("", "has none of the 1 words"),
        (b"\xff\xfe\x00 1 2\n", "has none of the 1 words"),
    ],
)
def test_a_broken_file_of_vectors_is_told_with_its_line(content, told, tmp_path):
    with pytest.raises(TextsError, match=f"vectors.txt,? {told}"):
        read_vectors(written(tmp_path, content), {"a"})


def test_a_missing_file_of_vectors_is_told(tmp_path, treebank):
    with pytest.raises(TextsError, match=r"cannot be read .*; give a text file of vectors"):
        attention_probe("demo/finetuned", treebank, words=True, vectors=tmp_path / "none.txt")


def test_a_probe_takes_vectors_of_a_file_and_parses_with_them(tmp_path, treebank):
    words = sorted({word.lower() for text in treebank for word in text.tree.words})
    draw = np.random.default_rng(0)
    lines = [f"{word} {' '.join(f'{value:.3f}' for value in draw.normal(size=20))}" for word in words]
    path = written(tmp_path, "\n".join(lines))
    found = attention_probe("demo/finetuned", treebank, words=True, vectors=path, most_epochs=6)
    assert found.settings.vectors == "vectors.txt"
    assert dict(found.trained.classifier.named_parameters())["weight"].shape[0] == 20
    assert found.uas > found.baselines["right-branching"].share
    assert found.parse("Anna met a stranger.").governor.count(ROOT) == 1  # some words have no vector


# --- command and endpoint --------------------------------------------------------------------------------------------


def test_the_command_prints_the_table(capsys, monkeypatch):
    monkeypatch.setattr("attnflow.corpus.probe_command.attention_probe", quick)
    from attnflow.cli import main

    assert main(["probe", "demo/finetuned", "demo/sentences", "--rows", "60", "--words", "--parse", SENTENCE]) == 0
    out = capsys.readouterr().out
    for name in ("right-branching", "fixed offset +1", "words and distances", "random weights, attention and words"):
        assert f"\n  {name}" in out
    assert "Selectivity, attention and words minus shuffled trees:" in out and "(root)" in out
    assert main(["probe", "demo/finetuned", "demo/pairs", "--rows", "20"]) == 1
    assert "has a dependency tree" in capsys.readouterr().err


def quick(*given, **named):
    return attention_probe(*given, **named, most_epochs=1)


def test_the_endpoint_says_what_the_library_says_and_parses_with_what_it_kept(monkeypatch):
    texts = open_texts("demo/sentences", rows=60, seed=3)
    answer = endpoint("demo/finetuned", kind="attention", rows=60, seed=3, sentence=SENTENCE)
    json.dumps(answer, allow_nan=False)
    found = attention_probe("demo/finetuned", texts, seed=3, max_tokens=128)
    assert answer["texts"]["fingerprint"] == texts.fingerprint
    assert answer["uas"] == pytest.approx(found.uas, rel=1e-3) and answer["n"] == found.n
    assert answer["selectivity"] == pytest.approx(found.selectivity, rel=1e-3)
    for row, (name, share) in zip(answer["table"], found.table(), strict=True):
        assert (row["name"], row["n"]) == (name, share.n) and row["says"]
        assert row["uas"] == pytest.approx(share.share, rel=1e-3)
        assert row["interval"] == pytest.approx(share.interval, rel=1e-3)
    assert tuple(answer["sentences"].values()) == found.sentences
    assert len(answer["curve"]["loss"]) == len(found.curve.loss) and answer["curve"]["best"] == found.curve.best
    tree = found.parse(SENTENCE)
    assert answer["parse"]["words"] == list(tree.words)
    assert answer["parse"]["governor"] == [None if one == ROOT else one for one in tree.governor]
    assert answer["parse"]["probability"] == pytest.approx(tree.confidence.tolist(), rel=1e-3)

    def fail(*given, **named):
        raise AssertionError("trained again")

    monkeypatch.setattr("attnflow.service.probes.attention_probe", fail)
    other = endpoint("demo/finetuned", kind="attention", rows=60, seed=3, sentence="Paul sold a lamp.")
    assert other["table"] == answer["table"] and other["parse"]["words"][0] == "Paul"
    assert endpoint("demo/finetuned", kind="attention", rows=60, seed=3)["parse"] is None
    assert all(kept.checkpoint is None for kept in probes._kept._values.values())


def test_the_endpoint_tells_what_it_does_not_take(monkeypatch):
    with pytest.raises(Told, match="kind is"):
        endpoint("demo/finetuned", kind="words and distances")
    with pytest.raises(Told, match="None of 10 texts has a dependency tree"):
        endpoint("demo/finetuned", "demo/pairs", rows=10)
    with pytest.raises(Told, match="a probe needs at least 50"):
        endpoint("demo/finetuned", rows=20)
    monkeypatch.setattr(probes, "_disk_bytes", 1000)
    with pytest.raises(Told, match=r"of disk; this machine takes at most 0 MB\. Give fewer sentences"):
        endpoint("demo/finetuned", rows=130)


def test_a_treebank_is_sent_and_its_probe_forgotten(client, tmp_path):
    file = tmp_path / "mine.conllu"
    blocks = (ASSETS / "demo" / "sentences.conllu").read_text(encoding="utf-8").split("\n\n")[:80]
    file.write_text("\n\n".join(blocks) + "\n\n", encoding="utf-8")
    answer = client.predict("demo/finetuned", file=handle_file(str(file)), sentence=SENTENCE, api_name="/probe")
    assert answer["texts"]["source"] == "mine.conllu" and sum(answer["sentences"].values()) == 80
    assert len(answer["parse"]["words"]) == 7
    assert not any(key[0] is not None for key in probes._kept._values)
