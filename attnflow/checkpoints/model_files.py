"""Reads a model and what sits on top of it from the files of a folder."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from transformers.configuration_utils import PreTrainedConfig
from transformers.modeling_utils import PreTrainedModel
from transformers.models.auto.configuration_auto import AutoConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    MODEL_FOR_TEXT_ENCODING_MAPPING,
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoModelForTextEncoding,
    AutoModelForTokenClassification,
)

from attnflow import limits
from attnflow.checkpoints.architectures import ATTENTION, architecture
from attnflow.checkpoints.loading import Loading
from attnflow.checkpoints.task_head import HeadKind, Problem, TaskHead, head_kind
from attnflow.errors import CheckpointError, brief

_LOADERS: dict[HeadKind, tuple[Mapping[type, Any], Any]] = {
    "sequence-classification": (MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, AutoModelForSequenceClassification),
    "masked-lm": (MODEL_FOR_MASKED_LM_MAPPING, AutoModelForMaskedLM),
    "causal-lm": (MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM),
    "token-classification": (MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING, AutoModelForTokenClassification),
}
_PROBLEMS: dict[str, Problem] = {"regression": "regression", "multi_label_classification": "multi_label"}
_ONE_AT_A_TIME = threading.Lock()
"""Held while a model is read: transformers then replaces functions of its own for the whole process, and a second
thread that reads at the same time misses weights that are tied to others, so that a trained head looks untrained."""


def read_model(folder: Path, name: str, how: Loading) -> tuple[PreTrainedModel, TaskHead]:
    """Return the model of a checkpoint, in evaluation mode and without gradients, and its head.

    Args:
        folder: Where its files are, of which nothing can be wrong but what they hold.
        name: What the checkpoint is called, for errors.
        how: Device, precision and bounds.

    Raises:
        CheckpointError: If the files do not hold what its architecture needs, or it is larger than allowed.
    """
    with _ONE_AT_A_TIME:
        return _read_model(folder, name, how)


def _read_model(folder: Path, name: str, how: Loading) -> tuple[PreTrainedModel, TaskHead]:
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        if hasattr(config, "use_cache"):
            config.use_cache = False  # a cache of keys and values serves generation only
        kind = head_kind(config.architectures or [])
        known, loader = _LOADERS.get(kind, ({}, AutoModel))
        if type(config) not in known:
            loader = AutoModel
        known = architecture(config.model_type)
        if known.encoder_alone:
            kind, loader = "none", AutoModelForTextEncoding if _has_encoder_class(config) else AutoModel
        implementation = "eager" if known.watched else ATTENTION
        # What the configuration asks for is allocated whatever the file holds, so that is what must be small enough.
        with torch.device("meta"):
            empty = loader.from_config(config, attn_implementation=implementation)
    except Exception as error:  # a configuration may hold anything
        raise CheckpointError(f"The config.json of {name} describes no model ({brief(error)}).") from error
    check_parameters(empty.num_parameters(), name, how)
    _check_tables(empty, name, how)
    device = how.place()
    try:
        model, report = loader.from_pretrained(
            folder,
            config=config,
            dtype=how.precision(),
            attn_implementation=implementation,
            local_files_only=True,
            trust_remote_code=False,
            weights_only=True,
            output_loading_info=True,
        )
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"The weights of {name} are a pickle that holds more than tensors; it was refused and nothing in it was "
            "run. Choose a repository with safetensors."
        ) from error
    except Exception as error:
        raise CheckpointError(f"The weights of {name} cannot be read ({brief(error)}).") from error
    missing = set(report["missing_keys"])
    prefix = model.base_model_prefix + "."
    has_head = loader not in (AutoModel, AutoModelForTextEncoding)
    of_head = {key for key in missing if "pooler" in key or (has_head and not key.startswith(prefix))}
    if missing - of_head:
        raise CheckpointError(f"{name} lacks weights of its own model, {min(missing - of_head)} among them.")
    model.to(device).eval().requires_grad_(False)
    if known.encoder_alone:
        return model if _has_encoder_class(config) else model.get_encoder(), TaskHead("none", trained=False)
    if not has_head or of_head:
        return model, TaskHead(kind, trained=False)
    if not kind.endswith("classification"):
        return model, TaskHead(kind, trained=True)
    names = cast("dict[int, str]", config.id2label)  # which every configuration fills in
    labels = tuple(str(names.get(index, index)) for index in range(len(names)))
    unsaid: Problem = "single_label" if len(labels) > 1 else "regression"
    problem = _PROBLEMS.get(config.problem_type or "", unsaid)
    return model, TaskHead(kind, trained=True, labels=labels, problem=problem)


def _has_encoder_class(config: PreTrainedConfig) -> bool:
    """Whether transformers can load the encoder without its decoder, as of T5."""
    return type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING


def check_parameters(parameters: int, name: str, how: Loading) -> None:
    """Refuse a model of more parameters than it may have.

    Raises:
        CheckpointError: With both numbers.
    """
    if how.max_parameters is not None and parameters > how.max_parameters:
        raise CheckpointError(
            f"{name} has {parameters / 1e6:,.0f} million parameters; this machine takes at most "
            f"{how.max_parameters / 1e6:,.0f} million. Choose a smaller checkpoint."
        )


def _check_tables(empty: PreTrainedModel, name: str, how: Loading) -> None:
    """Refuse what is not among the parameters: masks and positions as tables, and scores of a whole vocabulary.

    Tables have a bound also where parameters have none: no file has to be as large as they are.
    """
    size, most = sum(table.numel() * table.element_size() for table in empty.buffers()), 4 * limits.MAX_PARAMETERS
    if how.max_parameters is not None:
        size, most = size + 4 * empty.num_parameters(), 4 * how.max_parameters
    if size > most:
        raise CheckpointError(
            f"{name} takes {size / 1e6:,.0f} MB with the tables of positions that its config.json asks for; this "
            f"machine takes at most {most / 1e6:,.0f} MB. Choose a smaller checkpoint."
        )
    entries = getattr(empty.config.get_text_config(), "vocab_size", 0)
    if isinstance(entries, int) and entries > limits.MAX_VOCABULARY:
        raise CheckpointError(
            f"The config.json of {name} asks for a vocabulary of {entries:,} entries; this machine takes at most "
            f"{limits.MAX_VOCABULARY:,}. Choose another checkpoint."
        )
