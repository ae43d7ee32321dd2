"""Keeps transformers from writing to the terminal of a program that tells its user itself what goes on."""

from __future__ import annotations

import transformers


def silence() -> None:
    """No warnings and no bars of progress: whatever is refused or left out is told where it was asked for."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
