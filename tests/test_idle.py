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
