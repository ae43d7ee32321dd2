"""Checkpoints along the way of a training: of a Trainer's folder that the operator offers, and of a repository."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace
from urllib.parse import urlencode

import numpy as np
import pytest
from playwright.sync_api import expect

from attnflow import CheckpointError, capture, encode, load_checkpoint
from attnflow.bundled import ASSETS
from attnflow.checkpoints.hub_moments import moments_on_hub
from attnflow.checkpoints.moments import END, Moment, is_run, moments_of_run
from attnflow.service import own_models
from attnflow.service.offered import models
from attnflow.service.workspace import workspace
from attnflow.web import moments
from attnflow.web.endpoints import runs
from attnflow.web.shared import Shown
from tests.checkpoints import PAIR

PRETRAINED, FINETUNED = (ASSETS / "demo" / name for name in ("pretrained", "finetuned"))


def write(folder, source, step=None, epoch=1.0):
    """A checkpoint as a Trainer leaves it."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("checkpoint-*"))
    if step is not None:
        (folder / "trainer_state.json").write_text(json.dumps({"epoch": epoch, "global_step": step}))


@pytest.fixture
def offered(tmp_path, monkeypatch):
    """A folder that the operator names, with a run that ended and a plain checkpoint."""
    top = tmp_path / "models"
    write(top / "run", FINETUNED)
    write(top / "run" / "checkpoint-1000", FINETUNED, 1000, 2.0)
    write(top / "run" / "checkpoint-200", PRETRAINED, 200, 0.4)
    write(top / "plain", PRETRAINED)
    (top / "nothing").mkdir()
    monkeypatch.setenv("ATTNFLOW_MODELS", str(top))
    monkeypatch.delenv("SPACE_ID", raising=False)
    return top


def test_a_run_tells_its_checkpoints_by_step_and_leaves_out_those_that_are_being_written(offered):
    early = Moment("checkpoint-200", "step 200, epoch 0.4")
    late = Moment("checkpoint-1000", "step 1,000, epoch 2")
    assert moments_of_run(offered / "run") == (early, late, END)
    (offered / "run" / "checkpoint-200" / "trainer_state.json").unlink()
    assert moments_of_run(offered / "run") == (late, END)
    (offered / "run" / "config.json").unlink()
    assert moments_of_run(offered / "run") == (late,)
    assert moments_of_run(offered / "nothing") == moments_of_run(offered / "none") == ()
    (offered / "run" / "checkpoint-1000" / "trainer_state.json").write_text("{")
    assert moments_of_run(offered / "run") == (Moment("checkpoint-1000", "step 1,000"),)


def test_a_moment_computes_what_its_own_files_say(offered):
    early = load_checkpoint(offered / "run", revision="checkpoint-200")
    assert early.name == "run@checkpoint-200"
    ours, theirs = (capture(one, encode(one, *PAIR)) for one in (early, load_checkpoint("demo/pretrained")))
    np.testing.assert_array_equal(ours.attention, theirs.attention)
    assert early.origin is not None
    assert early.origin().name == early.name
    with pytest.raises(
        CheckpointError, match="has no checkpoint 'checkpoint-7'; it has checkpoint-200, checkpoint-1000"
    ):
        load_checkpoint(offered / "run", revision="checkpoint-7")
    with pytest.raises(CheckpointError, match=r"has no checkpoint '\.\./plain'"):
        load_checkpoint(offered / "run", revision="../plain")
    (offered / "run" / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"holds no checkpoint of its own; .*: checkpoint-200, checkpoint-1000"):
        load_checkpoint(offered / "run")
    with pytest.raises(CheckpointError, match="'main'; it has none along the way"):
        load_checkpoint(offered / "plain", revision="main").name  # noqa: B018


def test_the_page_offers_the_operators_checkpoints_by_name_and_nothing_else_of_the_disk(offered, tmp_path, monkeypatch):
    assert models.names() == ["local/plain", "local/run"]
    case = workspace.case("local/run@checkpoint-200", *PAIR)
    assert case.card.ref == case.card.pinned == "local/run@checkpoint-200"
    assert workspace.case("local/run", *PAIR).card.sha == load_checkpoint("demo/finetuned").sha
    for name in ("local/..", "local/../x", "local/none", "local/nothing", "local/", "local/run/checkpoint-200"):
        with pytest.raises(CheckpointError, match="this page offers local/plain, local/run"):
            workspace.case(name, *PAIR)
    with pytest.raises(CheckpointError, match="is not the name of a checkpoint"):
        workspace.case(str(offered / "run"), *PAIR)
    (tmp_path / "secret").mkdir()
    (offered / "run" / "checkpoint-200" / "more").symlink_to(tmp_path / "secret")
    with pytest.raises(CheckpointError, match="local/run holds more, which is a link to elsewhere"):
        workspace.case("local/run", *PAIR)
    assert models.names() == ["local/plain"]
    (offered / "linked").symlink_to(offered / "plain")
    assert models.names() == ["local/plain"]
    monkeypatch.setenv("SPACE_ID", "lab/space")
    assert own_models.names() == ["demo/pretrained", "demo/finetuned"]
    assert own_models.own("local/plain") is None


def test_the_folder_may_be_a_run_itself(offered, monkeypatch):
    monkeypatch.setenv("ATTNFLOW_MODELS", str(offered / "run"))
    assert models.names() == ["local/run", "local/checkpoint-1000", "local/checkpoint-200"]
    assert [one.revision for one in own_models.moments_of("local/run")] == ["checkpoint-200", "checkpoint-1000", ""]


def test_files_that_changed_after_an_analysis_are_not_mixed_with_it(offered):
    case = workspace.case("local/plain", *PAIR)
    shutil.copy(FINETUNED / "model.safetensors", offered / "plain")
    shutil.copy(FINETUNED / "config.json", offered / "plain")
    object.__setattr__(case, "loaded", None)
    with pytest.raises(CheckpointError, match="The files of local/plain have changed since it was analysed"):
        _ = case.checkpoint


def followed(shown, known):
    """What the slider is told of; None if it stays."""
    value, kept = moments.follow(shown, known)
    assert value == kept
    return value if isinstance(value, list) else None


def test_the_slider_follows_what_is_shown_and_a_training_that_goes_on(offered):
    a, b = (workspace.case(ref, *PAIR) for ref in ("local/run@checkpoint-200", "demo/pretrained"))
    (told,) = followed(Shown.of(a, b), None)
    assert (told["side"], told["name"], told["at"], len(told["moments"])) == ("a", "local/run", 0, 3)
    assert followed(Shown.of(a, b), [told]) is None
    write(offered / "run" / "checkpoint-3000", FINETUNED, 3000)
    (after,) = followed(Shown.of(a, b), [told])
    assert [one["label"] for one in after["moments"]][-2:] == ["step 3,000, epoch 1", "the end"]
    shutil.rmtree(offered / "run")
    assert followed(Shown.of(a, b), [after]) == []


def test_a_training_that_goes_on_is_shown_at_its_last_checkpoint(offered):
    (offered / "run" / "config.json").unlink()
    case = workspace.case("local/run", *PAIR)
    assert case.card.ref == "local/run@checkpoint-1000"
    (told,) = followed(Shown.of(case, case), None)[:1]
    assert told["at"] == 1


@pytest.fixture
def training(hub):
    """A repository with a branch for each step, as Pythia's, and the newest commit."""
    for branch, source in (("step2000", FINETUNED), ("step100", PRETRAINED), ("main", FINETUNED)):
        hub.add("lab/training", source, branch=branch)
    hub.add("lab/other", PRETRAINED)
    yield hub
    hub.clear_faults()
    hub.remove("lab/training")


def test_branches_of_a_repository_that_name_a_step_are_its_moments(training):
    found = moments_on_hub("lab/training")
    assert [(one.revision, one.label) for one in found] == [
        ("step100", "step 100"),
        ("step2000", "step 2,000"),
        ("", "the end"),
    ]
    assert all(len(one.commit) == 40 for one in found)
    assert moments_on_hub("lab/other") == moments_on_hub("lab/none") == ()
    a, b = (workspace.case(ref, *PAIR) for ref in ("lab/training@step100", "lab/other"))
    (told,) = followed(Shown.of(a, b), None)
    assert (told["name"], told["at"]) == ("lab/training", 0)
    training.fail("lab/training", status=500)
    assert moments_on_hub("lab/training") == ()
    with pytest.raises(CheckpointError, match="is not the name"):
        moments_on_hub("../x")


def test_commits_that_a_trainer_pushed_are_moments_where_no_branch_is(training, monkeypatch):
    sha = "0123456789abcdef0123456789abcdef0123456"
    titles = ["End of training", "Training in progress, step 1000", "Training in progress, step 500", "initial commit"]
    commits = [SimpleNamespace(title=title, commit_id=f"{sha}{i}") for i, title in enumerate(titles)]
    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_commits", lambda self, repo_id: commits)
    found = moments_on_hub("lab/other")
    assert [(one.revision[-1], one.label) for one in found[:-1]] == [("2", "step 500"), ("1", "step 1,000")]
    commits[2].commit_id = "../../etc"
    assert moments_on_hub("lab/other") == ()


def test_the_endpoint_names_what_others_take(offered):
    found = runs.moments("local/run@checkpoint-200")["moments"]
    assert [one["ref"] for one in found] == ["local/run@checkpoint-200", "local/run@checkpoint-1000", "local/run"]
    assert runs.predict(found[0]["ref"], *PAIR)["model"]["ref"] == found[0]["ref"]
    assert runs.moments("local/plain") == {
        "moments": [],
        "note": "No other checkpoints of the training of local/plain are known.",
    }


def test_a_visitor_moves_through_a_training_by_keys_and_goes_on_where_he_was(offered, open_page):
    page = open_page(query=urlencode({"model_a": "local/run", "model_b": "demo/pretrained"}))
    slider = page.get_by_role("slider", name="Checkpoint of the training of model A")
    expect(slider).to_have_attribute("aria-valuetext", "the end (3 of 3)", timeout=60_000)
    slider.focus()
    slider.press("ArrowLeft")
    slider.press("ArrowLeft")
    expect(page.locator("#predictions")).to_contain_text("local/run@checkpoint-200", timeout=60_000)
    expect(slider).to_have_attribute("aria-valuetext", "step 200, epoch 0.4 (1 of 3)")
    expect(slider).to_be_focused()
    page.wait_for_function("location.search.includes('revision_a=checkpoint-200')")


@pytest.mark.parametrize("epoch", ["NaN", "-1", "true", "1e999", "1" + 400 * "0", '"two"', "[]"])
def test_an_epoch_that_is_no_number_of_epochs_is_not_told(offered, epoch):
    (offered / "run" / "checkpoint-200" / "trainer_state.json").write_text(f'{{"epoch": {epoch}}}')
    assert moments_of_run(offered / "run")[0].label == "step 200"


def test_a_step_is_written_in_the_digits_of_a_trainer(offered):
    (offered / "run" / "checkpoint-200").rename(offered / "run" / "checkpoint-٢٠٠")
    assert [one.revision for one in moments_of_run(offered / "run")] == ["checkpoint-1000", ""]


def test_whether_a_folder_is_a_run_is_told_without_reading_its_states_and_each_is_read_once(offered, monkeypatch):
    (offered / "run" / "config.json").unlink()
    state = offered / "run" / "checkpoint-200" / "trainer_state.json"
    read = []
    monkeypatch.setattr(
        "attnflow.checkpoints.moments.read_object", lambda path, **_: read.append(path) or {"epoch": len(read)}
    )
    assert is_run(offered / "run") and "local/run" in models.names() and not read
    assert [one.label for one in moments_of_run(offered / "run")] == ["step 200, epoch 1", "step 1,000, epoch 2"]
    moments_of_run(offered / "run")
    assert len(read) == 2
    state.write_text("{}   ")
    assert moments_of_run(offered / "run")[0].label == "step 200, epoch 3"
