"""What a tokenizer makes of a text, along its pieces."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class PairPieces:
    """A sentence pair as a tokenizer writes it; lists along the pieces, all empty if there are too many of them."""

    count: int
    """How many pieces there are."""
    inputs: dict[str, list[int]] = field(default_factory=dict)
    """`input_ids`, `attention_mask` and, where the tokenizer makes them, `token_type_ids`."""
    pieces: list[str] = field(default_factory=list)
    sentence: list[int | None] = field(default_factory=list)
    """0, 1, or None for what belongs to no sentence."""
    offsets: list[tuple[int, int]] = field(default_factory=list)
    """Characters of its sentence."""
    separator: str | None = None
    """What was put between two sentences that would have run together; empty if there is nothing to put there."""
