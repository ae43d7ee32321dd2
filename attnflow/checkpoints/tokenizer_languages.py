"""Tokenizers that write a language beside a text, such as mBART's and NLLB's: which, and in its place another.

transformers changes such a tokenizer from one language to the other and back while it reads a target; here a text is
cut once, and the piece that stands for its language is exchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from attnflow.checkpoints.tokenizer_pieces import PairPieces


def translates(tokenizer: PreTrainedTokenizerBase, cut: PairPieces) -> tuple[str, str] | None:
    """The pieces that stand for the languages of sources and targets; None if nothing tells any.

    That of a source is the one token that is written beside a text and has no other name; a target has the one of the
    settings in its place or, if they tell none, the same.

    Args:
        tokenizer: As transformers reads it.
        cut: What it makes of any text.
    """
    made: Any = tokenizer  # the attributes are those of some classes
    read, told = (getattr(made, name, None) or made.init_kwargs.get(name) for name in ("src_lang", "tgt_lang"))
    if read is None and told is None:
        return None
    beside = [piece for piece, part in zip(cut.pieces, cut.sentence, strict=True) if part is None]
    codes = [piece for piece in beside if piece not in _named(made)]
    if told in getattr(made, "lang_code_to_token", ()):  # M2M100's languages have names that are no pieces
        told = made.get_lang_token(told)
    target = codes[0] if told is None and codes else str(told)
    return (codes[0], target) if len(codes) == 1 and target in made.get_vocab() else None


def beginnings(tokenizer: PreTrainedTokenizerBase, cut: PairPieces, source: str) -> tuple[str, ...]:
    """What may begin a text to say in which language it is: none where the language of a source stands at its end.

    Args:
        tokenizer: As transformers reads it.
        cut: What it makes of any text.
        source: What stands for the language of sources.
    """
    made: Any = tokenizer
    return tuple(str(one) for one in made.all_special_tokens if one not in _named(made)) * (cut.pieces[0] == source)


def begun(text: str, codes: Sequence[str]) -> tuple[str, str]:
    """The language that a text begins with, or nothing, and the rest of it."""
    code = next((one for one in codes if text == one or text.startswith(f"{one} ")), "")
    return code, text[len(code) :].lstrip() if code else text


def in_language(cut: PairPieces, source: str, code: str, index: int, before: int, *, is_written: bool) -> PairPieces:
    """What was cut as a source, in another language.

    Args:
        cut: It.
        source: What stands for the language of sources.
        code: What stands for its own.
        index: The number of that.
        before: How many characters of the first sentence stood before what was cut.
        is_written: Whether the language is the first of these characters, and so a part of the sentence.
    """
    at = list(zip(cut.pieces, cut.sentence, strict=True)).index((source, None))
    spans = zip(cut.offsets, cut.sentence, strict=True)
    offsets = [(start + before, end + before) if part == 0 else (start, end) for (start, end), part in spans]
    pieces, sentence, inputs = list(cut.pieces), list(cut.sentence), {name: list(x) for name, x in cut.inputs.items()}
    pieces[at], inputs["input_ids"][at] = code, index
    if is_written:
        sentence[at], offsets[at] = 0, (0, len(code))
    return PairPieces(cut.count, inputs, pieces, sentence, offsets)


def _named(tokenizer: Any) -> set[str | None]:
    """Special tokens that have a name of their own."""
    return {getattr(tokenizer, f"{name}_token") for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask")}
