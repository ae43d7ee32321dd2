"""What the page tells of the selected word and head: part of `payloads`."""

from __future__ import annotations

from typing import TypedDict

from attnflow.records.trace import Head
from attnflow.views.asked import Side


class HeadLine(TypedDict):
    """A strong attention of a head."""

    query: str
    """The token that attends, as a sentence names it."""
    key: str
    """The token attended to."""
    share: str


class DetailsHead(TypedDict):
    """The selected head in one model."""

    side: Side
    name: str
    """Of the model."""
    head: Head | None
    """By the model's own layers; null where it has no such head."""
    absent: str
    """Which one it lacks, and what it has, in a sentence; empty where it has it."""
    off: bool
    pruned: list[Head]
    """All heads of the model that are off."""
    without: str | None
    """What changes without the head; null while it is measured."""
    grammar: str
    """What treebanks tell of it, in sentences; often empty."""
    size: int
    """Pixels along a side of its map."""
    pixels: str
    """The map as `[size, size]` bytes, `[query, key]`, as base64 text."""
    lines: list[HeadLine]
    """The strongest first."""


class Details(TypedDict):
    """What is known of the word and the head that are selected."""

    word: str
    """Of the word, in sentences; empty if none is selected."""
    head: str
    """Name of the head, by the layers of the deeper model."""
    sides: list[DetailsHead]
