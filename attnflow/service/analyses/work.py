"""About how many floating-point operations a pass through a checkpoint takes, for one text."""

from __future__ import annotations

from attnflow.service.case import Case, ModelCard


def forward(case: Case) -> float:
    """One forward pass."""
    return pass_through(case.card, case.n_tokens)


def pass_through(card: ModelCard, size: int) -> float:
    """A forward pass of so many tokens: two operations for each parameter and token, and the products of attention."""
    return 2.0 * (card.n_parameters - card.n_embedded) * size + 4.0 * card.n_layers * size**2 * card.width


def backward(case: Case) -> float:
    """A forward pass and the gradient of one number."""
    return 3.0 * forward(case)


def removals(case: Case, left: int | None = None) -> float:
    """A forward pass without each head that is left in turn; on average half of its layers change.

    Args:
        case: The case.
        left: Heads that are left; all if None.
    """
    heads = case.card.n_layers * case.card.n_heads if left is None else left
    return 0.5 * heads * forward(case)
