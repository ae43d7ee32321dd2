"""What a card waits for: a bar with an honest rest, what is found on the way, Cancel, and failures that stay there."""

from __future__ import annotations

import threading
import time
from copy import deepcopy

import gradio as gr
import numpy as np
import pytest
from playwright.sync_api import expect

from attnflow import HeadImportance, SelectionError, encode, load_checkpoint, open_texts, progress
from attnflow.errors import CancelledError, SupersededError
from attnflow.methods.heads import sweeps
from attnflow.methods.heads.sweeps import HeadValues
from attnflow.methods.saliency.methods import METHODS
from attnflow.methods.saliency.results import Report
from attnflow.service.analyses.heads import IMPORTANCE, INTERACTIONS, ImportanceView, InteractionView
from attnflow.service.analyses.saliency import REPORT
from attnflow.service.places import Places
from attnflow.service.wanted import Wanted
from attnflow.service.workspace import Workspace
from attnflow.web import working
from attnflow.web.answering import Told
from attnflow.web.panels import HeadMatrix
from attnflow.web.working import DONE, Pace, in_card, shower, watch

PAIR = ("Anna lent Paul a book in the old garden.", "Paul borrowed a book from Anna.")


@pytest.fixture
def at_once(monkeypatch):
    """Without patience, a bar is shown at once."""
    monkeypatch.setattr(working, "PATIENCE", 0.0)
    monkeypatch.setattr(working, "APART", 0.02)


@pytest.fixture
def case():
    """A case whose analyses are not in memory."""
    workspace = Workspace(
        case_bytes=10**8, result_bytes=10**7, places=Places(2, 1, 9, 9), most_operations=1e13, most_seconds=100.0
    )
    return workspace.case("demo/finetuned", *PAIR)


def until(step):
    """Work that goes on until the event is set, and for no longer than it is wanted."""
    while not step.wait(0.01):
        progress.go_on()


# ---- the bar


def test_the_rest_is_what_the_pace_so_far_tells_and_nothing_is_told_too_early():
    now = [100.0]
    pace = Pace(lambda: now[0])
    assert pace.share is None and pace.rest is None
    pace.told(0.2)  # a fifth was there, in no time
    now[0] += 30
    assert pace.rest is None, "nothing was done since"
    pace.told(0.4)
    assert pace.rest == pytest.approx(30 / 0.2 * 0.6)
    pace.told(0.1)
    assert pace.share == 0.4, "a bar never goes back"
    pace.told(7)
    assert pace.share == 1 and pace.rest == 0
    quick = Pace(lambda: now[0])
    quick.told(0)
    now[0] += 0.5
    quick.told(0.5)
    assert quick.rest is None, "half a second tells little"


def test_parts_of_work_are_parts_of_the_bar():
    told = []
    with progress.reporting(lambda *one: told.append(one)):
        with progress.part(0.5, 1, "B"), progress.part(0, 0.5, "early"):
            progress.tell("layers", 0.5)
        progress.tell("whole", 0.75)
    assert told == [("B: early: layers", 0.625), ("whole", 0.75)]
    with progress.part(0, 1, "unheard"):
        progress.tell("nobody listens", 1)


@pytest.mark.usefixtures("at_once")
def test_work_is_watched_from_its_first_step_to_its_result():
    first, second = threading.Event(), threading.Event()

    def function():
        show = shower()
        progress.tell("halves", 0.5)
        until(first)
        show(lambda: "a half")
        until(second)
        return "whole"

    seen = []
    for one in watch(function, Wanted().begin()):
        seen.append(one)
        if len(seen) == 2:
            first.set()
        if one.values == "a half":
            second.set()
    assert seen[0].work == {"state": "working", "what": "halves", "share": 0.5}
    assert "a half" in [one.values for one in seen[:-1]]
    assert (seen[-1].work, seen[-1].values) == (DONE, "whole")


def test_quick_work_has_no_bar_and_several_results_come_one_by_one():
    def function():
        yield "first"
        time.sleep(0.1)
        yield "second"

    def at_once():
        shower()("never seen")
        yield "first"
        shower()("passing")
        yield "second"

    for quick in (function, at_once):
        seen = list(watch(quick, Wanted().begin()))
        assert [one.work for one in seen] == [DONE] * len(seen)
        assert [one.values for one in seen if one.values] == ["first", "second"], "nothing that is yielded is lost"


@pytest.mark.usefixtures("at_once")
def test_cancel_is_answered_at_once_and_ends_the_work():
    wanted, ended = Wanted(), threading.Event()

    def function():
        try:
            until(threading.Event())
        finally:
            ended.set()

    seen = []
    for one in watch(function, wanted.begin("Enough.")):
        seen.append(one)
        wanted.cancel()
    assert seen[-1].work == {"state": "cancelled", "what": "Enough."} and seen[-1].values is None
    assert ended.wait(5), "it goes on although nobody wants it"


@pytest.mark.usefixtures("at_once")
def test_work_whose_event_was_closed_ends():
    ended = threading.Event()

    def function():
        try:
            until(threading.Event())
        finally:
            ended.set()

    steps = watch(function, Wanted().begin())
    next(steps)
    steps.close()
    assert ended.wait(5)


def test_only_the_newest_is_wanted_until_it_is_cancelled():
    wanted = Wanted()
    older, newer = wanted.begin(), wanted.begin()
    with pytest.raises(SupersededError):
        older()
    newer()
    wanted.cancel()
    for check in (older, newer):
        with pytest.raises(CancelledError):
            check()
    wanted.begin()()
    assert deepcopy(wanted) is not wanted, "each page has its own"


# ---- in a card


def events(function, **options):
    """The updates of a card, of an event that fills it after something else."""
    card, other = HeadMatrix(render=False), gr.Markdown(render=False)
    return [*in_card(function, card, [other, card], **options)(Wanted(), 1)]


def test_a_card_gets_values_and_bar_and_other_outputs_their_values():
    ((text, update),) = events(lambda value: (f"value {value}", {"title": "x"}))
    assert text == "value 1"
    assert update == {"__type__": "update", "value": {"title": "x"}, "work": DONE}
    assert events(lambda value: pytest.fail("not wanted"), when=lambda value: False) == [[gr.skip(), gr.skip()]]


def test_a_failure_stays_in_the_card_or_goes_on_to_what_follows():
    def fails(value):
        raise SelectionError("There is no such head.")

    ((text, update),) = events(fails)
    assert text == gr.skip()
    assert update == {"__type__": "update", "work": {"state": "failed", "what": "There is no such head."}}
    ((text, update),) = events(fails, otherwise=lambda: ("told", gr.skip()))
    assert text == "told" and update["work"]["state"] == "failed"
    with pytest.raises(Told, match="There is no such head"):
        events(fails, raises=True)

    def fails_later(value):
        yield "known before", gr.skip()
        fails(value)

    *_, (before, _), (_, update) = events(fails_later)
    assert before == "known before" and update["work"]["state"] == "failed"
    ((_, update),) = events(lambda value: 1 / 0)
    assert "a reason that is not yours" in update["work"]["what"]


# ---- what is found on the way


def rows_known(values):
    return [not np.isnan(row).any() for row in values]


@pytest.mark.parametrize(
    ("analysis", "kind", "numbers", "values"),
    [
        (IMPORTANCE, ImportanceView, lambda view: view.values, {"method": "ablation"}),
        (INTERACTIONS, InteractionView, lambda view: view.found.single, {"layer": 1, "head": 2}),
    ],
)
def test_rows_of_the_matrix_fill_in_as_they_are_measured(case, monkeypatch, analysis, kind, numbers, values):
    monkeypatch.setattr(sweeps, "MOST_TOKENS", 5 * case.n_tokens)  # so many rows in a pass
    seen, told = [], []
    with progress.taking(kind, seen.append), progress.reporting(lambda what, share: told.append((what, share))):
        whole = case.ask(analysis, **values)
    known = [sum(~np.isnan(numbers(one)).ravel()) for one in seen]
    assert len(seen) >= 3 and known == sorted(known) and known[0] < known[-1] < numbers(whole).size
    for one in seen:
        there = ~np.isnan(numbers(one))
        np.testing.assert_array_equal(numbers(one)[there], numbers(whole)[there])
    assert rows_known(numbers(seen[1]))[0] and not rows_known(numbers(seen[1]))[-1], "layer by layer"
    assert told[-1][1] == 1 and "removals" in told[-1][0]


@pytest.mark.parametrize("method", ["ablation", "gate"])
def test_importance_over_texts_is_their_mean_so_far(method, monkeypatch):
    monkeypatch.setattr("attnflow.methods.heads.importance._TOKENS_AT_ONCE", 1)
    checkpoint, seen, told = load_checkpoint("demo/finetuned"), [], []
    encodings = [encode(checkpoint, text.text_a, text.text_b) for text in open_texts("demo/pairs", rows=4)]
    with progress.taking(HeadValues, seen.append), progress.reporting(lambda what, share: told.append(share)):
        whole = HeadImportance(method=method).update(checkpoint, encodings).result()
    assert not any(np.isnan(one.values).any() for one in seen) and len(seen) >= 3
    alone = [HeadImportance(method=method).update(checkpoint, one).result().mean for one in encodings]
    if method == "gate":  # of which the last text is not offered, but with all of them
        rest = 4 * whole.mean - 3 * seen[-1].values
        assert any(np.allclose(rest, one, rtol=1e-2, atol=1e-9) for one in alone)
    else:
        np.testing.assert_allclose(seen[-1].values, np.mean(alone, axis=0), rtol=1e-3, atol=1e-6)
    assert told == sorted(told) and told[-1] == pytest.approx(1)
    with progress.taking(HeadValues, seen.append), progress.reporting(lambda what, share: told.append(share)):
        before = len(seen), len(told)
        with progress.untold():
            HeadImportance(method=method).update(checkpoint, encodings)
    assert (len(seen), len(told)) == before


def test_methods_of_a_report_come_one_by_one_and_mean_the_same(case):
    seen, told = [], []
    with progress.taking(Report, seen.append), progress.reporting(lambda what, share: told.append(share)):
        found = case.ask(REPORT)
    counts = [len(one.answers) for one in seen]
    assert counts == [*range(1, len(METHODS) + 1), *[len(METHODS)] * (len(METHODS) - 1)]
    tested = [len(one.faithfulness.names) for one in seen if one.faithfulness]
    assert tested == [*range(1, len(METHODS))]
    assert not any(one.complete or one.verdict for one in seen) and found.complete and found.verdict
    assert "still to come" in seen[0].absent(list(METHODS.values())[-1])
    whole = case.workspace.get(REPORT, case, unit="word", target="", against="")
    assert whole is found
    again = REPORT.compute(case, target="", against="")  # all at once, as nobody wants a part of it
    np.testing.assert_allclose(found.faithfulness.merit, again.faithfulness.merit, atol=1e-5)
    np.testing.assert_allclose(found.faithfulness.random_merit, again.faithfulness.random_merit, atol=1e-5)
    np.testing.assert_array_equal(seen[-1].faithfulness.merit, found.faithfulness.merit[:-1])
    assert told == sorted(told) and told[-1] == pytest.approx(1)


# ---- on the page


def test_a_card_shows_its_bar_fills_in_and_can_be_cancelled_and_a_failure_stays_in_it(open_page, monkeypatch):
    hold = threading.Event()
    losses = sweeps.Sweep.losses

    def slow(self, gates, so_far=lambda found: None):
        def slower(found):
            so_far(found)
            until(hold)

        return losses(self, gates, slower)

    monkeypatch.setattr(sweeps.Sweep, "losses", slow)
    monkeypatch.setattr(sweeps, "MOST_TOKENS", 60)
    page = open_page(query="a=Anna+found+a+key.&b=A+key+was+found.")
    page.get_by_role("tab", name="Heads").click()
    card = page.locator("#head-matrix")
    bar = card.locator(".af-work")
    expect(bar).to_contain_text("A: ")
    expect(bar).to_contain_text("of 16 removals")
    expect(card.locator(".af-model-a .af-open").first).to_be_attached()
    assert 0 < card.locator(".af-model-a .af-open").count() < 16, "what is measured is there"
    expect(bar.get_by_role("progressbar")).to_be_visible()
    bar.get_by_role("button", name="Cancel").click()
    expect(bar.locator("p")).to_have_text("Cancelled. What is shown is what was found until then.")
    expect(bar.get_by_role("progressbar")).to_be_hidden()
    hold.set()
    page.locator("#heads-method").get_by_text("Gradient of a gate", exact=True).click()
    expect(bar).to_have_count(0)
    expect(card.locator(".af-open")).to_have_count(0)

    def fails(self, gates, so_far=None):
        raise SelectionError("These heads cannot be removed; choose another method.")

    monkeypatch.setattr(sweeps.Sweep, "losses", fails)
    page.locator("#heads-method").get_by_text("Removal", exact=True).click()
    expect(bar.locator("p")).to_have_text("These heads cannot be removed; choose another method.")
    assert bar.get_attribute("data-state") == "failed"
    assert not page.locator('[data-testid="toast-text"]').count(), "it stands in the card, and there alone"
    page.wait_for_timeout(500)
    expect(bar).to_be_visible()
    monkeypatch.setattr(sweeps.Sweep, "losses", losses)
    page.locator("#heads-scale").get_by_text("Each layer", exact=True).click()
    expect(bar).to_have_count(0)
    expect(card.locator(".af-matrix-note")).to_contain_text("Divided by the norm of each layer")

    # The analysis of another pair waits in the card of the decisions, and what was decided stays when it is cancelled.
    decided = page.locator("#predictions .af-predictions").inner_text()
    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "case", lambda *args: until(threading.Event()))
        page.locator("#text-a textarea").fill("Anna hid a key.")
        page.locator("#analyse").click()
        page.locator("#predictions").get_by_role("button", name="Cancel").click()
        expect(page.locator("#hint")).to_contain_text("Cancelled")
        expect(page.locator("#predictions .af-work")).to_have_count(0)
    assert page.locator("#predictions .af-predictions").inner_text() == decided
    page.locator("#analyse").click()
    expect(page.locator("#sentence .af-text")).to_contain_text("hid")
