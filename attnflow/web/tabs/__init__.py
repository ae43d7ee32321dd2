"""One module for each tab: its layout, its wiring, and what its events do.

A tab has a `TITLE`, `build()`, which lays it out and returns its components as `Parts`, and `wire(parts, page)`, which
connects them with what the page shares (`shared.Page`). It is filled when it is opened (`Page.when_open`), so that an
analysis nobody looks at costs nothing.
"""

from __future__ import annotations

from attnflow.web.tabs import attribution, explanations, flow, heads

TABS = (flow, heads, attribution, explanations)
"""In the order of the page."""
