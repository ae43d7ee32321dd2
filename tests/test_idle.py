"""A page that is left open: what it costs the browser, the server and the other pages."""

from __future__ import annotations


def test_an_idle_page_holds_no_connection(pages):
    """A browser has six to one server over HTTP/1.1, for all tabs: whoever leaves five open could open no other."""
    page = pages.context.new_page()
    try:
        held = set()
        page.on("request", lambda request: held.add(request))
        for ended in ("requestfinished", "requestfailed"):
            page.on(ended, lambda request: held.discard(request))
        page.goto(pages.url)
        page.wait_for_selector(pages.first_drawn)
        pages.settle(page)
        page.wait_for_timeout(1000)
        assert not {request.url for request in held}
    finally:
        page.close()


COUNT_FRAMES = """() => {
  const asked = window.requestAnimationFrame.bind(window);
  window.frames_asked = 0;
  window.requestAnimationFrame = (step) => { window.frames_asked += 1; return asked(step); };
}"""


def test_an_idle_page_asks_for_no_frame(pages):
    """Gradio's loader would ask for each one, after it was taken away, for as long as the page is open."""
    page = pages.context.new_page()
    try:
        page.add_init_script(f"({COUNT_FRAMES})()")
        page.goto(pages.url)
        page.wait_for_selector(pages.first_drawn)
        pages.settle(page)
        asked = [page.evaluate("frames_asked")]
        while len(asked) < 10 and asked[-1:] != asked[-2:-1]:  # what was drawn last may still move for a moment
            page.wait_for_timeout(1000)
            asked.append(page.evaluate("frames_asked"))
        assert asked[-1] == asked[-2] > 0, f"frames asked for, second after second: {asked}"
        page.wait_for_timeout(1000)
        assert page.evaluate("performance.now.toString().includes('native')")
    finally:
        page.close()
