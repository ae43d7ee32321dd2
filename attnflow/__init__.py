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
    from attnflow.checkpoints.checkpoint import Checkpoint
    from attnflow.checkpoints.random_weights import random_weights
    from attnflow.corpus.attention_probe import attention_probe
    from attnflow.corpus.compared_heads import compare_dependency_heads
    from attnflow.corpus.conllu_rows import read_conllu
    from attnflow.corpus.coreference_files import read_coreference
    from attnflow.corpus.corpus_files import open_corpus
    from attnflow.corpus.corpus_statistics import corpus_statistics
    from attnflow.corpus.data_map import data_map, map_order, map_region
    from attnflow.corpus.gold import LabelMatch, match_labels
    from attnflow.corpus.orders import Order, confusion, likely_mislabelled, most_different, nearest
    from attnflow.corpus.probe_result import AttentionProbe
    from attnflow.corpus.projection import Projection, project_layers, projection
    from attnflow.corpus.survey import survey
    from attnflow.corpus.survey_files import open_survey
    from attnflow.corpus.texts import open_texts
    from attnflow.corpus.training_dynamics import TrainingDynamics
    from attnflow.errors import (
        AttnflowError,
        CheckpointError,
        SelectionError,
        TextError,
        TextsError,
        UnsupportedArchitectureError,
    )
    from attnflow.methods.continuation import continuation
    from attnflow.methods.expected import expected_tokens
    from attnflow.methods.heads.attention_gradient import attention_gradient
    from attnflow.methods.heads.importance import HeadImportance, head_importance
    from attnflow.methods.heads.pruning import HeadInteractions, PruningCurve, head_interactions, pruning_curve, ranking
    from attnflow.methods.hta.attribution import attribution_estimates, hidden_token_attribution
    from attnflow.methods.saliency.erasure import Faithfulness, faithfulness
    from attnflow.methods.saliency.explain import Saliency, saliency
    from attnflow.notebook import show
    from attnflow.records.continuation import Continuation
    from attnflow.records.coreference import Document, Mention
    from attnflow.records.corpus import CorpusStatistics
    from attnflow.records.dynamics import DataMap
    from attnflow.records.parses import Parse
    from attnflow.records.survey import Survey
    from attnflow.records.texts import Columns, Text, Texts
    from attnflow.records.token_scores import AnswerEnds, ExpectedTokens, TokenClasses
    from attnflow.records.trace import Attribution, Encoding, Tokens, Trace
    from attnflow.records.trees import Sentence
    from attnflow.runtime.capture import capture
    from attnflow.runtime.encode import encode
    from attnflow.runtime.load import load_checkpoint
    from attnflow.stats.agreement import Agreement
    from attnflow.stats.alignment import Pairing, merge_words, pair_traces
    from attnflow.stats.attention_gradient import AttentionGradient
    from attnflow.stats.attention_graph import AttentionGraph, Reach, attention_graph, influence, paths_between, reach
    from attnflow.stats.compared_dependencies import DependencyComparison
    from attnflow.stats.coreference import CoreferenceHeads
    from attnflow.stats.dependencies import DependencyHeads
    from attnflow.stats.edges import with_weights
    from attnflow.stats.entropy import AttentionEntropy
    from attnflow.stats.head_distances import HeadDistances
    from attnflow.stats.mean_attention import MeanAttention, normalise_importance
    from attnflow.stats.named_heads import NamedHeads, name_heads
    from attnflow.stats.patterns import Patterns
    from attnflow.stats.relative_positions import RelativePositions
    from attnflow.stats.ring_thresholds import ring_tau
    from attnflow.stats.rollout import attention_rollout
    from attnflow.stats.surface import SurfaceStatistics
    from attnflow.stats.word_attention import word_attention

__version__ = "0.1.0"

_HOME = {
    "stats.agreement": ("Agreement",),
    "methods.hta.attribution": ("attribution_estimates", "hidden_token_attribution"),
    "methods.continuation": ("continuation",),
    "methods.expected": ("expected_tokens",),
    "methods.saliency.erasure": ("Faithfulness", "faithfulness"),
    "methods.saliency.explain": ("Saliency", "saliency"),
    "stats.ring_thresholds": ("ring_tau",),
    "stats.rollout": ("attention_rollout",),
    "notebook": ("show",),
    "runtime.capture": ("capture",),
    "runtime.encode": ("encode",),
    "checkpoints.checkpoint": ("Checkpoint",),
    "runtime.load": ("load_checkpoint",),
    "stats.alignment": ("Pairing", "merge_words", "pair_traces"),
    "stats.attention_gradient": ("AttentionGradient",),
    "stats.entropy": ("AttentionEntropy",),
    "stats.head_distances": ("HeadDistances",),
    "stats.named_heads": ("NamedHeads", "name_heads"),
    "stats.surface": ("SurfaceStatistics",),
    "checkpoints.random_weights": ("random_weights",),
    "corpus.compared_heads": ("compare_dependency_heads",),
    "stats.compared_dependencies": ("DependencyComparison",),
    "stats.coreference": ("CoreferenceHeads",),
    "stats.dependencies": ("DependencyHeads",),
    "stats.edges": ("with_weights",),
    "stats.word_attention": ("word_attention",),
    "corpus.conllu_rows": ("read_conllu",),
    "corpus.coreference_files": ("read_coreference",),
    "records.continuation": ("Continuation",),
    "records.coreference": ("Document", "Mention"),
    "corpus.attention_probe": ("attention_probe",),
    "corpus.probe_result": ("AttentionProbe",),
    "records.parses": ("Parse",),
    "records.trees": ("Sentence",),
    "corpus.corpus_files": ("open_corpus",),
    "corpus.corpus_statistics": ("corpus_statistics",),
    "records.corpus": ("CorpusStatistics",),
    "corpus.data_map": ("data_map", "map_order", "map_region"),
    "corpus.training_dynamics": ("TrainingDynamics",),
    "records.dynamics": ("DataMap",),
    "corpus.orders": ("Order", "confusion", "likely_mislabelled", "most_different", "nearest"),
    "corpus.projection": ("Projection", "project_layers", "projection"),
    "corpus.survey": ("survey",),
    "corpus.survey_files": ("open_survey",),
    "records.survey": ("Survey",),
    "records.token_scores": ("AnswerEnds", "ExpectedTokens", "TokenClasses"),
    "corpus.gold": ("LabelMatch", "match_labels"),
    "corpus.texts": ("open_texts",),
    "errors": (
        "AttnflowError",
        "CheckpointError",
        "SelectionError",
        "TextError",
        "TextsError",
        "UnsupportedArchitectureError",
    ),
    "stats.attention_graph": ("AttentionGraph", "Reach", "attention_graph", "influence", "paths_between", "reach"),
    "methods.heads.attention_gradient": ("attention_gradient",),
    "stats.mean_attention": ("MeanAttention", "normalise_importance"),
    "methods.heads.importance": ("HeadImportance", "head_importance"),
    "stats.patterns": ("Patterns",),
    "stats.relative_positions": ("RelativePositions",),
    "methods.heads.pruning": ("HeadInteractions", "PruningCurve", "head_interactions", "pruning_curve", "ranking"),
    "records.texts": ("Columns", "Text", "Texts"),
    "records.trace": ("Attribution", "Encoding", "Tokens", "Trace"),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Agreement",
    "AnswerEnds",
    "AttentionEntropy",
    "AttentionGradient",
    "AttentionGraph",
    "AttentionProbe",
    "AttnflowError",
    "Attribution",
    "Checkpoint",
    "CheckpointError",
    "Columns",
    "Continuation",
    "CoreferenceHeads",
    "CorpusStatistics",
    "DataMap",
    "DependencyComparison",
    "DependencyHeads",
    "Document",
    "Encoding",
    "ExpectedTokens",
    "Faithfulness",
    "HeadDistances",
    "HeadImportance",
    "HeadInteractions",
    "LabelMatch",
    "MeanAttention",
    "Mention",
    "NamedHeads",
    "Order",
    "Pairing",
    "Parse",
    "Patterns",
    "Projection",
    "PruningCurve",
    "Reach",
    "RelativePositions",
    "Saliency",
    "SelectionError",
    "Sentence",
    "SurfaceStatistics",
    "Survey",
    "Text",
    "TextError",
    "Texts",
    "TextsError",
    "TokenClasses",
    "Tokens",
    "Trace",
    "TrainingDynamics",
    "UnsupportedArchitectureError",
    "attention_gradient",
    "attention_graph",
    "attention_probe",
    "attention_rollout",
    "attribution_estimates",
    "capture",
    "compare_dependency_heads",
    "confusion",
    "continuation",
    "corpus_statistics",
    "data_map",
    "encode",
    "expected_tokens",
    "faithfulness",
    "head_importance",
    "head_interactions",
    "hidden_token_attribution",
    "influence",
    "likely_mislabelled",
    "load_checkpoint",
    "map_order",
    "map_region",
    "match_labels",
    "merge_words",
    "most_different",
    "name_heads",
    "nearest",
    "normalise_importance",
    "open_corpus",
    "open_survey",
    "open_texts",
    "pair_traces",
    "paths_between",
    "project_layers",
    "projection",
    "pruning_curve",
    "random_weights",
    "ranking",
    "reach",
    "read_conllu",
    "read_coreference",
    "ring_tau",
    "saliency",
    "show",
    "survey",
    "with_weights",
    "word_attention",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module 'attnflow' has no attribute {name!r}")
    return getattr(importlib.import_module(f"attnflow.{_MODULE[name]}"), name)
