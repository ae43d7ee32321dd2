"""Two traces of one sentence pair on common tokens: piece by piece, or word by word where the tokenizers differ."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from attnflow.records.root import as_root, tokens_of
from attnflow.records.trace import SPECIAL, Tokens, Trace
from attnflow.records.words import CONTINUES, Span, join_words, word_of_piece


@dataclass(frozen=True)
class Pairing:
    """Two traces and the list of `U` units on which they are compared."""

    a: Trace
    b: Trace
    text: tuple[str, ...]
    """`[U]`: what a reader sees."""
    sentence: NDArray[np.int8]
    """`[U]`: 0, 1 or `SPECIAL`; `AGAIN` more where a decoder reads it again."""
    in_a: NDArray[np.int32]
    """`[U]`: the token of `a.tokens` that stands for a unit, or -1 where A has none (GPT-2 has no `[SEP]`)."""
    in_b: NDArray[np.int32]
    """`[U]`: the same for B."""
    unit: str
    """`piece` or `word`."""
    lines: tuple[int, ...] = ()
    """The units with which a line begins where they are written out, besides the first (`line_starts`)."""


def line_starts(sentence: NDArray[np.int8], target: NDArray[np.bool_]) -> tuple[int, ...]:
    """The units with which the second sentence begins, and what a decoder reads, with the token that begins it.

    Args:
        sentence: `[U]` as `Tokens.sentence`.
        target: `[U]`: whether a decoder reads a unit, beside its encoder.
    """
    starts = np.flatnonzero(target & ~np.concatenate(([False], target[:-1]))).tolist()
    second = np.flatnonzero((sentence == 1) & ~target)[:1].tolist()
    return tuple(sorted({*starts, *second} - {0}))


def merge_words(trace: Trace, word: NDArray[np.int32] | None = None) -> Trace:
    """Merge the pieces of each word.

    Attention, or contribution, *to* a split word is the sum over its pieces; that *from* it and all its vectors are the
    mean.

    Args:
        trace: A trace whose tokens are pieces.
        word: `[T]`: the word of each piece, numbered from 0 in order of first appearance; `trace.tokens.word` if None.

    Returns:
        A trace over words; rows of attention still sum to 1.

    Reference:
        Clark et al., "What Does BERT Look At?", section 4.1.
    """
    word = trace.tokens.word if word is None else word
    member = np.zeros((int(word.max()) + 1, len(word)), np.float32)
    member[word, np.arange(len(word))] = 1
    mean = member / member.sum(axis=1, keepdims=True)
    return replace(
        trace,
        tokens=_merge_tokens(trace.tokens, word),
        attention=mean @ trace.attention @ member.T,
        hidden=mean @ trace.hidden,
        head_output=np.einsum("wt,lthk->lwhk", mean, trace.head_output),
        root=as_root(word[list(tokens_of(trace.root))]),
        value_norms=None,
        token_scores=None,
        no_value_norms="of a word that is several pieces there is no single value",
        contributions=None if trace.contributions is None else mean @ trace.contributions @ member.T,
    )


def _merge_tokens(tokens: Tokens, word: NDArray[np.int32]) -> Tokens:
    groups = [np.flatnonzero(word == index) for index in range(int(word.max()) + 1)]
    return Tokens(
        text=tuple(_joined_text(tokens, group) for group in groups),
        piece=tuple(" ".join(tokens.piece[i] for i in group) for group in groups),
        sentence=tokens.sentence[[group[0] for group in groups]],
        word=np.arange(len(groups), dtype=np.int32),
        span=np.asarray([(tokens.span[g, 0].min(), tokens.span[g, 1].max()) for g in groups], np.int32),
        unit="word",
        n_source=None if tokens.n_source is None else sum(int(group[0]) < tokens.n_source for group in groups),
    )


def _joined_text(tokens: Tokens, group: NDArray[np.int64]) -> str:
    """Text of some pieces in a row; pieces that share characters (the bytes of an emoji) count once."""
    text, end = "", -1
    for position in map(int, group):
        if tokens.sentence[position] == SPECIAL:
            text += tokens.text[position]
        elif max(end, tokens.span[position, 0]) < tokens.span[position, 1]:
            text += tokens.text[position].removeprefix(CONTINUES)
            end = tokens.span[position, 1]
    return text or tokens.text[int(group[0])]


def same_pieces(a: Tokens, b: Tokens) -> bool:
    """Whether two tokenizations are the same, so that they can be compared piece by piece."""
    return a.piece == b.piece and np.array_equal(a.sentence, b.sentence) and a.n_source == b.n_source


def pair_traces(a: Trace, b: Trace, unit: str = "piece") -> Pairing:
    """Bring two traces of one sentence pair to common units.

    Args:
        a: Trace of model A.
        b: Trace of model B on the same texts; depth, heads and tokenizer may differ.
        unit: `piece`, or `word` to merge the pieces of words in any case. Different tokenizers are always compared word
            by word: a word is the smallest range of characters that no piece of either tokenizer crosses, and the
            special tokens before, between and after the sentences are one unit each.
    """
    if same_pieces(a.tokens, b.tokens):
        if unit == "word":
            a, b = merge_words(a), merge_words(b)
        same = np.arange(len(a.tokens), dtype=np.int32)
        lines = line_starts(a.tokens.sentence, a.tokens.in_target)
        return Pairing(a, b, a.tokens.text, a.tokens.sentence, same, same, unit, lines)
    places_a, places_b = _common_places(a.tokens, b.tokens)
    order = sorted({*places_a, *places_b})
    a, in_a = _merge_places(a, places_a, order)
    b, in_b = _merge_places(b, places_b, order)
    texts = [
        _unit_text(a.tokens.text[i] if i >= 0 else None, b.tokens.text[j] if j >= 0 else None)
        for i, j in zip(map(int, in_a), map(int, in_b), strict=True)
    ]
    sentence = np.asarray([SPECIAL if part % 2 == 0 else part // 2 for part, _ in order], np.int8)
    target = np.zeros(len(order), bool)
    for tokens, places in ((a.tokens, in_a), (b.tokens, in_b)):
        target |= (places >= 0) & tokens.in_target[places]
    return Pairing(a, b, tuple(texts), sentence, in_a, in_b, "word", line_starts(sentence, target))


def pieces_of(unit: int, units: Tokens, pieces: Tokens) -> list[int]:
    """The pieces that a unit was merged from.

    Args:
        unit: One of `units`.
        units: What a `Pairing` has of one model: its pieces, or what they were merged to.
        pieces: The pieces themselves.
    """
    if len(units) == len(pieces):
        return [unit]
    part = int(units.sentence[unit])
    if part != SPECIAL:
        low, high = units.span[unit]
        inside = (pieces.sentence == part) & (pieces.span[:, 0] >= low) & (pieces.span[:, 1] <= high)
        return np.flatnonzero(inside).tolist()
    own, all_ = (np.flatnonzero(tokens.sentence == SPECIAL).tolist() for tokens in (units, pieces))
    if len(own) == len(all_):
        return [all_[own.index(unit)]]
    return [piece for piece in all_ if _stands(piece, pieces) == _stands(unit, units)]


def _stands(special: int, tokens: Tokens) -> Place:
    """Where a special token stands."""
    before = tokens.sentence[:special][tokens.sentence[:special] != SPECIAL]
    return (2 * int(before[-1]) + 2 if len(before) else 0), int(tokens.in_target[special])


Place = tuple[int, int]
"""Where a unit stands: part 1 and 3 are the sentences, 5 and 7 the same where a decoder reads them again, 0 the special
tokens before them and 2, 4, 6, 8 those after each; then the number of the word in its sentence, or 1 for the special
tokens of what a decoder reads beside its encoder."""


def _common_places(a: Tokens, b: Tokens) -> tuple[list[Place], list[Place]]:
    common = [join_words(_word_ranges(a, part), _word_ranges(b, part)) for part in (0, 1)] * 2
    return _places(a, common), _places(b, common)


def _word_ranges(tokens: Tokens, sentence: int) -> list[Span]:
    """The characters of the words of one sentence."""
    inside = np.flatnonzero(tokens.sentence == sentence)
    words = dict.fromkeys(tokens.word[inside].tolist())
    groups = [inside[tokens.word[inside] == word] for word in words]
    return [(int(tokens.span[g, 0].min()), int(tokens.span[g, 1].max())) for g in groups]


def _places(tokens: Tokens, words: list[list[Span]]) -> list[Place]:
    places: list[Place] = []
    for position, part in enumerate(map(int, tokens.sentence)):
        if part != SPECIAL:
            span = (int(tokens.span[position, 0]), int(tokens.span[position, 1]))
            places.append((2 * part + 1, word_of_piece(words[part], span) if words[part] else 0))
        else:
            places.append(_stands(position, tokens))
    return places


def _merge_places(trace: Trace, places: list[Place], order: list[Place]) -> tuple[Trace, NDArray[np.int32]]:
    own = [place for place in order if place in set(places)]
    merged = merge_words(trace, np.asarray([own.index(place) for place in places], np.int32))
    return merged, np.asarray([own.index(place) if place in own else -1 for place in order], np.int32)


def _unit_text(a: str | None, b: str | None) -> str:
    if a is None or b is None or a == b:
        return a or b or ""
    return f"{a} / {b}"
