"""A survey of many texts by encoder-decoders that are read whole, against transformers and slow transcriptions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoModelForSequenceClassification

from attnflow import (
    SelectionError,
    UnsupportedArchitectureError,
    attention_graph,
    capture,
    encode,
    head_importance,
    load_checkpoint,
    merge_words,
    most_different,
    nearest,
    open_survey,
    projection,
    ring_tau,
    survey,
)
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.corpus.rings import attended_words
from attnflow.corpus.survey_files import save
from attnflow.records.texts import Columns, Text, Texts
from attnflow.records.trace import AGAIN, SPECIAL
from attnflow.service import collections as collections_module
from attnflow.service import text_heads
from attnflow.service.collections import Opened
from attnflow.stats.attention_graph import attended_by
from attnflow.stats.attention_kinds import attention_shares
from attnflow.web.rooms import heads
from attnflow.web.rooms.finding import head_choices
from attnflow.web.rooms.reading import Collected
from tests import reference
from tests.checkpoints import N_HEADS, N_LAYERS, TEXT, make_checkpoint
from tests.test_stacks import N_DECODER
from tests.test_survey import ARRAYS, WORDS, assert_same

PAIRS = [(TEXT[0], "Anna gave it."), ("Anna gave it.", None), (TEXT[1], TEXT[2]), (TEXT[3], "He read it, Anna.")]
TEXTS = [Text(str(at), *pair, ("yes", "no", None, "perhaps")[at]) for at, pair in enumerate(PAIRS)]
ALL = [("bart", "classification"), ("t5", "classification"), ("bart", "seq2seq"), ("t5", "seq2seq")]
PRUNED = {(0, 1), (N_LAYERS, 2), (N_LAYERS + 1, N_HEADS + 1)}


@pytest.fixture(scope="module")
def checkpoint_of(tmp_path_factory):
    """Makes each of them once."""
    top, known = tmp_path_factory.mktemp("surveyed"), {}

    def of(name: str, task: str) -> Checkpoint:
        if (name, task) not in known:
            more = {} if task == "classification" else {"task": task}
            known[name, task] = load_checkpoint(make_checkpoint(top / f"{name}-{task}", name, **more))
        return known[name, task]

    return of


def outputs_of(checkpoint: Checkpoint, encoding, task: str):
    """What transformers' own eager model gives."""
    kind = AutoModelForSequenceClassification if task == "classification" else AutoModelForSeq2SeqLM
    model = kind.from_pretrained(checkpoint.folder, attn_implementation="eager").eval()
    ids, n_source = torch.from_numpy(encoding.inputs["input_ids"])[None], encoding.tokens.n_source
    given = {} if task == "classification" else {"decoder_input_ids": ids[:, n_source:]}
    with torch.no_grad():
        return model(ids[:, :n_source], **given, output_attentions=True, output_hidden_states=True)


def kinds_of(tokens) -> list[str]:
    special = ["first" if at in (0, tokens.n_source) else "separator" for at in range(len(tokens))]
    marks = ["punctuation" if text.strip("·") in (".", ",") else "word" for text in tokens.text]
    return [special[at] if part == SPECIAL else marks[at] for at, part in enumerate(tokens.sentence.tolist())]


@pytest.mark.parametrize(("name", "task"), ALL)
def test_each_column_is_what_transformers_and_the_definitions_give(name, task, checkpoint_of):
    checkpoint = checkpoint_of(name, task)
    found = survey(checkpoint, TEXTS, part_size=3)
    assert not found.reasons and found.settings.stacks == (N_LAYERS, N_DECODER, N_HEADS)
    for row, text in enumerate(TEXTS):
        encoding = encode(checkpoint, text.text_a, text.text_b)
        tokens, made = encoding.tokens, outputs_of(checkpoint, encoding, task)
        assert found.length[row] == len(tokens)
        if task == "seq2seq":
            assert found.decision is None and np.isnan(found.confidence[row]) and np.isnan(found.loss[row])
        else:
            p = made.logits[0].double().softmax(-1).numpy()
            np.testing.assert_allclose(found.probabilities[row], p, rtol=1e-3, atol=1e-5)
            assert found.decision[row] == p.argmax()
            gold = {"yes": 2, "no": 0, "perhaps": 1}.get(text.label)
            expected = np.nan if gold is None else -np.log(p[gold])
            np.testing.assert_allclose(found.loss[row], expected, rtol=1e-3, atol=1e-4)
        target = [layer[0, -1].numpy() for layer in made.decoder_hidden_states]
        hidden = np.stack([*[target[0]] * N_LAYERS, *target])
        np.testing.assert_allclose(found.hidden[:, row], hidden, rtol=2e-3, atol=2e-3 * abs(hidden).max())
        kinds, n_source = kinds_of(tokens), tokens.n_source
        parts = [
            [layer[0].numpy() for layer in part]
            for part in (made.encoder_attentions, made.decoder_attentions, made.cross_attentions)
        ]
        shares = reference.shares_of_two_stacks(*parts, kinds[:n_source], kinds[n_source:])
        for index, kind in enumerate(found.settings.kinds):
            np.testing.assert_allclose(found.shares[row, ..., index], shares[kind], rtol=1e-4, atol=2e-6)
        assert not any(shares[kind].any() for kind in set(shares) - set(found.settings.kinds))
        own = attention_shares(capture(checkpoint, encoding), found.settings.kinds)
        np.testing.assert_allclose(found.behaviour[row], own.ravel(), rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("pruned", [set(), PRUNED, {(N_LAYERS + 1, head) for head in range(2 * N_HEADS)}])
@pytest.mark.parametrize(("name", "task"), ALL)
def test_words_are_those_of_the_graph_and_a_word_that_is_read_twice_is_one(name, task, pruned, checkpoint_of):
    checkpoint, tau = checkpoint_of(name, task), [0.1] * (N_LAYERS + N_DECODER)
    found = survey(checkpoint, TEXTS, pruned=pruned, tau=tau)
    for row, text in enumerate(TEXTS):
        trace = capture(checkpoint, encode(checkpoint, text.text_a, text.text_b), pruned=pruned)
        tokens, word = trace.tokens, trace.tokens.word.tolist()
        merged = reference.merge_words(trace.attention, word)
        for layer, head in pruned:
            merged[layer, head] = 0
        n_source = max(word[: tokens.n_source]) + 1
        passing = [
            [(at >= n_source) != (layer >= N_LAYERS) for at in range(max(word) + 1)] for layer in range(len(tau))
        ]
        _, edges = reference.graph_of_two_stacks(merged, tau, word[trace.root], passing, N_LAYERS)
        count: dict[tuple[int, int], np.ndarray] = {}
        for at, (part, span) in enumerate(zip(tokens.sentence.tolist(), tokens.span.tolist(), strict=True)):
            if part == SPECIAL or word.index(word[at]) != at:
                continue
            place = (part % AGAIN if task == "classification" else part, span[0])
            heads = [
                sum(len(h) for (layer, _, b), h in edges.items() if (layer, b) == (depth, word[at]))
                for depth in range(len(tau))
            ]
            count[place] = count.get(place, 0) + np.array(heads)
        where = found.words.of(row)
        places = zip(found.words.sentence[where].tolist(), found.words.start[where].tolist(), strict=True)
        assert list(places) == sorted(count)
        np.testing.assert_array_equal(found.words.attended[:, where], np.stack([count[p] for p in sorted(count)], 1))


@pytest.mark.parametrize(("name", "task"), ALL)
def test_own_thresholds_are_those_of_each_text(name, task, checkpoint_of):
    checkpoint = checkpoint_of(name, task)
    found = survey(checkpoint, TEXTS)
    for row, text in enumerate(TEXTS):
        merged = merge_words(capture(checkpoint, encode(checkpoint, text.text_a, text.text_b)))
        total = attended_by(attention_graph(merged, ring_tau(merged)))[:, merged.tokens.sentence != SPECIAL].sum(1)
        np.testing.assert_array_equal(found.words.attended[:, found.words.of(row)].sum(1), total)


def test_a_ring_without_a_word_that_attends_passes_on():
    """It stays in the next ring; in a model of one stack the graph ends."""
    attention = [torch.full((1, 1, 2, 2), 0.5) for _ in range(2)]
    passing = np.array([[[False, True], [True, True]]])
    found = attended_words(attention, [np.array([0, 1], np.int32)], [0], np.ones((2, 1), bool), [0.1, 0.1], passing)
    assert found.tolist() == [[[1, 1], [0, 0]]]
    assert attended_words(attention, [np.array([0, 1], np.int32)], [0], np.array([[True], [False]])).sum() == 0


@pytest.mark.parametrize(("name", "task"), ALL)
def test_many_are_read_as_each_alone_and_kept_on_disk(name, task, checkpoint_of, tmp_path):
    checkpoint = checkpoint_of(name, task)
    whole = survey(checkpoint, TEXTS, out=tmp_path / "kept")
    for row, text in enumerate(TEXTS):
        alone = survey(checkpoint, [text])
        for array in ARRAYS:
            one, other = getattr(whole, array), getattr(alone, array)
            if one is None:
                assert other is None
                continue
            one = one[:, row] if array == "hidden" else one[row]
            other = other[:, 0] if array == "hidden" else other[0]
            np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-3, err_msg=array)
        for array in WORDS[1:]:
            one, other = getattr(whole.words, array), getattr(alone.words, array)
            np.testing.assert_array_equal(one[..., whole.words.of(row)], other, err_msg=array)
    assert_same(open_survey(tmp_path / "kept", in_memory=True), whole)
    save(survey(checkpoint, TEXTS), tmp_path / "again")
    opened = open_survey(tmp_path / "again")
    assert opened.settings == whole.settings and opened.settings.stacks == (N_LAYERS, N_DECODER, N_HEADS)


def test_texts_are_ordered_and_laid_out(checkpoint_of):
    bart, t5 = (checkpoint_of(name, "classification") for name in ("bart", "t5"))
    a, b = survey(bart, TEXTS), survey(t5, TEXTS)
    trace = capture(bart, encode(bart, *PAIRS[2]))
    for how in ({}, {"by": "layer", "layer": 0}, {"by": "head", "head": (N_LAYERS, N_HEADS)}):
        assert nearest(a, trace, **how).rows[0] == 2
    with pytest.raises(SelectionError, match="the encoder of bart-classification has no cross-attention"):
        nearest(a, trace, "head", head=(0, N_HEADS))
    for by in ("decision", "loss", "influence", "graph", "behaviour"):
        order = most_different(a, b, by)
        assert len(order.rows) == (3 if by == "loss" else 4) and np.isfinite(order.values).all()
        assert np.allclose(most_different(a, a, by).values, 0, atol=1e-6)
    for values in (*a.hidden, a.behaviour):
        assert np.isfinite(projection(np.concatenate([values] * 3).astype(np.float32), method="pca").points).all()


def test_heads_of_other_kinds_are_not_set_side_by_side(checkpoint_of, checkpoints):
    own = survey(checkpoint_of("bart", "classification"), TEXTS)
    settings = own.settings
    other = survey(checkpoints["bert"], TEXTS)
    assert most_different(own, other, "influence").rows.size and most_different(own, other, "graph").rows.size
    unlike = replace(own, settings=replace(settings, stacks=None))
    with pytest.raises(SelectionError, match="are not of the same kinds"):
        most_different(own, unlike, "behaviour")


def test_means_of_heads_are_refused_with_the_reason(checkpoint_of):
    for task in ("classification", "seq2seq"):
        with pytest.raises(UnsupportedArchitectureError, match="Means of attention over many texts"):
            survey(checkpoint_of("bart", task), TEXTS, heads=True)


def test_the_page_offers_the_heads_that_there_are(checkpoint_of):
    found = survey(checkpoint_of("bart", "classification"), TEXTS)
    offered = [tuple(map(int, value.split()[1:])) for _, value in head_choices([found])]
    assert sorted(offered) == checkpoint_of("bart", "classification").heads


def test_the_room_measures_heads_but_shows_no_means_of_their_attention(checkpoint_of, monkeypatch):
    checkpoint, refs = checkpoint_of("bart", "classification"), ("a", "b")
    for module in (heads, text_heads):
        monkeypatch.setattr(module, "open_checkpoint", lambda ref: checkpoint)
    monkeypatch.setattr(collections_module, "open_checkpoint", lambda ref: checkpoint)
    opened = Opened(Texts(tuple(TEXTS), "made up", Columns("text_a"), ("no", "perhaps", "yes")), None)
    collected = Collected("key", None, refs, ("a", "", "b", ""), ((), ()), (), "cut", None)
    found = [[heads._measured(collected, opened, side, (0, 1), heads.Measured("importance"))] for side in (0, 1)]
    encodings = [encode(checkpoint, *pair) for pair in PAIRS[:2]]
    expected = head_importance(checkpoint, encodings, ["yes", "no"], method="taylor")
    np.testing.assert_allclose(found[0][0].values, expected, rtol=1e-3, atol=1e-6)
    matrix = heads._importance(collected, found, "taylor")
    assert [side["side"] for side in matrix["sides"]] == ["a", "b", "difference"]
    assert {side["encoder"] for side in matrix["sides"]} == {N_LAYERS}
    unlike = [found[0], [replace(found[1][0], stacks=None)]]
    assert [side["side"] for side in heads._importance(collected, unlike, "taylor")["sides"]] == ["a", "b"]
    with pytest.raises(UnsupportedArchitectureError, match="Means of attention over many texts"):
        heads._measured(collected, opened, 0, (0, 1), heads.Measured("pattern"))


def test_a_layout_tells_where_the_root_takes_no_part(checkpoint_of):
    found = survey(
        checkpoint_of("t5", "classification"), [replace(text, guid=f"{at}") for at, text in enumerate(TEXTS * 3)]
    )
    opened = Opened(Texts(tuple(TEXTS * 3), "made up", Columns("text_a")), None)
    for layer in range(N_LAYERS + N_DECODER + 1):
        told = collections_module.collections.layout(opened, found, "hidden", layer, "pca").note
        assert told.endswith("stands the embedding of the decoder's token.") == (layer <= N_LAYERS)
    assert "embedding" not in collections_module.collections.layout(opened, found, "behaviour", 0, "pca").note
