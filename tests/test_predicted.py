"""What a model predicts, whatever its task, as cards, sentences and endpoints tell it; and any token as the root."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlencode

import numpy as np
import pytest
from gradio_client.exceptions import AppError
from playwright.sync_api import expect

from attnflow import capture, encode, expected_tokens, load_checkpoint, saliency
from attnflow.checkpoints.task_head import TaskHead
from attnflow.errors import SelectionError
from attnflow.records.trace import SPECIAL
from attnflow.service.case import tokens_meant
from attnflow.service.workspace import workspace
from attnflow.stats.alignment import pair_traces, pieces_of
from attnflow.views.predicted import predicted
from attnflow.web import events
from attnflow.web.endpoints.answers import predicted as predicted_of
from attnflow.web.settings import DECISION, LinkedHeads, Pair, SelectedHead, Settings
from tests.checkpoints import make_checkpoint

TEXT = ("Who has the unbelievable book?", "Anna gave the old book to a friend.")
TASKS = "token-classification", "question-answering", "causal-lm", "masked-lm"


@pytest.fixture(scope="module")
def served(hub, tmp_path_factory) -> dict[str, str]:
    """A model of each task on the Hub, by task; `several` gives several labels to a text."""
    top, names = tmp_path_factory.mktemp("served"), {}
    for task in TASKS:
        folder = make_checkpoint(top / task, "gpt2" if task == "causal-lm" else "bert", task=task, seed=3)
        hub.add(f"lab/{task}", folder)
        names[task] = f"lab/{task}"
    hub.add("lab/several", make_checkpoint(top / "several", problem_type="multi_label_classification", seed=3))
    return names | {"several": "lab/several"}


def run(checkpoint, *texts, position=None, unit="piece"):
    encoding = encode(checkpoint, *texts).at(position)
    expected = expected_tokens(checkpoint, encoding) if checkpoint.head.kind.endswith("-lm") else None
    trace = capture(checkpoint, encoding)
    return trace, predicted(checkpoint.head, trace, encoding, expected, unit)


def test_a_card_has_the_class_of_each_word_and_those_of_the_root(tasks):
    checkpoint = tasks["token-classification"]
    trace, found = run(checkpoint, *TEXT, position=3)
    scored = trace.token_scores
    words = np.flatnonzero(trace.tokens.sentence != SPECIAL).tolist()
    assert [one["token"] for one in found.tokens] == words
    for one in found.tokens:
        best = int(scored.scores[one["token"]].argmax())
        assert one["label"] == scored.labels[best] and one["meant"] == (one["token"] == 3)
        assert one["probability"] == pytest.approx(scored.probabilities[one["token"], best], rel=1e-3)
    assert [one["probability"] for one in found.classes] == pytest.approx(scored.probabilities[3].tolist(), rel=1e-3)
    assert found.decided.told("A").startswith("A labels “")
    first = [int(np.flatnonzero(trace.tokens.word == word)[0]) for word in dict.fromkeys(trace.tokens.word[words])]
    assert [one["token"] for one in run(checkpoint, *TEXT, unit="word")[1].tokens] == first


def test_a_card_has_the_best_answers_and_their_ends(tasks):
    trace, found = run(tasks["question-answering"], *TEXT)
    best = trace.token_scores.spans[0]
    assert [(one["token"], one["label"]) for one in found.tokens] == [(best.start, "start"), (best.end, "end")]
    assert found.classes[0]["label"] in TEXT[1] and found.decided.names == (found.classes[0]["label"],)
    assert found.classes[0]["probability"] == pytest.approx(best.probability, rel=1e-3)
    elsewhere = run(tasks["question-answering"], *TEXT, position=2)[1]
    assert "An answer starts at" in elsewhere.about and elsewhere.decided == found.decided


def test_a_card_has_what_is_expected_after_the_root_and_what_follows(tasks):
    trace, found = run(tasks["causal-lm"], *TEXT, position=4)
    expected = expected_tokens(tasks["causal-lm"], encode(tasks["causal-lm"], *TEXT))
    assert [one["label"] for one in found.classes] == list(expected.text[4])
    assert f"(rank {expected.rank[4]:,})" in found.about and "really follows" in found.about
    assert "really follows" not in run(tasks["causal-lm"], *TEXT)[1].about  # nothing does
    assert found.decided.told("B").startswith("B continues “")
    last = [one["token"] for one in run(tasks["causal-lm"], *TEXT, unit="word")[1].tokens]
    words = trace.tokens.word
    assert all(token + 1 == len(words) or words[token] != words[token + 1] for token in last)


def test_a_card_has_what_is_expected_at_each_mask(tasks):
    masked = "Anna gave [MASK] book.", "He [MASK] it."
    trace, found = run(tasks["masked-lm"], *masked)
    assert [trace.tokens.piece[one["token"]] for one in found.tokens] == ["[MASK]", "[MASK]"]
    assert found.decided.told("A").startswith("A fills “[MASK]” (1st")
    assert run(tasks["masked-lm"], *TEXT)[1].decided is None


def test_several_labels_are_given_each_by_itself(tmp_path):
    checkpoint = load_checkpoint(make_checkpoint(tmp_path, problem_type="multi_label_classification", seed=3))
    trace, found = run(checkpoint, *TEXT)
    given = [label for label, score in zip(trace.labels, trace.scores, strict=True) if score > 0]
    assert set(found.decided.names) == set(given) and "need not add up" in found.about
    np.testing.assert_allclose(trace.probabilities, 1 / (1 + np.exp(-trace.scores.astype(float))))
    for label in trace.labels:  # each has an explanation of its own score, which no softmax enters
        values = saliency(checkpoint, encode(checkpoint, *TEXT), target=label, method="lrp")
        assert values.total == pytest.approx(float(trace.scores[trace.labels.index(label)]), rel=1e-3)
    assert (
        predicted(TaskHead("none", trained=False), capture_of_none(tmp_path), encode(checkpoint, *TEXT)).decided is None
    )


def capture_of_none(folder):
    bare = load_checkpoint(make_checkpoint(folder / "none", task="none"))
    return capture(bare, encode(bare, *TEXT))


@pytest.mark.parametrize("task", TASKS)
def test_predict_tells_each_token_as_the_library_does(task, served, client):
    texts = ("Anna gave [MASK] book.", "He [MASK] it.") if task == "masked-lm" else TEXT
    answer = client.predict(served[task], *texts, api_name="/predict")
    case = workspace.case(served[task], *texts)
    assert answer["prediction"] is None and answer["decided"] == list(predicted_of(case).decided.names)
    told = answer["by_token"]
    if task.endswith("-lm"):
        found = expected_tokens(case.checkpoint, case.encoding)
        assert [one["token"] for one in told] == found.position.tolist()
        ranks = [0, 0] if found.rank is None else found.rank.tolist()
        assert [one["rank"] for one in told] == [rank or None for rank in ranks]
    else:
        scored = case.trace.token_scores
        found = [[one["probability"] for one in token["predictions"]] for token in told]
        np.testing.assert_allclose(found, scored.probabilities, rtol=1e-3)
    if task == "question-answering":
        best, text = answer["answers"][0], case.trace.token_scores.spans[0]
        assert (best["start"], best["end"]) == (text.start, text.end) and answer["roots"] == [text.start]
        assert best["text"] in TEXT[1] and answer["no_answer"] > 0
    at = told[-1]["token"]
    one = client.predict(served[task], *texts, position=at, api_name="/predict")
    assert [token["token"] for token in one["by_token"]] == [at] == one["roots"]
    values = client.predict(served[task], *texts, method="input_gradient", position=at, api_name="/saliency")
    plain = saliency(case.checkpoint, case.encoding.at(at), method="input_gradient")
    np.testing.assert_allclose(values["values"], plain.values, rtol=2e-3, atol=1e-6)
    pruned = client.predict(served[task], *texts, pruned=[[1, 1]], position=at, api_name="/prune_heads")
    assert pruned["before"] and pruned["after"] and pruned["change"]
    heads = client.predict(served[task], *texts, method="gate", position=at, api_name="/head_importance")
    assert heads["quantity"] == "loss" and np.array(heads["importance"]).max() > 0


@pytest.mark.parametrize(
    ("model", "texts", "position", "says"),
    [
        ("demo/finetuned", TEXT, 2, "classifies the whole text, so leave it out"),
        ("lab/token-classification", TEXT, 99, "position is 99; this text has"),
        ("lab/token-classification", TEXT, -1, "position is -1; this text has"),
        ("lab/masked-lm", TEXT, 3, "where no mask stands"),
        ("lab/question-answering", TEXT[:1], None, "write the question as the first sentence"),
    ],
)
def test_a_token_without_a_prediction_is_refused_in_a_sentence(model, texts, position, says, served, client):
    with pytest.raises(AppError, match=says):
        client.predict(model, *texts, position=position, api_name="/predict")
    if position is None:
        with pytest.raises(AppError, match=says):
            client.predict(model, *texts, api_name="/attention_flow")
    with pytest.raises(AppError, match="There is no target 'middle'; the classes are 'start', 'end'"):
        client.predict("lab/question-answering", *TEXT, target="middle", api_name="/saliency")


def compared(client, model_a, model_b, **values):
    return client.predict(model_a, model_b, *TEXT, method="input_gradient", **values, api_name="/compare_saliency")


@pytest.mark.parametrize("task", ["token-classification", "causal-lm"])
def test_two_models_are_compared_at_the_token_that_is_meant(served, client, task):
    model = served[task]
    answer = compared(client, model, model, position=4)
    case = workspace.case(model, *TEXT)
    expected = saliency(case.checkpoint, case.encoding.at(4), method="input_gradient")
    assert answer["unit"] == "piece" and answer["a"]["target"] == expected.target
    for side in "ab":
        np.testing.assert_allclose(answer[side]["values"], expected.values, rtol=2e-3, atol=1e-6)
    usual = saliency(case.checkpoint, case.encoding, method="input_gradient")
    assert np.abs(usual.values - expected.values).max() > 1e-3


def test_two_tokenizers_are_compared_at_a_word_of_both(served, client):
    bert, gpt2 = served["token-classification"], served["causal-lm"]
    unit = next(u for u, one in enumerate(compared_units(bert, gpt2)) if len(one[1]) > 1)
    a, b = (workspace.case(model, *TEXT) for model in (bert, gpt2))
    (first, *_), (*_, last) = compared_units(bert, gpt2)[unit]
    assert tokens_meant((a, b), unit, "piece", "position") == (first, last)
    with pytest.raises(AppError, match="position is 99; give the position of a token, from 0 to"):
        compared(client, bert, gpt2, position=99)
    with pytest.raises(AppError, match="position is 0, a unit that lab/causal-lm does not have; give one of both"):
        compared(client, bert, gpt2, position=0)  # [CLS]
    with pytest.raises(AppError, match="classifies the whole text, so leave it out"):
        compared(client, "demo/finetuned", "demo/finetuned", position=2)


def compared_units(model_a, model_b):
    """For each unit of both models its pieces in each."""
    traces = [workspace.case(model, *TEXT).trace for model in (model_a, model_b)]
    pairing = pair_traces(*traces)
    return [
        tuple(
            pieces_of(int(place[unit]), paired.tokens, trace.tokens) if place[unit] >= 0 else []
            for paired, place, trace in zip((pairing.a, pairing.b), (pairing.in_a, pairing.in_b), traces, strict=True)
        )
        for unit in range(len(pairing.text))
    ]


def test_a_root_of_the_page_is_the_token_that_is_meant_in_the_models_that_have_one(served):
    """Rings, predictions and what is shown follow; the other model keeps its decision."""
    pair = Pair(served["token-classification"], "", served["several"], "", *TEXT)
    settings = Settings(unit="piece")
    filled = events.analyse(None, pair, SelectedHead(), settings, LinkedHeads())[2:]
    shown, cards = filled[0], filled[1]
    assert (shown.a.position, shown.b.position) == (None, None) and cards[0]["tokens"] and not cards[1]["tokens"]
    answer = filled[2]["sentence"]
    assert answer.startswith("A labels “") and ", B gives " in answer
    moved = events.start_from(shown, 4, SelectedHead(), settings)
    assert (moved[0].a.position, moved[0].b.position) == (4, None)
    assert [one["token"] for one in moved[1][0]["tokens"] if one["meant"]] == [4] and moved[1][1] == cards[1]
    case = moved[0].cases()[0]
    assert case.trace.root == 4 and case.trace.attention is shown.cases()[0].trace.attention  # no model has run again
    off = events.prune(moved[0], {"a": [[0, 1]], "b": []}, SelectedHead(), Settings(unit="piece", root=4))
    assert off[0].a.position == 4 and off[0].a.pruned == {(0, 1)}
    back = events.start_from(moved[0], DECISION, SelectedHead(), settings)
    assert back[0] == shown
    with pytest.raises(SelectionError, match="root is 999"):
        events.start_from(shown, 999, SelectedHead(), settings)


def test_contributions_are_computed_once_for_all_roots(served):
    from attnflow.service.analyses.attribution import CONTRIBUTIONS

    case = workspace.case(served["token-classification"], *TEXT)
    first = case.at(3).ask(CONTRIBUTIONS, wrt="previous_layer")
    assert case.ask(CONTRIBUTIONS, wrt="previous_layer") is first and first.root == case.trace.root
    assert case.at(3).at(None) is case


def test_a_click_on_a_label_of_the_card_starts_from_its_token(served, open_page: Callable):
    pair = {"model_a": served["token-classification"], "model_b": served["causal-lm"], "a": TEXT[0], "b": TEXT[1]}
    page = open_page(query=urlencode({**pair, "unit": "piece"}))
    cards = page.locator("#predictions .af-card")
    labels = cards.nth(0).locator(".af-at")
    expect(labels.first).to_have_attribute("aria-pressed", "true", timeout=60_000)
    expect(page.locator("#answer")).to_contain_text("A labels “Who” as “")
    labels.nth(2).click()
    expect(labels.nth(2)).to_have_attribute("aria-pressed", "true")
    expect(labels.first).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#answer")).to_contain_text("as “")
    expect(page).to_have_url(re.compile("root=3"))
    cards.nth(1).locator(".af-at").nth(1).click()
    expect(cards.nth(1)).to_contain_text("really follows")
    expect(page).to_have_url(re.compile("root=2"))
    expect(labels.nth(1)).to_have_attribute("aria-pressed", "true")  # the same word in the other model
