"""Every architecture through every analysis, and the table of the README that says so."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from attnflow import UnsupportedArchitectureError, capture
from attnflow.checkpoints.checkpoint import check_supported
from attnflow.runtime import attention_hook
from attnflow.runtime.capture import model_inputs
from tests.pipelines import ALL, BEGIN, END, PIPELINES, PRUNED, README, line_of, make_case, refused, row


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
    """The section of the README."""
    return README.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0].strip()


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
        ({"model_type": "mvp", "is_encoder_decoder": True}, "of these, the encoders of t5, mt5, umt5, bart, mbart"),
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
