"""Guesses which column of a source is a text, a label or a name, and lets whoever asks know better."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from attnflow.errors import SelectionError, TextsError
from attnflow.records.texts import Columns

_PAIRS = (
    ("sentence1", "sentence2"),
    ("sentencea", "sentenceb"),
    ("premise", "hypothesis"),
    ("texta", "textb"),
    ("text1", "text2"),
    ("question1", "question2"),
    ("1string", "2string"),
    ("string1", "string2"),
    ("question", "sentence"),
    ("question", "context"),
    ("question", "passage"),
    ("query", "passage"),
    ("query", "document"),
    ("claim", "evidence"),
    ("anchor", "positive"),
    ("s1", "s2"),
)
_SINGLES = (
    *("text", "sentence", "content", "review", "comment", "tweet", "document", "passage", "utterance", "question"),
    *("query", "premise", "claim", "body", "description", "string", "input", "texta", "sentence1", "text1", "title"),
)
_LABELS = (
    *("goldlabel", "label", "labels", "class", "target", "quality", "entailmentjudgment", "entailmentjudgement"),
    *("category", "sentiment", "emotion", "intent", "classindex", "coarselabel", "stars", "rating", "score"),
)
_GUIDS = ("guid", "id", "idx", "uid", "index", "pairid", "exampleid", "sentid", "qid", "unnamed0")

NAMES = frozenset(name for pair in _PAIRS for name in pair) | {*_SINGLES, *_LABELS, *_GUIDS}
"""All names that tell what a column is, as `plain` leaves them."""

Wanted = Columns | Mapping[str, str | None] | None
"""Columns as someone asks for them, by field; None for a field that is not to be used."""
FIELDS = ("text_a", "text_b", "label", "guid")
_MOST_NAMED = 12


def plain(name: str) -> str:
    """A name of a column without what differs from one data set to the next.

    Example:
        >>> plain("#1 String"), plain("gold_label")
        ('1string', 'goldlabel')
    """
    return re.sub(r"[\W_]", "", name).lower()


def guess_columns(columns: Sequence[str], classes: Collection[str] = (), guid: str | None = None) -> Columns | None:
    """What the columns of a source are by the names that are usual; None if none of them names a text.

    Args:
        columns: Names of all columns.
        classes: Those that hold classes whose names are known.
        guid: The one that its format defines as the name of a row.

    Example:
        >>> guess_columns(["idx", "premise", "hypothesis", "label"])
        Columns(text_a='premise', text_b='hypothesis', label='label', guid='idx')
    """
    known = {plain(column): column for column in reversed(columns)}
    label = next((known[name] for name in _LABELS if name in known), next(iter(classes), None))
    guid = guid or next((known[name] for name in _GUIDS if name in known), None)
    pair = next(((known[a], known[b]) for a, b in _PAIRS if a in known and b in known), None)
    if pair is not None:
        return Columns(*pair, label=label, guid=guid)
    single = next((known[name] for name in _SINGLES if name in known), None)
    left = [column for column in columns if column not in (label, guid)]
    if single is None and len(left) == 1:  # whatever it is called
        single = left[0]
    return None if single is None else Columns(single, label=label, guid=guid)


def choose_columns(guessed: Columns | None, wanted: Wanted, columns: Sequence[str], name: str) -> Columns:
    """The columns as guessed, but for what is asked for.

    Whoever names the first text without the second means a single text.

    Args:
        guessed: What `guess_columns` found.
        wanted: What is asked for.
        columns: Names of all columns.
        name: What the source is called, for messages.

    Raises:
        TextsError: If no column is known to hold texts.
        SelectionError: If there is no such field or column, or one is asked for as two texts.
    """
    if isinstance(wanted, Columns):
        return _checked(wanted, columns, name)
    chosen: dict[str, str | None] = dict(_as_mapping(wanted))
    if guessed is None and chosen.get("text_a") is None:
        raise TextsError(
            f"{name} has no column that is known to hold texts; it has {listed(columns)}. Say which one does with "
            'columns={"text_a": "…"}.'
        )
    start = guessed or Columns("")
    if chosen.get("text_a") not in (None, start.text_a):
        start = replace(start, text_b=None)
        used = chosen["text_a"]
        start = replace(
            start,
            label=None if start.label == used else start.label,
            guid=None if start.guid == used else start.guid,
        )
    return _checked(replace(start, **chosen), columns, name)


def _as_mapping(wanted: Any) -> Mapping[str, str | None]:
    if wanted is None:
        return {}
    if not isinstance(wanted, Mapping):
        raise SelectionError(f"columns is {str(wanted)[:60]!r}; give a mapping such as {{'text_a': 'sentence'}}.")
    for field, column in wanted.items():
        if field not in FIELDS:
            raise SelectionError(f"columns names {str(field)[:60]!r}; give columns for {', '.join(FIELDS)}.")
        if column is not None and not isinstance(column, str):
            raise SelectionError(f"columns gives {str(column)[:60]!r} for {field}; give the name of a column, or None.")
    return wanted


def _checked(chosen: Columns, columns: Sequence[str], name: str) -> Columns:
    for field in FIELDS:
        column = getattr(chosen, field)
        if column is not None and column not in columns:
            raise SelectionError(f"{name} has no column {column[:60]!r} for {field}; it has {listed(columns)}.")
    if not chosen.text_a:
        raise SelectionError("columns gives no column for text_a; give one, for without it there is no text.")
    if chosen.text_a == chosen.text_b:
        raise SelectionError(f"columns gives {chosen.text_a!r} for both texts; give two columns, or None for text_b.")
    return chosen


def listed(names: Collection[str]) -> str:
    """Names for a sentence, the first ones if there are many.

    Example:
        >>> listed(["text", "label"])
        "'text', 'label'"
    """
    shown = [repr(name[:60]) for name in list(names)[:_MOST_NAMED]]
    more = len(names) - len(shown)
    return (", ".join(shown) or "none") + (f" and {more:,} more" if more > 0 else "")
