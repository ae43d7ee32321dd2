"""A small random M2M100 as it lies on the Hub: one SentencePiece model, numbers apart, and no tokenizer.json."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path

from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from transformers.models.m2m_100.tokenization_m2m_100 import FAIRSEQ_LANGUAGE_CODES

from tests.checkpoints import TEXT, make_checkpoint
from tests.marian import GERMAN

MADE_UP = 8
"""Rows of the embeddings for no entry, as the model was trained."""
_NAMED = {"bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}


@cache
def trained() -> bytes:
    """A SentencePiece model of a few sentences."""
    made = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter([*TEXT, *GERMAN] * 2),
        model_writer=made,
        vocab_size=150,
        model_type="bpe",
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
    )
    return made.getvalue()


def make_m2m(folder: Path, codes: str = "m2m100", **settings: str | None) -> Path:
    """Write a random checkpoint as `facebook/m2m100_418M` is laid out; settings go into `tokenizer_config.json`."""
    data = trained()
    model = SentencePieceProcessor(model_proto=data)
    pieces = [model.id_to_piece(index) for index in range(3, model.get_piece_size())]
    entries = ["<s>", "<pad>", "</s>", "<unk>", *(piece for piece in pieces if piece != "k")]  # it lacks one of them
    languages = [f"__{code}__" for code in FAIRSEQ_LANGUAGE_CODES[codes]]
    make_checkpoint(
        folder,
        "m2m_100",
        task="seq2seq-lm",
        vocab_size=len(entries) + len(languages) + MADE_UP,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
    )
    for path in [*folder.glob("*token*"), *folder.glob("vocab*"), *folder.glob("generation*")]:
        path.unlink()
    (folder / "sentencepiece.bpe.model").write_bytes(data)
    (folder / "vocab.json").write_text(json.dumps({entry: index for index, entry in enumerate(entries)}))
    (folder / "special_tokens_map.json").write_text(json.dumps(_NAMED | {"additional_special_tokens": languages}))
    told = {"src_lang": None, "tgt_lang": None, "language_codes": codes, "num_madeup_words": MADE_UP} | settings
    (folder / "tokenizer_config.json").write_text(json.dumps(_NAMED | told | {"tokenizer_class": "M2M100Tokenizer"}))
    return folder
