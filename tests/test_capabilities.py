"""What a model's passes allow is found once, by trying the same tokens whatever text came first."""

from __future__ import annotations

import dataclasses
import threading
import time

import pytest

from attnflow import encode
from attnflow.checkpoints.learnt import Learnt
from attnflow.methods.heads.head_parameters import head_parameters
from attnflow.methods.objective import reads_one_position
from attnflow.runtime import capabilities
from tests.checkpoints import ARCHITECTURES


def test_an_answer_is_found_once_also_by_many_threads():
    learnt, asked = Learnt(), []

    def find():
        asked.append(threading.get_ident())
        time.sleep(0.05)
        return learnt.get("inner", lambda: len(asked))  # finding one thing may ask for another

    found = []
    threads = [threading.Thread(target=lambda: found.append(learnt.get("outer", find))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == [1] * 8 and len(asked) == 1


def test_a_failure_is_not_kept():
    learnt = Learnt()
    with pytest.raises(RuntimeError, match="once"):
        learnt.get("answer", lambda: (_ for _ in ()).throw(RuntimeError("once")))
    assert learnt.get("answer", lambda: 7) == 7


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_tokens_that_are_tried_are_words_of_the_vocabulary(name, checkpoints):
    checkpoint = checkpoints[name]
    ids = capabilities.probe(checkpoint)["input_ids"]
    assert ids.shape == (1, capabilities.PROBE_TOKENS) and len(set(ids[0].tolist())) == capabilities.PROBE_TOKENS
    assert not set(ids[0].tolist()) & checkpoint.tokenizer.facts.special
    assert ids.max() < checkpoint.model.get_input_embeddings().num_embeddings


def test_what_is_learnt_does_not_depend_on_the_text_that_came_first(checkpoints, monkeypatch):
    """A text of padding alone is read at its first token, where the classifier finds the end of it."""
    tried, original = [], capabilities.run_model

    def counted(checkpoint, inputs, **options):
        tried.append(inputs["input_ids"].tolist())
        return original(checkpoint, inputs, **options)

    monkeypatch.setattr(capabilities, "run_model", counted)
    fresh = [dataclasses.replace(checkpoints["gpt2"]) for _ in range(2)]
    for checkpoint, text in zip(fresh, ("<pad>", "Anna gave the book."), strict=True):
        assert reads_one_position(checkpoint, encode(checkpoint, text))
    assert len(tried) == 4 and len({str(ids) for ids in tried}) == 1


def test_a_copy_with_another_model_learns_anew(checkpoints):
    checkpoint = checkpoints["bert"]
    known = head_parameters(checkpoint)
    assert head_parameters(checkpoint) is known
    assert dataclasses.replace(checkpoint).learnt is not checkpoint.learnt
