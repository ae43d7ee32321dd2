"""What a model does with some texts of a corpus, computed when a measure asks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.lazy import lazy
from attnflow.methods.hta.attribution import Wrt, hidden_token_attribution
from attnflow.methods.objective import Label
from attnflow.records.coreference import Document
from attnflow.records.corpus import CorpusSettings
from attnflow.records.trace import Encoding
from attnflow.records.trees import NO_WORD, Sentence
from attnflow.runtime.batch import Batch, capture_batch
from attnflow.stats.statistic import Statistic
from attnflow.stats.word_attention import Pooling, word_attention

Fed = Mapping[str, Statistic]
"""The accumulators of one measure, by name."""
Table = dict[str, NDArray[Any]]
"""Numbers or names for each head, `[L, H]`, by column."""
SOURCES: tuple[Wrt, ...] = ("previous_layer", "input")


@dataclass(frozen=True, eq=False)
class Observed:
    """Some texts of similar length, and what the model does with them: computed when a measure asks for it."""

    checkpoint: Checkpoint
    settings: CorpusSettings
    encodings: Sequence[Encoding]
    labels: Sequence[Label]
    """For each text the class that its label stands for; None where it stands for none."""
    trees: Sequence[Sentence | None] = ()
    """For each text its dependency tree; None where it has none."""
    documents: Sequence[Document | None] = ()
    """For each text its coreference chains, likewise."""

    @lazy
    def batch(self) -> Batch:
        """What one pass records."""
        return capture_batch(self.checkpoint, self.encodings)

    @lazy
    def attention(self) -> NDArray[np.float32]:
        """`[N, L, H, T, T]`, 0 beyond a text."""
        return self.batch.attention.float().cpu().numpy()

    @property
    def lengths(self) -> NDArray[np.int64]:
        """`[N]`: tokens of each text."""
        return self.batch.lengths

    def contributions(self, wrt: Wrt) -> list[NDArray[np.float32]]:
        """For each text `[L, H, T, T]` as `[query, source]`."""
        return self._contributions[wrt]

    @lazy
    def _contributions(self) -> dict[Wrt, list[NDArray[np.float32]]]:
        probes = {"previous_layer": None, "input": self.settings.probes}
        return {
            wrt: [
                hidden_token_attribution(
                    self.checkpoint, encoding, wrt=wrt, probes=probes[wrt], seed=self.settings.seed
                ).values
                for encoding in self.encodings
            ]
            for wrt in SOURCES
        }


def between_words(
    attention: NDArray[np.float32], encoding: Encoding, words: Sentence | Document, pooling: Pooling
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The attention `[L, H, P, P]` between the words that have a token, and `[W]` which words these are.

    Args:
        attention: `[L, H, T, T]`, perhaps padded.
        encoding: Of the text.
        words: Its words.
        pooling: What a word of several tokens attends to.
    """
    size, groups = len(encoding.tokens), words.groups(encoding.tokens)
    here = np.isin(np.arange(len(words)), groups)
    among = np.where(groups == NO_WORD, NO_WORD, np.cumsum(here)[groups] - 1)  # no more than tokens, whatever the text
    return word_attention(attention[:, :, :size, :size], among, pooling), here


def own_of(fed: Fed, kind: type[Any], name: str = "") -> Any:
    """One of the accumulators of a measure."""
    assert isinstance(fed[name], kind), "a measure is fed with its own accumulators"
    return fed[name]
