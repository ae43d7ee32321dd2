"""The endpoints that programs call by name, through gradio_client, HTTP and MCP.

Each is a typed function without state, in the module of its subject, with the types of its answer. Gradio does not
check types, so every argument is checked by its annotation, and what is wrong comes back as one sentence (`checks`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attnflow.web.endpoints.attribution import attention_vs_attribution, hidden_token_attribution
from attnflow.web.endpoints.compared_heads import compare_dependency_heads
from attnflow.web.endpoints.continuation import continuation
from attnflow.web.endpoints.coreference import coreference_heads
from attnflow.web.endpoints.corpus import corpus_statistics
from attnflow.web.endpoints.explanations import compare_saliency, faithfulness, saliency
from attnflow.web.endpoints.flow import attention_flow, compare_attention_flow
from attnflow.web.endpoints.grammar import dependency_heads
from attnflow.web.endpoints.heads import (
    head_importance,
    head_interactions,
    head_statistic,
    prune_heads,
    pruning_curve,
)
from attnflow.web.endpoints.probe import probe
from attnflow.web.endpoints.runs import attention_map, moments, predict
from attnflow.web.endpoints.texts import compare_texts, projection, survey
from attnflow.web.endpoints.training import data_map

ENDPOINTS: tuple[Callable[..., Any], ...] = (
    predict,
    continuation,
    moments,
    attention_flow,
    compare_attention_flow,
    attention_map,
    hidden_token_attribution,
    attention_vs_attribution,
    saliency,
    faithfulness,
    compare_saliency,
    head_importance,
    head_statistic,
    prune_heads,
    pruning_curve,
    head_interactions,
    survey,
    projection,
    compare_texts,
    corpus_statistics,
    dependency_heads,
    compare_dependency_heads,
    coreference_heads,
    probe,
    data_map,
)
"""All published functions; their names are the names of the endpoints."""
