"""Visitors: each reads with his own token and nothing of another's, and asks no more often than he may."""

from __future__ import annotations

import json
import threading
import time
import zlib
from contextlib import closing

import fastapi
import gradio as gr
import pytest
from gradio.context import LocalContext
from gradio_client import Client
from gradio_client.exceptions import AppError

from attnflow.cache import BoundedCache
from attnflow.errors import CheckpointError, SelectionError, TooManyRequestsError, UnsupportedArchitectureError
from attnflow.service import visitors
from attnflow.service.registry import Analysis
from attnflow.service.visitors import RateLimit, Visitor
from attnflow.service.workspace import workspace
from attnflow.web import events, signin
from attnflow.web.page import build
from attnflow.web.settings import LinkedHeads, Pair, SelectedHead, Settings
from attnflow.web.shared import cases_of
from attnflow.web.wiring import told
from tests.checkpoints import PAIR
from tests.conftest import SERVER_TOKEN, forget_models

REST = (SelectedHead(), Settings())
"""What an event reads beside what is shown and asked for."""


@pytest.fixture
def private(hub, folders, request):
    """A model that only `hf_owner` may read."""
    name = f"visitors/model-{zlib.crc32(request.node.name.encode()):x}"
    hub.add(name, folders["bert"], private_to="hf_owner", license="mit")
    return name


def request_of(token=None, host="10.0.0.1", headers=()):
    """A request of a visitor, who is signed in if there is a token."""
    session = {}
    if token:
        info = {"access_token": token, "scope": "", "expires_at": time.time() + 60, "userinfo": {}}
        session["oauth_info"] = info
    scope = {"type": "http", "client": (host, 1), "session": session, "headers": list(headers), "query_string": b""}
    return gr.Request(request=fastapi.Request(scope))


@pytest.fixture
def asked_by():
    """Lets what follows be asked by a visitor."""
    before = LocalContext.request.get(None)
    yield lambda *args, **kwargs: LocalContext.request.set(request_of(*args, **kwargs))
    LocalContext.request.set(before)


def forget_cases(monkeypatch):
    """Run every case anew."""
    monkeypatch.setattr(workspace, "_cases", BoundedCache(10**8, lambda case: case.trace.nbytes))


def analyse(model, before=None):
    pair = Pair(model_a=model, model_b="demo/finetuned", text_a=PAIR[0], text_b=PAIR[1])
    return told(events.analyse)(before, pair, *REST, LinkedHeads())


# ---- the page


def test_a_signed_in_visitor_analyses_his_private_model_and_no_one_else_does(private, asked_by, hub, monkeypatch):
    asked_by("hf_owner")
    shown = analyse(private)[2]
    assert shown.a.ref.startswith(private)
    for token in (None, "hf_other"):  # it is in memory and on disk now
        asked_by(token)
        for again in (lambda: None, lambda: forget_models(monkeypatch)):
            again()
            with pytest.raises(gr.Error, match=f"checkpoint {private}"):
                analyse(private)
    sent = {r.authorization for r in hub.requests if private in r.path}
    assert sent <= {None, "Bearer hf_owner", "Bearer hf_other"}


def test_what_is_shown_is_run_again_with_the_token_of_its_visitor(private, asked_by, monkeypatch):
    asked_by("hf_owner")
    shown = analyse(private)[2]
    forget_cases(monkeypatch)
    assert told(events.prune)(shown, {"a": [(0, 0)], "b": []}, *REST)[0].a.pruned == {(0, 0)}
    forget_cases(monkeypatch)
    forget_models(monkeypatch)
    asked_by(None)
    with pytest.raises(gr.Error, match="no public checkpoint"):
        told(events.prune)(shown, {"a": [(0, 1)], "b": []}, *REST)


def test_a_token_is_kept_nowhere(private, asked_by):
    asked_by("hf_owner")
    shown = analyse(private)[2]
    kept = [shown, *workspace._cases._values, cases_of(shown)[0].card, Visitor("x", "hf_owner")]
    assert not any("hf_owner" in repr(value) for value in kept)
    assert visitors.own_token() is None


def test_by_whose_time_a_gpu_works_comes_with_the_request_and_is_not_told(asked_by):
    asked_by("hf_owner", headers=[(b"x-ip-token", b"signed.by.zero-gpu")])
    visitor = signin.current_visitor()
    assert visitor.gpu_token == "signed.by.zero-gpu" and "zero-gpu" not in repr(visitor)
    with visitors.serving(visitor):
        assert visitors.gpu_token() == "signed.by.zero-gpu"
    asked_by(None)
    assert signin.current_visitor().gpu_token is None and visitors.gpu_token() is None


def test_outside_a_request_there_is_no_visitor_and_no_limit():
    assert signin.current_visitor() is None
    visitors.admit()


# ---- the endpoints


@pytest.fixture(scope="module")
def user(url):
    """A program of a visitor."""
    clients = {}

    def of(token):
        if token not in clients:
            clients[token] = Client(url, verbose=False, ssl_verify=False, oauth_token=token)
        return clients[token]

    yield of
    for client in clients.values():
        client.close()


def test_a_program_reads_with_the_token_it_was_given(private, user):
    answer = user("hf_owner").predict(private, *PAIR, api_name="/predict")
    assert answer["model"]["license"] == "mit"
    for token in ("hf_other", None):
        with pytest.raises(AppError, match=f"checkpoint {private}"):
            user(token).predict(private, *PAIR, api_name="/predict")
        with pytest.raises(AppError, match=f"checkpoint {private}"):
            user(token).predict(private, "demo/finetuned", *PAIR, api_name="/compare_attention_flow")


def test_visitors_who_ask_at_once_do_not_mix(hub, folders, user):
    for name in ("one", "two"):
        hub.add(f"visitors/{name}", folders["bert" if name == "one" else "roberta"], private_to=f"hf_{name}")
    ask = {name: (f"visitors/{name}", *PAIR) for name in ("one", "two")}
    expected = {name: user(f"hf_{name}").predict(*ask[name], api_name="/predict") for name in ask}
    wrong = []

    def work(mine, other):
        client = user(f"hf_{mine}")
        for _ in range(4):
            if client.predict(*ask[mine], api_name="/predict") != expected[mine]:
                wrong.append("another answer")
            try:
                client.predict(*ask[other], api_name="/predict")
                wrong.append(f"{mine} read {other}")
            except AppError:
                pass

    threads = [threading.Thread(target=work, args=pair) for pair in (("one", "two"), ("two", "one"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


class FakeSession:
    """Puts a sign-in into the session, as Gradio's does from its signed cookie."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        token = dict(scope.get("headers", [])).get(b"x-signed-in", b"").decode()
        if scope["type"] == "http":
            scope["session"] = dict(request_of(token).request.session)
        await self.app(scope, receive, send)


def test_a_sign_in_reaches_an_endpoint_through_the_queue(private):
    demo = build()
    middleware = [fastapi.middleware.Middleware(FakeSession)]
    _, address, _ = demo.launch(
        server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, app_kwargs={"middleware": middleware}
    )
    try:
        owner, other = (
            Client(address, verbose=False, ssl_verify=False, headers=h) for h in ({"x-signed-in": "hf_owner"}, {})
        )
        assert owner.predict(private, *PAIR, api_name="/predict")["model"]["ref"] == private
        with pytest.raises(AppError, match="no public checkpoint"):
            other.predict(private, *PAIR, api_name="/predict")
    finally:
        demo.close()


def test_sign_in_is_offered_on_spaces_only(monkeypatch):
    def buttons():
        return [block for block in build().blocks.values() if isinstance(block, gr.LoginButton)]

    assert buttons() == []  # Gradio would sign everybody in with the token of the process
    monkeypatch.setenv("SPACE_ID", "lab/space")
    assert buttons() == []
    monkeypatch.setenv("OAUTH_CLIENT_ID", "id")
    monkeypatch.setattr(signin, "find_spec", lambda name: None)
    assert buttons() == []  # without the packages the page would not open at all
    monkeypatch.setattr(signin, "find_spec", lambda name: True)
    monkeypatch.setattr("gradio.routes.attach_oauth", lambda app: None)
    assert len(buttons()) == 1


def test_the_address_of_a_visitor_on_a_space_is_that_before_the_proxy(asked_by, monkeypatch):
    headers = [(b"x-forwarded-for", b"1.2.3.4, 10.0.0.9")]
    asked_by(None, "10.0.0.9", headers)
    assert signin.current_visitor() == Visitor("10.0.0.9")
    monkeypatch.setenv("SPACE_ID", "lab/space")
    assert signin.current_visitor() == Visitor("1.2.3.4")
    asked_by("hf_owner")
    assert signin.current_visitor().token == "hf_owner"
    assert "hf_owner" not in signin.current_visitor().name


# ---- how often


def test_a_visitor_has_so_many_requests_in_any_minute():
    now = [0.0]
    rate = RateLimit(3, lambda: now[0])
    for second in (0, 10, 20):
        now[0] = second
        rate.admit("a")
    rate.admit("b")
    now[0] = 25.5
    with pytest.raises(TooManyRequestsError, match=r"asked for 3 model runs within a minute.*wait 35 seconds"):
        rate.admit("a")
    now[0] = 60.0
    rate.admit("a")  # the first one is a minute old; the refused one never counted
    with pytest.raises(TooManyRequestsError, match="wait 10 seconds"):
        rate.admit("a")
    rate.admit("b")


def test_what_is_refused_counts_once(monkeypatch):
    """A call that is refused before it runs a model, and one that is refused afterwards."""
    monkeypatch.setattr(visitors, "_rate", RateLimit(3))

    def refused(*, after_admission):
        with visitors.serving(Visitor("a")):
            if after_admission:
                visitors.admit()
            raise SelectionError("no")

    for after_admission in (False, True, False):
        with pytest.raises(SelectionError):
            refused(after_admission=after_admission)
    with pytest.raises(TooManyRequestsError, match="asked for 3 model runs"), visitors.serving(Visitor("a")):
        visitors.admit()
    assert len(visitors._rate._granted["a"]) == 3


def test_wrong_arguments_use_up_the_requests_of_a_visitor(monkeypatch, url):
    monkeypatch.setattr(visitors, "_rate", RateLimit(2))
    with closing(Client(url, verbose=False, ssl_verify=False)) as greedy:
        for heads in ("all", [[0, 0]] * 5000):
            with pytest.raises(AppError, match=r"argument pruned is ('all'|a list of 5,000 entries)"):
                greedy.predict("demo/finetuned", *PAIR, heads, api_name="/predict")
        with pytest.raises(AppError, match="most this machine grants one visitor"):
            greedy.predict("demo/finetuned", *PAIR, api_name="/predict")


def test_visitors_who_are_gone_are_forgotten(monkeypatch):
    monkeypatch.setattr(visitors, "_MOST_VISITORS", 5)
    rate = RateLimit(1)
    for number in range(50):
        rate.admit(str(number))
    assert len(rate._granted) == 5


def test_who_asks_too_often_is_told_and_others_are_served(monkeypatch, url):
    monkeypatch.setattr(visitors, "_rate", RateLimit(2))
    monkeypatch.setenv("SPACE_ID", "lab/space")
    greedy, made_up, other = (
        Client(url, verbose=False, ssl_verify=False, headers={"x-forwarded-for": address}, oauth_token=token)
        for address, token in (("1.1.1.1", None), ("1.1.1.1", "hf_made_up"), ("2.2.2.2", None))
    )
    for _ in range(2):
        greedy.predict("demo/finetuned", *PAIR, api_name="/predict")
    for client in (greedy, made_up):  # a token that anyone could make up is no other visitor
        with pytest.raises(AppError, match=r"most this machine grants one visitor; wait [0-9]+ seconds"):
            client.predict("demo/finetuned", *PAIR, api_name="/predict")
    other.predict("demo/finetuned", *PAIR, api_name="/predict")


def test_the_library_is_not_limited(monkeypatch):
    monkeypatch.setattr(visitors, "_rate", RateLimit(1))
    for _ in range(3):
        workspace.case("demo/finetuned", *PAIR)
    with pytest.raises(CheckpointError, match="no public"):
        workspace.case("lab/none-at-all", *PAIR)
    assert SERVER_TOKEN not in json.dumps([str(key) for key in workspace._cases._values])


def test_an_analysis_that_does_not_follow_an_architecture_is_one_sentence():
    run = workspace.case("demo/finetuned", *PAIR)

    def failing(case):
        raise RuntimeError("shapes\nin /somewhere/secret/file.py")

    with pytest.raises(
        UnsupportedArchitectureError, match=r"cannot follow how BertFor\w+ computes \(RuntimeError: shapes\)"
    ):
        run.ask(Analysis("failing", "Fails.", failing, work=lambda case: 1.0))
