"""Reads a checkpoint of the sentence-transformers library: where its Transformer is, and what is done to a text before.

`modules.json` lists its parts. Beside the Transformer lie its settings, which are followed: most tokens of a text, and
whether it is put into lower case. Beside the list lie prompts, which are told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import normalizers
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from attnflow.checkpoints.plain_json import read_json, read_object, shown
from attnflow.errors import CheckpointError, UnsupportedArchitectureError

FILE = "modules.json"
SETTINGS = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
"""Beside the Transformer: what the library does with a text before the model reads it. The first one counts."""
PROMPTS = "config_sentence_transformers.json"
"""Beside the list of parts: among other things, what goes before a text."""
_ARGUMENTS = ("model_args", "config_args", "tokenizer_args", "model_kwargs", "config_kwargs", "processor_kwargs")
"""What of them transformers is called with, by old and new names."""
_HARMLESS = frozenset(
    "trust_remote_code attn_implementation torch_dtype dtype device_map low_cpu_mem_usage use_safetensors revision "
    "code_revision token cache_dir local_files_only use_fast padding_side add_pooling_layer output_attentions "
    "output_hidden_states return_dict use_cache model_max_length".split()
)
"""Arguments for transformers that change nothing of what is computed for one text, or that are followed."""
_LARGEST = 100_000
_TRANSFORMERS = ("Transformer", "MLMTransformer")
"""What a model may begin with; the second is SPLADE's, with its head for masked words."""
_FOLDER = re.compile(r"\w[\w.-]{0,95}")


@dataclass(frozen=True)
class Parts:
    """What `modules.json` tells."""

    folder: str
    """Where the Transformer is; empty for the top."""
    note: str
    """What follows it and is not run here, as a sentence; empty if nothing does."""


def read_parts(path: Path, name: str) -> Parts:
    """Read the list of parts of a checkpoint.

    Args:
        path: Its `modules.json`.
        name: What it is called, for errors.

    Raises:
        CheckpointError: If it is no such list.
        UnsupportedArchitectureError: If it does not begin with a Transformer.
    """
    try:
        listed = read_json(path, most_bytes=_LARGEST)
        kinds = [str(part["type"]).rpartition(".")[2] for part in listed]
        folder, own = listed[0]["path"], not str(listed[0]["type"]).startswith("sentence_transformers.")
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise CheckpointError(
            f"The {FILE} of {name} is no list of parts of a sentence-transformers model; choose another checkpoint."
        ) from error
    if kinds[0] not in _TRANSFORMERS:
        raise UnsupportedArchitectureError(
            f"{name} cannot be analysed: by its {FILE} it begins with {shown(kinds[0])}, which is no Transformer. "
            "Choose another checkpoint."
        )
    folder = folder.removeprefix("./").rstrip("/") if isinstance(folder, str) else folder
    if not isinstance(folder, str) or (folder and (not _FOLDER.fullmatch(folder) or ".." in folder)):
        raise CheckpointError(f"The {FILE} of {name} gives {shown(folder)} as the place of its Transformer, no folder.")
    follows = ", ".join(kind if kind.isalnum() else "a part of its own" for kind in kinds[1:5])
    note = (
        f"This is the Transformer of a sentence-transformers model; what follows it there ({follows}) is not run here."
    )
    notes = [
        f"By its {FILE} it begins with a part by code of its own ({shown(listed[0]['type'])}), which is never run "
        "here; its Transformer is read without."
        if own
        else "",
        note if follows else "",
    ]
    return Parts(folder, " ".join(filter(None, notes)))


def prompts_note(path: Path, name: str) -> str:
    """What is put before texts there and not here, as a sentence; empty if nothing is.

    Args:
        path: The `config_sentence_transformers.json`.
        name: What the checkpoint is called, for errors.

    Raises:
        CheckpointError: If it holds no settings.
    """
    try:
        found = read_object(path, most_bytes=_LARGEST)
    except ValueError as error:
        raise CheckpointError(f"The {PROMPTS} of {name} {error}; choose another checkpoint.") from error
    named = found.get("prompts")
    named = named if isinstance(named, dict) else {}
    prompts = {key: text for key, text in named.items() if isinstance(text, str) and text}
    usual = found.get("default_prompt_name")
    if isinstance(usual, str) and usual in prompts:
        return f"By its {PROMPTS} {shown(prompts[usual])} goes before each text, which is not written here; write it."
    told = ", ".join(f"{shown(text)} for {key[:40]}" for key, text in list(prompts.items())[:4])
    more = f" and {len(prompts) - 4} more" if len(prompts) > 4 else ""
    return f"By its {PROMPTS} a text may begin with {told}{more}; none is written here." if told else ""


def allowed_settings(found: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return what is read of the settings beside the Transformer, and the keys that were left out.

    Raises:
        ValueError: If one is not what it must be, or changes the model, with the reason.
    """
    if not found:  # then the next file counts
        return {}, []
    kept: dict[str, Any] = {}
    for key in _ARGUMENTS:
        given = found.get(key) or {}
        if not isinstance(given, dict):
            raise ValueError(f"gives {key} as {shown(given)}, where an object is due")
        odd = next((name for name in given if name not in _HARMLESS), None)
        if odd is not None:
            raise ValueError(
                f"has transformers load it with {odd[:60]} set to {shown(given[odd])}, as is not done here"
            )
        if given.get("model_max_length") is not None:
            kept["max_seq_length"] = given["model_max_length"]
    most = kept.setdefault("max_seq_length", found.get("max_seq_length"))
    if most is not None and (type(most) is not int or most < 1):
        raise ValueError(f"gives max_seq_length as {shown(most)}, where a number of tokens is due")
    kept["do_lower_case"] = found.get("do_lower_case") or False
    if not isinstance(kept["do_lower_case"], bool):
        raise ValueError(f"gives do_lower_case as {shown(kept['do_lower_case'])}, where true or false is due")
    return kept, sorted(set(found) - {*kept, *_ARGUMENTS})


def follow(folder: Path, tokenizer: PreTrainedTokenizerBase) -> tuple[bool, tuple[str, ...]]:
    """Let a tokenizer do with texts what the settings beside it say, if there are any.

    Args:
        folder: Where its files are, which have been checked.
        tokenizer: Is changed.

    Returns:
        Whether texts are put into lower case that would not have been, and what was done, in sentences.
    """
    present = [file for file in SETTINGS if (folder / file).exists()]
    told = ((file, read_object(folder / file, most_bytes=_LARGEST)) for file in present)
    file, found = next(((file, found) for file, found in told if found), ("", {}))
    notes: list[str] = []
    most, lowers = found.get("max_seq_length"), False
    if most is not None:
        if most < tokenizer.model_max_length:
            notes.append(
                f"By its {file} (max_seq_length) it reads at most {most:,} tokens of a text, and so many are read "
                "here; its own library cuts a longer one."
            )
        tokenizer.model_max_length = most
    made: Any = getattr(tokenizer, "backend_tokenizer", None)
    if made is not None and found.get("do_lower_case") and _minds_case(tokenizer):
        lowers, then = True, [made.normalizer] if made.normalizer else []
        made.normalizer = normalizers.Sequence([normalizers.Lowercase(), *then])
        notes.append(f"By its {file} (do_lower_case) texts are put into lower case before its tokenizer cuts them.")
    return lowers, tuple(notes)


def _minds_case(tokenizer: PreTrainedTokenizerBase) -> bool:
    ids = [
        tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"] for text in ("Anna's ÉTÉ", "anna's été")
    ]
    return ids[0] != ids[1]
