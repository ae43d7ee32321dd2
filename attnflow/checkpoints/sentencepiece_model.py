"""A SentencePiece model that comes without a `tokenizer.json`: what it says itself, beside what is made of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor
from tokenizers import Tokenizer, normalizers
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

_NORMAL, _USER_DEFINED = 1, 4
"""Types of pieces in the file of a model."""
_WHOLE = 0.1
"""By so much SentencePiece scores a symbol of its user below as many of the best characters."""
_TRIED = 8
"""Symbols of the user with which a tokenizer is tried when it is read; each text is compared later."""


class Original:
    """The model in a file, by the library SentencePiece."""

    def __init__(self, file: Path) -> None:
        from sentencepiece import sentencepiece_model_pb2  # takes a while, and few checkpoints need it

        self.file = file
        self._model = SentencePieceProcessor(model_file=str(file))
        messages: Any = sentencepiece_model_pb2  # which makes its classes as it is read
        made = messages.ModelProto()
        made.ParseFromString(file.read_bytes())
        self._table: bytes = made.normalizer_spec.precompiled_charsmap
        self._symbols = frozenset(piece.piece for piece in made.pieces if piece.type == _USER_DEFINED)
        self._best: float = max((piece.score for piece in made.pieces if piece.type == _NORMAL), default=0.0)

    def agrees(self, tokenizer: PreTrainedTokenizerBase, text: str) -> bool:
        """Whether a tokenizer cuts a text into the same pieces; unknown characters, which both may join, left out.

        A text in which a special token is written is not compared: those are found before SentencePiece sees it. The
        symbols that the user of SentencePiece defined are no such tokens, as it finds them itself.
        """
        apart = {str(token) for token in tokenizer.added_tokens_decoder.values()} - self._symbols
        if any(token in text for token in apart):
            return True
        cut = self._model.encode(text)
        expected = [self._model.id_to_piece(index) for index in cut if not self._model.is_unknown(index)]
        given = tokenizer.encode(text, add_special_tokens=False)
        return expected == [
            tokenizer.convert_ids_to_tokens(index) for index in given if index != tokenizer.unk_token_id
        ]

    def fit(self, tokenizer: PreTrainedTokenizerBase, samples: Sequence[str]) -> None:
        """Give a tokenizer what the model brings and its class forgets, if more of the samples are cut as they should.

        That is the table of characters, without which transformers makes DeBERTa's and mBART's: full-width letters,
        ligatures, and the dots of an ellipsis would be unknown. And it is the place of symbols that the user of
        SentencePiece defined: transformers cuts a text at them first, so that what follows begins like a new text.
        """
        if getattr(tokenizer, "backend_tokenizer", None) is None:
            return
        if self._symbols:
            tried = [text for one in sorted(self._symbols)[:_TRIED] for text in (f"Anna {one} to", f"Anna{one}to")]
            self._fit_symbols(tokenizer, [*samples, *tried])
        self._fit_table(tokenizer, samples)

    def _fit_table(self, tokenizer: Any, samples: Sequence[str]) -> None:
        made, before = tokenizer.backend_tokenizer, self._agreeing(tokenizer, samples)
        if not self._table or before == len(samples):
            return
        old = made.normalizer
        made.normalizer = normalizers.Sequence([normalizers.Precompiled(self._table), *([old] if old else [])])
        if self._agreeing(tokenizer, samples) <= before:
            made.normalizer = old

    def _fit_symbols(self, tokenizer: Any, samples: Sequence[str]) -> None:
        """Make entries of the vocabulary of them, with the score that SentencePiece gives them."""
        old, before = tokenizer.backend_tokenizer, self._agreeing(tokenizer, samples)
        told = json.loads(old.to_str())
        entries = told["model"].get("vocab")
        if before == len(samples) or not isinstance(entries, list):  # pairs made of pairs have no scores
            return
        moved = self._symbols - {token for token in tokenizer.special_tokens_map.values() if isinstance(token, str)}
        for entry in entries:
            if entry[0] in moved:
                entry[1] = len(entry[0]) * self._best - _WHOLE
        own = {entry[0] for entry in entries}
        told["added_tokens"] = [token for token in told["added_tokens"] if token["content"] not in moved & own]
        tokenizer._tokenizer = Tokenizer.from_str(json.dumps(told))  # it has no other way to be given one
        if self._agreeing(tokenizer, samples) <= before:
            tokenizer._tokenizer = old

    def _agreeing(self, tokenizer: PreTrainedTokenizerBase, samples: Sequence[str]) -> int:
        return sum(self.agrees(tokenizer, text) for text in samples)


def originals(folder: Path) -> list[Original]:
    """The SentencePiece models that a tokenizer is made of; none where there is a `tokenizer.json`, which decides."""
    if (folder / "tokenizer.json").exists():
        return []
    return [Original(file) for file in sorted(folder.glob("*.model"))]
