"""Keys and values that are kept give what reading all anew gives, for every architecture that writes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnflow import encode, load_checkpoint
from attnflow.methods import continuation as writing
from attnflow.runtime import next_token
from attnflow.runtime.capture import model_inputs
from attnflow.runtime.next_token import NextToken, keeps
from attnflow.runtime.recorded import head_gates
from tests.checkpoints import edited_config, make_checkpoint
from tests.marian import make_marian
from tests.test_language_stacks import make_spoken, tokenizer_of

STACKS = ("t5", "mt5", "umt5", "bart", "pegasus", "marian", "mbart", "mbart50", "plbart", "nllb")
CAUSAL = (
    *("gpt2", "llama", "qwen2", "qwen3", "gemma2", "mistral", "gpt_neox", "opt", "phi3", "olmo2"),
    *("biogpt", "stablelm", "mpt", "bloom", "falcon", "gpt_neo", "gptj", "codegen"),
)
LONG = "Anna gave the old book to her brother because he wanted to read it, and the train was late."
OPTIONS = {
    "mistral": {"sliding_window": 6},
    "gemma2": {"sliding_window": 5},
    "gpt_neo": {"window_size": 4},
    **{name: {"initializer_factor": 1.5} for name in ("t5", "mt5", "umt5")},
}
"""Windows that are shorter than the text, and scores of T5 that are not too steep for comparison."""


def made(folder, name):
    if name == "marian":
        return load_checkpoint(make_marian(folder / name))
    if name in ("mbart", "mbart50", "plbart", "nllb"):
        return load_checkpoint(make_spoken(folder / name, name, tokenizer_of(name)))
    task = "seq2seq-lm" if name in STACKS else "causal-lm"
    return load_checkpoint(make_checkpoint(folder / name, name, task=task, **OPTIONS.get(name, {})))


def written(checkpoint, keep, *, most=14, pruned=(), texts=(LONG, "He read it")):
    """The tokens and the logits before each."""
    seen, inputs = [], model_inputs(encode(checkpoint, *texts))
    after = NextToken(checkpoint, head_gates(checkpoint, frozenset(pruned)), keep=keep)
    for _ in range(most):
        row = after.scores(inputs).double()
        seen.append(row)
        inputs = {key: torch.cat((x, writing._next(key, x, int(row.argmax()))), dim=1) for key, x in inputs.items()}
    return [int(row.argmax()) for row in seen], torch.stack(seen).softmax(-1).numpy()


@pytest.mark.parametrize("name", [*STACKS, *CAUSAL])
def test_what_is_kept_changes_nothing(name, tmp_path):
    checkpoint = made(tmp_path, name)
    assert checkpoint.head.predicts_next and keeps(checkpoint)
    last, plain = checkpoint.n_layers - 1, np.nan
    for pruned in ((), ((0, 1), (last, 2), (last, checkpoint.n_heads - 1))):
        tokens, chances = written(checkpoint, False, pruned=pruned)
        kept_tokens, kept = written(checkpoint, True, pruned=pruned)
        assert kept_tokens == tokens
        np.testing.assert_allclose(kept, chances, atol=1e-5)
        if pruned:
            assert not np.allclose(chances[0], plain, atol=1e-4), "the heads are off"
        plain = chances[0]


def test_what_keeps_nothing_is_read_anew(tmp_path):
    checkpoint = made(tmp_path, "openai-gpt")
    assert checkpoint.head.predicts_next and not keeps(checkpoint)
    assert written(checkpoint, None)[0] == written(checkpoint, False)[0]


def test_positions_that_the_length_turns_are_read_anew(tmp_path):
    folder = make_checkpoint(tmp_path / "plain", "llama", task="causal-lm")
    told = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}
    other = edited_config(folder, tmp_path / "it", rope_parameters=told, max_position_embeddings=10)
    checkpoint = load_checkpoint(other)
    assert not keeps(checkpoint)
    anew, kept = (written(checkpoint, keep, texts=("Anna gave",))[1] for keep in (False, True))
    assert not np.allclose(kept, anew, atol=1e-3)
    np.testing.assert_allclose(written(checkpoint, None, texts=("Anna gave",))[1], anew, atol=1e-7)


def test_in_half_precision_all_is_read_anew(tmp_path):
    folder = make_checkpoint(tmp_path / "it", "llama", task="causal-lm")
    assert not keeps(load_checkpoint(folder, dtype="bfloat16")) and keeps(load_checkpoint(folder))


@pytest.mark.parametrize("name", ["bart", "gpt2"])
def test_only_new_tokens_are_run(name, tmp_path, monkeypatch):
    checkpoint, sizes = made(tmp_path, name), []
    forward = type(checkpoint.model).forward

    def watched(self, *args, **kwargs):
        ids = kwargs.get("decoder_input_ids", kwargs.get("input_ids"))
        sizes.append(int(ids.shape[1]))
        return forward(self, *args, **kwargs)

    assert keeps(checkpoint)
    monkeypatch.setattr(type(checkpoint.model), "forward", watched)
    encoding = encode(checkpoint, "Anna gave it.", "He read")
    written(checkpoint, None, most=4, texts=("Anna gave it.", "He read"))
    assert sizes == [len(encoding.tokens) - (encoding.tokens.n_source or 0), 1, 1, 1]


def test_where_it_differs_it_is_not_relied_upon(tmp_path, monkeypatch):
    checkpoint = made(tmp_path, "gpt2")
    monkeypatch.setattr(next_token, "nearly_equal", lambda found, expected: False)
    assert not keeps(checkpoint)
