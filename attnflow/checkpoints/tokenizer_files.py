"""Reads a checkpoint's tokenizer from its files, and refuses one that cuts texts otherwise than the model learned."""

from __future__ import annotations

from pathlib import Path

from sentencepiece import SentencePieceProcessor
from transformers.models.auto.tokenization_auto import AutoTokenizer
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from attnflow.errors import CheckpointError, brief

FEWEST_ENTRIES = 2
"""A vocabulary of not more entries than that, special ones aside, is none."""
_SAMPLE = "Anna's 3 dogs don't bark: why should they? Le café à Łódź (1999) costs €5.50, 北京 more."
"""Whatever tokenizers treat differently: capitals, numbers, clitics, accents, punctuation, other scripts."""
_ADVICE = "choose a repository with a tokenizer.json."


def read_tokenizer(folder: Path, name: str) -> PreTrainedTokenizerBase:
    """Return the fast tokenizer of a checkpoint.

    Args:
        folder: Where its files are.
        name: What it is called, for errors.

    Raises:
        CheckpointError: If there is none, or one that cannot be trusted.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise CheckpointError(f"The tokenizer of {name} cannot be loaded ({brief(error)}).") from error
    if not tokenizer.is_fast:
        raise CheckpointError(f"{name} has no fast tokenizer, so its pieces cannot be placed in the text; {_ADVICE}")
    # Without its files transformers makes a tokenizer that knows its special tokens and reads all else as unknown.
    special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    if sum(index not in special for index in tokenizer.get_vocab().values()) <= FEWEST_ENTRIES:
        raise CheckpointError(f"The tokenizer of {name} cannot be loaded (no vocabulary); {_ADVICE}")
    if not (folder / "tokenizer.json").exists():
        for file in sorted(folder.glob("*.model")):
            _check_conversion(tokenizer, file, name)
    return tokenizer


def _check_conversion(tokenizer: PreTrainedTokenizerBase, file: Path, name: str) -> None:
    """Compare what transformers made of a SentencePiece model with SentencePiece itself.

    It does not always know how spaces and unknown characters were treated, and then the model would read other pieces
    than those it was trained with, and nobody would notice.
    """
    original = SentencePieceProcessor(model_file=str(file))
    expected = [original.id_to_piece(index) for index in original.encode(_SAMPLE) if not original.is_unknown(index)]
    given = tokenizer.encode(_SAMPLE, add_special_tokens=False)
    found = [tokenizer.convert_ids_to_tokens(index) for index in given if index != tokenizer.unk_token_id]
    if found != expected:
        raise CheckpointError(
            f"The tokenizer of {name} cannot be loaded (its {file.name} alone does not tell how it cuts a text); "
            + _ADVICE
        )
