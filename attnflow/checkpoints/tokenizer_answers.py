"""Checks what a tokenizer's process answers: whoever spoiled its memory decides what it says.

Each function gives what it was given back, or raises a ValueError, TypeError or KeyError.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from attnflow.checkpoints.tokenizer_pieces import PairPieces
from attnflow.checkpoints.tokenizer_reader import TokenizerFacts

_LONGEST_PIECE = 1_000
"""Characters of what a piece is called."""
_MOST_TOLD = 100_000
"""Special tokens that no file gives a number, which settings may name, or sentences."""


def _expect(true: bool) -> None:
    if not true:
        raise ValueError


def numbers(found: Any, most: int = 2**31 - 1) -> list[int]:
    """Numbers of pieces or characters."""
    _expect(isinstance(found, list) and all(type(number) is int and 0 <= number <= most for number in found))
    return found


def names(found: Any, count: int) -> list[str | None]:
    """Names of pieces, as many as expected."""
    _expect(isinstance(found, list) and len(found) == count)
    _expect(all(name is None or (isinstance(name, str) and len(name) <= _LONGEST_PIECE) for name in found))
    return found


def text(found: Any, count: int) -> str:
    """What so many pieces say."""
    _expect(isinstance(found, str) and len(found) <= _LONGEST_PIECE * count)
    return found


def facts(found: Any) -> TokenizerFacts:
    """What a tokenizer tells of itself."""
    _expect(set(found) == {field.name for field in fields(TokenizerFacts)})
    numbers([found["size"]])
    numbers([found[name] for name in ("mask", "pad", "unknown") if found[name] is not None])
    _expect(type(found["longest"]) is int and type(found["marks_start"]) is bool)
    _expect(type(found["has_chat_template"]) is bool)
    _expect(found["truncation_side"] in ("left", "right"))
    names([found["mask_token"], *found["languages"]], 1 + len(found["languages"]))
    for several in (found["unnumbered"], found["notes"]):
        _expect(isinstance(several, list) and len(several) <= _MOST_TOLD and None not in names(several, len(several)))
    if found["translates"] is not None:
        _expect(None not in names(found["translates"], 2))
    both = None if found["translates"] is None else tuple(found["translates"])
    apart = {
        "special": frozenset(numbers(found["special"])),
        "languages": tuple(found["languages"]),
        "translates": both,
        "unnumbered": tuple(found["unnumbered"]),
        "notes": tuple(found["notes"]),
    }
    return TokenizerFacts(**(found | apart))


def pair(found: Any, text_a: str, text_b: str, most: int) -> PairPieces:
    """A pair whose lists fit each other and the texts."""
    count = numbers([found["count"]])[0]
    if count > most and not found["pieces"]:
        return PairPieces(count)
    lists = [found["pieces"], found["sentence"], found["offsets"], *found["inputs"].values()]
    _expect(all(isinstance(values, list) and len(values) == count for values in lists))
    _expect(set(found["inputs"]) - {"token_type_ids"} == {"input_ids", "attention_mask"})
    for values in found["inputs"].values():
        numbers(values)
    _expect(None not in names(found["pieces"], count))
    _expect(all(part is None or (type(part) is int and part in (0, 1)) for part in found["sentence"]))
    offsets: list[tuple[int, int]] = []
    for part, span in zip(found["sentence"], found["offsets"], strict=True):
        length = max(len(text_a), len(text_b)) if part is None else len(text_b if part else text_a)
        start, end = numbers(span)
        _expect(start <= end <= length)
        offsets.append((start, end))
    separator = found["separator"]
    names([separator], 1)
    return PairPieces(count, found["inputs"], found["pieces"], found["sentence"], offsets, separator)
