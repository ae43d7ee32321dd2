"""Loading checkpoints: from folders and from the Hub, with everything that can be wrong with them."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import zipfile

import huggingface_hub
import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from attnflow import CheckpointError, UnsupportedArchitectureError, capture, encode, limits, load_checkpoint
from attnflow.checkpoints.checkpoint import check_supported
from attnflow.checkpoints.references import check_repo_id
from attnflow.checkpoints.task_head import head_kind
from attnflow.service.workspace import workspace
from tests.checkpoints import N_HEADS, N_LAYERS, PAIR, WIDTH, copy_without, edited_config, make_checkpoint
from tests.conftest import forget_models

pytestmark = pytest.mark.usefixtures("empty_caches")


# ---- what a checkpoint is


def test_a_folder_is_loaded_and_described(folders):
    loaded = load_checkpoint(folders["bert"])
    assert (loaded.n_layers, loaded.n_heads, loaded.width) == (N_LAYERS, N_HEADS, WIDTH)
    assert loaded.architecture == "BertForSequenceClassification"
    assert loaded.head.kind == "sequence-classification"
    assert loaded.head.trained
    assert loaded.head.labels == ("no", "perhaps", "yes")
    assert (loaded.root, loaded.max_tokens) == ("first", 160)
    assert loaded.n_parameters == sum(p.numel() for p in loaded.model.parameters())
    assert not loaded.model.training
    assert next(loaded.model.parameters()).dtype == torch.float32
    assert load_checkpoint(str(folders["bert"])) is loaded


def test_a_folder_that_changed_is_loaded_anew(folders, tmp_path):
    folder = shutil.copytree(folders["bert"], tmp_path / "copy")
    first = load_checkpoint(folder)
    make_checkpoint(folder, "bert", seed=1)
    second = load_checkpoint(folder)
    assert first.sha != second.sha
    assert first is not second


def test_a_model_without_a_classifier_predicts_nothing(tmp_path):
    folder = make_checkpoint(tmp_path / "plain", "bert", task="none")
    loaded = load_checkpoint(folder)
    trace = capture(loaded, encode(loaded, *PAIR))
    assert loaded.head.kind == "none"
    assert trace.scores is None
    assert trace.probabilities is None
    assert trace.labels == ()


def test_a_classifier_whose_weights_are_missing_predicts_nothing(tmp_path):
    folder = make_checkpoint(tmp_path / "plain", "bert", task="none")
    claiming = edited_config(folder, tmp_path / "claiming", architectures=["BertForSequenceClassification"])
    loaded = load_checkpoint(claiming)
    assert loaded.head.kind == "sequence-classification"
    assert not loaded.head.trained
    assert capture(loaded, encode(loaded, *PAIR)).scores is None


def test_a_body_whose_weights_are_missing_is_refused(folders, tmp_path):
    deeper = edited_config(folders["bert"], tmp_path / "deeper", num_hidden_layers=5)
    with pytest.raises(CheckpointError, match=r"lacks weights.*encoder\.layer\.3"):
        load_checkpoint(deeper)


@pytest.mark.parametrize(
    ("problem", "labels", "expected"),
    [("regression", 1, None), ("multi_label_classification", 3, "sigmoid"), (None, 1, None), (None, 3, "softmax")],
)
def test_probabilities_follow_the_kind_of_problem(problem, labels, expected, tmp_path):
    folder = make_checkpoint(tmp_path / "model", "bert")
    if labels == 1:
        model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, ignore_mismatched_sizes=True)
        model.save_pretrained(folder)
    folder = edited_config(folder, tmp_path / "edited", problem_type=problem)
    loaded = load_checkpoint(folder)
    trace = capture(loaded, encode(loaded, *PAIR))
    scores = torch.from_numpy(trace.scores.copy()).double()
    if expected is None:
        assert trace.probabilities is None
    else:
        wanted = scores.softmax(-1) if expected == "softmax" else scores.sigmoid()
        np.testing.assert_allclose(trace.probabilities, wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("architectures", "kind"),
    [
        (["BertForSequenceClassification"], "sequence-classification"),
        (["RobertaForMaskedLM"], "masked-lm"),
        (["BertForPreTraining"], "masked-lm"),
        (["GPT2LMHeadModel"], "causal-lm"),
        (["LlamaForCausalLM"], "causal-lm"),
        (["BertForTokenClassification"], "token-classification"),
        (["BertModel"], "none"),
        ([], "none"),
    ],
)
def test_the_kind_of_head_is_read_from_the_configuration(architectures, kind):
    assert head_kind(architectures) == kind


def test_positions_before_padding_are_not_counted_for_roberta(folders):
    assert load_checkpoint(folders["roberta"]).max_tokens == 160 - 2
    assert load_checkpoint(folders["bert"]).max_tokens == 160


# ---- what is refused


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model_type": "nothing-known"}, "does not know its architecture 'nothing-known'"),
        ({}, "does not know its architecture None"),
        ({"model_type": "own", "auto_map": {"AutoModel": "code.Own"}}, "needs code of its own"),
        ({"model_type": "bigbird_pegasus", "is_encoder_decoder": True}, "encoder-decoder"),
        ({"model_type": "bert", "quantization_config": {}}, "quantised"),
        ({"model_type": "funnel"}, "attention of funnel cannot be recorded"),
        ({"model_type": "longformer"}, "attention of longformer cannot be recorded"),
        ({"model_type": "vit"}, "vit does not read text"),
    ],
)
def test_an_architecture_that_cannot_be_analysed_is_refused_with_the_reason(config, reason):
    with pytest.raises(UnsupportedArchitectureError, match=reason):
        check_supported(config, "lab/model")


class Bomb:
    """Its pickle would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("container", ["zip", "plain"])
def test_a_pickle_with_code_is_refused_and_not_run(container, hub, folders, tmp_path):
    folder = copy_without(folders["bert"], tmp_path / "evil", "model.safetensors")
    trap, path = str(tmp_path / "ran"), folder / "pytorch_model.bin"
    if container == "zip":
        torch.save({"bomb": Bomb(trap)}, path)
        assert zipfile.is_zipfile(path)
    else:
        path.write_bytes(pickle.dumps({"bomb": Bomb(trap)}, protocol=2))
    hub.add(f"lab/evil-{container}", folder)
    with pytest.raises(CheckpointError, match=r"pickle that holds more than tensors.*safetensors"):
        load_checkpoint(f"lab/evil-{container}")
    assert not os.path.exists(trap)
    torch.load(path, weights_only=False) if container == "zip" else pickle.loads(path.read_bytes())
    assert os.path.exists(trap)  # the trap works, so it was not sprung


def test_an_honest_pickle_is_loaded(hub, folders, tmp_path):
    folder = copy_without(folders["bert"], tmp_path / "bin", "model.safetensors")
    good = load_checkpoint(folders["bert"])
    torch.save(good.model.state_dict(), folder / "pytorch_model.bin")
    hub.add("lab/bin", folder)
    loaded = load_checkpoint("lab/bin")
    encoding = encode(good, *PAIR)
    np.testing.assert_array_equal(capture(loaded, encoding).scores, capture(good, encoding).scores)


def test_code_in_a_repository_is_not_run(hub, folders, tmp_path):
    trap = tmp_path / "ran"
    folder = edited_config(
        folders["bert"], tmp_path / "coded", auto_map={"AutoModelForSequenceClassification": "own.Own"}
    )
    (folder / "own.py").write_text(f"open({str(trap)!r}, 'w').close()")
    hub.add("lab/coded", folder)
    assert load_checkpoint("lab/coded").architecture == "BertForSequenceClassification"
    assert not trap.exists()
    assert not any("own.py" in request.path for request in hub.requests)


def test_too_many_parameters_are_refused_before_the_download(hub, repo):
    with pytest.raises(CheckpointError, match=r"million parameters; this machine takes at most 0 million"):
        load_checkpoint(repo, max_parameters=10_000)
    assert not any("safetensors" in request.path for request in hub.requests if repo in request.path)


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ("config.json", "no config.json"),
        ("model.safetensors", "no weights as safetensors"),
        ("tokenizer.json", "tokenizer of .* cannot be loaded|no fast tokenizer"),
    ],
)
def test_a_repository_that_lacks_a_file_is_refused(missing, reason, hub, folders, tmp_path):
    name = f"lab/without-{missing.replace('.', '-')}"
    hub.add(name, copy_without(folders["bert"], tmp_path / "part", missing))
    with pytest.raises(CheckpointError, match=reason):
        load_checkpoint(name)


def test_a_configuration_that_asks_for_too_much_is_refused_before_anything_is_allocated(folders, tmp_path):
    config = json.loads((folders["bert"] / "config.json").read_text())
    for name, change in (("vocabulary", {"vocab_size": 10**8}), ("width", {"intermediate_size": 10**9})):
        folder = edited_config(folders["bert"], tmp_path / name, **change)
        with pytest.raises(CheckpointError, match="million parameters; this machine takes at most 100 million"):
            load_checkpoint(folder, max_parameters=10**8)
    for layers in (0, 10**6, "x"):
        with pytest.raises(UnsupportedArchitectureError, match="layers"):
            check_supported(config | {"num_hidden_layers": layers}, "lab/model")


def test_a_large_download_is_refused_before_it_starts(hub, repo):
    with pytest.raises(CheckpointError, match="MB to download; this machine takes at most 0 MB"):
        load_checkpoint(repo, max_download_bytes=10_000)
    assert not any("safetensors" in request.path for request in hub.requests if repo in request.path)


def test_a_server_bounds_what_it_loads_and_the_library_does_not(hub, repo, monkeypatch):
    for name, reason in (("MAX_PARAMETERS", "million parameters"), ("MAX_DOWNLOAD_BYTES", "MB to download")):
        with monkeypatch.context() as bounded:
            bounded.setattr(limits, name, 10_000)
            with pytest.raises(CheckpointError, match=f"{reason}; this machine takes at most 0 m?"):
                workspace.case(repo, *PAIR)
    monkeypatch.setattr(limits, "MAX_PARAMETERS", 10_000)
    monkeypatch.setattr(limits, "MAX_DOWNLOAD_BYTES", 10_000)
    assert load_checkpoint(repo).n_parameters > 10_000


def test_an_adapter_is_refused(hub, tmp_path):
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    hub.add("lab/adapter", tmp_path / "adapter")
    with pytest.raises(UnsupportedArchitectureError, match="adapter"):
        load_checkpoint("lab/adapter")


@pytest.mark.parametrize("where", ["folder", "hub"])
@pytest.mark.parametrize(
    ("renamed", "reason"),
    [
        ({}, r"an adapter \(adapter_config\.json\) lies beside its weights"),
        ({"model.safetensors": "adapter_model.safetensors"}, "an adapter .* without the model it adapts"),
        (
            {"model.safetensors": "adapter_model.safetensors", "config.json": "other.json"},
            "an adapter .* without the model it adapts",
        ),
    ],
    ids=["beside", "without weights", "alone"],
)
def test_an_adapter_is_never_left_aside(renamed, reason, where, hub, folders, tmp_path):
    folder = shutil.copytree(folders["bert"], tmp_path / "adapted")
    (folder / "adapter_config.json").write_text("{}")
    for old, new in renamed.items():
        (folder / old).rename(folder / new)
    name = f"lab/adapted-{len(renamed)}"
    hub.add(name, folder)
    with pytest.raises(UnsupportedArchitectureError, match=reason):
        load_checkpoint(folder if where == "folder" else name)
    assert not any("safetensors" in request.path for request in hub.requests if name in request.path)


@pytest.mark.parametrize("where", ["folder", "hub"])
@pytest.mark.parametrize("other", ["model.fp16.safetensors", "tf_model.h5", "model-00001-of-00002.safetensors"])
def test_weights_under_another_name_are_named(other, where, hub, folders, tmp_path):
    folder = shutil.copytree(folders["bert"], tmp_path / "other")
    (folder / "model.safetensors").rename(folder / other)
    (folder / "training_args.bin").write_text("x")
    name = f"lab/{other.replace('.', '-').replace('_', '-')}"
    hub.add(name, folder)
    with pytest.raises(CheckpointError, match=rf"under a name that is read .*, only {re.escape(other)}; choose"):
        load_checkpoint(folder if where == "folder" else name)


@pytest.mark.parametrize("text", ["{", "[]", '"x"', ""])
def test_a_broken_configuration_is_refused(text, folders, tmp_path):
    folder = shutil.copytree(folders["bert"], tmp_path / "broken")
    (folder / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match="no Transformer checkpoint"):
        load_checkpoint(folder)


def test_errors_name_no_folder_of_the_machine(folders, tmp_path):
    folder = shutil.copytree(folders["bert"], tmp_path / "secret-place")
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder)
    assert str(tmp_path) not in str(caught.value)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="is not a folder"):
        load_checkpoint(tmp_path / "nowhere")


# ---- the Hub


def test_a_checkpoint_of_the_hub_equals_the_folder_it_was_made_from(hub, folders, repo):
    sha = hub.add(repo, folders["bert"])
    loaded = load_checkpoint(repo)
    assert (loaded.name, loaded.sha) == (repo, sha)
    here = load_checkpoint(folders["bert"])
    encoding = encode(here, *PAIR)
    np.testing.assert_array_equal(capture(loaded, encoding).attention, capture(here, encoding).attention)


def test_a_revision_is_that_commit(hub, folders, tmp_path, repo):
    old = hub.add(repo, folders["bert"])
    new = hub.add(repo, make_checkpoint(tmp_path / "second", "bert", seed=7))
    assert load_checkpoint(repo).sha == new
    assert load_checkpoint(repo, revision=old).sha == old
    assert load_checkpoint(repo, revision="main").sha == new
    with pytest.raises(CheckpointError, match="no revision 'v9'"):
        load_checkpoint(repo, revision="v9")


def test_only_needed_files_are_downloaded(hub, folders, tmp_path):
    folder = shutil.copytree(folders["bert"], tmp_path / "many")
    for extra in ("tf_model.h5", "own.py", "pytorch_model.bin", "README.md"):
        (folder / extra).write_text("x")
    hub.add("lab/many", folder)
    load_checkpoint("lab/many")
    fetched = {request.path.split("/")[-1] for request in hub.requests if "lab/many/resolve" in request.path}
    assert fetched == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}


def test_a_renamed_repository_is_followed(hub, folders):
    hub.add("lab/old-name", folders["bert"])
    hub.rename("lab/old-name", "lab/new-name")
    assert load_checkpoint("lab/old-name").name == "lab/new-name"


def test_the_token_of_the_process_is_never_sent(hub, repo):
    load_checkpoint(repo)
    assert huggingface_hub.get_token() == "hf_server_secret"  # it is there to be taken
    assert not any("hf_server_secret" in (request.authorization or "") for request in hub.requests)


def test_a_private_repository_is_for_its_owner(hub, folders):
    hub.add("lab/private", folders["bert"], private_to="hf_owner")
    with pytest.raises(CheckpointError, match="no public checkpoint lab/private"):
        load_checkpoint("lab/private")
    assert load_checkpoint("lab/private", token="hf_owner").name == "lab/private"
    for token, reason in ((None, "no public checkpoint lab/private"), ("hf_other", "lab/private .* that you may read")):
        with pytest.raises(CheckpointError, match=reason):
            load_checkpoint("lab/private", token=token)


def test_a_gated_repository_is_for_those_with_access(hub, folders):
    hub.add("lab/gated", folders["bert"], gated="manual", allowed_tokens=("hf_friend",))
    assert load_checkpoint("lab/gated", token="hf_friend").name == "lab/gated"
    for token in (None, "hf_other"):  # neither finds what the friend has downloaded
        with pytest.raises(CheckpointError, match="lab/gated is gated"):
            load_checkpoint("lab/gated", token=token)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (404, "no public checkpoint"),
        (401, "no public checkpoint"),
        (403, "no public checkpoint"),
        (429, "fewer requests"),
        (500, r"error \(500\)"),
        (503, r"error \(503\)"),
    ],
)
def test_a_refusal_of_the_hub_is_one_sentence(status, reason, hub, repo):
    hub.fail(repo, path="/api/info", status=status)
    with pytest.raises(CheckpointError, match=reason):
        load_checkpoint(repo)


def test_an_unknown_repository_is_refused():
    with pytest.raises(CheckpointError, match=r"no public checkpoint lab/nothing.*spelling"):
        load_checkpoint("lab/nothing")


def test_a_download_that_breaks_off_is_told_and_can_be_tried_again(hub, repo):
    hub.fail(repo, path="model.safetensors", cut_after=1000)
    with pytest.raises(CheckpointError, match="broke off; try again"):
        load_checkpoint(repo)
    hub.clear_faults()
    assert load_checkpoint(repo).name == repo


def test_a_download_that_is_refused_is_told(hub, repo):
    hub.fail(repo, path="model.safetensors", status=503)
    with pytest.raises(CheckpointError, match=r"broke off; try again|error \(503\)"):
        load_checkpoint(repo)


def test_a_corrupt_file_is_refused(hub, folders, tmp_path):
    folder = shutil.copytree(folders["bert"], tmp_path / "corrupt")
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(b"\xff" * 8 + weights[8:])
    hub.add("lab/corrupt", folder)
    with pytest.raises(CheckpointError, match=r"weights of lab/corrupt cannot be read"):
        load_checkpoint("lab/corrupt")


def test_an_unreadable_answer_is_told(hub, repo):
    hub.fail(repo, path="/api/info", corrupt=True)
    with pytest.raises(CheckpointError, match=r"cannot be read|broke off|error"):
        load_checkpoint(repo)


def test_without_a_network_what_is_in_the_cache_is_used(hub, folders, repo, monkeypatch):
    sha = load_checkpoint(repo).sha
    forget_models(monkeypatch)
    hub.fail("*", cut_after=0)
    assert load_checkpoint(repo).sha == sha
    with pytest.raises(CheckpointError, match=r"cannot be reached and lab/elsewhere is not in the cache"):
        load_checkpoint("lab/elsewhere")


def test_without_a_network_a_private_checkpoint_is_not_found(hub, folders):
    hub.add("lab/secret", folders["bert"], private_to="hf_owner")
    load_checkpoint("lab/secret", token="hf_owner")
    hub.fail("*", cut_after=0)
    with pytest.raises(CheckpointError, match="is not in the cache"):
        load_checkpoint("lab/secret")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  ",
        "a/b/c",
        "../etc",
        "..",
        "a b",
        "/etc/passwd",
        "~/model",
        "./model",
        "C:\\model",
        "a/..",
        "https://x/y",
        None,
        7,
    ],
)
def test_a_name_that_is_no_repository_is_refused(name, hub):
    with pytest.raises(CheckpointError, match="not the name of a checkpoint"):
        check_repo_id(name)
    if isinstance(name, str) and not name.startswith(("/", "~", "./", "../")):
        with pytest.raises(CheckpointError):
            load_checkpoint(name)


@pytest.mark.parametrize("revision", ["", "-x", "a b", "a;b", 3])
def test_a_revision_that_is_none_is_refused(revision, repo):
    with pytest.raises(CheckpointError, match="is not a revision"):
        load_checkpoint(repo, revision=revision)
