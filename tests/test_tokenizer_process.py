"""Tokenizers of strangers run apart: what they do to their process is one sentence, and nobody else's affair."""

from __future__ import annotations

import copy
import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import AutoTokenizer

import attnflow.checkpoints.checkpoint
from attnflow import CheckpointError, TextError, encode, limits, load_checkpoint
from attnflow.checkpoints import tokenizer_messages, tokenizer_process
from attnflow.checkpoints.tokenizer_process import ChildReader
from attnflow.checkpoints.tokenizer_reader import LocalReader, read_here
from tests import hostile_tokenizers
from tests.checkpoints import PAIR, make_tokenizer
from tests.conftest import SERVER_TOKEN
from tests.fresh_process import printed
from tests.hostile_tokenizers import HARMLESS

TOP = Path(__file__).parent.parent
KINDS = ("wordpiece", "roberta", "causal", "unigram", "fallback", "xlnet")
TEXTS = (
    PAIR,
    (PAIR[0], None),
    ("isn't  well-known\t\n", "ＦＵＬＬ ﬁn e\u0301 👩🏽 中文 שלום \x00 ▁"),
    ("a b " * 400, "c"),
    ("\u200b", "x"),
)
linux = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="asks /proc")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes fork")


@pytest.fixture
def hostile(hub, folders, tmp_path, empty_caches):
    """Publishes a hostile tokenizer on the Hub and returns the name of its repository."""

    def publish(kind: str, **options) -> str:
        folder = getattr(hostile_tokenizers, kind)(folders["bert"], tmp_path / kind, **options)
        hub.add(f"lab/{kind}-{tmp_path.name}", folder)
        return f"lab/{kind}-{tmp_path.name}"

    return publish


def processes() -> dict[int, int]:
    """Parent of each process on this machine that came of this test's nursery, the nursery itself included."""
    nursery = tokenizer_process._nursery
    if nursery is None:
        return {}
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        if state != "Z":
            parents[int(path.parent.name)] = int(parent)
    found = {nursery._process.pid} & set(parents)
    while more := {number for number, parent in parents.items() if parent in found} - found:
        found |= more
    return {number: parents[number] for number in found}


def eventually(true) -> bool:
    """Whether something comes true within some seconds; only what must happen by itself is waited for."""
    end = time.monotonic() + 15
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    return true()


# ---- the same answers as in the server's own process


@pytest.mark.parametrize("kind", KINDS)
def test_it_answers_as_it_would_in_this_process(kind, tmp_path):
    make_tokenizer(kind).save_pretrained(tmp_path)
    here, apart = read_here(tmp_path, kind), ChildReader(tmp_path, kind)
    assert apart.facts == here.facts
    for text_a, text_b in TEXTS:
        for most in (128, 5_000, None):
            assert apart.pair(text_a, text_b, most) == here.pair(text_a, text_b, most)
        assert apart.ids(text_a) == here.ids(text_a)
    numbers = [*range(here.facts.size), here.facts.size + 5]
    assert apart.pieces(numbers) == here.pieces(numbers)
    assert apart.pieces([]) == []
    for piece in ("the", "▁the", "##s", "no such piece", ""):
        assert apart.id_of(piece) == here.id_of(piece)


def test_a_checkpoint_of_the_hub_is_read_apart_and_a_folder_here(hub, repo, folders, empty_caches):
    local, remote = load_checkpoint(folders["bert"]), load_checkpoint(repo)
    assert isinstance(local.tokenizer, LocalReader)
    assert isinstance(load_checkpoint("demo/finetuned").tokenizer, LocalReader)
    assert isinstance(remote.tokenizer, ChildReader)
    assert encode(remote, *PAIR).tokens.text == encode(local, *PAIR).tokens.text
    assert (remote.root, remote.max_tokens) == (local.root, local.max_tokens)


def test_a_text_is_cut_as_it_would_be_in_this_process(hub, repo, folders, empty_caches):
    local, remote = load_checkpoint(folders["bert"]), load_checkpoint(repo)
    for bound in (6, 12, 40):
        there, here = (encode(loaded, *PAIR, truncate=True, max_tokens=bound) for loaded in (remote, local))
        assert (there.tokens.text, there.cut) == (here.tokens.text, here.cut)
        assert there.inputs["input_ids"].tolist() == here.inputs["input_ids"].tolist()


def test_it_cuts_on_the_side_that_its_files_tell(tmp_path):
    make_tokenizer("wordpiece").save_pretrained(tmp_path)
    assert ChildReader(tmp_path, "x").facts.truncation_side == "right"
    settings = tmp_path / "tokenizer_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"truncation_side": "left"}))
    assert ChildReader(tmp_path, "x").facts.truncation_side == "left"


def test_a_text_whose_pieces_do_not_fit_into_a_message_is_counted(hub, repo, empty_caches):
    remote = load_checkpoint(repo)
    unbound = replace(remote, max_tokens=None)
    most = tokenizer_messages.MOST_PIECES
    assert len(encode(unbound, "a " * (most - 2)).tokens) == most
    for settings in ({}, {"truncate": True, "max_tokens": 100}):
        with pytest.raises(TextError, match=rf"{most + 1} tokens long .* tells at most {most} at once\. Shorten it"):
            encode(unbound, "a " * (most - 1), **settings)


def test_pickled_it_is_read_anew(tmp_path):
    make_tokenizer("wordpiece").save_pretrained(tmp_path)
    reader = ChildReader(tmp_path, "x")
    again = pickle.loads(pickle.dumps(reader))
    assert again.pair(*PAIR, 128) == reader.pair(*PAIR, 128)


# ---- harm


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        (
            "doubles",
            "q",
            r"of lab/doubles-\S+ breaks down on this text, or needs more than the 100 MB of memory .* shorten",
        ),
        (
            "backtracks",
            "q" * 2_500,
            r"of lab/backtracks-\S+ takes more than 1 seconds on this text .*; shorten the text",
        ),
        ("panics", "q" * 40 + "!", r"of lab/panics-\S+ fails on this text \(PanicException: Onig"),
    ],
)
def test_what_harms_its_process_is_one_sentence_and_the_next_text_is_read(kind, text, reason, hostile, monkeypatch):
    monkeypatch.setattr(limits, "TOKENIZER_BYTES", 100 * 10**6)
    monkeypatch.setattr(limits, "TOKENIZER_SECONDS", 1 if kind == "backtracks" else 60)
    checkpoint = load_checkpoint(hostile(kind))
    before = encode(checkpoint, HARMLESS).tokens.piece
    for _ in range(2):
        with pytest.raises(CheckpointError, match=reason) as told:
            encode(checkpoint, text)
        assert "\n" not in str(told.value)
        assert encode(checkpoint, HARMLESS).tokens.piece == before


def test_a_text_that_becomes_a_million_pieces_is_counted_and_not_sent(hostile, monkeypatch):
    monkeypatch.setattr(limits, "TOKENIZER_SECONDS", 60)
    checkpoint = load_checkpoint(hostile("expands"))
    seen = []
    receive = tokenizer_messages.receive
    monkeypatch.setattr(tokenizer_messages, "receive", lambda *given: seen.append(receive(*given)) or seen[-1])
    with pytest.raises(TextError, match=r"This text is 50002 tokens long .* the limit is 160"):
        encode(checkpoint, "qqqqq")
    assert len(str(seen)) < 300
    monkeypatch.setattr(limits, "TOKENIZER_BYTES", 50 * 10**6)
    with pytest.raises(CheckpointError, match="needs more than the 50 MB"):
        pickle.loads(pickle.dumps(checkpoint.tokenizer)).ids("q" * 100)  # read anew, with the limit of now


@pytest.mark.parametrize(("kind", "options"), [("is_large", {}), ("doubles", {"letter": "a"})])
def test_what_eats_memory_while_it_is_read_is_one_sentence(kind, options, hostile, monkeypatch):
    monkeypatch.setattr(limits, "TOKENIZER_BYTES", 40 * 10**6)
    with pytest.raises(CheckpointError, match=r"breaks down when it is read, or needs more than the 40 MB"):
        load_checkpoint(hostile(kind, **options))


def test_what_takes_too_long_to_read_is_one_sentence(hostile, monkeypatch):
    monkeypatch.setattr(limits, "TOKENIZER_READING_SECONDS", 0.02)
    with pytest.raises(
        CheckpointError, match=r"takes more than 0.02 seconds when it is read and was ended; choose another"
    ):
        load_checkpoint(hostile("is_large", entries=100_000))


def test_a_bystander_is_served_while_a_text_hangs(hostile, repo, monkeypatch):
    """Another checkpoint at once; the same one after the text that hangs, by a process of its own."""
    monkeypatch.setattr(limits, "TOKENIZER_SECONDS", 4)
    harmed, other = load_checkpoint(hostile("backtracks")), load_checkpoint(repo)
    order, told, began = [], [], threading.Event()
    answerer = ChildReader._answerer

    def noted(self):
        made = answerer(self)
        began.set()
        return made

    monkeypatch.setattr(ChildReader, "_answerer", noted)

    def ask(name, checkpoint, text):
        try:
            encode(checkpoint, text)
            order.append(name)
        except CheckpointError as error:
            told.append(str(error))
            order.append(f"{name} failed")

    hangs = threading.Thread(target=ask, args=("hanging", harmed, "q" * 2_500))
    hangs.start()
    assert began.wait(20)
    waits = threading.Thread(target=ask, args=("waiting", harmed, HARMLESS))
    waits.start()
    for _ in range(3):
        ask("bystander", other, HARMLESS)
    hangs.join()
    waits.join()
    assert order == ["bystander"] * 3 + ["hanging failed", "waiting"]
    assert len(told) == 1


@linux
def test_processes_that_were_ended_from_outside_start_anew(repo, empty_caches):
    checkpoint = load_checkpoint(repo)
    expected = encode(checkpoint, HARMLESS).tokens.piece
    nursery = tokenizer_process._nursery._process.pid
    for generation in range(3):
        parents = processes()
        keeper = checkpoint.tokenizer.keeper_number
        answerer = next((number for number, parent in parents.items() if parent == keeper), 0)
        victim = (answerer, keeper, nursery)[generation]
        os.kill(victim, signal.SIGKILL)
        assert eventually(lambda victim=victim: victim not in processes())
        assert encode(checkpoint, HARMLESS).tokens.piece == expected
    shutil.rmtree(checkpoint.tokenizer._folder)
    tokenizer_process.close()
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        encode(checkpoint, HARMLESS)


# ---- answers that no tokenizer gives


@pytest.mark.parametrize(
    "spoil",
    [
        lambda answer: answer.update(count=7),
        lambda answer: answer.update(count="7"),
        lambda answer: answer.update(pieces=None),
        lambda answer: answer["pieces"].append("x"),
        lambda answer: answer["pieces"].__setitem__(1, None),
        lambda answer: answer["pieces"].__setitem__(1, "x" * 1_001),
        lambda answer: answer["offsets"].__setitem__(1, [0, 10_000]),
        lambda answer: answer["offsets"].__setitem__(1, [3, 1]),
        lambda answer: answer["offsets"].__setitem__(1, [0, 1, 2]),
        lambda answer: answer["sentence"].__setitem__(1, 2),
        lambda answer: answer["sentence"].__setitem__(1, True),
        lambda answer: answer["inputs"].update(other=answer["inputs"]["input_ids"]),
        lambda answer: answer["inputs"].pop("attention_mask"),
        lambda answer: answer["inputs"]["input_ids"].__setitem__(1, -1),
        lambda answer: answer["inputs"]["input_ids"].__setitem__(1, 2**40),
        lambda answer: answer["inputs"]["input_ids"].__setitem__(1, 1.0),
        lambda answer: answer.update(separator=["x"]),
        lambda answer: answer.clear(),
    ],
)
def test_an_answer_that_does_not_fit_is_refused(spoil, tmp_path, monkeypatch):
    make_tokenizer("wordpiece").save_pretrained(tmp_path)
    reader = ChildReader(tmp_path, "lab/odd")
    receive = tokenizer_messages.receive

    def spoiled(*given):
        answer = receive(*given)
        spoil(answer["result"])
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(tokenizer_messages, "receive", spoiled)
        with pytest.raises(CheckpointError, match="lab/odd answers what no tokenizer can"):
            reader.pair(*PAIR, 128)
    assert reader.pair(*PAIR, 128).count > 10


@pytest.mark.parametrize(
    "sent", [b"\0\0\0\2{]", b"\xff\xff\xff\xff", b"\0\1\x86\xa0" + b"[" * 100_000, b"\0\0\0\2\xff\xff"]
)
def test_bytes_that_are_no_message_are_refused(sent):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(sent)
        with pytest.raises(ValueError, match=r"."):
            tokenizer_messages.receive(ours, 5)


def test_a_message_that_never_ends_is_not_waited_for():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"\0\0\0\5[")
        with pytest.raises(TimeoutError):
            tokenizer_messages.receive(ours, 0.1)


# ---- what its processes may do, and their end


BREED = """
import os, socket, time
from attnflow.checkpoints import tokenizer_child
from attnflow.checkpoints.tokenizer_messages import FORK, encode_number
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # an order each, though all are sent before
def breed(children, life):
    for _ in range(children):
        socket.send_fds(ours, [encode_number(FORK)], [socket.socketpair()[0].detach()])
    ours.shutdown(socket.SHUT_WR)
    tokenizer_child._breed(theirs, life, 0.1)
    return [int.from_bytes(ours.recv(8), "big", signed=True) for _ in range(children)]
def ended(number):
    os.waitid(os.P_PID, number, os.WEXITED | os.WNOWAIT)
"""
"""A process that forks, and what waits for a child to have ended, of which a signal tells at once."""


@linux
def test_a_signal_that_comes_while_another_is_answered_does_not_end_the_nursery():
    code = (
        BREED
        + """
wait = os.waitpid
def waitpid(number, how):
    os.waitpid = wait
    ended(number)
    return wait(number, how)
os.waitpid = waitpid
print(len(breed(2, lambda connection: None)))
"""
    )
    assert printed(code) == "2\n"


@linux
def test_all_children_that_hang_are_ended():
    code = (
        BREED
        + """
kill, killed = os.kill, []
def slowly(number, how):
    kill(number, how)
    killed.append(number)
    ended(number)
os.kill = slowly
print(sorted(breed(3, lambda connection: time.sleep(60))) == sorted(killed))
"""
    )
    assert printed(code) == "True\n"


@linux
def test_its_processes_know_no_secret_and_keep_to_their_limits(repo, empty_caches):
    assert SERVER_TOKEN in os.environ["HF_TOKEN"]
    checkpoint = load_checkpoint(repo)
    encode(checkpoint, HARMLESS)
    found = processes()
    assert len(found) >= 3
    for number, parent in found.items():
        environment = Path(f"/proc/{number}/environ").read_bytes()
        assert SERVER_TOKEN.encode() not in environment
        assert b"TOKENIZERS_PARALLELISM=false" in environment
        assert os.readlink(f"/proc/{number}/fd/1") == "/dev/null"
        mapped = Path(f"/proc/{number}/maps").read_text()
        assert "torch" not in mapped
        assert len(list(Path(f"/proc/{number}/task").iterdir())) == 1, "a process that forks has one thread"
        if parent == os.getpid():
            continue  # the nursery runs nothing strange
        allowed = {
            line[:26].strip(): line[26:].split()[0] for line in Path(f"/proc/{number}/limits").read_text().splitlines()
        }
        assert int(allowed["Max address space"]) < limits.TOKENIZER_BYTES + 10**9
        assert allowed["Max core file size"] == "0"
        assert allowed["Max file size"] == "0"
        assert int(allowed["Max open files"]) <= 64


@linux
def test_a_tokenizer_counts_in_the_memory_of_models(hostile, repo):
    small, large = load_checkpoint(repo), load_checkpoint(hostile("is_large", entries=100_000))
    assert large.nbytes - 4 * large.n_parameters == large.tokenizer.nbytes > 20 * 10**6
    assert small.nbytes < large.nbytes
    assert load_checkpoint("demo/finetuned").tokenizer.nbytes > 0


@linux
@pytest.mark.parametrize("end", ["evicted", "forgotten", "closed"])
def test_its_processes_end_with_the_checkpoint(end, hub, folders, repo, empty_caches, monkeypatch):
    checkpoint = load_checkpoint(repo)
    encode(checkpoint, HARMLESS)
    keeper = checkpoint.tokenizer.keeper_number
    mine = {number for number, parent in processes().items() if keeper in (number, parent)}
    assert len(mine) == 2
    if end == "closed":
        tokenizer_process.close()
        assert not [number for number in mine if Path(f"/proc/{number}").exists()]
        return
    size = checkpoint.nbytes
    del checkpoint
    assert mine <= set(processes()), "the cache keeps it"
    if end == "evicted":
        monkeypatch.setattr("attnflow.checkpoints.checkpoint._loaded.max_bytes", int(1.5 * size))
        hub.add(f"{repo}-next", folders["bert"])
        load_checkpoint(f"{repo}-next")
    else:
        attnflow.checkpoints.checkpoint._loaded._values.clear()
    assert eventually(lambda: not mine & set(processes()))
    assert eventually(lambda: not [number for number in mine if Path(f"/proc/{number}").exists()]), (
        "not even its number"
    )


SERVER = """
import os, sys, threading
sys.modules["torch"] = None  # starts sooner
from pathlib import Path
from attnflow.checkpoints import tokenizer_process as process
from attnflow.checkpoints.tokenizer_process import ChildReader
reader = ChildReader(Path(sys.argv[1]), "x")
reader.pair("Anna", None, 9)
threading.Thread(target=reader.pair, args=("q" * 2500, None, 9), daemon=True).start()
print(process._nursery._process.pid, reader.keeper_number, flush=True)
if sys.argv[2] == "killed":
    os.kill(os.getpid(), 9)
"""


@linux
@pytest.mark.parametrize("how", ["script", "stdin", "command", "killed"])
def test_the_end_of_the_server_ends_all_however_it_was_started(how, folders, tmp_path):
    """Also while a text hangs; and no process runs the server's own script again."""
    folder = hostile_tokenizers.backtracks(folders["bert"], tmp_path / "backtracks")
    (tmp_path / "main.py").write_text(SERVER)
    given = {"stdin": "-", "command": "-c"}.get(how, str(tmp_path / "main.py"))
    arguments = [sys.executable, given, *([SERVER] if how == "command" else []), str(folder), how]
    text = SERVER if how == "stdin" else None
    environment = os.environ | {"PYTHONPATH": str(TOP)}
    done = subprocess.run(arguments, input=text, capture_output=True, text=True, env=environment, timeout=60, cwd=TOP)
    nursery, keeper = map(int, done.stdout.split())
    assert done.returncode == (-9 if how == "killed" else 0), done.stderr

    def left() -> list[int]:
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command, group = path.read_bytes(), os.getsid(int(path.parent.name))
            except OSError:
                continue
            if group == nursery and b"tokenizer_child" in command:
                found.append(int(path.parent.name))
        return found

    assert eventually(lambda: not left())
    assert keeper != nursery


@pytest.mark.parametrize("copied", [copy.copy, lambda checkpoint: replace(checkpoint, max_tokens=5)])
def test_a_copied_checkpoint_shares_its_tokenizer(copied, repo, empty_caches):
    checkpoint = copied(load_checkpoint(repo))
    assert (
        checkpoint.tokenizer.ids("Anna")
        == AutoTokenizer.from_pretrained(checkpoint.tokenizer._folder)("Anna", add_special_tokens=False).input_ids
    )
