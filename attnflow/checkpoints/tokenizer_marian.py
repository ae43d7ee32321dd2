"""Marian's tokenizer as it lies on the Hub: a SentencePiece model for sources, one for targets, and numbers apart.

transformers cuts texts by it and does not say where the pieces stand. SentencePiece does; each time, its pieces are
compared with those that transformers gives to the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transformers.models.marian.tokenization_marian import MarianTokenizer

from attnflow.checkpoints.sentencepiece_places import Placed, cut_texts, holds, surfaces, with_special
from attnflow.checkpoints.tokenizer_pieces import PairPieces

_FILES = ("source.spm", "target.spm", "vocab.json")


class TwoModels(MarianTokenizer):
    """transformers' own, which asks for no further package: what that would do to a text, it does to none."""

    def _setup_normalizer(self) -> None:
        self.punc_normalizer = str


def has_two_models(folder: Path) -> bool:
    """Whether the tokenizer in a folder is Marian's; transformers reads it so, whatever `tokenizer.json` there is."""
    return holds(folder, _FILES, "marian")


def cut(tokenizer: TwoModels, text_a: str, text_b: str | None, *, target: bool) -> PairPieces:
    """What transformers makes of a text, or of a pair, with the place of every piece.

    Args:
        tokenizer: Which changes on the way, so that one thread at a time may use it.
        text_a: The text.
        text_b: A second one, which transformers runs together with the first.
        target: Whether they are written by the decoder, so that the model of targets cuts them.

    Raises:
        ValueError: If SentencePiece and transformers disagree about the pieces.
    """
    texts = [text_a] if text_b is None else [text_a, text_b]
    made = tokenizer(text_target=text_a, text_pair_target=text_b) if target else tokenizer(text_a, text_b)
    own: Any = tokenizer  # which declares no types
    vocabulary: dict[str, int] = own.target_encoder if target and tokenizer.separate_vocabs else own.encoder
    model = tokenizer.spm_target if target else tokenizer.spm_source

    def cutter(part: str, start: int) -> Iterator[Placed]:
        """A language in `>>...<<`, and what SentencePiece cuts."""
        code, rest = tokenizer.remove_language_code(part)
        begin = start + len(part) - len(rest)
        yield from ((one, (start, begin)) for one in code)
        yield from surfaces(model, rest, begin)

    found = cut_texts(tokenizer, texts, vocabulary, cutter)
    return with_special(tokenizer, found, [], [own.eos_token_id], made["input_ids"])
