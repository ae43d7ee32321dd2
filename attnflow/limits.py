"""What one request may ask of the machine; each limit can be set by an environment variable of the same name."""

from __future__ import annotations

import os

from attnflow.errors import AttnflowError


def _whole_number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or int(text) == 0:
        raise AttnflowError(f"The environment variable {name} is {text!r}; it must be a whole number above 0.")
    return int(text)


MAX_TOKENS = _whole_number("ATTNFLOW_MAX_TOKENS", 128)
"""Pieces in one pair, special tokens included."""
MAX_CHARACTERS = 20 * MAX_TOKENS
"""Characters of one sentence: more cannot be few tokens, except of a text made to be a burden."""
MAX_DOWNLOAD_BYTES = _whole_number("ATTNFLOW_MAX_DOWNLOAD_MB", 4_000) * 10**6
"""Files of one checkpoint."""
DISK_BYTES = _whole_number("ATTNFLOW_DISK_MB", 20_000) * 10**6
"""Files of all checkpoints that were downloaded."""
MAX_PARAMETERS = _whole_number("ATTNFLOW_MAX_PARAMETERS", 1_000_000_000)
"""Parameters of one checkpoint; each takes four bytes of memory."""
MODEL_CACHE_BYTES = _whole_number("ATTNFLOW_MODEL_CACHE_MB", 6_000) * 10**6
"""Memory for loaded checkpoints."""
TRACE_CACHE_BYTES = _whole_number("ATTNFLOW_TRACE_CACHE_MB", 500) * 10**6
"""Memory for recorded traces."""
QUEUE = _whole_number("ATTNFLOW_QUEUE", 32)
"""Requests that wait for their turn."""
SESSIONS = _whole_number("ATTNFLOW_SESSIONS", 400)
"""Open pages whose state is kept; calls of endpoints keep none."""
SESSIONS_PER_VISITOR = _whole_number("ATTNFLOW_SESSIONS_PER_VISITOR", 16)
"""Of these, pages of one visitor."""
REQUESTS_PER_MINUTE = _whole_number("ATTNFLOW_REQUESTS_PER_MINUTE", 120)
"""Model runs that one visitor may ask for in a minute; a call that is refused before it runs one counts as one."""
CALLS_PER_MINUTE = _whole_number("ATTNFLOW_CALLS_PER_MINUTE", 600)
"""Requests of any kind, but for static files, that one visitor may send in a minute."""
REQUEST_BYTES = _whole_number("ATTNFLOW_MAX_REQUEST_KB", 64) * 1000
"""Body of one request; it is counted while it arrives, and nothing reads it before it is complete."""
WAITING_BYTES = _whole_number("ATTNFLOW_WAITING_MB", 100) * 10**6
"""Answers that are ready and have not been collected, of all visitors together."""
RESULT_CACHE_BYTES = _whole_number("ATTNFLOW_RESULT_CACHE_MB", 200) * 10**6
"""Memory for what was computed from runs: attributions, importances, explanations."""
MAX_TERA_OPERATIONS = _whole_number("ATTNFLOW_MAX_TERA_OPERATIONS", 20)
"""Million million floating-point operations of one attribution: a few minutes on two cores."""
