"""Words and pieces: where the words of a text are, and which piece belongs to which.

A *piece* is what a tokenizer makes, a *word* is what a reader sees. Words are defined by the text alone, so that two
checkpoints with different tokenizers can be compared word by word.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Literal, get_args

from attnflow.errors import SelectionError

Span = tuple[int, int]
"""Characters `start` to `end` (exclusive) of a text."""

CONTINUES = "·"
"""Mark before the display text of a piece that does not start its word."""

Unit = Literal["word", "piece"]
"""What a text is shown, compared and ranked by: words, or the pieces of a tokenizer."""

SPACE = "\u2581"
"""Display text of a piece that is nothing but a space."""

_SPACE_MARKS = "\u2581\u0120"  # SentencePiece, byte-level BPE
_PRINTED = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_BYTES = {chr(byte): byte for byte in _PRINTED} | {
    chr(0x100 + number): byte for number, byte in enumerate(sorted({*range(0x100)} - {*_PRINTED}))
}
"""The byte that each letter of a byte-level vocabulary (GPT-2's) stands for."""
_BYTE = re.compile(r"<0x([0-7][0-9A-F])>", re.ASCII)
"""Of a SentencePiece vocabulary, one that is a character by itself."""
_UNSEEN = {
    SPACE: "a space",
    " ": "a space",
    "\u00a0": "a no-break space",
    "⏎": "a line break",
    "\n": "a line break",
    "\r": "a carriage return",
    "⇥": "a tab",
    "\t": "a tab",
    "\u00ad": "a soft hyphen",
    "\u200b": "a zero-width space",
    "\u200c": "a zero-width non-joiner",
    "\u200d": "a zero-width joiner",
    "\ufeff": "a byte order mark",
}
"""What cannot be seen, and the signs that stand for it."""
_SHOWN = re.compile(r"\S+")
_ASCII_WORD = re.compile(r"(?:[A-Za-z0-9_]|(?<=[A-Za-z0-9])'(?=[A-Za-z])|(?<=[0-9])[.,;'](?=[0-9]))+|\S")
"""The rules below for plain letters, many times faster."""
_JOINED = re.compile(r"(?<=\d)['\u2019](?=[^\W\d_])")
"""Apostrophes inside a word that Unicode's rules would cut there: `1990's`."""
_CUT = re.compile(r"[.:\u2024\ufe13\ufe52\ufe55\uff0e\uff1a](?!\d)")
"""Full stops and colons that Unicode's rules would join to the letters around them, a sentence to the next where
nobody wrote a space between: `end.The`."""
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\ua9e0-\ua9ff\uaa60-\uaa7f"  # Thai, Lao, Burmese, Khmer
_LETTER = rf"[^\W{_UNSPACED}]"
_BORDER = re.compile(rf"(?<={_LETTER})(?=[{_UNSPACED}])|(?<=[{_UNSPACED}])(?={_LETTER})")
"""Where another script begins that Unicode's rules take for part of the same word."""
_NO_DICTIONARY = re.compile("[\u1950-\u19df\u1a20-\u1aaf\u1b00-\u1b7f\ua980-\ua9df\uaa80-\uaadf\U00011700-\U0001174f]")
"""Scripts without spaces between words whose words Unicode's dictionaries do not know: Tai Le, New Tai Lue, Tai Tham,
Balinese, Javanese, Tai Viet, Ahom."""


def check_unit(unit: str) -> Unit:
    """Return a unit of comparison.

    Raises:
        SelectionError: If it is neither `word` nor `piece`.
    """
    for known in get_args(Unit):
        if unit == known:
            return known
    raise SelectionError(f"unit is {unit!r}; give 'piece' or 'word'.")


def word_spans(text: str) -> list[Span]:
    """Cut a text into words.

    They are those of Unicode's word boundaries (UAX #29, by ICU): letters, digits, their marks and what joins them run
    together (`isn't`, `1,000.50`, a soft hyphen), and any other sign is a word of its own, a composed emoji included.
    Chinese, Japanese, Thai, Lao, Khmer and Burmese, which write no spaces between words, are cut by ICU's dictionaries.
    We depart from that in four places: other such scripts are cut into grapheme clusters, not left whole, and a script
    without spaces is cut from the letters of others beside it; a full stop or colon between letters is a sign
    (`e.g.`, `end.The`); and an apostrophe between a digit and a letter is none (`1990's`).

    Args:
        text: Any text.

    Returns:
        Ranges in order, disjoint, that together cover every character but white space.

    Example:
        >>> word_spans("It isn't far.")
        [(0, 2), (3, 8), (9, 12), (12, 13)]
    """
    if text.isascii():
        return [found.span() for found in _ASCII_WORD.finditer(text)]
    from icu4py.breakers import CharacterBreaker, WordBreaker  # brings Unicode's data, which few texts need

    # With a letter or a sign in the place of what is treated otherwise, ICU cuts as we do.
    read, spans, start = _CUT.sub("!", _JOINED.sub("_", text)), list[Span](), 0
    for part in (part for run in _BORDER.split(read) for part in WordBreaker(run, "en")):
        first = len(spans)
        for piece in CharacterBreaker(part, "en") if _NO_DICTIONARY.search(part) else (part,):
            if len(spans) > first and unicodedata.category(piece[0]).startswith("M"):
                spans[-1] = (spans[-1][0], start + len(piece))  # some vowel signs are clusters of their own
            else:
                spans += [(start + found.start(), start + found.end()) for found in _SHOWN.finditer(piece)]
            start += len(piece)
    return spans


def piece_span(text: str, piece: str, offsets: Span) -> Span:
    """The characters a piece shows: its offsets without the white space that byte-level tokenizers include.

    A piece that is nothing but a mark for a space shows none, although some tokenizers give it the letter after it;
    its range is empty and lies where the next word begins.
    """
    start, end = offsets
    if not piece.strip(_SPACE_MARKS):
        while start < len(text) and text[start].isspace():
            start += 1
        return start, start
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def entry_text(entry: str) -> str:
    """What a reader sees for an entry of a vocabulary that shows no character of a text, without a mark for a space.

    It stands in no text, is a special token, or nothing but a space.

    Bytes as byte-level tokenizers and SentencePiece write them become the characters that they are, where they are
    whole ones.

    Example:
        >>> [entry_text(entry) for entry in ("##able", "\u0120book", "\u2581book", "caf\u00c3\u00a9", "<0x0A>")]
        ['·able', 'book', 'book', 'café', '⏎']
    """
    if entry.startswith("##") and len(entry) > 2:
        return CONTINUES + entry[2:]
    byte = _BYTE.fullmatch(entry)
    text = chr(int(byte[1], 16)) if byte else entry
    if not entry.isascii() and all(character in _BYTES for character in entry):
        try:
            text = bytes(_BYTES[character] for character in entry).decode()
        except UnicodeDecodeError:  # part of a character
            text = entry
    return text.strip(_SPACE_MARKS).strip(" ").replace("\n", "⏎").replace("\t", "⇥") or SPACE


def unseen(text: str) -> str:
    r"""What a text is, in words, of which nothing can be seen; empty for any other. `shared/words.js` says the same.

    Example:
        >>> [unseen(text) for text in ("\u2581", "⏎⏎", "\u200b\t", "\u2060", "", "book")]
        ['a space', '2 line breaks', 'a zero-width space and a tab', 'U+2060', 'nothing', '']
    """
    if not all(one in _UNSEEN or unicodedata.category(one)[0] in "CZ" for one in text):
        return ""
    told = list[str]()
    for one, alike in groupby(text):
        count, name = len(list(alike)), _UNSEEN.get(one, f"U+{ord(one):04X}")
        told.append(name if count == 1 else f"{count} {name.removeprefix('a ')}{'s' * (one in _UNSEEN)}")
    return " and ".join(told) or "nothing"


def quoted(text: str) -> str:
    """How a sentence names a token: in quotes, or in words if nothing of it can be seen.

    Example:
        >>> quoted("book"), quoted("\u2581")
        ('“book”', 'a space')
    """
    return unseen(text) or f"“{text}”"


def told_apart(text: Sequence[str], sentence: Sequence[int]) -> list[str]:
    """How a sentence names each unit of a pair: in quotes, and words that occur more than once with which one is meant.

    Args:
        text: `[T]`: what a reader sees of each unit.
        sentence: `[T]`: 0 or 1, -1 for special tokens; 2 and 3 where a decoder reads both again.

    Example:
        >>> told_apart(["the", "cook", "the", "cook", "the"], [0, 0, 0, 1, 1])
        ['“the” (1st)', '“cook” (1st sentence)', '“the” (2nd)', '“cook” (2nd sentence)', '“the” (3rd)']
        >>> told_apart(["cook", "cook"], [0, 2])
        ['“cook”', '“cook” (in the decoder)']
    """
    plain = [one.removeprefix(CONTINUES) or one for one in text]
    places: dict[tuple[str, bool], list[int]] = {}
    for index, word in enumerate(plain):
        places.setdefault((word, sentence[index] > 1), []).append(index)
    names = [quoted(word) for word in plain]
    for (_, again), alike in places.items():
        one_each = [int(sentence[index]) for index in alike] in ([0, 1], [2, 3])
        for number, index in enumerate(alike, start=1):
            told = f"{_ordinal(number)}{' sentence' if one_each else ''}" if len(alike) > 1 else ""
            told = ", ".join(filter(None, (told, "in the decoder" if again else "")))
            names[index] += f" ({told})" if told else ""
    return names


def _ordinal(number: int) -> str:
    """The number as 1st, 2nd, 3rd, 4th, 11th."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def join_words(words: Sequence[Span], *tokenizations: Iterable[Span]) -> list[Span]:
    """Join words until every piece lies in one word and every word has a piece, in each tokenization.

    Most tokenizers never cross a word. Some do (a SentencePiece entry for two Chinese characters, `."` in byte-level
    BPE), and some drop characters; the joined words are the finest ones that all of them can be compared on.

    Args:
        words: Disjoint ranges in order.
        *tokenizations: For each tokenizer, the trimmed ranges of its pieces of the same text.

    Returns:
        Disjoint ranges in order; empty if a tokenization has no piece that shows a character.

    Example:
        >>> join_words([(0, 1), (1, 2), (2, 3)], [(0, 2), (2, 3)])
        [(0, 2), (2, 3)]
    """
    joined = list(words)
    for pieces in tokenizations:
        shown = [span for span in pieces if span[0] < span[1]]
        for start, end in shown:
            first, last = _touched(joined, start, end)
            if last > first:
                joined[first : last + 1] = [(joined[first][0], joined[last][1])]
        touched = (_touched(joined, start, end) for start, end in shown)
        covered = {first for first, last in touched if first <= last}  # by now a piece lies in one word
        kept: list[Span] = []
        orphan: Span | None = None  # words at the beginning that no piece shows go to the word after them
        for index, word in enumerate(joined):
            if index in covered:
                kept.append(word if orphan is None else (orphan[0], word[1]))
                orphan = None
            elif kept:
                kept[-1] = (kept[-1][0], word[1])
            else:
                orphan = word if orphan is None else (orphan[0], word[1])
        joined = kept
    return joined


def _touched(words: Sequence[Span], start: int, end: int) -> Span:
    """First and last of some disjoint words in order that share a character with a range; last < first if none does."""
    return _first_beyond(words, start), bisect_left(words, end, key=lambda word: word[0]) - 1


def _first_beyond(words: Sequence[Span], place: int) -> int:
    """The first word that ends beyond a place."""
    return bisect_right(words, place, key=lambda word: word[1])


def word_of_piece(words: Sequence[Span], span: Span) -> int:
    """Index of the word a piece belongs to.

    Args:
        words: Joined words (see `join_words`), at least one.
        span: Trimmed range of the piece. An empty one (a lone space mark) belongs to the word that follows it.
    """
    first, last = _touched(words, *span)
    if last >= first:
        return first
    return min(_first_beyond(words, span[0]), len(words) - 1)
