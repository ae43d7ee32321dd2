"""Hundreds of calls with arguments that nobody should send: every one gets a result or one clear sentence."""

from __future__ import annotations

import inspect
import json
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest

from attnflow.web.answering import HANDLERS
from attnflow.web.endpoints import ENDPOINTS
from attnflow.web.gradio_compat import PageState, Sessions, keep_sessions
from attnflow.web.page import build

CALLS = 400
JSON = {"content-type": "application/json"}
PAIR = ("Anna met Paul.", "Paul left.")
DEEP = json.loads("[" * 200 + "]" * 200)
FILE = {"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}}
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 3, 1.5, 10**9, 10**400, -(10**30), 1e308, -0.0, 0.5, float("nan"), float("-inf")),
    *("", " ", "x", "null", "__proto__", "constructor", "../../etc/passwd", "demo/finetuned", "taylor", "A and B"),
    *("\x00\x07\x1b[31m", "مرحبا \u202eabc", "😀" * 40, "a" * 3000, "<script>alert(1)</script>${1+1}{{x}}", "\n\r\t"),
    *("\ud800", "x\udfff", "=1+1", "9" * 5000, "lab/x@-y", "nan"),
    *([], [[]], [[0, 1]], [[0]], [0, 1], [["a", "b"]], [[0, 1]] * 5000, [None], [[0, 1, 2]], [[-1, 99]], DEEP, ["x"]),
    *({}, {"a": 1}, FILE, [FILE], {"path": "http://127.0.0.1:9/x", "meta": {"_type": "gradio.FileData"}}),
    *({"__proto__": {"x": 1}}, {"value": 1}, {"__type__": "update", "value": 3}),
)
EVENTS: tuple[Any, ...] = (
    *(None, [], [1], "x", 7, 1.5, True, {}, {"depth": 0, "head": 1}, {"side": "b", "layer": 1, "head": 2}),
    *(
        {"a": [[0, 1]], "b": []},
        {"a": "all"},
        {"kind": "csv"},
        {"side": "a", "head": [0, 1]},
        {"side": "c", "head": [0, 1]},
    ),
    *(
        {"head": [10**400, "x"]},
        {"word": 3},
        {"word": "x", "head": [0, 1]},
        {"text_a": "Anna met Paul."},
        {"text_b": 7},
        {"input_value": "bert"},
        {"input_value": 5},
        {"input_value": "\ud800" * 5},
    ),
    *({"depth": None, "head": "x"}, {"depth": -5, "head": 1e308}, {"path": "/etc/hostname"}, {"index": FILE}),
    *({"__proto__": 1}, {"a": [[[0]]], "b": DEEP}, {"layer": 99, "head": 99, "side": {}}, {"side": ["a"]}),
)
GOOD = {
    "model": "demo/finetuned",
    "model_a": "demo/pretrained",
    "model_b": "demo/finetuned",
    "sentence_a": PAIR[0],
    "sentence_b": PAIR[1],
    "probes": 2,
    "steps": 2,
    "method": "input_gradient",
}
"""What makes a valid call cheap; other arguments keep their defaults."""


@pytest.fixture(scope="module")
def demo():
    """The page without the gateway, which would not let so many calls pass."""
    return build().queue(api_open=True)


@pytest.fixture(scope="module")
def http(demo):
    app, url, _ = demo.launch(
        app_kwargs={"exception_handlers": HANDLERS}, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True
    )
    keep_sessions(app, Sessions())
    with pytest.MonkeyPatch.context() as patch, httpx2.Client(base_url=f"{url}gradio_api/", timeout=60) as client:
        # Of a call without a session Gradio would describe every component of the page, which is all that it takes.
        patch.setattr("gradio.route_utils.SessionState", lambda blocks: PageState(blocks, lambda kept: None))
        client.headers |= JSON
        yield client
    demo.close()


@pytest.fixture(scope="module")
def events(demo):
    """Every event of the page that calls the server, as its number, its inputs and what they are at first."""
    private = {index: fn for index, fn in demo.fns.items() if fn.api_visibility == "private"}
    return {index: [None if block.stateful else block.value for block in fn.inputs] for index, fn in private.items()}


@pytest.fixture(scope="module")
def session(http, demo, events):
    """A visitor for whom a pair has been analysed, so that events have something to work on."""
    index = next(index for index, fn in demo.fns.items() if fn.name == "analyse")
    data = [*events[index]]
    data[1:7] = ["demo/pretrained", "", "demo/finetuned", "", *PAIR]
    answer = http.post("run/analyse", content=body(data, fn_index=index, session_hash="fuzzed"))
    assert answer.status_code == 200, answer.text
    return "fuzzed"


def body(data: Any, **more: Any) -> bytes:
    """A call as JSON; a lone surrogate travels escaped."""
    return json.dumps({"data": data, **more}).encode()


def no_number(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def unclear(status: int, text: str) -> str | None:
    """What is wrong with an answer; None if it is a result or one clear sentence."""
    try:
        answer = json.loads(text, parse_constant=no_number)
    except (ValueError, AssertionError) as error:
        return f"no JSON: {error}"
    if status == 200:
        return None if isinstance(answer, dict) and isinstance(answer.get("data"), list) else "a result without data"
    said = answer.get("error") or answer.get("detail") if isinstance(answer, dict) else None
    if not isinstance(said, str) or not said:
        return "no sentence"
    if not said.endswith(".") or "\n" in said or len(said) > 400:
        return "not one short sentence"
    if any(word in said for word in ("<class", "object at 0x", "Traceback", "log of this server")):
        return "speaks of the program"
    own = (Path(__file__).parent.parent, sys.prefix, sys.base_prefix, tempfile.gettempdir(), Path.home())
    return "names a path of the machine" if any(f"{place}/" in said for place in own) else None


def changed(rng: random.Random, arguments: list[Any]) -> list[Any]:
    """The arguments with some wrong, missing or too many."""
    arguments = list(arguments)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        way = rng.random()
        if way < 0.12:
            del arguments[rng.randrange(len(arguments) + 1) :]
        elif way < 0.2:
            arguments += [rng.choice(ODD)] * rng.choice((1, 2, 40))
        elif arguments:
            arguments[rng.randrange(len(arguments))] = rng.choice(ODD)
    return arguments


def call_of_an_endpoint(rng: random.Random) -> tuple[str, bytes]:
    endpoint = rng.choice(ENDPOINTS)
    parameters = [p for name, p in inspect.signature(endpoint).parameters.items() if name != "oauth_token"]
    good = [GOOD.get(p.name, None if p.default is p.empty else p.default) for p in parameters]
    if endpoint.__name__ == "head_importance":
        good[-1] = "gate"
    data = changed(rng, good)
    more = (
        {} if rng.random() < 0.9 else {"event_data": rng.choice(EVENTS), "session_hash": rng.choice(("x", "__proto__"))}
    )
    return f"run/{endpoint.__name__}", body(data, **more)


def call_of_an_event(rng: random.Random, events: dict[int, list[Any]], session: str) -> tuple[str, bytes]:
    index = rng.choice(list(events))
    more: dict[str, Any] = {"fn_index": index, "event_data": rng.choice(EVENTS)}
    if rng.random() < 0.8:
        more["session_hash"] = session
    if rng.random() < 0.1:
        more["trigger_id"] = rng.choice((0, 1, 10**6, -1))
    if rng.random() < 0.05:
        more["fn_index"] = rng.choice((9999, -1, 10**30))
    return "run/x", body(changed(rng, events[index]), **more)


def test_hundreds_of_odd_calls_get_a_result_or_one_clear_sentence(http, events, session):
    rng = random.Random(11)
    wrong, count = [], Counter()
    for number in range(CALLS):
        path, content = call_of_an_endpoint(rng) if number % 2 else call_of_an_event(rng, events, session)
        answer = http.post(path, content=content)
        reason = unclear(answer.status_code, answer.text)
        count["results" if answer.status_code == 200 else "sentences"] += 1
        if reason:
            wrong.append((reason, path, content[:200], answer.status_code, answer.text[:300]))
    assert wrong == [], f"{len(wrong)} unclear answers of {CALLS}"
    assert count["results"] > CALLS / 10 and count["sentences"] > CALLS / 2.5, count


@pytest.mark.parametrize("data", [[], ["demo/finetuned"], [FILE, "a"], ["demo/finetuned", None], [None] * 9])
def test_the_queue_answers_as_clearly(http, data):
    event = http.post("call/predict", content=body(data)).json()["event_id"]
    lines = http.get(f"call/predict/{event}").text.splitlines()
    assert "event: error" in lines
    (told,) = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    assert unclear(500, told) is None and "argument" in told


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "cannot be read"),
        (b"{nope", "cannot be read"),
        (b"[1]", "cannot be read"),
        (b'{"data": "x"}', "see data"),
        (b'{"data": ["demo/finetuned", "a", NaN]}', "sentence_b is nan; give a text"),
        (b'{"data": ' + b"[" * 5000 + b"]" * 5000 + b"}", "."),
        (b'{"data": [], "fn_index": "x"}', "see fn_index"),
    ],
)
def test_a_body_that_is_no_call_is_told(http, content, reason):
    answer = http.post("run/predict", content=content)
    assert answer.status_code != 200
    assert unclear(answer.status_code, answer.text) is None and reason in answer.text


@pytest.mark.parametrize(
    ("path", "arguments", "reason"),
    [
        ("predict", {"model": "demo/finetuned"}, "No value provided for required argument: sentence_a"),
        ("predict", {"model": "demo/finetuned", "sentence_a": "a", "colour": 1}, "colour is not a valid"),
        ("nothing", {"model": "demo/finetuned"}, "no event or endpoint of this name"),
    ],
)
def test_named_arguments_that_do_not_fit_are_told(http, path, arguments, reason):
    answer = http.post(f"call/v2/{path}", json=arguments)
    assert unclear(answer.status_code, answer.text) is None and reason in answer.json()["error"]


def test_what_is_left_out_has_its_default(http):
    short, whole = (
        http.post("run/predict", content=body(["demo/finetuned", PAIR[0], *rest])).json()["data"]
        for rest in ([], ["", None])
    )
    assert short == whole


def test_a_failure_that_is_not_ours_is_one_sentence_that_the_log_refers_to(http, monkeypatch, caplog):
    def broken(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError("in a place that nobody should know")

    monkeypatch.setattr("attnflow.service.workspace.workspace.case", broken)
    told = http.post("run/predict", content=body(["demo/finetuned", "a"])).json()["error"]
    assert "nobody should know" not in told and told.endswith(".")
    (record,) = [record for record in caplog.records if record.name == "attnflow.web.answering"]
    assert record.getMessage().split()[-1] in told and "ZeroDivisionError" in caplog.text
