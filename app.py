"""Entry point of the Space: `python app.py` serves the page and the API."""

from __future__ import annotations

import os

from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from attnflow.checkpoints import tokenizer_process
from attnflow.web import launch
from attnflow.web.page import build

set_verbosity_error()
disable_progress_bar()

demo = launch.queued(build())

LAUNCH = launch.options()

if __name__ == "__main__":
    tokenizer_process.warm()  # so that the first visitor need not wait for it
    demo.launch(**LAUNCH, server_port=int(os.environ["PORT"]) if "PORT" in os.environ else None)
