"""What the files of a tokenizer say that is not done, or not as whoever reads them would expect: told, not guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, normalizers, pre_tokenizers
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from attnflow import limits
from attnflow.checkpoints.plain_json import read_object

_LARGEST = 5 * 10**6


def read_settings(folder: Path) -> dict[str, Any]:
    """The `tokenizer_config.json` of a folder whose files have been checked; empty if there is none."""
    file = folder / "tokenizer_config.json"
    return read_object(file, most_bytes=_LARGEST, most_values=10**6) if file.exists() else {}


def without_basic_cut(folder: Path, tokenizer: PreTrainedTokenizerBase) -> str:
    """Let a BERT tokenizer of a `vocab.txt` alone cut at spaces only, if its settings say so, as no fast one does.

    Returns:
        What was done, as a sentence; empty if nothing was.
    """
    made: Any = getattr(tokenizer, "backend_tokenizer", None)
    alone = (folder / "vocab.txt").exists() and not (folder / "tokenizer.json").exists()
    if not alone or read_settings(folder).get("do_basic_tokenize") is not False:
        return ""
    if type(made.model).__name__ != "WordPiece":
        return ""
    made.normalizer, made.pre_tokenizer = normalizers.Sequence([]), pre_tokenizers.WhitespaceSplit()
    return (
        "By its tokenizer_config.json (do_basic_tokenize: false) texts are cut at spaces alone, with capitals, accents "
        "and signs as they are; transformers ignores this, here it is followed."
    )


def marks_note(folder: Path, tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """Where settings ask for a mark at the start or the end that a `tokenizer.json` does not write, or for none."""
    if not (folder / "tokenizer.json").exists():
        return ()
    settings, made = read_settings(folder), list(tokenizer("a", verbose=False)["input_ids"])
    notes: list[str] = []
    special: Any = tokenizer  # its special tokens are attributes of no certain type
    for setting, token, index, at in (
        ("add_bos_token", special.bos_token, special.bos_token_id, 0),
        ("add_eos_token", special.eos_token, special.eos_token_id, -1),
    ):
        asked, written = settings.get(setting), bool(made) and made[at] == index
        if isinstance(asked, bool) and index is not None and asked != written:
            where = "before" if at == 0 else "after"
            wish = f"{token if asked else f'no {token}'} {where} each text ({setting})"
            notes.append(
                f"Its tokenizer_config.json asks for {wish}, and its tokenizer.json writes "
                f"{'none' if asked else 'one'}; the latter is followed."
            )
    return tuple(notes)


def unnumbered(folder: Path, tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """Special tokens that a class or settings name and no file gives a number, so that transformers takes a new one.

    Nothing is known where there is a SentencePiece model alone: classes number some by right (XLM-R's `<mask>`).
    """
    whole, lines, entries = (folder / file for file in ("tokenizer.json", "vocab.txt", "vocab.json"))
    if whole.exists():
        known = set(Tokenizer.from_file(str(whole)).get_vocab())
    elif lines.exists():
        known = {line.rstrip("\r\n") for line in lines.read_text(encoding="utf-8").split("\n")}
    elif entries.exists() and not list(folder.glob("*.model")):
        found = read_object(entries, most_bytes=limits.MAX_TOKENIZER_BYTES, most_values=5 * limits.MAX_VOCABULARY)
        known = set(found)
    else:
        return ()
    file = folder / "added_tokens.json"
    known |= set(read_object(file, most_bytes=_LARGEST)) if file.exists() else set()
    told = read_settings(folder).get("added_tokens_decoder") or {}
    known |= {token["content"] if isinstance(token, dict) else token for token in told.values()}
    return tuple(token for token in tokenizer.all_special_tokens if token not in known)
