"""Reads a checkpoint's tokenizer from its files, and refuses one that cuts texts otherwise than the model learned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers.models.auto.tokenization_auto import AutoTokenizer
from transformers.tokenization_utils_base import PreTrainedTokenizerBase
from transformers.tokenization_utils_tokenizers import PreTrainedTokenizerFast

from attnflow.checkpoints.sentencepiece_model import Original, originals
from attnflow.errors import CheckpointError, brief

FEWEST_ENTRIES = 2
"""A vocabulary of not more entries than that, special ones aside, is none."""
_SAMPLES = (
    "Anna's 3 dogs don't bark: why should they? Le café à Łódź (1999) costs €5.50, 北京 more.",
    "  two  spaces,\ta tab\nand a line; \u2018so\u2019 \u201csay\u201d \u2026 well-known_names 1234567 3.14e-10 x=y+1;",
    "STRASSE Straße ﬁne e\u0301tude Ａ１ ½ İstanbul ΑΘΗΝΑ Москва שלום مرحبا हिन्दी ภาษาไทย 한국어 カタカナ 中文字",
    "👩🏽‍🚀 😀🇩🇪 → © http://a.example/b?c=1 def f(x): return [x] * 2 # no\u00a0break\u200bzero",
)
"""Whatever tokenizers treat differently: capitals, numbers, clitics, accents, spaces, signs, scripts, emojis, code."""
_SAMPLE = _SAMPLES[0]
_ADVICE = "choose a repository with a tokenizer.json."


def read_tokenizer(folder: Path, name: str) -> PreTrainedTokenizerBase:
    """Return the fast tokenizer of a checkpoint.

    Where there is a `tokenizer.json`, that is what the model was trained with, and what the library `tokenizers` makes
    of it decides. transformers builds some classes anew from the vocabulary alone, whatever else the file says; then
    the file is read as it is, without its class.

    Args:
        folder: Where its files are.
        name: What it is called, for errors.

    Raises:
        CheckpointError: If there is none, or one that cannot be trusted.
    """
    file = folder / "tokenizer.json"
    try:
        tokenizer = _read(AutoTokenizer, folder, name)
    except CheckpointError:
        if not file.exists():
            raise
        tokenizer = _read(PreTrainedTokenizerFast, folder, name)  # its class wants files or settings of another kind
    if not tokenizer.is_fast:
        raise CheckpointError(f"{name} has no fast tokenizer, so its pieces cannot be placed in the text; {_ADVICE}")
    # Without its files transformers makes a tokenizer that knows its special tokens and reads all else as unknown.
    special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    if sum(index not in special for index in tokenizer.get_vocab().values()) <= FEWEST_ENTRIES:
        raise CheckpointError(f"The tokenizer of {name} cannot be loaded (no vocabulary); {_ADVICE}")
    if not file.exists():
        for original in originals(folder):
            _check_conversion(tokenizer, original, name)
        return tokenizer
    expected = _as_the_file_cuts(file)
    if _cuts(tokenizer, expected):
        return tokenizer
    # What the class says besides: its special tokens, as the file may not name them, and what its models take.
    vocabulary = tokenizer.get_vocab()
    named = {key: token for key, token in tokenizer.special_tokens_map.items() if token in vocabulary}
    tokenizer = _read(PreTrainedTokenizerFast, folder, name, model_input_names=tokenizer.model_input_names, **named)
    if not _cuts(tokenizer, expected):
        raise CheckpointError(
            f"The tokenizer of {name} cannot be loaded: transformers cuts texts otherwise than its tokenizer.json, "
            "with the class that it names and without; choose another checkpoint."
        )
    return tokenizer


def _read(
    kind: type[AutoTokenizer | PreTrainedTokenizerFast], folder: Path, name: str, **settings: Any
) -> PreTrainedTokenizerBase:
    try:
        return kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **settings)
    except Exception as error:
        raise CheckpointError(f"The tokenizer of {name} cannot be loaded ({brief(error)}).") from error


@dataclass(frozen=True)
class _Cut:
    """What a text, or a pair, becomes."""

    texts: tuple[str, str | None]
    plain: list[int]
    """The pieces of the first text without special tokens."""
    whole: list[int]
    """All pieces."""
    parts: list[int]
    """For each the sentence that the model is told."""


def _as_the_file_cuts(file: Path) -> list[_Cut]:
    """What the library `tokenizers` makes of the sample, by a `tokenizer.json` alone."""
    made = Tokenizer.from_file(str(file))
    made.no_truncation()
    made.no_padding()
    found: list[_Cut] = []
    samples: list[tuple[str, str | None]] = [*((text, None) for text in _SAMPLES), _SAMPLES[:2]]
    for texts in samples:
        whole = made.encode(*texts)
        found.append(_Cut(texts, made.encode(texts[0], add_special_tokens=False).ids, whole.ids, whole.type_ids))
    return found


def _cuts(tokenizer: PreTrainedTokenizerBase, expected: list[_Cut]) -> bool:
    """Whether a tokenizer cuts the sample as expected, and writes the same special tokens."""
    for cut in expected:
        if tokenizer(cut.texts[0], add_special_tokens=False, verbose=False)["input_ids"] != cut.plain:
            return False
        whole = tokenizer(*cut.texts, truncation=False, verbose=False)
        if whole["input_ids"] != cut.whole or whole.get("token_type_ids", cut.parts) != cut.parts:
            return False
    return True


def _check_conversion(tokenizer: PreTrainedTokenizerBase, original: Original, name: str) -> None:
    """Compare what transformers made of a SentencePiece model with SentencePiece itself.

    It does not always know how spaces and unknown characters were treated, and then the model would read other pieces
    than those it was trained with, and nobody would notice.
    """
    original.fit(tokenizer, _SAMPLES)
    if not original.agrees(tokenizer, _SAMPLE):
        raise CheckpointError(
            f"The tokenizer of {name} cannot be loaded (its {original.file.name} alone does not tell how it cuts a "
            f"text); {_ADVICE}"
        )
