"""A file of the visitor's own, which the room reads in the place of a data set."""

from __future__ import annotations

import gradio as gr

from attnflow import limits
from attnflow.corpus.files import ENDS, KNOWN
from attnflow.errors import SelectionError
from attnflow.service import visitors
from attnflow.service.collections import Page
from attnflow.service.uploads import uploads
from attnflow.views.payloads import FileAsked
from attnflow.web import arguments


def asked() -> FileAsked:
    """Which files are taken."""
    told = f"{KNOWN}, at most {limits.UPLOAD_BYTES // 10**6} MB; nobody else sees it, and it goes with this page."
    return {"most": limits.UPLOAD_BYTES, "ends": [*ENDS], "told": told}


def take(page: Page, event: gr.EventData) -> tuple[str, str]:
    """What the boxes of the room hold once a file was sent: its name, and what tells it from all others."""
    called = getattr(event, "called", None)
    if not isinstance(called, str):
        raise SelectionError(f"called is {arguments.came(called)}; give what the server called the file.")
    name = uploads.open(called, visitors.address(), page.name).name
    return name, f"{called} {name}"
