"""transformers' tokenizers in Python: reads one, and finds the places of its pieces, which SentencePiece tells."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sentencepiece import SentencePieceProcessor, sentencepiece_pb2
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from attnflow.checkpoints.tokenizer_pieces import PairPieces
from attnflow.errors import CheckpointError, brief

T = TypeVar("T", bound=PreTrainedTokenizerBase)

Placed = tuple[str, tuple[int, int]]
"""A piece and its characters."""
Cutter = Callable[[str, int], Iterator[Placed]]
"""Cuts a text that begins at some place."""


def holds(folder: Path, files: Iterable[str], model_type: str) -> bool:
    """Whether a folder has some files, and the configuration of a kind of model."""
    config = folder / "config.json"
    if not all((folder / file).exists() for file in (*files, config.name)):
        return False
    return json.loads(config.read_text(encoding="utf-8")).get("model_type") == model_type


def read_in_python(kind: type[T], folder: Path, name: str) -> T:
    """Return the tokenizer in a folder.

    Args:
        kind: Its class.
        folder: Where its files are.
        name: What the checkpoint is called, for errors.

    Raises:
        CheckpointError: If one of its files is none.
    """
    try:
        return kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise CheckpointError(f"The tokenizer of {name} cannot be loaded ({brief(error)}).") from error


def cut_texts(tokenizer: Any, texts: Sequence[str], vocabulary: Mapping[str, int], cutter: Cutter) -> PairPieces:
    """The pieces of texts, one after the other, without special tokens beside them.

    Args:
        tokenizer: A tokenizer of transformers in Python, of whose classes each declares other attributes.
        texts: What it cuts; tokens in them that stand for themselves are found first.
        vocabulary: The numbers of pieces.
        cutter: Cuts what stands between those tokens.
    """
    unknown, added = str(tokenizer.unk_token), tokenizer.added_tokens_encoder
    pieces: list[str] = []
    ids: list[int] = []
    sentence: list[int | None] = []
    offsets: list[tuple[int, int]] = []
    for number, text in enumerate(texts):
        for piece, place in _placed(tokenizer, text, cutter):
            pieces.append(piece if piece in added or piece in vocabulary else unknown)
            ids.append(added[piece] if piece in added else vocabulary.get(piece, vocabulary[unknown]))
            sentence.append(number)
            offsets.append(place)
    return PairPieces(len(pieces), {"input_ids": ids}, pieces, sentence, offsets)


def with_special(
    tokenizer: Any, cut: PairPieces, before: Sequence[int], after: Sequence[int], expected: Sequence[int]
) -> PairPieces:
    """What was cut, with the numbers of special tokens before and after it.

    Args:
        tokenizer: Likewise.
        cut: As `cut_texts` returns it.
        before: Special tokens.
        after: Likewise.
        expected: What transformers itself makes of the texts.

    Raises:
        ValueError: If that is something else.
    """
    ids = [*before, *cut.inputs["input_ids"], *after]
    if ids != list(expected):
        raise ValueError("its pieces cannot be placed in the text")
    first, last = (tokenizer.convert_ids_to_tokens(list(part)) for part in (before, after))
    return PairPieces(
        len(ids),
        {"input_ids": ids, "attention_mask": [1] * len(ids)},
        [*first, *cut.pieces, *last],
        [*[None] * len(first), *cut.sentence, *[None] * len(last)],
        [*[(0, 0)] * len(first), *cut.offsets, *[(0, 0)] * len(last)],
    )


def surfaces(model: SentencePieceProcessor, text: str, start: int) -> Iterator[Placed]:
    """The pieces of a text that begins at some place, by SentencePiece, which counts in bytes of UTF-8."""
    messages: Any = sentencepiece_pb2  # whose classes are made when it is imported
    found = messages.SentencePieceText.FromString(model.encode(text, out_type="serialized_proto"))
    place = [0]
    for character in text:
        place.extend([place[-1]] * (len(character.encode()) - 1) + [place[-1] + 1])
    for one in found.pieces:
        yield one.piece, (start + place[one.begin], start + place[one.end])


def _placed(tokenizer: Any, text: str, cutter: Cutter) -> Iterator[Placed]:
    start = 0
    for part in tokenizer.tokens_trie.split(text):
        end = start + len(part)
        if part in tokenizer.added_tokens_encoder:
            yield part, (start, end)
        else:
            yield from cutter(part, start)
        start = end
