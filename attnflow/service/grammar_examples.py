"""What every head of a model chooses in some sentences of a treebank that have a relation."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from attnflow import limits, progress
from attnflow.cache import BoundedCache
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.corpus.encoded_text import encoded
from attnflow.corpus.observed import between_words
from attnflow.corpus.survey import TooLong
from attnflow.errors import SelectionError
from attnflow.records.trace import Encoding, Head
from attnflow.records.trees import ROOT, Sentence
from attnflow.runtime.batch import batches, capture_batch
from attnflow.service.case import open_checkpoint
from attnflow.service.collections import Opened, Page
from attnflow.service.long_work import long_work
from attnflow.service.places import Places, give_way
from attnflow.service.workspace import workspace
from attnflow.stats.dependencies import ALL, DIRECTIONS, Direction, head_choices

MOST_SENTENCES = 64
"""Of more that have a relation, evenly spaced ones are read."""
LONGEST = 60
"""Words of a sentence that is drawn."""


@dataclass(frozen=True, eq=False)
class Choices:
    """What the heads of one model choose for the words of a relation, sentence by sentence."""

    rows: tuple[int, ...]
    """Of the sentences in their collection."""
    trees: tuple[Sentence, ...]
    words: tuple[NDArray[np.int64], ...]
    """Of each sentence `[case]`: the words whose governor is looked for."""
    chosen: tuple[NDArray[np.int64], ...]
    """`[2, L, H, case]`: by direction, the word that a head takes for it; -1 for none."""
    n_with: int
    """Sentences of the collection that have the relation."""

    def of(self, head: Head, direction: Direction) -> list[NDArray[np.int64]]:
        """For each sentence `[case]`: what one head chooses."""
        place = DIRECTIONS.index(direction)
        return [chosen[place, head[0], head[1]] for chosen in self.chosen]

    @property
    def nbytes(self) -> int:
        """Memory in bytes, about."""
        return sum(chosen.nbytes + words.nbytes for chosen, words in zip(self.chosen, self.words, strict=True))


class GrammarExamples:
    """What was read of treebanks, bounded in memory.

    Args:
        most_bytes: Of it.
        places: Who computes now.
        most_seconds: Seconds after which one reading is ended.
    """

    def __init__(self, *, most_bytes: int, places: Places, most_seconds: float) -> None:
        self._kept: BoundedCache[Choices] = BoundedCache(most_bytes, lambda found: found.nbytes + 10_000)
        self._places, self._most_seconds = places, most_seconds

    def forget(self, owner: str) -> None:
        """Drop what is kept for a page alone."""
        self._kept.forget(lambda key: cast("tuple[str | None, object]", key)[0] == owner)

    def choices(self, opened: Opened, ref: str, page: Page, relation: str, too_long: TooLong = "cut") -> Choices:
        """Let a model read sentences that have a relation, or recall what its heads chose there.

        Args:
            opened: The treebank.
            ref: A bundled reference or a Hub id, perhaps with `@` and a revision.
            page: For whom.
            relation: Its name, or `ALL` but punctuation.
            too_long: What becomes of a text with more tokens than fit.

        Raises:
            SelectionError: If no sentence that can be drawn has it.
            AttnflowError: If the model cannot be opened or run.
        """
        having = [
            (row, text.tree)
            for row, text in enumerate(opened.texts)
            if text.tree is not None and len(_cases(text.tree, relation))
        ]
        some = _spaced([(row, tree) for row, tree in having if len(tree) <= LONGEST])
        if not some:
            raise SelectionError(f"No sentence of at most {LONGEST} words has the relation {relation[:40]!r}.")

        checkpoint = open_checkpoint(ref)  # by its hash, as a name of this machine may come to stand for another

        def compute() -> Choices:
            if opened.owner is not None:
                weakref.finalize(page, self.forget, page.name)
            what, advice = "looking for examples", "choose another relation"
            with long_work(self._places, self._most_seconds, what, advice, checkpoint.name):
                return _read(opened, checkpoint, relation, some, too_long, len(having))

        return self._kept.get((opened.owner, opened.texts.fingerprint, checkpoint.key, relation, too_long), compute)


def _spaced(of: list[tuple[int, Sentence]]) -> list[tuple[int, Sentence]]:
    places = np.linspace(0, len(of) - 1, min(len(of), MOST_SENTENCES)).round().astype(int)
    return [of[place] for place in places.tolist()]


def _cases(tree: Sentence, relation: str) -> list[int]:
    """The words of a relation; the root, which no word governs, is none."""
    return [
        word
        for word, (name, governor) in enumerate(zip(tree.relation, tree.governor, strict=True))
        if governor != ROOT and (name == relation or (relation == ALL and name.partition(":")[0] != "punct"))
    ]


def _read(
    opened: Opened,
    checkpoint: Checkpoint,
    relation: str,
    some: list[tuple[int, Sentence]],
    too_long: TooLong,
    n_with: int,
) -> Choices:
    encodings, kept = list[Encoding](), list[tuple[int, Sentence]]()
    for row, tree in some:
        encoding = encoded(checkpoint, opened.texts[row], too_long, limits.MAX_TOKENS)
        if isinstance(encoding, Encoding):
            encodings.append(encoding)
            kept.append((row, tree))
    words: dict[int, NDArray[np.int64]] = {}
    chosen: dict[int, NDArray[np.int64]] = {}
    for numbers in batches(checkpoint, encodings):
        progress.go_on()
        give_way()
        progress.tell(f"Reading sentences with {relation[:40]}", len(words) / len(encodings))
        attention = capture_batch(checkpoint, [encodings[number] for number in numbers]).attention.float().cpu().numpy()
        for number, own in zip(numbers, attention, strict=True):
            tree = kept[number][1]
            words[number], chosen[number] = _chosen(own, encodings[number], tree, _cases(tree, relation))
    order = [number for number in range(len(kept)) if len(words[number])]
    return Choices(
        tuple(kept[number][0] for number in order),
        tuple(kept[number][1] for number in order),
        tuple(words[number] for number in order),
        tuple(chosen[number] for number in order),
        n_with,
    )


def _chosen(
    attention: NDArray[np.float32], encoding: Encoding, tree: Sentence, cases: list[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Those of the cases that are some, and what the heads choose for them, as words of the sentence."""
    between, here = between_words(attention, encoding, tree, "mean")
    words = np.array([word for word in cases if here[word] and here[tree.governor[word]]], np.int64)
    numbered = np.append(np.flatnonzero(here), -1)  # the last for no choice
    return words, numbered[head_choices(between, (np.cumsum(here) - 1)[words])]


grammar_examples = GrammarExamples(
    most_bytes=limits.COLLECTION_CACHE_BYTES // 16,
    places=workspace.places,
    most_seconds=limits.MAX_SURVEY_SECONDS,
)
"""Those of the app."""
