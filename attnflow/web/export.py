"""The graphs that are shown, with exact numbers, as files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from attnflow.service.case import Case
from attnflow.stats.flow import FlowPair
from attnflow.views.csv_text import csv_text
from attnflow.views.edge_kinds import QUANTITY
from attnflow.web.endpoints.graphs import comparison_answer


def graph_json(a: Case, b: Case, flows: FlowPair, alpha: float) -> str:
    """Both graphs as the endpoint `compare_attention_flow` gives them."""
    return json.dumps(comparison_answer(a, b, flows, alpha), ensure_ascii=False, indent=1, allow_nan=False)


def graph_csv(a: Case, b: Case, flows: FlowPair) -> str:
    """One line for each head of each edge; layers, heads and tokens are counted from 0."""
    columns = ["model", "sha", "layer_index", "head_index", "query", "query_text", "key", "key_text"]
    columns.append(QUANTITY[flows.a.trace.weights].replace(" ", "_"))
    return csv_text(columns, _edges(a, b, flows))


def _edges(a: Case, b: Case, flows: FlowPair) -> Iterator[list[Any]]:
    for case, one in ((a, flows.a), (b, flows.b)):
        graph, text = one.graph, one.trace.tokens.text
        for layer, query, key, heads, weights in zip(
            graph.layer.tolist(), graph.query.tolist(), graph.key.tolist(), graph.heads, graph.weights, strict=True
        ):
            for head in heads.nonzero()[0].tolist():
                value = float(f"{weights[head]:.6g}")
                yield [case.card.ref, case.card.sha, layer, head, query, text[query], key, text[key], value]
