"""What all tests share: no network, no telemetry, a Hub of our own, and small checkpoints made once."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

gc.disable()  # until all is imported and collected: none of it is garbage
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
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright  # noqa: E402
from playwright.sync_api import Error as PlaywrightError  # noqa: E402

from attnflow import Checkpoint, Trace, capture, encode, load_checkpoint  # noqa: E402
from attnflow.cache import BoundedCache  # noqa: E402
from tests.checkpoints import ARCHITECTURES, PAIR, make_checkpoint  # noqa: E402

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
    connected = Client(url, verbose=False)
    yield connected
    connected.close()


BROWSERS = "chromium-headless-shell", "chromium", "chromium-browser"  # the first does the same with less work
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), BROWSERS[0])
CHROMIUM_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # no page reaches another machine
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One headless Chromium for all tests."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield started
        started.close()


AS_IT_WAS = """() => JSON.stringify([
  location.search, innerWidth, innerHeight, document.title,
  [...document.querySelectorAll('input, textarea, select')].map((box) => [box.id, box.value, box.checked]),
  [...document.querySelectorAll('[aria-pressed=true], [aria-selected=true], [aria-expanded=true], details[open]')]
    .map((node) => [node.id, node.className, node.dataset.at, node.textContent]),
  document.querySelectorAll('.toast-body, dialog[open], .sidebar.open').length,
  ...['sentence', 'predictions', 'hint', 'story', 'switched-off']
    .map((id) => document.getElementById(id)?.textContent),
])"""


class Pages:
    """Pages of the app in one browser; one that a test leaves as it was opened is opened for the next test, too.

    To open the page is most of what a test in a browser costs. What can be set on it stands in its address or in its
    boxes, so by these it is told whether anything was.
    """

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser, self.url = browser, url
        self.used: dict[Page, tuple[tuple, str]] = {}
        self.kept: dict[tuple, tuple[Page, str]] = {}
        self.first_drawn = "#flow .af-radial[data-drawn]:not(.af-empty)"
        """What is to be drawn, and with something, before a page counts as open."""
        self.outside: list[str] = []
        self.errors: list[str] = []

    def look(self, request: Request) -> None:
        if not request.url.startswith((self.url, "data:", "blob:", "file:")):
            self.outside.append(request.url)

    def open(self, width: int = 1280, height: int = 1000, *, dark: bool = False, query: str = "") -> Page:
        asked = width, height, dark, query
        page, as_it_was = self.kept.pop(asked, (None, ""))
        if page is None:
            context = self.browser.new_context(viewport={"width": width, "height": height})
            context.on("request", self.look)
            page = context.new_page()
            page.on("pageerror", lambda error: self.errors.append(str(error)))
            page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
            page.goto(f"{self.url}?{'__theme=dark&' * dark}{query}")
            page.wait_for_selector(self.first_drawn)
            page.wait_for_timeout(300)  # Gradio may tell a panel of its first value twice
            as_it_was = page.evaluate(AS_IT_WAS)
        self.used[page] = asked, as_it_was
        return page

    def leave(self) -> None:
        """Keep one page that is as it was, and close all others."""
        for page, (asked, as_it_was) in self.used.items():
            if self.restore(page, as_it_was):
                for other, _ in self.kept.values():
                    other.context.close()
                self.kept = {asked: (page, as_it_was)}
            else:
                page.context.close()
        self.used = {}

    def restore(self, page: Page, as_it_was: str) -> bool:
        """Let go of what is held and lit; whether the page is then what it was."""
        if len(page.context.pages) > 1 or page.is_closed():
            return False
        try:
            page.mouse.move(5, 5)
            page.locator("#flow .af-chart").focus(timeout=500)
            page.keyboard.press("Escape")
            page.evaluate("scrollTo(0, 0)")
            page.wait_for_function(f"(before) => ({AS_IT_WAS})() === before", arg=as_it_was, timeout=600)
        except PlaywrightError:
            return False
        return True


@pytest.fixture(scope="session")
def pages(browser: Browser, url: str) -> Pages:
    return Pages(browser, url)


@pytest.fixture
def open_page(pages: Pages) -> Iterator[Callable[..., Page]]:
    """Opens the app; afterwards the test fails if a page logged an error or asked anything of another machine."""
    pages.outside.clear()
    pages.errors.clear()
    yield pages.open
    pages.leave()
    assert not pages.outside, f"requests left the machine: {pages.outside}"
    assert not pages.errors, pages.errors
