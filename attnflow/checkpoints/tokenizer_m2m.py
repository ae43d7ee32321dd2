"""M2M100's tokenizer as it lies on the Hub: a SentencePiece model of a hundred languages, and numbers apart.

transformers has it in Python alone, which does not say where the pieces stand. SentencePiece does; each time, its
pieces are compared with those that transformers gives to the model. The language before a text is that of sources;
whoever reads a target exchanges it (`tokenizer_languages`).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import cast

from transformers.models.m2m_100.tokenization_m2m_100 import M2M100Tokenizer

from attnflow.checkpoints.sentencepiece_places import cut_texts, holds, surfaces, with_special
from attnflow.checkpoints.tokenizer_pieces import PairPieces

_FILES = ("sentencepiece.bpe.model", "vocab.json")


class ManyLanguages(M2M100Tokenizer):
    """transformers' own, told from those whose pieces have places."""


def has_many_languages(folder: Path) -> bool:
    """Whether the tokenizer in a folder is M2M100's own; where there is a `tokenizer.json`, that decides."""
    return not (folder / "tokenizer.json").exists() and holds(folder, _FILES, "m2m_100")


def cut_source(tokenizer: ManyLanguages, text_a: str, text_b: str | None) -> PairPieces:
    """What transformers makes of a source, or of a pair, with the place of every piece.

    Args:
        tokenizer: As it was read.
        text_a: The text.
        text_b: A second one, which transformers runs together with the first.

    Raises:
        ValueError: If SentencePiece and transformers disagree about the pieces.
    """
    texts = [text_a] if text_b is None else [text_a, text_b]
    vocabulary = cast("dict[str, int]", tokenizer.encoder)  # whatever JSON there was
    found = cut_texts(tokenizer, texts, vocabulary, partial(surfaces, tokenizer.sp_model))
    expected = tokenizer(text_a, text_b, verbose=False)["input_ids"]
    return with_special(tokenizer, found, tokenizer.prefix_tokens, tokenizer.suffix_tokens, expected)
