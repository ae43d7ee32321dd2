"""The tab Saliency: figures from reports, and what a person sees and clicks."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from playwright.sync_api import expect

from attnflow import encode, load_checkpoint
from attnflow.methods.saliency.methods import METHODS
from attnflow.methods.saliency.report import report
from attnflow.methods.target import choose_target
from attnflow.records.words import entry_text, quoted
from attnflow.views.explanations import ExplainedModel, faithfulness_chart, rank_correlation_matrix, strips
from attnflow.web.examples import load_examples

EXAMPLE = load_examples()[0]
LONG = " ".join(["The cook cleaned the map and then <s> ${1+1} the sailor repaired the book"] * 3) + "."


@pytest.fixture(scope="module")
def sides():
    made = []
    for side, name in (("a", "demo/pretrained"), ("b", "demo/finetuned")):
        checkpoint = load_checkpoint(name)
        made.append(ExplainedModel(side, name, report(checkpoint, encode(checkpoint, EXAMPLE.text_a, EXAMPLE.text_b))))
    return made


def test_strips_carry_every_value_on_a_symmetric_scale(sides):
    figure = strips(sides, "piece", [{}, {"lrp": "a note"}])
    json.dumps(figure, allow_nan=False)
    assert [method["name"] for method in figure["methods"]] == list(METHODS)
    a, b = figure["models"]
    assert list(a["values"]) == [name for name, method in METHODS.items() if not method.about_target]
    assert "predicts masked words" in a["problem"]
    for answer in sides[1].report.answers:
        values, scaled = b["values"][answer.method.name], np.array(b["scaled"][answer.method.name])
        assert values == pytest.approx(answer.values.tolist(), rel=1e-3)
        assert np.abs(scaled).max() == 1 and (np.sign(scaled) * np.sign(values) >= 0).all()
    assert b["notes"] == {"lrp": "a note"} and b["verdict"] == sides[1].report.verdict
    words = strips(sides[1:], "word", [{}])["models"][0]
    assert sum(words["values"]["lrp"]) == pytest.approx(sum(b["values"]["lrp"]), rel=1e-2)


@pytest.mark.parametrize(
    ("task", "texts", "position", "target", "heading"),
    [
        ("causal-lm", ("Anna gave the book.", None), 2, None, "after"),
        ("masked-lm", ("Anna gave [MASK] book.", None), None, None, "in place of"),
        ("token-classification", ("Anna gave the book.", None), 2, None, "for"),
        ("question-answering", ("Who gave it?", "Anna gave the book."), None, "end", "at"),
        ("question-answering", ("Who gave it?", "Anna gave the book."), 6, "start", "at"),
    ],
)
@pytest.mark.parametrize("unit", ["piece", "word"])
def test_the_heading_names_the_token_whose_prediction_is_explained(tasks, task, texts, position, target, heading, unit):
    checkpoint = tasks[task]
    encoding = encode(checkpoint, *texts).at(position)
    found = report(checkpoint, encoding, target=target, methods=["input_gradient"])
    meant = choose_target(checkpoint, encoding, target)
    assert found.position == meant.position is not None
    model = strips([ExplainedModel("a", "x", found, kind=checkpoint.head.kind)], unit, [{}])["models"][0]
    of_word = np.flatnonzero(encoding.tokens.word == encoding.tokens.word[meant.position])
    start, end = encoding.tokens.span[of_word[0], 0], encoding.tokens.span[of_word[-1], 1]
    written = (encoding.text_a, encoding.text_b)[encoding.tokens.sentence[meant.position]][start:end]
    token = encoding.tokens.text[meant.position] if unit == "piece" else written
    place = meant.position if unit == "piece" else encoding.tokens.word[meant.position]
    named = model["names"][place]  # repeated words are told apart
    assert token.removeprefix("·") in named
    name = meant.name if task in ("token-classification", "question-answering") else quoted(entry_text(meant.name))
    assert model["about"] == f"score of {name} {heading} {named}"


def test_a_score_of_the_whole_text_names_no_token(sides):
    assert sides[1].report.position is None
    assert strips(sides, "word", [{}, {}])["models"][1]["about"] == f"score of {sides[1].report.target}"


def test_the_method_to_be_believed_first_is_the_one_that_stands_up_best(sides):
    measured = sides[1].report.faithfulness
    best = measured.names[int(np.argmax(measured.merit))]
    assert strips(sides, "piece", [{}, {}])["best"] == best, "A predicts nothing that could be measured"
    assert strips(sides[:1], "piece", [{}])["best"] == ""


def test_models_with_one_target_are_contrasted_and_a_missing_one_says_why(sides):
    twice = [ExplainedModel("a", "x", sides[1].report), ExplainedModel("b", "y", sides[1].report)]
    difference = strips(twice, "piece", [{}, {}])["models"][2]
    assert difference["side"] == "ab" and not np.any(difference["values"]["lrp"])
    alone = strips([ExplainedModel("a", "x", None, "no such class"), sides[1]], "piece", [{}, {}])
    assert [model["problem"] for model in alone["models"]] == ["no such class", ""]


def test_models_of_which_one_has_no_answer_by_a_method_are_contrasted_by_the_others(sides):
    """Row by row of one method each, whatever is missing; and the strip of what is missing says why."""
    checkpoint = load_checkpoint("demo/finetuned")
    encoding, whole = encode(checkpoint, EXAMPLE.text_a, EXAMPLE.text_b), sides[1].report
    fewer = [name for name in METHODS if name not in ("influence", "occlusion")]
    some = report(checkpoint, encoding, methods=fewer)
    some = replace(some, left_out=(METHODS["influence"].title,), refused={"Occlusion": "It has no rule."})
    figure = strips([ExplainedModel("a", "x", whole), ExplainedModel("b", "y", some)], "piece", [{}, {}])
    difference = figure["models"][2]
    assert list(difference["values"]) == fewer
    assert all(np.abs(difference["values"][name]).max() < 1e-3 for name in fewer)
    assert figure["models"][1]["absent"] == {
        "influence": "Attention influence would take too long for this text and checkpoint.",
        "occlusion": "It has no rule.",
    }
    alone = [report(checkpoint, encoding, methods=[name]) for name in ("lrp", "occlusion")]
    neither = strips([ExplainedModel("a", "x", alone[0]), ExplainedModel("b", "y", alone[1])], "piece", [{}, {}])
    assert len(neither["models"]) == 2, "no method answers for both, so there is nothing to contrast"


def test_the_charts_show_what_was_measured(sides):
    figure = faithfulness_chart(sides)
    measured = sides[1].report.faithfulness
    (points,), (band,) = figure["data"], figure["layout"]["shapes"]
    assert points["x"] == pytest.approx(measured.merit.tolist(), rel=1e-3)
    symbols = ["circle" if beats else "circle-open" for beats in measured.beats_random]
    assert points["marker"]["symbol"] == symbols
    chance, t = measured.random_merit, 1.8946  # 7 degrees, 95 %
    reach = t * chance.std(ddof=1) * (1 + 1 / 8) ** 0.5
    assert [band["x0"], band["x1"]] == pytest.approx([chance.mean() + k * reach for k in (-1, 1)], rel=1e-3)
    assert faithfulness_chart(sides[:1]) is None
    matrix = rank_correlation_matrix(sides[1])["data"][0]
    assert np.array(matrix["z"]) == pytest.approx(sides[1].report.rank_correlation, abs=0.006)
    assert (matrix["zmin"], matrix["zmax"]) == (-1, 1)
    assert rank_correlation_matrix(ExplainedModel("a", "x", None)) is None


def opened(open_page, **options):
    page = open_page(**options)
    page.get_by_role("tab", name="Saliency").click()
    page.wait_for_selector("#saliency .af-heat", timeout=60_000)
    page.wait_for_selector("#faithfulness .af-figure[data-drawn]")
    return page


def test_a_person_reads_chooses_and_clicks(open_page):
    page = opened(open_page)
    strip = page.locator("#saliency .af-model-b .af-strip")
    expect(strip).to_have_count(1)
    top = max(
        strip.locator(".af-heat").all(), key=lambda token: float(token.evaluate("n => n.style.getPropertyValue('--w')"))
    )
    assert top.text_content() == "cook", "the word that decides this pair"
    expect(page.locator("#saliency .af-model-a")).to_contain_text("predicts masked words")
    expect(page.locator("#saliency .af-model-b .af-verdict")).to_contain_text("On this input")
    expect(page.locator("#saliency .af-about")).to_contain_text("Sundararajan")
    top.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#saliency .af-values tbody tr")).to_have_count(len(METHODS))
    expect(page.locator("#saliency .af-detail")).to_contain_text("cook")
    expect(top).to_have_attribute("aria-pressed", "true")
    page.locator("#saliency select").select_option("all")
    expect(page.locator("#saliency .af-model-b .af-strip")).to_have_count(len(METHODS))
    page.locator("#saliency select").select_option("attention_rollout")
    expect(page.locator("#saliency .af-strip")).to_have_count(2)
    colour = page.locator("#saliency .af-model-b .af-heat").first.evaluate("n => getComputedStyle(n).backgroundColor")
    assert colour not in ("rgba(0, 0, 0, 0)", "transparent")
    page.locator("#saliency select").select_option("lrp")
    page.get_by_label("Explain the score of").click()
    page.get_by_role("option", name="supported", exact=True).click()
    expect(page.locator("#saliency .af-model-b header")).to_contain_text("score of supported")
    expect(page.locator("ul[role=listbox]:visible")).to_have_count(0)  # it fades out; the next one has its names
    page.get_by_label("Contrast with").click()
    page.get_by_role("option", name="unsupported", exact=True).click()
    expect(page.locator("#saliency .af-model-b header")).to_contain_text("score of supported, against unsupported")
    expect(page.locator("#saliency select")).to_have_value("lrp")


def test_a_long_text_is_readable_on_a_phone_and_shown_as_it_is(open_page):
    page = open_page(width=390, height=800, dark=True, query=f"model_a=demo/finetuned&a={LONG.replace('+', '%2B')}&b=")
    page.locator("#tabs").get_by_role("tab", name="Saliency").click()  # a phone has room for all of them
    page.wait_for_selector("#saliency .af-heat", timeout=60_000)
    tokens = page.locator("#saliency .af-model-a .af-heat")
    assert tokens.count() > 45
    assert page.locator("#saliency .af-saliency").evaluate("n => n.scrollWidth <= n.clientWidth + 1")
    assert "${1+1}" in page.locator("#saliency .af-model-a .af-strip").text_content()
    expect(page.locator("#saliency .af-model-ab")).to_contain_text("B minus A")
    size = tokens.nth(3).evaluate("n => [parseFloat(getComputedStyle(n).fontSize), n.getBoundingClientRect().height]")
    assert size[0] >= 13 and size[1] >= 18
    page.wait_for_selector("#saliency-agreement-b .heatmaplayer", state="attached", timeout=60_000)
    figure = page.locator("#saliency-agreement-b .af-figure")
    assert figure.evaluate("n => n.scrollWidth > n.clientWidth && n.tabIndex === 0"), (
        "cells keep room for their numbers"
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
