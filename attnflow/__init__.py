"""attnflow: how two Transformer checkpoints come to their decisions on a sentence pair.

Names are loaded when they are first used, so that `import attnflow` is quick and needs neither torch nor gradio.

Example:
    >>> import attnflow
    >>> checkpoint = attnflow.load_checkpoint("demo/finetuned")
    >>> encoding = attnflow.encode(checkpoint, "Anna lent Paul a book.", "Paul borrowed a book.")
    >>> trace = attnflow.capture(checkpoint, encoding)
    >>> graph = attnflow.attention_graph(trace, tau=0.2)
    >>> attnflow.influence(graph).shape == (trace.n_layers, len(trace.tokens))
    True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attnflow.checkpoint import Checkpoint, load_checkpoint
    from attnflow.comparison import Pairing, merge_words, pair_traces
    from attnflow.errors import (
        AttnflowError,
        CheckpointError,
        SelectionError,
        TextError,
        UnsupportedArchitectureError,
    )
    from attnflow.graph import AttentionGraph, Reach, attention_graph, influence, paths_between, reach
    from attnflow.records import Encoding, Tokens, Trace
    from attnflow.tracing import capture, encode

_HOME = {
    "tracing": ("capture", "encode"),
    "checkpoint": ("Checkpoint", "load_checkpoint"),
    "comparison": ("Pairing", "merge_words", "pair_traces"),
    "errors": (
        "AttnflowError",
        "CheckpointError",
        "SelectionError",
        "TextError",
        "UnsupportedArchitectureError",
    ),
    "graph": ("AttentionGraph", "Reach", "attention_graph", "influence", "paths_between", "reach"),
    "records": ("Encoding", "Tokens", "Trace"),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "AttentionGraph",
    "AttnflowError",
    "Checkpoint",
    "CheckpointError",
    "Encoding",
    "Pairing",
    "Reach",
    "SelectionError",
    "TextError",
    "Tokens",
    "Trace",
    "UnsupportedArchitectureError",
    "attention_graph",
    "capture",
    "encode",
    "influence",
    "load_checkpoint",
    "merge_words",
    "pair_traces",
    "paths_between",
    "reach",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module 'attnflow' has no attribute {name!r}")
    return getattr(importlib.import_module(f"attnflow.{_MODULE[name]}"), name)
