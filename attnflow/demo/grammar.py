"""Generated sentence pairs with gold labels, deciding words, dependency trees and coreference chains.

The task: does sentence A support sentence B? A supports B if B must be true given A, or if B is a question that A
answers. The two labels of one scenario are twins that differ by one word or by the order of two words, so single words
tell nothing about the label.

Example:
    >>> pair = next(generate(seed=0, n=2))
    >>> pair.label in (0, 1), pair.phenomenon in PHENOMENA
    (True, True)
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import lcm

from attnflow.demo import discourse, events, relations
from attnflow.demo.drawing import Draw
from attnflow.demo.events import Draft
from attnflow.demo.trees import Sentence, Span

LABELS = ("unsupported", "supported")

Builder = Callable[[Draw, bool], Draft]

PHENOMENA: dict[str, tuple[Builder, ...]] = {
    "give_receive": (events.transfer, events.transfer, events.transfer_kind),
    "active_passive": (events.voice,),
    "located_in": (relations.capital, relations.capital_inside, relations.inside, relations.inside_chain),
    "more_less": (relations.comparative, relations.counting, relations.more_converse, relations.price),
    "negation": (events.negation_not, events.negation_verb, events.negation_state, events.negation_but),
    "question_answer": (
        discourse.question_adjunct,
        discourse.question_two_people,
        discourse.question_who,
        discourse.question_what,
        discourse.question_count,
    ),
    "distractor": (
        discourse.distractor_clause,
        discourse.distractor_apposition,
        discourse.distractor_place,
    ),
    "coreference": (
        discourse.coreference_next,
        discourse.coreference_owner,
        discourse.coreference_because,
    ),
}
"""What the pairs exercise; each phenomenon is drawn equally often, and so is each of its builders."""

Schedule = tuple[tuple[str, Builder], ...]

EVEN: Schedule = tuple(
    (phenomenon, builders[turn % len(builders)])
    for turn in range(lcm(*map(len, PHENOMENA.values())))
    for phenomenon, builders in PHENOMENA.items()
)
"""Phenomena and builders in the order in which they are drawn for measuring."""

HARD = (
    events.negation_but,
    events.negation_state,
    relations.capital,
    relations.comparative,
    relations.counting,
    relations.more_converse,
    discourse.question_count,
    discourse.question_two_people,
    discourse.question_what,
    discourse.distractor_clause,
    discourse.coreference_because,
    discourse.coreference_next,
    discourse.coreference_owner,
)
"""Builders that small models learn late."""

PRACTICE: Schedule = tuple(
    (phenomenon, builder)
    for phenomenon, builders in PHENOMENA.items()
    for builder in builders
    for _ in range(1 + (builder in HARD))
)
"""The order for training: each builder once, the hard ones twice."""


@dataclass(frozen=True)
class Mention:
    """Words `start` to `end` (exclusive, counted from 0) of side "a" or "b"."""

    side: str
    start: int
    end: int


@dataclass(frozen=True)
class Chain:
    """Two or more mentions of one entity over both sides of a pair."""

    entity: str
    mentions: tuple[Mention, ...]


@dataclass(frozen=True)
class Pair:
    """A labelled sentence pair with its gold annotations.

    Word positions count the words (punctuation included) of a whole side from 0. The deciding words of A are those the
    label hangs on; the deciding words of B are those in which it differs from its twin with the other label.
    """

    sentences_a: tuple[Sentence, ...]
    sentences_b: tuple[Sentence, ...]
    label: int
    phenomenon: str
    builder: str
    deciding_a: tuple[int, ...]
    deciding_b: tuple[int, ...]
    chains: tuple[Chain, ...]

    @property
    def text_a(self) -> str:
        """Sentence A as it is written."""
        return " ".join(sentence.text for sentence in self.sentences_a)

    @property
    def text_b(self) -> str:
        """Sentence B as it is written."""
        return " ".join(sentence.text for sentence in self.sentences_b)

    def deciding_characters(self, side: str) -> list[list[int]]:
        """Return [start, end) characters of the deciding words of side "a" or "b"."""
        sentences, positions = (
            (self.sentences_a, self.deciding_a) if side == "a" else (self.sentences_b, self.deciding_b)
        )
        spans = word_spans(sentences)
        return [spans[position] for position in positions]

    def record(self) -> dict[str, object]:
        """Return the pair without its trees as a JSON-safe dictionary."""
        return {
            "text_a": self.text_a,
            "text_b": self.text_b,
            "label": self.label,
            "phenomenon": self.phenomenon,
            "builder": self.builder,
            "deciding_a": list(self.deciding_a),
            "deciding_b": list(self.deciding_b),
            "words_a": word_spans(self.sentences_a),
            "words_b": word_spans(self.sentences_b),
            "coreference": [
                {"entity": chain.entity, "mentions": [[m.side, m.start, m.end] for m in chain.mentions]}
                for chain in self.chains
            ],
        }


def word_spans(sentences: tuple[Sentence, ...]) -> list[list[int]]:
    """Return [start, end) characters of every word in the text of the sentences."""
    spans, position = [], 0
    for sentence in sentences:
        for word in sentence.words:
            spans.append([position, position + len(word.form)])
            position += len(word.form) + word.space_after
    return spans


def _shifted(sentences: tuple[Sentence, ...]) -> tuple[list[Span], tuple[int, ...]]:
    """Return mentions and deciding positions counted over all the sentences."""
    mentions: list[Span] = []
    deciding: list[int] = []
    offset = 0
    for sentence in sentences:
        mentions += [Span(m.entity, m.start + offset, m.end + offset) for m in sentence.mentions]
        deciding += [position + offset for position in sentence.deciding]
        offset += len(sentence.words)
    return mentions, tuple(deciding)


def _chains(mentions_a: list[Span], mentions_b: list[Span]) -> tuple[Chain, ...]:
    by_entity: dict[str, list[Mention]] = {}
    for side, mentions in (("a", mentions_a), ("b", mentions_b)):
        for mention in mentions:
            by_entity.setdefault(mention.entity, []).append(Mention(side, mention.start, mention.end))
    return tuple(Chain(entity, tuple(found)) for entity, found in by_entity.items() if len(found) > 1)


def _differences(own: Sentence, twin: Sentence) -> tuple[int, ...]:
    """Return the positions of words, articles and punctuation apart, in which a sentence differs from its twin.

    In twins of one length these are the positions that hold another word, otherwise the words that the twin lacks, or
    the root if the twin only adds words to it.
    """
    words, others = ([word.form.lower() for word in sentence.words] for sentence in (own, twin))
    if len(words) == len(others):
        differs = [word != other for word, other in zip(words, others, strict=True)]
    else:
        differs = [word not in others for word in words]
        differs = differs if any(differs) else [word.head == 0 for word in own.words]
    plain = ("DET", "PUNCT")
    return tuple(i for i, word in enumerate(own.words) if differs[i] and word.upos not in plain)


def build_twins(phenomenon: str, builder: Builder, seed: str, held_out: bool) -> tuple[Pair, Pair]:
    """Build the supported and the unsupported pair of one scenario; the same arguments give the same pairs."""
    drafts = [builder(Draw(seed, held_out), label) for label in (True, False)]
    pairs = []
    for label, made, twin in ((1, drafts[0], drafts[1]), (0, drafts[1], drafts[0])):
        mentions_a, deciding_a = _shifted(made.a)
        mentions_b, _ = _shifted((made.b,))
        deciding_b = _differences(made.b, twin.b)
        chains = _chains(mentions_a, mentions_b)
        pairs.append(Pair(made.a, (made.b,), label, phenomenon, builder.__name__, deciding_a, deciding_b, chains))
    return pairs[0], pairs[1]


def generate(seed: int, n: int, *, held_out: bool = False, schedule: Schedule = EVEN) -> Iterator[Pair]:
    """Yield `n` different pairs; the twins of a scenario follow each other, the supported one first.

    Args:
        seed: same seed, same pairs.
        n: how many; labels are balanced if it is even.
        held_out: take the couples of names that training never brings together.
        schedule: which builders to use, in turn.
    """
    seen: set[tuple[str, str]] = set()
    made = attempt = 0
    while made < n:
        phenomenon, builder = schedule[attempt % len(schedule)]
        twins = build_twins(phenomenon, builder, f"{seed}/{attempt}", held_out)
        attempt += 1
        texts = {(pair.text_a, pair.text_b) for pair in twins}
        if texts & seen:
            continue
        seen |= texts
        yield from twins[: n - made]
        made += 2


def write_jsonl(pairs: list[Pair]) -> str:
    """Return the pairs as JSON lines, without their trees."""
    return "".join(json.dumps(pair.record()) + "\n" for pair in pairs)


def write_conllu(pairs: list[Pair]) -> str:
    """Return the trees of all sentences; `sent_id` is pair number, side and sentence number, as in "7-a-1"."""
    blocks = []
    for number, pair in enumerate(pairs):
        for side, sentences in (("a", pair.sentences_a), ("b", pair.sentences_b)):
            blocks += [s.conllu(f"{number}-{side}-{i}") for i, s in enumerate(sentences, start=1)]
    return "".join(blocks)
