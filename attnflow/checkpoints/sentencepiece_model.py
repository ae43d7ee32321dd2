"""A SentencePiece model that comes without a `tokenizer.json`: what it says itself, beside what is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor
from tokenizers import normalizers
from transformers.tokenization_utils_base import PreTrainedTokenizerBase


class Original:
    """The model in a file, by the library SentencePiece."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._model = SentencePieceProcessor(model_file=str(file))

    def agrees(self, tokenizer: PreTrainedTokenizerBase, text: str) -> bool:
        """Whether a tokenizer cuts a text into the same pieces; unknown characters, which both may join, left out.

        A text in which a special token is written is not compared: those are found before SentencePiece sees it.
        """
        if any(str(token) in text for token in tokenizer.added_tokens_decoder.values()):
            return True
        cut = self._model.encode(text)
        expected = [self._model.id_to_piece(index) for index in cut if not self._model.is_unknown(index)]
        given = tokenizer.encode(text, add_special_tokens=False)
        return expected == [
            tokenizer.convert_ids_to_tokens(index) for index in given if index != tokenizer.unk_token_id
        ]

    def fit(self, tokenizer: PreTrainedTokenizerBase, samples: Sequence[str]) -> None:
        """Give a tokenizer the table of characters that the model brings, where its class forgets it.

        transformers makes DeBERTa's and mBART's without: full-width letters, ligatures, and the dots of an ellipsis
        would be unknown. It is kept only if more of the samples are cut as SentencePiece does.
        """
        table = self._table()
        made: Any = getattr(tokenizer, "backend_tokenizer", None)
        before = self._agreeing(tokenizer, samples)
        if not table or made is None or before == len(samples):
            return
        old = made.normalizer
        made.normalizer = normalizers.Sequence([normalizers.Precompiled(table), *([old] if old else [])])
        if self._agreeing(tokenizer, samples) <= before:
            made.normalizer = old

    def _agreeing(self, tokenizer: PreTrainedTokenizerBase, samples: Sequence[str]) -> int:
        return sum(self.agrees(tokenizer, text) for text in samples)

    def _table(self) -> bytes:
        """What it replaces before it cuts; empty if nothing."""
        from sentencepiece import sentencepiece_model_pb2  # takes a while, and few checkpoints need it

        messages: Any = sentencepiece_model_pb2  # which makes its classes as it is read
        made = messages.ModelProto()
        made.ParseFromString(self.file.read_bytes())
        return made.normalizer_spec.precompiled_charsmap


def originals(folder: Path) -> list[Original]:
    """The SentencePiece models that a tokenizer is made of; none where there is a `tokenizer.json`, which decides."""
    if (folder / "tokenizer.json").exists():
        return []
    return [Original(file) for file in sorted(folder.glob("*.model"))]
