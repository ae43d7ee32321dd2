"""Keeps transformers from writing to the terminal of a program that tells its user itself what goes on."""

from __future__ import annotations

from transformers.utils.logging import disable_progress_bar, set_verbosity_error


def silence() -> None:
    """No warnings and no bars of progress: whatever is refused or left out is told where it was asked for."""
    set_verbosity_error()
    disable_progress_bar()
