"""The gateway before Gradio: what it lets through, what it refuses with which sentence, and what that costs."""

from __future__ import annotations

import asyncio
import json
import time
import tracemalloc
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from attnflow import limits
from attnflow.errors import AttnflowError
from attnflow.service.visitors import RateLimit
from attnflow.web import assets, bodies, signin, surface
from attnflow.web.addresses import visitor_address
from attnflow.web.gateway import Gateway
from attnflow.web.waiting import MARK, SECONDS, ForgottenError, WaitingAnswers

PRIVATE, PUBLIC = 1, 2


class Behind:
    """Stands for Gradio: notes what reaches it, and answers with a text."""

    def __init__(self, body=b'{"ok":true}', chunks=1):
        self.scopes, self.bodies = [], []
        self.body, self.chunks = body, chunks

    async def __call__(self, scope, receive, send):
        self.scopes.append(scope)
        if scope["method"] == "POST":
            self.bodies.append((await receive())["body"])
        credentials = [(b"access-control-allow-credentials", b"true"), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": credentials})
        for _ in range(self.chunks):
            await send({"type": "http.response.body", "body": self.body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class Asked:
    """What came back."""

    def __init__(self, sent):
        self.status = sent[0]["status"]
        self.headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        self.body = b"".join(message["body"] for message in sent[1:])
        self.pieces = [message["body"] for message in sent[1:]]

    @property
    def sentence(self):
        return json.loads(self.body)["detail"]


def _alone(what: Coroutine[Any, Any, Any]) -> Any:
    """Run something to its end in a thread of its own: a browser may have left a running loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, what).result()


@pytest.fixture
def behind():
    return Behind()


@pytest.fixture
def noted():
    return {}


@pytest.fixture
def cancelled():
    return []


@pytest.fixture
def waiting():
    return WaitingAnswers(10**6)


@pytest.fixture
def gateway(behind, noted, cancelled, waiting):
    return Gateway(
        behind,
        is_private={PRIVATE: True, PUBLIC: False}.get,
        knows=lambda event: event == "known",
        note=noted.__setitem__,
        cancel=lambda session, event: cancelled.append((session, event)),
        answers=waiting,
        rate=RateLimit(1000, what="requests"),
    )


@pytest.fixture
def ask(gateway):
    def send_request(method, path, body=(), *, query="", client="127.0.0.1", root="", **headers):
        told = {"host": "127.0.0.1:7860", **{name.replace("_", "-"): value for name, value in headers.items()}}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "root_path": root,
            "query_string": query.encode(),
            "client": (client, 1),
            "headers": [(name.encode(), value.encode("latin1")) for name, value in told.items()],
        }
        parts = iter([body] if isinstance(body, bytes) else body)
        sent = []

        async def receive():
            part = next(parts, None)
            return {"type": "http.request", "body": part or b"", "more_body": part is not None}

        async def send(message):
            sent.append(message)

        _alone(gateway(scope, receive, send))
        return Asked(sent)

    return send_request


JOIN = "/gradio_api/queue/join"


def body_of(**entries):
    return json.dumps({"data": [], **entries}).encode()


# ---- bodies


def test_a_body_passes_as_it_came(ask, behind):
    body = body_of(session_hash="s", fn_index=PUBLIC, data=["café 😀"])
    assert ask("POST", JOIN, [body[:10], body[10:]]).status == 200
    assert behind.bodies == [body]
    assert behind.scopes[0][MARK]


@pytest.mark.parametrize(
    "headers", [{}, {"content_length": "12"}, {"content_length": str(10**9)}, {"content_length": "-"}]
)
def test_a_body_that_is_too_large_is_refused_whatever_it_says_of_itself(headers, ask, behind):
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield b"1," * 500

    answer = ask("POST", JOIN, endless(), **headers)
    assert answer.status == 413
    assert answer.sentence.startswith("The body of this request has more than 128 kB")
    assert len(taken) <= limits.REQUEST_BYTES / 1000 + 2
    assert behind.scopes == []


def test_a_list_of_a_million_costs_nothing(ask):
    body = b'{"data":[[' + b"1," * 10**6 + b"1]]}"
    tracemalloc.start()
    start = time.perf_counter()
    assert (
        ask("POST", "/gradio_api/call/predict", [body[at : at + 10**5] for at in range(0, len(body), 10**5)]).status
        == 413
    )
    taken = time.perf_counter() - start
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert taken < 0.5
    assert peak < len(body) + 3 * 10**6  # the pieces that the test itself cut, and little more


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b'{"data":', 400, "is no JSON"),
        (b"\xff\xfe", 400, "is no JSON"),
        (b'{"data":' + b"[" * 3000 + b"]" * 3000 + b"}", 413, "lists within lists"),
        (b'{"data":' + b"[" * 40 + b"]" * 40 + b"}", 413, "lists within lists"),
        (b'{"data":[' + b"1," * 25_000 + b"1]}", 413, "more than 20,000 entries"),
        (b'{"data":[' + b"9" * 10_000 + b"]}", 400, "is no JSON"),
        (body_of(session_hash=["s"]), 400, "session_hash must be"),
        (body_of(session_hash="s" * 101), 400, "session_hash must be"),
        (body_of(fn_index="1"), 400, "fn_index must be the number"),
        (body_of(fn_index=True), 400, "fn_index must be the number"),
        (body_of(fn_index=PUBLIC, batched=True), 400, "batched must be left out"),
        (body_of(fn_index=99), 404, "There is no event 99"),
    ],
)
def test_bodies_that_make_no_sense_get_a_sentence(body, status, sentence, ask, behind):
    answer = ask("POST", JOIN, body)
    assert answer.status == status
    assert sentence in answer.sentence
    assert behind.scopes == []


def test_a_body_that_does_not_arrive_is_waited_for_in_vain(monkeypatch):
    monkeypatch.setattr(bodies, "SECONDS", 0.05)

    async def never():
        await asyncio.sleep(10)

    with pytest.raises(bodies.RefusedError, match="did not arrive within"):
        _alone(bodies.read_body(never, None))


def test_headers_and_addresses_are_bounded(ask):
    assert ask("GET", "/", cookie="c" * 16_000).status == 431
    assert ask("GET", "/", query="q" * 4_001).status == 414
    assert ask("GET", "/", query="q" * 4_000, cookie="c" * 10_000).status == 200


# ---- what is there


OPEN = [
    ("GET", "/"),
    ("HEAD", "/"),
    ("GET", "/config"),
    ("GET", "/gradio_api/info"),
    ("GET", "/theme.css"),
    ("GET", "/static/fonts/ui-sans-serif/ui-sans-serif-Regular.woff2"),
    ("GET", "/assets/index-BX_1.js"),
    ("GET", "/gradio_api/mcp/schema"),
    ("GET", "/gradio_api/queue/data"),
]
CLOSED = [
    ("GET", "/gradio_api/upload"),
    ("GET", "/gradio_api/upload_progress"),
    ("GET", "/gradio_api/heartbeat/abc123"),
    ("GET", "/monitoring"),
    ("GET", "/monitoring/summary"),
    ("GET", "/gradio_api/dev/reload"),
    ("GET", "/gradio_api/deep_link"),
    ("GET", "/gradio_api/runs"),
    ("POST", "/gradio_api/run-history/connect"),
    ("GET", "/gradio_api/run-history/buckets"),
    ("GET", "/gradio_api/file=/etc/passwd"),
    ("GET", "/gradio_api/file=https://example.org/x"),
    ("GET", "/gradio_api/proxy=https://a.hf.space/x"),
    ("GET", "/gradio_api/file/etc/passwd"),
    ("GET", "/file=/etc/passwd"),
    ("GET", "/static/../../app.py"),
    ("GET", "/assets/..%2f..%2fapp.py"),
    ("POST", "/gradio_api/component_server"),
    ("POST", "/gradio_api/vibe-edit"),
    ("GET", "/gradio_api/vibe-code"),
    ("POST", "/gradio_api/stream/abc"),
    ("GET", "/gradio_api/stream/a/b/1/playlist.m3u8"),
    ("GET", "/gradio_api/custom_component/a/client/b/c"),
    ("POST", "/gradio_api/process_recording"),
    ("POST", "/login"),
    ("GET", "/login/huggingface"),
    ("GET", "/logout"),
    ("GET", "/gradio_api/token"),
    ("GET", "/openapi.json"),
    ("GET", "/gradio_api/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/gradio_api/profiling/traces"),
    ("DELETE", "/"),
    ("POST", "/gradio_api/api/predict"),
]


@pytest.mark.parametrize(("method", "path"), OPEN)
def test_what_the_page_and_programs_need_is_there(method, path, ask):
    assert ask(method, path).status == 200
    assert ask(method, "/space" + path, root="/space").status == 200


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_what_nobody_needs_is_not_there(method, path, ask, behind):
    answer = ask(method, path, body_of())
    assert answer.status == 404
    assert "There is nothing at this address" in answer.sentence
    assert behind.scopes == []


def test_signing_in_is_there_where_it_is_offered(ask, monkeypatch):
    monkeypatch.setattr(signin, "offered", lambda: True)
    assert ask("GET", "/login/huggingface").status == ask("GET", "/logout").status == 200
    assert ask("POST", "/login").status == 404


def test_the_page_gets_its_files_under_an_address_that_tells_no_folder(ask):
    head = assets.head()
    assert not any(text in head for text in ("file=", str(assets.PAGE), "site-packages"))
    at = f"{surface.ASSETS_AT}{assets.version()}/"
    assert {"panels.css", "plotly.min.js", "radial/radial.js", "shared/head.js"} <= set(assets.files())
    for name, path in assets.files().items():
        plain = ask("GET", at + name)
        assert plain.body == path.read_bytes()
        assert "immutable" in plain.headers["cache-control"]
    first = [name for name in assets.files() if name.endswith(".js") and name.split("/")[0] in assets.FIRST_SEEN]
    assert all(assets.url(name) in head for name in (*first, "panels.css", "plotly.min.js"))
    assert assets.url("chart/chart.js") not in head, "other tabs come when they are opened"
    packed = ask("GET", at + "plotly.min.js", accept_encoding="gzip, br")
    assert packed.headers["content-encoding"] == "gzip"
    assert len(packed.body) < 2 * 10**6
    for other in (at + "app.py", at + "payloads.d.ts", surface.ASSETS_AT + "0" * 12 + "/panels.css"):
        assert ask("GET", other).status == 404


# ---- who asks


def test_a_visitor_has_so_many_requests_of_any_kind(gateway, ask):
    gateway._rate = RateLimit(3, what="requests")
    kinds = [("GET", "/"), ("POST", JOIN, b"{nonsense"), ("GET", "/no/such/thing")]
    assert [ask(*kind).status for kind in kinds] == [200, 400, 404]
    for kind in kinds:
        refused = ask(*kind)
        assert refused.status == 429
        assert "You asked for 3 requests within a minute" in refused.sentence
    assert ask("GET", "/theme.css").status == 200
    assert ask("GET", "/", client="9.9.9.9").status == 200


def test_who_writes_other_addresses_is_the_same_visitor(gateway, ask, monkeypatch):
    gateway._rate = RateLimit(2)
    assert [ask("GET", "/", x_forwarded_for=f"1.1.1.{n}").status for n in range(3)] == [200, 200, 429]
    monkeypatch.setenv("ATTNFLOW_TRUSTED_PROXIES", "1")
    gateway._rate = RateLimit(2)
    assert [ask("GET", "/", x_forwarded_for=f"1.1.1.{n}, 5.5.5.5").status for n in range(3)] == [200, 200, 429]
    assert ask("GET", "/", x_forwarded_for="5.5.5.5, 6.6.6.6").status == 200


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "expected"),
    [
        ("0", "1.2.3.4", ["9.9.9.9"], "1.2.3.4"),
        ("", "1.2.3.4", ["9.9.9.9"], "1.2.3.4"),
        ("1", "10.0.0.1", ["6.6.6.6, 1.2.3.4"], "1.2.3.4"),
        ("1", "10.0.0.1", ["6.6.6.6", "1.2.3.4"], "1.2.3.4"),  # two lines are one
        ("2", "10.0.0.1", ["6.6.6.6, 1.2.3.4, 10.0.0.9"], "1.2.3.4"),
        ("2", "10.0.0.1", ["1.2.3.4"], "10.0.0.1"),  # it did not come by both proxies
        ("1", "10.0.0.1", ["1.2.3.4:5678"], "1.2.3.4"),
        ("1", "10.0.0.1", ["1.2.3.4, <script>"], "10.0.0.1"),
        ("1", "10.0.0.1", [""], "10.0.0.1"),
        ("1", "::1", ["[2001:db8:1:2:3:4:5:6]:443"], "2001:db8:1:2::/64"),
        ("1", "::1", ["2001:db8:1:2:ffff::1"], "2001:db8:1:2::/64"),
        ("0", "::ffff:1.2.3.4", [], "1.2.3.4"),
        ("0", "fe80::1%eth0", [], "fe80::/64"),
        ("0", "", [], "nobody"),
    ],
)
def test_the_address_is_what_the_trusted_proxy_appended(proxies, peer, forwarded, expected, monkeypatch):
    monkeypatch.setenv("ATTNFLOW_TRUSTED_PROXIES", proxies)
    assert visitor_address(peer, forwarded) == expected


def test_on_a_space_the_address_is_the_last_public_one(monkeypatch):
    monkeypatch.setenv("SPACE_ID", "lab/space")
    assert visitor_address("10.16.3.80", ["6.6.6.6, 1.2.3.4"]) == "1.2.3.4"
    assert visitor_address("10.16.3.80", ["6.6.6.6, 1.2.3.4, 10.0.0.9, 192.168.0.1"]) == "1.2.3.4"
    assert visitor_address("10.16.3.80", ["what, 10.0.0.9"]) == "10.16.3.80"
    monkeypatch.setenv("ATTNFLOW_TRUSTED_PROXIES", "3")
    assert visitor_address("10.16.3.80", ["6.6.6.6, 1.2.3.4, 8.8.8.8, 7.7.7.7"]) == "1.2.3.4"


def test_a_number_of_proxies_that_is_none_is_said(monkeypatch):
    monkeypatch.setenv("ATTNFLOW_TRUSTED_PROXIES", "one")
    with pytest.raises(AttnflowError, match="it must be the number of proxies"):
        visitor_address("1.2.3.4")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *((host, 200) for host in ("127.0.0.1:7860", "localhost", "[::1]:7860", "192.168.1.5:80", "my.own.name")),
        *((host, 403) for host in ("evil.example", "127.0.0.1.evil.example", "localhost@evil", "a.hf.space", "")),
    ],
)
def test_a_foreign_name_for_this_app_is_refused(host, status, ask, monkeypatch):
    monkeypatch.setenv("ATTNFLOW_HOSTS", "my.own.name, other")
    answer = ask("GET", "/", host=host)
    assert answer.status == status
    if status == 403:
        assert "This app is not known as" in answer.sentence


def test_a_space_is_known_by_its_names(ask, monkeypatch):
    monkeypatch.setenv("SPACE_ID", "lab/space")
    monkeypatch.setenv("SPACE_HOST", "lab-space.hf.space,space.lab.org")
    assert [ask("GET", "/", host=host).status for host in ("lab-space.hf.space", "space.lab.org", "evil.example")] == [
        *(200, 200, 403)
    ]


EVIL = {"origin": "https://evil.example"}


@pytest.mark.parametrize(
    "headers",
    [EVIL, {"origin": "null"}, {"origin": "http://127.0.0.1:9999"}, {"sec_fetch_site": "cross-site"}],
)
def test_other_sites_are_refused_on_a_local_run(headers, ask, behind):
    for method, path in (("POST", JOIN), ("POST", "/gradio_api/call/predict"), ("OPTIONS", JOIN)):
        answer = ask(method, path, body_of(fn_index=PUBLIC), **headers)
        assert answer.status == 403
        assert "Another web site may not ask" in answer.sentence
        assert not any(name.startswith("access-control") for name in answer.headers)
    assert behind.scopes == []


def test_the_page_itself_programs_and_links_pass(ask):
    body = body_of(fn_index=PRIVATE, session_hash="s")
    assert ask("POST", JOIN, body, origin="http://127.0.0.1:7860", sec_fetch_site="same-origin").status == 200
    assert ask("POST", JOIN, body).status == 200
    assert ask("GET", "/", sec_fetch_site="cross-site", sec_fetch_mode="navigate").status == 200


def test_a_file_is_taken_here_and_from_no_other_site(ask, behind, monkeypatch):
    form = b'--cut\r\nContent-Disposition: form-data; name="files"; filename="x.csv"\r\n\r\ntext\r\n--cut--\r\n'
    told = {"content_type": "multipart/form-data; boundary=cut"}
    answer = ask("POST", "/gradio_api/upload", form, **told)
    assert answer.status == 200 and json.loads(answer.body)[0].startswith("sent-")
    monkeypatch.setenv("SPACE_ID", "lab/space")
    monkeypatch.setenv("SPACE_HOST", "lab-space.hf.space")
    answer = ask("POST", "/gradio_api/upload", form, **told, host="lab-space.hf.space", **EVIL)
    assert answer.status == 403 and behind.scopes == []


def test_on_a_space_other_sites_have_the_endpoints_without_credentials(ask, behind, monkeypatch):
    monkeypatch.setenv("SPACE_ID", "lab/space")
    monkeypatch.setenv("SPACE_HOST", "lab-space.hf.space")
    headers = {"host": "lab-space.hf.space", "cookie": "session=secret", **EVIL}
    for place, body in (("/gradio_api/call/predict", body_of()), (JOIN, body_of(fn_index=PUBLIC))):
        answer = ask("POST", place, body, **headers)
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
        assert not {b"cookie", b"origin"} & {name for name, _ in behind.scopes[-1]["headers"]}
    seen = len(behind.scopes)
    assert ask("POST", JOIN, body_of(fn_index=PRIVATE, session_hash="s"), **headers).status == 403
    assert ask("POST", "/gradio_api/run/predict", body_of(fn_index=PUBLIC), **headers).status == 403
    assert ask("POST", "/gradio_api/cancel", b"{}", **headers).status == 403
    preflight = ask("OPTIONS", JOIN, **headers)
    assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (204, "*")
    assert "access-control-allow-credentials" not in preflight.headers
    assert len(behind.scopes) == seen
    own = {**headers, "origin": "https://lab-space.hf.space"}
    assert ask("POST", JOIN, body_of(fn_index=PRIVATE, session_hash="s"), **own).status == 200


def test_a_session_belongs_to_who_uses_the_page_in_it(ask, noted):
    ask("POST", JOIN, body_of(fn_index=PUBLIC, session_hash="program"))
    ask("POST", JOIN, body_of(fn_index=PRIVATE, session_hash="page"), client="9.9.9.9")
    assert noted == {"page": "9.9.9.9"}


def test_a_call_is_cancelled_by_its_own_name(ask, behind, cancelled):
    """Gradio would end all of the session's calls of the same function."""
    named = {"session_hash": "s", "event_id": "e"}
    answer = ask("POST", "/gradio_api/cancel", body_of(**named, fn_index=PUBLIC))
    assert (answer.status, json.loads(answer.body)) == (200, {"success": True})
    for wrong in (b"", b"[]", body_of(), body_of(session_hash="s", event_id=3)):
        assert ask("POST", "/gradio_api/cancel", wrong).status == 422
    assert cancelled == [("s", "e")] and behind.scopes == []


# ---- answers


def test_an_answer_takes_the_place_of_its_claim_once(behind, ask, waiting):
    answer = {"numbers": [1.5, 2], "text": 'a "quoted" café'}
    claim = waiting.keep(answer)
    behind.body = b"event: complete\ndata: " + json.dumps([claim]).encode() + b"\n\n"
    got = ask("GET", "/gradio_api/call/predict/known")
    assert json.loads(got.body.partition(b"data: ")[2]) == [answer]
    assert (len(waiting), waiting.nbytes) == (0, 0)
    late = ask("GET", "/gradio_api/call/predict/known").body
    assert late.startswith(b"event: error\n")
    assert "was not collected within 60 seconds" in json.loads(late.partition(b"data: ")[2])["error"]


def test_a_late_answer_is_an_error_for_clients_too(behind, ask, waiting):
    message = {"msg": "process_completed", "event_id": "e", "success": True, "output": {"data": [waiting.keep(1)]}}
    behind.body = f"data: {json.dumps(message)}\n\n".encode()
    waiting.filled(behind.body)
    got = json.loads(ask("GET", "/gradio_api/queue/data", query="session_hash=s").body[6:])
    assert (got["msg"], got["event_id"], got["success"]) == ("process_completed", "e", False)
    assert "ask again" in got["output"]["error"]


def test_a_large_answer_goes_out_in_pieces_and_small_messages_as_they_come(behind, ask, waiting):
    behind.body = b"data: heartbeat\n\n"
    behind.chunks = 3
    assert ask("GET", "/gradio_api/queue/data").pieces == [behind.body] * 3 + [b""]
    behind.body, behind.chunks = b'data: ["' + waiting.keep("x" * 300_000).encode() + b'"]\n\n', 1
    got = ask("GET", "/gradio_api/queue/data")
    assert max(map(len, got.pieces)) <= 2**16
    assert len(json.loads(got.body[6:])[0]) == 300_000


def test_answers_arrive_unpacked_so_that_claims_are_found(ask, behind):
    ask("GET", "/gradio_api/queue/data", accept_encoding="br")
    assert b"accept-encoding" not in dict(behind.scopes[-1]["headers"])


def test_an_unknown_call_is_said(ask):
    answer = ask("GET", "/gradio_api/call/predict/unknown")
    assert (answer.status, "There is no such call" in answer.sentence) == (404, True)


def test_answers_wait_for_a_minute_and_within_a_bound():
    now = [0.0]
    kept = WaitingAnswers(1000, lambda: now[0])
    first, second = kept.keep("a" * 300), kept.keep("b" * 300)
    now[0] = SECONDS - 1
    third = kept.keep("c" * 600)  # no room for the first
    assert (len(kept), kept.nbytes) == (2, 904)
    with pytest.raises(ForgottenError):
        kept.filled(f'"{first}"'.encode())
    now[0] = SECONDS
    kept.sweep()
    assert (len(kept), kept.nbytes) == (1, 602)
    with pytest.raises(ForgottenError):
        kept.filled(f'"{second}"'.encode())
    assert kept.filled(f'["{third}"]'.encode()) == b'["' + b"c" * 600 + b'"]'
    assert kept.nbytes == 0
    with pytest.raises(AttnflowError, match="keeps at most"):
        kept.keep("d" * 1000)
    with pytest.raises(AttnflowError, match="not finite"):
        kept.keep([float("nan")])


# ---- the app itself


def test_the_app_stands_behind_the_gateway(url):
    """The address that a visitor writes himself is not believed by the server under the app either."""
    with httpx2.Client(base_url=url, trust_env=False) as client:
        body = b'{"data":[[' + b"1," * 10**6 + b"1]]}"
        assert client.post("/gradio_api/call/predict", content=body).status_code == 413
        assert client.post("/gradio_api/call/predict", content=iter([body])).status_code == 413
        assert client.get("/gradio_api/upload_progress?upload_id=x").status_code == 404
        assert client.get("/", headers={"host": "evil.example"}).status_code == 403
        preflight = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        assert client.options(JOIN, headers=preflight).status_code == 403
        for place in ("/", "/config"):
            told = client.get(place).text
            assert not any(
                text in told for text in ("file=/", "site-packages", str(assets.PAGE), str(assets.PLOTLY_JS))
            )
        beside = {"data": ["demo/finetuned", "A cat.", "", []], "session_hash": "direct"}
        assert "does not accept direct" in client.post("/gradio_api/run/predict", json=beside).text
