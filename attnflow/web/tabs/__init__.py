"""One module for each tab: its layout, its wiring, and what its events do.

A tab has a `TITLE`, `build()`, which lays it out and returns its components as `Parts`, and `wire(parts, page)`, which
connects them with what the page shares (`shared.Page`). It is filled when it is opened (`Page.when_open`), so that an
analysis nobody looks at costs nothing.
"""

from __future__ import annotations

from attnflow.web.tabs import attribution, explanations, flow, heads

TABS = (flow, heads, attribution, explanations)
"""In the order of the page."""


def tab_link(title: str) -> str:
    """How the address of the page tells the open tab; empty for the first one."""
    return "" if title == TABS[0].TITLE else title.lower().replace(" ", "-")


def tab_named(link: str) -> str | None:
    """The title of the tab that an address tells; None if there is no such tab."""
    return next((module.TITLE for module in TABS if link and tab_link(module.TITLE) == link), None)
