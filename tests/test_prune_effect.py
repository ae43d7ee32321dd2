"""What changes without some heads is told of the flow as it is drawn: its thresholds, decay, root, heads, words."""

from __future__ import annotations

import numpy as np
import pytest

from attnflow import attention_graph, influence, merge_words, ring_tau
from attnflow.service.workspace import workspace
from attnflow.web.settings import Settings
from attnflow.web.shared import Shown
from attnflow.web.tabs.heads import draw_effects

PAIR = ("Anna lent Paul a book.", "Paul borrowed a book.")
PRUNED = [(3, 0), (2, 1)]


@pytest.fixture(scope="module")
def cases():
    whole = [workspace.case(ref, *PAIR) for ref in ("demo/pretrained", "demo/finetuned")]
    return whole, [whole[0], workspace.without(whole[1], PRUNED)]


@pytest.mark.parametrize(
    ("settings", "alpha", "chosen"),
    [
        (Settings(), 0.5, {}),
        (Settings(alpha=1.0), 1.0, {}),
        (Settings(root=4), 0.5, {"root": 4}),
        (Settings(heads=("3.2", "2.1", "1.0", "0.3")), 0.5, {"heads": [(3, 2), (2, 1), (1, 0), (0, 3)]}),
        (Settings(hide_special=True), 0.5, {"hidden": [0]}),
        (Settings(auto=False, tau=0.3), 0.5, {"tau": 0.3}),
        (Settings(unit="piece"), 0.5, {}),
    ],
    ids=["first", "alpha", "root", "heads", "special", "tau", "pieces"],
)
def test_it_follows_every_setting(cases, settings, alpha, chosen):
    whole, pruned = cases
    a, b = draw_effects(Shown.of(*pruned), settings)
    assert a["removed"] == 0 and a["before"] == a["after"]
    assert b["removed"] == len(PRUNED)
    if settings.hide_special:
        special = np.flatnonzero(merge_words(whole[1].trace).tokens.sentence < 0)
        chosen = {"hidden": special.tolist()}
    before, after = (merge_words(one[1].trace) if settings.unit == "word" else one[1].trace for one in (whole, pruned))
    rest = {name: value for name, value in chosen.items() if name != "tau"}
    tau = chosen.get("tau", ring_tau(before, **rest))
    for trace, told in ((before, b["before"]), (after, b["after"])):
        expected = influence(attention_graph(trace, tau, **rest), alpha)[0]
        assert told == pytest.approx(expected.tolist(), rel=1e-3)
    assert b["text"] == list(before.tokens.text)
    if not chosen:
        assert b["before"] != b["after"]
