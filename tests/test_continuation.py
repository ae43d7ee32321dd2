"""What a language model writes on, against transformers' own greedy search."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from attnflow import SelectionError, TextError, continuation, encode, expected_tokens, load_checkpoint
from attnflow.checkpoints.tokenizer_process import ChildReader
from attnflow.methods.continuation import MOST_WRITTEN
from tests.checkpoints import CHATML, edited_config, make_checkpoint
from tests.marian import make_marian

PAIR = ("Anna gave it.", "He read")
MOST = 12


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Makes a small model of each kind once, and loads it."""
    top, known = tmp_path_factory.mktemp("writers"), {}

    def of(name):
        if name not in known:
            task = "causal-lm" if name in ("gpt2", "llama") else "seq2seq-lm"
            folder = make_marian(top / name) if name == "marian" else make_checkpoint(top / name, name, task=task)
            known[name] = folder, load_checkpoint(folder)
        return known[name]

    return of


def greedy(folder, encoding, *, stop=True):
    """What transformers writes: the tokens after those of the encoding."""
    n_source = encoding.tokens.n_source
    kind = AutoModelForCausalLM if n_source is None else AutoModelForSeq2SeqLM
    model = kind.from_pretrained(folder, attn_implementation="eager").eval()
    config = model.config
    how = {
        "do_sample": False,
        "num_beams": 1,
        "max_new_tokens": MOST,
        "min_new_tokens": None if stop else MOST,
        "max_length": None,
        "forced_eos_token_id": None,
        "bad_words_ids": None,
        "eos_token_id": config.eos_token_id,
        "pad_token_id": config.pad_token_id,
        "suppress_tokens": [config.pad_token_id],
    }
    ids = torch.from_numpy(encoding.inputs["input_ids"])[None]
    if n_source is None:
        return model.generate(ids, attention_mask=torch.ones_like(ids), **how)[0, ids.shape[1] :].tolist()
    source, target = ids[:, :n_source], ids[:, n_source:]
    mask = torch.ones_like(source)
    return model.generate(source, attention_mask=mask, decoder_input_ids=target, **how)[0, target.shape[1] :].tolist()


@pytest.mark.parametrize("name", ["t5", "bart", "marian", "gpt2", "llama"])
@pytest.mark.parametrize("second", [None, "He read"])
def test_it_writes_what_transformers_writes(name, second, made):
    folder, checkpoint = made(name)
    encoding = encode(checkpoint, PAIR[0], second)
    found = continuation(checkpoint, encoding, most=MOST)
    expected = greedy(folder, encoding)
    ends = expected[-1] == checkpoint.model.config.eos_token_id
    assert found.ended == ends
    expected = expected[:-1] if ends else expected
    assert list(found.piece) == checkpoint.tokenizer.pieces(expected)
    first = expected_tokens(checkpoint, encoding, most=2)
    if len(expected) and first.entry[-1, 0] == expected[0]:
        assert found.probability[0] == pytest.approx(first.probabilities[-1, 0], rel=1e-4)
    assert found.probability.shape == (len(expected),)
    written = found.text_b if checkpoint.stacks is not None or second else found.text_a
    assert written.endswith(found.written.lstrip() if written == found.written.lstrip() else found.written)
    assert (found.text_a == PAIR[0]) == (written is found.text_b)


def test_a_model_that_ends_says_so(made, tmp_path):
    folder, checkpoint = made("bart")
    encoding = encode(checkpoint, *PAIR)
    tokens = greedy(folder, encoding, stop=False)
    ends = int(tokens[2])
    other = load_checkpoint(edited_config(folder, tmp_path / "it", eos_token_id=ends))
    found = continuation(other, encode(other, *PAIR), most=MOST)
    assert found.ended and len(found.piece) == tokens.index(ends)


def test_padding_is_never_written(made):
    checkpoint = copy.deepcopy(made("marian")[1])
    checkpoint.model.final_logits_bias[0, checkpoint.padding] = 50
    encoding = encode(checkpoint, *PAIR)
    found, plain = (continuation(one, encoding, most=3) for one in (checkpoint, made("marian")[1]))
    assert found.piece == plain.piece and "<pad>" not in found.piece
    assert (found.probability < 1e-6).all(), "a probability is of the whole vocabulary"


def test_switched_off_heads_are_off_while_it_writes(made):
    checkpoint = made("bart")[1]
    encoding = encode(checkpoint, *PAIR)
    heads = [(layer, head) for layer in range(3, 5) for head in range(8)]
    plain, found = (continuation(checkpoint, encoding, most=4, pruned=off) for off in ((), heads))
    expected = expected_tokens(checkpoint, encoding, most=1, pruned=heads)
    assert found.probability[0] == pytest.approx(expected.probabilities[-1, 0], rel=1e-4)
    assert not np.allclose(found.probability[0], plain.probability[0], rtol=1e-3)


def test_an_answer_is_written_where_the_template_leaves_it_open(tmp_path):
    folder = make_checkpoint(tmp_path / "chat", "llama", task="causal-lm", chat_template=CHATML)
    checkpoint = load_checkpoint(folder)
    found = continuation(checkpoint, encode(checkpoint, PAIR[0], chat=True), most=3)
    assert found.text_a == PAIR[0] and found.text_b == found.written.lstrip()


def test_what_cannot_be_written_is_refused(made, checkpoints):
    checkpoint = made("bart")[1]
    encoding = encode(checkpoint, *PAIR)
    for most in (0, MOST_WRITTEN + 1, 2.5, True):
        with pytest.raises(SelectionError, match="give a whole number from 1 to 256"):
            continuation(checkpoint, encoding, most=most)
    with pytest.raises(SelectionError, match="predicts no next token, so it writes nothing"):
        continuation(checkpoints["bert"], encode(checkpoints["bert"], *PAIR))
    target = len(encoding.tokens) - encoding.tokens.n_source
    assert len(continuation(replace(checkpoint, max_tokens=target + 2), encoding, most=MOST).piece) == 2
    with pytest.raises(TextError, match=f"takes {target} tokens, as many as this text has"):
        continuation(replace(checkpoint, max_tokens=target), encoding)


def test_what_pieces_say_is_the_same_apart_from_this_process(made):
    for name in ("marian", "t5", "gpt2"):
        folder, checkpoint = made(name)
        ids = checkpoint.tokenizer.target("Anna gab, 😀 es.", None).inputs["input_ids"]
        assert ChildReader(folder, name).text(ids) == checkpoint.tokenizer.text(ids)
    assert made("marian")[1].tokenizer.text(ids[:0]) == ""
