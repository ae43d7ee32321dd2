"""Files that visitors send: whose they are, how long they stay, and that nothing but them can be named as one."""

from __future__ import annotations

import asyncio
import gc
import json
import os
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from starlette.datastructures import Headers

from attnflow import limits
from attnflow.corpus.texts import BUNDLED
from attnflow.errors import TextsError
from attnflow.service.collections import Page
from attnflow.service.uploads import WAITS, Uploads, plain_name, uploads
from attnflow.service.visitors import RateLimit, Visitor, serving
from attnflow.web import sending
from attnflow.web.bodies import RefusedError
from attnflow.web.endpoints.opened_texts import opened_texts
from attnflow.web.sending import Receiver

MODEL = "demo/finetuned"
ROWS = [("Anna met Paul.", "Paul met Anna.", "supported"), ("Paul left.", "Anna left.", "unsupported")] * 3
CONLLU = "# text = Anna left .\n1\tAnna\t_\t_\t_\t_\t2\tnsubj\t_\t_\n2\tleft\t_\t_\t_\t_\t0\troot\t_\t_\n\n" * 3


# ---- what is kept


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def kept(now):
    return Uploads(1_000, 600, lambda: now[0])


def test_a_file_is_its_senders_and_its_pages_alone(kept):
    called = kept.keep("10.0.0.1", "mine.csv", b"text\nx\n")
    assert kept.open(called, "10.0.0.1", "page").data == b"text\nx\n"
    assert kept.open(called, "10.0.0.1", "page").name == "mine.csv"
    for name, sender, page in (
        (called, "10.0.0.2", "page"),
        (called, None, "page"),
        (called, "10.0.0.1", "other page"),
        (called[:-1], "10.0.0.1", "page"),
        ("/etc/passwd", "10.0.0.1", "page"),
        ("", "10.0.0.1", "page"),
    ):
        with pytest.raises(TextsError, match="no such file of yours"):
            kept.open(name, sender, page)
    kept.forget("other page")
    assert len(kept) == 1
    kept.forget("page")
    assert (len(kept), kept.nbytes) == (0, 0)


def test_what_no_page_opens_goes_after_a_while(kept, now):
    first, second = (kept.keep("10.0.0.1", f"{number}.csv", b"x") for number in range(2))
    kept.open(first, "10.0.0.1", "page")
    now[0] = WAITS - 1
    kept.sweep()
    assert len(kept) == 2
    now[0] = WAITS
    kept.sweep()
    assert len(kept) == 1 and kept.open(first, "10.0.0.1", "page")
    with pytest.raises(TextsError):
        kept.open(second, "10.0.0.1", "page")


def test_who_sends_most_loses_his_own(kept):
    small = kept.keep("10.0.0.9", "x.csv", b"x" * 10)
    mine = [kept.keep("10.0.0.1", f"{number}.csv", b"x" * 250) for number in range(3)]
    assert kept.nbytes == 510, "the oldest of one visitor has gone"
    with pytest.raises(TextsError):
        kept.open(mine[0], "10.0.0.1", "page")
    others = [kept.keep(f"10.0.1.{number}", "x.csv", b"x" * 200) for number in range(3)]
    assert kept.nbytes == 860
    assert kept.open(small, "10.0.0.9", "page"), "who holds most makes room, not who came first"
    for number, called in enumerate(others):
        assert kept.open(called, f"10.0.1.{number}", "page"), "another's files are not what makes room"
    assert kept.open(mine[2], "10.0.0.1", "page")
    with pytest.raises(TextsError, match="at most 600"):
        kept.keep("10.0.0.1", "large.csv", b"x" * 601)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("pairs.csv", "pairs.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\texts\\pairs.csv", "pairs.csv"),
        ("a\x00b\n.csv", "ab.csv"),
        ("x" * 200 + ".csv", "x" * 96 + ".csv"),
        ("", "file"),
        ("/", "file"),
    ],
)
def test_a_name_is_its_last_part(given, name):
    assert plain_name(given) == name


# ---- how they arrive

BOUNDARY = "multipart/form-data; boundary=cut"


def form_of(*parts, name="files"):
    head = f'--cut\r\nContent-Disposition: form-data; name="{name}"'
    files = [f'{head}; filename="{file}"\r\n\r\n'.encode() + data + b"\r\n" for file, data in parts]
    return b"".join(files) + b"--cut--\r\n"


def take(receiver, body, *, sender="10.0.0.1", kind=BOUNDARY, pieces=(), **headers):
    told = Headers({"content-type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}})
    parts = iter(pieces or [body])

    async def receive():
        part = next(parts, None)
        return {"type": "http.request", "body": part or b"", "more_body": part is not None}

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, receiver.take(sender, told, receive)).result()


def test_a_file_arrives_in_pieces(kept, monkeypatch):
    monkeypatch.setattr("tempfile.mkstemp", None)  # nothing is written to disk
    monkeypatch.setattr("tempfile.SpooledTemporaryFile.rollover", None)
    body = form_of(("dir/pairs.csv", b"text\n--cut\nx\n"))
    receiver = Receiver(kept)
    called = take(receiver, body, pieces=[body[at : at + 7] for at in range(0, len(body), 7)])
    found = kept.open(called, "10.0.0.1", "page")
    assert (found.name, found.data) == ("pairs.csv", b"text\n--cut\nx\n")


@pytest.mark.parametrize(
    ("body", "headers", "status", "told"),
    [
        (form_of(("x.csv", b"")), {}, 400, "x.csv is empty"),
        (form_of(), {}, 400, "holds no file"),
        (form_of(("a.csv", b"x"), ("b.csv", b"y")), {}, 400, "send one file"),
        (form_of(("a.csv", b"x"))[:-8], {}, 400, "no file"),
        (b'--cut\r\nContent-Disposition: form-data; name="files"\r\n\r\nx\r\n--cut--\r\n', {}, 400, "send one file"),
        (b"nothing of the kind", {}, 400, "cannot be read"),
        (b"\xff" * 100, {"kind": "multipart/form-data"}, 400, "cannot be read"),
        (b'{"data": []}', {"kind": "application/json"}, 415, "field files of a form"),
        (form_of(("a.csv", b"x" * 20_000)), {}, 413, "more than 0 MB"),
        (form_of(("a.csv", b"x")), {"content_length": "99999999999999"}, 413, "more than 0 MB"),
        (form_of(("a.csv", b"x")), {"content_length": "-1"}, 413, "more than 0 MB"),
    ],
)
def test_what_is_no_file_is_refused(kept, monkeypatch, body, headers, status, told):
    monkeypatch.setattr(limits, "UPLOAD_BYTES", 10_000)
    with pytest.raises(RefusedError, match=told) as refused:
        take(Receiver(kept), body, **headers)
    assert refused.value.status == status and len(kept) == 0


def test_files_are_counted_and_few_at_a_time(kept, monkeypatch):
    receiver = Receiver(kept, RateLimit(2, what="files to be taken"))
    body = form_of(("a.csv", b"x"))
    for _ in range(2):
        take(receiver, body)
    with pytest.raises(RefusedError, match="2 files to be taken within a minute"):
        take(receiver, body)
    take(receiver, body, sender="10.0.0.2")
    receiver._arriving.update({"10.0.0.3": 2})
    with pytest.raises(RefusedError, match="at the same time"):
        take(receiver, body, sender="10.0.0.3")
    receiver._arriving.update({"10.0.0.9": 6})
    with pytest.raises(RefusedError, match="at the same time"):
        take(receiver, body, sender="10.0.0.4")
    monkeypatch.setattr(sending, "SECONDS", 0.05)

    async def never():
        await asyncio.sleep(60)

    told = Headers({"content-type": BOUNDARY})
    with ThreadPoolExecutor(1) as pool, pytest.raises(RefusedError, match="did not arrive"):
        pool.submit(asyncio.run, Receiver(kept).take("10.0.0.5", told, never)).result()


# ---- through the app


def write(folder, ending):
    path = folder / f"pairs{ending}"
    if ending == ".parquet":
        columns = dict(zip(("text_a", "text_b", "label"), map(list, zip(*ROWS, strict=True)), strict=True))
        parquet.write_table(pa.table(columns), path)
        return path
    sign = "\t" if ending == ".tsv" else ","
    path.write_text(
        {
            ".jsonl": "\n".join(json.dumps(dict(zip(("text_a", "text_b", "label"), row, strict=True))) for row in ROWS),
            ".txt": "\n".join(row[0] for row in ROWS),
            ".conllu": CONLLU,
        }.get(ending)
        or "\n".join(sign.join(row) for row in [("text_a", "text_b", "label"), *ROWS])
    )
    return path


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet", ".txt", ".conllu"])
def test_programs_send_files(client, tmp_path, ending):
    path = write(tmp_path, ending)
    answer = client.predict(MODEL, file=handle_file(path), rows=6, api_name="/survey")
    assert answer["texts"]["source"] == path.name and answer["n"] == (3 if ending == ".conllu" else 6)
    assert answer["rows"][0]["text_a"] == ("Anna left ." if ending == ".conllu" else "Anna met Paul.")
    if ending == ".csv":
        assert answer["labelled"] == 6
        laid = client.predict(MODEL, file=handle_file(path), api_name="/projection")
        assert len(laid["points"]) == 6 and laid["texts"]["fingerprint"] == answer["texts"]["fingerprint"]
        order = client.predict("demo/pretrained", MODEL, file=handle_file(path), api_name="/compare_texts")
        assert order["n"] == 6
    assert not any(one.name == path.name for one in uploads._kept.values()), "a call leaves nothing"


@pytest.fixture
def raw(url):
    with httpx2.Client(base_url=url, trust_env=False) as found:
        yield found


def asked(client, path, **more):
    """What the endpoint says of an object as a program of one's own may send it."""
    with pytest.raises(AppError) as refused:
        client.predict(MODEL, file={"path": path, **more}, rows=2, api_name="/survey")
    return str(refused.value)


def test_nothing_but_what_a_visitor_sent_can_be_named(client, hub, raw, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("text\nnobody may read this\n")
    asked_before = len(hub.requests)
    foreign = uploads.keep("10.9.9.9", "theirs.csv", b"text\nnobody may read this\n")
    for path in ("/etc/passwd", "../../etc/passwd", "secret.csv", str(secret), f"file://{secret}"[:80], foreign, "."):
        for more in ({}, {"url": f"{hub.url}/x.csv"}, {"meta": {"_type": "other"}}, {"orig_name": "x.csv"}):
            told = asked(client, path, **more)
            assert "no such file of yours" in told or "argument file is" in told
            assert "nobody may read" not in told and "root:" not in told
    for path in (f"{hub.url}/x.csv", "http://169.254.169.254/latest", "x" * 5_000, "", 5, None, {"path": "x"}):
        assert any(words in asked(client, path) for words in ("no such file of yours", "argument file is"))
    for other in ([1], 5, {"path": foreign, "x": {"path": "/etc/passwd"}}, {}, "/etc/passwd"):
        with pytest.raises(AppError, match=r"argument file is|no such file"):
            client.predict(MODEL, file=other, rows=2, api_name="/survey")
    with pytest.raises(AppError, match="no object and no file"):
        client.predict(MODEL, {"path": str(secret)}, api_name="/survey")
    (called,) = raw.post("/gradio_api/upload", files={"files": ("x.csv", b"text\nx\n")}).json()
    with pytest.raises(AppError, match="leave texts, name, split and revision out"):
        client.predict(MODEL, "lab/x", file={"path": called}, api_name="/survey")
    assert len(hub.requests) == asked_before, "no address that a visitor names is asked"
    assert uploads.open(foreign, "10.9.9.9", "theirs").name == "theirs.csv"
    uploads.forget("theirs")


def test_what_is_sent_without_a_session_waits_and_is_no_path(raw, client, url):
    answer = raw.post("/gradio_api/upload", files={"files": ("../../x.csv", b"text\nAnna left.\nPaul left.\n")})
    (called,) = answer.json()
    assert answer.status_code == 200 and called.startswith("sent-") and not os.path.exists(called)
    for place in (f"/gradio_api/file={called}", f"/file={called}", f"/gradio_api/upload/{called}"):
        assert raw.get(place).status_code == 404
    assert raw.get("/gradio_api/upload").status_code == 404
    foreign = raw.post("/gradio_api/upload", files={"files": b"x"}, headers={"origin": "https://evil.example"})
    assert foreign.status_code == 403
    answer = client.predict(MODEL, file={"path": called}, api_name="/survey")
    assert answer["n"] == 2 and answer["texts"]["source"] == "x.csv"
    assert "no such file" in asked(client, called), "one call, and it is gone"
    large = b"x" * (limits.UPLOAD_BYTES + 10**4)
    assert raw.post("/gradio_api/upload", files={"files": ("x.csv", large)}).status_code == 413


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("x.csv", bytes(range(256)) * 50, "x.csv"),
        ("x.csv", b"PAR1" + b"\0" * 50, "Parquet file by another name"),
        ("x.csv", b"PK\3\4" + b"\0" * 50, "ZIP file or a workbook"),
        ("x.parquet", b"text\nx\n", "x.parquet"),
        ("x.pdf", b"%PDF-1.4", "no ending that tells its format"),
        ("x.csv", b"\n", "x.csv"),
        ("x.jsonl", b"{broken", "x.jsonl"),
    ],
)
def test_a_broken_file_is_told_by_its_name(client, raw, name, data, told):
    (called,) = raw.post("/gradio_api/upload", files={"files": (name, data)}).json()
    found = asked(client, called)
    assert told in found and "reference" not in found
    assert called not in uploads._kept, "a call that fails leaves nothing either"


def test_a_call_keeps_nothing_of_a_file_when_it_is_over():
    called = uploads.keep("10.0.0.1", "x.csv", b"text\nx\n")
    with (
        serving(Visitor("x", address="10.0.0.1")),
        opened_texts(BUNDLED, None, 5, "", "", "", 0, called) as (page, found),
    ):
        assert len(found.texts) == 1 and called in uploads._kept and found.owner == page.name
    assert called not in uploads._kept


def test_a_page_that_goes_takes_its_files_along():
    page = Page()
    called = uploads.keep("10.0.0.1", "x.csv", b"text\nx\n")
    assert uploads.open(called, "10.0.0.1", page.name)
    before = len(uploads)
    del page
    gc.collect()
    assert len(uploads) == before - 1
