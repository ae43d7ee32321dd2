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
TOKENIZER_BYTES = _whole_number("ATTNFLOW_TOKENIZER_MB", 1_000) * 10**6
"""Memory that one tokenizer of the Hub may take, while it is read and while it cuts a text."""
TOKENIZER_READING_SECONDS = _whole_number("ATTNFLOW_TOKENIZER_READING_SECONDS", 30)
"""Time to read it."""
TOKENIZER_SECONDS = _whole_number("ATTNFLOW_TOKENIZER_SECONDS", 5)
"""Time for one text."""
TRACE_CACHE_BYTES = _whole_number("ATTNFLOW_TRACE_CACHE_MB", 500) * 10**6
"""Memory for recorded traces."""
QUEUE = _whole_number("ATTNFLOW_QUEUE", 32)
"""Requests that wait for their turn."""
SESSIONS = _whole_number("ATTNFLOW_SESSIONS", 400)
"""Open pages whose state is kept; calls of endpoints keep none."""
SESSIONS_PER_VISITOR = _whole_number("ATTNFLOW_SESSIONS_PER_VISITOR", 64)
"""Of these, pages of one visitor, closed ones too: a page does not tell that it is closed."""
REQUESTS_PER_MINUTE = _whole_number("ATTNFLOW_REQUESTS_PER_MINUTE", 120)
"""Model runs that one visitor may ask for in a minute; a call that is refused before it runs one counts as one."""
CALLS_PER_MINUTE = _whole_number("ATTNFLOW_CALLS_PER_MINUTE", 600)
"""Requests of any kind, but for static files, that one visitor may send in a minute."""
REQUEST_BYTES = _whole_number("ATTNFLOW_MAX_REQUEST_KB", 128) * 1000
"""Body of one request; it is counted while it arrives, and nothing reads it before it is complete."""
WAITING_BYTES = _whole_number("ATTNFLOW_WAITING_MB", 100) * 10**6
"""Answers that are ready and have not been collected, of all visitors together."""
RESULT_CACHE_BYTES = _whole_number("ATTNFLOW_RESULT_CACHE_MB", 200) * 10**6
"""Memory for what was computed from runs: attributions, importances, explanations."""
MAX_TERA_OPERATIONS = _whole_number("ATTNFLOW_MAX_TERA_OPERATIONS", 20)
"""Million million floating-point operations of one analysis: a few minutes on two cores."""
MAX_SECONDS = _whole_number("ATTNFLOW_MAX_SECONDS", 300)
"""Seconds after which a request is ended."""
CALLS_OF_ONE = _whole_number("ATTNFLOW_CALLS_OF_ONE", 2)
"""Calls of endpoints by one visitor that wait or run at the same time."""
WAITING_OF_ONE = 8
"""Analyses of one visitor's pages that wait at the same time."""
LONG_OPERATIONS = 0.3e12
"""Work that takes more is long, some ten seconds on two cores: it does not take the last place from short work."""
GPU_OPERATIONS = _whole_number("ATTNFLOW_GPU_GIGA_OPERATIONS", 300) * 10**9
"""On ZeroGPU, work that a GPU is asked for; less is done before one would be there."""
GPU_SECONDS = _whole_number("ATTNFLOW_GPU_SECONDS", 120)
"""The longest time that it is asked for."""
MAX_LAYERS = _whole_number("ATTNFLOW_MAX_LAYERS", 200)
"""Layers of one checkpoint."""
MAX_HEADS = _whole_number("ATTNFLOW_MAX_HEADS", 256)
"""Heads of one layer."""
MAX_LABELS = _whole_number("ATTNFLOW_MAX_LABELS", 10_000)
"""Classes of a task head."""
MAX_POSITIONS = _whole_number("ATTNFLOW_MAX_POSITIONS", 2_000_000)
"""Tokens that a checkpoint may say it can read: some architectures make tables of that length."""
MAX_VOCABULARY = _whole_number("ATTNFLOW_MAX_VOCABULARY", 1_000_000)
"""Entries of a vocabulary; the largest well-known one, of XLM-V, has 901,629."""
MAX_TOKENIZER_BYTES = _whole_number("ATTNFLOW_MAX_TOKENIZER_MB", 50) * 10**6
"""One file of a tokenizer; in memory it takes about ten times as much. Gemma's, with 262,144 entries, has 33 MB."""
MAX_TRACE_BYTES = _whole_number("ATTNFLOW_MAX_TRACE_MB", 500) * 10**6
"""What one run records; while it runs it takes about twice as much."""
MAX_TEXTS = _whole_number("ATTNFLOW_MAX_TEXTS", 20_000)
"""Rows of a collection of texts that are kept."""
MAX_DATASET_BYTES = _whole_number("ATTNFLOW_MAX_DATASET_MB", 200) * 10**6
"""Bytes of a data set that are read, unpacked, to draw these rows from."""
MAX_TEXT_CHARACTERS = _whole_number("ATTNFLOW_MAX_TEXT_CHARACTERS", 20_000)
"""Characters of one cell of a collection of texts; a row with a longer text is left out."""
MAX_COLUMNS = _whole_number("ATTNFLOW_MAX_COLUMNS", 500)
"""Columns of a collection of texts."""
COLLECTION_CACHE_BYTES = _whole_number("ATTNFLOW_COLLECTION_CACHE_MB", 1_000) * 10**6
"""Memory for collections of texts, for what models made of them, and for their layouts."""
SURVEY_DISK_BYTES = _whole_number("ATTNFLOW_SURVEY_DISK_MB", 2_000) * 10**6
"""Disk for what models made of public collections."""
MAX_SURVEY_SECONDS = _whole_number("ATTNFLOW_MAX_SURVEY_SECONDS", 1_800)
"""Seconds after which the reading of a collection by one model is ended."""
UPLOAD_BYTES = _whole_number("ATTNFLOW_MAX_UPLOAD_MB", 20) * 10**6
"""One file that a visitor sends."""
UPLOADS_OF_ONE_BYTES = 2 * UPLOAD_BYTES
"""All files of one visitor that are kept."""
UPLOADS_BYTES = _whole_number("ATTNFLOW_UPLOADS_MB", 400) * 10**6
"""Memory for files of all visitors."""
UPLOADS_PER_MINUTE = _whole_number("ATTNFLOW_UPLOADS_PER_MINUTE", 20)
"""Files that one visitor may send in a minute."""
MAX_MATCHED_LABELS = 20
"""Labels of a collection that a visitor can match to classes himself."""
