"""What any panel may ask of the page: to select, to prune, to analyse another pair."""

from __future__ import annotations

from types import SimpleNamespace as Sent

import gradio as gr
import pytest
from playwright.sync_api import expect

from attnflow.errors import SelectionError
from attnflow.service.workspace import workspace
from attnflow.stats.alignment import pair_traces
from attnflow.views import attribution
from attnflow.web import events
from attnflow.web.examples import load_examples
from attnflow.web.forms import Form
from attnflow.web.panels import Chart, Panel, RadialView
from attnflow.web.settings import Pair, Settings
from attnflow.web.shared import Shown
from attnflow.web.verbs import Selection, connect, find_pair, find_pruned, find_selection
from attnflow.web.wiring import Verb
from tests.checkpoints import PAIR, make_checkpoint


@pytest.fixture(scope="module")
def shown(hub, tmp_path_factory):
    """A model of two layers and two heads beside the bundled one of four."""
    hub.add("lab/shallow", make_checkpoint(tmp_path_factory.mktemp("verbs"), "bert", num_hidden_layers=2))
    return Shown.of(*(workspace.case(ref, *PAIR) for ref in ("lab/shallow", "demo/finetuned")))


def test_a_head_is_counted_by_its_model_or_else_as_on_the_page(shown):
    assert find_selection(shown, Settings(), Sent(side="a", head=[1, 0])) == Selection(head=(3, 0))
    assert find_selection(shown, Settings(), Sent(side="b", head=[1, 0])) == Selection(head=(1, 0))
    assert find_selection(shown, Settings(), Sent(head=[1, 0], word=2)) == Selection(head=(1, 0), word=2)
    assert find_selection(shown, Settings(), Sent(word=3.0)) == Selection(word=3)
    assert find_selection(shown, Settings(), Sent(word=3, target=RadialView())) == Selection(word=3, in_rings=True)
    assert find_selection(shown, Settings(), Sent(word=3, target=Chart())) == Selection(word=3)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ({}, "Nothing was selected"),
        ({"head": [2, 0], "side": "a"}, "this checkpoint has 2 layers"),
        ({"head": [0, 0], "side": "c"}, "side is 'c'; give 'a' or 'b'"),
        ({"head": [0, 0], "side": ["a"]}, "give 'a' or 'b'"),
        ({"head": [0]}, r"give \[layer, head\]"),
        ({"word": "x"}, "word is 'x'; give a whole number"),
        ({"piece": 3}, "side is null; give 'a' or 'b'"),
        ({"piece": 3, "side": ["a"]}, "give 'a' or 'b'"),
        ({"piece": 999, "side": "a"}, "There is no word 999"),
        ({"own": -1, "side": "b"}, "There is no word -1"),
        ({"own": "x", "side": "b"}, "give a whole number"),
    ],
)
def test_what_cannot_be_selected_is_refused(shown, sent, reason):
    with pytest.raises(SelectionError, match=reason):
        find_selection(shown, Settings(), Sent(**sent))


@pytest.mark.parametrize("unit", ["word", "piece"])
def test_one_word_is_lit_by_what_each_panel_shows_of_it_and_selected_from_there(hub, tmp_path_factory, unit):
    """Models whose tokenizers differ, so that a word has other pieces in each."""
    hub.add("lab/bytes", make_checkpoint(tmp_path_factory.mktemp("bytes"), "gpt2"))
    texts = ("Anna borrowed the unbelievable book.", "Paul lent it.")
    for refs in (("lab/bytes", "demo/finetuned"), ("demo/pretrained", "demo/finetuned")):
        cases = [workspace.case(ref, *texts) for ref in refs]
        shown, settings = Shown.of(*cases), Settings(unit=unit)
        pairing = pair_traces(cases[0].trace, cases[1].trace, unit)
        lit = [events.light(shown, word, settings) for word in range(len(pairing.text))]
        for side, case in zip("ab", cases, strict=True):
            tokens = case.trace.tokens
            found = [piece for one in lit for piece in one[side]]
            assert sorted(found) == list(range(len(tokens))), "each piece belongs to one unit"
            for word, one in enumerate(lit):
                for piece in one[side]:
                    assert find_selection(shown, settings, Sent(side=side, piece=piece)).word == word
                for own in one[f"strip_{side}"]:
                    assert find_selection(shown, settings, Sent(side=side, own=own)).word == word
                if one[side] and int(pairing.sentence[word]) >= 0:
                    whole = "".join(tokens.text[piece].lstrip("·▁") for piece in one[side])
                    assert whole.lower() in pairing.text[word].lower()
        assert lit[2]["strip_ab"] == [2]
    nowhere = events.light(shown, None, settings)
    assert nowhere == events.light(shown, 999, settings) == events.light(None, 2, settings)
    assert not any(nowhere.values())


def test_a_selection_changes_what_it_names_and_leaves_the_rest(shown):
    assert events.select(shown, Selection(head=(3, 1))) == (3, 1, gr.skip(), gr.skip(), gr.skip())
    layer, head, word, rings, table = events.select(shown, Selection(word=2))
    assert layer == head == gr.skip() and word == 2
    assert (rings["selected"]["word"], rings["selected"]["head"]) == (2, None) and table == rings
    assert events.select(shown, Selection((0, 1), 5))[3]["selected"]["head"] == (0, 1)
    assert events.select(shown, Selection((0, 1), 5, in_rings=True))[3] == gr.skip(), "the rings show it already"
    with pytest.raises(SelectionError, match="no head L5 H1"):
        events.select(shown, Selection(head=(4, 0)))


def test_another_pair_changes_what_it_names_and_leaves_the_rest(shown):
    wanted = find_pair(shown, Sent(text_a="Nina met Paul.", model_b="lab/x", colour="red"))
    assert wanted == {"text_a": "Nina met Paul.", "model_b": "lab/x"}
    pair = Pair("demo/pretrained", "", "demo/finetuned", "v1", "Anna met Paul.", "Paul left.")
    now = events.change_pair(shown, wanted, pair)
    assert Pair(*now) == Pair("demo/pretrained", "", "lab/x", "v1", "Nina met Paul.", "Paul left.")
    for wrong in (7, ["x"], "x" * 10**6, "\ud800"):
        with pytest.raises(SelectionError, match="argument text_b is"):
            find_pair(shown, Sent(text_b=wrong))
    first = load_examples()[0]
    assert Pair(**events.find_example(shown, 0)) == first.pair
    with pytest.raises(SelectionError, match="There is no example 99"):
        events.find_example(shown, 99)


def test_heads_to_prune_are_pairs(shown):
    assert find_pruned(shown, Sent(a=[[0, 1]])) == {"a": [(0, 1)], "b": []}
    with pytest.raises(SelectionError, match="b is 'all'"):
        find_pruned(shown, Sent(b="all"))


def test_a_verb_gets_what_is_found_and_the_records_of_the_page():
    with gr.Blocks() as demo:
        state, own, other, out = gr.State("shown"), gr.Textbox(), gr.Textbox(), gr.Textbox()
        after = []
        verb = Verb(lambda shown, wanted, text: (shown, wanted, text), [state, own], [out], follow=after.append)
        verb.on(own.submit, lambda shown, text: f"found {text}" if text else None, [other])
        (event,) = demo.fns.values()
    assert event.fn("shown", "own", "other") == ("shown", "found other", "own")
    assert event.fn("shown", "own", "") == gr.skip()
    assert len(after) == 1


def test_a_panel_is_connected_with_the_verbs_that_it_has():
    class Row(Panel):
        EVENTS = ["select", "analyse", "what_if"]  # noqa: RUF012

    asked = []
    verbs = {
        name: Sent(on=lambda happens, find, sources, name=name: asked.append((name, happens.event_name, find)))
        for name in ("select", "at", "prune", "analyse", "what_if")
    }
    with gr.Blocks():
        connect(Row(), Sent(settings=Form(Settings()), **verbs))
        connect(Chart(), Sent(settings=Form(Settings()), **verbs))
    assert asked == [
        ("select", "select", find_selection),
        ("analyse", "analyse", find_pair),
        ("what_if", "what_if", find_pair),
        ("select", "select", find_selection),
    ]


def test_a_chart_that_names_a_word_lights_it_in_the_rings(open_page, monkeypatch):
    monkeypatch.setattr(attribution, "head_selected", lambda side, head: {"side": side, "head": head, "word": 2})
    page = open_page()
    page.get_by_role("tab", name="Attribution", exact=True).click()
    page.wait_for_selector("#centres .af-figure[data-drawn]:not(.af-empty)", timeout=60_000)
    point = page.locator("#attribution-agreement-b .nsewdrag").first
    point.scroll_into_view_if_needed()
    point.click()
    chosen = "new URLSearchParams(location.search).get('select')?.split(':')[1].startsWith('2')"
    page.wait_for_function(chosen, timeout=60_000)
    page.get_by_role("tab", name="Flow", exact=True).click()
    expect(page.locator("#flow .af-status")).to_contain_text("Held")
    assert page.evaluate("[...document.querySelectorAll('#flow *')].find((node) => node.lit).lit().tokens.length") > 0
