"""Pages of the app that tests in a browser share: one that can be put back as it was opened is opened for the next."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Request
from playwright.sync_api import Error as PlaywrightError

Asked = tuple[int, int, bool, str, str]
"""Width, height, whether it is dark, query, and what is drawn first."""

# What both scripts below share: every box, and everything that is pressed, chosen or open, by a name of its own.
NAMED = """
const all = (what) => [...document.querySelectorAll(what)];
const place = (node) =>
  [node.closest('[id]')?.id, node.tagName, node.type ?? '', node.ariaLabel ?? '', node.dataset.at ?? ''].join(' ');
const boxes = new Map();
for (const box of all('input, textarea, select')) {
  let name = place(box);
  while (boxes.has(name)) name += '+';
  boxes.set(name, box);
}
const mark = (node) => `${place(node)} ${(node.querySelector('summary') ?? node).textContent.trim()}`;
const isChoice = (box) => /checkbox|radio/.test(box.type);
"""

# What can be set on the page stands in its boxes, in what is pressed, chosen or open, and in its address; what follows
# from these is what the page says. What is known of the selected head (`#known`) comes later than all else.
STATE = f"""() => {{
  {NAMED}
  const said = [
    ...['strip', 'hint', 'story', 'answer', 'differences', 'status', 'thresholds', 'switched-off']
      .map((id) => `#${{id}}`),
    ...['labels', 'legend', 'warning', 'tour-text', 'status'].map((name) => `#flow .af-${{name}}`),
  ];
  return {{
    window: [innerWidth, innerHeight, document.title, document.body.className],
    boxes: Object.fromEntries([...boxes].map(([name, box]) => [name, isChoice(box) ? box.checked : box.value])),
    on: all('[aria-pressed=true], [aria-selected=true], [aria-expanded=true], details[open]').map(mark),
    over: all('.toast-body, dialog[open], .sidebar.open').length,
    lit: all('#flow .af-lit').length,
    said: said.map((what) => document.querySelector(what)?.textContent ?? null),
    address: location.search,
  }};
}}"""

# Presses and opens what was, and moves sliders; returns what is to be written into which boxes. When there is nothing
# to write it checks what was checked: some choices follow what is written.
PUT_BACK = f"""(before) => {{
  {NAMED}
  for (const cross of all('.toast-close')) cross.click();
  for (const node of all('[aria-pressed=false]')) if (before.on.includes(mark(node))) node.click();
  for (const node of all('#flow [aria-pressed=true], .sidebar button[aria-expanded=true], details[open]')) {{
    if (before.on.includes(mark(node))) continue;
    if (node.matches('details')) node.open = false;
    else node.click();
  }}
  const told = (box) => ['input', 'change'].forEach((name) => box.dispatchEvent(new Event(name, {{ bubbles: true }})));
  const write = [], others = [...boxes].filter(([name, box]) => name in before.boxes
    && (isChoice(box) ? box.checked : box.value) !== before.boxes[name]);
  for (const [name, box] of others) {{
    if (isChoice(box)) continue;
    if (box.matches('select, [type=range]')) {{ box.value = before.boxes[name]; told(box); }}
    else write.push([all('input, textarea, select').indexOf(box), before.boxes[name], box.role === 'combobox',
      Boolean(box.closest('#text-a, #text-b, #model-a, #model-b'))]);
  }}
  if (others.every(([, box]) => isChoice(box)))
    for (const [name, box] of others) if (before.boxes[name] || box.type === 'checkbox') box.click();
  return write;
}}"""


@dataclass
class Kept:
    """A page that nobody uses, and what it was when it was opened."""

    page: Page
    as_it_was: dict[str, Any]


@dataclass
class Pages:
    """Pages of the app in one browser; to open one is most of what a test in a browser costs.

    Args:
        browser: Where they are opened, all in one context, which fetches every script once.
        url: Of the app.
        busy: Whether the server still works for a page.
    """

    browser: Browser
    url: str
    busy: Callable[[], bool]
    first_drawn: str = "#flow .af-radial[data-drawn]:not(.af-empty)"
    """What is to be drawn, and with something, before a page counts as open."""
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.used: dict[Page, tuple[Asked, dict[str, Any]]] = {}
        self.kept: dict[Asked, Kept] = {}
        self.context: BrowserContext = self.browser.new_context()
        self.context.on("request", self.look)
        self.context.on("page", self.listen)

    def look(self, request: Request) -> None:
        if not request.url.startswith((self.url, "data:", "blob:", "file:")):
            self.outside.append(request.url)

    def listen(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)

    def open(self, width: int = 1280, height: int = 1000, *, dark: bool = False, query: str = "") -> Page:
        asked = width, height, dark, query, self.first_drawn
        kept = self.kept.pop(asked, None)
        if kept is not None:
            self.used[kept.page] = asked, kept.as_it_was
            return kept.page
        page = self.context.new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.goto(f"{self.url}?{'__theme=dark&' * dark}{query}")
        page.wait_for_selector(self.first_drawn)
        page.wait_for_timeout(300)  # Gradio may tell a panel of its first value twice
        self.settle(page)
        self.used[page] = asked, page.evaluate(STATE)
        return page

    def leave(self, *, failed: bool = False) -> None:
        """Keep for the next test what this one used and left as it was, if it passed, and close all others."""
        self.drop()
        for page, (asked, as_it_was) in self.used.items():
            if not failed and self.restored(page, as_it_was):
                self.kept[asked] = Kept(page, as_it_was)
        self.used = {}
        stay = [kept.page for kept in self.kept.values()]
        for page in self.context.pages:
            if page not in stay:
                self.forget(page)
                page.close()
        self.context.clear_cookies()

    def forget(self, page: Page) -> None:
        """Leave nothing in the browser that the next page would read."""
        if page.url.startswith(self.url):
            page.evaluate("localStorage.clear()")

    def restored(self, page: Page, as_it_was: dict[str, Any]) -> bool:
        """Let go of what is held and lit, and put back what was set; whether the page is then what it was."""
        if page.is_closed():
            return False
        try:
            page.mouse.move(5, 5)
            page.locator("#flow .af-chart").focus(timeout=500)
            page.keyboard.press("Escape")
            self.settle(page)
            for _ in range(4):
                now = page.evaluate(STATE)
                if now["window"] != as_it_was["window"] or set(now["boxes"]) - set(as_it_was["boxes"]):
                    return False  # another tab was opened, say
                if now == as_it_was | {"address": now["address"]}:
                    break
                self.put_back(page, as_it_was)
            page.evaluate(
                "(address) => { scrollTo(0, 0); history.replaceState(history.state, '', address); }",
                f"{self.url}{as_it_was['address']}",
            )
            same = f"(before) => JSON.stringify(({STATE})()) === JSON.stringify(before)"
            page.wait_for_function(same, arg=as_it_was, timeout=600)
        except PlaywrightError:
            return False
        return True

    def put_back(self, page: Page, as_it_was: dict[str, Any]) -> None:
        """One step towards what a page was, as a person would take it."""
        written = page.evaluate(PUT_BACK, as_it_was)
        boxes = page.locator("input, textarea, select")
        for place, value, is_combobox, _ in written:
            boxes.nth(place).fill(value, timeout=500)
            if is_combobox:
                boxes.nth(place).press("Enter")
        if any(of_the_pair for *_, of_the_pair in written):
            page.locator("#analyse").click(timeout=500)
        self.settle(page)

    def settle(self, page: Page, most: float = 3.0) -> None:
        """Wait until the server has answered all that was asked, at most some seconds, and that is drawn."""
        end = time.monotonic() + most
        page.wait_for_timeout(50)
        while self.busy() and time.monotonic() < end:
            page.wait_for_timeout(50)
        page.wait_for_timeout(50)

    def drop(self) -> None:
        """Keep no page any longer; what is in use stays so until it is left."""
        self.kept = {}


def darken(page: Page, dark: bool) -> None:
    """Make a page dark or light, as its address does; panels are drawn anew."""
    page.evaluate("(dark) => { document.body.classList.toggle('dark', dark); }", dark)
    page.wait_for_timeout(500)
