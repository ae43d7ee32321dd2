"""A text with its coreference chains: which mentions are of one and the same person or thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from attnflow.lazy import lazy
from attnflow.records.trace import Tokens
from attnflow.records.trees import NO_WORD, word_groups

Kind = Literal["pronoun", "proper", "nominal"]
"""Of a mention: `she`, `Anna`, or `the nurse`."""
KINDS: tuple[Kind, ...] = get_args(Kind)
Number = Literal["singular", "plural"]
Gender = Literal["feminine", "masculine", "neuter"]


@dataclass(frozen=True)
class Mention:
    """Some words of a text that stand for somebody or something."""

    chain: int
    """The number of its chain; those of one number are of the same."""
    start: int
    """Its first word."""
    end: int
    """The word after its last."""
    head: int
    """The word that it is about: `nurse` of `the old nurse of Velm`."""
    kind: Kind
    words: tuple[str, ...] = ()
    """Its words; empty where nobody is to compare them."""
    number: Number | None = None
    """None where it is not known, as below."""
    gender: Gender | None = None
    person: Literal[1, 2, 3] | None = None

    @property
    def head_word(self) -> str:
        """Its head as it is written; empty without words."""
        return self.words[self.head - self.start] if self.words else ""


@dataclass(frozen=True)
class Document:
    """A text, or a pair of texts, with the mentions of all its chains; `W` words, counted from 0."""

    text: str
    words: tuple[str, ...]
    """`[W]`: those of the text, then those of the second."""
    span: tuple[tuple[int, int], ...]
    """`[W]`: first character of each in its text, and the one after its last."""
    mentions: tuple[Mention, ...]
    """`[M]`; a chain may have a single one, which is then no case, but may be mistaken for an antecedent."""
    text_b: str | None = None
    n_words_a: int | None = None
    """How many words are of the first text; None without a second."""
    guid: str = ""
    """Its name in its source."""

    def __len__(self) -> int:
        return len(self.words)

    @lazy
    def chains(self) -> tuple[tuple[Mention, ...], ...]:
        """The mentions of each chain, by its number."""
        found: dict[int, list[Mention]] = {}
        for mention in self.mentions:
            found.setdefault(mention.chain, []).append(mention)
        return tuple(tuple(found[number]) for number in sorted(found))

    @property
    def linked(self) -> bool:
        """Whether a chain has two mentions or more."""
        return any(len(chain) > 1 for chain in self.chains)

    def groups(self, tokens: Tokens) -> NDArray[np.int32]:
        """The word that each token of a model belongs to, as `Sentence.groups` tells it; of both texts.

        Args:
            tokens: Those of the text, or of the pair.

        Returns:
            `[T]`: numbers of words, and `NO_WORD` for a token that has no character of any.
        """
        first = len(self) if self.n_words_a is None else self.n_words_a
        found = word_groups(self.span[:first], tokens)
        if self.n_words_a is not None:
            second = word_groups(self.span[first:], tokens, sentence=1)
            found = np.where(second == NO_WORD, found, second + np.int32(first))
        return found
