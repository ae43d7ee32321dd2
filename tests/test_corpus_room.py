"""The tab *Corpus*: what it measures, the head that is marked, and the text that shows it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from playwright.sync_api import expect

from attnflow import SelectionError, capture, cli, encode, load_checkpoint, open_corpus
from attnflow.records.shares import percent
from attnflow.service.collections import Page
from attnflow.service.head_examples import BROAD, head_examples
from attnflow.service.offered import corpora
from attnflow.service.workspace import workspace
from attnflow.stats.attention_kinds import attention_shares
from attnflow.stats.entropy import AttentionEntropy
from attnflow.views import payloads
from attnflow.web.rooms import corpus
from attnflow.web.rooms.chosen import Chosen
from attnflow.web.rooms.corpus import N_CHARTS, Drawn
from attnflow.web.rooms.corpus_head import At, best_example, known, marked
from attnflow.web.rooms.reading import read
from attnflow.web.settings import Pair, SelectedHead, Settings
from attnflow.web.shared import Shown
from tests.payload_types import mismatch

PAIR = Pair("demo/pretrained", "", "demo/finetuned", "", "", "")
N = 24


@pytest.fixture(scope="module")
def collected():
    return [*read(Chosen(rows=N), PAIR, None, Page())][-1].collected


@pytest.fixture(scope="module")
def measured(collected):
    (found,) = corpus.measure(collected, Drawn(), None)
    return found


@pytest.fixture(scope="module")
def reached(measured):
    return measured[1]


@pytest.fixture(scope="module")
def shown():
    cases = [workspace.case(ref, "Anna met Paul.") for ref in PAIR.refs]
    return Shown.of(*cases)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """What the command writes for two models, and for one without what the charts show."""
    top = tmp_path_factory.mktemp("corpora")
    for model, name, more in (
        ("demo/pretrained", "plain", ()),
        ("demo/finetuned", "tuned", ("surface", "entropy", "head_distances", "positions", "attention_gradient")),
        ("demo/finetuned", "few", ("entropy",)),
    ):
        words = ["corpus", model, "demo/pairs", "--rows", "12", "--out", str(top / name)]
        assert cli.main([*words, *(["--statistics", *more] if more else [])]) == 0
    return top


def row(*cells):
    return SimpleNamespace(row_value=[*cells, "", 0.5])


def test_it_measures_all_texts_of_both_models(collected, measured):
    told, reached, table, layers, *figures = measured
    assert told == f"A, demo/pretrained: {N} texts. B, demo/finetuned: {N} texts."
    assert reached.key == collected.key and reached.refs == collected.refs and len(figures) == N_CHARTS
    for figure in figures:
        assert mismatch(figure, payloads.ChartFigure) is None
    assert [bool(figure["data"]) for figure in figures] == [True] * 7 + [False] * 3
    assert all("Not measured" in figure["note"] for figure in figures[7:])
    assert len(table["value"]) == 32 and len(table["datatype"]) == len(table["headers"])
    assert layers["choices"] == [("L1", 0), ("L2", 1), ("L3", 2), ("L4", 3)]
    assert corpus.redraw(reached, Drawn(layer=2), None)[3]["title"] == "A · L3: where its heads look"


def test_what_is_slow_comes_after_what_is_quick(collected, measured, monkeypatch):
    monkeypatch.setattr("attnflow.service.room_corpus.MOST_SLOW", 3)
    quick, one, both = corpus.measure(collected, Drawn(slow=True, group_by="label"), At(1, 1, "b"))
    assert [bool(figure["data"]) for figure in quick[4:]] == [True] * 7 + [False] * 3
    assert all("Still to come" in figure["note"] for figure in quick[11:])
    assert one[1].models[0].n_slow == 3 and one[1].models[1].n_slow == 0
    assert all(figure["data"] for figure in both[4:])
    assert "gradients and agreement over 3" in both[0]
    assert {"supported", "unsupported"} == set(both[1].models[1].centre_by_group)
    assert {"pearson: input", "gradient: else"} < set(both[2]["headers"])
    assert np.array_equal(both[1].models[0].map.points, quick[1].models[0].map.points)
    if one[1].models[0].lacks:
        assert one[1].models[0].lacks[0] in both[0]


def test_a_pretrained_model_tells_what_it_cannot_have(collected, reached):
    asked = corpus.AskedOf(collected.opened(), "demo/pretrained", collected.page, {}, "cut")
    assert set(asked.lacks()) == {"importance"}
    assert "decide" in asked.lacks()["importance"]


def test_what_cannot_be_measured_is_told(collected):
    with pytest.raises(SelectionError, match="No texts have been read"):
        next(corpus.measure(None, Drawn(), None))
    with pytest.raises(SelectionError, match="and not the models"):
        next(corpus.measure(replace(collected, refs=()), Drawn(), None))
    with pytest.raises(SelectionError, match="no column 'brown'"):
        next(corpus.measure(collected, Drawn(group_by="brown"), None))


def test_other_texts_drop_what_was_measured_and_offer_their_columns(collected, reached):
    skip = gr.skip()
    assert corpus.renew(None, reached, "") == (skip,) * (7 + N_CHARTS)
    assert corpus.renew(collected, reached, collected.key) == (skip,) * (7 + N_CHARTS)
    key, *kept, groups, selected = corpus.renew(collected, reached, "before")
    assert key == collected.key and kept == [skip] * (4 + N_CHARTS) and selected == skip
    assert [value for _, value in groups["choices"]][:2] == ["", "label"]
    key, told, gone, table, _, *figures, groups, selected = corpus.renew(collected, replace(reached, key="other"), "")
    assert told == corpus.PRESS and gone is table is None and figures == [None] * N_CHARTS
    assert selected == corpus.NO_HEAD


def test_a_head_is_marked_by_a_point_a_row_or_the_page(reached, shown):
    event = SimpleNamespace(head=[2, 3], side="b")
    assert corpus.pick(reached, event) == At(2, 3, "b") == corpus.pick_row(reached, row("B", "L3 H4"))
    selection = corpus.find_row(shown, reached, Settings(), row("B", "L3 H4"))
    assert selection.head == (2, 3) and selection.word is None
    assert corpus.follow(reached, shown, SelectedHead(1, 2), At(0, 0, "b")) == At(1, 2, "b")
    other = replace(reached, refs=("demo/finetuned", "demo/finetuned"))
    assert corpus.find_row(shown, other, Settings(), row("B", "L3 H4")) is None
    assert corpus.follow(other, shown, SelectedHead(1, 2), None) == gr.skip()
    assert corpus.pick(None, event) == gr.skip()
    for wrong in (row("C", "L1 H1"), row("A", "L9 H1"), SimpleNamespace(row_value=7), SimpleNamespace()):
        with pytest.raises(SelectionError, match="choose one of the table"):
            corpus.pick_row(reached, wrong)
    for head, side in (([9, 0], "a"), ([0], "a"), ("x", "b"), ([0, 0], "c"), ([0, 0.5], "a"), (None, "a")):
        with pytest.raises(SelectionError):
            marked(reached, head, side)


def test_a_head_of_a_shallower_model_is_counted_by_the_deeper_one(reached):
    short = replace(reached.models[0], n_layers=3)
    uneven = replace(reached, models=(short, reached.models[1]))
    assert marked(uneven, [0, 1], "a") == At(1, 1, "a")
    assert uneven.own(At(1, 1, "a")) == {"a": (0, 1), "b": (1, 1)}
    assert uneven.own(At(0, 1, "b")) == {"a": None, "b": (0, 1)}
    assert known(uneven, At(0, 1, "b")).startswith(
        "A has nothing beside L1 H2: it has 3 layers of 4 heads, which stand beside L2 to L4. L1 H2 of B: "
    )


def test_an_example_is_the_text_with_the_highest_share(collected):
    """By a slow reading of each text on its own."""
    checkpoint, opened = load_checkpoint("demo/finetuned"), collected.opened()
    traces = [capture(checkpoint, encode(checkpoint, text.text_a, text.text_b)) for text in opened.texts]
    found = head_examples(opened, collected.survey("b"), "demo/finetuned", broad=True)
    shares = np.stack([attention_shares(trace, found.names[:-1]) for trace in traces])
    assert found.names[-1] == BROAD and found.row.shape == (4, 4, len(found.names))
    assert np.allclose(found.share[..., :-1], shares.max(0), atol=1e-3)
    chosen = np.take_along_axis(shares, found.row[None, ..., :-1], 0)[0]
    assert np.allclose(chosen, shares.max(0), atol=1e-3)
    results = [AttentionEntropy().update(trace.attention).result() for trace in traces]
    breadth = np.stack([result.whole / result.most for result in results])
    assert np.allclose(found.share[..., -1], breadth.max(0), atol=1e-4)
    assert (found.row[..., -1] == breadth.argmax(0)).mean() > 0.9
    assert found.of((0, 0), "no such") is None


def test_texts_that_one_pair_does_not_take_are_no_examples(collected, monkeypatch):
    monkeypatch.setattr("attnflow.limits.MAX_CHARACTERS", 1)
    found = head_examples(collected.opened(), collected.survey("b"), "demo/finetuned", broad=True)
    assert (found.row == -1).all() and found.of((0, 0), "self") is None


def test_the_door_opens_the_text_that_is_told(collected, reached):
    names = reached.models[1].table["name"]
    named = [head for head in np.ndindex(4, 4) if names[head]]
    assert named, "the bundled model has heads with a name"
    for head in [*named, (0, 0)]:
        at = At(*head, "b")
        number, told = best_example(reached, at)
        wanted = corpus.find_example(collected, reached, at)
        text = collected.opened().texts[number]
        assert (wanted["text_a"], wanted["text_b"]) == (text.text_a, text.text_b)
        assert wanted["model_b"] == "demo/finetuned" and f"In B text {number + 1:,} shows it best" in told
        assert told in known(reached, at)
        assert corpus.go_to_example(collected, reached, at)[2]["opened"] == number
    first = names[named[0]].split(", ")[0]
    share = reached.examples[1].of(named[0], first)[1]
    assert percent(share) in known(reached, At(*named[0], "b"))
    for at, state, match in (
        (None, reached, "No head is selected"),
        (At(0, 0, "a"), None, "not been measured"),
        (At(0, 0, "a"), replace(reached, key="other"), "not been measured"),
        (At(0, 9, "a"), reached, "A has no L1 H10: it has 4 layers of 4 heads. So no text shows it"),
    ):
        with pytest.raises(SelectionError, match=match):
            corpus.find_example(collected, state, at)
        assert corpus.go_to_example(collected, state, at) == (gr.skip(),) * 3


def test_the_tab_measures_selects_and_opens_an_example(open_page):
    page = open_page()
    page.get_by_role("tab", name="Many texts").click()
    page.locator("#texts-tabs").get_by_role("tab", name="Corpus").click()
    expect(page.locator("#corpus-told")).to_contain_text("Not measured yet")
    for of_measured in ("#corpus-kind", "#corpus-gradients", "#corpus-head", "#corpus-door", "#corpus-heads"):
        expect(page.locator(of_measured)).to_be_hidden()
    expect(page.locator("#read-texts")).to_be_enabled(timeout=60_000)
    page.locator("#texts-tabs").get_by_role("tab", name="Map").click()
    page.wait_for_selector("#text-map .af-texts[data-drawn]:not(.af-empty)", timeout=60_000)
    page.locator("#texts-tabs").get_by_role("tab", name="Corpus").click()
    page.locator("#measure-corpus").click()
    expect(page.locator("#corpus-told")).to_contain_text("B, demo/finetuned: 200 texts.", timeout=60_000)
    expect(page.locator("#corpus-entropy .af-note")).to_contain_text("3.89 nats")
    expect(page.locator("#corpus-kind .af-chart .plot-container")).to_be_visible()
    page.locator("#corpus-heads [data-testid='cell-5-1']").first.click()
    expect(page.locator("#corpus-head")).to_contain_text("L2 H2 of A: ")
    expect(page.locator("#corpus-entropy .points path[style*='stroke-width: 2px']")).to_have_count(2)
    expect(page.locator("#layer input")).to_have_value("L2")
    page.locator("#corpus-door").click()
    expect(page.get_by_role("tab", name="One pair")).to_have_attribute("aria-selected", "true")


# ---- runs that were kept


def test_runs_that_were_kept_are_drawn_as_they_are(kept, monkeypatch):
    monkeypatch.setenv("ATTNFLOW_CORPORA", str(kept))
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert corpora.names() == ["local/few", "local/plain", "local/tuned"]
    told, reached, table, _, *figures = corpus.show_kept(["local/plain", "local/tuned"], Drawn(), None)
    assert told.startswith("A, demo/pretrained: 12 texts. B, demo/finetuned: 12 texts, gradients and agreement over 12")
    assert reached.refs == ("demo/pretrained", "demo/finetuned") and len(table["value"]) == 32
    for figure in figures:
        assert mismatch(figure, payloads.ChartFigure) is None
    assert [bool(figure["data"]) for figure in figures[:8]] == [True] * 8
    for model, name in zip(reached.models, ("plain", "tuned"), strict=True):
        np.testing.assert_array_equal(model.table["entropy"], open_corpus(kept / name).table["entropy"])
    assert "keep no texts" in known(reached, At(1, 1, "b"))
    with pytest.raises(SelectionError, match="keep no texts"):
        corpus.find_example(None, reached, At(1, 1, "b"))


def test_one_run_is_that_of_a(kept, monkeypatch):
    monkeypatch.setenv("ATTNFLOW_CORPORA", str(kept))
    monkeypatch.delenv("SPACE_ID", raising=False)
    told, reached, table, _, *figures = corpus.show_kept(["local/tuned"], Drawn(), None)
    assert told.startswith("A, demo/finetuned: 12 texts") and len(table["value"]) == 16
    assert [bool(figure["data"]) for figure in figures[:8]] == [True, True, True, False, True, False, True, True]
    assert "Only one run is open" in figures[3]["note"]
    with pytest.raises(SelectionError, match="Only one run is open"):
        marked(reached, [0, 0], "b")
    assert marked(reached, [3, 1], "a") == At(3, 1, "a")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["local/few"],
            "local/few has no surface, head_distances, positions, which is shown here; run",
        ),
        (["local/none"], "no run over a corpus 'local/none' here; this page offers local/few"),
        (["../plain"], "no run over a corpus '../plain' here"),
        ([], "choose one, or two to compare"),
        (None, "choose one, or two to compare"),
        (["local/few"] * 3, "choose one, or two to compare"),
        ([7], "choose one, or two to compare"),
    ],
)
def test_runs_that_cannot_be_shown_are_told(names, message, kept, monkeypatch):
    monkeypatch.setenv("ATTNFLOW_CORPORA", str(kept))
    monkeypatch.delenv("SPACE_ID", raising=False)
    with pytest.raises(SelectionError, match=message):
        corpus.show_kept(names, Drawn(), None)
    monkeypatch.setenv("SPACE_ID", "somebody/space")
    with pytest.raises(SelectionError, match=r"offers nothing|choose one"):
        corpus.show_kept(names, Drawn(), None)
