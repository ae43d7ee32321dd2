"""Encoding and capture: gates, threads, nothing left behind, bad input; `test_architectures` has the numbers."""

from __future__ import annotations

import copy
import dataclasses
import threading

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from attnflow import SelectionError, TextError, capture, encode
from attnflow.checkpoints.tokenizer_reader import LocalReader
from attnflow.errors import UnsupportedArchitectureError
from attnflow.records.trace import SPECIAL
from attnflow.runtime import attention_hook
from attnflow.service.bounds import encode_bounded
from tests.checkpoints import ARCHITECTURES, N_HEADS, N_LAYERS, PAIR

ALL = pytest.mark.parametrize("name", list(ARCHITECTURES))
PRUNED = [(0, 1), (1, 0), (1, 3), (2, 2)]


def test_albert_prunes_one_layer_of_its_shared_weights(checkpoints):
    encoding = encode(checkpoints["albert"], *PAIR)
    plain, first = capture(checkpoints["albert"], encoding), capture(checkpoints["albert"], encoding, pruned=[(1, 2)])
    np.testing.assert_array_equal(plain.hidden[:2], first.hidden[:2])
    assert not np.allclose(plain.hidden[2], first.hidden[2])
    assert first.head_output[0, :, 2].any()
    assert not first.head_output[1, :, 2].any()


@ALL
def test_capture_leaves_the_model_as_it_was(name, checkpoints):
    model = checkpoints[name].model
    before = copy.deepcopy(model.state_dict())
    encoding = encode(checkpoints[name], *PAIR)
    first = capture(checkpoints[name], encoding)
    capture(checkpoints[name], encoding, pruned=PRUNED)
    again = capture(checkpoints[name], encoding)
    np.testing.assert_array_equal(first.attention, again.attention)
    np.testing.assert_array_equal(first.scores, again.scores)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert not model.training


def test_a_failed_forward_leaves_no_recording_behind(checkpoints):
    encoding = encode(checkpoints["bert"], *PAIR)
    gates = torch.zeros(N_LAYERS, N_HEADS)
    with pytest.raises(RuntimeError, match="stop"), attention_hook.record(gates):
        raise RuntimeError("stop")
    inputs = {name: torch.from_numpy(values)[None] for name, values in encoding.inputs.items()}
    with torch.no_grad():
        plain = checkpoints["bert"].model(**inputs).logits
    np.testing.assert_array_equal(plain[0], capture(checkpoints["bert"], encoding).scores)


def test_rows_of_a_batch_carry_their_own_gates(checkpoints):
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, *PAIR)
    gates = torch.ones(3, N_LAYERS, N_HEADS)
    gates[1, 0, 1] = gates[2, 2, 3] = 0
    inputs = {name: torch.from_numpy(values).expand(3, -1) for name, values in encoding.inputs.items()}
    with torch.no_grad(), attention_hook.record(gates):
        batch = checkpoint.model(**inputs).logits
    single = [capture(checkpoint, encoding, pruned=heads).scores for heads in ([], [(0, 1)], [(2, 3)])]
    np.testing.assert_allclose(batch, single, rtol=1e-4, atol=1e-5)
    assert not np.allclose(single[0], single[1])


@pytest.mark.parametrize("name", ["bert", "llama", "albert"])
def test_threads_with_different_gates_do_not_see_each_other(name, checkpoints):
    checkpoint = checkpoints[name]
    encoding = encode(checkpoint, *PAIR)
    sets = [[], [(0, 0)], [(1, 1), (2, 2)], PRUNED]
    alone = [capture(checkpoint, encoding, pruned=heads) for heads in sets]
    barrier, wrong = threading.Barrier(len(sets), timeout=60), []

    def work(index):
        for _ in range(10):
            barrier.wait()
            try:
                trace = capture(checkpoint, encoding, pruned=sets[index])
                np.testing.assert_allclose(trace.scores, alone[index].scores, atol=1e-6)
                np.testing.assert_allclose(trace.attention, alone[index].attention, atol=1e-6)
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(sets))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert not np.allclose(alone[0].scores, alone[3].scores)


def test_the_root_is_the_first_token_of_encoders_and_the_last_of_decoders(traces):
    assert traces["bert"].root == traces["modernbert"].root == 0
    assert traces["gpt2"].root == len(traces["gpt2"].tokens) - 1
    assert traces["llama"].root == len(traces["llama"].tokens) - 1


def test_traces_cannot_be_written_to(traces):
    with pytest.raises(ValueError, match="read-only"):
        traces["bert"].attention[0] = 0


@pytest.mark.parametrize(
    "pruned", [[(3, 0)], [(0, 4)], [(-1, 0)], [(0, 0, 0)], [(0,)], [(0.5, 1)], [(True, 0)], [("0", 1)], 7, [3]]
)
def test_a_head_that_does_not_exist_is_refused(pruned, checkpoints):
    encoding = encode(checkpoints["bert"], *PAIR)
    with pytest.raises(SelectionError, match=r"layer from 0 to 2 and a head from 0 to 3"):
        capture(checkpoints["bert"], encoding, pruned=pruned)


def test_all_heads_can_be_pruned(checkpoints):
    heads = [(layer, head) for layer in range(N_LAYERS) for head in range(N_HEADS)]
    trace = capture(checkpoints["bert"], encode(checkpoints["bert"], *PAIR), pruned=heads)
    assert not trace.head_output.any()
    assert np.isfinite(trace.scores).all()


@ALL
def test_tokens_show_the_original_text(name, checkpoints):
    encoding = encode(checkpoints[name], *PAIR)
    tokens = encoding.tokens
    for sentence, text in enumerate(PAIR):
        inside = np.flatnonzero(tokens.sentence == sentence)
        shown = {i for start, end in tokens.span[inside] for i in range(start, end)}
        assert shown == {i for i, c in enumerate(text) if not c.isspace()}
        for i in inside:
            start, end = tokens.span[i]
            assert tokens.text[i].removeprefix("·") == (text[start:end] or "▁")
    special = [t for t, s in zip(tokens.text, tokens.sentence, strict=True) if s == SPECIAL]
    expected = {
        "wordpiece": ["[CLS]", "[SEP]", "[SEP]"],
        "roberta": ["<s>", "</s>", "</s>", "</s>"],
        "causal": ["</s>"],
    }
    assert special == expected[ARCHITECTURES[name].tokenizer]


@pytest.mark.parametrize(
    ("given", "separator", "shown"),
    [
        ({"sep_token": "<mask>"}, "<mask>", ["<mask>"]),
        ({}, "</s>", ["</s>"]),
        ({"eos_token": None}, "line break", ["⏎"]),
    ],
)
def test_sentences_without_a_pair_format_are_kept_apart(given, separator, shown, checkpoints):
    tokenizer = copy.deepcopy(checkpoints["gpt2"].tokenizer.tokenizer)
    for name, value in given.items():
        setattr(tokenizer, name, value)
    encoding = encode(dataclasses.replace(checkpoints["gpt2"], tokenizer=LocalReader(tokenizer, "gpt2")), *PAIR)
    assert encoding.separator == separator
    tokens = encoding.tokens
    between = np.flatnonzero(tokens.sentence == SPECIAL)
    assert [tokens.text[i] for i in between] == shown
    assert set(tokens.sentence[: between[0]]) == {0}
    assert set(tokens.sentence[between[-1] + 1 :]) == {1}
    ids = [tokenizer(text)["input_ids"] for text in PAIR]
    inside = encoding.inputs["input_ids"][tokens.sentence != SPECIAL]
    assert inside.tolist() == ids[0] + ids[1]
    assert {len(values) for values in encoding.inputs.values()} == {len(tokens)}
    assert encoding.inputs["attention_mask"].all()


def test_a_pair_format_is_left_as_it_is(checkpoints):
    for name in ("bert", "roberta"):
        encoding = encode(checkpoints[name], *PAIR)
        assert encoding.separator is None
        assert encoding.inputs["input_ids"].tolist() == checkpoints[name].tokenizer.tokenizer(*PAIR)["input_ids"]
    assert encode(checkpoints["gpt2"], PAIR[0]).separator is None


def test_a_single_sentence_has_no_second(checkpoints):
    for empty in (None, "", "   "):
        tokens = encode(checkpoints["bert"], PAIR[0], empty).tokens
        assert set(tokens.sentence.tolist()) == {SPECIAL, 0}


def test_markup_and_control_characters_are_text(checkpoints):
    text = "<b>${window.hit}</b> {{7*7}}\x00 \u202eabc"
    tokens = encode(checkpoints["gpt2"], text, "x").tokens
    assert {text[start:end] for start, end in tokens.span[tokens.sentence == 0]} >= {"$", "{"}


def test_a_text_over_the_limit_is_refused_with_the_count(checkpoints):
    with pytest.raises(TextError, match=r"203 tokens long.*limit is 160.*about 43 tokens"):
        encode(checkpoints["bert"], "a " * 100, "a " * 100)
    with pytest.raises(TextError, match=r"203 tokens long.*limit is 128.*about 75 tokens"):
        encode(checkpoints["bert"], "a " * 100, "a " * 100, max_tokens=128)
    assert len(encode(checkpoints["bert"], "a " * 62, "a " * 63, max_tokens=128).tokens) == 128
    assert len(encode(checkpoints["bert"], "a " * 77, "a " * 80).tokens) == 160  # only the model's own bound holds


@pytest.mark.parametrize("bound", [0, -3, 1.5, True, "many"])
def test_a_limit_that_is_none_is_refused(bound, checkpoints):
    with pytest.raises(SelectionError, match=r"max_tokens is .*; give a whole number from 1"):
        encode(checkpoints["bert"], "a", max_tokens=bound)


@pytest.mark.parametrize("name", ["bert", "roberta"])
@pytest.mark.parametrize("pair", [PAIR, PAIR[::-1], (PAIR[0], None), ("a", PAIR[1]), (PAIR[0], "a")])
def test_a_text_is_cut_as_its_tokenizer_would_cut_it(name, pair, checkpoints):
    tokenizer = copy.deepcopy(checkpoints[name].tokenizer.tokenizer)
    whole = encode(checkpoints[name], *pair)
    for bound in range(6, len(whole.tokens) + 2):
        found = encode(checkpoints[name], *pair, truncate=True, max_tokens=bound)
        expected = tokenizer(*pair, truncation="longest_first", max_length=bound)
        assert {key: values.tolist() for key, values in found.inputs.items()} == dict(expected)
        assert found.cut == max(0, len(whole.tokens) - bound)
        assert (found.text_a, found.text_b) == pair
        shown = found.tokens.sentence != SPECIAL
        assert set(zip(found.tokens.sentence[shown], map(tuple, found.tokens.span[shown]), strict=True)) <= set(
            zip(whole.tokens.sentence, map(tuple, whole.tokens.span), strict=True)
        )


def test_a_separator_of_our_own_is_kept_where_a_text_is_cut_and_words_keep_their_numbers(checkpoints):
    whole = encode(checkpoints["gpt2"], *PAIR)
    found = encode(checkpoints["gpt2"], *PAIR, truncate=True, max_tokens=15)
    assert found.separator == "</s>" and found.cut == len(whole.tokens) - 15
    assert [(found.tokens.sentence == part).sum() for part in (0, SPECIAL, 1)] == [7, 1, 7]
    for part in (0, 1):
        kept, all_of_it = (tokens.span[tokens.sentence == part] for tokens in (found.tokens, whole.tokens))
        np.testing.assert_array_equal(kept, all_of_it[:7])
    trace = capture(checkpoints["gpt2"], found)
    assert len(trace.tokens) == 15


def test_a_text_may_be_cut_from_the_left_and_one_that_fits_is_not_cut(checkpoints):
    tokenizer = copy.deepcopy(checkpoints["bert"].tokenizer.tokenizer)
    tokenizer.truncation_side = "left"
    other = dataclasses.replace(checkpoints["bert"], tokenizer=LocalReader(tokenizer, "bert"))
    found = encode(other, *PAIR, truncate=True, max_tokens=12)
    expected = tokenizer(*PAIR, truncation="longest_first", max_length=12)
    assert found.inputs["input_ids"].tolist() == expected["input_ids"]
    assert encode(checkpoints["bert"], *PAIR, truncate=True).cut == 0


def test_room_for_no_word_is_refused(checkpoints):
    for bound in (1, 3, 4):
        with pytest.raises(TextError, match=rf"adds 3 special tokens, and the limit is {bound}, so there is no room"):
            encode(checkpoints["bert"], *PAIR, truncate=True, max_tokens=bound)
    assert encode(checkpoints["bert"], *PAIR, truncate=True, max_tokens=5).tokens.sentence.tolist() == [
        -1,
        0,
        -1,
        1,
        -1,
    ]


@pytest.mark.parametrize(("text", "reason"), [("", "empty"), ("  \n", "empty"), (None, "NoneType"), (7, "int")])
def test_a_missing_first_sentence_is_refused(text, reason, checkpoints):
    with pytest.raises(TextError, match=reason):
        encode(checkpoints["bert"], text, "something")


def test_a_server_refuses_a_text_made_to_be_a_burden_before_it_is_tokenized(checkpoints):
    with pytest.raises(TextError, match=r"second sentence has 5,000,000 characters; the limit is 2,560"):
        encode_bounded(checkpoints["bert"], "a", "a" * 5_000_000)


def test_a_server_allows_fewer_tokens_than_the_model(checkpoints):
    with pytest.raises(TextError, match=r"131 tokens long.*limit is 128.*about 3 tokens"):
        encode_bounded(checkpoints["bert"], "a " * 64, "a " * 64)


def test_half_a_character_is_refused(checkpoints):
    with pytest.raises(TextError, match="lone surrogate"):
        encode(checkpoints["bert"], "\ud800 x")


def test_a_text_of_nothing_visible_is_refused(checkpoints):
    with pytest.raises(TextError, match="finds nothing"):
        encode(checkpoints["bert"], "\u200b\u200b", "x")


def test_a_tokenizer_that_does_not_fit_the_weights_is_refused(folders, tmp_path):
    from attnflow import load_checkpoint
    from tests.checkpoints import make_checkpoint

    folder = make_checkpoint(tmp_path / "small", "bert")
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    model.resize_token_embeddings(20)
    model.save_pretrained(folder)
    with pytest.raises(UnsupportedArchitectureError, match="does not fit its weights"):
        encode(load_checkpoint(folder), *PAIR)
