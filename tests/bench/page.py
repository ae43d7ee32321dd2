"""How long a person waits: the page of the bundled pair, and the radial view at the largest size that is aimed at."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from statistics import median
from typing import Any

from playwright.sync_api import Page, sync_playwright

from attnflow.stats.flow import compare_flows, flow
from attnflow.views.radial import radial
from attnflow.web import assets
from attnflow.web.examples import load_examples
from tests.conftest import CHROMIUM, CHROMIUM_FLAGS
from tests.random_traces import random_trace

LAYERS, HEADS, TOKENS, TAU = 12, 12, 64, 0.05
MOUNT = """async ([module, value, width]) => {
  const { mount } = await import(new URL(module, document.baseURI).href);
  window.source ??= document.querySelector('#flow .af-radial').parentElement;
  const host = window.source.cloneNode(true);
  const box = host.querySelector('.af-radial'), chart = host.querySelector('.af-chart');
  host.querySelectorAll('.af-overlay').forEach((layer) => layer.remove());
  chart.replaceChildren();
  chart.className = 'af-chart';
  delete chart.dataset.wired;
  delete box.dataset.drawn;
  host.style.width = `${width}px`;
  document.querySelector('.gradio-container').replaceChildren(host);
  window.host = host;
  const start = performance.now();
  mount(host, { props: { value }, trigger() {}, watch() {} });
  while (!box.dataset.drawn) await new Promise(requestAnimationFrame);
  return performance.now() - start;
}"""
HOVER = """async () => {
  const chart = host.querySelector('.af-chart'), times = [];
  const labels = [...host.querySelectorAll('.af-labels > *')], step = Math.floor(labels.length / 60);
  await new Promise(requestAnimationFrame);
  for (let i = 0; i < labels.length; i += step) { // each in a frame of its own; the next begins when it is drawn
    const [depth, token] = labels[i].dataset.at.split(' ').map(Number);
    const [x, y] = host.locate(depth, token);
    const start = performance.now();
    chart.dispatchEvent(new PointerEvent('pointermove', { clientX: x, clientY: y, bubbles: true }));
    const worked = performance.now() - start;
    await new Promise(requestAnimationFrame);
    times.push([worked, performance.now() - start]);
  }
  return times;
}"""
FLOOR = """async () => {
  document.body.innerHTML = '<svg width="900" height="860"><circle r="5" cy="50"/></svg>';
  const circle = document.querySelector('circle'), times = [];
  await new Promise(requestAnimationFrame);
  for (let i = 0; i < 60; i++) {
    const start = performance.now();
    circle.setAttribute('cx', (i * 37) % 900);
    await new Promise(requestAnimationFrame);
    times.push(performance.now() - start);
  }
  return times;
}"""
BRUSH = """async () => {
  const chart = host.querySelector('.af-chart'), labels = [...host.querySelectorAll('.af-labels > *')];
  const ring = labels.filter((label) => label.dataset.at.startsWith('12 ')).slice(0, 12), times = [];
  const send = (name, label) => {
    const [x, y] = host.locate(...label.dataset.at.split(' ').map(Number));
    const event = { clientX: x, clientY: y, bubbles: true, pointerType: 'mouse', button: 0, buttons: 1 };
    chart.dispatchEvent(new PointerEvent(name, event));
  };
  send('pointerdown', ring[0]);
  for (const label of ring.slice(1)) {
    const start = performance.now();
    send('pointermove', label);
    await new Promise(requestAnimationFrame);
    times.push(performance.now() - start);
  }
  send('pointerup', ring.at(-1));
  return times;
}"""


def measure() -> Iterator[tuple[str, str]]:
    """Yield what was measured and its figure."""
    yield from _figure_size()
    from app import demo
    from attnflow.web import launch

    _, url, _ = demo.launch(**launch.options(), server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        weight = _Weight(page)
        start = time.perf_counter()
        page.goto(url)
        page.wait_for_selector("#flow .af-radial[data-drawn]:not(.af-empty)")
        yield "open the page, first time, models not loaded", f"{time.perf_counter() - start:.2f} s"
        yield from weight.told("the page with its first pair")
        page.get_by_role("tab", name="Heads").click()
        page.wait_for_selector("#map-b .main-svg")
        yield from weight.told("the first chart, on top of it")
        page.get_by_role("tab", name="Flow").click()
        yield from _waits(page)
        yield from _growth(page)
        yield from _largest(page)
        browser.close()
    demo.close()


class _Weight:
    """What a page has loaded over the network, as compressed, since it was last told."""

    def __init__(self, page: Page) -> None:
        self._ours = self._all = 0.0
        self._from: dict[str, str] = {}
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.responseReceived", self._began)
        session.on("Network.loadingFinished", self._arrived)

    def _began(self, event: dict[str, Any]) -> None:
        self._from[event["requestId"]] = event["response"]["url"]

    def _arrived(self, event: dict[str, Any]) -> None:
        size = event["encodedDataLength"]
        self._all += size
        if "/attnflow/assets/" in self._from.get(event["requestId"], ""):
            self._ours += size

    def told(self, what: str) -> Iterator[tuple[str, str]]:
        """The weight, of which scripts and styles of ours; then it is counted from nothing."""
        yield f"weight of {what}", f"{self._all / 1000:.0f} kB, scripts and styles of ours {self._ours / 1000:.0f} kB"
        self._ours = self._all = 0.0


def _figures() -> tuple[str, str]:
    a, b = (random_trace(seed, LAYERS, HEADS, TOKENS, concentration=0.1) for seed in (0, 1))
    one, pair = radial(flow(a, TAU), ("a",)), radial(compare_flows(a, b, TAU), ("a", "b"))
    return json.dumps(one, separators=(",", ":")), json.dumps(pair, separators=(",", ":"))


def _figure_size() -> Iterator[tuple[str, str]]:
    for name, text in zip(("one model", "two models"), _figures(), strict=True):
        sizes = f"{len(text) / 1000:.0f} kB  ({len(gzip.compress(text.encode())) / 1000:.0f} kB compressed)"
        yield f"radial figure, {LAYERS} layers x {TOKENS} tokens x {HEADS} heads, tau {TAU}, {name}", sizes


def _drawn(page: Page, panel: str) -> int:
    return int(page.locator(panel).get_attribute("data-drawn") or 0)


def _waits(page: Page) -> Iterator[tuple[str, str]]:
    """From a click to all panels, with pairs that were not analysed before; then a change of tau alone."""
    panels = ["#predictions .af-predictions", "#sentence .af-sentence", "#flow .af-radial"]
    ready = "(before) => Object.entries(before).every(([p, n]) => Number(document.querySelector(p).dataset.drawn) > n)"

    def timed(action: object, watched: list[str]) -> float:
        before = {panel: _drawn(page, panel) for panel in watched}
        start = time.perf_counter()
        action()  # type: ignore[operator]
        page.wait_for_function(ready, arg=before, polling=10)
        return time.perf_counter() - start

    times = []
    for example in [example for example in load_examples() if example.text_b][1:6]:
        page.get_by_label("First sentence").fill(example.text_b)
        page.get_by_label("Second sentence (may be empty)").fill(example.text_a)
        times.append(timed(lambda: page.get_by_role("button", name="Analyse").click(), panels))
    yield "bundled pair: from the click on Analyse to the full page, median of 5", f"{median(times):.2f} s"
    box = page.locator("#tau input[type=number]")
    times = []
    for tau in ("0.3", "0.1", "0.2", "0.05", "0.15"):
        times.append(timed(lambda tau=tau: box.fill(tau), ["#flow .af-radial"]))
    yield "bundled pair: change of tau alone, median of 5", f"{median(times):.2f} s"


def _growth(page: Page) -> Iterator[tuple[str, str]]:
    """What 100 redraws leave behind: nodes, listeners and heap after a collection, at the start and at the end."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    box, taus = page.locator("#tau input[type=number]"), cycle(("0.1", "0.2"))

    def redraw(times: int) -> dict[str, float]:
        for _ in range(times):
            before = _drawn(page, "#flow .af-radial")
            box.fill(next(taus))
            page.wait_for_function(
                "(n) => Number(document.querySelector('#flow .af-radial').dataset.drawn) > n", arg=before, polling=10
            )
        session.send("HeapProfiler.collectGarbage")
        return {entry["name"]: entry["value"] for entry in session.send("Performance.getMetrics")["metrics"]}

    redraw(1)
    start, end = redraw(4), redraw(100)
    for name, unit in (("Nodes", 1), ("JSEventListeners", 1), ("JSHeapUsedSize", 1e6)):
        yield f"100 redraws: {name}", f"{start[name] / unit:.0f} -> {end[name] / unit:.0f}{' MB' if unit > 1 else ''}"


def _largest(page: Page) -> Iterator[tuple[str, str]]:
    width = page.locator("#flow .af-radial").evaluate("(panel) => panel.clientWidth")
    yield "width of the radial view at 1280 pixels", f"{width} px"
    for name, text in zip(("one model", "two models"), _figures(), strict=True):
        first = page.evaluate(MOUNT, [assets.url("radial/radial.js"), text, width])
        yield f"radial view of that size, {name}: first draw", f"{first:.0f} ms"
        times = page.evaluate(HOVER)
        for what, column in zip(("our own work", "until the next frame"), zip(*times, strict=True), strict=True):
            yield f"radial view of that size, {name}: hover, {what}, {len(times)} hovers", _spread(column)
        yield f"radial view of that size, {name}: a step of a brush", _spread(page.evaluate(BRUSH))
    page.goto("about:blank")
    yield "a frame of an empty page in which one circle moves", _spread(page.evaluate(FLOOR))


def _spread(times: Sequence[float]) -> str:
    return f"median {median(times):.0f} ms, nine of ten within {sorted(times)[int(0.9 * len(times))]:.0f} ms"
