"""What is in a file of weights is what the model computes with, or is refused by name."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from attnflow import CheckpointError, UnsupportedArchitectureError, capture, encode, load_checkpoint
from attnflow.checkpoints.weights import summarised
from attnflow.service.workspace import workspace
from tests.checkpoints import N_HEADS, N_LAYERS, PAIR, WIDTH, copy_without, edited_config, make_checkpoint

pytestmark = pytest.mark.usefixtures("empty_caches")


def with_weights(folder: Path, target: Path, change, **config) -> Path:
    """A copy of a checkpoint whose tensors by name are what `change` makes of them."""
    copy = edited_config(folder, target, **config)
    tensors = change(load_file(copy / "model.safetensors"))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, copy / "model.safetensors")
    return copy


def as_pickle(folder: Path, target: Path, wrap) -> Path:
    """A copy of a checkpoint whose weights are a `.bin` file that holds what `wrap` makes of the tensors by name."""
    copy = copy_without(folder, target, "model.safetensors")
    torch.save(wrap(load_file(folder / "model.safetensors")), copy / "pytorch_model.bin")
    return copy


def equal(one, other) -> bool:
    """Whether two checkpoints compute the same, and predict the same if they do; up to rounding, as a file may lie
    otherwise in memory."""
    a, b = (capture(loaded, encode(loaded, *PAIR)) for loaded in (one, other))
    parts = [(a.hidden, b.hidden), *([] if a.scores is None else [(a.scores, b.scores)])]
    return (a.scores is None) == (b.scores is None) and all(np.allclose(*both, rtol=1e-4, atol=1e-5) for both in parts)


# ---- weights that the model has no place for


@pytest.mark.parametrize(
    ("model_type", "task", "left_over"),
    [
        ("bert", "sequence-classification", "bert.encoder.layer.1.attention.self.distance_embedding.weight"),
        ("bert", "none", "encoder.layer.1.attention.self.distance_embedding.weight"),
        ("roberta", "masked-lm", "roberta.encoder.layer.0.attention.self.query.lora_A.weight"),
        ("distilbert", "token-classification", "distilbert.transformer.layer.0.adapter.down.weight"),
        ("gpt2", "causal-lm", "transformer.h.2.crossattention.c_attn.weight"),
        ("llama", "causal-lm", "model.layers.0.self_attn.q_norm.weight"),
        ("llama", "none", "layers.3.mlp.up_proj.weight"),
        ("mpt", "causal-lm", "transformer.wpe.weight"),
    ],
)
def test_a_weight_of_the_model_itself_that_has_no_place_is_refused_by_name(model_type, task, left_over, tmp_path):
    folder = make_checkpoint(tmp_path / "whole", model_type, task=task)
    assert load_checkpoint(folder).notes == ()
    more = with_weights(folder, tmp_path / "more", lambda tensors: tensors | {left_over: torch.ones(4, 4)})
    with pytest.raises(CheckpointError, match=rf"holds {left_over.replace('.', '[.]')}, for which"):
        load_checkpoint(more)


def test_layers_beyond_those_of_the_configuration_are_refused(folders, tmp_path):
    with pytest.raises(CheckpointError, match=r"holds bert\.encoder\.layer\.2\.\S+ and \d+ more, for which"):
        load_checkpoint(edited_config(folders["bert"], tmp_path / "shallow", num_hidden_layers=2))


@pytest.mark.parametrize(
    ("model_type", "task", "left_over", "told"),
    [
        ("bert", "sequence-classification", "cls.predictions.transform.dense.weight", "cls.predictions"),
        ("bert", "masked-lm", "bert.pooler.dense.weight", "bert.pooler"),
        ("bert", "none", "bert.embeddings.position_ids", ""),
        ("roberta", "sequence-classification", "lm_head.dense.weight", "lm_head.dense"),
        ("gpt2", "none", "lm_head.weight", "lm_head"),
        ("gpt_neo", "causal-lm", "transformer.h.0.attn.attention.bias", "transformer.h"),
        ("gpt_neo", "none", "transformer.h.0.attn.attention.masked_bias", "transformer.h"),
        ("llama", "causal-lm", "model.layers.0.self_attn.rotary_emb.inv_freq", ""),
    ],
)
def test_what_is_no_part_of_the_model_is_told_and_changes_nothing(model_type, task, left_over, told, tmp_path):
    folder = make_checkpoint(tmp_path / "whole", model_type, task=task)
    more = load_checkpoint(with_weights(folder, tmp_path / "more", lambda found: found | {left_over: torch.ones(4)}))
    assert equal(load_checkpoint(folder), more)
    assert more.notes == ((f"Of its weights, {told} is not part of this model and not read.",) if told else ())


def test_notes_reach_the_page_and_the_endpoints(hub, folders, tmp_path):
    extra = {"qa_outputs.weight": torch.ones(2, WIDTH)}
    hub.add("lab/answers", with_weights(folders["bert"], tmp_path / "more", lambda found: found | extra))
    card = workspace.case("lab/answers", *PAIR).card
    assert "qa_outputs" in card.notes[0]


def test_names_of_tensors_are_told_by_their_beginnings():
    assert summarised(["optimizer", "lm_head.bias", "cls.predictions.bias"]) == (
        "cls.predictions",
        "lm_head",
        "optimizer",
    )


# ---- names with something before them


@pytest.mark.parametrize("prefix", ["module.", "model.", "module.model.", "0.auto_model.", "roberta.", "a.b.c.d."])
@pytest.mark.parametrize("task", ["sequence-classification", "none"])
def test_one_prefix_before_all_names_is_taken_away_and_told(prefix, task, tmp_path):
    folder = make_checkpoint(tmp_path / "whole", "bert", task=task)
    copy = with_weights(folder, tmp_path / "more", lambda found: {prefix + name: found[name] for name in found})
    loaded = load_checkpoint(copy)
    assert equal(load_checkpoint(folder), loaded)
    assert loaded.head.trained == (task != "none")
    assert loaded.notes == (f"All names of its weights begin with {prefix}, which was taken away.",)


def with_positions(model_type, prefix, row, zero):
    """What puts something before names of base weights, and zeros or ones into a row of the table of positions."""

    def change(found):
        made = {f"{prefix}{name.removeprefix(f'{model_type}.')}": value.clone() for name, value in found.items()}
        (table,) = (name for name in made if name.endswith("position_embeddings.weight"))
        made[table][row] = 0.0 if zero else 1.0
        return made

    return change


@pytest.mark.parametrize(
    ("model_type", "prefix", "zero", "fits"),
    [
        ("roberta", "bert.", True, True),  # a RoBERTa that a program calls so
        ("roberta", "bert.", False, False),
        ("roberta", "module.bert.", False, False),
        ("roberta", "module.", False, True),
        ("bert", "roberta.", False, True),
        ("bert", "roberta.", True, False),
        ("bert", "module.", True, True),
    ],
)
def test_weights_that_bear_the_name_of_another_architecture_must_count_positions_alike(
    model_type, prefix, zero, fits, tmp_path
):
    folder = make_checkpoint(tmp_path / "whole", model_type, task="none")
    copy = with_weights(folder, tmp_path / "more", with_positions(model_type, prefix, 1, zero))
    if fits:
        assert load_checkpoint(copy).notes == (f"All names of its weights begin with {prefix}, which was taken away.",)
    else:
        with pytest.raises(
            CheckpointError, match=rf"called {prefix[:-1].split('.')[-1]}, and row 1 of their positions"
        ):
            load_checkpoint(copy)


@pytest.mark.parametrize(
    ("model_type", "prefix"),
    [("llama", "transformer."), ("gpt2", "model."), ("t5", "bart."), ("pegasus", "bart.")],
)
def test_a_head_that_names_its_base_otherwise_is_read(model_type, prefix, tmp_path):
    folder = make_checkpoint(tmp_path / "whole", model_type, task="none")
    head = {"qa_outputs.weight": torch.ones(2, WIDTH), "qa_outputs.bias": torch.ones(2)}
    named = {"architectures": ["LlamaForQuestionAnswering"]}
    plain = with_weights(folder, tmp_path / "plain", lambda found: found | head, **named)
    copy = with_weights(
        folder, tmp_path / "more", lambda found: {prefix + name: found[name] for name in found} | head, **named
    )
    loaded = load_checkpoint(copy)
    assert equal(load_checkpoint(plain), loaded)
    if model_type == "pegasus":  # for which transformers has no such head
        assert loaded.head.kind == "none" and loaded.stacks is None
        assert "qa_outputs" in loaded.notes[0]
    else:
        assert loaded.head.kind == "question-answering" and loaded.head.trained
        assert torch.equal(loaded.model.get_submodule("qa_outputs").weight, head["qa_outputs.weight"])
        assert (loaded.stacks is not None) == (model_type == "t5")


def test_names_of_an_older_library_behind_a_prefix_are_found(folders, tmp_path):
    def older(found):
        names = {
            name: name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
            for name in found
        }
        return {f"module.{names[name]}": found[name] for name in found}

    assert equal(
        load_checkpoint(folders["bert"]), load_checkpoint(with_weights(folders["bert"], tmp_path / "old", older))
    )


@pytest.mark.parametrize("part", ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"])
@pytest.mark.parametrize("before", [{"layer.1."}, {"layer.0.", "layer.1.", "layer.2."}, {"bert.", "classifier."}])
def test_what_training_programs_put_into_names_is_taken_away_and_told(part, before, folders, tmp_path):
    def wrapped(found):
        names = {key: key for key in found}
        for place in before:
            names = {key: name.replace(place, f"{part}.{place}{part}.") for key, name in names.items()}
        return {names[key]: found[key] for key in found}

    loaded = load_checkpoint(with_weights(folders["bert"], tmp_path / "it", wrapped))
    assert equal(load_checkpoint(folders["bert"]), loaded)
    assert loaded.head.trained
    assert loaded.notes == (f"In names of its weights stood {part} of a training program, which was taken away.",)


def test_a_layer_that_is_there_with_such_a_name_and_without_is_refused(folders, tmp_path):
    key = "bert.encoder.layer.1.output.dense.weight"
    twice = with_weights(
        folders["bert"], tmp_path / "it", lambda found: found | {f"_orig_mod.{key}": torch.ones(WIDTH, 48)}
    )
    with pytest.raises(CheckpointError, match=rf"hold {re.escape(key)} twice, with _orig_mod in its name and without"):
        load_checkpoint(twice)


def test_an_adapter_that_is_not_merged_is_told_as_one(folders, tmp_path):
    def adapted(found):
        names = {key: key.replace("self.query.", "self.query.base_layer.") for key in found}
        more = {"bert.encoder.layer.0.attention.self.query.lora_A.default.weight": torch.ones(2, WIDTH)}
        return {f"base_model.model.{names[key]}": found[key] for key in found} | more

    with pytest.raises(CheckpointError, match=r"an adapter that is not merged .*query\.base_layer"):
        load_checkpoint(with_weights(folders["bert"], tmp_path / "it", adapted))


def test_two_models_in_one_file_are_refused(tmp_path):
    folder = make_checkpoint(tmp_path / "whole", "bert", task="none")
    copy = with_weights(
        folder,
        tmp_path / "two",
        lambda found: {
            f"{which}.{name}": found[name].clone() for name in found for which in ("query_model", "text_model")
        },
    )
    with pytest.raises(CheckpointError, match=r"two models, query_model\.\* and text_model\.\*"):
        load_checkpoint(copy)


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model", "module"])
def test_weights_beside_the_state_of_a_training_program_are_read(wrapper, folders, tmp_path):
    state = {"epoch": 3, "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 1e-3}]}}
    copy = as_pickle(folders["bert"], tmp_path / "saved", lambda found: state | {wrapper: found})
    loaded = load_checkpoint(copy)
    assert equal(load_checkpoint(folders["bert"]), loaded)
    assert loaded.notes == ("Of its weights, epoch, optimizer are not part of this model and not read.",)


def test_a_wrapper_and_a_prefix_together_are_read(folders, tmp_path):
    def wrapped(found):
        return {"epoch": 1, "state_dict": {f"module.{name}": found[name] for name in found}}

    assert equal(load_checkpoint(folders["bert"]), load_checkpoint(as_pickle(folders["bert"], tmp_path / "s", wrapped)))


def test_a_pickle_without_weights_is_refused(folders, tmp_path):
    with pytest.raises(CheckpointError, match=r"weights of none cannot be read.*holds no weights by name"):
        load_checkpoint(as_pickle(folders["bert"], tmp_path / "none", lambda found: list(found.values())))


def test_weights_that_are_truly_missing_are_named_with_what_is_there_instead(folders, tmp_path):
    def otherwise(found):
        return {name.replace("layer.1.attention.self.query", "layer.1.attention.self.q"): found[name] for name in found}

    with pytest.raises(
        CheckpointError, match=r"lacks .*layer\.1\.attention\.self\.query\.\w+ among them; its file has "
    ):
        load_checkpoint(with_weights(folders["bert"], tmp_path / "other", otherwise))


# ---- sizes that do not fit


@pytest.mark.parametrize(
    ("key", "size", "told"),
    [
        ("classifier.weight", (5, WIDTH), rf"classifier\.weight has the shape 5 x {WIDTH}, .* has 3 x {WIDTH} there"),
        ("bert.embeddings.position_embeddings.weight", (9, WIDTH), r"position_embeddings\.weight has the shape 9 x"),
        ("bert.pooler.dense.bias", (7,), rf"pooler\.dense\.bias has the shape 7, .* has {WIDTH} there"),
    ],
)
def test_a_size_that_does_not_fit_is_told_with_both_shapes(key, size, told, folders, tmp_path):
    copy = with_weights(folders["bert"], tmp_path / "other", lambda found: found | {key: torch.zeros(size)})
    with pytest.raises(CheckpointError, match=told):
        load_checkpoint(copy)


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.bool])
@pytest.mark.parametrize("task", ["sequence-classification", "none"])
def test_whole_numbers_in_place_of_weights_are_refused(kind, task, tmp_path):
    folder = make_checkpoint(tmp_path / "whole", "bert", task=task)
    whole = with_weights(
        folder,
        tmp_path / "it",
        lambda found: {
            key: (100 * value).to(kind) if "layer.1.attention.self.query.weight" in key else value
            for key, value in found.items()
        },
    )
    with pytest.raises(CheckpointError, match=rf"query\.weight as {str(kind).removeprefix('torch.')}, whole numbers"):
        load_checkpoint(whole)


# ---- heads that are not in the file

GONE = {0: [1], 2: [0, 3]}


def pruned_as_before(found, gone, n_heads):
    """What `prune_heads` of transformers 4 leaves of the projections, literally: rows and columns that stay."""
    for layer, heads in gone.items():
        for name in found:
            if re.search(r"\d+", name) is None or int(re.search(r"\d+", name).group()) != layer:
                continue
            width = WIDTH // n_heads
            stays = torch.tensor(
                [
                    row
                    for head in range(n_heads)
                    if head not in heads
                    for row in range(head * width, (head + 1) * width)
                ],
                dtype=torch.long,
            )
            if any(
                part in name
                for part in (
                    ".query.",
                    ".key.",
                    ".value.",
                    ".q_lin.",
                    ".k_lin.",
                    ".v_lin.",
                    "SelfAttention.q",
                    "SelfAttention.k",
                    "SelfAttention.v",
                )
            ):
                found[name] = found[name][stays]
            elif name.endswith(("attention.output.dense.weight", "out_lin.weight", "SelfAttention.o.weight")):
                found[name] = found[name][:, stays]
            elif "attn.c_attn." in name:  # columns of Q, K and V side by side
                found[name] = found[name][..., torch.cat([stays, stays + WIDTH, stays + 2 * WIDTH])]
            elif name.endswith("attn.c_proj.weight"):
                found[name] = found[name][stays]
    return found


@pytest.mark.parametrize("model_type", ["bert", "roberta", "electra", "distilbert", "gpt2", "t5"])
@pytest.mark.parametrize("gone", [GONE, {1: [0, 1, 2, 3]}], ids=["some", "all of a layer"])
def test_a_checkpoint_without_some_heads_equals_the_whole_one_with_those_gated(model_type, gone, tmp_path):
    task = "none" if model_type == "t5" else "sequence-classification"
    folder = make_checkpoint(tmp_path / "whole", model_type, task=task)
    copy = with_weights(
        folder,
        tmp_path / "pruned",
        lambda found: pruned_as_before(found, gone, N_HEADS),
        pruned_heads={str(layer): heads for layer, heads in gone.items()},
    )
    loaded, whole = load_checkpoint(copy), load_checkpoint(folder)
    heads = frozenset((layer, head) for layer, numbers in gone.items() for head in numbers)
    assert loaded.pruned == heads
    assert f"without {len(heads)} of its heads" in loaded.notes[0]
    expected = capture(whole, encode(whole, *PAIR), pruned=heads)
    for trace in (capture(loaded, encode(loaded, *PAIR)), capture(loaded, [encode(loaded, *PAIR)] * 2)[1]):
        assert trace.pruned == heads
        np.testing.assert_allclose(trace.hidden, expected.hidden, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(trace.head_output, expected.head_output, rtol=1e-4, atol=1e-5)
        if trace.scores is not None:
            np.testing.assert_allclose(trace.scores, expected.scores, rtol=1e-4, atol=1e-5)
        for layer, head in np.ndindex(N_LAYERS, N_HEADS):
            if (layer, head) in heads:
                assert not trace.head_output[layer, :, head].any()
            else:
                np.testing.assert_allclose(trace.attention[layer, head], expected.attention[layer, head], atol=1e-5)
    more = capture(loaded, encode(loaded, *PAIR), pruned=[(1, 1)])
    assert more.pruned == heads | {(1, 1)}


def test_a_head_that_is_gone_cannot_be_switched_on(hub, folders, tmp_path):
    heads = frozenset((layer, head) for layer, numbers in GONE.items() for head in numbers)
    hub.add(
        "lab/pruned",
        with_weights(folders["bert"], tmp_path / "p", lambda f: pruned_as_before(f, GONE, N_HEADS), pruned_heads=GONE),
    )
    case = workspace.case("lab/pruned", *PAIR)
    assert case.pruned == heads
    assert workspace.without(case, []) is case
    assert workspace.without(case, [(1, 1)]).pruned == heads | {(1, 1)}
    assert workspace.case("lab/pruned", *PAIR, pruned=[(0, 1)]) is case


@pytest.mark.parametrize("told", [{"7": [0]}, {"0": [9]}, {"0": ["1"]}, {"x": [1]}, {"0": 1}, [1]])
def test_pruned_heads_that_are_none_are_refused(told, folders, tmp_path):
    with pytest.raises((CheckpointError, UnsupportedArchitectureError), match="pruned_heads"):
        load_checkpoint(edited_config(folders["bert"], tmp_path / "odd", pruned_heads=told))


def test_heads_that_are_said_to_be_gone_and_are_there_are_refused(folders, tmp_path):
    with pytest.raises(CheckpointError, match=r"heads of layer 0 are gone \(pruned_heads\), and its weights hold all"):
        load_checkpoint(edited_config(folders["bert"], tmp_path / "odd", pruned_heads={"0": [1]}))
    with pytest.raises(CheckpointError, match="share their weights"):
        load_checkpoint(edited_config(folders["albert"], tmp_path / "shared", pruned_heads={"0": [1]}))
