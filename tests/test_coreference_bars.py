"""The card *Coreference* of the tab *Grammar*: its bars have the numbers of the statistic."""

from __future__ import annotations

import json
from dataclasses import replace

import gradio as gr
import numpy as np
import pytest

from attnflow import SelectionError, corpus_statistics
from attnflow.service.collections import Page
from attnflow.stats.antecedents import RULES
from attnflow.stats.coreference import ALL
from attnflow.views import payloads
from attnflow.views.coreference_bars import KINDS_TOLD, ChainsModel, coreference_bars
from attnflow.web.rooms import grammar, grammar_chains
from attnflow.web.rooms.chosen import Chosen
from attnflow.web.rooms.reading import read
from attnflow.web.settings import Pair
from tests.payload_types import mismatch

PAIR = Pair("demo/pretrained", "", "demo/finetuned", "", "", "")


@pytest.fixture(scope="module")
def collected():
    return [*read(Chosen(source="demo/coreference", rows=40), PAIR, None, Page())][-1].collected


@pytest.fixture(scope="module")
def steps(collected):
    return [*grammar_chains.measure(collected)]


def test_bars_are_what_the_statistic_holds_out_beside_the_rules(collected, steps):
    told, figure, key, button = steps[-1]
    assert mismatch(json.loads(json.dumps(figure)), payloads.ChartFigure) is None
    assert "B, demo/finetuned, read 40 texts" in told and key == collected.key and not button["visible"]
    assert len(steps[0][1]["data"]) == 1 + len(RULES) and len(figure["data"]) == 2 + len(RULES)
    texts = collected.opened().texts
    for place, model in enumerate(("demo/pretrained", "demo/finetuned")):
        found = corpus_statistics(model, texts, ["coreference"], max_tokens=128)["coreference"]
        kinds = [kind for kind in (ALL, *found.kinds) if found.n[kind]]
        for number, kind in enumerate(kinds):
            best, bar = found.best(kind), figure["data"][place]
            low, high = best.held_out.interval
            told = KINDS_TOLD[kind] if kind != ALL else "mentions"
            assert bar["x"][number] == KINDS_TOLD[kind] and f"{found.n[kind]:,} {told}" in figure["note"]
            assert bar["y"][number] == pytest.approx(best.held_out.share, abs=1e-4)
            assert bar["y"][number] + bar["error_y"]["array"][number] == pytest.approx(high, abs=2e-4)
            assert bar["y"][number] - bar["error_y"]["arrayminus"][number] == pytest.approx(low, abs=2e-4)
            assert bar["customdata"][number] == {"side": "ab"[place], "head": (best.layer, best.head)}
            for rule, beside in zip(RULES, figure["data"][2:], strict=True):
                assert beside["y"][number] == pytest.approx(found.baseline(rule, kind).share, abs=1e-4)
        assert f"{100 * found.best().held_out.share:.1f} % of all {found.n[ALL]:,} mentions" in figure["note"]


def test_kinds_without_a_case_have_no_bar_and_few_cases_are_told(collected, steps):
    found = corpus_statistics("demo/finetuned", collected.opened().texts, ["coreference"])["coreference"]
    none = replace(found, cases=found.cases * [[0], [1], [1]], right=found.right * 0, by_rule=found.by_rule * 0)
    figure = coreference_bars([ChainsModel("a", "lab/x", 3, 0, 0, none)])
    assert not any("pronouns" in label for label in figure["data"][0]["x"])
    few = replace(found, cases=found.cases * 0 + 1, right=found.right * 0, by_rule=found.by_rule * 0)
    assert (
        "Too few to say much: all mentions, pronouns" in coreference_bars([ChainsModel("a", "x", 3, 0, 0, few)])["note"]
    )


def test_texts_without_chains_are_told_what_is_needed(collected):
    plain = [*read(Chosen(source="demo/sentences", rows=4), PAIR, None, Page())][-1].collected
    told, chart, key, measure, pairs = grammar_chains.renew(plain, collected.key)
    assert (told, chart, key, measure["visible"], pairs["visible"]) == (grammar_chains.NEEDED, None, "", False, True)
    with pytest.raises(SelectionError, match="coreference chains are known"):
        next(grammar_chains.measure(plain))
    with pytest.raises(SelectionError, match="read the texts themselves"):
        next(grammar_chains.measure(replace(collected, refs=())))
    told, *_, measure, pairs = grammar_chains.renew(collected, "")
    assert told == grammar_chains.PRESS and measure["visible"] and not pairs["visible"]
    assert grammar_chains.renew(collected, collected.key) == [gr.skip()] * 5 == grammar_chains.renew(None, "")
    assert grammar_chains.may_measure("grammar", collected, "") and not grammar_chains.may_measure("map", collected, "")
    assert not grammar_chains.may_measure("grammar", plain, "") and not grammar_chains.may_measure("grammar", None, "")
    assert not grammar_chains.may_measure("grammar", collected, collected.key)
    assert not grammar.may_measure("grammar", collected, None), "they have chains, and no trees"


def test_what_is_not_held_out_has_no_bar(collected):
    found = corpus_statistics("demo/finetuned", collected.opened().texts, ["coreference"])["coreference"]
    one_half = replace(found, cases=found.cases * [1, 0], right=found.right * np.array([1, 0])[:, None, None])
    one_half = replace(one_half, by_rule=found.by_rule * 0)
    figure = coreference_bars([ChainsModel("a", "demo/finetuned", 40, 0, 0, one_half)])
    assert set(figure["data"][0]["y"]) == {None} and None not in figure["data"][1]["y"]
    assert figure["note"].startswith("A: nothing is held out, as all cases are in one half of the texts.")
    json.dumps(figure, allow_nan=False)
