"""What the edges of an attention graph are, in words."""

from __future__ import annotations

from attnflow.records.trace import Weights

TITLES: dict[Weights, str] = {
    "attention": "Attention",
    "norm": "Norm of contribution",
    "previous_layer": "Contribution to the layer",
}
"""What the page calls each kind."""
QUANTITY: dict[Weights, str] = {
    "attention": "attention",
    "norm": "share by norm",
    "previous_layer": "contribution",
}
"""What the number at an edge is."""
WHY_ATTENTION = (
    "What joins the words of two rings. The page starts with attention, which takes the least work: the words that it "
    "names matter as much to the predictions as those of the others, measured on 200 bundled pairs and 200 of MRPC."
)
"""Why the page starts with the kind that it starts with."""
_SAYS: dict[Weights, str] = {
    "attention": "Edges are attention: how much a head looks at a word",
    "norm": "Edges are shares by norm: how long a vector a head writes for a word, as a share of all that it writes; "
    "*attends to* means that here",
    "previous_layer": "Edges are contributions to the layer: how much a head's output would change with a word, as a "
    "share; *attends to* means that here",
}


def edges_told(weights: Weights) -> str:
    """What edges mean, and what no kind of them holds."""
    return f"{_SAYS[weights]}. The residual stream and the feed-forward parts (MLP) are not in the graph."
