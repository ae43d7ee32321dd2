"""Makes of a stranger's folder the one that is read: cleaned JSON, and links to its own vocabulary and weights.

transformers never sees the folder itself. In a private temporary one lie the JSON files, written anew with what
`config_rules` and `tokenizer_rules` let through, the text of a chat template, and links to the files that belong to a
checkpoint, each a plain file of the folder. Whatever else is there (adapters, settings of generation, processors, other
templates, code) is not there.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnflow import limits
from attnflow.checkpoints import config_rules, sentence_transformer, tokenizer_rules
from attnflow.checkpoints.plain_json import read_object, shown
from attnflow.errors import CheckpointError

CONFIG = "config.json"
VOCABULARIES = (
    *("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "tokenizer.model", "spm.model", "spiece.model"),
    *("sentencepiece.bpe.model", "sentencepiece.model"),
    *("source.spm", "target.spm", "target_vocab.json"),
)
"""Files that hold the entries of a vocabulary; they are read as they are, after a look at what is in them."""
SETTINGS: dict[str, Callable[[Mapping[str, Any]], tuple[dict[str, Any], list[str]]]] = {
    "tokenizer_config.json": tokenizer_rules.allowed_settings,
    "special_tokens_map.json": tokenizer_rules.allowed_special_tokens,
    "added_tokens.json": tokenizer_rules.allowed_added_tokens,
    **dict.fromkeys(sentence_transformer.SETTINGS, sentence_transformer.allowed_settings),
}
"""Settings of a tokenizer, and what says which of them are read."""
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
"""Files of weights; the first that is there is read."""
TEMPLATE = "chat_template.jinja"
"""The chat template, where it is not in `tokenizer_config.json`, before which it goes."""
TEXT_FILES = (CONFIG, *VOCABULARIES, *SETTINGS, TEMPLATE)
"""Every file that is read, besides weights."""
_LARGEST_CONFIG, _LARGEST_SETTINGS, _LARGEST_INDEX = 10**6, 5 * 10**6, 20 * 10**6
_BYTES_OF_A_PIECE = 20
"""In a SentencePiece model; XLM-R's takes 20, the others less."""


@dataclass(frozen=True)
class ReadFiles:
    """The folder that is read in place of a stranger's."""

    folder: Path
    left_out: tuple[str, ...]
    """Entries of JSON files that are not read, such as `config.json: auto_map`."""


def check_sizes(sizes: Mapping[str, int], name: str) -> None:
    """Refuse files of a tokenizer that are too large to be read, by their sizes in bytes alone.

    Raises:
        CheckpointError: That names the file.
    """
    for file in VOCABULARIES:
        most = limits.MAX_TOKENIZER_BYTES
        if file.endswith((".model", ".spm")):
            most = min(most, _BYTES_OF_A_PIECE * limits.MAX_VOCABULARY)
        if sizes.get(file, 0) > most:
            raise CheckpointError(
                f"The {file} of {name} has {sizes[file] / 1e6:,.1f} MB; this machine reads at most {most / 1e6:,.1f} "
                "MB of a tokenizer. Choose a checkpoint with a smaller one."
            )


_HASHED = ("json", "jinja", "model", "spm", "safetensors", "bin")
"""Kinds of files that make up a checkpoint."""


def content_hash(folder: Path) -> str:
    """40 hexadecimal digits that tell what a folder holds of a checkpoint, in the place of a commit."""
    digest = hashlib.sha256()
    for path in [path for kind in _HASHED for path in sorted(folder.glob(f"*.{kind}"))]:
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:40]


def check_links(folder: Path, name: str) -> None:
    """Refuse a folder in which a file is a link to elsewhere, or no file at all.

    Raises:
        CheckpointError: That names it.
    """
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            _own(path, folder, name)


@contextmanager
def staged(folder: Path, name: str, *, weights: bool = True) -> Iterator[ReadFiles]:
    """Make the folder that is read in place of a stranger's; it lasts as long as this context.

    Args:
        folder: The stranger's, with a `config.json` that `checkpoint.check_supported` has accepted.
        name: What the checkpoint is called, for errors.
        weights: Whether the weights are read, too; not for a tokenizer.

    Raises:
        CheckpointError: If a file is not what it must be.
        UnsupportedArchitectureError: If the configuration asks for what cannot be analysed.
    """
    present = {file: _own(folder / file, folder, name) for file in TEXT_FILES if (folder / file).exists()}
    check_sizes({file: path.stat().st_size for file, path in present.items()}, name)
    left_out: list[str] = []
    with tempfile.TemporaryDirectory(prefix="attnflow-") as made:
        target = Path(made)
        for file, path in present.items():
            if file in VOCABULARIES:
                with _told(file, name):
                    _check_vocabulary(file, path)
                (target / file).symlink_to(path)
                continue
            if file == TEMPLATE:
                template = _template(path)
                left_out += [] if template else [file]
                (target / file).write_text(template or "", encoding="utf-8")  # an empty one stands for none at all
                continue
            with _told(file, name):
                kept, dropped = _cleaned(file, path, name)
            left_out += [f"{file}: {key}" for key in dropped]
            (target / file).write_text(json.dumps(kept), encoding="utf-8")
        if weights:
            _stage_weights(folder, target, name)
        yield ReadFiles(target, tuple(left_out))


def _own(path: Path, folder: Path, name: str) -> Path:
    """The plain file behind a path; in the cache of the Hub that is a link to the blobs of the same repository."""
    target, homes = path.resolve(), [folder.resolve()]
    snapshots = next((place for place in folder.parents if place.name == "snapshots"), None)
    if snapshots is not None:
        homes.append((snapshots.parent / "blobs").resolve())
    if not target.is_file() or not any(target.is_relative_to(home) for home in homes):
        raise CheckpointError(
            f"{path.name} of {name} is no file of its own folder but leads elsewhere; put the file itself there."
        )
    return target


@contextmanager
def _told(file: str, name: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        whose = f"{name} cannot be loaded" if file == CONFIG else f"The tokenizer of {name} cannot be loaded"
        raise CheckpointError(f"{whose} (its {file} {error}); choose another checkpoint.") from error


def _cleaned(file: str, path: Path, name: str) -> tuple[dict[str, Any], tuple[str, ...] | list[str]]:
    if file == CONFIG:
        kept, left_out = config_rules.allowed_config(read_object(path, most_bytes=_LARGEST_CONFIG), name)
        tokenizer_rules.check_class(kept.get("tokenizer_class"))
        return kept, left_out
    return SETTINGS[file](read_object(path, most_bytes=_LARGEST_SETTINGS, most_values=10**6))


def _template(path: Path) -> str | None:
    """The text of a chat template, if it is one that is read."""
    with path.open("rb") as file:
        found = file.read(tokenizer_rules.LONGEST_TEMPLATE + 1)
    try:
        return tokenizer_rules.allowed_template(found.decode("utf-8"))
    except UnicodeDecodeError:
        return None


def _check_vocabulary(file: str, path: Path) -> None:
    """Look whether a vocabulary holds entries, and not too many, before it becomes objects in memory."""
    if file.endswith(".json"):
        found = read_object(path, most_bytes=limits.MAX_TOKENIZER_BYTES, most_values=5 * limits.MAX_VOCABULARY)
        if file == "tokenizer.json":
            tokenizer_rules.check_tokenizer_json(found)
        else:
            tokenizer_rules.check_vocabulary(found, "the vocabulary")
    elif file.endswith(".txt"):
        lines = path.read_bytes().count(b"\n")
        if lines > 2 * limits.MAX_VOCABULARY:
            raise ValueError(f"has {lines:,} lines; at most {2 * limits.MAX_VOCABULARY:,} can be read")


def _stage_weights(folder: Path, target: Path, name: str) -> None:
    """Link the weights that transformers would read of the folder: safetensors where there are any."""
    first = next((file for file in WEIGHTS if (folder / file).exists()), None)
    if first is None:
        raise CheckpointError(f"{name} has no weights as safetensors or PyTorch .bin; choose a checkpoint that has.")
    if not first.endswith(".json"):
        _link_weights(folder / first, target, name)
        return
    try:
        places = read_object(_own(folder / first, folder, name), most_bytes=_LARGEST_INDEX)["weight_map"]
        shards = dict.fromkeys(places.values())
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise CheckpointError(f"The weights of {name} cannot be read: {first} is no index.") from error
    for shard in shards:
        if not isinstance(shard, str) or Path(shard).name != shard or not (folder / shard).exists():
            raise CheckpointError(
                f"{name} lacks weights of its own model: {first} names {shown(shard)}, which is not there."
            )
        if not shard.endswith(Path(first.removesuffix(".index.json")).suffix) or (target / shard).exists():
            raise CheckpointError(f"The weights of {name} cannot be read: {first} names {shown(shard)}.")
        _link_weights(folder / shard, target, name)
    (target / first).write_text(json.dumps({"metadata": {}, "weight_map": places}), encoding="utf-8")


def _link_weights(path: Path, target: Path, name: str) -> None:
    """Link a file of weights, unless it is an archive that becomes larger as it is read: torch packs nothing."""
    own = _own(path, path.parent, name)
    if path.suffix == ".bin" and zipfile.is_zipfile(own):
        with zipfile.ZipFile(own) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
        if unpacked > own.stat().st_size:
            raise CheckpointError(
                f"The weights of {name} cannot be read: {path.name} is packed and holds {unpacked / 1e6:,.0f} MB. "
                "Choose a repository with safetensors."
            )
    (target / path.name).symlink_to(own)
