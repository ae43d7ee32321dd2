"""A page that gets no connection to the server says what it waits for, and goes on once it has one."""

from __future__ import annotations

from playwright.sync_api import Route, expect

OTHERS = """(tabs) => {
  const channel = new BroadcastChannel("attnflow-connections");
  channel.onmessage = ({ data: [kind] }) => {
    if (kind === "who") for (let tab = 1; tab <= tabs; tab++) channel.postMessage(["here", tab]);
  };
  return () => channel.close();
}"""
"""Other tabs of the browser that keep a connection each."""


def test_a_page_without_a_connection_says_what_it_waits_for(open_page):
    page = open_page()
    held: list[Route] = []
    page.route("**/gradio_api/queue/join**", lambda route: held.append(route))
    page.get_by_role("tab", name="Heads").click()
    notice = page.locator(".af-waiting")
    expect(notice).to_have_text("The server has not answered yet; this page goes on by itself once it does.")
    others = page.evaluate_handle(OTHERS, 5)
    expect(notice).to_have_text(
        "This page waits for a free connection: a browser opens 6 to this server, and the server works for 5 other "
        "tabs. It goes on by itself once one of them is done; to go on sooner, close one of them."
    )
    box = notice.bounding_box()
    assert box and box["x"] >= 0 and box["y"] + box["height"] <= page.evaluate("innerHeight")
    for route in held:
        route.continue_()
    page.unroute("**/gradio_api/queue/join**")
    expect(notice).to_have_count(0)
    page.wait_for_selector("#head-matrix [data-drawn]:not(.af-empty)")
    others.evaluate("(close) => close()")


def test_a_page_tells_other_tabs_of_a_connection_for_as_long_as_it_keeps_it(open_page):
    page = open_page()
    page.route("**/gradio_api/queue/data**", lambda route: route.fulfill(body=""))
    kept = page.evaluate(
        """async () => {
          const channel = new BroadcastChannel("attnflow-connections"), ends = new AbortController();
          const tabs = () => new Promise((told) => {
            const found = new Set();
            channel.onmessage = ({ data: [kind, tab] }) => { if (kind === "here") found.add(tab); };
            channel.postMessage(["who", 0]);
            setTimeout(() => told(found.size), 300);
          });
          const before = await tabs();
          await fetch("/gradio_api/queue/data?session_hash=nobody", { signal: ends.signal });
          const during = await tabs();
          ends.abort();
          const after = await tabs();
          channel.close();
          return [before, during, after];
        }"""
    )
    page.unroute("**/gradio_api/queue/data**")
    assert kept == [0, 1, 0]
