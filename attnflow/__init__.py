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
    from attnflow.agreement import Agreement
    from attnflow.attribution import attribution_estimates, hidden_token_attribution
    from attnflow.checkpoint import Checkpoint, load_checkpoint
    from attnflow.comparison import Pairing, merge_words, pair_traces
    from attnflow.errors import (
        AttnflowError,
        CheckpointError,
        SelectionError,
        TextError,
        UnsupportedArchitectureError,
    )
    from attnflow.explanations.erasure import Faithfulness, faithfulness
    from attnflow.explanations.explain import Saliency, saliency
    from attnflow.graph import AttentionGraph, Reach, attention_graph, influence, paths_between, reach
    from attnflow.head_matrix import MeanAttention, normalise_importance
    from attnflow.importance import HeadImportance, head_importance
    from attnflow.patterns import Patterns
    from attnflow.positions import RelativePositions
    from attnflow.pruning import HeadInteractions, PruningCurve, head_interactions, pruning_curve, ranking
    from attnflow.records import Attribution, Encoding, Tokens, Trace
    from attnflow.rollout import attention_rollout
    from attnflow.tracing import capture, encode

_HOME = {
    "agreement": ("Agreement",),
    "attribution": ("attribution_estimates", "hidden_token_attribution"),
    "explanations.erasure": ("Faithfulness", "faithfulness"),
    "explanations.explain": ("Saliency", "saliency"),
    "rollout": ("attention_rollout",),
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
    "head_matrix": ("MeanAttention", "normalise_importance"),
    "importance": ("HeadImportance", "head_importance"),
    "patterns": ("Patterns",),
    "positions": ("RelativePositions",),
    "pruning": ("HeadInteractions", "PruningCurve", "head_interactions", "pruning_curve", "ranking"),
    "records": ("Attribution", "Encoding", "Tokens", "Trace"),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Agreement",
    "AttentionGraph",
    "AttnflowError",
    "Attribution",
    "Checkpoint",
    "CheckpointError",
    "Encoding",
    "Faithfulness",
    "HeadImportance",
    "HeadInteractions",
    "MeanAttention",
    "Pairing",
    "Patterns",
    "PruningCurve",
    "Reach",
    "RelativePositions",
    "Saliency",
    "SelectionError",
    "TextError",
    "Tokens",
    "Trace",
    "UnsupportedArchitectureError",
    "attention_graph",
    "attention_rollout",
    "attribution_estimates",
    "capture",
    "encode",
    "faithfulness",
    "head_importance",
    "head_interactions",
    "hidden_token_attribution",
    "influence",
    "load_checkpoint",
    "merge_words",
    "normalise_importance",
    "pair_traces",
    "paths_between",
    "pruning_curve",
    "ranking",
    "reach",
    "saliency",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module 'attnflow' has no attribute {name!r}")
    return getattr(importlib.import_module(f"attnflow.{_MODULE[name]}"), name)
