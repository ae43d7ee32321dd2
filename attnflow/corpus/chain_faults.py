"""What readers of coreference chains share: bounds, how a fault is told, and the text of words alone."""

from __future__ import annotations

from collections.abc import Sequence

MOST_WORDS, MOST_MENTIONS = 50_000, 5_000
"""Of a document: far above those of any corpus, so that no file makes a reader keep more."""
BROKEN_CHAINS = "with broken chains"
NOT_IN_TEXT = "whose words are not in their text"


class ChainFault(Exception):
    """What is wrong with a document: how that goes on after a number of rows, and the sentence about its line."""

    def __init__(self, reason: str, line: int, sentence: str) -> None:
        super().__init__(f"line {line:,}: {sentence}")
        self.reason = reason


def spaced(words: Sequence[str]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Words with a space between them, and the characters of each."""
    span: list[tuple[int, int]] = []
    place = 0
    for word in words:
        span.append((place, place + len(word)))
        place += len(word) + 1
    return " ".join(words), tuple(span)
