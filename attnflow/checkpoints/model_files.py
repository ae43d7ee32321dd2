"""Reads a model and what sits on top of it from the files of a folder."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import torch
from transformers.configuration_utils import PreTrainedConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.modeling_utils import PreTrainedModel
from transformers.models.auto.configuration_auto import AutoConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_FOR_QUESTION_ANSWERING_MAPPING,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    MODEL_FOR_TEXT_ENCODING_MAPPING,
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTextEncoding,
    AutoModelForTokenClassification,
)

from attnflow import limits
from attnflow.checkpoints.architectures import ATTENTION, architecture
from attnflow.checkpoints.direction import sees_what_follows
from attnflow.checkpoints.encoder_decoders import read_stacks
from attnflow.checkpoints.loading import Loading
from attnflow.checkpoints.plain_json import shown
from attnflow.checkpoints.pruned_heads import refilled, removed_heads
from attnflow.checkpoints.task_head import HeadKind, Problem, TaskHead, head_kind, named_classes
from attnflow.checkpoints.trial import check_runs
from attnflow.checkpoints.weights import check_kinds, check_positions, of_base, read_weights, renamed, summarised
from attnflow.errors import CheckpointError, brief
from attnflow.records.token_scores import ENDS
from attnflow.records.trace import Head

_LOADERS: dict[HeadKind, tuple[Mapping[type, Any], Any]] = {
    "sequence-classification": (MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, AutoModelForSequenceClassification),
    "masked-lm": (MODEL_FOR_MASKED_LM_MAPPING, AutoModelForMaskedLM),
    "causal-lm": (MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM),
    "token-classification": (MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING, AutoModelForTokenClassification),
    "question-answering": (MODEL_FOR_QUESTION_ANSWERING_MAPPING, AutoModelForQuestionAnswering),
    "seq2seq-lm": (MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING, AutoModelForSeq2SeqLM),
}
_PROBLEMS: dict[str | None, Problem | None] = {
    None: None,
    "single_label_classification": None,
    "multi_label_classification": "multi_label",
    "regression": "regression",
}
"""For what `problem_type` says, the kind of problem; by the number of classes where it says nothing more."""
_ONE_AT_A_TIME = threading.Lock()
"""Held while a model is read: transformers then replaces functions of its own for the whole process, and a second
thread that reads at the same time misses weights that are tied to others, so that a trained head looks untrained."""


@dataclass(frozen=True)
class ReadModel:
    """A model as its files give it."""

    model: PreTrainedModel
    """In evaluation mode and without gradients."""
    head: TaskHead
    pruned: frozenset[Head] = frozenset()
    """Heads that are not in the file: their weights are zero."""
    notes: tuple[str, ...] = ()
    """What of its files is left aside or was brought into another form, in sentences."""
    stacks: Literal["both", "encoder"] | None = None
    """Which of an encoder-decoder were read."""


@dataclass(frozen=True)
class _Plan:
    """Which class of transformers reads a configuration, and what it is asked for."""

    model_class: type[PreTrainedModel]
    implementation: str
    kind: HeadKind
    has_head: bool
    empty: PreTrainedModel
    """The model without memory for its weights."""
    stacks: Literal["both", "encoder"] | None
    """Which of an encoder-decoder are read."""


def read_config(folder: Path, name: str) -> PreTrainedConfig:
    """Return the configuration of a checkpoint.

    Args:
        folder: Where its files are, of which nothing can be wrong but what they hold.
        name: What the checkpoint is called, for errors.

    Raises:
        CheckpointError: If transformers refuses it.
    """
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a configuration may hold anything
        raise _no_model(name, error) from error
    if config.problem_type not in _PROBLEMS:
        raise CheckpointError(
            f"The config.json of {name} gives problem_type as {shown(config.problem_type)}; known are "
            f"{', '.join(filter(None, _PROBLEMS))}. Choose another checkpoint."
        )
    _check_rotation(config, name)
    if hasattr(config, "use_cache"):
        config.use_cache = False  # a cache of keys and values serves generation only
    return config


def _check_rotation(config: PreTrainedConfig, name: str) -> None:
    """Refuse rotary positions of a kind that transformers does not compute."""
    told = getattr(config.get_text_config(), "rope_parameters", None)
    several = [told, *(part for part in told.values() if isinstance(part, dict))] if isinstance(told, dict) else []
    for kind in (part.get("rope_type", "default") for part in several):
        if kind not in ROPE_INIT_FUNCTIONS and kind != "default":
            raise CheckpointError(
                f"The config.json of {name} scales positions (rope_scaling) by the type {shown(kind)}; transformers "
                f"knows {', '.join(sorted(ROPE_INIT_FUNCTIONS))}. Choose another checkpoint."
            )


def read_model(folder: Path, config: PreTrainedConfig, name: str, how: Loading, *, translates: bool) -> ReadModel:
    """Return the model of a checkpoint and its head.

    Args:
        folder: Where its files are, of which nothing can be wrong but what they hold.
        config: Its configuration.
        name: What the checkpoint is called, for errors.
        how: Device, precision and bounds.
        translates: Whether its tokenizer's settings tell in which language it writes.

    Raises:
        CheckpointError: If the files do not hold what its architecture needs, hold more of the model than it has a
            place for, or if it is larger than allowed.
    """
    with _ONE_AT_A_TIME:
        return _read_model(folder, config, name, how, translates=translates)


def _read_model(folder: Path, config: PreTrainedConfig, name: str, how: Loading, *, translates: bool) -> ReadModel:
    try:
        plan = _plan(config, read_stacks(config, translates=translates))
        pruned = removed_heads(config.get_text_config(), name)
    except CheckpointError:
        raise
    except Exception as error:
        raise _no_model(name, error) from error
    check_parameters(plan.empty.num_parameters(), name, how)
    _check_tables(plan.empty, name, how)
    device = how.place()
    try:
        found = renamed(read_weights(folder), plan.empty, name)
        check_kinds(found, plan.empty, name)
        check_positions(found, plan.empty, name)
        tensors = refilled(found.tensors, pruned, plan.empty, name) if pruned else found.tensors
        # With `output_loading_info` it returns a report, too.
        load = cast("Callable[..., tuple[PreTrainedModel, dict[str, Any]]]", plan.model_class.from_pretrained)
        model, report = load(
            None,
            config=config,
            state_dict=tensors,
            dtype=how.precision(),
            attn_implementation=plan.implementation,
            ignore_mismatched_sizes=True,  # they are refused below, with their sizes
            output_loading_info=True,
        )
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"The weights of {name} are a pickle that holds more than tensors; it was refused and nothing in it was "
            "run. Choose a repository with safetensors."
        ) from error
    except Exception as error:
        raise CheckpointError(f"The weights of {name} cannot be read ({brief(error)}).") from error
    headless = _check_fit(model, report, plan, name)
    # transformers declares its `to` as a function of the module.
    model.to(device).eval().requires_grad_(False)  # pyright: ignore[reportArgumentType]
    check_runs(model, name)
    head, of_classes = _head(model, plan, headless), ""
    if head.trained and head.kind.endswith("classification"):
        names, of_classes = named_classes(
            cast("dict[int, object]", config.id2label), cast("dict[str, int]", config.label2id)
        )
        head = replace(head, labels=names)
    left = summarised([*report["unexpected_keys"], *found.besides])
    notes = [
        f"Of its weights, {_listed(left)} {'are' if len(left) > 1 else 'is'} not part of this model and not read."
        if left
        else "",
        f"All names of its weights begin with {found.prefix}, which was taken away." if found.prefix else "",
        f"In names of its weights stood {', '.join(found.wrapped)} of a training program, which was taken away."
        if found.wrapped
        else "",
        f"It was saved without {len(pruned)} of its heads (pruned_heads), which stay switched off." if pruned else "",
        of_classes,
    ]
    if plan.stacks == "encoder" and not _has_encoder_class(config):
        model = model.get_encoder()
    return ReadModel(model, head, pruned, tuple(filter(None, notes)), plan.stacks)


def _no_model(name: str, error: Exception) -> CheckpointError:
    return CheckpointError(f"The config.json of {name} describes no model ({brief(error)}); choose another checkpoint.")


def _plan(config: PreTrainedConfig, stacks: Literal["both", "encoder"] | None) -> _Plan:
    known, named = architecture(config.model_type), config.architectures or []
    kind = head_kind(named)
    classes, loader = _LOADERS.get(kind, ({}, AutoModel))
    if type(config) not in classes:
        loader = AutoModel
    if stacks == "encoder":
        kind, loader = "none", AutoModelForTextEncoding if _has_encoder_class(config) else AutoModel
    elif stacks is None and kind == "seq2seq-lm":  # the name of many models that write about more than text
        kind, loader = "none", AutoModel
    implementation = "eager" if known.watched else ATTENTION
    # What the configuration asks for is allocated whatever the file holds, so that is what must be small enough.
    with torch.device("meta"):
        empty = loader.from_config(config, attn_implementation=implementation)
    has_head = loader not in (AutoModel, AutoModelForTextEncoding)
    return _Plan(type(empty), implementation, kind, has_head, empty, stacks)


def _check_fit(model: PreTrainedModel, report: Mapping[str, Any], plan: _Plan, name: str) -> bool:
    """Compare what a file holds with what its model needs; whether a head's weights are missing.

    Raises:
        CheckpointError: If sizes differ, or if weights of the model itself are missing or have no place in it.
    """
    for key, found, expected in sorted(report["mismatched_keys"]):
        raise CheckpointError(
            f"The weights of {name} do not fit its config.json: {key} has the shape {_shape(found)}, and the model "
            f"that is described has {_shape(expected)} there. Choose another checkpoint."
        )
    missing = set(report["missing_keys"])
    prefix = model.base_model_prefix + "."
    # An encoder-decoder such as T5's is its own base, so that no prefix tells its stacks from its head.
    body = (prefix,) if model.base_model is not model else ("shared.", "encoder.", "decoder.")
    of_head = {key for key in missing if "pooler" in key or (plan.has_head and not key.startswith(body))}
    extra = sorted(key for key in report["unexpected_keys"] if of_base(key, model))
    if missing - of_head and (unmerged := next((key for key in extra if ".base_layer." in key), None)):
        raise CheckpointError(
            f"The weights of {name} hold an adapter that is not merged into them ({unmerged} is what it adapts); "
            "choose a checkpoint with merged weights."
        )
    if missing - of_head:
        instead = f"; its file has {extra[0]}, for which there is no place" if extra else ""
        raise CheckpointError(
            f"{name} lacks weights of its own model, {min(missing - of_head)} among them{instead}. Choose another "
            "checkpoint."
        )
    if extra:
        raise CheckpointError(
            f"{name} cannot be analysed: its file holds {extra[0]}{_more(len(extra) - 1)}, for which transformers' "
            f"{type(model).__name__}, made as config.json says, has no place, so another model would be computed. "
            "Choose another checkpoint."
        )
    return bool(of_head)


def _head(model: PreTrainedModel, plan: _Plan, headless: bool) -> TaskHead:
    """What sits on top of a model, and why it is asked for nothing if its class says otherwise."""
    config, kind = model.config, plan.kind
    if plan.stacks == "encoder":
        return TaskHead("none", trained=False)
    if not plan.has_head:
        lack = f"transformers has no such head for {config.model_type}, so what the file holds of one is not read."
        return TaskHead(kind, trained=False, reason="" if kind == "none" else f"A {kind} head is named, but {lack}")
    named = next((one for one in config.architectures or [] if str(one).endswith("ForPreTraining")), None)
    if headless and named:  # such as Electra's, which tells replaced words from others
        reason = f"{named} was trained for another task than masked words, whose head is not read."
        return TaskHead("none", trained=False, reason=reason)
    if kind == "question-answering":
        return _answering_head(model, headless)
    if headless:
        return TaskHead(kind, trained=False)
    if kind == "causal-lm" and sees_what_follows(model):
        reason = (
            f"{type(model).__name__} is made to predict the next word, but as config.json sets it up its tokens "
            "also see the words that follow, so it is asked for no word."
        )
        return TaskHead("none", trained=False, reason=reason)
    if not kind.endswith("classification"):
        return TaskHead(kind, trained=True)
    problem = _PROBLEMS[config.problem_type] or ("single_label" if (config.num_labels or 0) > 1 else "regression")
    if kind == "token-classification":  # whatever config.json says: transformers trains it with one class a token
        problem = "single_label"
    return TaskHead(kind, trained=True, problem=problem)  # its classes are named by whoever asked for it


def _answering_head(model: PreTrainedModel, headless: bool) -> TaskHead:
    """A head for question answering: two scores for each token, by one linear map of its last embedding."""
    named = next((one for one in model.config.architectures or [] if "ForQuestionAnswering" in str(one)), "")
    reason = ""
    if headless and named != type(model).__name__:  # XLNet's and XLM's, which look for the end given the start
        reason = (
            f"{named} is a head of another kind, which looks for the end of an answer given its start; that of "
            f"{type(model).__name__}, which scores both for each token, is not in the file."
        )
    elif headless:
        reason = "No head for question answering: the file lacks its weights, and a fresh one would answer at random."
    elif model.config.num_labels != len(ENDS):
        reason = (
            "A head for question answering scores each token as the start and as the end of an answer, but "
            f"config.json asks for {model.config.num_labels} scores (num_labels), so it is asked for nothing."
        )
    return TaskHead("question-answering", trained=not reason, labels=() if reason else ENDS, reason=reason)


def _shape(size: Sequence[int]) -> str:
    return " x ".join(map(str, size)) or "of a single number"


def _more(count: int) -> str:
    return f" and {count} more" if count else ""


def _listed(names: Sequence[str]) -> str:
    most = 4
    return ", ".join(names[:most]) + _more(len(names) - most if len(names) > most else 0)


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
