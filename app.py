"""Entry point of the Space: `python app.py` serves the page and the API."""

from __future__ import annotations

import importlib.util
import os

import transformers

from attnflow import limits
from attnflow.checkpoints import tokenizer_process
from attnflow.web.answering import HANDLERS
from attnflow.web.page import THEME, build

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

demo = build().queue(max_size=limits.QUEUE)

LAUNCH = {
    "theme": THEME,
    "footer_links": ["api", "settings"],
    "mcp_server": importlib.util.find_spec("mcp") is not None,
    "app_kwargs": {"exception_handlers": HANDLERS},
    "max_file_size": "1mb",
    "state_session_capacity": limits.SESSIONS,
}

if __name__ == "__main__":
    tokenizer_process.warm()  # so that the first visitor need not wait for it
    demo.launch(**LAUNCH, server_port=int(os.environ["PORT"]) if "PORT" in os.environ else None)
