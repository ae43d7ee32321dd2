"""What all tests share: no network, no telemetry, a Hub of our own, and small checkpoints made once."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Generator, Iterator
from itertools import count
from pathlib import Path
from typing import Any

gc.disable()  # until all is imported and collected: none of it is garbage
# pytest calls this module `conftest`; a test that imports from it would start another Hub.
sys.modules["tests.conftest"] = sys.modules[__name__]
# Read when the libraries are imported, so they are set before any of them is.
SERVER_TOKEN = "hf_server_secret"
"""The token of the process, which must never be sent for a visitor."""
_HOME = tempfile.mkdtemp(prefix="attnflow-tests-")
os.environ |= {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_TEMP_DIR": os.path.join(_HOME, "gradio"),
    "HF_HOME": os.path.join(_HOME, "huggingface"),
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "ATTNFLOW_REQUESTS_PER_MINUTE": "1000000",
    "ATTNFLOW_CALLS_PER_MINUTE": "1000000",
    "HF_TOKEN": SERVER_TOKEN,
    "TOKENIZERS_PARALLELISM": "false",
    "no_proxy": "127.0.0.1,localhost",
}

from tests.hub_server import HubServer  # noqa: E402

_HUB = HubServer()
_HUB.start()
os.environ["HF_ENDPOINT"] = _HUB.url

import pytest  # noqa: E402
import transformers  # noqa: E402
from gradio_client import Client  # noqa: E402
from huggingface_hub import constants  # noqa: E402
from playwright.sync_api import Browser, Page, expect, sync_playwright  # noqa: E402

from attnflow import Checkpoint, Trace, capture, encode, load_checkpoint  # noqa: E402
from attnflow.cache import BoundedCache  # noqa: E402
from tests.checkpoints import ARCHITECTURES, PAIR, make_checkpoint  # noqa: E402
from tests.pages import Pages  # noqa: E402

expect.set_options(timeout=20_000)  # milliseconds: machines that run tests are slow at times
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try once more what fails in a browser: a loaded machine may draw later than any wait. The end tells what was."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.flaky(reruns=1))


_finished = count(1)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Keep the half million objects of imports out of every search for garbage, in which some tests spent most time."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_runtest_logfinish() -> None:
    """The same, now and then, for what tests have imported and share."""
    if next(_finished) % 200 == 0:
        gc.collect()
        gc.freeze()


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note of a test that it failed: no page is kept that it used."""
    report = yield
    item.stash[FAILED] = report.failed
    return report


def pytest_sessionfinish() -> None:
    _HUB.stop()


@pytest.fixture(scope="session")
def hub() -> Iterator[HubServer]:
    """The local Hub, which `HF_ENDPOINT` points to; at the end it must not have seen the token of the process."""
    yield _HUB
    assert not any(SERVER_TOKEN in (request.authorization or "") for request in _HUB.requests)


def forget_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load every checkpoint anew."""
    fresh = BoundedCache[Checkpoint](10**9, lambda loaded: loaded.nbytes)
    monkeypatch.setattr("attnflow.checkpoints.checkpoint._loaded", fresh)


@pytest.fixture
def empty_caches(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start with empty caches, without faults, and without the waits of huggingface_hub between its tries."""
    sleep = time.sleep

    def hurry(seconds: float) -> None:
        if not sys._getframe(1).f_globals["__name__"].startswith("huggingface_hub"):
            sleep(seconds)  # whoever waits for the app would keep the processor busy until it has answered

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("time.sleep", hurry)
    forget_models(monkeypatch)
    hub.clear_faults()
    yield
    hub.clear_faults()


@pytest.fixture
def repo(hub: HubServer, folders: dict[str, Path], request: pytest.FixtureRequest) -> str:
    """A public repository with the small BERT, named after the test."""
    name = f"lab/model-{zlib.crc32(request.node.name.encode()):x}"
    hub.add(name, folders["bert"])
    return name


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder with a small random classifier of each architecture."""
    top = tmp_path_factory.mktemp("checkpoints")
    return {name: make_checkpoint(top / name, name) for name in ARCHITECTURES}


@pytest.fixture(scope="session")
def checkpoints(folders: dict[str, Path]) -> dict[str, Checkpoint]:
    """The same, loaded."""
    return {name: load_checkpoint(folder) for name, folder in folders.items()}


@pytest.fixture(scope="session")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    """A small random model of each task but that of `checkpoints`, which classify texts."""
    top = tmp_path_factory.mktemp("tasks")
    made = {
        "masked-lm": make_checkpoint(top / "masked-lm", "bert", task="masked-lm"),
        "causal-lm": make_checkpoint(top / "causal-lm", "gpt2", task="causal-lm"),
        "token-classification": make_checkpoint(top / "token-classification", "bert", task="token-classification"),
        "question-answering": make_checkpoint(top / "question-answering", "bert", task="question-answering"),
        "regression": make_checkpoint(top / "regression", "bert", id2label={0: "score"}),
        "none": make_checkpoint(top / "none", "bert", task="none"),
    }
    return {name: load_checkpoint(folder) for name, folder in made.items()}


@pytest.fixture(scope="session")
def traces(checkpoints: dict[str, Checkpoint]) -> dict[str, Trace]:
    """What each of them does with the same pair."""
    return {name: capture(checkpoint, encode(checkpoint, *PAIR)) for name, checkpoint in checkpoints.items()}


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """The app, served as `python app.py` serves it."""
    from app import demo
    from attnflow.web import launch

    _, address, _ = demo.launch(**launch.options(), server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    yield address
    demo.close()


@pytest.fixture(scope="session")
def client(url: str) -> Iterator[Client]:
    """A program that calls the app."""
    connected = Client(url, verbose=False, ssl_verify=False)  # which would read all certificates for each call
    yield connected
    connected.close()


BROWSERS = "chromium-headless-shell", "chromium", "chromium-browser"  # the first does the same with less work
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), BROWSERS[0])
CHROMIUM_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--process-per-site",  # which compiles each script once for all pages
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # no page reaches another machine
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One headless Chromium for all tests."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield started
        started.close()


def at_work(demo: Any) -> bool:
    """Whether the server still works for a page."""
    queue = demo._queue
    return any(queue.active_jobs) or any(
        len(waiting.queue) for waiting in queue.event_queue_per_concurrency_id.values()
    )


@pytest.fixture(scope="session")
def pages(browser: Browser, url: str) -> Pages:
    from app import demo

    return Pages(browser, url, busy=lambda: at_work(demo))


@pytest.fixture
def open_page(pages: Pages, request: pytest.FixtureRequest) -> Iterator[Callable[..., Page]]:
    """Opens the app; afterwards the test fails if a page logged an error or asked anything of another machine."""
    pages.outside.clear()
    pages.errors.clear()
    yield pages.open
    pages.leave(failed=request.node.stash.get(FAILED, False))
    assert not pages.outside, f"requests left the machine: {pages.outside}"
    assert not pages.errors, pages.errors
