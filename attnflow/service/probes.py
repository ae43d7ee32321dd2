"""Probes of treebanks, for visitors: each trained once, within the limits of this machine."""

from __future__ import annotations

import weakref
from collections.abc import Hashable
from dataclasses import replace
from typing import cast

from attnflow import limits
from attnflow.cache import BoundedCache
from attnflow.corpus.attention_probe import attention_probe, probe_settings, sentences_of
from attnflow.corpus.probe_result import AttentionProbe
from attnflow.errors import SelectionError
from attnflow.methods.probing.classifiers import Kind
from attnflow.records.parses import Parse
from attnflow.records.trees import Sentence
from attnflow.runtime.memory import within_memory
from attnflow.service import visitors
from attnflow.service.bounds import check_trace, encode_bounded
from attnflow.service.case import open_checkpoint
from attnflow.service.collections import Opened, Page
from attnflow.service.deadline import within
from attnflow.service.long_work import long_work
from attnflow.service.places import Places
from attnflow.service.workspace import workspace

OFFERED: tuple[Kind, ...] = ("attention", "attention and words")
"""Probes of attention; vectors are the model's own, as no file of this machine is read for a visitor."""
_OVERHEAD = 10_000
_LONG_SENTENCE = 48


class Probes:
    """Trained probes without their models, bounded in memory.

    Args:
        most_bytes: Of it.
        disk_bytes: Disk for the attention of one treebank while a probe is trained.
        places: Who computes now.
        most_seconds: Seconds after which one training is ended.
    """

    def __init__(self, *, most_bytes: int, disk_bytes: int, places: Places, most_seconds: float) -> None:
        self._kept: BoundedCache[AttentionProbe] = BoundedCache(most_bytes, lambda found: found.nbytes + _OVERHEAD)
        self._disk_bytes, self._places, self._most_seconds = disk_bytes, places, most_seconds

    def forget(self, owner: str) -> None:
        """Drop what is kept for a page alone."""
        self._kept.forget(lambda key: cast("tuple[Hashable, ...]", key)[0] == owner)

    def probe(self, opened: Opened, ref: str, page: Page, kind: str, seed: int = 0) -> AttentionProbe:
        """Train a probe with all that it is held against, or recall it.

        Args:
            opened: The treebank.
            ref: A bundled reference or a Hub id, perhaps with `@` and a revision. Never a local path.
            page: For whom.
            kind: One of `OFFERED`.
            seed: Of the split and the training.

        Returns:
            The probe without its model, so that one that is kept keeps no model in memory; `parse` parses with it.

        Raises:
            AttnflowError: With one sentence for whatever is wrong with the treebank, the checkpoint or the kind.
        """
        known: dict[str, Kind] = {one: one for one in OFFERED}
        chosen = known.get(kind)
        if chosen is None:
            raise SelectionError(f"kind is {str(kind)[:40]!r}; give {' or '.join(map(repr, OFFERED))}.")
        checkpoint = open_checkpoint(ref)
        _, told = sentences_of(opened.texts)
        settings = probe_settings(checkpoint, told, kind=chosen, seed=seed, max_tokens=limits.MAX_TOKENS)

        def compute() -> AttentionProbe:
            if opened.owner is not None:
                weakref.finalize(page, self.forget, page.name)
            advice = "ask for fewer rows, or for a smaller model"
            with long_work(self._places, self._most_seconds, "one training", advice, checkpoint.name) as listen:
                found = attention_probe(
                    checkpoint,
                    opened.texts,
                    words=chosen == "attention and words",
                    seed=seed,
                    max_tokens=limits.MAX_TOKENS,
                    most_bytes=self._disk_bytes,
                    progress=listen,
                )
            return replace(found, checkpoint=None)

        return self._kept.get((opened.owner, settings), compute)

    def parse(self, probe: AttentionProbe, ref: str, sentence: str | Sentence) -> Parse:
        """Parse a sentence with a probe of this model.

        Args:
            probe: As `probe` gives it.
            ref: The model that it was trained on, with its commit.
            sentence: Any; one of a treebank is parsed by its own words, and with its tree beside.

        Raises:
            AttnflowError: With one sentence for whatever is wrong with the sentence or the checkpoint.
        """
        visitors.admit()
        checkpoint = open_checkpoint(ref)
        if (checkpoint.name, checkpoint.sha) != (probe.settings.model, probe.settings.commit):
            raise SelectionError(f"The probe is of another model than {checkpoint.name}; train one of this.")
        with within(limits.MAX_SECONDS, "one request", "shorten the sentence"):
            known = isinstance(sentence, Sentence)
            encoding = encode_bounded(checkpoint, sentence.text if known else sentence, None)
            check_trace(checkpoint, len(encoding.tokens))
            # A tree over so many words takes seconds.
            long = len(encoding.tokens) > _LONG_SENTENCE
            with self._places.one(visitors.name(), long=long), within_memory(checkpoint.name):
                return replace(probe, checkpoint=checkpoint).parse(sentence if known else encoding)


probes = Probes(
    most_bytes=limits.COLLECTION_CACHE_BYTES // 8,
    disk_bytes=limits.SURVEY_DISK_BYTES,
    places=workspace.places,
    most_seconds=limits.MAX_SURVEY_SECONDS,
)
"""Those of the app: page and endpoints share them."""
