"""Every architecture through every analysis, and the table in the documentation that says so."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModel

from attnflow import (
    SelectionError,
    UnsupportedArchitectureError,
    attention_graph,
    capture,
    encode,
    influence,
    load_checkpoint,
    merge_words,
    ring_tau,
    survey,
)
from attnflow.checkpoints.checkpoint import check_supported
from attnflow.records.root import tokens_of
from attnflow.records.texts import Text
from attnflow.records.trace import SPECIAL
from attnflow.runtime import attention_hook
from attnflow.runtime.batch import capture_batch
from attnflow.runtime.capture import model_inputs
from attnflow.stats.attention_kinds import attention_shares
from tests import reference
from tests.checkpoints import (
    ARCHITECTURES,
    MORE_ARCHITECTURES,
    N_HEADS,
    N_LAYERS,
    PAIR,
    Architecture,
    make_checkpoint,
)
from tests.pipelines import ALL, BEGIN, END, PAGE, PIPELINES, PRUNED, line_of, make_case, refused, row


@pytest.fixture(scope="module")
def case(folders, traces, tmp_path_factory):
    """Makes the case of an architecture, once."""
    top, made = tmp_path_factory.mktemp("architectures"), {}

    def of(name):
        if name not in made:
            made[name] = make_case(name, folders.get(name, top / name), traces["bert"])
        return made[name]

    return of


@pytest.fixture(scope="module")
def told():
    """That section of the page."""
    return PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0].strip()


@pytest.mark.parametrize("name", ALL)
def test_an_architecture_does_what_the_readme_says(name, case, told):
    """If it fails because the table is stale, `python -m tests.pipelines` writes it anew."""
    assert line_of(row(case(name))) in told.splitlines()


def test_the_table_has_a_column_for_each_analysis_and_names_what_is_refused(told):
    lines = told.splitlines()
    assert lines[0] == line_of(["model type", "read as", "root", *PIPELINES])
    assert [line for line in lines if line.startswith("| `")] == [
        line for name in ALL for line in lines if line.startswith(f"| `{name}` |")
    ]
    assert refused() in told


@pytest.mark.parametrize("name", ["deberta-v2", "xlnet", "falcon"])
def test_watched_modules_are_seen_by_one_thread_only(name, case):
    checkpoint, encoding = case(name).checkpoint, case(name).encoding
    plain = capture(checkpoint, encoding)
    pruned = capture(checkpoint, encoding, pruned=PRUNED)
    assert not np.allclose(plain.scores, pruned.scores)
    barrier, wrong = threading.Barrier(3, timeout=60), []

    def work(index):
        for _ in range(5):
            try:
                barrier.wait()
                if index == 0:
                    with torch.inference_mode():
                        scores = checkpoint.model(**model_inputs(encoding)).logits[0]
                    assert attention_hook.active() is None
                else:
                    scores = capture(checkpoint, encoding, pruned=PRUNED if index == 2 else ()).scores
                np.testing.assert_allclose(scores, (pruned if index == 2 else plain).scores, atol=1e-6)
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


OTHERS = [("Anna gave it.", None), (PAIR[1], "The train isn't late."), ("He wanted salt and milk.", None)]
"""Pairs of other lengths than `PAIR`."""
UNSCALED = ("t5", "mt5", "umt5")
"""Their scores are not divided by the width of a head, so that in these random models they are thousands, which single
precision rounds by more than a probability may differ: they are compared in double precision."""


@pytest.mark.parametrize("name", ALL)
def test_a_list_of_texts_gives_what_each_gives_alone(name, case):
    """In one pass where the architecture allows it; the arrays of a batch are 0 beyond a text."""
    checkpoint = load_checkpoint(case(name).folder, dtype="float64") if name in UNSCALED else case(name).checkpoint
    encodings = [case(name).encoding, *(encode(checkpoint, *pair) for pair in OTHERS)]
    lengths = [len(encoding.tokens) for encoding in encodings]
    assert len(set(lengths)) == 4
    for pruned in ((), PRUNED):
        alone = [capture(checkpoint, encoding, pruned=pruned) for encoding in encodings]
        together = capture(checkpoint, encodings, pruned=pruned)
        for found, expected in zip(together, alone, strict=True):
            assert (found.root, found.labels, found.pruned) == (expected.root, expected.labels, expected.pruned)
            assert found.tokens is expected.tokens
            np.testing.assert_allclose(found.attention, expected.attention, rtol=1e-5, atol=2e-6)
            for part in ("hidden", "head_output", "value_norms", "scores"):
                values = getattr(expected, part)
                if values is not None:
                    np.testing.assert_allclose(getattr(found, part), values, rtol=1e-5, atol=2e-6 * abs(values).max())
            assert found.attention.base is None or found.attention.base.nbytes == found.attention.nbytes
    if name == "xlnet":
        with pytest.raises(SelectionError, match="Texts of different lengths cannot run at once"):
            capture_batch(checkpoint, encodings)
        return
    batch = capture_batch(checkpoint, encodings, pruned=PRUNED)
    assert batch.attention.shape == (4, N_LAYERS, N_HEADS, max(lengths), max(lengths))
    assert batch.lengths.tolist() == lengths
    for index, (length, trace) in enumerate(zip(lengths, alone, strict=True)):
        np.testing.assert_allclose(batch.attention[index, ..., :length, :length], trace.attention, rtol=1e-5, atol=2e-6)
        for part in (batch.attention[index].movedim(3, 0), batch.attention[index].movedim(2, 0)):
            assert not part[length:].any()
        assert not batch.hidden[index, :, length:].any() and not batch.head_output[index, :, length:].any()


def kinds_of(tokens):
    """Of each token what the transcription asks for."""
    special = ["first" if position == 0 else "separator" for position in range(len(tokens))]
    marks = ["punctuation" if text.strip("·") in (".", ",") else "word" for text in tokens.text]
    return [special[i] if part == SPECIAL else marks[i] for i, part in enumerate(tokens.sentence.tolist())]


@pytest.mark.parametrize("name", ALL)
def test_a_survey_holds_what_the_definitions_give_of_each_text_alone(name, case):
    checkpoint = load_checkpoint(case(name).folder, dtype="float64") if name in UNSCALED else case(name).checkpoint
    texts = [Text(str(number), *pair) for number, pair in enumerate([PAIR, *OTHERS])]
    found = survey(checkpoint, texts, pruned=PRUNED, part_size=3)
    kinds, words = found.settings.kinds, found.words
    for number, text in enumerate(texts):
        trace = capture(checkpoint, encode(checkpoint, text.text_a, text.text_b), pruned=PRUNED)
        tokens, root = trace.tokens, tokens_of(trace.root)
        assert found.length[number] == len(tokens)
        expected = sum(trace.hidden[:, token] for token in root) / len(root)
        np.testing.assert_allclose(found.hidden[:, number], expected, rtol=2e-3, atol=2e-3 * abs(expected).max())
        if trace.scores is None:
            assert found.scores is None and found.decision is None
        else:
            np.testing.assert_allclose(found.probabilities[number], trace.probabilities, rtol=1e-4, atol=1e-6)
            assert found.decision_names[number] == trace.labels[int(trace.scores.argmax())]
        shares = reference.attention_shares(trace.attention, kinds_of(tokens))
        for index, kind in enumerate(kinds):
            np.testing.assert_allclose(found.shares[number, ..., index], shares[kind], rtol=1e-4, atol=2e-6)
        assert not any(shares[kind].any() for kind in set(shares) - set(kinds)), "a kind that is left out is there"
        np.testing.assert_allclose(
            attention_shares(trace, kinds).ravel(), found.behaviour[number], rtol=1e-4, atol=2e-6
        )
        merged = merge_words(trace)
        heads = {(layer, head) for layer in range(N_LAYERS) for head in range(N_HEADS)} - set(PRUNED)
        inside = np.flatnonzero(merged.tokens.sentence != SPECIAL)
        expected = reference.attended_words(merged.attention, merged.root, heads)[:, inside]
        np.testing.assert_array_equal(words.attended[:, words.of(number)], expected)
        assert words.start[words.of(number)].tolist() == merged.tokens.span[inside, 0].tolist()
        graph = attention_graph(merged, ring_tau(merged))
        for layer in range(N_LAYERS):
            np.testing.assert_allclose(found.influence(number, layer), influence(graph)[layer, inside], rtol=1e-6)


def test_rows_of_a_batch_carry_their_own_gates_in_watched_modules(case):
    checkpoint, encoding = case("deberta").checkpoint, case("deberta").encoding
    gates = torch.ones(2, checkpoint.n_layers, checkpoint.n_heads)
    gates[1][tuple(zip(*PRUNED, strict=True))] = 0
    with torch.inference_mode(), attention_hook.record(gates):
        batch = checkpoint.model(**model_inputs(encoding, 2)).logits
    single = [capture(checkpoint, encoding, pruned=heads).scores for heads in ((), PRUNED)]
    np.testing.assert_allclose(batch, single, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model_type": "deberta", "talking_head": True}, "mixes the attention of its heads"),
        ({"model_type": "bloom", "slow_but_exact": True}, "slow_but_exact"),
        ({"model_type": "xlnet", "bi_data": True}, "reads each text both ways at once"),
        (
            {"model_type": "mvp", "is_encoder_decoder": True},
            "of these, t5, mt5, umt5, bart, pegasus, marian, mbart, plbart, m2m_100 can",
        ),
    ],
)
def test_variants_that_cannot_be_watched_are_refused(config, reason):
    with pytest.raises(UnsupportedArchitectureError, match=reason):
        check_supported(config, "lab/model")


def test_the_encoder_of_an_encoder_decoder_says_what_it_is(case):
    for name in ("t5", "bart"):
        assert case(name).checkpoint.encoder_alone
        assert case(name).checkpoint.head.kind == "none"
    assert not case("bert").checkpoint.encoder_alone
    assert case("xlnet").encoding.tokens.piece[-1] == "<s>"  # its <cls>, which is the root


# ---- what is recorded, and what transformers computes by default

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in ALL if not CONFIG_MAPPING[name]().is_encoder_decoder},
    "bert as a decoder": ("bert", {"is_decoder": True}),
    "llama that looks ahead": ("llama", {"is_causal": False}),
    "mistral without a window": ("mistral", {"sliding_window": None}),
    "falcon of 40 billion": ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2, "multi_query": False}),
    "falcon without parallel layers": ("falcon", {"parallel_attn": False, "multi_query": False, "bias": True}),
    "OPT with norms after": ("opt", {"do_layer_norm_before": False}),
    "GPT-2 scaled by layers": ("gpt2", {"scale_attn_by_inverse_layer_idx": True, "reorder_and_upcast_attn": True}),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_recorded_is_what_transformers_computes_by_default(variant, tmp_path):
    """Attention is recorded from eager code, of which transformers' fast attention must be a faster form only."""
    name, settings = VARIANTS[variant]
    folder = make_checkpoint(tmp_path / "it", name, task="none", **settings)
    checkpoint = load_checkpoint(folder)
    encoding = encode(checkpoint, *PAIR)
    default = AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        expected = default(**model_inputs(encoding)).last_hidden_state[0]
    np.testing.assert_allclose(capture(checkpoint, encoding).hidden[-1], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        ("falcon", {"alibi": True}, r"position biases \(alibi\) twice"),
        ("gemma2", {"use_bidirectional_attention": True}, "gives use_bidirectional_attention as True"),
    ],
)
def test_what_would_be_recorded_otherwise_is_refused_as_long_as_it_is(name, settings, reason, tmp_path):
    folder = make_checkpoint(tmp_path / "it", name, task="none", **settings)
    with pytest.raises(UnsupportedArchitectureError, match=reason):
        load_checkpoint(folder)
    if name == "falcon":  # Gemma 2 has no fast attention in the library; see `ignored_settings`
        eager, default = (AutoModel.from_pretrained(folder, attn_implementation=how).eval() for how in ("eager", None))
        ids = torch.arange(5, 25)[None]
        with torch.inference_mode():
            assert not torch.allclose(eager(ids).last_hidden_state, default(ids).last_hidden_state, atol=1e-2)


@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        ("opt", {"word_embed_proj_dim": 16}, r"not as wide as its layers \(word_embed_proj_dim 16, hidden_size 32\)"),
        ("albert", {"inner_group_num": 2}, r"each of its layers is several \(inner_group_num\)"),
    ],
)
def test_layers_that_cannot_be_recorded_one_by_one_are_refused(name, settings, reason, tmp_path, monkeypatch):
    folder = make_checkpoint(tmp_path / "it", name, **settings)
    with pytest.raises(UnsupportedArchitectureError, match=reason):
        load_checkpoint(folder)
    monkeypatch.setattr("attnflow.checkpoints.checkpoint.refusal", lambda config: None)  # as of one that nobody knows
    checkpoint = load_checkpoint(folder)
    with pytest.raises(UnsupportedArchitectureError, match=r"has the widths|used the attention interface"):
        capture(checkpoint, encode(checkpoint, *PAIR))


@pytest.mark.parametrize("window", [2, 5])
def test_a_model_that_looks_ahead_a_little_is_asked_for_no_next_word(window, tmp_path, monkeypatch):
    gemma3 = Architecture("gemma3_text", "causal", "", {**ARCHITECTURES["gemma2"].options, "sliding_window": window})
    monkeypatch.setitem(MORE_ARCHITECTURES, "gemma3_text", gemma3)
    ahead = load_checkpoint(
        make_checkpoint(tmp_path / "it", "gemma3_text", task="causal-lm", use_bidirectional_attention=True)
    )
    assert (ahead.head.kind, ahead.head.trained) == ("none", False)
    assert "also see the words that follow" in ahead.head.reason
    back = load_checkpoint(make_checkpoint(tmp_path / "other", "gemma3_text", task="causal-lm"))
    assert (back.head.kind, back.head.trained) == ("causal-lm", True)
