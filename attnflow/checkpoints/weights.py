"""Reads the weights of a folder by name, and brings their names to those that the model has for them."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers.modeling_utils import PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from attnflow.checkpoints.repository_files import WEIGHTS
from attnflow.errors import CheckpointError

_WRAPPERS = ("state_dict", "model_state_dict", "model", "module")
"""Under these names training programs save a model beside their own state."""
_LEGACY = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
_OF_TRAINING = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Parts that `torch.compile`, FSDP and activation checkpointing put into names, before each layer that they wrap."""
_LONGEST_PREFIX = 80
_ROBERTA_PADDING = 1
"""Number of the padding token of RoBERTa and its kin."""
_COMPUTED = {"position_ids", "token_type_ids", "inv_freq", "masked_bias", "_float_tensor", "_extra_state"}
"""Last parts of names under which older versions of transformers saved what is computed anew."""


@dataclass(frozen=True)
class FoundWeights:
    """The tensors of a checkpoint, named as its model names them."""

    tensors: dict[str, torch.Tensor]
    prefix: str = ""
    """What stood before the names in the file and was taken away."""
    wrapped: tuple[str, ...] = ()
    """What training programs had put into the names and was taken away."""
    besides: tuple[str, ...] = ()
    """Entries of the file that are no tensors of a model, such as the state of an optimizer."""


def read_weights(folder: Path) -> FoundWeights:
    """Read the weights of a folder as they are named there, out of whatever a training program wrapped them in.

    Args:
        folder: Where they are; the first of `WEIGHTS` that is there is read. Nothing but tensors is read from a pickle.

    Raises:
        pickle.UnpicklingError: If a pickle holds more than tensors and plain data.
    """
    first = next(file for file in WEIGHTS if (folder / file).exists())
    files = [first]
    if first.endswith(".json"):
        files = sorted(set(json.loads((folder / first).read_text(encoding="utf-8"))["weight_map"].values()))
    tensors: dict[str, torch.Tensor] = {}
    besides: list[str] = []
    for file in files:
        found: Mapping[Any, Any] = _read(folder / file)
        if not any(isinstance(value, torch.Tensor) for value in found.values()):
            inner = next((name for name in _WRAPPERS if isinstance(found.get(name), Mapping)), None)
            if inner is not None:
                besides += [str(name) for name in found if name != inner]
                found = found[inner]
        tensors |= {str(name): value for name, value in found.items() if isinstance(value, torch.Tensor)}
        besides += [str(name) for name, value in found.items() if not isinstance(value, torch.Tensor)]
    return FoundWeights(tensors, besides=tuple(dict.fromkeys(besides)))


def _read(path: Path) -> Mapping[Any, Any]:
    if path.suffix == ".safetensors":
        return load_file(path)
    # Only what torch itself packs as a zip archive can be mapped into memory instead of being read.
    found = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    if not isinstance(found, Mapping):
        raise ValueError(f"{path.name} holds no weights by name")
    return found


def renamed(found: FoundWeights, model: PreTrainedModel, name: str) -> FoundWeights:
    """Take away what stands before all names of a file and before none of the model, such as `module.`.

    Args:
        found: As the file names them.
        model: Whose names they are to have; as a head's name for its base differs from class to class, a name counts
            as the model's with its base's prefix and without.
        name: What the checkpoint is called, for errors.

    Raises:
        CheckpointError: If two models are in the file, or one weight twice.
    """
    found = _unwrapped(found, name)
    base = model.base_model_prefix + "."
    own = set(model.state_dict())
    known = own | {key.removeprefix(base) for key in own} | {base + key for key in own}
    names = {key: _modern(key) for key in found.tensors}
    as_they_are = sum(key in known for key in names.values())
    votes: Counter[str] = Counter()
    for key in names.values():
        places = [place + 1 for place, sign in enumerate(key[:_LONGEST_PREFIX]) if sign == "."]
        votes.update(key[:place] for place in places if key[place:] in known)
    # Of those with most votes the shortest: of `module.bert.` and `module.` the latter, as `bert.` is the model's own.
    first, *others = sorted(votes, key=lambda prefix: (-votes[prefix], len(prefix))) or [""]
    if votes[first] <= as_they_are:
        return found
    rivals = [other for other in others if votes[other] == votes[first] and not _nested(first, other)]
    if rivals:
        one, other = sorted((first, rivals[0]))
        raise CheckpointError(
            f"The weights of {name} are those of two models, {one}* and {other}*; choose a checkpoint of one."
        )
    tensors = {key.removeprefix(first): value for key, value in found.tensors.items()}
    return FoundWeights(tensors, first, found.wrapped, found.besides)


def check_kinds(found: FoundWeights, model: PreTrainedModel, name: str) -> None:
    """Refuse whole numbers where the model computes with others: what is left of quantised weights without scales.

    Args:
        found: As `renamed` names them.
        model: Of which they are the weights.
        name: What the checkpoint is called, for errors.

    Raises:
        CheckpointError: That names one.
    """
    base = model.base_model_prefix + "."
    own = {key for key, value in model.named_parameters() if value.is_floating_point()}
    for key, value in found.tensors.items():
        if not value.dtype.is_floating_point and own & {key, base + key, key.removeprefix(base)}:
            raise CheckpointError(
                f"The weights of {name} hold {key} as {str(value.dtype).removeprefix('torch.')}, whole numbers where "
                "fractions are due: quantised, and the analyses need them in full. Choose another checkpoint."
            )


def check_positions(found: FoundWeights, model: PreTrainedModel, name: str) -> None:
    """Refuse weights that bear the name of another architecture which counts positions otherwise.

    RoBERTa and its kin count from behind the number of their padding token, whose row of the table is never read nor
    trained and so stays zero; BERT and its kin count from 0. A program may call a RoBERTa `bert`, so that the names
    alone tell nothing.

    Args:
        found: As `renamed` gives them.
        model: Of which they are to be the weights.
        name: What the checkpoint is called, for errors.

    Raises:
        CheckpointError: With both names.
    """
    called, kind = found.prefix.rstrip(".").rpartition(".")[2], model.config.model_type
    if called.replace("_", "-") not in CONFIG_MAPPING or called == model.base_model_prefix:
        return
    table = next((value for key, value in found.tensors.items() if key.endswith("position_embeddings.weight")), None)
    part = next((part for key, part in model.named_modules() if key.endswith("position_embeddings")), None)
    if table is None or len(table) <= _ROBERTA_PADDING or not isinstance(part, torch.nn.Embedding):
        return
    row = _ROBERTA_PADDING if part.padding_idx is None else part.padding_idx
    counts_from_0 = bool(table[row].any())
    if counts_from_0 != (part.padding_idx is None):
        counted = (
            "is trained, as where they count from 0" if counts_from_0 else "is zero, as where they begin behind it"
        )
        raise CheckpointError(
            f"The weights of {name} are called {called}, and row {row} of their positions {counted}; its config.json "
            f"describes {kind}, which counts otherwise, so another model would be computed. Choose another checkpoint."
        )


def _unwrapped(found: FoundWeights, name: str) -> FoundWeights:
    parts = {part for key in found.tensors for part in key.split(".")}
    wrapped = tuple(part for part in _OF_TRAINING if part in parts)
    if not wrapped:
        return found
    names = {key: ".".join(part for part in key.split(".") if part not in wrapped) for key in found.tensors}
    twice = [key for key, count in Counter(names.values()).items() if count > 1]
    if twice:
        raise CheckpointError(
            f"The weights of {name} hold {min(twice)} twice, with {wrapped[0]} in its name and without; which is meant "
            "cannot be told. Choose another checkpoint."
        )
    return FoundWeights({names[key]: found.tensors[key] for key in names}, "", wrapped, found.besides)


def _modern(key: str) -> str:
    for old, new in _LEGACY.items():
        key = key.replace(old, new)
    return key


def _nested(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def of_base(key: str, model: PreTrainedModel) -> bool:
    """Whether a name that a model has no place for is that of a part of its base, not of a task's head.

    What is computed anew at each loading (masks and tables of positions that older files hold) and poolers, which are
    read by heads alone, are no such parts.

    Args:
        key: As transformers reports it, so with the base's prefix only where the model has it, too.
        model: Of which `key` was not a part.
    """
    parts, base = key.split("."), model.base_model
    tables = dict(base.named_buffers())
    if parts[-1] in _COMPUTED or "pooler" in parts or key.removeprefix(model.base_model_prefix + ".") in tables:
        return False
    if base is model:
        return parts[0] in dict(base.named_children()) or parts[0] == model.base_model_prefix
    return parts[0] == model.base_model_prefix or (
        parts[0] in dict(base.named_children()) and parts[0] not in dict(model.named_children())
    )


def summarised(keys: Iterable[str]) -> tuple[str, ...]:
    """Names of tensors by what they begin with: `cls.predictions.bias` and `cls.predictions.decoder.weight` once.

    Example:
        >>> summarised(["lm_head.bias", "cls.predictions.bias", "cls.seq_relationship.weight"])
        ('cls.predictions', 'cls.seq_relationship', 'lm_head')
    """
    return tuple(sorted({".".join(key.split(".")[:-1][:2]) or key for key in keys}))
