"""What random weights give, and whether the heads of two models follow a treebank equally well."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from gradio_client import handle_file

from attnflow import (
    DependencyHeads,
    SelectionError,
    Text,
    capture,
    cli,
    compare_dependency_heads,
    corpus_statistics,
    encode,
    load_checkpoint,
    open_corpus,
    open_texts,
    random_weights,
    word_attention,
)
from attnflow.bundled import ASSETS
from attnflow.records.head_names import head_name
from attnflow.records.shares import percent
from attnflow.stats.compared_dependencies import PairedHits, packed_hits, shared_cases
from attnflow.stats.dependencies import DIRECTIONS
from attnflow.stats.halves import half_of
from attnflow.stats.proportion import Proportion, holm, mcnemar
from attnflow.web.endpoints.compared_heads import compare_dependency_heads as endpoint
from attnflow.web.endpoints.coreference import coreference_heads
from attnflow.web.endpoints.grammar import dependency_heads
from tests import reference
from tests.checkpoints import ARCHITECTURES

TREEBANK = ASSETS / "demo" / "sentences.conllu"

# ---- random weights


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_random_weights_are_drawn_anew_and_the_same_for_a_seed(name, checkpoints):
    trained = checkpoints[name]
    kept = {key: value.clone() for key, value in trained.model.state_dict().items()}
    one, again, other = (random_weights(trained, seed) for seed in (11, 11, 12))
    assert len({trained.key, one.key, other.key}) == 3 and one.key == again.key
    assert not one.head.trained and one.model.dtype == trained.model.dtype
    for key, value in one.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[key])
        assert torch.equal(trained.model.state_dict()[key], kept[key]), "it stays as it is"
    drawn = [
        key for key, value in one.model.named_parameters() if value.std() > 0 and kept[key].std() > 0 and value.ndim > 1
    ]
    assert drawn and all(not torch.equal(one.model.state_dict()[key], kept[key]) for key in drawn)
    assert any(not torch.equal(one.model.state_dict()[key], other.model.state_dict()[key]) for key in drawn)
    attention = [capture(model, encode(model, "Anna sold a lamp.")).attention for model in (trained, one)]
    assert attention[0].shape == attention[1].shape and not np.allclose(*attention, atol=1e-4)
    np.testing.assert_allclose(attention[1].sum(-1), 1, atol=1e-5)


def test_random_weights_leave_the_randomness_of_others_alone_and_travel():
    trained = load_checkpoint("demo/finetuned")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    drawn = random_weights(trained, 3)
    assert torch.equal(torch.rand(3), expected)
    arrived = pickle.loads(pickle.dumps(drawn))
    assert arrived.key == drawn.key
    for key, value in drawn.model.state_dict().items():
        assert torch.equal(value, arrived.model.state_dict()[key])
    with pytest.raises(SelectionError, match="seed is '-1'; give a whole number from 0"):
        random_weights(trained, -1)


# ---- comparison


def by_hand(models, texts, pooling="mean"):
    """For each model and word the hits of every head: `[case, 2, L, H]`, relations and halves."""
    relations, halves, hits = [], [], [[], []]
    for text in texts:
        tree, found = text.tree, []
        for model in models:
            trace = capture(model, encode(model, text.text_a, truncate=True))
            groups = tree.groups(trace.tokens)
            there = np.isin(np.arange(len(tree)), groups).tolist()
            found.append((word_attention(trace.attention, groups, pooling, n_words=len(tree)), there))
        half = half_of(list(tree.governor), list(tree.relation))
        chosen = [[reference.chosen_governors(words, there, way) for way in (0, 1)] for words, there in found]
        for word, governs in enumerate(tree.governor):
            if governs < 0 or not all(there[word] and there[governs] for _, there in found):
                continue
            relations.append(tree.relation[word])
            halves.append(half)
            for own, side in zip(chosen, hits, strict=True):
                side.append([[[h[word] == governs for h in layer] for layer in way] for way in own])
    return np.array(relations), np.array(halves), [np.array(side) for side in hits]


@pytest.mark.parametrize(("name_a", "name_b"), [("bert", "gpt2"), ("roberta", "distilbert")])
def test_two_models_are_compared_word_by_word_as_the_definition_says(name_a, name_b, checkpoints):
    models, texts = [checkpoints[name_a], checkpoints[name_b]], open_texts(TREEBANK, rows=25)
    found = compare_dependency_heads(*models, texts)
    relations, halves, hits = by_hand(models, texts)
    told = {one.relation for one in found.relations}
    assert told == {"all", *(name for name in set(relations) if (relations == name).sum() >= 20)} and len(told) > 2
    assert found.few == len(set(relations)) - len(told) + 1 and found.n_sentences == 25
    for one in found.relations:
        of = relations != "punct" if one.relation == "all" else relations == one.relation
        answers = []
        for side, best in zip(hits, (one.a, one.b), strict=True):
            own, half = side[of].reshape(of.sum(), -1), halves[of]
            chosen = [own[half == 1 - which].sum(axis=0).argmax() for which in (0, 1)]
            answers.append(np.array([row[chosen[which]] for row, which in zip(own, half, strict=True)]))
            assert best.held_out == Proportion(int(answers[-1].sum()), int(of.sum()))
            assert best.on_all.right == own.sum(axis=0).max()
            place = DIRECTIONS.index(best.direction), best.layer, best.head
            assert side[of].sum(axis=0)[place] == best.on_all.right
        only = int((answers[0] & ~answers[1]).sum()), int((answers[1] & ~answers[0]).sum())
        assert (one.only_a, one.only_b) == only and one.p == mcnemar(*only)
        assert one.difference == pytest.approx((only[0] - only[1]) / one.n)


def test_it_says_of_each_model_what_its_own_statistic_says_and_nothing_of_two_that_are_one():
    texts = open_texts(TREEBANK, rows=120)
    found = compare_dependency_heads("demo/pretrained", "demo/finetuned", texts, subtypes=False)
    for ref, side in (("demo/pretrained", "a"), ("demo/finetuned", "b")):
        own = corpus_statistics(ref, texts, ["dependencies"])["dependencies"].universal()
        for one in found.relations:
            assert getattr(one, side) == own.best(one.relation)
    same = compare_dependency_heads("demo/finetuned", "demo/finetuned", texts)
    assert {(one.only_a, one.only_b, one.p, one.p_corrected, one.differs) for one in same.relations} == {
        (0, 0, 1.0, 1.0, False)
    }
    corrected = [one.p_corrected for one in found.relations[1:]]
    assert corrected == holm([one.p for one in found.relations[1:]])
    assert found["all"].p_corrected == found["all"].p and any(one.differs for one in found.relations)
    with pytest.raises(SelectionError, match="no relation 'subj' with enough words; choose all, "):
        found["subj"]


def test_holm_rejects_as_the_procedure_does():
    random = np.random.default_rng(0)
    for _ in range(50):
        values = random.random(6) ** 3
        corrected = holm(values.tolist())
        for level in (0.01, 0.05, 0.2):
            rejected = set()
            for rank, place in enumerate(np.argsort(values)):  # as Holm tells it: from the smallest until one is not
                if values[place] > level / (6 - rank):
                    break
                rejected.add(int(place))
            assert {place for place, p in enumerate(corrected) if p <= level} == rejected
    assert holm([]) == []


def test_words_that_one_model_does_not_read_are_no_case():
    there_a, there_b = np.array([True] * 4 + [False]), np.array([True, False, True, True, True])
    governor, relation = [-1, 0, 0, 1, 0], ["root", "a", "b", "c", "d"]
    cases, left_out = shared_cases(governor, there_a, there_b)
    assert (cases.tolist(), left_out) == ([2], 3)
    random = np.random.default_rng(0)
    words_a = random.dirichlet(np.ones(5), size=(2, 3, 5))
    words_b = random.dirichlet(np.ones(5), size=(1, 2, 5))
    paired = PairedHits((2, 3), (1, 2))
    hits = packed_hits(words_a, there_a, governor, cases), packed_hits(words_b, there_b, governor, cases)
    other = next(
        names for end in "efgh" if half_of(governor, names := [*relation[:4], end]) != half_of(governor, relation)
    )
    for names in (relation, other):  # one in each half
        paired.add(governor, names, cases, hits, left_out)
    alone = shared_cases([-1], np.array([True]), np.array([True]))[0]
    hits = [packed_hits(np.ones((*heads, 1, 1)), np.array([True]), [-1], alone) for heads in ((2, 3), (1, 2))]
    paired.add([-1], ["root"], alone, (hits[0], hits[1]))  # a sentence without a case
    found = paired.compared(least=1)
    assert found.n_sentences == 3
    assert [one.relation for one in found.relations] == ["all", "b"] and found.left_out == 6
    whole = DependencyHeads().update(words_b, governor, relation, there=there_b)
    whole = whole.update(words_b, governor, other, there=there_b).result()
    assert found["b"].b.on_all == whole.best("b").on_all
    with pytest.raises(SelectionError, match="No word has a governor that both models read"):
        PairedHits((1, 1), (1, 1)).compared()


def test_sentences_that_cannot_be_read_are_told(checkpoints):
    texts = list(open_texts(TREEBANK, rows=12))
    texts[2] = replace(texts[2], text_a=texts[2].text_a + " again" * 60)
    found = compare_dependency_heads(
        checkpoints["bert"], checkpoints["roberta"], texts, too_long="leave_out", max_tokens=50
    )
    assert [guid for guid, _ in found.failed] == [texts[2].guid] and found.n_sentences == 11
    with pytest.raises(SelectionError, match="None of 1 sentences could be read; the first: "):
        compare_dependency_heads(
            checkpoints["bert"], checkpoints["bert"], texts[2:3], too_long="leave_out", max_tokens=50
        )
    with pytest.raises(SelectionError, match="No text has a dependency tree"):
        compare_dependency_heads(checkpoints["bert"], checkpoints["bert"], [Text("a", "Anna sang.")])


# ---- endpoints and command


def test_the_endpoint_compares_and_is_recalled(client, tmp_path):
    answer = endpoint("demo/pretrained", "demo/finetuned", rows=80)
    json.dumps(answer, allow_nan=False)
    found = compare_dependency_heads("demo/pretrained", "demo/finetuned", open_texts("demo/sentences", rows=80))
    assert [row["relation"] for row in answer["relations"]] == [one.relation for one in found.relations]
    for row, one in zip(answer["relations"], found.relations, strict=True):
        assert (row["n"], row["only_a"], row["only_b"], row["differs"]) == (one.n, one.only_a, one.only_b, one.differs)
        assert row["a"]["held_out"]["share"] == pytest.approx(one.a.held_out.share, rel=1e-3)
        assert (row["b"]["layer"], row["b"]["head"]) == (one.b.layer, one.b.head)
        assert row["p_corrected"] == pytest.approx(one.p_corrected, rel=1e-3)
    file = tmp_path / "mine.conllu"
    blocks = TREEBANK.read_text(encoding="utf-8").split("\n\n")[:30]
    file.write_text("\n\n".join(blocks) + "\n\n", encoding="utf-8")
    refs = ("demo/pretrained", "demo/finetuned")
    answer = client.predict(*refs, file=handle_file(str(file)), api_name="/compare_dependency_heads")
    assert answer["sentences"] == 30 and answer["texts"]["source"] == "mine.conllu"


def test_endpoints_tell_what_random_weights_give():
    control = random_weights(load_checkpoint("demo/finetuned"))
    texts, documents = open_texts("demo/sentences", rows=60), open_texts("demo/coreference", rows=40)
    relations = corpus_statistics(control, texts, ["dependencies"])["dependencies"]
    kinds = corpus_statistics(control, documents, ["coreference"])["coreference"]
    for plain in (
        dependency_heads("demo/finetuned", rows=60)["relations"],
        coreference_heads("demo/finetuned", rows=40)["kinds"],
    ):
        assert all(row["random"] is None for row in plain)
    answer = dependency_heads("demo/finetuned", rows=60, random_weights=True)
    assert answer["model"]["ref"] == "demo/finetuned"
    for row in answer["relations"]:
        best = relations.best(row["relation"])
        assert (row["random"]["layer"], row["random"]["head"]) == (best.layer, best.head)
        assert row["random"]["held_out"]["share"] == pytest.approx(best.held_out.share, rel=1e-3)
        assert row["best"]["accuracy"] != row["random"]["accuracy"]
    for row in coreference_heads("demo/finetuned", rows=40, random_weights=True)["kinds"]:
        best = kinds.best(row["kind"])
        assert row["random"]["held_out"]["share"] == pytest.approx(best.held_out.share, rel=1e-3)


def test_the_command_tells_what_random_weights_give(tmp_path, capsys):
    out = tmp_path / "out"
    words = ["corpus", "demo/finetuned", str(TREEBANK), "--rows", "60", "--random-weights", "--out", str(out)]
    assert cli.main([*words, "--statistics", "entropy", "dependencies"]) == 0
    told = capsys.readouterr().out
    control = open_corpus(out / "random_weights")
    assert list(control.results) == ["dependencies"] and control.settings.model.endswith("(random weights, seed 0)")
    row = next(one for one in told.splitlines() if one.strip().startswith("nsubj "))
    assert row.endswith(percent(control["dependencies"].best("nsubj").held_out.share, 1))
    assert cli.main([*words, "--statistics", "entropy"]) == 1
    assert "--random-weights is for dependencies and coreference" in capsys.readouterr().err


def test_sentences_of_one_half_alone_are_too_few():
    with pytest.raises(SelectionError, match=r"Sentences are too few \(1\): heads are chosen on one half"):
        compare_dependency_heads("demo/pretrained", "demo/finetuned", open_texts("demo/sentences", rows=40).rows[:1])


# ---- the command


def test_the_command_prints_what_the_library_says(capsys):
    words = ["demo/pretrained", "demo/finetuned", "demo/sentences"]
    assert cli.main(["compare-heads", *words, "--rows", "60", "--no-subtypes", "--pooling", "first"]) == 0
    printed = capsys.readouterr().out
    texts = open_texts("demo/sentences", rows=60)
    found = compare_dependency_heads(*words[:2], texts, subtypes=False, pooling="first")
    assert "A: demo/pretrained, B: demo/finetuned; 60 sentences read by both." in printed
    rows = [
        line.replace(" %", "%").replace("< ", "<").replace("> ", ">").split()
        for line in printed.splitlines()
        if line.startswith("  ")
    ][1:]
    assert [row[0] for row in rows] == [one.relation for one in found.relations]
    for row, one in zip(rows, found.relations, strict=True):
        assert int(row[1].replace(",", "")) == one.n
        assert [" ".join(row[2:4]), " ".join(row[5:7])] == [head_name((of.layer, of.head)) for of in (one.a, one.b)]
        assert [row[4], row[7]] == [percent(of.held_out.share, 1).replace(" ", "") for of in (one.a, one.b)]
        assert [float(row[8]), int(row[9]), int(row[10])] == [
            pytest.approx(100 * one.difference, abs=0.06),
            one.only_a,
            one.only_b,
        ]
        assert float(row[11]) == pytest.approx(one.p_corrected, rel=0.1) and (row[-1] == "*") == one.differs
    differing = ", ".join(one.relation for one in found.relations if one.differs) or "none"
    assert printed.rstrip().endswith(f"Different at 5 % over all relations together: {differing}.")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["demo/pretrained", "demo/finetuned", "demo/pairs"], "No text has a dependency tree"),
        (["demo/pretrained", "./nothing", "demo/sentences"], "nothing is not a folder"),
        (["demo/pretrained", "demo/finetuned", "demo/sentences", "--max-tokens", "0"], "max_tokens is 0; give a whole"),
    ],
)
def test_the_command_says_what_is_wrong(words, says, capsys):
    assert cli.main(["compare-heads", *words]) == 1
    assert says in capsys.readouterr().err
