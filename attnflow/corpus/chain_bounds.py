"""What readers of coreference chains share: bounds, and the text of words alone."""

from __future__ import annotations

from collections.abc import Sequence

from attnflow.corpus.line_faults import LineFault

MOST_WORDS, MOST_MENTIONS = 50_000, 5_000
"""Of a document: far above those of any corpus, so that no file makes a reader keep more."""
_MOST_MENTIONED = 1_000_000
"""Words of all mentions together."""
BROKEN_CHAINS = "with broken chains"
NOT_IN_TEXT = "whose words are not in their text"


def check_mentions(spans: Sequence[tuple[int, int]], line: int) -> None:
    """Refuse more mentions than a document can have.

    Args:
        spans: The first word of each, and the one after its last.
        line: Where they stand.

    Raises:
        LineFault: If there are too many, or they have too many words together.
    """
    if len(spans) > MOST_MENTIONS:
        raise LineFault(BROKEN_CHAINS, line, f"there are more than {MOST_MENTIONS:,} mentions; cut the text.")
    if sum(end - start for start, end in spans) > _MOST_MENTIONED:
        told = f"its mentions have more than {_MOST_MENTIONED:,} words together; cut the text."
        raise LineFault(BROKEN_CHAINS, line, told)


def spaced(words: Sequence[str]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Words with a space between them, and the characters of each."""
    span: list[tuple[int, int]] = []
    place = 0
    for word in words:
        span.append((place, place + len(word)))
        place += len(word) + 1
    return " ".join(words), tuple(span)
