"""The app under load: clients that mix endpoints, models and bad input; each answer is compared with the one alone."""

from __future__ import annotations

import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx2

from tests.checkpoints import make_checkpoint
from tests.hub_server import HubServer

TOP = Path(__file__).parent.parent.parent
PAIRS = (
    ("Anna lent Paul a book.", "Paul borrowed a book from Anna."),
    ("The train to the coast is late.", ""),
    ("Nobody knows whether the café near the harbour sells cakes 😀.", "It does, isn't it so?"),
)
NAMES = ("bert", "gpt2", "albert", "roberta", "deberta-v2", "mpnet")
FULL = re.compile("queue is full|disk of this machine is taken by checkpoints that are being loaded", re.IGNORECASE)
"""The refusals that a client may meet under load and not alone."""


MOST_MEGABYTES = 1500
"""Memory that the app may take at the worst moment of the soak."""


@dataclass(frozen=True, eq=False)
class Job:
    """One request."""

    endpoint: str
    data: tuple[Any, ...]
    """Arguments, all of them, as JSON text cannot leave any out."""
    token: str | None = None

    def send(self, client: httpx2.Client, *, leave: bool = False, collect: bool = True) -> tuple[str, Any]:
        """What came back, as `complete` or `error` and the answer or the sentence; `left` if the client goes away.

        Args:
            client: Where to send it.
            leave: Go away as soon as the answer begins.
            collect: Come for the answer at all.
        """
        body = {"data": list(self.data), **({"oauth_token": self.token} if self.token else {})}
        sent = client.post(f"/gradio_api/call/{self.endpoint}", json=body)
        if sent.status_code != 200:
            return "error", sent.json().get("detail", sent.text)
        if not collect:
            return "left", None
        event, data = "", ""
        with client.stream("GET", f"/gradio_api/call/{self.endpoint}/{sent.json()['event_id']}") as lines:
            if leave:
                return "left", None
            for line in lines.iter_lines():
                if line.startswith("event: "):
                    event = line.removeprefix("event: ")
                elif line.startswith("data: ") and event in ("complete", "error"):
                    data = line.removeprefix("data: ")
                    break
        answer = json.loads(data)
        if event == "error":
            return event, answer.get("error") if isinstance(answer, dict) else answer
        return event, answer[0]


@dataclass
class Report:
    """What many clients met."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    """Megabytes of the server, every two seconds."""
    waits: list[float] = field(default_factory=list)
    """Seconds that a bystander waited for each of his small requests."""


def make_jobs(hub: HubServer, folder: Path, names: Sequence[str] = NAMES, pairs: int = len(PAIRS)) -> list[Job]:
    """Good and bad requests over bundled, public and private models."""
    refs: list[tuple[str, str | None]] = [("demo/finetuned", None), ("demo/pretrained", None)]
    for name in names:
        hub.add(f"load/{name}", make_checkpoint(folder / name, name))
        refs.append((f"load/{name}", None))
    for owner in ("one", "two"):
        made = make_checkpoint(folder / owner, "bert", seed=len(owner) + ord(owner[0]))
        hub.add(f"load/of-{owner}", made, private_to=f"hf_{owner}")
        refs.append((f"load/of-{owner}", f"hf_{owner}"))
    jobs = []
    for ref, token in refs:
        for number, (a, b) in enumerate(PAIRS[:pairs]):
            pruned = [[0, 1]] if number == 1 else []
            jobs += [
                Job("predict", (ref, a, b, pruned), token),
                Job("attention_flow", (ref, a, b, 0.1, 0.5, pruned, None, None), token),
                Job("attention_map", (ref, a, b, 1, 2, pruned), token),
                Job("compare_attention_flow", (ref, "demo/finetuned", a, b, 0.1, 0.5, None, None), token),
            ]
    a, b = PAIRS[0]
    bad = [
        Job("predict", ("load/of-one", a, b, []), "hf_two"),
        Job("predict", ("load/of-two", a, b, [])),
        Job("predict", ("load/nothing", a, b, [])),
        Job("predict", ("../etc/passwd", a, b, [])),
        Job("predict", ("demo/finetuned", "", b, [])),
        Job("predict", ("demo/finetuned", "a " * 500, b, [])),
        Job("predict", ("demo/finetuned", a, b, [[99, 0]])),
        Job("attention_flow", ("demo/finetuned", a, b, "x", 0.5, [], None, None)),
        Job("attention_flow", ("demo/finetuned", a, b, 0.1, 0.5, [], 999, None)),
        Job("attention_map", ("demo/finetuned", a, b, 50, 0, [])),
    ]
    return jobs + bad * 2


def large_jobs() -> list[Job]:
    """Requests whose answers have several megabytes, so that keeping them would show."""
    text = " ".join(["the cat saw a dog and"] * 20)
    return [Job("attention_flow", ("demo/finetuned", text, "", tau, 0.5, [], None, None)) for tau in (0.0, 0.001)]


def refused_bodies() -> list[bytes]:
    """What is refused before a model runs."""
    return [
        b'{"data":[[' + b"1," * 10**6 + b"1]]}",
        b'{"data":["demo/finetuned","a","",[' + b"[0,0]," * 2000 + b'"x"]]}',
        b'{"data":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"data":',
    ]


def hammer(
    url: str, jobs: list[Job], *, seconds: float, clients: int, pid: int | None = None, soak: bool = False
) -> Report:
    """Let many clients send jobs at random, now and then one that goes away without its answer.

    Args:
        url: Address of the app.
        jobs: What is sent. Each is first sent alone, and what came back then must come back under load.
        seconds: How long.
        clients: How many at once.
        pid: Process of the app, whose memory is read.
        soak: Half of the requests are large answers that nobody collects, or refused; one more client, who only looks
            up something small, tells how long he waits.
    """
    url = url.rstrip("/")
    with httpx2.Client(base_url=url, timeout=120, trust_env=False) as alone:
        expected = {job: job.send(alone) for job in dict.fromkeys(jobs)}
    report, lock, end = Report(), threading.Lock(), time.monotonic() + seconds

    def work(number: int) -> None:
        choose = random.Random(number)
        with httpx2.Client(base_url=url, timeout=120, trust_env=False) as client:
            while time.monotonic() < end:
                if soak and choose.random() < 0.5:
                    with suppress(httpx2.TransportError):  # a body that is refused half-way
                        _burden(client, choose)
                    with lock:
                        report.outcomes["not collected or refused"] += 1
                    continue
                job, leave = choose.choice(jobs), choose.random() < 0.05
                start = time.perf_counter()
                try:
                    outcome, answer = job.send(client, leave=leave)
                except Exception as error:  # whatever the app does to a client is to be reported
                    outcome, answer = "broken", repr(error)
                taken = time.perf_counter() - start
                full = outcome == "error" and FULL.search(str(answer))
                with lock:
                    report.outcomes["full" if full else outcome] += 1
                    if outcome in ("complete", "error") and not full:
                        report.latencies.append(taken)
                    if outcome != "left" and not full and (outcome, answer) != expected[job]:
                        report.wrong.append(f"{job}: {outcome} {str(answer)[:200]}, not {str(expected[job])[:200]}")

    def stand_by() -> None:
        with httpx2.Client(base_url=url, timeout=120, trust_env=False) as client:
            while time.monotonic() < end:
                start = time.perf_counter()
                client.get("/gradio_api/info")
                report.waits.append(time.perf_counter() - start)
                time.sleep(0.2)

    start = time.monotonic()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    threads += [threading.Thread(target=stand_by)] * soak
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if pid is not None:
            report.memory.append(memory_of(pid, "VmRSS"))
        threads[0].join(2)
        time.sleep(0.05)
    report.seconds = time.monotonic() - start
    with httpx2.Client(base_url=url, timeout=120, trust_env=False) as alone:  # healthy after all of that
        report.wrong += [f"afterwards {job}" for job, answer in expected.items() if job.send(alone) != answer]
    return report


def _burden(client: httpx2.Client, choose: random.Random) -> None:
    """A large answer that stays where it is, or a body that makes no sense."""
    if choose.random() < 0.5:
        choose.choice(large_jobs()).send(client, collect=False)
    else:
        client.post("/gradio_api/call/predict", content=choose.choice(refused_bodies()))


def memory_of(pid: int, entry: str) -> float:
    """Megabytes of a process: `VmRSS` now, `VmHWM` at most."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(rf"{entry}:\s+(\d+) kB", status).group(1)) / 1000  # type: ignore[union-attr]


def measure(seconds: float = 120.0, clients: int = 32) -> Iterator[tuple[str, str]]:
    """Yield what was measured and its figure, first with caches that hold half of what is asked for."""
    small = {"ATTNFLOW_MODEL_CACHE_MB": "6", "ATTNFLOW_TRACE_CACHE_MB": "5", "ATTNFLOW_DISK_MB": "1"}
    for name, settings in (("small caches", small), ("default caches", {})):
        for what, figure in _measure(settings, seconds / 2, clients):
            yield f"{name}: {what}", figure
    for what, figure in _measure({}, seconds / 2, clients, soak=True):
        yield f"soak: {what}", figure


def _measure(
    settings: dict[str, str], seconds: float, clients: int, *, soak: bool = False
) -> Iterator[tuple[str, str]]:
    """One run; the app is a process of its own."""
    with tempfile.TemporaryDirectory() as top, HubServer() as hub:
        jobs = make_jobs(hub, Path(top) / "made") + large_jobs() * 20 * soak
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = {
            **os.environ,
            "PORT": str(port),
            "HF_ENDPOINT": hub.url,
            "HF_HOME": f"{top}/huggingface",
            "HF_TOKEN": "hf_server_secret",
            "ATTNFLOW_REQUESTS_PER_MINUTE": "1000000",
            "ATTNFLOW_CALLS_OF_ONE": "1000",
            "ATTNFLOW_CALLS_PER_MINUTE": "1000000",
            **settings,
        }
        app = subprocess.Popen(
            [sys.executable, "app.py"], cwd=TOP, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _await(url)
            report = hammer(url, jobs, seconds=seconds, clients=clients, pid=app.pid, soak=soak)
            peak = memory_of(app.pid, "VmHWM")
        finally:
            app.terminate()
            app.wait(30)
        secret = any("hf_server_secret" in (request.authorization or "") for request in hub.requests)
    yield f"{clients} clients for {report.seconds:.0f} s: requests", f"{sum(report.outcomes.values())}"
    yield "answered", f"{len(report.latencies) / report.seconds:.1f} a second"
    cuts = quantiles(report.latencies, n=20)
    yield "answer, median / 95 of 100", f"{cuts[9]:.2f} s / {cuts[18]:.2f} s"
    yield "outcomes", ", ".join(f"{count} {what}" for what, count in report.outcomes.most_common())
    yield "answers unlike those to a single user", f"{len(report.wrong)} {report.wrong[:3] if report.wrong else ''}"
    thirds = len(report.memory) // 3
    early, late = max(report.memory[: thirds + 1]), max(report.memory[-thirds - 1 :])
    yield "memory of the app: first third / last third / peak", f"{early:.0f} / {late:.0f} / {peak:.0f} MB"
    yield "requests to the Hub with the token of the process", str(int(secret))
    if soak:
        yield "longest wait of a bystander", f"{max(report.waits):.2f} s of {len(report.waits)}"
        assert peak < MOST_MEGABYTES, f"the app took {peak:.0f} MB, more than {MOST_MEGABYTES} MB"


def _await(url: str) -> None:
    for _ in range(300):
        try:
            if httpx2.get(url, trust_env=False).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.2)
    raise TimeoutError(f"{url} does not answer")
